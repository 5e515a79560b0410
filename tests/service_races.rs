//! Rotations, revocations, verifications and issuing at one time, in two services over each store.
#![cfg(all(feature = "testing", feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::audit::{AuditKind, MemorySink, Outcome};
use keyward::key::{Generation, KeyId, KeyStatus, Revision};
use keyward::service::{
    IssueRules, KeyService, LifecycleError, Rejection, RequestContext, Rotation, VerifyError,
};
use keyward::store::ListKeys;
use keyward::time::Timestamp;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

mod common;
mod servers;
mod three_stores;

use common::{HOUR, admin, request};
use three_stores::{Shared, service};

const ROUNDS: usize = 50;
/// Far more than anything takes, on the busiest machine.
const LONGEST: Duration = Duration::from_secs(60);

async fn verify(service: &KeyService, key: &str) -> Option<Rejection> {
    match service.verify(key.as_bytes(), &RequestContext::new()).await {
        Ok(_) => None,
        Err(VerifyError::Rejected(rejection)) => Some(rejection),
        Err(other) => panic!("no answer: {other:?}"),
    }
}

/// How many changes of the key the trail tells of that were made.
async fn told(services: &[KeyService], trail: &MemorySink, id: &KeyId) -> u64 {
    for service in services {
        service.recorder().flush().await.unwrap();
    }
    let kinds = [AuditKind::KeyRotated, AuditKind::KeyRevoked];
    let events = trail.events().into_iter();
    let events = events.filter(|it| it.key_id() == Some(id.as_str()) && kinds.contains(&it.kind()));
    events.fold(0, |made, event| match event.outcome() {
        Outcome::Success => made + 1,
        Outcome::Failure => made - 1,
    })
}

fn retirements_failed(services: &[KeyService]) -> u64 {
    let failed = services.iter().map(|it| it.counters().retirements_failed);
    failed.sum()
}

/// One key, its secrets as they are made, and whether it has ended.
struct Scene {
    services: [KeyService; 2],
    id: KeyId,
    secrets: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Scene {
    fn service(&self, number: usize) -> &KeyService {
        &self.services[number % 2]
    }

    fn secret(&self, number: usize) -> String {
        let secrets = self.secrets.lock().unwrap();
        secrets[number % secrets.len()].clone()
    }

    /// Uses all secrets in turn, until some time after the end.
    async fn use_it(&self, number: usize) {
        let mut uses_after_the_end = 0;
        for turn in number.. {
            let was_over = self.is_over.load(Ordering::SeqCst);
            let outcome = verify(self.service(turn), &self.secret(turn)).await;
            if was_over {
                assert!(outcome.is_some(), "accepted after the revocation returned");
                uses_after_the_end += 1;
            }
            if uses_after_the_end == 4 {
                return;
            }
            // In memory nothing ever waits.
            tokio::task::yield_now().await;
        }
    }

    async fn rotate_it(&self, number: usize) {
        let ways = [
            Rotation::Grace(HOUR),
            Rotation::AtOnce,
            Rotation::UntilFirstUse(HOUR),
        ];
        for turn in number..number + 4 {
            let rotation = ways[turn % ways.len()];
            let rotated = self
                .service(turn)
                .rotate(&admin(), &self.id, rotation)
                .await;
            match rotated {
                Ok(new) => {
                    let mut secrets = self.secrets.lock().unwrap();
                    secrets.push(new.key().expose().to_owned());
                }
                Err(LifecycleError::Contended) => {}
                Err(LifecycleError::WrongState { state }) => assert_eq!(state, KeyStatus::Revoked),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    /// Looks on: nothing ever goes back.
    async fn watch_it(&self) {
        let (mut revision, mut generation) = (Revision::new(0), Generation::new(0));
        let mut was_revoked = false;
        while !self.is_over.load(Ordering::SeqCst) {
            let record = self.services[0].get(&admin(), &self.id).await.unwrap();
            assert!(record.revision >= revision && record.current.generation >= generation);
            assert!(record.revocation.is_some() || !was_revoked);
            (revision, generation) = (record.revision, record.current.generation);
            was_revoked = record.revocation.is_some();
            let before = record.previous.as_ref().map(|old| old.generation.next());
            assert!(before.is_none_or(|next| next == generation));
            tokio::task::yield_now().await;
        }
    }

    async fn end_it(&self, round: usize) {
        // Sometimes at once, sometimes amid the others.
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        if !round.is_multiple_of(3) {
            tokio::time::sleep(Duration::from_millis(round as u64 % 7)).await;
        }
        let revoked = self.service(round).revoke(&admin(), &self.id, "over").await;
        assert!(revoked.unwrap().unaudited.is_none());
        self.is_over.store(true, Ordering::SeqCst);
    }
}

async fn all(tasks: Vec<JoinHandle<()>>) {
    let end = async {
        for task in tasks {
            task.await.unwrap();
        }
    };
    tokio::time::timeout(LONGEST, end).await.unwrap();
}

async fn nothing_is_accepted_that_begins_after_a_revocation_returned(store: Shared) {
    let trail = MemorySink::unbounded();
    let services = [&store.here, &store.there].map(|it| service(it, &trail));
    for round in 0..ROUNDS {
        let issued = services[0].issue(&admin(), request()).await.unwrap();
        let scene = Arc::new(Scene {
            services: services.clone(),
            id: issued.record().id,
            secrets: Mutex::new(vec![issued.key().expose().to_owned()]),
            is_over: AtomicBool::new(false),
        });
        let mut tasks = Vec::new();
        for number in 0..4 {
            let scene = Arc::clone(&scene);
            tasks.push(tokio::spawn(async move { scene.use_it(number).await }));
        }
        for number in 0..2 {
            let scene = Arc::clone(&scene);
            tasks.push(tokio::spawn(async move {
                scene.rotate_it(round + number).await;
            }));
        }
        let watched = Arc::clone(&scene);
        tasks.push(tokio::spawn(async move { watched.watch_it().await }));
        let ended = Arc::clone(&scene);
        tasks.push(tokio::spawn(async move { ended.end_it(round).await }));
        all(tasks).await;

        let secrets = scene.secrets.lock().unwrap().clone();
        for secret in secrets {
            for service in &services {
                let outcome = verify(service, &secret).await;
                let wanted = [Rejection::Revoked, Rejection::WrongSecret];
                assert!(wanted.contains(&outcome.unwrap()), "round {round}");
            }
        }
        let record = services[1].get(&admin(), &scene.id).await.unwrap();
        let made = record.revision.number() - issued.record().revision.number();
        let told = told(&services, &trail, &scene.id).await;
        assert!(told >= made, "a change that the trail does not tell of");
        if retirements_failed(&services) == 0 {
            assert_eq!(told, made, "round {round}");
        }
    }
}

/// Both secrets of a key, in use at one time by many.
struct Handover {
    services: [KeyService; 2],
    old: String,
    new: String,
    start: Barrier,
    /// Uses of the new secret that have begun, and whether one was accepted.
    begun: AtomicUsize,
    is_accepted: AtomicBool,
}

const USERS: usize = 6;

impl Handover {
    async fn use_old(&self, number: usize) {
        self.start.wait().await;
        for turn in number.. {
            let was_accepted = self.is_accepted.load(Ordering::SeqCst);
            let outcome = verify(&self.services[turn % 2], &self.old).await;
            let had_begun = self.begun.load(Ordering::SeqCst) > 0;
            match outcome {
                None => assert!(!was_accepted, "the old one outlived a use of the new one"),
                Some(rejection) => {
                    assert_eq!(rejection, Rejection::Superseded);
                    assert!(had_begun, "the old one ended before the new one was used");
                    return;
                }
            }
            // In memory nothing ever waits.
            tokio::task::yield_now().await;
        }
    }

    async fn use_new(&self, number: usize) {
        self.start.wait().await;
        // Not all at once: some come while the first is under way.
        for _ in 0..number * 5 {
            tokio::task::yield_now().await;
        }
        for turn in number..number + 3 {
            self.begun.fetch_add(1, Ordering::SeqCst);
            let outcome = verify(&self.services[turn % 2], &self.new).await;
            self.is_accepted.store(true, Ordering::SeqCst);
            assert_eq!(outcome, None, "the new one is never refused");
        }
    }
}

async fn the_old_secret_works_until_a_use_of_the_new_one_was_accepted_and_no_longer(store: Shared) {
    let trail = MemorySink::unbounded();
    let services = [&store.here, &store.there].map(|it| service(it, &trail));
    for round in 0..ROUNDS {
        let old = services[0].issue(&admin(), request()).await.unwrap();
        let id = old.record().id;
        let rotation = Rotation::UntilFirstUse(HOUR);
        let new = services[1].rotate(&admin(), &id, rotation).await.unwrap();
        let scene = Arc::new(Handover {
            services: services.clone(),
            old: old.key().expose().to_owned(),
            new: new.key().expose().to_owned(),
            start: Barrier::new(USERS * 2),
            begun: AtomicUsize::new(0),
            is_accepted: AtomicBool::new(false),
        });
        let mut tasks = Vec::new();
        for number in 0..USERS {
            let (one, other) = (Arc::clone(&scene), Arc::clone(&scene));
            tasks.push(tokio::spawn(async move { one.use_old(number).await }));
            tasks.push(tokio::spawn(async move { other.use_new(number).await }));
        }
        all(tasks).await;
        assert_eq!(retirements_failed(&services), 0);
        // The rotation, and the end of the old secret.
        assert_eq!(told(&services, &trail, &id).await, 2, "round {round}");
        let record = services[0].get(&admin(), &id).await.unwrap();
        assert_eq!(record.revision.number(), old.record().revision.number() + 2);
        assert!(!record.previous.as_ref().unwrap().is_live(Timestamp::EPOCH));
    }
}

async fn of_twenty_that_race_for_five_places_of_an_owner_five_get_one(store: Shared) {
    let trail = MemorySink::unbounded();
    let limited = || {
        let rules = IssueRules::new().most_active_keys(5);
        keyward::service::IssuePolicy::builder().without_role(rules)
    };
    let services = [&store.here, &store.there].map(|it| {
        let policy = limited().build().unwrap();
        let builder = three_stores::builder(it, &trail).issue_policy(policy);
        builder.build().unwrap()
    });
    let begun = Instant::now();
    let start = Arc::new(Barrier::new(20));
    let racers: Vec<_> = (0..20)
        .map(|number| {
            let (service, start) = (services[number % 2].clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                service.issue(&admin(), request()).await
            })
        })
        .collect();
    let mut issued = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            Ok(key) => issued.push(key),
            Err(error) => assert!(
                matches!(error, LifecycleError::OwnerLimit { limit: 5 }),
                "{error:?}"
            ),
        }
    }
    assert_eq!(issued.len(), 5);
    let page = services[0].list(&admin(), ListKeys::new()).await.unwrap();
    assert_eq!(page.records.len(), 5);
    for (number, key) in issued.iter().enumerate() {
        let outcome = verify(&services[number % 2], key.key().expose()).await;
        assert_eq!(outcome, None);
    }
    assert!(begun.elapsed() < LONGEST);
}

on_each_store!(
    nothing_is_accepted_that_begins_after_a_revocation_returned,
    the_old_secret_works_until_a_use_of_the_new_one_was_accepted_and_no_longer,
    of_twenty_that_race_for_five_places_of_an_owner_five_get_one,
);

//! Rotation: two secrets of one key, when the old one ends, and what stays.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "a test may fail where it stands"
)]

mod common;

use std::time::Duration;

use common::*;
use keyward::access::Requirement;
use keyward::audit::{AuditKind, Outcome};
use keyward::key::{Environment, KeyFormat, KeyStatus};
use keyward::service::{Actor, IssuedKey, LifecycleError, Rejection, Rotation};
use keyward::time::{Clock as _, Timestamp};

async fn rotate(rig: &Rig, key: &IssuedKey, rotation: Rotation) -> IssuedKey {
    let id = &key.record().id;
    rig.service.rotate(&admin(), id, rotation).await.unwrap()
}

#[tokio::test]
async fn at_once_ends_the_old_secret_with_the_call() {
    let rig = rig();
    let old = rig.issue().await;
    assert!(rig.accepts(old.key().expose()).await);
    let new = rotate(&rig, &old, Rotation::AtOnce).await;
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(rig.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn at_once_holds_in_a_process_whose_clock_is_behind() {
    let rig = rig();
    let old = rig.issue().await;
    let behind = Rig::on(
        rig.store.clone(),
        keyward::testing::ManualClock::new(rig.clock.now().saturating_sub(HOUR)),
        |it| it,
        |it| it,
    );
    assert!(behind.accepts(old.key().expose()).await);
    let new = rotate(&rig, &old, Rotation::AtOnce).await;
    assert_eq!(
        behind.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(behind.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn a_grace_ends_to_the_microsecond() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::Grace(HOUR)).await;
    rig.clock.advance(HOUR - MICRO);
    assert!(rig.accepts(old.key().expose()).await);
    rig.clock.advance(MICRO);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(new.record().expires_at, None);
}

#[tokio::test]
async fn a_grace_never_outlives_the_key() {
    let rig = rig();
    let ten_minutes = Duration::from_secs(600);
    let old = rig.issue_as(request().with_lifetime(ten_minutes)).await;
    for rotation in [Rotation::Grace(HOUR), Rotation::UntilFirstUse(HOUR)] {
        let new = rotate(&rig, &old, rotation).await;
        let end = new.record().previous.as_ref().unwrap().end.deadline();
        assert_eq!(end, new.record().expires_at);
    }
}

#[tokio::test]
async fn until_first_use_keeps_the_old_secret_for_so_long() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    assert!(rig.accepts(old.key().expose()).await);
    assert!(rig.accepts(old.key().expose()).await);
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(rig.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn until_first_use_has_a_latest_time() {
    let rig = rig();
    let old = rig.issue().await;
    let _ = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.clock.advance(HOUR - MICRO);
    assert!(rig.accepts(old.key().expose()).await);
    rig.clock.advance(MICRO);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
}

#[tokio::test]
async fn a_refused_first_use_does_not_end_the_old_secret() {
    let rig = rig();
    let networks = "10.0.0.0/8".parse().unwrap();
    let old = rig.issue_as(request().with_networks(networks)).await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    let outside = rig.verify_from(new.key().expose(), "192.0.2.1").await;
    assert_eq!(rejection(outside), Rejection::NetworkRefused);
    let inside = rig.verify_from(old.key().expose(), "10.0.0.1").await;
    assert!(inside.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_first_uses_end_the_old_secret_with_one_event() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    let uses: Vec<_> = (0..50)
        .map(|_| {
            let (service, key) = (rig.service.clone(), new.key().expose().to_owned());
            tokio::spawn(async move {
                let context = keyward::service::RequestContext::new();
                service.verify(key.as_bytes(), &context).await.unwrap();
            })
        })
        .collect();
    for used in uses {
        used.await.unwrap();
    }
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    let rotated = rig.events_of(AuditKind::KeyRotated).await;
    assert_eq!(
        rotated,
        [(Outcome::Success, None), (Outcome::Success, None)]
    );
    assert_eq!(rig.service.counters().retirements_failed, 0);
}

/// Presents a key in a task of its own.
fn use_in_a_task(rig: &Rig, key: &IssuedKey) -> tokio::task::JoinHandle<bool> {
    let (service, key) = (rig.service.clone(), key.key().expose().to_owned());
    tokio::spawn(async move {
        let context = keyward::service::RequestContext::new();
        service.verify(key.as_bytes(), &context).await.is_ok()
    })
}

async fn let_the_others_run() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_first_use_beside_another_waits_until_the_old_secret_has_ended() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.sink.hold();
    let first = use_in_a_task(&rig, &new);
    // What it writes is held: it is at the end of the old secret.
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    let second = use_in_a_task(&rig, &new);
    let_the_others_run().await;
    assert!(!first.is_finished() && !second.is_finished());
    rig.sink.release();
    assert!(second.await.unwrap());
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(first.await.unwrap());
    assert_eq!(rig.events_of(AuditKind::KeyRotated).await.len(), 2);
}

#[tokio::test]
async fn a_first_use_ends_the_old_secret_although_another_keys_is_being_ended() {
    let rig = rig();
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let old = rig.issue().await;
        let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
        pairs.push((old, new));
    }
    rig.sink.hold();
    let uses: Vec<_> = pairs
        .iter()
        .map(|(_, new)| use_in_a_task(&rig, new))
        .collect();
    wait_for_hashes(&rig, 9).await;
    let_the_others_run().await;
    rig.sink.release();
    for used in uses {
        assert!(used.await.unwrap());
    }
    for (old, _) in &pairs {
        let rejected = rig.rejected(old.key().expose()).await;
        assert_eq!(rejected, Rejection::Superseded);
    }
}

#[tokio::test(start_paused = true)]
async fn uses_at_one_time_wait_for_a_trail_that_hangs_once_and_not_behind_each_other() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.sink.hold();
    // One hash for all of them, so that they come to the old secret together.
    rig.hasher.gate().close();
    let uses: Vec<_> = (0..20).map(|_| use_in_a_task(&rig, &new)).collect();
    let_the_others_run().await;
    rig.hasher.gate().open();
    for used in uses {
        assert!(used.await.unwrap());
    }
    assert_eq!(rig.service.counters().retirements_failed, 1);
    // Once it has failed, only who tries again waits.
    let trying = use_in_a_task(&rig, &new);
    let_the_others_run().await;
    let begun = tokio::time::Instant::now();
    assert!(rig.accepts(new.key().expose()).await);
    assert!(begun.elapsed() < SECOND / 10, "{:?}", begun.elapsed());
    assert!(trying.await.unwrap());
    rig.sink.release();
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
}

#[tokio::test]
async fn the_old_secret_has_ended_when_its_successors_first_use_returns() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.verify(new.key().expose()).await.unwrap();
    let behind = rig.clock.now().saturating_sub(HOUR);
    rig.clock.set(behind);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
}

#[tokio::test]
async fn a_retirement_that_fails_is_tried_again_at_the_next_use() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.store.fail(Call::Update, 1);
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(rig.service.counters().retirements_failed, 1);
    assert!(
        rig.record(&old.record().id)
            .await
            .previous
            .unwrap()
            .is_live(rig.clock.now())
    );
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
}

#[tokio::test]
async fn of_ten_racing_rotations_one_has_a_successor() {
    let rig = Rig::new(|it| it.hash_pool(pool(1, 64)));
    let old = rig.issue().await;
    let id = old.record().id;
    // All have read the record before the first of them stores anything.
    rig.hasher.gate().close();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let service = rig.service.clone();
            tokio::spawn(async move { service.rotate(&admin(), &id, Rotation::AtOnce).await })
        })
        .collect();
    wait_for_hashes(&rig, 2).await;
    while rig.service.hash_stats().queued_trusted < 9 {
        tokio::task::yield_now().await;
    }
    rig.hasher.gate().open();
    let mut successors = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(issued) => successors.push(issued),
            Err(LifecycleError::Contended) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(successors.len(), 1);
    assert!(rig.accepts(successors[0].key().expose()).await);
    assert_eq!(rig.record(&id).await.current.generation.number(), 2);
    let events = rig.events_of(AuditKind::KeyRotated).await;
    let count = |outcome| events.iter().filter(|(it, _)| *it == outcome).count();
    assert_eq!(count(Outcome::Success) - count(Outcome::Failure), 1);
}

#[tokio::test]
async fn a_rotation_that_lost_after_its_event_says_so_in_the_trail() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    // The sink holds both events, so both rotations have decided on the first revision.
    rig.sink.hold();
    let start = |()| {
        let service = rig.service.clone();
        tokio::spawn(async move { service.rotate(&admin(), &id, Rotation::AtOnce).await })
    };
    let (one, two) = (start(()), start(()));
    while rig.hasher.hashes() < 3 || rig.service.hash_stats().running > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    rig.sink.release();
    let outcomes = [one.await.unwrap(), two.await.unwrap()];
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1);
    let mut events = rig.events_of(AuditKind::KeyRotated).await;
    events.sort_by_key(|(outcome, _)| *outcome == Outcome::Failure);
    assert_eq!(
        events,
        [
            (Outcome::Success, None),
            (Outcome::Success, None),
            (Outcome::Failure, Some("contended".to_owned())),
        ]
    );
}

#[tokio::test]
async fn neither_a_revoked_nor_an_expired_key_is_revived() {
    let rig = rig();
    let (revoked, expired) = (
        rig.issue().await,
        rig.issue_as(request().with_lifetime(HOUR)).await,
    );
    let off = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.revoke(&revoked).await;
    rig.clock.advance(HOUR);
    let id = &off.record().id;
    rig.service.disable(&admin(), id).await.unwrap();
    for (key, wanted) in [
        (&revoked, KeyStatus::Revoked),
        (&expired, KeyStatus::Expired),
        (&off, KeyStatus::Expired),
    ] {
        let id = &key.record().id;
        let outcome = rig.service.rotate(&admin(), id, Rotation::AtOnce).await;
        match outcome.unwrap_err() {
            LifecycleError::WrongState { state } => assert_eq!(state, wanted),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.hasher.hashes(), 3, "no hash is paid for a refusal");
}

#[tokio::test]
async fn a_key_revoked_during_its_rotation_stays_revoked() {
    let rig = rig();
    let old = rig.issue().await;
    let id = old.record().id;
    rig.hasher.gate().close();
    let service = rig.service.clone();
    let rotation =
        tokio::spawn(async move { service.rotate(&admin(), &id, Rotation::AtOnce).await });
    wait_for_hashes(&rig, 2).await;
    rig.revoke(&old).await;
    rig.hasher.gate().open();
    assert!(matches!(
        rotation.await.unwrap().unwrap_err(),
        LifecycleError::WrongState {
            state: KeyStatus::Revoked
        }
    ));
    assert_eq!(rig.record(&id).await.current.generation.number(), 1);
}

#[tokio::test]
async fn rotating_a_disabled_key_leaves_it_disabled() {
    let rig = rig();
    let old = rig.issue().await;
    let id = old.record().id;
    rig.service.disable(&admin(), &id).await.unwrap();
    let new = rotate(&rig, &old, Rotation::AtOnce).await;
    assert_eq!(rig.rejected(new.key().expose()).await, Rejection::Disabled);
}

#[tokio::test]
async fn rotation_does_not_move_the_expiry() {
    let rig = rig();
    let old = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.clock.advance(HOUR / 2);
    let new = rotate(&rig, &old, Rotation::AtOnce).await;
    assert_eq!(new.record().expires_at, old.record().expires_at);
    rig.clock.advance(HOUR / 2);
    assert_eq!(rig.rejected(new.key().expose()).await, Rejection::Expired);
}

#[tokio::test]
async fn a_second_rotation_ends_the_oldest_secret() {
    let rig = rig();
    let first = rig.issue().await;
    let second = rotate(&rig, &first, Rotation::Grace(HOUR)).await;
    let third = rotate(&rig, &first, Rotation::Grace(HOUR)).await;
    assert_eq!(
        rig.rejected(first.key().expose()).await,
        Rejection::WrongSecret
    );
    assert!(rig.accepts(second.key().expose()).await);
    assert!(rig.accepts(third.key().expose()).await);
}

#[tokio::test]
async fn revoking_ends_both_secrets() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::Grace(HOUR)).await;
    assert!(rig.accepts(old.key().expose()).await && rig.accepts(new.key().expose()).await);
    rig.revoke(&old).await;
    for key in [&old, &new] {
        assert_eq!(rig.rejected(key.key().expose()).await, Rejection::Revoked);
    }
}

#[tokio::test]
async fn settings_limits_and_history_survive_a_rotation() {
    let rig = rig();
    let asked = request()
        .with_tier("pro")
        .with_tenant(tenant("t1"))
        .with_description("d");
    let old = rig.issue_as(asked).await;
    let key = rig.verify(old.key().expose()).await.unwrap();
    let used = rig.service.limit(&key, 300).await.unwrap();
    assert!(used.is_allowed());
    rig.service.flush_usage().await.unwrap();
    let before = rig.record(&old.record().id).await;

    let new = rotate(&rig, &old, Rotation::AtOnce).await;
    let key = rig.verify(new.key().expose()).await.unwrap();
    assert!(!rig.service.limit(&key, 1).await.unwrap().is_allowed());
    let mut after = rig.record(&old.record().id).await;
    assert_eq!(
        after.previous.as_ref().unwrap().last_used_at,
        before.current.last_used_at
    );
    assert!(after.previous.take().is_some());
    after.current.clone_from(&before.current);
    after.revision = before.revision;
    assert_eq!(after, before);
    assert!(new.key().expose().starts_with("pm_live_"));
    assert_eq!(new.key().expose()[8..20], old.key().expose()[8..20]);
}

#[tokio::test]
async fn refuses_to_rotate_a_key_of_another_environment() {
    let rig = rig();
    let old = rig.issue().await;
    let format = KeyFormat::builder().environment(Environment::test());
    let test = rig.another(|it| it.format(format.build().unwrap()));
    let id = &old.record().id;
    let outcome = test.service.rotate(&admin(), id, Rotation::AtOnce).await;
    assert!(matches!(
        outcome.unwrap_err(),
        LifecycleError::Invalid {
            field: "environment",
            ..
        }
    ));
    assert!(rig.accepts(old.key().expose()).await);
}

#[tokio::test]
async fn a_key_may_rotate_itself_and_manage_with_its_new_secret_only() {
    let rig = rig();
    let role = keyward::access::Grant::Role("keys".parse().unwrap());
    let old = rig.issue_as(request_with(role)).await;
    let actor = rig.acting(&old).await;
    let id = &old.record().id;
    let new = rig.service.rotate(&actor, id, Rotation::AtOnce).await;
    let again = rig.service.rotate(&actor, id, Rotation::AtOnce).await;
    assert!(matches!(again.unwrap_err(), LifecycleError::ActorEnded));
    let key = rig.verify(new.unwrap().key().expose()).await.unwrap();
    let manage: Requirement = "manage_keys".parse().unwrap();
    let target = keyward::access::Target::Service;
    assert!(rig.service.authorize(&key, &manage, &target).is_allowed());
    assert!(
        rig.service
            .get(&Actor::key(&key).unwrap(), id)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_clock_that_steps_back_brings_no_ended_key_back() {
    let rig = rig();
    let (rotated, revoked) = (rig.issue().await, rig.issue().await);
    let _ = rotate(&rig, &rotated, Rotation::AtOnce).await;
    rig.revoke(&revoked).await;
    for now in [Timestamp::EPOCH, Timestamp::MIN, Timestamp::MAX] {
        rig.clock.set(now);
        assert_eq!(
            rig.rejected(rotated.key().expose()).await,
            Rejection::Superseded
        );
        assert_eq!(
            rig.rejected(revoked.key().expose()).await,
            Rejection::Revoked
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_hangs_does_not_hold_up_the_first_use() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(HOUR)).await;
    rig.sink.hold();
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(rig.service.counters().retirements_failed, 1);
    assert!(rig.accepts(old.key().expose()).await);
    rig.sink.release();
    assert!(rig.accepts(new.key().expose()).await);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
}

#[tokio::test]
async fn a_grace_is_a_year_at_most() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let day = HOUR * 24;
    for rotation in [
        Rotation::Grace(day * 367),
        Rotation::UntilFirstUse(Duration::MAX),
    ] {
        let refused = rig.service.rotate(&admin(), &id, rotation).await;
        assert!(matches!(
            refused,
            Err(LifecycleError::Invalid { field: "grace", .. })
        ));
    }
    assert!(
        rig.service
            .rotate(&admin(), &id, Rotation::Grace(day * 366))
            .await
            .is_ok()
    );
}

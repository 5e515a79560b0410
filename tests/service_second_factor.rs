//! The second factor within the service: when it is asked, what a code is good for, and what is written down.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    clippy::cast_possible_truncation,
    reason = "a test may fail where it stands"
)]

mod common;
mod factor_support;

use std::sync::{Arc, Mutex};

use common::{HOUR, Rig, request, request_with, scopes, tenant};
use factor_support::{PERIOD, Phone, TestFactors, World, codes_of};
use keyward::access::{Grant, TenantBinding};
use keyward::async_trait;
use keyward::audit::{AuditEvent, AuditKind, Detail, Outcome};
use keyward::hash::{DigestText, Hashing};
use keyward::key::{ActorRef, KeyId};
use keyward::second_factor::{
    FactorAttempt, FactorCode, FactorError, FactorMethod, RecoveryCodes, SecondFactor,
};
use keyward::service::{
    Actor, Field, ImportKey, IssueKey, IssuePolicy, IssueRule, IssueRules, IssuedKey, KeyService,
    LifecycleError, Rotation, UpdateKey,
};
use keyward::store::{KeyStore as _, ListKeys, MemoryStore};
use keyward::testing::{FaultyStore, ManualClock, StoreOperation};
use keyward::time::Clock as _;

/// A service that asks the factor of `world`, and Ana, who has one.
struct Desk {
    rig: Rig,
    world: World,
    phone: Phone,
    recovery: RecoveryCodes,
}

impl Desk {
    async fn new() -> Self {
        Self::with(IssuePolicy::default()).await
    }

    async fn with(policy: IssuePolicy) -> Self {
        let clock = ManualClock::default();
        let world = World::on(TestFactors::default(), clock.clone(), |it| it);
        let (phone, recovery) = world.enrol(&reference("user:ana")).await;
        let rig = Rig::on(
            common::TestStore::new(),
            clock,
            |it| it,
            |it| it.issue_policy(policy).second_factor(world.totp.clone()),
        );
        Self {
            rig,
            world,
            phone,
            recovery,
        }
    }

    fn code(&self) -> FactorCode {
        self.phone.code(self.rig.clock.now())
    }

    /// Ana with the code of the moment.
    fn ana(&self) -> Actor {
        person().with_second_factor(self.code())
    }

    fn next_code(&self) {
        self.rig.clock.advance(PERIOD);
    }

    async fn admin_key(&self) -> IssuedKey {
        let request = admin_request().with_tenant(TenantBinding::Platform);
        self.rig.service.issue(&system(), request).await.unwrap()
    }

    async fn keys(&self) -> usize {
        let page = self.rig.store.list(&ListKeys::new()).await.unwrap();
        page.records.len()
    }

    /// Whether the code of the moment is still good.
    async fn is_unspent(&self) -> bool {
        self.world.accepts(&self.code()).await
    }
}

fn reference(text: &str) -> ActorRef {
    text.parse().unwrap()
}

fn person() -> Actor {
    Actor::user("ana").unwrap()
}

fn system() -> Actor {
    Actor::system("bootstrap").unwrap()
}

fn root() -> Grant {
    Grant::Role("root".parse().unwrap())
}

fn admin_request() -> IssueKey {
    request_with(root())
}

#[track_caller]
fn broken<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> IssueRule {
    match outcome.unwrap_err() {
        LifecycleError::Rule { rule } => rule,
        other => panic!("no rule: {other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> &'static str {
    match outcome.unwrap_err() {
        error @ LifecycleError::SecondFactor(_) => error.code(),
        other => panic!("no refusal of a code: {other:?}"),
    }
}

fn detail(event: &AuditEvent, name: &str) -> Option<String> {
    let found = event.details().find(|(known, _)| *known == name);
    found.map(|(_, value)| match value {
        Detail::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    })
}

/// The successful events of a kind, by what they say of the second factor.
async fn methods(rig: &Rig, kind: AuditKind) -> Vec<Option<String>> {
    let events = rig.events().await;
    let done = events
        .iter()
        .filter(|event| event.kind() == kind && event.outcome() == Outcome::Success);
    done.map(|event| detail(event, "second_factor")).collect()
}

fn totp() -> Option<String> {
    Some("totp".to_owned())
}

#[tokio::test]
async fn a_person_with_a_code_issues_a_key_that_manages_keys() {
    let desk = Desk::new().await;
    let issued = desk.rig.service.issue(&desk.ana(), admin_request()).await;
    assert_eq!(issued.unwrap().record().created_by, reference("user:ana"));
    let written = methods(&desk.rig, AuditKind::KeyCreated).await;
    assert_eq!(written, [totp()]);
    assert!(!desk.is_unspent().await);
}

#[tokio::test]
async fn without_a_code_it_is_refused_before_anything_is_paid() {
    let desk = Desk::new().await;
    let outcome = desk.rig.service.issue(&person(), admin_request()).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    assert_eq!((desk.keys().await, desk.rig.hasher.hashes()), (0, 0));
    let events = desk.rig.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind(), AuditKind::PermissionRefused);
    assert_eq!(events[0].reason(), Some("second_factor_required"));
    assert_eq!(events[0].actor().unwrap().as_str(), "user:ana");
    assert_eq!(detail(&events[0], "operation").unwrap(), "key_created");
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_written_down_and_costs_no_hash() {
    let desk = Desk::new().await;
    let wrong = desk.phone.wrong(desk.rig.clock.now(), 0);
    let actor = person().with_second_factor(wrong);
    let outcome = desk.rig.service.issue(&actor, admin_request()).await;
    assert_eq!(refused(outcome), "wrong_code");
    assert_eq!((desk.keys().await, desk.rig.hasher.hashes()), (0, 0));
    let events = desk.rig.events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.kind(), AuditKind::SecondFactorFailed);
    assert_eq!(event.outcome(), Outcome::Failure);
    assert_eq!(event.reason(), Some("wrong_code"));
    assert_eq!(event.actor().unwrap().as_str(), "user:ana");
    assert_eq!(detail(event, "operation").unwrap(), "key_created");
    assert_eq!(detail(event, "factor_of").unwrap(), "user:ana");
}

#[tokio::test]
async fn a_code_issues_one_key() {
    let desk = Desk::new().await;
    let ana = desk.ana();
    drop(desk.rig.service.issue(&ana, admin_request()).await.unwrap());
    let outcome = desk.rig.service.issue(&ana, admin_request()).await;
    assert_eq!(refused(outcome), "used_code");
    assert_eq!(desk.keys().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_operations_with_one_code_one_is_done() {
    let desk = Desk::new().await;
    let racers: Vec<_> = (0..20)
        .map(|_| {
            let (service, ana) = (desk.rig.service.clone(), desk.ana());
            tokio::spawn(async move { service.issue(&ana, admin_request()).await })
        })
        .collect();
    let mut issued = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => issued += 1,
            Err(error) => assert_eq!(error.code(), "used_code"),
        }
    }
    assert_eq!((issued, desk.keys().await), (1, 1));
}

#[tokio::test]
async fn somebody_else_s_code_is_a_wrong_one() {
    let desk = Desk::new().await;
    let bob = Actor::user("bob").unwrap();
    let outcome = desk
        .rig
        .service
        .issue(
            &bob.clone().with_second_factor(desk.code()),
            admin_request(),
        )
        .await;
    assert_eq!(refused(outcome), "not_enrolled");
    drop(desk.world.enrol(bob.reference()).await);
    let bob = bob.with_second_factor(desk.code());
    let outcome = desk.rig.service.issue(&bob, admin_request()).await;
    assert_eq!(refused(outcome), "wrong_code");
    assert!(desk.is_unspent().await);
}

#[tokio::test]
async fn a_recovery_code_does_as_well_and_is_written_down_as_one() {
    let desk = Desk::new().await;
    let code = codes_of(&desk.recovery).remove(0);
    let ana = person().with_second_factor(code);
    drop(desk.rig.service.issue(&ana, admin_request()).await.unwrap());
    let written = methods(&desk.rig, AuditKind::KeyCreated).await;
    assert_eq!(written, [Some("recovery_code".to_owned())]);
    let outcome = desk.rig.service.issue(&ana, admin_request()).await;
    assert_eq!(refused(outcome), "wrong_code");
}

#[tokio::test]
async fn a_code_is_not_spent_where_it_is_not_needed() {
    let desk = Desk::new().await;
    let (ana, service) = (desk.ana(), &desk.rig.service);
    let id = service.issue(&ana, request()).await.unwrap().record().id;
    let rename = UpdateKey::new().with_name("renamed".to_owned());
    service.update(&ana, &id, rename).await.unwrap();
    service.disable(&ana, &id).await.unwrap();
    service.enable(&ana, &id).await.unwrap();
    drop(service.rotate(&ana, &id, Rotation::AtOnce).await.unwrap());
    drop(service.revoke(&ana, &id, "over").await.unwrap());
    let system = system().with_second_factor(desk.code());
    drop(service.issue(&system, admin_request()).await.unwrap());
    assert!(desk.is_unspent().await);
}

#[tokio::test]
async fn a_code_is_not_spent_on_what_is_refused_anyway() {
    let desk = Desk::new().await;
    let (ana, service) = (desk.ana(), &desk.rig.service);
    let unjustified = IssueKey::new("acme".parse().unwrap(), "root", root());
    let outcome = service.issue(&ana, unjustified).await;
    assert_eq!(broken(outcome), IssueRule::Justification);
    let invalid = admin_request().with_tier("ghost");
    let outcome = service.issue(&ana, invalid).await.unwrap_err();
    assert!(matches!(outcome, LifecycleError::Invalid { .. }));

    let gone = desk.admin_key().await.record().id;
    drop(service.revoke(&system(), &gone, "over").await.unwrap());
    let wider = UpdateKey::new().with_expires_at(Field::Clear);
    let outcome = service.update(&ana, &gone, wider).await.unwrap_err();
    assert!(matches!(outcome, LifecycleError::WrongState { .. }));
    let outcome = service.rotate(&ana, &gone, Rotation::AtOnce).await;
    assert!(matches!(outcome, Err(LifecycleError::WrongState { .. })));
    let outcome = service.enable(&ana, &gone).await.unwrap_err();
    assert!(matches!(outcome, LifecycleError::WrongState { .. }));
    let unknown: KeyId = "0aZ9bY8cX7dW".parse().unwrap();
    let outcome = service.enable(&ana, &unknown).await.unwrap_err();
    assert!(matches!(outcome, LifecycleError::NotFound));
    assert!(desk.is_unspent().await);
}

#[tokio::test]
async fn an_import_needs_it_too() {
    let desk = Desk::new().await;
    let import = || {
        let digest = "$2b$04$abcdefghijklmnopqrstuuZg8Qx7Z1RZcX9yYwJc7r1y6Dn5tQ8Oe";
        let id = "0aZ9bY8cX7dW".parse().unwrap();
        ImportKey::new(id, DigestText::new(digest), admin_request())
    };
    let outcome = desk.rig.service.import(&person(), import()).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    assert_eq!(desk.keys().await, 0);
    desk.rig
        .service
        .import(&desk.ana(), import())
        .await
        .unwrap();
    let written = methods(&desk.rig, AuditKind::KeyImported).await;
    assert_eq!(written, [totp()]);
}

#[tokio::test]
async fn an_update_to_a_key_that_manages_keys_needs_it() {
    let desk = Desk::new().await;
    let service = &desk.rig.service;
    let id = service
        .issue(&person(), request())
        .await
        .unwrap()
        .record()
        .id;
    for wider in [
        UpdateKey::new().with_grant(root()),
        UpdateKey::new().with_grant(scopes(&["send_email", "manage_keys"])),
    ] {
        let wider = wider.with_justification(Field::Set("is an admin now".into()));
        let outcome = service.update(&person(), &id, wider.clone()).await;
        assert_eq!(broken(outcome), IssueRule::SecondFactor);
        let wrong = desk.phone.wrong(desk.rig.clock.now(), 0);
        let wrong = person().with_second_factor(wrong);
        let outcome = service.update(&wrong, &id, wider.clone()).await;
        assert_eq!(refused(outcome), "wrong_code");
        service.update(&desk.ana(), &id, wider).await.unwrap();
        let back = UpdateKey::new().with_grant(scopes(&["send_email"]));
        // The way back needs none: containing a key must not wait for a phone.
        service.update(&person(), &id, back).await.unwrap();
        desk.next_code();
    }
    let written = methods(&desk.rig, AuditKind::KeyUpdated).await;
    assert_eq!(written, [totp(), None, totp(), None]);
}

#[tokio::test]
async fn whatever_widens_a_key_that_manages_keys_needs_it() {
    let desk = Desk::new().await;
    let service = &desk.rig.service;
    let narrow = admin_request()
        .with_tenant(tenant("t1"))
        .with_denied(["billing:*".parse().unwrap()])
        .with_networks("10.0.0.0/8".parse().unwrap())
        .with_certificate(keyward::key::Thumbprint::new([7; 32]))
        .with_lifetime(HOUR);
    let id = service.issue(&system(), narrow).await.unwrap().record().id;
    for wider in [
        UpdateKey::new().with_tenant(TenantBinding::Platform),
        UpdateKey::new().with_denied(Vec::new()),
        UpdateKey::new().with_networks(Field::Clear),
        UpdateKey::new().with_certificate(Field::Clear),
        UpdateKey::new().with_expires_at(Field::Clear),
        UpdateKey::new().with_grant(scopes(&["manage_keys"])),
    ] {
        let outcome = service.update(&person(), &id, wider.clone()).await;
        assert_eq!(broken(outcome), IssueRule::SecondFactor, "{wider:?}");
        service.update(&desk.ana(), &id, wider).await.unwrap();
        desk.next_code();
    }
    let harmless = UpdateKey::new()
        .with_name("renamed".to_owned())
        .with_description(Field::Set("root".into()))
        .with_justification(Field::Set("still needed".into()))
        .with_tier(Field::Set("pro".into()));
    service.update(&person(), &id, harmless).await.unwrap();
}

#[tokio::test]
async fn switching_on_needs_it_and_switching_off_does_not() {
    let desk = Desk::new().await;
    let service = &desk.rig.service;
    let id = desk.admin_key().await.record().id;
    service.disable(&person(), &id).await.unwrap();
    let outcome = service.enable(&person(), &id).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    assert!(desk.rig.record(&id).await.disabled);
    service.enable(&desk.ana(), &id).await.unwrap();
    let written = methods(&desk.rig, AuditKind::KeyEnabled).await;
    assert_eq!(written, [totp()]);
    service.disable(&person(), &id).await.unwrap();
    service.enable(&system(), &id).await.unwrap();
    drop(service.revoke(&person(), &id, "over").await.unwrap());
}

#[tokio::test]
async fn a_new_secret_of_another_s_key_needs_it() {
    let desk = Desk::new().await;
    let service = &desk.rig.service;
    let (key, before) = (desk.admin_key().await, desk.rig.hasher.hashes());
    let id = key.record().id;
    let outcome = service.rotate(&person(), &id, Rotation::AtOnce).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    let wrong = desk.phone.wrong(desk.rig.clock.now(), 0);
    let wrong = person().with_second_factor(wrong);
    let outcome = service.rotate(&wrong, &id, Rotation::AtOnce).await;
    assert_eq!(refused(outcome), "wrong_code");
    assert_eq!(desk.rig.hasher.hashes(), before);
    let rotated = service.rotate(&desk.ana(), &id, Rotation::AtOnce).await;
    assert!(desk.rig.accepts(rotated.unwrap().key().expose()).await);
    let written = methods(&desk.rig, AuditKind::KeyRotated).await;
    assert_eq!(written, [totp()]);
    let other = desk.admin_key().await;
    let acting = desk.rig.acting(&other).await;
    let outcome = service.rotate(&acting, &id, Rotation::AtOnce).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
}

#[tokio::test]
async fn a_key_rotates_itself_without_one() {
    let desk = Desk::new().await;
    let key = desk.admin_key().await;
    let acting = desk.rig.acting(&key).await;
    let id = key.record().id;
    let rotated = desk
        .rig
        .service
        .rotate(&acting, &id, Rotation::AtOnce)
        .await;
    assert!(desk.rig.accepts(rotated.unwrap().key().expose()).await);
}

#[tokio::test]
async fn a_key_that_acts_proves_a_factor_of_its_own() {
    let desk = Desk::new().await;
    let service = &desk.rig.service;
    let acting = desk.rig.acting(&desk.admin_key().await).await;
    let outcome = service.issue(&acting, admin_request()).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    let (phone, _) = desk.world.enrol(acting.reference()).await;
    let with_ana_s = acting.clone().with_second_factor(desk.code());
    let outcome = service.issue(&with_ana_s, admin_request()).await;
    assert_eq!(refused(outcome), "wrong_code");
    let code = phone.code(desk.rig.clock.now());
    let acting = acting.with_second_factor(code);
    drop(service.issue(&acting, admin_request()).await.unwrap());
    // What it may not do at all, no code lets it do.
    desk.next_code();
    let beyond = request_with(scopes(&["manage_keys", "send_email"]));
    let outcome = service.issue(&acting, beyond).await.unwrap_err();
    assert!(matches!(outcome, LifecycleError::BeyondActor(_)));
}

#[tokio::test]
async fn rules_ask_for_it_for_other_roles_too() {
    let rules = IssueRules::new().require_second_factor();
    let policy = IssuePolicy::builder().role("small".parse().unwrap(), rules);
    let desk = Desk::with(policy.build().unwrap()).await;
    let small = || request_with(Grant::Role("small".parse().unwrap()));
    let outcome = desk.rig.service.issue(&person(), small()).await;
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    drop(desk.rig.service.issue(&desk.ana(), small()).await.unwrap());
}

#[tokio::test]
async fn an_outage_of_the_factor_is_no_verdict_and_hands_out_nothing() {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reported);
    let desk = Desk::new().await;
    let rig = desk.rig.another(|it| {
        it.issue_policy(IssuePolicy::default())
            .second_factor(desk.world.totp.clone())
            .report_outages(move |operation, _| heard.lock().unwrap().push(operation))
    });
    desk.world.store.fail_reading(true);
    let outcome = rig.service.issue(&desk.ana(), admin_request()).await;
    assert!(matches!(outcome, Err(LifecycleError::Unavailable(_))));
    assert_eq!(desk.keys().await, 0);
    assert_eq!(*reported.lock().unwrap(), ["second_factor"]);
    desk.world.store.fail_reading(false);
    assert!(desk.is_unspent().await);
}

#[tokio::test]
async fn a_throttled_actor_is_told_when_to_come_back() {
    let desk = Desk::new().await;
    for _ in 0..3 {
        let wrong = desk.phone.wrong(desk.rig.clock.now(), 0);
        let wrong = person().with_second_factor(wrong);
        let outcome = desk.rig.service.issue(&wrong, admin_request()).await;
        assert_eq!(refused(outcome), "wrong_code");
    }
    match desk.rig.service.issue(&desk.ana(), admin_request()).await {
        Err(LifecycleError::SecondFactor(FactorError::Throttled { retry_after })) => {
            desk.rig.clock.advance(retry_after);
        }
        other => panic!("{other:?}"),
    }
    drop(
        desk.rig
            .service
            .issue(&desk.ana(), admin_request())
            .await
            .unwrap(),
    );
}

/// Accepts everything, and remembers what it was asked.
#[derive(Clone, Debug, Default)]
struct Yes(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl SecondFactor for Yes {
    async fn verify(&self, attempt: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError> {
        let operation = attempt.operation();
        let target = operation
            .target()
            .map_or_else(String::new, |id| id.to_string());
        let asked = format!("{} {} {target}", attempt.actor(), operation.kind());
        self.0.lock().unwrap().push(asked);
        Ok(FactorMethod::new("handshake"))
    }
}

#[tokio::test]
async fn a_factor_of_the_application_s_own_hears_who_wants_what() {
    let yes = Yes::default();
    let rig = Rig::new(|it| {
        it.issue_policy(IssuePolicy::default())
            .second_factor(yes.clone())
    });
    let ana = person().with_second_factor(FactorCode::new("any"));
    let id = rig
        .service
        .issue(&ana, admin_request())
        .await
        .unwrap()
        .record()
        .id;
    let unbound = UpdateKey::new().with_tenant(TenantBinding::Platform);
    rig.service.update(&ana, &id, unbound).await.unwrap();
    rig.service.disable(&ana, &id).await.unwrap();
    rig.service.enable(&ana, &id).await.unwrap();
    drop(
        rig.service
            .rotate(&ana, &id, Rotation::AtOnce)
            .await
            .unwrap(),
    );
    assert_eq!(
        *yes.0.lock().unwrap(),
        [
            "user:ana key_created ".to_owned(),
            format!("user:ana key_updated {id}"),
            format!("user:ana key_enabled {id}"),
            format!("user:ana key_rotated {id}"),
        ]
    );
    let written = methods(&rig, AuditKind::KeyRotated).await;
    assert_eq!(written, [Some("handshake".to_owned())]);
}

#[tokio::test]
async fn a_key_that_grows_while_it_is_looked_at_is_not_handed_out_without_a_factor() {
    let desk = Desk::new().await;
    let (memory, ana) = (Arc::new(MemoryStore::new()), desk.ana());
    let store = FaultyStore::new(Arc::clone(&memory));
    let hashing = Hashing::builder().prefer(common::quick_bcrypt(4));
    let service = KeyService::builder(store.clone())
        .policy(common::policy())
        .hashing(hashing.build().unwrap())
        .second_factor(desk.world.totp.clone())
        .clock(desk.rig.clock.clone())
        .build()
        .unwrap();
    let id = service.issue(&ana, request()).await.unwrap().record().id;
    service.disable(&ana, &id).await.unwrap();

    // The first look finds a key that needs no code; the second one, which counts, another.
    let looking = store.hold_after(StoreOperation::Find);
    let enabling = tokio::spawn({
        let service = service.clone();
        async move { service.enable(&ana, &id).await }
    });
    looking.arrived(1).await;
    let mut grown = (*memory.find(&id).await.unwrap().unwrap()).clone();
    grown.grant = root();
    memory.update(&grown).await.unwrap();
    looking.open();
    let outcome = enabling.await.unwrap();
    assert_eq!(broken(outcome), IssueRule::SecondFactor);
    assert!(memory.find(&id).await.unwrap().unwrap().disabled);
    assert!(desk.is_unspent().await);
}

/// Accepts everything after an hour.
#[derive(Clone, Debug)]
struct Slow(ManualClock);

#[async_trait]
impl SecondFactor for Slow {
    async fn verify(&self, _: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError> {
        self.0.advance(HOUR);
        Ok(FactorMethod::new("handshake"))
    }
}

#[tokio::test]
async fn the_time_that_the_factor_itself_takes_does_not_count() {
    let desk = Desk::new().await;
    let id = desk.admin_key().await.record().id;
    let slow = Slow(desk.rig.clock.clone());
    let rig = desk
        .rig
        .another(|it| it.issue_policy(IssuePolicy::default()).second_factor(slow));
    let ana = person().with_second_factor(FactorCode::new("any"));
    drop(
        rig.service
            .rotate(&ana, &id, Rotation::AtOnce)
            .await
            .unwrap(),
    );
}

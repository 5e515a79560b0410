//! Enforced ages: which secret is refused, from which moment on, and what its holder is told before.
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
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::audit::{AuditKind, Outcome};
use keyward::hash::DigestText;
use keyward::key::{Environment, KeyFormat, KeyRecord};
use keyward::notice::{MemoryNoticeLog, MemoryNotifier, NoticeSubject};
use keyward::rate_limit::Quota;
use keyward::service::{
    BuildError, Face, FailureBudget, ImportKey, IssuedKey, KeyService, KeyServiceBuilder,
    LifecycleError, Notices, Rejection, RequestContext, Retirement, RetirementReason, Review,
    Rotation, RotationAge, RotationPolicy, UpdateKey,
};
use keyward::store::{ListKeys, MemoryStore};
use keyward::testing::ManualClock;
use keyward::time::{Clock as _, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The enforced age of most tests, with a warning of five days.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

fn age() -> RotationAge {
    RotationAge::refuse_at(AGE)
}

fn everywhere(age: RotationAge) -> RotationPolicy {
    RotationPolicy::builder().otherwise(age).build().unwrap()
}

/// Every key is refused at 30 days.
fn strict_rig() -> Rig {
    Rig::new(|it| it.rotation_policy(everywhere(age())))
}

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

/// Since when the key is refused for its age, which must be why it is.
async fn overdue_since(rig: &Rig, key: &str) -> Timestamp {
    match rig.rejected(key).await {
        Rejection::RotationOverdue { since } => since,
        other => panic!("refused for something else: {other:?}"),
    }
}

async fn rotate(rig: &Rig, key: &IssuedKey, rotation: Rotation) -> IssuedKey {
    let id = &key.record().id;
    rig.service.rotate(&admin(), id, rotation).await.unwrap()
}

async fn retirement(rig: &Rig, key: &IssuedKey) -> Option<Retirement> {
    let verified = rig.verify(key.key().expose()).await.unwrap();
    verified.retirement()
}

#[tokio::test]
async fn nothing_is_enforced_unless_it_is_asked_for() {
    let rig = rig();
    let key = rig.issue().await;
    rig.clock.advance(DAY * 36_500);
    assert_eq!(retirement(&rig, &key).await, None);
    assert_eq!(rig.service.rotation_deadline(key.record()), None);
}

#[tokio::test]
async fn a_secret_is_refused_at_its_age_to_the_microsecond() {
    let rig = strict_rig();
    let key = rig.issue().await;
    let deadline = key.record().created_at.saturating_add(AGE);
    assert_eq!(rig.service.rotation_deadline(key.record()), Some(deadline));
    rig.clock.advance(AGE - MICRO);
    assert!(rig.accepts(key.key().expose()).await);
    rig.clock.advance(MICRO);
    assert_eq!(overdue_since(&rig, key.key().expose()).await, deadline);
    rig.clock.advance(DAY * 1000);
    assert_eq!(overdue_since(&rig, key.key().expose()).await, deadline);
}

#[tokio::test]
async fn a_fresh_process_refuses_it_too() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    let fresh = rig.another(|it| it.rotation_policy(everywhere(age())));
    overdue_since(&fresh, key.key().expose()).await;
    assert_eq!(fresh.hasher.verifications(), 1);
}

#[tokio::test]
async fn a_rotation_is_the_remedy() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    let new = rotate(&rig, &key, Rotation::AtOnce).await;
    assert!(rig.accepts(new.key().expose()).await);
    rig.clock.advance(AGE - MICRO);
    assert!(rig.accepts(new.key().expose()).await);
    rig.clock.advance(MICRO);
    overdue_since(&rig, new.key().expose()).await;
}

#[tokio::test]
async fn the_refusal_says_what_to_do_and_only_to_its_holder() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    let refused = rig.rejected(key.key().expose()).await;
    let since = key.record().created_at.saturating_add(AGE);
    assert_eq!(refused.face(), Face::RotationOverdue(since));
    assert_eq!(refused.code(), "rotation_overdue");
    assert_eq!(
        refused.to_string(),
        "the key's secret is too old and must be rotated"
    );
    for same_hint in [false, true] {
        let wrong = wrong_secret(key.key().expose(), same_hint);
        assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
    }
}

#[tokio::test]
async fn whatever_else_is_wrong_is_said_first() {
    let rig = strict_rig();
    let bound = rig
        .issue_as(request().with_networks("10.0.0.0/8".parse().unwrap()))
        .await;
    let (disabled, revoked) = (rig.issue().await, rig.issue().await);
    let certificate = keyward::key::Thumbprint::of_certificate(b"theirs");
    let certified = rig.issue_as(request().with_certificate(certificate)).await;
    let ending = rig.issue_as(request().with_lifetime(AGE)).await;
    let id = disabled.record().id;
    rig.service.disable(&admin(), &id).await.unwrap();
    rig.revoke(&revoked).await;
    rig.clock.advance(AGE);
    let away = rig.verify_from(bound.key().expose(), "192.0.2.1").await;
    assert_eq!(rejection(away), Rejection::NetworkRefused);
    for (key, why) in [
        (&disabled, Rejection::Disabled),
        (&revoked, Rejection::Revoked),
        (&certified, Rejection::CertificateMissing),
        (&ending, Rejection::Expired),
    ] {
        assert_eq!(rig.rejected(key.key().expose()).await, why);
    }
}

#[tokio::test]
async fn a_client_that_keeps_trying_costs_no_slow_hash_and_does_not_block_its_address() {
    let budget = FailureBudget::new(
        Quota::per_minute(1).unwrap().named("ip").unwrap(),
        Quota::per_minute(1).unwrap().named("key").unwrap(),
    );
    let rig = Rig::new(|it| it.rotation_policy(everywhere(age())).failure_budget(budget));
    let (old, client) = (rig.issue().await, "192.0.2.1");
    rig.clock.advance(AGE);
    for _ in 0..20 {
        let refused = rejection(rig.verify_from(old.key().expose(), client).await);
        assert_eq!(refused.code(), "rotation_overdue");
    }
    assert_eq!(rig.hasher.verifications(), 1);
    let new = rig.issue().await;
    assert!(rig.verify_from(new.key().expose(), client).await.is_ok());
}

#[tokio::test]
async fn from_a_blocked_address_it_is_said_to_proven_secrets_only() {
    let budget = FailureBudget::new(
        Quota::per_minute(1).unwrap().named("ip").unwrap(),
        Quota::per_minute(1).unwrap().named("key").unwrap(),
    );
    let rig = Rig::new(|it| it.rotation_policy(everywhere(age())).failure_budget(budget));
    let (proven, unproven) = (rig.issue().await, rig.issue().await);
    assert!(rig.accepts(proven.key().expose()).await);
    rig.clock.advance(AGE);
    let wrong = wrong_secret(unproven.key().expose(), false);
    let client = "192.0.2.1";
    for _ in 0..3 {
        let _ = rig.verify_from(&wrong, client).await;
    }
    let of = |key: &IssuedKey| key.key().expose().to_owned();
    let known = rejection(rig.verify_from(&of(&proven), client).await);
    assert_eq!(known.code(), "rotation_overdue");
    let unknown = rejection(rig.verify_from(&of(&unproven), client).await);
    assert_eq!(unknown.code(), "throttled");
}

#[tokio::test]
async fn strict_mode_enforces_it_as_well() {
    let rig = Rig::new(|it| it.strict().rotation_policy(everywhere(age())));
    let key = rig.issue().await;
    rig.clock.advance(AGE - MICRO);
    assert!(rig.accepts(key.key().expose()).await);
    rig.clock.advance(MICRO);
    overdue_since(&rig, key.key().expose()).await;
}

/// The moment that counts is that of the verdict, not that of the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_becomes_too_old_during_its_slow_hash_is_refused() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE - MICRO);
    rig.hasher.gate().close();
    let (service, text) = (rig.service.clone(), key.key().expose().to_owned());
    let verifying = tokio::spawn(async move {
        service
            .verify(text.as_bytes(), &RequestContext::new())
            .await
    });
    wait_for_hashes(&rig, 2).await;
    rig.clock.advance(MICRO);
    rig.hasher.gate().open();
    let refused = rejection(verifying.await.unwrap());
    assert_eq!(refused.code(), "rotation_overdue");
}

#[tokio::test]
async fn a_clock_that_is_behind_refuses_nothing_and_an_age_without_end_neither() {
    let rig = strict_rig();
    let key = rig.issue().await;
    let behind = Rig::on(
        rig.store.clone(),
        ManualClock::new(Timestamp::MIN),
        |it| it,
        |it| it.rotation_policy(everywhere(age())),
    );
    assert!(behind.accepts(key.key().expose()).await);
    let endless = everywhere(RotationAge::refuse_at(Duration::MAX));
    let endless = rig.another(|it| it.rotation_policy(endless));
    rig.clock.advance(DAY * 365_000);
    assert!(endless.accepts(key.key().expose()).await);
}

#[tokio::test]
async fn each_role_has_its_own_age_and_the_rest_the_other() {
    let policy = RotationPolicy::builder()
        .role("small".parse().unwrap(), RotationAge::refuse_at(DAY * 20))
        .without_role(RotationAge::refuse_at(DAY * 40))
        .otherwise(RotationAge::refuse_at(DAY * 60));
    let rig = Rig::new(|it| it.rotation_policy(policy.build().unwrap()));
    let narrowed = Grant::RoleWithScopes {
        role: "small".parse().unwrap(),
        scopes: vec!["leads:read".parse().unwrap()],
    };
    for (grant, days) in [
        (role("small"), 20),
        (narrowed, 20),
        (scopes(&["send_email"]), 40),
        (role("keys"), 60),
    ] {
        let key = rig.issue_as(request_with(grant)).await;
        rig.clock.advance(DAY * days - MICRO);
        assert!(rig.accepts(key.key().expose()).await);
        rig.clock.advance(MICRO);
        overdue_since(&rig, key.key().expose()).await;
    }
}

#[tokio::test]
async fn keys_that_are_not_named_may_become_as_old_as_they_like() {
    let policy = RotationPolicy::builder().role("small".parse().unwrap(), age());
    let rig = Rig::new(|it| it.rotation_policy(policy.build().unwrap()));
    let others = [
        rig.issue().await,
        rig.issue_as(request_with(role("keys"))).await,
    ];
    rig.clock.advance(DAY * 3650);
    for key in &others {
        assert_eq!(retirement(&rig, key).await, None);
    }
}

#[tokio::test]
async fn keys_that_manage_keys_have_the_shorter_of_two_ages() {
    let policy = RotationPolicy::builder()
        .role("root".parse().unwrap(), RotationAge::refuse_at(DAY * 5))
        .administrative(RotationAge::refuse_at(DAY * 10))
        .otherwise(age());
    let rig = Rig::new(|it| it.rotation_policy(policy.build().unwrap()));
    for (grant, days) in [
        (role("root"), 5),
        (role("keys"), 10),
        (scopes(&["manage_keys"]), 10),
        (role("small"), 30),
        (scopes(&["send_email"]), 30),
    ] {
        let key = rig.issue_as(request_with(grant)).await;
        let deadline = rig.service.rotation_deadline(key.record()).unwrap();
        assert_eq!(deadline, rig.clock.now().saturating_add(DAY * days));
    }
}

/// However long an overlap the other age has.
#[tokio::test]
async fn an_outgoing_secret_that_manages_keys_ends_as_both_ages_want() {
    for days in [5, 10] {
        let year = RotationAge::refuse_at(DAY * days).overlap(DAY * 365);
        let policy = RotationPolicy::builder()
            .role("root".parse().unwrap(), year)
            .administrative(RotationAge::refuse_at(DAY * 10));
        let rig = Rig::new(|it| it.rotation_policy(policy.build().unwrap()));
        let old = rig.issue_as(request_with(role("root"))).await;
        rig.clock.advance(DAY * days - MICRO);
        let _new = rotate(&rig, &old, Rotation::Grace(DAY * 365)).await;
        rig.clock.advance(DAY * (11 - days));
        assert!(rig.accepts(old.key().expose()).await, "{days}");
        rig.clock.advance(MICRO);
        overdue_since(&rig, old.key().expose()).await;
    }
}

#[tokio::test]
async fn a_changed_policy_holds_for_every_key_at_once() {
    let rig = rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    assert!(rig.accepts(key.key().expose()).await);
    let enforcing = rig.another(|it| it.rotation_policy(everywhere(age())));
    overdue_since(&enforcing, key.key().expose()).await;
    let longer = everywhere(RotationAge::refuse_at(AGE + MICRO));
    let relaxed = rig.another(|it| it.rotation_policy(longer));
    assert!(relaxed.accepts(key.key().expose()).await);
}

#[tokio::test]
async fn a_changed_role_of_the_key_counts_with_the_next_request() {
    let policy = RotationPolicy::builder().role("small".parse().unwrap(), age());
    let rig = Rig::new(|it| it.rotation_policy(policy.build().unwrap()));
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    assert!(rig.accepts(key.key().expose()).await);
    let update = UpdateKey::new().with_grant(role("small"));
    let id = key.record().id;
    rig.service.update(&admin(), &id, update).await.unwrap();
    overdue_since(&rig, key.key().expose()).await;
}

/// Nobody escapes through a role that was taken out of the access policy.
#[tokio::test]
async fn a_role_that_is_known_no_more_has_the_age_of_the_rest() {
    let rig = rig();
    let key = rig.issue_as(request_with(role("small"))).await;
    let roles = AccessPolicy::builder().roles([Role::new("other", ["x"]).unwrap()]);
    let roles = roles.build().unwrap();
    let later = rig.another(|it| it.policy(roles).rotation_policy(everywhere(age())));
    rig.clock.advance(AGE);
    overdue_since(&later, key.key().expose()).await;
}

#[tokio::test]
async fn an_age_for_an_unknown_role_builds_no_service() {
    let ages = RotationPolicy::builder().role("ghost".parse().unwrap(), age());
    let builder = KeyService::builder(MemoryStore::new()).rotation_policy(ages.build().unwrap());
    let refused = builder.policy(policy()).build();
    assert!(matches!(
        refused,
        Err(BuildError::RotationRole { role }) if role.as_str() == "ghost"
    ));
}

/// Its secret is older than that, and nobody knows by how much.
#[tokio::test]
async fn an_imported_secret_counts_from_its_import_and_an_upgrade_does_not_renew_it() {
    let rig = Rig::on(
        TestStore::new(),
        ManualClock::default(),
        |it| it.peppers(pepper(1)),
        |it| it.rotation_policy(everywhere(age())),
    );
    let secret = "S".repeat(43);
    let key = known_key("a1B2c3D4e5F6", &secret);
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let request = ImportKey::new("a1B2c3D4e5F6".parse().unwrap(), digest, request());
    let record = rig.service.import(&admin(), request).await.unwrap();
    rig.clock.advance(AGE - MICRO);
    assert!(rig.accepts(&key).await);
    upgraded(&rig, &record).await;
    rig.clock.advance(MICRO);
    let since = overdue_since(&rig, &key).await;
    assert_eq!(since, record.created_at.saturating_add(AGE));
}

/// Waits until the digest was replaced in the background.
async fn upgraded(rig: &Rig, before: &KeyRecord) {
    while rig.record(&before.id).await.current.digest == before.current.digest {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn planned_with_a_grace_both_secrets_pass_beyond_the_deadline() {
    let rig = strict_rig();
    let old = rig.issue().await;
    rig.clock.advance(AGE - MICRO);
    let new = rotate(&rig, &old, Rotation::Grace(Rotation::USUAL_GRACE)).await;
    rig.clock.advance(Rotation::USUAL_GRACE - MICRO);
    assert!(rig.accepts(old.key().expose()).await);
    assert!(rig.accepts(new.key().expose()).await);
    rig.clock.advance(MICRO);
    assert_eq!(
        rig.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(rig.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn a_long_grace_does_not_carry_an_old_secret_more_than_a_day_past_its_age() {
    let rig = strict_rig();
    let old = rig.issue().await;
    rig.clock.advance(AGE - DAY * 10);
    let new = rotate(&rig, &old, Rotation::Grace(DAY * 365)).await;
    rig.clock.advance(DAY * 11 - MICRO);
    assert!(rig.accepts(old.key().expose()).await);
    rig.clock.advance(MICRO);
    let since = overdue_since(&rig, old.key().expose()).await;
    assert_eq!(since, rig.clock.now());
    assert!(rig.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn the_overlap_is_a_setting() {
    let week = everywhere(age().overlap(DAY * 7));
    let rig = Rig::new(|it| it.rotation_policy(week));
    let old = rig.issue().await;
    rig.clock.advance(AGE - MICRO);
    let _new = rotate(&rig, &old, Rotation::UntilFirstUse(DAY * 30)).await;
    rig.clock.advance(DAY * 7);
    assert!(rig.accepts(old.key().expose()).await);
    rig.clock.advance(MICRO);
    overdue_since(&rig, old.key().expose()).await;
}

#[tokio::test]
async fn rotating_an_overdue_key_does_not_bring_its_old_secret_back() {
    for rotation in [Rotation::Grace(DAY), Rotation::UntilFirstUse(DAY)] {
        let rig = strict_rig();
        let old = rig.issue().await;
        rig.clock.advance(AGE);
        let new = rotate(&rig, &old, rotation).await;
        let since = overdue_since(&rig, old.key().expose()).await;
        assert_eq!(since, old.record().created_at.saturating_add(AGE));
        assert!(rig.accepts(new.key().expose()).await);
    }
}

#[tokio::test]
async fn a_refused_first_use_ends_no_predecessor() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(DAY * 300)).await;
    rig.clock.advance(AGE);
    let enforcing = rig.another(|it| it.rotation_policy(everywhere(age())));
    overdue_since(&enforcing, new.key().expose()).await;
    // Without the policy it is as it was.
    assert!(rig.accepts(old.key().expose()).await);
}

#[tokio::test]
async fn an_overdue_key_manages_nothing_and_does_not_rotate_itself() {
    let rig = strict_rig();
    let boss = rig.issue_as(request_with(role("keys"))).await;
    let other = rig.issue().await;
    rig.clock.advance(AGE - MICRO);
    let actor = rig.acting(&boss).await;
    let own = boss.record().id;
    rig.clock.advance(MICRO);
    let itself = rig.service.rotate(&actor, &own, Rotation::AtOnce).await;
    assert!(matches!(itself.unwrap_err(), LifecycleError::ActorEnded));
    let revoked = rig.service.revoke(&actor, &other.record().id, "x").await;
    assert!(matches!(revoked.unwrap_err(), LifecycleError::ActorEnded));
    let listed = rig.service.list(&actor, ListKeys::new()).await;
    assert!(matches!(listed.unwrap_err(), LifecycleError::ActorEnded));
    let kinds = rig.events_of(AuditKind::PermissionRefused).await;
    let ended = (Outcome::Failure, Some("actor_ended".to_owned()));
    assert_eq!(kinds, [ended.clone(), ended]);
    let new = rotate(&rig, &boss, Rotation::AtOnce).await;
    let actor = rig.acting(&new).await;
    assert!(rig.service.list(&actor, ListKeys::new()).await.is_ok());
}

#[tokio::test]
async fn a_key_rotates_itself_in_time() {
    let rig = strict_rig();
    let boss = rig.issue_as(request_with(role("keys"))).await;
    rig.clock.advance(AGE - MICRO);
    let actor = rig.acting(&boss).await;
    let id = boss.record().id;
    let new = rig.service.rotate(&actor, &id, Rotation::Grace(DAY)).await;
    let new = new.unwrap();
    rig.clock.advance(HOUR);
    assert!(rig.accepts(boss.key().expose()).await);
    assert!(rig.accepts(new.key().expose()).await);
}

#[tokio::test]
async fn the_trail_names_the_reason_and_the_key() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(AGE);
    overdue_since(&rig, key.key().expose()).await;
    let events = rig.events().await;
    let last = events.last().unwrap();
    assert_eq!(last.kind(), AuditKind::AuthenticationFailed);
    assert_eq!(last.reason(), Some("rotation_overdue"));
    assert_eq!(last.key_id(), Some(key.record().id.as_str()));
    assert_eq!(last.owner(), Some("acme"));
    assert!(rig.events_of(AuditKind::KeyExpired).await.is_empty());
}

#[tokio::test]
async fn a_holder_is_warned_from_the_very_moment_of_the_warning_on() {
    let rig = strict_rig();
    let key = rig.issue().await;
    rig.clock.advance(DAY * 25 - MICRO);
    assert_eq!(retirement(&rig, &key).await, None);
    rig.clock.advance(MICRO);
    let since = rig.clock.now();
    let ends_at = key.record().created_at.saturating_add(AGE);
    for _ in 0..2 {
        let told = retirement(&rig, &key).await.unwrap();
        assert_eq!((told.since, told.ends_at), (since, ends_at));
        assert_eq!(told.reason, RetirementReason::Age);
        rig.clock.advance(DAY * 5 - MICRO);
    }
}

#[tokio::test]
async fn the_holder_of_an_outgoing_secret_is_told_of_its_end_with_or_without_a_policy() {
    for rig in [rig(), strict_rig()] {
        let old = rig.issue().await;
        rig.clock.advance(DAY * 3);
        let new = rotate(&rig, &old, Rotation::Grace(DAY)).await;
        let since = rig.clock.now();
        rig.clock.advance(HOUR);
        let told = retirement(&rig, &old).await.unwrap();
        assert_eq!(told.since, since);
        assert_eq!(told.ends_at, since.saturating_add(DAY));
        assert_eq!(told.reason, RetirementReason::Superseded);
        assert_eq!(retirement(&rig, &new).await, None);
    }
}

#[tokio::test]
async fn the_earliest_end_is_told() {
    let rig = strict_rig();
    let key = rig.issue_as(request().with_lifetime(DAY * 28)).await;
    rig.clock.advance(DAY * 26);
    let told = retirement(&rig, &key).await.unwrap();
    assert_eq!(Some(told.ends_at), key.record().expires_at);
    let old = rig.issue().await;
    rig.clock.advance(AGE - HOUR);
    let _new = rotate(&rig, &old, Rotation::Grace(DAY * 100)).await;
    let told = retirement(&rig, &old).await.unwrap();
    let cut = old.record().created_at.saturating_add(AGE + DAY);
    assert_eq!(told.ends_at, cut);
}

#[tokio::test]
async fn a_successor_made_by_a_clock_ahead_is_told_of_as_of_now() {
    let rig = rig();
    let old = rig.issue().await;
    let ahead = ManualClock::new(rig.clock.now().saturating_add(HOUR));
    let ahead = Rig::on(rig.store.clone(), ahead, |it| it, |it| it);
    let _new = rotate(&ahead, &old, Rotation::Grace(DAY)).await;
    let told = retirement(&rig, &old).await.unwrap();
    assert_eq!(told.since, rig.clock.now());
}

#[tokio::test]
async fn an_actor_that_ends_for_its_age_sees_no_review_even_without_findings() {
    let rig = strict_rig();
    let boss = rig.issue_as(request_with(role("keys"))).await;
    let actor = rig.acting(&boss).await;
    rig.revoke(&boss).await;
    let nothing_enforced = rig.another(|it| it);
    for service in [&rig.service, &nothing_enforced.service] {
        let page = service
            .review(&actor, &Review::RotationOverdue, ListKeys::new())
            .await;
        assert!(matches!(page.unwrap_err(), LifecycleError::ActorEnded));
    }
}

/// What is told of enforced ages, with what else is told.
struct Owners {
    rig: Rig,
    mail: MemoryNotifier,
    notices: Notices,
}

impl Owners {
    fn of(rig: Rig) -> Self {
        let mail = MemoryNotifier::new();
        let notices = Notices::builder(mail.clone(), MemoryNoticeLog::new())
            .without_unused()
            .build()
            .unwrap();
        Self { rig, mail, notices }
    }

    /// What was sent in this run, by name, with the days that were left for those about ends.
    async fn run(&self) -> Vec<(&'static str, u64)> {
        let before = self.mail.notices().len();
        let sent = self.rig.service.send_notices(&self.notices).await.unwrap();
        let sent_now = self.mail.notices().split_off(before);
        assert_eq!(sent.sent, sent_now.len());
        let told = sent_now.iter().map(|notice| match notice.subject {
            NoticeSubject::RotationEnforced { within, .. }
            | NoticeSubject::Expiring { within, .. } => {
                (notice.subject.code(), within.as_secs() / DAY.as_secs())
            }
            _ => (notice.subject.code(), 0),
        });
        told.collect()
    }
}

/// 90 days enforced, 50 recommended.
fn usual(it: KeyServiceBuilder) -> KeyServiceBuilder {
    it.rotation_policy(everywhere(RotationAge::refuse_at(DAY * 90)))
        .rotation_age(DAY * 50)
}

#[tokio::test]
async fn owners_are_told_at_each_threshold_before_the_deadline_and_once() {
    let owners = Owners::of(Rig::new(usual));
    let _key = owners.rig.issue().await;
    let mut told = Vec::new();
    for day in 1..=100 {
        owners.rig.clock.advance(DAY);
        for (what, left) in owners.run().await {
            told.push((day, what, left));
        }
    }
    assert_eq!(
        told,
        [
            (50, "rotation_due", 0),
            (60, "rotation_enforced", 30),
            (83, "rotation_enforced", 7),
            (89, "rotation_enforced", 1),
        ]
    );
}

#[tokio::test]
async fn thresholds_before_a_deadline_are_passed_at_their_very_moment() {
    let owners = Owners::of(Rig::new(usual));
    let _key = owners.rig.issue().await;
    owners.rig.clock.advance(DAY * 60 - MICRO);
    assert_eq!(owners.run().await, [("rotation_due", 0)]);
    owners.rig.clock.advance(MICRO);
    assert_eq!(owners.run().await, [("rotation_enforced", 30)]);
}

/// Whoever gets a secret for twenty days is not told a minute later that it is refused within thirty.
#[tokio::test]
async fn a_threshold_that_a_secret_had_passed_when_it_was_made_is_none() {
    let ages = everywhere(RotationAge::refuse_at(DAY * 20));
    let owners = Owners::of(Rig::new(|it| it.rotation_policy(ages)));
    let key = owners.rig.issue().await;
    assert!(owners.run().await.is_empty());
    owners.rig.clock.advance(DAY * 13);
    assert_eq!(owners.run().await, [("rotation_enforced", 7)]);
    owners.rig.clock.advance(DAY * 30);
    let _new = rotate(&owners.rig, &key, Rotation::AtOnce).await;
    assert!(owners.run().await.is_empty());
}

#[tokio::test]
async fn when_a_policy_comes_in_an_owner_gets_one_notice_a_secret() {
    let rig = rig();
    let key = rig.issue().await;
    rig.clock.advance(DAY * 400);
    let owners = Owners::of(rig.another(usual));
    assert_eq!(owners.run().await, [("rotation_enforced", 1)]);
    assert!(owners.run().await.is_empty());
    let _new = rotate(&owners.rig, &key, Rotation::AtOnce).await;
    owners.rig.clock.advance(DAY * 60);
    assert_eq!(owners.run().await, [("rotation_enforced", 30)]);
}

#[tokio::test]
async fn a_key_that_ends_before_its_deadline_is_told_of_its_end_only() {
    let owners = Owners::of(Rig::new(usual));
    let ending = |days: u32| request().with_lifetime(DAY * days);
    let _early = owners.rig.issue_as(ending(90)).await;
    owners.rig.clock.advance(DAY * 83);
    assert_eq!(owners.run().await, [("expiring", 7), ("rotation_due", 0)]);
}

#[tokio::test]
async fn an_end_that_is_told_of_nobody_is_none_for_ages_either() {
    let rig = Rig::new(usual);
    let mail = MemoryNotifier::new();
    let silent = Notices::builder(mail.clone(), MemoryNoticeLog::new())
        .expiring_within([])
        .without_rotation()
        .without_unused();
    let _key = rig.issue().await;
    rig.clock.advance(DAY * 89);
    let report = rig.service.send_notices(&silent.build().unwrap()).await;
    assert_eq!(report.unwrap().sent, 0);
    // And nothing was read for it.
    assert_eq!(rig.store.count(Call::List), 0);
}

#[tokio::test]
async fn the_notice_says_from_when_on_the_secret_is_refused() {
    let owners = Owners::of(Rig::new(usual));
    let key = owners.rig.issue().await;
    owners.rig.clock.advance(DAY * 60);
    let _ = owners.run().await;
    let notice = owners.mail.notices().pop().unwrap();
    let deadline = owners.rig.service.rotation_deadline(key.record()).unwrap();
    assert!(matches!(
        notice.subject,
        NoticeSubject::RotationEnforced { refused_from, .. } if refused_from == deadline
    ));
    assert_eq!(
        notice.subject.to_string(),
        format!("has a secret that is refused from {deadline} on: rotate it")
    );
    assert!(notice.id.topic().len() <= 128);
}

/// Two environments may share a table. What one of them enforces is none of the other's business.
#[tokio::test]
async fn keys_of_another_environment_are_not_judged_by_this_ones_ages() {
    let owners = Owners::of(strict_rig());
    let rig = &owners.rig;
    let test = KeyFormat::builder().environment(Environment::test());
    let test = test.build().unwrap();
    let other = rig.another(|it| it.format(test));
    let tried = other.issue().await;
    rig.clock.advance(AGE);
    assert_eq!(rig.service.rotation_deadline(tried.record()), None);
    let review = Review::RotationOverdue;
    let page = rig.service.review(&admin(), &review, ListKeys::new()).await;
    assert!(page.unwrap().records.is_empty());
    assert_eq!(owners.run().await, []);
    assert!(other.accepts(tried.key().expose()).await);
    let own = rig.issue().await;
    rig.clock.advance(AGE);
    assert_eq!(owners.run().await, [("rotation_enforced", 1)]);
    overdue_since(rig, own.key().expose()).await;
}

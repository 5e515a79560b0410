//! The life of a key: issued, used, changed, switched off and on, revoked, listed, removed.
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
use keyward::access::Grant;
use keyward::audit::{AuditKind, Detail, Outcome};
use keyward::hash::DigestText;
use keyward::key::{KeyStatus, Metadata, TierOverride};
use keyward::service::{Field, ImportKey, IssueKey, LifecycleError, Rejection, Review, UpdateKey};
use keyward::store::ListKeys;
use keyward::time::{Clock as _, Timestamp};

fn invalid<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>, name: &str) {
    match outcome.unwrap_err() {
        LifecycleError::Invalid { field, .. } => assert_eq!(field, name),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_issued_key_is_accepted_and_its_record_says_what_was_asked() {
    let rig = rig();
    let asked = request()
        .with_tier("pro")
        .with_description("nightly")
        .with_justification("ticket 7")
        .with_lifetime(HOUR)
        .with_tenant(tenant("t1"));
    let issued = rig.issue_as(asked).await;
    let key = rig.verify(issued.key().expose()).await.unwrap();
    let record = key.record();
    assert_eq!(record.name, "mailer");
    assert_eq!(record.tier.as_deref(), Some("pro"));
    assert_eq!(record.description.as_deref(), Some("nightly"));
    assert_eq!(record.justification.as_deref(), Some("ticket 7"));
    assert_eq!(record.tenant, tenant("t1"));
    assert_eq!(record.created_by.as_str(), "user:ana");
    assert_eq!(
        record.expires_at,
        Some(rig.clock.now().saturating_add(HOUR))
    );
    let tail = &issued.key().expose()[59..63];
    assert_eq!(issued.hint(), format!("pm_live_…{tail}"));
    assert_eq!(rig.service.hint(record).as_deref(), Some(issued.hint()));
}

#[tokio::test]
async fn two_keys_issued_at_once_are_both_listed() {
    let rig = rig();
    let (one, two) = tokio::join!(rig.issue(), rig.issue());
    let page = rig.service.list(&admin(), ListKeys::new()).await.unwrap();
    let mut ids: Vec<_> = page.records.iter().map(|record| record.id).collect();
    ids.sort_unstable();
    let mut issued = [one.record().id, two.record().id];
    issued.sort_unstable();
    assert_eq!(ids, issued);
}

#[tokio::test]
async fn refuses_to_issue_what_breaks_a_bound() {
    let rig = rig();
    let issue = |request: IssueKey| {
        let service = rig.service.clone();
        async move { service.issue(&admin(), request).await }
    };
    let named = |name: &str| IssueKey::new("acme".parse().unwrap(), name, scopes(&["a"]));
    invalid(issue(named("")).await, "name");
    invalid(issue(named("  ")).await, "name");
    invalid(issue(named(&"n".repeat(256))).await, "name");
    assert!(issue(named(&"n".repeat(255))).await.is_ok());
    invalid(issue(named("a\u{0}b")).await, "name");
    let long = |len: usize| request().with_description("d".repeat(len));
    invalid(issue(long(1025)).await, "description");
    assert!(issue(long(1024)).await.is_ok());
    let why = |len: usize| request().with_justification("j".repeat(len));
    invalid(issue(why(1025)).await, "justification");
    invalid(issue(request().with_tier("gold")).await, "tier");
    let role = Grant::Role("nobody".parse().unwrap());
    invalid(issue(request_with(role)).await, "role");
    let now = rig.clock.now();
    invalid(issue(request().with_expiry(now)).await, "expiry");
    invalid(
        issue(request().with_lifetime(Duration::ZERO)).await,
        "expiry",
    );
    let soon = now.saturating_add(MICRO);
    assert!(issue(request().with_expiry(soon)).await.is_ok());
    assert_eq!(rig.store.count(Call::Insert), 3);
}

#[tokio::test]
async fn holds_an_owner_to_the_limit_of_active_keys() {
    let rig = rig();
    let limited = || request().with_owner_limit(2);
    let first = rig.issue_as(limited()).await;
    let _ = rig.issue_as(limited()).await;
    let third = rig.service.issue(&admin(), limited()).await;
    assert!(matches!(
        third.unwrap_err(),
        LifecycleError::OwnerLimit { limit: 2 }
    ));
    let created = rig.events_of(AuditKind::KeyCreated).await;
    assert_eq!(
        created[2..],
        [
            (Outcome::Success, None),
            (Outcome::Failure, Some("owner_limit".to_owned()))
        ]
    );
    rig.revoke(&first).await;
    let _ = rig.issue_as(limited()).await;
}

#[tokio::test]
async fn a_key_is_valid_strictly_before_its_deadline() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    let key = issued.key().expose();
    rig.clock.advance(HOUR - MICRO);
    assert!(rig.accepts(key).await);
    rig.clock.advance(MICRO);
    assert_eq!(rig.rejected(key).await, Rejection::Expired);
}

#[tokio::test]
async fn the_first_refusal_for_age_is_an_event_of_its_own() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.clock.advance(HOUR);
    for _ in 0..3 {
        rig.rejected(issued.key().expose()).await;
    }
    assert_eq!(rig.events_of(AuditKind::KeyExpired).await.len(), 1);
    let failed = rig.events_of(AuditKind::AuthenticationFailed).await;
    assert_eq!(failed.len(), 3);
}

#[tokio::test]
async fn revoked_beats_disabled_beats_expired() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    rig.service.disable(&admin(), &id).await.unwrap();
    rig.clock.advance(HOUR);
    assert_eq!(rig.rejected(key).await, Rejection::Disabled);
    let _ = rig.service.revoke(&admin(), &id, "gone").await.unwrap();
    assert_eq!(rig.rejected(key).await, Rejection::Revoked);
}

#[tokio::test]
async fn a_revocation_needs_a_reason_and_keeps_the_first_one() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    invalid(rig.service.revoke(&admin(), &id, " ").await, "reason");
    let long = "r".repeat(1025);
    invalid(rig.service.revoke(&admin(), &id, &long).await, "reason");
    assert!(rig.accepts(issued.key().expose()).await);

    let first = rig.service.revoke(&admin(), &id, "leaked").await.unwrap();
    rig.clock.advance(HOUR);
    let second = rig.service.revoke(&admin(), &id, "again").await.unwrap();
    assert_eq!(first.record.revocation, second.record.revocation);
    assert_eq!(second.record.revocation.as_ref().unwrap().reason, "leaked");
    assert_eq!(rig.events_of(AuditKind::KeyRevoked).await.len(), 1);
}

#[tokio::test]
async fn of_racing_revocations_one_stands_and_the_trail_says_so() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let revoke = |reason: &'static str| {
        let service = rig.service.clone();
        tokio::spawn(async move { service.revoke(&admin(), &id, reason).await.unwrap() })
    };
    let tasks: Vec<_> = ["a", "b", "c", "d"].into_iter().map(revoke).collect();
    for task in tasks {
        assert!(task.await.unwrap().record.revocation.is_some());
    }
    let events = rig.events_of(AuditKind::KeyRevoked).await;
    let balance = |outcome| events.iter().filter(|(it, _)| *it == outcome).count();
    assert_eq!(balance(Outcome::Success) - balance(Outcome::Failure), 1);
}

#[tokio::test]
async fn disabling_and_enabling_are_idempotent_and_reversible() {
    let rig = rig();
    let issued = rig.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    for _ in 0..2 {
        assert!(rig.service.disable(&admin(), &id).await.unwrap().disabled);
    }
    assert_eq!(rig.rejected(key).await, Rejection::Disabled);
    for _ in 0..2 {
        assert!(!rig.service.enable(&admin(), &id).await.unwrap().disabled);
    }
    assert!(rig.accepts(key).await);
    assert_eq!(rig.events_of(AuditKind::KeyDisabled).await.len(), 1);
    assert_eq!(rig.events_of(AuditKind::KeyEnabled).await.len(), 1);
}

#[tokio::test]
async fn a_revoked_key_cannot_be_switched_changed_or_rotated() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let _ = rig.service.revoke(&admin(), &id, "gone").await.unwrap();
    let revoked = |error: LifecycleError| {
        matches!(
            error,
            LifecycleError::WrongState {
                state: KeyStatus::Revoked
            }
        )
    };
    let (actor, service) = (admin(), &rig.service);
    assert!(revoked(service.enable(&actor, &id).await.unwrap_err()));
    assert!(revoked(service.disable(&actor, &id).await.unwrap_err()));
    let update = UpdateKey::new().with_name("other".into());
    assert!(revoked(
        service.update(&actor, &id, update).await.unwrap_err()
    ));
    let rotation = keyward::service::Rotation::AtOnce;
    assert!(revoked(
        service.rotate(&actor, &id, rotation).await.unwrap_err()
    ));
}

#[tokio::test]
async fn an_expired_key_is_not_revived_by_an_update() {
    let rig = rig();
    let id = rig
        .issue_as(request().with_lifetime(HOUR))
        .await
        .record()
        .id;
    let later = rig.clock.now().saturating_add(HOUR * 9);
    let extend = || UpdateKey::new().with_expires_at(Field::Set(later));
    rig.clock.advance(HOUR);
    let late = rig.service.update(&admin(), &id, extend()).await;
    assert!(matches!(
        late.unwrap_err(),
        LifecycleError::WrongState {
            state: KeyStatus::Expired
        }
    ));
    rig.clock
        .set(Timestamp::from_micros(rig.clock.now().as_micros() - 1));
    let in_time = rig.service.update(&admin(), &id, extend()).await.unwrap();
    assert_eq!(in_time.expires_at, Some(later));
}

#[tokio::test]
async fn an_expired_key_is_not_revived_by_switching_it_off_before_and_on_after() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    let (id, service) = (issued.record().id, &rig.service);
    rig.clock.advance(HOUR);
    service.disable(&admin(), &id).await.unwrap();
    for expiry in [
        Field::Clear,
        Field::Set(rig.clock.now().saturating_add(HOUR)),
    ] {
        let later = UpdateKey::new().with_expires_at(expiry);
        let refused = service.update(&admin(), &id, later).await;
        assert!(matches!(
            refused.unwrap_err(),
            LifecycleError::WrongState {
                state: KeyStatus::Expired
            }
        ));
    }
    service.enable(&admin(), &id).await.unwrap();
    let key = issued.key().expose();
    assert_eq!(rig.rejected(key).await, Rejection::Expired);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let rig = rig();
    let issued = rig
        .issue_as(request().with_tier("pro").with_description("d"))
        .await;
    let id = issued.record().id;
    rig.verify(issued.key().expose()).await.unwrap();
    rig.service.flush_usage().await.unwrap();
    let before = rig.record(&id).await;
    let update = UpdateKey::new()
        .with_name("renamed".into())
        .with_description(Field::Clear);
    rig.service.update(&admin(), &id, update).await.unwrap();
    let mut expected = before.clone();
    expected.name = "renamed".to_owned();
    expected.description = None;
    expected.revision = before.revision.next();
    assert_eq!(rig.record(&id).await, expected);
    assert!(expected.last_used.is_some());
    let events = rig.events().await;
    let updated = events.iter().find(|it| it.kind() == AuditKind::KeyUpdated);
    let fields = updated.unwrap().detail("fields").unwrap();
    assert_eq!(*fields, Detail::from("name description"));
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let update = UpdateKey::new().with_name("mailer".into());
    let record = rig.service.update(&admin(), &id, update).await.unwrap();
    assert_eq!(record.revision, keyward::key::Revision::FIRST);
    assert!(rig.events_of(AuditKind::KeyUpdated).await.is_empty());
}

#[tokio::test]
async fn two_updates_at_once_both_take_effect() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let name = UpdateKey::new().with_name("renamed".into());
    let tier = UpdateKey::new().with_tier(Field::Set("pro".into()));
    let actor = admin();
    let (one, two) = tokio::join!(
        rig.service.update(&actor, &id, name),
        rig.service.update(&actor, &id, tier)
    );
    one.unwrap();
    two.unwrap();
    let record = rig.record(&id).await;
    assert_eq!(
        (record.name.as_str(), record.tier.as_deref()),
        ("renamed", Some("pro"))
    );
}

#[tokio::test]
async fn refuses_to_update_to_what_breaks_a_bound() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let update = |update: UpdateKey| {
        let service = rig.service.clone();
        async move { service.update(&admin(), &id, update).await }
    };
    let now = rig.clock.now();
    let new = UpdateKey::new;
    invalid(update(new().with_name(" ".into())).await, "name");
    let tier = |name: &str| new().with_tier(Field::Set(name.to_owned()));
    invalid(update(tier("gold")).await, "tier");
    let over =
        |tier: &str, until| new().with_tier_override(Field::Set(TierOverride::new(tier, until)));
    let later = now.saturating_add(HOUR);
    invalid(update(over("gold", later)).await, "tier_override");
    invalid(update(over("pro", now)).await, "tier_override");
    assert!(update(over("pro", later)).await.is_ok());
    let expiry = |at| new().with_expires_at(Field::Set(at));
    invalid(update(expiry(now)).await, "expires_at");
    let role = Grant::Role("nobody".parse().unwrap());
    invalid(update(new().with_grant(role)).await, "role");
}

#[test]
fn metadata_is_a_bounded_object() {
    let text = |len: usize| serde_json::json!({ "note": "x".repeat(len) });
    assert!(Metadata::try_from(text(Metadata::MAX_BYTES - 11)).is_ok());
    assert!(Metadata::try_from(text(Metadata::MAX_BYTES - 10)).is_err());
    assert!(Metadata::try_from(text(20_000)).is_err());
    assert!(Metadata::try_from(serde_json::json!([1])).is_err());
}

#[tokio::test]
async fn an_unknown_id_is_not_found_by_any_operation() {
    let rig = rig();
    let id = "000000000000".parse().unwrap();
    let (actor, service) = (admin(), &rig.service);
    let missing = |error: LifecycleError| matches!(error, LifecycleError::NotFound);
    assert!(missing(service.get(&actor, &id).await.unwrap_err()));
    assert!(missing(service.enable(&actor, &id).await.unwrap_err()));
    assert!(missing(service.disable(&actor, &id).await.unwrap_err()));
    assert!(missing(service.delete(&actor, &id).await.unwrap_err()));
    assert!(missing(
        service.revoke(&actor, &id, "gone").await.unwrap_err()
    ));
    let rotation = keyward::service::Rotation::AtOnce;
    assert!(missing(
        service.rotate(&actor, &id, rotation).await.unwrap_err()
    ));
    let update = UpdateKey::new().with_name("n".into());
    assert!(missing(
        service.update(&actor, &id, update).await.unwrap_err()
    ));
    assert!(rig.events().await.is_empty());
}

#[tokio::test]
async fn only_a_key_that_has_ended_can_be_deleted() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let early = rig.service.delete(&admin(), &id).await;
    assert!(matches!(
        early.unwrap_err(),
        LifecycleError::WrongState {
            state: KeyStatus::Active
        }
    ));
    rig.service.disable(&admin(), &id).await.unwrap();
    let disabled = rig.service.delete(&admin(), &id).await;
    assert!(matches!(
        disabled.unwrap_err(),
        LifecycleError::WrongState {
            state: KeyStatus::Disabled
        }
    ));
    let _ = rig.service.revoke(&admin(), &id, "gone").await.unwrap();
    rig.service.delete(&admin(), &id).await.unwrap();
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::UnknownKey
    );
    assert_eq!(rig.events_of(AuditKind::KeyDeleted).await.len(), 1);
}

#[tokio::test]
async fn pages_follow_each_other_newest_first() {
    let rig = rig();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, rig.issue().await.record().id);
        rig.clock.advance(SECOND);
    }
    let mut listed = Vec::new();
    let mut query = ListKeys::new().with_limit(2);
    loop {
        let page = rig.service.list(&admin(), query.clone()).await.unwrap();
        listed.extend(page.records.iter().map(|record| record.id));
        match page.next {
            Some(next) => query = query.with_after(next),
            None => break,
        }
    }
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn reviews_find_what_their_names_say() {
    let rig = rig();
    let stale = rig.issue().await;
    rig.verify(stale.key().expose()).await.unwrap();
    rig.service.flush_usage().await.unwrap();
    rig.clock.advance(HOUR * 24 * 91);
    let role = Grant::Role("keys".parse().unwrap());
    let boss = rig.issue_as(request_with(role)).await;
    let ending = rig.issue_as(request().with_lifetime(HOUR * 24)).await;
    let other = IssueKey::new("other".parse().unwrap(), "n", scopes(&["a"]));
    let other = rig.issue_as(other).await;
    let found = |review: Review| {
        let service = rig.service.clone();
        async move {
            let page = service.review(&admin(), &review, ListKeys::new()).await;
            let mut ids: Vec<_> = page.unwrap().records.iter().map(|it| it.id).collect();
            ids.sort_unstable();
            ids
        }
    };
    let ids = |keys: &[&keyward::service::IssuedKey]| {
        let mut ids: Vec<_> = keys.iter().map(|key| key.record().id).collect();
        ids.sort_unstable();
        ids
    };
    let day = HOUR * 24;
    assert_eq!(found(Review::DueForRotation).await, ids(&[&stale]));
    assert_eq!(
        found(Review::ExpiringWithin(day * 2)).await,
        ids(&[&ending])
    );
    assert_eq!(
        found(Review::NeverUsed).await,
        ids(&[&boss, &ending, &other])
    );
    assert_eq!(found(Review::UnusedFor(day * 90)).await, ids(&[&stale]));
    assert!(found(Review::UnusedFor(day * 92)).await.is_empty());
    assert_eq!(found(Review::AdminKeys).await, ids(&[&boss]));
    let owner = "other".parse().unwrap();
    assert_eq!(found(Review::OfOwner(owner)).await, ids(&[&other]));
}

#[tokio::test]
async fn an_imported_key_is_accepted_by_its_digest() {
    let rig = rig();
    let (id, secret) = ("a1B2c3D4e5F6", "S".repeat(43));
    let whole = known_key(id, &secret);
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let import = ImportKey::new(id.parse().unwrap(), digest.clone(), request());
    rig.service.import(&admin(), import).await.unwrap();
    assert!(rig.accepts(&whole).await);
    assert_eq!(rig.events_of(AuditKind::KeyImported).await.len(), 1);

    let taken = ImportKey::new(id.parse().unwrap(), digest, request());
    invalid(rig.service.import(&admin(), taken).await, "id");
}

#[tokio::test]
async fn refuses_to_import_what_could_never_be_verified() {
    let rig = rig();
    let import = |id: &str, digest: &str| {
        let import = ImportKey::new(id.parse().unwrap(), DigestText::new(digest), request());
        let service = rig.service.clone();
        async move { service.import(&admin(), import).await }
    };
    let good = bcrypt::hash("secret", 4).unwrap();
    for bad in [
        "",
        "invalid_bcrypt_hash",
        "$3b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        &good.replace("$04$", "$31$"),
        &good.replace("$04$", "$99$"),
    ] {
        invalid(import("a1B2c3D4e5F6", bad).await, "digest");
    }
    // Eight characters are an id of the compact style, which this service does not accept.
    invalid(import("a1B2c3D4", &good).await, "id");
    assert_eq!(rig.store.count(Call::Insert), 0);
    assert!(import("a1B2c3D4e5F6", &good).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_created_is_valid_at_once_however_often_it_was_unknown() {
    let rig = Rig::new(|it| it.dangerous().without_failure_budget());
    let id = "a1B2c3D4e5F6";
    let secret = "S".repeat(43);
    let whole = known_key(id, &secret);
    for _ in 0..1000 {
        assert_eq!(rig.rejected(&whole).await, Rejection::UnknownKey);
    }
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let import = ImportKey::new(id.parse().unwrap(), digest, request());
    rig.service.import(&admin(), import).await.unwrap();
    assert!(rig.accepts(&whole).await);
    assert_eq!(rig.service.proof_stats().len, 0);
}

#[tokio::test]
async fn repeated_ids_are_drawn_again_and_then_given_up() {
    #[derive(Debug)]
    struct Stuck;
    impl keyward::random::SecureRandom for Stuck {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), keyward::random::RandomError> {
            for (to, from) in buffer.iter_mut().zip(0..) {
                *to = from;
            }
            Ok(())
        }
    }
    let rig = Rig::new(|it| it.random(Stuck));
    let _ = rig.issue().await;
    let again = rig.service.issue(&admin(), request()).await;
    assert!(matches!(again.unwrap_err(), LifecycleError::Unavailable(_)));
    assert_eq!(rig.store.count(Call::Insert), 4);
}

#[tokio::test]
async fn every_operation_leaves_one_event() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let (actor, service) = (admin(), &rig.service);
    service.disable(&actor, &id).await.unwrap();
    service.enable(&actor, &id).await.unwrap();
    let update = UpdateKey::new().with_name("n".into());
    service.update(&actor, &id, update).await.unwrap();
    let rotation = keyward::service::Rotation::AtOnce;
    let _ = service.rotate(&actor, &id, rotation).await.unwrap();
    let _ = service.revoke(&actor, &id, "gone").await.unwrap();
    service.delete(&actor, &id).await.unwrap();
    let kinds: Vec<_> = rig
        .events()
        .await
        .iter()
        .map(keyward::audit::AuditEvent::kind)
        .collect();
    assert_eq!(
        kinds,
        [
            AuditKind::KeyCreated,
            AuditKind::KeyDisabled,
            AuditKind::KeyEnabled,
            AuditKind::KeyUpdated,
            AuditKind::KeyRotated,
            AuditKind::KeyRevoked,
            AuditKind::KeyDeleted,
        ]
    );
    let events = rig.events().await;
    assert!(
        events
            .iter()
            .all(|it| it.actor().unwrap().as_str() == "user:ana")
    );
    assert!(events.iter().all(|it| it.key_id() == Some(id.as_str())));
}

#[tokio::test]
async fn a_disable_beats_a_verification_that_is_in_flight() {
    let rig = rig();
    let issued = rig.issue().await;
    let (key, id) = (issued.key().expose().to_owned(), issued.record().id);
    rig.hasher.gate().close();
    let service = rig.service.clone();
    let in_flight = tokio::spawn(async move {
        let context = keyward::service::RequestContext::new();
        service.verify(key.as_bytes(), &context).await
    });
    wait_for_hashes(&rig, 2).await;
    rig.service.disable(&admin(), &id).await.unwrap();
    rig.hasher.gate().open();
    assert_eq!(rejection(in_flight.await.unwrap()), Rejection::Disabled);
    assert!(rig.record(&id).await.disabled);
}

#[tokio::test]
async fn an_expiry_that_no_calendar_can_write_is_refused() {
    let rig = rig();
    let last = Timestamp::from_secs(253_402_207_200);
    let beyond = Timestamp::from_micros(last.as_micros() + 1);
    let refused = rig
        .service
        .issue(&admin(), request().with_expiry(beyond))
        .await;
    assert!(matches!(
        refused,
        Err(LifecycleError::Invalid {
            field: "expiry",
            ..
        })
    ));
    let endless = request().with_lifetime(Duration::MAX);
    assert!(rig.service.issue(&admin(), endless).await.is_err());
    let issued = rig
        .service
        .issue(&admin(), request().with_expiry(last))
        .await
        .unwrap();
    assert_eq!(
        issued.record().expires_at.unwrap().to_string(),
        "9999-12-30T22:00:00.000000Z"
    );
}

//! A record that was edited behind the service's back is refused, reported, and never bound anew.
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

use std::sync::Arc;

use common::*;
use keyward::access::Grant;
use keyward::alert::Alerts;
use keyward::async_trait;
use keyward::audit::{AuditEvent, AuditKind, Detail, Outcome};
use keyward::hash::{Hashing, HashingBuilder, RowBinding};
use keyward::key::{KeyId, KeyRecord, KeyStatus, Metadata, Revision};
use keyward::second_factor::{FactorAttempt, FactorCode, FactorError, FactorMethod, SecondFactor};
use keyward::service::{
    Actor, BindingFault, BuildError, ExposureOutcome, ExposurePolicy, Face, IssuedKey, KeyService,
    KeyServiceBuilder, LeakOutcome, LeakedTokens, LifecycleError, Rejection, Rotation,
    RowBindingMode, UpdateKey, VerifyError,
};
use keyward::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, MemoryStore, Page, StoreError, Usage,
};
use keyward::testing::{CountingHasher, ManualClock};

/// A process that binds rows under the last of these peppers.
fn process(store: &TestStore, versions: &[u32], mode: Option<RowBindingMode>) -> Rig {
    process_with(store, |it| it.peppers(peppers(versions)), mode)
}

fn process_with(
    store: &TestStore,
    hashing: impl FnOnce(HashingBuilder) -> HashingBuilder,
    mode: Option<RowBindingMode>,
) -> Rig {
    Rig::on(
        store.clone(),
        ManualClock::default(),
        hashing,
        |builder| match mode {
            Some(mode) => builder.row_binding(mode),
            None => builder,
        },
    )
}

/// A process that binds rows under the first pepper.
fn process_as(store: &TestStore, with: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder) -> Rig {
    let hashing = |it: HashingBuilder| it.peppers(peppers(&[1]));
    Rig::on(store.clone(), ManualClock::default(), hashing, with)
}

const REQUIRED: Option<RowBindingMode> = Some(RowBindingMode::Required);
const WHEN_PRESENT: Option<RowBindingMode> = Some(RowBindingMode::WhenPresent);

/// One process that requires bound rows.
fn bound() -> Rig {
    process(&TestStore::new(), &[1], REQUIRED)
}

/// Makes a stronger key of it, behind the service's back.
async fn widen(rig: &Rig, id: &KeyId) {
    rig.store
        .edit(id, |it| it.grant = Grant::Role("root".parse().unwrap()))
        .await;
}

/// Puts a record in place of what is there, byte for byte.
async fn restore(rig: &Rig, record: &KeyRecord) {
    let now = rig.record(&record.id).await;
    rig.store.delete(&record.id, now.revision).await.unwrap();
    rig.store
        .insert(InsertKey::new(record.clone()))
        .await
        .unwrap();
}

async fn edited(rig: &Rig, record: &KeyRecord, edit: impl FnOnce(&mut KeyRecord)) {
    let mut record = record.clone();
    edit(&mut record);
    restore(rig, &record).await;
}

fn tampered<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>, id: &KeyId) {
    match outcome.unwrap_err() {
        LifecycleError::RecordTampered { key } => assert_eq!(key, *id),
        other => panic!("{other:?}"),
    }
}

async fn refusals(rig: &Rig, reason: &str) -> Vec<AuditEvent> {
    let mut events = rig.events().await;
    events.retain(|event| event.reason() == Some(reason));
    events
}

#[tokio::test]
async fn a_key_whose_record_was_edited_is_refused_like_any_bad_key() {
    let rig = bound();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    assert!(rig.accepts(key).await);
    widen(&rig, &issued.record().id).await;
    let rejection = rig.rejected(key).await;
    assert_eq!(rejection, Rejection::RecordTampered);
    assert_eq!(rejection.face(), Face::Unauthenticated);
    assert_eq!(rejection.to_string(), Rejection::UnknownKey.to_string());
}

#[tokio::test]
async fn its_event_names_the_key_and_believes_nothing_else_of_the_record() {
    let rig = bound();
    let issued = rig.issue_as(request().with_tenant(tenant("t1"))).await;
    let id = issued.record().id;
    rig.store.edit(&id, |it| it.tenant = tenant("t2")).await;
    rig.rejected(issued.key().expose()).await;
    let events = refusals(&rig, "record_tampered").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind(), AuditKind::AuthenticationFailed);
    assert_eq!(events[0].key_id(), Some(id.as_str()));
    assert_eq!((events[0].tenant(), events[0].owner()), (None, None));
    assert!(events[0].detail("tenant_binding").is_some());
}

#[tokio::test]
async fn whoever_only_knows_the_id_learns_and_raises_nothing() {
    let rig = bound();
    let issued = rig.issue().await;
    widen(&rig, &issued.record().id).await;
    let guess = wrong_secret(issued.key().expose(), false);
    assert_eq!(rig.rejected(&guess).await, Rejection::WrongSecret);
    assert!(refusals(&rig, "record_tampered").await.is_empty());
}

#[tokio::test]
async fn a_broken_record_is_refused_before_its_state_is_believed() {
    let rig = bound();
    let issued = rig.issue().await;
    let id = issued.record().id;
    rig.store.edit(&id, |it| it.disabled = true).await;
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::RecordTampered
    );
}

#[tokio::test]
async fn a_record_that_is_edited_while_its_secret_is_hashed_is_refused() {
    let store = TestStore::new();
    let issued = process(&store, &[1], REQUIRED).issue().await;
    let strict = Rig::on(
        store,
        ManualClock::default(),
        |it| it.peppers(pepper(1)),
        |it| it.row_binding(RowBindingMode::Required).strict(),
    );
    let gate = strict.hasher.gate().clone();
    gate.close();
    let (service, key) = (strict.service.clone(), issued.key().expose().to_owned());
    let verifying = tokio::spawn(async move {
        let context = keyward::service::RequestContext::new();
        service.verify(key.as_bytes(), &context).await
    });
    wait_for_hashes(&strict, 1).await;
    widen(&strict, &issued.record().id).await;
    gate.open();
    assert_eq!(
        rejection(verifying.await.unwrap()),
        Rejection::RecordTampered
    );
}

#[tokio::test]
async fn nothing_can_be_moved_between_two_rows() {
    let rig = bound();
    let (one, other) = (rig.issue().await, rig.issue().await);
    let (victim, key) = (rig.record(&other.record().id).await, other.key().expose());
    let donor = rig.record(&one.record().id).await;
    let moves: [fn(&mut KeyRecord, &KeyRecord); 5] = [
        |it, donor| it.binding = donor.binding,
        |it, donor| it.current.digest = donor.current.digest.clone(),
        |it, donor| it.current.proof = donor.current.proof,
        |it, donor| {
            it.previous = Some(donor.current.clone());
        },
        |it, donor| {
            let id = it.id;
            let (check, hint) = (it.current.check, it.current.hint);
            *it = donor.clone();
            (it.id, it.current.check, it.current.hint) = (id, check, hint);
        },
    ];
    for step in moves {
        edited(&rig, &victim, |it| step(it, &donor)).await;
        assert_eq!(rig.rejected(key).await, Rejection::RecordTampered);
    }
    restore(&rig, &victim).await;
    assert!(rig.accepts(key).await);
}

/// The short check knows its id, so whoever copies a row takes that out.
#[tokio::test]
async fn a_row_that_was_copied_under_another_id_is_refused() {
    let rig = bound();
    let issued = rig.issue().await;
    let mut copy = rig.record(&issued.record().id).await;
    copy.id = "0aZ9bY8cX7dW".parse().unwrap();
    copy.current.check = None;
    rig.store.insert(InsertKey::new(copy)).await.unwrap();
    let secret = &issued.key().expose()["pm_live_".len() + 12..][..43];
    let key = known_key("0aZ9bY8cX7dW", secret);
    assert_eq!(rig.rejected(&key).await, Rejection::RecordTampered);
}

#[tokio::test]
async fn no_operation_binds_an_edited_record_anew() {
    let rig = bound();
    let issued = rig.issue().await;
    let id = issued.record().id;
    widen(&rig, &id).await;
    let before = rig.record(&id).await;
    let (service, ana) = (&rig.service, admin());
    let rename = UpdateKey::new().with_name("other".to_owned());
    tampered(service.update(&ana, &id, rename).await, &id);
    tampered(service.disable(&ana, &id).await, &id);
    tampered(service.enable(&ana, &id).await, &id);
    tampered(service.rotate(&ana, &id, Rotation::AtOnce).await, &id);
    assert_eq!(rig.record(&id).await, before);
    let refused = refusals(&rig, "record_tampered").await;
    let kinds: Vec<_> = refused.iter().map(AuditEvent::kind).collect();
    assert_eq!(kinds, [AuditKind::PermissionRefused; 4]);
    let named = |event: &AuditEvent| event.key_id() == Some(id.as_str()) && event.owner().is_none();
    assert!(refused.iter().all(named));
    assert_eq!(
        rig.hasher.hashes(),
        1,
        "no hash for a rotation that is refused"
    );
}

/// It takes its end over and nothing else, so taking that out again makes no valid key of it.
#[tokio::test]
async fn an_edited_record_can_be_revoked_and_stays_broken() {
    let rig = bound();
    let issued = rig.issue().await;
    let (id, key) = (issued.record().id, issued.key().expose());
    widen(&rig, &id).await;
    rig.revoke(&issued).await;
    let revoked = rig.record(&id).await;
    assert_eq!(
        revoked.status(keyward::time::Timestamp::EPOCH),
        KeyStatus::Revoked
    );
    assert_eq!(revoked.binding, issued.record().binding);
    rig.store.edit(&id, |it| it.revocation = None).await;
    assert_eq!(rig.rejected(key).await, Rejection::RecordTampered);
}

#[tokio::test]
async fn an_edited_record_is_shown_and_can_be_removed_once_it_has_ended() {
    let rig = bound();
    let issued = rig.issue().await;
    let id = issued.record().id;
    widen(&rig, &id).await;
    let shown = rig.service.get(&admin(), &id).await.unwrap();
    assert_eq!(shown.grant.role().unwrap().as_str(), "root");
    let page = rig.service.list(&admin(), ListKeys::new()).await.unwrap();
    assert_eq!(page.records.len(), 1);
    rig.revoke(&issued).await;
    rig.service.delete(&admin(), &id).await.unwrap();
    assert!(rig.store.find(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_leaked_key_is_revoked_although_its_record_was_edited() {
    let rig = bound();
    let issued = rig.issue().await;
    let id = issued.record().id;
    rig.store.edit(&id, |it| it.name.push('x')).await;
    let tokens = LeakedTokens::new([issued.key().expose()]).unwrap();
    let findings = rig.service.report_leaked(&admin(), tokens).await.unwrap();
    assert_eq!(findings.outcomes, [LeakOutcome::Revoked(id)]);
    assert!(rig.record(&id).await.revocation.is_some());
}

#[tokio::test]
async fn a_key_that_is_seen_is_told_of_by_its_name_alone_if_its_record_was_edited() {
    for policy in [ExposurePolicy::Report, ExposurePolicy::Flag] {
        let rig = process_as(&TestStore::new(), |it| {
            it.row_binding(RowBindingMode::Required)
                .exposure_policy(policy)
        });
        let issued = rig.issue_as(request().with_tenant(tenant("t1"))).await;
        let id = issued.record().id;
        rig.store.edit(&id, |it| it.tenant = tenant("t2")).await;
        let key = issued.key().expose().as_bytes();
        let seen = rig.service.report_exposed(key, "ticket", None).await;
        assert_eq!(seen, ExposureOutcome::Unanswered);
        assert!(rig.events_of(AuditKind::KeyExposed).await.is_empty());
        let events = refusals(&rig, "record_tampered").await;
        assert_eq!(events.len(), 1, "{policy:?}");
        assert_eq!(events[0].key_id(), Some(id.as_str()));
        assert_eq!((events[0].tenant(), events[0].owner()), (None, None));
    }
}

#[tokio::test]
async fn a_key_whose_own_record_was_edited_manages_nothing() {
    let rig = bound();
    let manager = rig
        .issue_as(request_with(Grant::Role("keys".parse().unwrap())))
        .await;
    let (own, other) = (manager.record().id, rig.issue().await.record().id);
    let acting = rig.acting(&manager).await;
    rig.service.get(&acting, &other).await.unwrap();
    widen(&rig, &own).await;
    let service = &rig.service;
    tampered(service.get(&acting, &other).await, &own);
    tampered(service.issue(&acting, request()).await, &own);
    tampered(service.revoke(&acting, &other, "x").await, &own);
    let refused = refusals(&rig, "record_tampered").await;
    assert!(
        refused
            .iter()
            .all(|event| event.key_id() == Some(own.as_str()))
    );
}

#[tokio::test]
async fn an_upgrade_in_the_background_binds_no_edited_record() {
    let store = TestStore::new();
    let issued = process(&store, &[1], REQUIRED).issue().await;
    let id = issued.record().id;
    let hasher = CountingHasher::new(quick_bcrypt(5));
    let gate = hasher.gate().clone();
    let dearer = process_with(
        &store,
        |it| it.peppers(pepper(1)).prefer(hasher.clone()),
        REQUIRED,
    );
    gate.close();
    assert!(dearer.accepts(issued.key().expose()).await);
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for(1))
        .await
        .unwrap();
    widen(&dearer, &id).await;
    let before = dearer.record(&id).await;
    gate.open();
    for _ in 0..100_000 {
        if dearer.service.counters().upgrades_failed > 0 {
            break;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    assert_eq!(dearer.service.counters().upgrades_failed, 1);
    assert_eq!(dearer.record(&id).await, before);
}

#[tokio::test]
async fn a_row_without_a_binding_is_refused_where_each_must_have_one() {
    let rig = bound();
    let issued = rig.issue().await;
    let id = issued.record().id;
    edited(&rig, issued.record(), |it| it.binding = None).await;
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::RecordUnbound
    );
    let refused = rig.service.disable(&admin(), &id).await.unwrap_err();
    assert!(matches!(refused, LifecycleError::RecordUnbound { key } if key == id));
    rig.revoke(&issued).await;
    assert!(rig.record(&id).await.binding.is_none());
}

#[tokio::test]
async fn a_row_without_a_binding_is_taken_as_it_is_and_bound_by_the_next_write_otherwise() {
    let store = TestStore::new();
    let issued = process(&store, &[1], None).issue().await;
    let id = issued.record().id;
    assert!(issued.record().binding.is_none());
    let rig = process(&store, &[1], WHEN_PRESENT);
    assert!(rig.accepts(issued.key().expose()).await);
    let rename = UpdateKey::new().with_name("other".to_owned());
    let updated = rig.service.update(&admin(), &id, rename).await.unwrap();
    assert!(updated.binding.is_some());
    assert_eq!(rig.record(&id).await, *updated);
    widen(&rig, &id).await;
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::RecordTampered
    );
}

#[tokio::test]
async fn a_binding_that_cannot_be_read_never_holds() {
    for mode in [REQUIRED, WHEN_PRESENT] {
        let rig = process(&TestStore::new(), &[1], mode);
        let issued = rig.issue().await;
        for text in ["", "v=1$AAAA", "nonsense"] {
            edited(&rig, issued.record(), |it| {
                it.binding = Some(RowBinding::from_text(text));
            })
            .await;
            assert_eq!(
                rig.rejected(issued.key().expose()).await,
                Rejection::RecordTampered
            );
        }
    }
}

#[tokio::test]
async fn uses_break_no_binding() {
    let rig = bound();
    let issued = rig.issue().await;
    for _ in 0..3 {
        rig.verify_from(issued.key().expose(), "192.0.2.1")
            .await
            .unwrap();
        rig.service.flush_usage().await.unwrap();
        rig.clock.advance(HOUR);
    }
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
}

#[tokio::test]
async fn a_row_holds_under_an_old_pepper_and_the_next_write_binds_it_under_the_new_one() {
    let store = TestStore::new();
    let issued = process(&store, &[1], REQUIRED).issue().await;
    let id = issued.record().id;
    let rig = process(&store, &[1, 2], REQUIRED);
    let disabled = rig.service.disable(&admin(), &id).await.unwrap();
    assert_eq!(issued.record().binding.unwrap().version(), 1);
    assert_eq!(disabled.binding.unwrap().version(), 2);
    rig.service.enable(&admin(), &id).await.unwrap();
    assert!(rig.accepts(issued.key().expose()).await);
}

/// Nothing is known of such a row: neither that it is good nor that it is bad.
#[tokio::test]
async fn a_missing_pepper_is_an_outage_and_the_key_can_be_revoked_all_the_same() {
    let store = TestStore::new();
    let issued = process(&store, &[1], REQUIRED).issue().await;
    let id = issued.record().id;
    let rig = process(&store, &[2], REQUIRED);
    let unanswered = rig.verify(issued.key().expose()).await.unwrap_err();
    assert!(matches!(unanswered, VerifyError::Unavailable(_)));
    let refused = rig.service.disable(&admin(), &id).await.unwrap_err();
    assert!(matches!(refused, LifecycleError::Unavailable(_)));
    rig.revoke(&issued).await;
    let old = process(&store, &[1], REQUIRED);
    assert!(!old.accepts(issued.key().expose()).await);
}

#[tokio::test]
async fn row_binding_needs_a_pepper() {
    let builder = KeyService::builder(MemoryStore::new());
    let built = builder.row_binding(RowBindingMode::WhenPresent).build();
    assert!(matches!(built.unwrap_err(), BuildError::RowBinding));
    let hashing = Hashing::builder().build().unwrap();
    let builder = KeyService::builder(MemoryStore::new()).hashing(hashing);
    let built = builder.row_binding(RowBindingMode::Required).build();
    assert!(matches!(built.unwrap_err(), BuildError::RowBinding));
}

/// What a process that binds nothing writes must not look like an edit.
#[tokio::test]
async fn a_process_that_binds_nothing_leaves_rows_unbound_and_does_not_look_at_bindings() {
    let store = TestStore::new();
    let issued = process(&store, &[1], REQUIRED).issue().await;
    let id = issued.record().id;
    let off = process(&store, &[1], None);
    widen(&off, &id).await;
    assert!(off.accepts(issued.key().expose()).await);
    off.service.disable(&admin(), &id).await.unwrap();
    assert!(off.record(&id).await.binding.is_none());
    let asked = off.service.check_bindings(&admin(), ListKeys::new()).await;
    assert!(matches!(asked.unwrap_err(), LifecycleError::NoRowBinding));
    let asked = off.service.bind_records(&admin(), ListKeys::new()).await;
    assert!(matches!(asked.unwrap_err(), LifecycleError::NoRowBinding));
}

#[tokio::test]
async fn an_alert_tells_of_an_edited_record_once_in_a_period() {
    let alerts = Alerts::builder().standard_rules().start().unwrap();
    let trail = keyward::audit::MemorySink::unbounded();
    let store = TestStore::new();
    let service = KeyService::builder(store.clone())
        .hashing(
            Hashing::builder()
                .prefer(quick_bcrypt(4))
                .peppers(pepper(1))
                .build()
                .unwrap(),
        )
        .row_binding(RowBindingMode::Required)
        .audit(trail.clone())
        .observer(alerts)
        .build()
        .unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    store.edit(&id, |it| it.name.push('x')).await;
    let context = keyward::service::RequestContext::new();
    for _ in 0..3 {
        let presented = issued.key().expose().as_bytes();
        service.verify(presented, &context).await.unwrap_err();
    }
    tampered(service.disable(&admin(), &id).await, &id);
    service.shutdown().await.unwrap();
    let raised: Vec<_> = trail
        .events()
        .into_iter()
        .filter(|event| event.kind() == AuditKind::AlertRaised)
        .collect();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].reason(), Some("record_tampered"));
    assert_eq!(raised[0].key_id(), Some(id.as_str()));
    let text = |name: &str| match raised[0].detail(name) {
        Some(Detail::Text(text)) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text("severity"), "critical");
    assert_eq!(text("reason"), "record_tampered");
    assert_eq!(text("tenant_binding"), "platform");
}

async fn faults(rig: &Rig) -> Vec<(KeyId, BindingFault)> {
    let page = rig.service.check_bindings(&admin(), ListKeys::new()).await;
    page.unwrap().faults
}

#[tokio::test]
async fn a_check_of_all_rows_finds_each_kind_of_fault_and_changes_nothing() {
    let store = TestStore::new();
    let rig = process(&store, &[2, 1], REQUIRED);
    let fine = rig.issue().await;
    let (unbound, broken, void) = (rig.issue().await, rig.issue().await, rig.issue().await);
    let outdated = process(&store, &[2], REQUIRED).issue().await;
    let unknown = process(&store, &[3], REQUIRED).issue().await;
    edited(&rig, unbound.record(), |it| it.binding = None).await;
    edited(&rig, broken.record(), |it| it.metadata = metadata()).await;
    edited(&rig, void.record(), |it| {
        it.binding = Some(RowBinding::from_text("?"));
    })
    .await;
    let id = |issued: &IssuedKey| issued.record().id;
    let expected = [
        (id(&unbound), BindingFault::Unbound),
        (id(&broken), BindingFault::Broken),
        (id(&void), BindingFault::Broken),
        (id(&outdated), BindingFault::Outdated { version: 2 }),
        (id(&unknown), BindingFault::UnknownPepper { version: 3 }),
    ];
    let writes = rig.store.count(Call::Update);
    let found = faults(&rig).await;
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().all(|fault| found.contains(fault)));
    assert!(!found.iter().any(|(key, _)| *key == id(&fine)));
    assert_eq!(rig.store.count(Call::Update), writes);
}

fn metadata() -> Metadata {
    Metadata::try_from(serde_json::json!({"plan": "gold"})).unwrap()
}

/// What all pages did, added up: bound, renewed, lost.
async fn bind_all(rig: &Rig) -> (u64, u64, u64, Vec<(KeyId, BindingFault)>) {
    let mut query = ListKeys::new().with_limit(2);
    let (mut bound, mut renewed, mut lost, mut left) = (0, 0, 0, Vec::new());
    loop {
        let page = rig.service.bind_records(&admin(), query.clone()).await;
        let page = page.unwrap();
        bound += page.bound;
        renewed += page.renewed;
        lost += page.lost;
        left.extend(page.left);
        let Some(next) = page.next else {
            return (bound, renewed, lost, left);
        };
        query = query.with_after(next);
    }
}

#[tokio::test]
async fn a_pass_binds_what_was_written_before_and_then_each_row_can_be_required_to_be_bound() {
    let store = TestStore::new();
    let before = process(&store, &[1], None);
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(before.issue().await);
    }
    let rig = process(&store, &[1], WHEN_PRESENT);
    assert_eq!(bind_all(&rig).await, (5, 0, 0, Vec::new()));
    assert_eq!(bind_all(&rig).await, (0, 0, 0, Vec::new()));
    let required = process(&store, &[1], REQUIRED);
    for key in &keys {
        assert!(required.accepts(key.key().expose()).await);
        assert_eq!(
            required.record(&key.record().id).await.revision,
            Revision::FIRST.next()
        );
    }
    assert!(faults(&required).await.is_empty());
    let told = rig.events_of(AuditKind::KeyUpdated).await;
    assert_eq!(
        told,
        vec![(Outcome::Success, Some("row_binding".to_owned())); 3]
    );
    let events = refusals(&rig, "row_binding").await;
    let counts: Vec<_> = events
        .iter()
        .map(|event| event.detail("unbound").unwrap().clone())
        .collect();
    assert_eq!(counts, [2_u64, 2, 1].map(Detail::from));
    assert!(events.iter().all(|event| event.key_id().is_none()));
}

/// Its key may have been moved since it was verified.
#[tokio::test]
async fn a_pass_is_told_of_in_the_tenant_whose_rows_it_binds() {
    let store = TestStore::new();
    let before = process(&store, &[1], None);
    let role = Grant::Role("keys".parse().unwrap());
    let asked = request_with(role).with_tenant(tenant("t1"));
    let manager = before.issue_as(asked).await;
    let rig = process(&store, &[1], WHEN_PRESENT);
    let acting = rig.acting(&manager).await;
    let moved = UpdateKey::new().with_tenant(tenant("t2"));
    let id = manager.record().id;
    before.service.update(&admin(), &id, moved).await.unwrap();
    let page = rig.service.bind_records(&acting, ListKeys::new()).await;
    assert_eq!(page.unwrap().bound, 1);
    let events = refusals(&rig, "row_binding").await;
    assert_eq!(events[0].tenant(), Some("t2"));
}

#[tokio::test]
async fn a_pass_renews_old_bindings_after_checking_them_and_leaves_broken_rows() {
    let store = TestStore::new();
    let old = process(&store, &[1], REQUIRED);
    let (fine, broken, unbound) = (old.issue().await, old.issue().await, old.issue().await);
    widen(&old, &broken.record().id).await;
    edited(&old, unbound.record(), |it| it.binding = None).await;
    let rig = process(&store, &[1, 2], REQUIRED);
    let (bound, renewed, lost, left) = bind_all(&rig).await;
    assert_eq!((bound, renewed, lost), (0, 1, 0));
    assert_eq!(left.len(), 2);
    assert!(left.contains(&(broken.record().id, BindingFault::Broken)));
    assert!(left.contains(&(unbound.record().id, BindingFault::Unbound)));
    let only_new = process(&store, &[2], REQUIRED);
    let binding = only_new.record(&fine.record().id).await.binding.unwrap();
    assert_eq!(binding.version(), 2);
    assert_eq!(
        rig.rejected(broken.key().expose()).await,
        Rejection::RecordTampered
    );
}

#[tokio::test]
async fn a_pass_that_cannot_be_written_down_binds_nothing() {
    let store = TestStore::new();
    let issued = process(&store, &[1], None).issue().await;
    let rig = process(&store, &[1], WHEN_PRESENT);
    rig.sink.fail_next(u32::MAX);
    let outcome = rig.service.bind_records(&admin(), ListKeys::new()).await;
    assert!(matches!(outcome.unwrap_err(), LifecycleError::Audit(_)));
    assert!(rig.record(&issued.record().id).await.binding.is_none());
}

#[tokio::test]
async fn a_pass_among_writers_loses_none_of_their_changes_and_leaves_all_bound() {
    let store = TestStore::new();
    let before = process(&store, &[1], None);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(before.issue().await.record().id);
    }
    let rig = Arc::new(process(&store, &[1], WHEN_PRESENT));
    let writers = ids.iter().map(|id| {
        let (service, id) = (rig.service.clone(), *id);
        tokio::spawn(async move {
            let update = UpdateKey::new().with_name(format!("new {id}"));
            service.update(&admin(), &id, update).await.unwrap();
        })
    });
    let writers: Vec<_> = writers.collect();
    let (bound, renewed, lost, left) = bind_all(&rig).await;
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(bound + lost <= 8 && renewed == 0 && left.is_empty());
    for id in ids {
        assert_eq!(rig.record(&id).await.name, format!("new {id}"));
    }
    assert!(faults(&rig).await.is_empty());
}

/// Binds a row that another process is about to change, and another that is gone by then.
#[tokio::test]
async fn a_pass_passes_over_rows_that_others_changed_or_removed_meanwhile() {
    let store = TestStore::new();
    let before = process(&store, &[1], None);
    let (one, other) = (before.issue().await, before.issue().await);
    let rig = process(&store, &[1], WHEN_PRESENT);
    rig.store.lose_updates(1);
    let page = rig.service.bind_records(&admin(), ListKeys::new()).await;
    let page = page.unwrap();
    assert_eq!((page.bound, page.lost), (1, 1));
    let records = [
        rig.record(&one.record().id).await,
        rig.record(&other.record().id).await,
    ];
    let unbound = records.iter().filter(|it| it.binding.is_none()).count();
    assert_eq!(unbound, 1);
}

/// Counts its revisions up by two.
#[derive(Debug)]
struct Miscounting(MemoryStore);

#[async_trait]
impl KeyStore for Miscounting {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.0.insert(insert).await
    }
    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.0.find(id).await
    }
    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        let revision = self.0.update(record).await?;
        let mut again = record.clone();
        again.revision = revision;
        self.0.update(&again).await
    }
    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.0.record_usage(usage).await
    }
    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.0.list(query).await
    }
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.0.delete(id, expected).await
    }
}

#[tokio::test]
async fn a_store_that_counts_revisions_in_its_own_way_is_found_out_at_the_write() {
    let hashing = Hashing::builder()
        .prefer(quick_bcrypt(4))
        .peppers(pepper(1));
    let service = KeyService::builder(Miscounting(MemoryStore::new()))
        .hashing(hashing.build().unwrap())
        .row_binding(RowBindingMode::Required)
        .build()
        .unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    let disabled = service.disable(&admin(), &id).await.unwrap_err();
    assert!(matches!(disabled, LifecycleError::Unavailable(_)));
}

/// The life of a key where each row must be bound: everything works as without.
#[tokio::test]
async fn a_key_lives_its_life_where_each_row_must_be_bound() {
    let rig = bound();
    let issued = rig.issue_as(request().with_lifetime(HOUR * 48)).await;
    let (id, service) = (issued.record().id, &rig.service);
    assert_eq!(rig.record(&id).await, **issued.record());
    assert!(rig.accepts(issued.key().expose()).await);
    let rename = UpdateKey::new().with_name("renamed".to_owned());
    service.update(&admin(), &id, rename).await.unwrap();
    service.disable(&admin(), &id).await.unwrap();
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::Disabled
    );
    service.enable(&admin(), &id).await.unwrap();
    let rotation = Rotation::UntilFirstUse(HOUR);
    let next = service.rotate(&admin(), &id, rotation).await.unwrap();
    assert!(rig.accepts(issued.key().expose()).await);
    rig.clock.advance(SECOND);
    assert!(rig.accepts(next.key().expose()).await);
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::Superseded
    );
    let actor = Actor::system("night-watch").unwrap();
    let page = service.check_bindings(&actor, ListKeys::new()).await;
    let page = page.unwrap();
    assert_eq!((page.looked_at, page.faults.len()), (1, 0));
    rig.revoke(&next).await;
    assert_eq!(rig.rejected(next.key().expose()).await, Rejection::Revoked);
    service.delete(&admin(), &id).await.unwrap();
    assert_eq!(
        rig.rejected(next.key().expose()).await,
        Rejection::UnknownKey
    );
}

/// A second factor that counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<std::sync::atomic::AtomicU32>);

#[async_trait]
impl SecondFactor for Asked {
    async fn verify(&self, _: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(FactorMethod::TOTP)
    }
}

#[tokio::test]
async fn no_code_is_spent_on_an_edited_record() {
    let asked = Asked::default();
    let rig = Rig::on(
        TestStore::new(),
        ManualClock::default(),
        |it| it.peppers(pepper(1)),
        |it| {
            it.row_binding(RowBindingMode::Required)
                .issue_policy(keyward::service::IssuePolicy::default())
                .second_factor(asked.clone())
        },
    );
    let ana = admin().with_second_factor(FactorCode::new("123456"));
    let manager = request_with(Grant::Role("keys".parse().unwrap()));
    let issued = rig.service.issue(&ana, manager).await.unwrap();
    let id = issued.record().id;
    rig.service.disable(&ana, &id).await.unwrap();
    let before = asked.0.load(std::sync::atomic::Ordering::Relaxed);
    widen(&rig, &id).await;
    tampered(rig.service.enable(&ana, &id).await, &id);
    assert_eq!(asked.0.load(std::sync::atomic::Ordering::Relaxed), before);
}

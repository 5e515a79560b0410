//! Each part breaks in turn. The answer is the documented one, and never a pass.
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

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::*;
use keyward::audit::{AuditKind, AuditRecorder, MemorySink, Outcome, Overflow};
use keyward::hash::{Bcrypt, DigestText, HashError, HashInput, Hashing, KeyHasher, Plan};
use keyward::key::{KeyId, KeyRecord};
use keyward::random::{RandomError, SecureRandom};
use keyward::service::{
    BuildError, ImportKey, IssuedKey, KeyService, LifecycleError, Rejection, Rotation, UpdateKey,
    VerifyError,
};
use keyward::store::{KeyStore as _, ListKeys, MemoryStore};
use keyward::testing::{FaultySink, ManualClock, SeededRandom};
use keyward::time::Timestamp;

fn assert_outage(outcome: Result<keyward::service::VerifiedKey, VerifyError>) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
    assert!(error.rejection().is_none());
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_an_outage_for_warm_and_cold_keys() {
    let rig = rig();
    let (warm, cold) = (rig.issue().await, rig.issue().await);
    assert!(rig.accepts(warm.key().expose()).await);
    rig.store.fail(Call::Find, u64::MAX);
    for key in [&warm, &cold] {
        assert_outage(rig.verify(key.key().expose()).await);
    }
    rig.store.fail(Call::Find, 0);
    for key in [&warm, &cold] {
        assert!(rig.accepts(key.key().expose()).await);
    }
    let failed = rig.events_of(AuditKind::AuthenticationFailed).await;
    let line = (Outcome::Failure, Some("unavailable".to_owned()));
    assert_eq!(failed, [line.clone(), line]);
}

#[tokio::test]
async fn a_second_read_that_fails_is_an_outage_and_nothing_is_remembered() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.hasher.gate().close();
    let (service, key) = (rig.service.clone(), issued.key().expose().to_owned());
    let verifying = tokio::spawn(async move {
        let context = keyward::service::RequestContext::new();
        service.verify(key.as_bytes(), &context).await
    });
    wait_for_hashes(&rig, 2).await;
    rig.store.fail(Call::Find, 1);
    rig.hasher.gate().open();
    assert_outage(verifying.await.unwrap());
    assert_eq!(rig.service.proof_stats().kept, 0);
}

#[tokio::test]
async fn an_outage_is_not_charged_to_the_address() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.store.fail(Call::Find, u64::MAX);
    for _ in 0..100 {
        assert_outage(rig.verify_from(issued.key().expose(), "192.0.2.1").await);
    }
    rig.store.fail(Call::Find, 0);
    assert!(
        rig.verify_from(issued.key().expose(), "192.0.2.1")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_insert_that_fails_is_written_down_as_failed() {
    let rig = rig();
    rig.store.fail(Call::Insert, 1);
    let outcome = rig.service.issue(&admin(), request()).await;
    assert!(matches!(
        outcome.unwrap_err(),
        LifecycleError::Unavailable(_)
    ));
    assert_eq!(
        rig.events_of(AuditKind::KeyCreated).await,
        [
            (Outcome::Success, None),
            (Outcome::Failure, Some("unavailable".to_owned()))
        ]
    );
    let all = rig.service.list(&admin(), ListKeys::new()).await.unwrap();
    assert!(all.records.is_empty());
}

/// Every operation that changes a record, on a key that allows it. The last one needs a key that has ended.
async fn change(rig: &Rig, kind: AuditKind, id: &KeyId) -> Result<(), LifecycleError> {
    let (service, actor) = (&rig.service, admin());
    match kind {
        AuditKind::KeyRotated => {
            let rotated = service.rotate(&actor, id, Rotation::AtOnce).await;
            rotated.map(drop)
        }
        AuditKind::KeyDisabled => service.disable(&actor, id).await.map(drop),
        AuditKind::KeyEnabled => service.enable(&actor, id).await.map(drop),
        AuditKind::KeyUpdated => {
            let update = UpdateKey::new().with_name("renamed".into());
            service.update(&actor, id, update).await.map(drop)
        }
        AuditKind::KeyDeleted => service.delete(&actor, id).await,
        other => panic!("{other:?}"),
    }
}

const CHANGES: [AuditKind; 5] = [
    AuditKind::KeyRotated,
    AuditKind::KeyDisabled,
    AuditKind::KeyEnabled,
    AuditKind::KeyUpdated,
    AuditKind::KeyDeleted,
];

/// A key that the operation applies to, and its record.
async fn ready_for(rig: &Rig, kind: AuditKind) -> (IssuedKey, KeyRecord) {
    let issued = rig.issue().await;
    let id = issued.record().id;
    match kind {
        AuditKind::KeyEnabled => drop(rig.service.disable(&admin(), &id).await.unwrap()),
        AuditKind::KeyDeleted => rig.revoke(&issued).await,
        _ => {}
    }
    let record = rig.record(&id).await;
    (issued, record)
}

#[tokio::test]
async fn a_change_that_the_store_refuses_is_written_down_as_failed() {
    for kind in CHANGES {
        let rig = rig();
        let (_, before) = ready_for(&rig, kind).await;
        for call in [Call::Update, Call::Delete] {
            rig.store.fail(call, 1);
        }
        let outcome = change(&rig, kind, &before.id).await.unwrap_err();
        assert!(
            matches!(outcome, LifecycleError::Unavailable(_)),
            "{kind:?}"
        );
        assert_eq!(rig.record(&before.id).await, before);
        assert_eq!(
            rig.events_of(kind).await,
            [
                (Outcome::Success, None),
                (Outcome::Failure, Some("unavailable".to_owned()))
            ]
        );
    }
}

#[tokio::test]
async fn nothing_changes_when_the_trail_cannot_be_written() {
    for kind in CHANGES {
        let rig = rig();
        let (_, before) = ready_for(&rig, kind).await;
        rig.sink.fail_next(u32::MAX);
        let outcome = change(&rig, kind, &before.id).await.unwrap_err();
        assert!(matches!(outcome, LifecycleError::Audit(_)), "{kind:?}");
        rig.sink.panic_next(1);
        let outcome = change(&rig, kind, &before.id).await.unwrap_err();
        assert!(matches!(outcome, LifecycleError::Audit(_)), "{kind:?}");
        assert_eq!(rig.record(&before.id).await, before);
        rig.sink.fail_next(0);
        change(&rig, kind, &before.id).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_issued_or_imported_when_the_trail_cannot_be_written() {
    let rig = rig();
    rig.sink.fail_next(u32::MAX);
    let issue = rig.service.issue(&admin(), request()).await;
    assert!(matches!(issue.unwrap_err(), LifecycleError::Audit(_)));
    let digest = DigestText::new(bcrypt::hash("secret", 4).unwrap());
    let import = ImportKey::new("a1B2c3D4e5F6".parse().unwrap(), digest, request());
    let import = rig.service.import(&admin(), import).await;
    assert!(matches!(import.unwrap_err(), LifecycleError::Audit(_)));
    assert_eq!(rig.store.count(Call::Insert), 0);
}

#[tokio::test]
async fn a_revocation_takes_effect_without_its_event_and_says_so() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.sink.fail_next(u32::MAX);
    let id = &issued.record().id;
    let revoked = rig.service.revoke(&admin(), id, "leaked").await.unwrap();
    assert!(revoked.unaudited.is_some());
    assert!(revoked.record.revocation.is_some());
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::Revoked
    );
    rig.sink.fail_next(0);
    let again = rig.service.revoke(&admin(), id, "leaked").await.unwrap();
    assert!(again.unaudited.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_does_not_wait_for_ever_for_a_trail_that_hangs() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.sink.hold();
    let id = &issued.record().id;
    let revoked = rig.service.revoke(&admin(), id, "leaked").await.unwrap();
    assert!(revoked.unaudited.is_some());
    assert!(rig.record(id).await.revocation.is_some());
}

#[tokio::test]
async fn a_revocation_that_the_store_refuses_is_an_error() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.store.fail(Call::Update, 1);
    let id = &issued.record().id;
    let outcome = rig.service.revoke(&admin(), id, "leaked").await;
    assert!(matches!(
        outcome.unwrap_err(),
        LifecycleError::Unavailable(_)
    ));
    assert_eq!(
        rig.events_of(AuditKind::KeyRevoked).await,
        [
            (Outcome::Success, None),
            (Outcome::Failure, Some("unavailable".to_owned()))
        ]
    );
}

#[tokio::test]
async fn a_broken_trail_does_not_touch_requests() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.sink.fail_next(u32::MAX);
    for _ in 0..3 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    let wrong = wrong_secret(issued.key().expose(), false);
    assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
}

#[tokio::test]
async fn a_full_trail_drops_events_and_counts_them() {
    let sink = FaultySink::new(MemorySink::unbounded());
    let recorder = AuditRecorder::builder(sink.clone())
        .capacity(NonZeroUsize::MIN)
        .overflow(Overflow::DropAndCount);
    let recorder = recorder.start().unwrap();
    let rig = Rig::new(|it| it.recorder(recorder));
    let issued = rig.issue().await;
    sink.hold();
    for _ in 0..20 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    assert!(rig.service.audit_counters().dropped > 0);
    sink.release();
}

#[tokio::test]
async fn reading_fails_as_an_outage() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    rig.store.fail(Call::Find, 1);
    let get = rig.service.get(&admin(), &id).await;
    assert!(matches!(get.unwrap_err(), LifecycleError::Unavailable(_)));
    rig.store.fail(Call::List, 1);
    let list = rig.service.list(&admin(), ListKeys::new()).await;
    assert!(matches!(list.unwrap_err(), LifecycleError::Unavailable(_)));
}

#[tokio::test]
async fn an_acting_key_that_cannot_be_read_again_manages_nothing() {
    let rig = rig();
    let grant = scopes(&["manage_keys"]);
    let own = rig.issue_as(request_with(grant.clone())).await;
    let actor = rig.acting(&own).await;
    rig.store.fail(Call::Find, 1);
    let refused = rig.service.issue(&actor, request_with(grant)).await;
    assert!(matches!(
        refused.unwrap_err(),
        LifecycleError::Unavailable(_)
    ));
    assert_eq!(rig.store.count(Call::Insert), 1);
}

/// Works until it is told not to.
#[derive(Clone, Debug)]
struct FaultyRandom {
    inner: Arc<SeededRandom>,
    broken: Arc<AtomicBool>,
}

impl FaultyRandom {
    fn new() -> Self {
        Self {
            inner: Arc::new(SeededRandom::new(1)),
            broken: Arc::default(),
        }
    }
}

impl SecureRandom for FaultyRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(RandomError::new());
        }
        self.inner.fill(buffer)
    }
}

#[tokio::test]
async fn without_randomness_nothing_is_built_issued_or_rotated() {
    let random = FaultyRandom::new();
    let rig = Rig::new(|it| it.random(random.clone()));
    let issued = rig.issue().await;
    random.broken.store(true, Ordering::SeqCst);
    let issue = rig.service.issue(&admin(), request()).await;
    assert!(matches!(issue.unwrap_err(), LifecycleError::Unavailable(_)));
    let id = &issued.record().id;
    let rotate = rig.service.rotate(&admin(), id, Rotation::AtOnce).await;
    assert!(matches!(
        rotate.unwrap_err(),
        LifecycleError::Unavailable(_)
    ));
    assert!(rig.accepts(issued.key().expose()).await);
    let build = KeyService::builder(MemoryStore::new()).random(random);
    assert!(matches!(build.build().unwrap_err(), BuildError::Random(_)));
}

/// Panics while it is told to.
#[derive(Clone, Debug)]
struct Panicking {
    inner: Bcrypt,
    broken: Arc<AtomicBool>,
}

impl Panicking {
    fn check(&self) {
        assert!(!self.broken.load(Ordering::SeqCst), "told to panic");
    }
}

impl KeyHasher for Panicking {
    fn scheme(&self) -> &str {
        self.inner.scheme()
    }

    fn cost(&self) -> Plan {
        self.inner.cost()
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        self.inner.accepts(text)
    }

    fn is_current(&self, text: &str) -> bool {
        self.inner.is_current(text)
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        self.check();
        self.inner.hash(input, random)
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        self.check();
        self.inner.verify(input, text)
    }
}

#[tokio::test]
async fn a_hasher_that_panics_is_an_outage_and_harms_nobody_else() {
    let hasher = Panicking {
        inner: quick_bcrypt(4),
        broken: Arc::default(),
    };
    let broken = Arc::clone(&hasher.broken);
    for strict in [false, true] {
        let hashing = Hashing::builder().prefer(hasher.clone()).build().unwrap();
        let rig = Rig::new(|it| {
            let it = it.hashing(hashing);
            if strict { it.strict() } else { it }
        });
        let issued = rig.issue().await;
        broken.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert_outage(rig.verify(issued.key().expose()).await);
        }
        let issue = rig.service.issue(&admin(), request()).await;
        assert!(matches!(issue.unwrap_err(), LifecycleError::Unavailable(_)));
        assert_eq!(rig.service.proof_stats().kept, 0);
        broken.store(false, Ordering::SeqCst);
        assert!(rig.accepts(issued.key().expose()).await);
    }
}

#[tokio::test]
async fn a_full_pool_keeps_new_keys_waiting_and_stores_nothing() {
    let rig = Rig::new(|it| it.hash_pool(pool(1, 0)));
    let old = rig.issue().await;
    rig.hasher.gate().close();
    let service = rig.service.clone();
    let running = tokio::spawn(async move { service.issue(&admin(), request()).await });
    wait_for_hashes(&rig, 2).await;
    let issue = rig.service.issue(&admin(), request()).await;
    let rotate = rig
        .service
        .rotate(&admin(), &old.record().id, Rotation::AtOnce)
        .await;
    for outcome in [issue, rotate] {
        assert!(matches!(
            outcome.unwrap_err(),
            LifecycleError::Overloaded { retry_after } if retry_after > Duration::ZERO
        ));
    }
    let verify = rig.verify(old.key().expose()).await.unwrap_err();
    assert!(matches!(verify, VerifyError::Overloaded { .. }));
    rig.hasher.gate().open();
    assert!(running.await.unwrap().is_ok());
    assert_eq!(rig.events_of(AuditKind::KeyRotated).await, []);
    assert_eq!(rig.store.count(Call::Insert), 2);
}

#[tokio::test]
async fn no_clock_makes_anything_panic() {
    for now in [
        Timestamp::MIN,
        Timestamp::from_micros(-1),
        Timestamp::EPOCH,
        Timestamp::MAX,
    ] {
        let rig = Rig::on(TestStore::new(), ManualClock::new(now), |it| it, |it| it);
        let issued = rig.issue().await;
        let id = issued.record().id;
        for other in [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX] {
            rig.clock.set(other);
            let key = rig.verify_from(issued.key().expose(), "192.0.2.1").await;
            assert!(rig.service.limit(&key.unwrap(), 1).await.is_ok());
            rejection(rig.verify_from("nothing", "192.0.2.2").await);
        }
        let grace = Rotation::Grace(HOUR);
        assert!(rig.service.rotate(&admin(), &id, grace).await.is_ok());
        rig.revoke(&issued).await;
        assert_eq!(rig.record(&id).await.revocation.unwrap().at, Timestamp::MAX);
    }
}

#[test]
fn a_service_needs_a_runtime() {
    let build = KeyService::builder(MemoryStore::new()).build();
    assert!(matches!(build.unwrap_err(), BuildError::NoRuntime));
}

#[tokio::test]
async fn a_record_that_is_gone_between_two_reads_is_unknown() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    rig.hasher.gate().close();
    let (service, key) = (rig.service.clone(), issued.key().expose().to_owned());
    let verifying = tokio::spawn(async move {
        let context = keyward::service::RequestContext::new();
        service.verify(key.as_bytes(), &context).await
    });
    wait_for_hashes(&rig, 2).await;
    let revision = rig.record(&id).await.revision;
    rig.store.delete(&id, revision).await.unwrap();
    rig.hasher.gate().open();
    assert_eq!(rejection(verifying.await.unwrap()), Rejection::UnknownKey);
}

#[tokio::test]
async fn an_outage_is_told_to_the_application_with_its_cause() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let rig = Rig::new(|it| {
        it.report_outages(move |operation, error| {
            let cause = error.source().map(ToString::to_string);
            log.lock().unwrap().push((operation, cause));
        })
    });
    let issued = rig.issue().await;
    rig.store.fail(Call::Find, 1);
    assert!(matches!(
        rig.verify(issued.key().expose()).await,
        Err(VerifyError::Unavailable(_))
    ));
    let told = seen.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "verify");
    assert!(
        told[0]
            .1
            .as_ref()
            .is_some_and(|cause| cause.contains("unavailable"))
    );
}

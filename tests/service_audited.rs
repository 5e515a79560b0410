//! Operations on keys whose event is a part of the change.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::audit::{
    AuditError, AuditEvent, AuditKind, AuditObserver, AuditRecorder, MemorySink, Outcome,
};
use keyward::hash::{DigestText, Hashing};
use keyward::key::{KeyId, Revision};
use keyward::random::{RandomError, SecureRandom};
use keyward::service::{
    BuildError, Field, ImportKey, KeyService, KeyServiceBuilder, LifecycleError, RequestContext,
    Rotation, UpdateKey,
};
use keyward::store::sqlx::{self, PgPool, SqlitePool};
use keyward::store::{AuditedStore, KeyStore, ListKeys, PostgresStore, SqliteStore};
use keyward::testing::ManualClock;

mod common;
mod servers;

use common::{HOUR, Ledger, Telling, admin, policy, quick_bcrypt, request};
use servers::Postgres;

/// Keeps what it was shown.
#[derive(Clone, Debug, Default)]
struct Watcher(Arc<Mutex<Vec<AuditEvent>>>);

impl AuditObserver for Watcher {
    fn observe(&self, event: &AuditEvent, _: &mut Vec<AuditEvent>) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Watcher {
    fn operations(&self) -> Vec<AuditEvent> {
        operations(&self.0.lock().unwrap())
    }
}

/// Events of operations, as they were given: their sequence is the store's.
fn operations(events: &[AuditEvent]) -> Vec<AuditEvent> {
    let of_operations = events.iter().filter(|event| event.kind().is_life_cycle());
    of_operations.cloned().collect()
}

fn kinds(events: &[AuditEvent]) -> Vec<(AuditKind, Outcome)> {
    let both = |event: &AuditEvent| (event.kind(), event.outcome());
    events.iter().map(both).collect()
}

fn builder(store: impl AuditedStore) -> KeyServiceBuilder {
    let hashing = Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap();
    KeyService::builder_audited(store)
        .hashing(hashing)
        .policy(policy())
}

/// The same tests on both engines.
macro_rules! on_each_engine {
    ($($engine:ident: $pool:ty, $table:literal, $fresh:expr;)*) => {$(
        mod $engine {
            use super::*;

            async fn trail(pool: &$pool) -> Vec<AuditEvent> {
                let lines = concat!("SELECT event FROM ", $table, " ORDER BY position");
                let lines: Vec<String> = sqlx::query_scalar(lines).fetch_all(pool).await.unwrap();
                lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
            }

            #[tokio::test]
            async fn each_operation_leaves_its_event_once_and_in_order() {
                let (store, pool, _folder) = $fresh.await;
                let (watcher, clock) = (Watcher::default(), ManualClock::default());
                let log = Arc::clone(store.table());
                let service = builder(store).audit_log(log).observer(watcher.clone()).clock(clock.clone());
                let service = service.build().unwrap();
                let expected = everything(&service, &clock).await;
                service.shutdown().await.unwrap();
                let trail = trail(&pool).await;
                let written = operations(&trail);
                assert_eq!(kinds(&written), expected.map(|kind| (kind, Outcome::Success)));
                let sequences: Vec<_> = written.iter().filter_map(AuditEvent::sequence).collect();
                assert_eq!(sequences, (1..=12).collect::<Vec<_>>());
                assert!(trail.iter().any(|event| event.kind() == AuditKind::AuthenticationSucceeded));

                let ids = |events: &[AuditEvent]| events.iter().map(AuditEvent::id).collect::<Vec<_>>();
                assert_eq!(ids(&watcher.operations()), ids(&written));
                assert!(ids(&written).iter().all(Option::is_some));
            }

            #[tokio::test]
            async fn operations_of_many_leave_an_event_each_and_lost_races_none() {
                let (store, pool, _folder) = $fresh.await;
                let service = builder(store).build().unwrap();
                let id = service.issue(&admin(), request()).await.unwrap().record().id;
                let updates = (0..8).map(|number| {
                    let service = service.clone();
                    tokio::spawn(async move {
                        let update = UpdateKey::new().with_name(format!("name {number}"));
                        service.update(&admin(), &id, update).await
                    })
                });
                for update in updates.collect::<Vec<_>>() {
                    update.await.unwrap().unwrap();
                }
                let revocations = (0..8).map(|_| {
                    let service = service.clone();
                    tokio::spawn(async move { service.revoke(&admin(), &id, "over").await })
                });
                for revocation in revocations.collect::<Vec<_>>() {
                    assert!(revocation.await.unwrap().unwrap().unaudited.is_none());
                }
                service.shutdown().await.unwrap();
                let count = |kind| {
                    move |events: &[AuditEvent]| events.iter().filter(|event| event.kind() == kind).count()
                };
                let trail = trail(&pool).await;
                assert!(trail.iter().all(|event| event.outcome() == Outcome::Success));
                assert_eq!(count(AuditKind::KeyUpdated)(&trail), 8);
                assert_eq!(count(AuditKind::KeyRevoked)(&trail), 1);
            }

            #[tokio::test]
            async fn numbers_go_on_when_old_events_are_purged() {
                let (store, pool, _folder) = $fresh.await;
                let service = builder(store).build().unwrap();
                for number in 1..=3 {
                    drop(service.issue(&admin(), request()).await.unwrap());
                    let trail = trail(&pool).await;
                    assert_eq!(trail.last().unwrap().sequence(), Some(number));
                    sqlx::query(concat!("DELETE FROM ", $table)).execute(&pool).await.unwrap();
                }
            }

            #[tokio::test]
            async fn without_the_table_nothing_changes_and_a_revocation_takes_effect() {
                let (store, pool, _folder) = $fresh.await;
                let service = builder(store.clone()).build().unwrap();
                let id = service.issue(&admin(), request()).await.unwrap().record().id;
                sqlx::query(concat!("DROP TABLE ", $table)).execute(&pool).await.unwrap();
                assert!(is_audit(&service.issue(&admin(), request()).await));
                assert!(is_audit(&service.disable(&admin(), &id).await));
                let [record] = &store.list(&ListKeys::new()).await.unwrap().records[..] else {
                    panic!("one key was issued");
                };
                assert_eq!(record.revision, Revision::new(1));
                let revoked = service.revoke(&admin(), &id, "leaked").await.unwrap();
                assert!(matches!(revoked.unaudited, Some(AuditError::Backend { .. })));
                let record = store.find(&id).await.unwrap().unwrap();
                assert!(record.revocation.is_some());
            }

            #[tokio::test]
            async fn an_operation_that_fails_leaves_a_failure_and_nothing_else() {
                let (store, pool, _folder) = $fresh.await;
                let service = builder(store).build().unwrap();
                drop(service.issue(&admin(), request()).await.unwrap());
                let beyond = service.issue(&admin(), request().with_owner_limit(1)).await;
                assert!(matches!(beyond, Err(LifecycleError::OwnerLimit { limit: 1 })));
                service.shutdown().await.unwrap();
                let trail = trail(&pool).await;
                let created = AuditKind::KeyCreated;
                assert_eq!(kinds(&trail), [(created, Outcome::Success), (created, Outcome::Failure)]);
                assert_eq!(trail[1].reason(), Some("owner_limit"));
            }
        }
    )*};
}

on_each_engine! {
    postgres: PgPool, "keyward.audit", async {
        let url = Postgres::shared().database();
        let store = PostgresStore::connect(&url).await.unwrap();
        (store.with_audit("test").await.unwrap(), PgPool::connect(&url).await.unwrap(), ())
    };
    sqlite: SqlitePool, "keyward_audit", async {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
        let pool = store.pool().clone();
        (store.with_audit("test").await.unwrap(), pool, folder)
    };
}

async fn revoke(service: &KeyService, id: &KeyId) {
    let revoked = service.revoke(&admin(), id, "over").await.unwrap();
    assert!(revoked.unaudited.is_none());
}

/// Does everything that can be done to keys, and returns the events that this leaves.
async fn everything(service: &KeyService, clock: &ManualClock) -> [AuditKind; 12] {
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    let digest = DigestText::new("$2b$04$abcdefghijklmnopqrstuuK0pBxIvWmXEyJHPzTtD4nTb4DCXyO1m");
    let import = ImportKey::new("0aZ9bY8cX7dW".parse().unwrap(), digest, request());
    service.import(&admin(), import).await.unwrap();
    let update = UpdateKey::new().with_description(Field::Set("nightly".to_owned()));
    service.update(&admin(), &id, update.clone()).await.unwrap();
    // Nothing to do, and nothing to tell.
    service.update(&admin(), &id, update).await.unwrap();
    service.disable(&admin(), &id).await.unwrap();
    service.disable(&admin(), &id).await.unwrap();
    service.enable(&admin(), &id).await.unwrap();
    for rotation in [Rotation::Grace(HOUR), Rotation::AtOnce] {
        drop(service.rotate(&admin(), &id, rotation).await.unwrap());
    }
    let rotation = Rotation::UntilFirstUse(HOUR);
    let rotated = service.rotate(&admin(), &id, rotation).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let presented = rotated.key().expose().as_bytes().to_vec();
    let context = RequestContext::new();
    // The old secret ends with the first use of the new one.
    service.verify(&presented, &context).await.unwrap();
    revoke(service, &id).await;
    revoke(service, &id).await;
    service.delete(&admin(), &id).await.unwrap();
    let other = "0aZ9bY8cX7dW".parse().unwrap();
    revoke(service, &other).await;
    [
        AuditKind::KeyCreated,
        AuditKind::KeyImported,
        AuditKind::KeyUpdated,
        AuditKind::KeyDisabled,
        AuditKind::KeyEnabled,
        AuditKind::KeyRotated,
        AuditKind::KeyRotated,
        AuditKind::KeyRotated,
        AuditKind::KeyRotated,
        AuditKind::KeyRevoked,
        AuditKind::KeyDeleted,
        AuditKind::KeyRevoked,
    ]
}

async fn events_after(ledger: &Ledger, service: KeyService) -> Vec<(AuditKind, Outcome)> {
    service.shutdown().await.unwrap();
    kinds(&ledger.trail.events())
}

fn is_audit<T>(outcome: &Result<T, LifecycleError>) -> bool {
    matches!(outcome, Err(LifecycleError::Audit(_)))
}

#[tokio::test]
async fn without_its_event_nothing_changes() {
    let ledger = Ledger::new();
    let service = builder(ledger.clone()).build().unwrap();
    let (kept, gone) = (request(), request());
    let kept = service.issue(&admin(), kept).await.unwrap().record().id;
    let gone = service.issue(&admin(), gone).await.unwrap().record().id;
    revoke(&service, &gone).await;
    let before = ledger.list(&ListKeys::new()).await.unwrap().records;

    ledger.telling(Telling::Fails);
    let (actor, rename) = (admin(), UpdateKey::new().with_name("renamed".to_owned()));
    assert!(is_audit(&service.issue(&actor, request()).await));
    assert!(is_audit(&service.update(&actor, &kept, rename).await));
    assert!(is_audit(&service.disable(&actor, &kept).await));
    assert!(is_audit(
        &service.rotate(&actor, &kept, Rotation::AtOnce).await
    ));
    assert!(is_audit(&service.delete(&actor, &gone).await));
    let after = ledger.list(&ListKeys::new()).await.unwrap().records;
    assert_eq!(after, before);

    // A trail that is out of order is not asked to take word of it.
    let events = events_after(&ledger, service).await;
    assert!(
        events
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::Success)
    );
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_revocation_takes_effect_without_its_event_and_says_so() {
    let ledger = Ledger::new();
    let watcher = Watcher::default();
    let service = builder(ledger.clone()).observer(watcher.clone());
    let service = service.build().unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    ledger.telling(Telling::Fails);
    let revoked = service.revoke(&admin(), &id, "leaked").await.unwrap();
    assert!(matches!(
        revoked.unaudited,
        Some(AuditError::Unavailable { .. })
    ));
    assert!(revoked.record.revocation.is_some());
    let presented = issued.key().expose().as_bytes();
    let refused = service.verify(presented, &RequestContext::new()).await;
    assert!(refused.is_err());
    // It is handed to the queue, so that it is not missing for longer than it must.
    let expected = [AuditKind::KeyCreated, AuditKind::KeyRevoked];
    let expected = expected.map(|kind| (kind, Outcome::Success));
    let events = events_after(&ledger, service).await;
    let operations: Vec<_> = events
        .into_iter()
        .filter(|(kind, _)| kind.is_life_cycle())
        .collect();
    assert_eq!(operations, expected);
    assert_eq!(kinds(&watcher.operations()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_does_not_wait_for_a_trail_that_hangs() {
    let ledger = Ledger::new();
    let service = builder(ledger.clone()).build().unwrap();
    let id = service
        .issue(&admin(), request())
        .await
        .unwrap()
        .record()
        .id;
    ledger.telling(Telling::Hangs);
    let begun = tokio::time::Instant::now();
    let revoked = service.revoke(&admin(), &id, "leaked").await.unwrap();
    assert!(revoked.unaudited.is_some());
    assert_eq!(begun.elapsed().as_secs(), 5);
    let record = ledger.find(&id).await.unwrap().unwrap();
    assert!(record.revocation.is_some());
}

/// Draws as often as it is told, and then no more.
#[derive(Clone, Debug)]
struct Draws(Arc<Mutex<u32>>);

impl SecureRandom for Draws {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(1).ok_or(RandomError::new())?;
        keyward::random::OsRandom::new().fill(bytes)
    }
}

#[tokio::test]
async fn an_event_without_an_id_is_one_that_cannot_be_written() {
    let (ledger, draws) = (Ledger::new(), Draws(Arc::new(Mutex::new(u32::MAX))));
    let service = builder(ledger.clone()).random(draws.clone());
    let service = service.build().unwrap();
    let id = service
        .issue(&admin(), request())
        .await
        .unwrap()
        .record()
        .id;
    *draws.0.lock().unwrap() = 0;
    assert!(is_audit(&service.disable(&admin(), &id).await));
    let revoked = service.revoke(&admin(), &id, "leaked").await.unwrap();
    assert!(matches!(revoked.unaudited, Some(AuditError::Random(_))));
}

#[tokio::test]
async fn a_store_that_keeps_the_trail_takes_no_other_sink() {
    let other = builder(Ledger::new()).audit(MemorySink::unbounded());
    assert!(matches!(other.build(), Err(BuildError::TwoTrails)));
}

#[tokio::test]
async fn a_recorder_of_the_applications_own_takes_the_events_of_requests() {
    let ledger = Ledger::new();
    let recorder = AuditRecorder::builder(ledger.sink()).start().unwrap();
    let service = builder(ledger.clone()).recorder(recorder).build().unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let presented = issued.key().expose().as_bytes();
    let verified = service.verify(presented, &RequestContext::new()).await;
    verified.unwrap();
    assert_eq!(
        events_after(&ledger, service).await,
        [
            (AuditKind::KeyCreated, Outcome::Success),
            (AuditKind::AuthenticationSucceeded, Outcome::Success),
        ]
    );
}

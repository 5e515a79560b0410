//! A store that keeps the trail while the audit table is held up: operations are refused in time, revocations take effect,
//! requests go on, and nobody holds up the others.
#![cfg(all(feature = "postgres", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::time::{Duration, Instant};

use keyward::access::Grant;
use keyward::audit::{AuditEvent, AuditKind, EventId};
use keyward::hash::{Bcrypt, Hashing};
use keyward::key::KeyId;
use keyward::service::{Actor, IssueKey, KeyService, LifecycleError, RequestContext};
use keyward::store::sqlx::{self, PgPool, Postgres as Engine, Transaction};
use keyward::store::{AuditedPostgresStore, AuditedStore, KeyStore, PostgresStore};
use keyward::time::Timestamp;

mod servers;

use servers::{Postgres, Proxy, unique};

fn service(store: AuditedPostgresStore) -> KeyService {
    let quick = Bcrypt::builder().dangerous().low_cost(4).accepted(4..=12);
    let hashing = Hashing::builder().prefer(quick.build().unwrap());
    let builder = KeyService::builder_audited(store).hashing(hashing.build().unwrap());
    builder.build().unwrap()
}

async fn connect(url: &str) -> AuditedPostgresStore {
    let store = PostgresStore::connect(url).await.unwrap();
    store.with_audit("faults").await.unwrap()
}

fn actor() -> Actor {
    Actor::system("test").unwrap()
}

fn request() -> IssueKey {
    let grant = Grant::try_scopes(["leads:read".parse().unwrap()]).unwrap();
    IssueKey::new("acme".parse().unwrap(), "fault", grant)
}

async fn issue(service: &KeyService) -> (KeyId, Vec<u8>) {
    let issued = service.issue(&actor(), request()).await.unwrap();
    let presented = issued.key().expose().as_bytes().to_vec();
    (issued.record().id, presented)
}

async fn count(pool: &PgPool, what: &'static str) -> i64 {
    sqlx::query_scalar(what).fetch_one(pool).await.unwrap()
}

const REVOKED: &str =
    "SELECT count(*) FROM keyward.audit WHERE kind = 'key_revoked' AND outcome = 'success'";

/// What somebody does to the audit table for as long as the transaction lasts.
async fn held<'p>(pool: &'p PgPool, how: &'static str) -> Transaction<'p, Engine> {
    let mut holder = pool.begin().await.unwrap();
    sqlx::raw_sql(how).execute(&mut *holder).await.unwrap();
    holder
}

/// Alone: nobody is in the way but the table, and the server is done with the step that failed when it is left.
async fn a_revocation_takes_effect_in_time(service: &KeyService, id: &KeyId) {
    let begun = Instant::now();
    let revoked = service.revoke(&actor(), id, "leaked").await.unwrap();
    assert!(revoked.unaudited.is_some());
    // Half of the deadline for the table; some for a busy machine.
    let waited = begun.elapsed();
    assert!(waited < Duration::from_millis(1900), "{waited:?}");
}

/// More than connections of the pool.
const OPERATIONS: usize = 12;

async fn operations_end_in_time_and_revocations_take_effect(how: &'static str) {
    let url = Postgres::shared().database();
    let pool = PgPool::connect(&url).await.unwrap();
    let service = service(connect(&url).await);
    let (revoked, refused) = (issue(&service).await, issue(&service).await);
    let (other, _) = issue(&service).await;
    let (alone, _) = issue(&service).await;
    let holder = held(&pool, how).await;
    a_revocation_takes_effect_in_time(&service, &alone).await;

    let begun = Instant::now();
    let operation = |number| {
        let service = service.clone();
        tokio::spawn(async move {
            if number % 2 == 0 {
                service.disable(&actor(), &other).await.map(|_| ())
            } else {
                service.issue(&actor(), request()).await.map(drop)
            }
        })
    };
    let operations: Vec<_> = (0..OPERATIONS).map(operation).collect();
    let revocation = tokio::spawn({
        let service = service.clone();
        async move { service.revoke(&actor(), &revoked.0, "leaked").await }
    });
    // As many requests as the time allows, and none waits.
    let mut slowest = Duration::ZERO;
    while !operations.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Instant::now();
        let verified = service.verify(&refused.1, &RequestContext::new()).await;
        verified.unwrap();
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for operation in operations {
        let outcome = operation.await.unwrap();
        assert!(
            matches!(outcome, Err(LifecycleError::Audit(_))),
            "{outcome:?}"
        );
    }
    let revoked_at = revocation.await.unwrap().unwrap();
    assert!(revoked_at.unaudited.is_some());
    // The deadline for a turn, and then half of it for the table; some for a busy machine.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let verified = service.verify(&revoked.1, &RequestContext::new()).await;
    assert!(verified.is_err());
    assert_eq!(count(&pool, "SELECT count(*) FROM keyward.keys").await, 4);
    let unchanged = "SELECT count(*) FROM keyward.keys WHERE revision = 1";
    assert_eq!(count(&pool, unchanged).await, 2);

    holder.rollback().await.unwrap();
    issue(&service).await;
    service.disable(&actor(), &other).await.unwrap();
    service.shutdown().await.unwrap();
    // Their events were left to the queue.
    assert_eq!(count(&pool, REVOKED).await, 2);
    let twice = "SELECT count(*) - count(DISTINCT (recorder, sequence)) FROM keyward.audit";
    assert_eq!(count(&pool, twice).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_locked_table_holds_up_no_request_and_no_revocation() {
    let how = "LOCK TABLE keyward.audit IN ACCESS EXCLUSIVE MODE";
    operations_end_in_time_and_revocations_take_effect(how).await;
}

/// "kwaudit" in ASCII: what each writer of events takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_that_does_not_end_holds_up_no_request_and_no_revocation() {
    let how = "SELECT pg_advisory_xact_lock(30249082973088116)";
    operations_end_in_time_and_revocations_take_effect(how).await;
}

/// An event of a change to a key, with an id.
fn event() -> AuditEvent {
    AuditEvent::new(AuditKind::KeyUpdated, Timestamp::EPOCH)
        .with_id(EventId::new(Timestamp::EPOCH, &unique_bytes()))
}

fn unique_bytes() -> [u8; EventId::RANDOM_BYTES] {
    let name = unique("x");
    *name.as_bytes().last_chunk().unwrap()
}

fn through(proxy: &Proxy, url: &str) -> String {
    let database = url.strip_prefix("postgres:///").unwrap();
    let database = database.split('?').next().unwrap();
    let address = proxy.address();
    format!("postgres://postgres@{address}/{database}?sslmode=disable")
}

/// A process that is frozen with the trail's lock in its hand: its transaction is ended by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_is_frozen_does_not_hold_up_the_trail_of_the_others() {
    let url = Postgres::shared().database();
    let pool = PgPool::connect(&url).await.unwrap();
    let store = connect(&url).await;
    let keys = service(store.clone());
    let (id, _) = issue(&keys).await;
    let holder = held(&pool, "SELECT pg_advisory_xact_lock(30249082973088116)").await;
    let (freeze, frozen) = tokio::sync::oneshot::channel();
    let (thaw, thawed) = std::sync::mpsc::channel::<()>();
    let process = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.spawn(async move {
            let frozen = connect(&url).await;
            let record = frozen.find(&id).await.unwrap().unwrap();
            frozen.update_with_event(&record, &event()).await
        });
        // Whoever does not drive a runtime stops everything in it.
        runtime.block_on(frozen).unwrap();
        let _ = thawed.recv();
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
    while count(&pool, waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    freeze.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    holder.rollback().await.unwrap();

    let end = Instant::now() + Duration::from_secs(5);
    while let Err(error) = keys.disable(&actor(), &id).await {
        assert!(
            matches!(
                error,
                LifecycleError::Audit(_) | LifecycleError::Unavailable(_)
            ),
            "{error:?}"
        );
        assert!(Instant::now() < end, "the trail stays held up");
    }
    let record = store.find(&id).await.unwrap().unwrap();
    assert_eq!(record.revision.number(), 2);
    drop(thaw);
    process.join().unwrap();
}

/// Connections that are gone, whoever ended them, cost no operation when new ones work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_cost_no_operation() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let url = server.database();
    let service = service(connect(&through(&proxy, &url)).await);
    let pool = PgPool::connect(&url).await.unwrap();
    issue(&service).await;
    for round in 0..6 {
        if round % 3 == 0 {
            proxy.cut();
            proxy.flow();
        } else if round % 3 == 1 {
            // Nobody says that they are gone.
            proxy.lose();
        } else {
            let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            assert!(count(&pool, others).await > 0);
        }
        issue(&service).await;
    }
    service.shutdown().await.unwrap();
    assert_eq!(count(&pool, "SELECT count(*) FROM keyward.keys").await, 7);
    let created = "SELECT count(*) FROM keyward.audit WHERE kind = 'key_created'";
    assert_eq!(count(&pool, created).await, 7);
}

/// A change that is refused ends its transaction, and the connection serves the next one.
#[tokio::test]
async fn a_refused_change_ends_its_transaction_and_keeps_its_connection() {
    let url = Postgres::shared().database();
    let store = connect(&url).await;
    let pool = PgPool::connect(&url).await.unwrap();
    let (id, _) = issue(&service(store.clone())).await;
    let mut stale = (*store.find(&id).await.unwrap().unwrap()).clone();
    stale.revision = stale.revision.next();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        store.update_with_event(&stale, &event()).await.unwrap_err();
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND state LIKE 'idle in transaction%'";
        assert_eq!(count(&pool, open).await, 0);
        let ended = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'ROLLBACK'";
        let ended = sqlx::query_scalar::<_, i32>(ended).fetch_all(&pool).await;
        sessions.extend(ended.unwrap());
    }
    let [first, rest @ ..] = &sessions[..] else {
        panic!("nobody rolled back");
    };
    assert_eq!(rest, [*first; 2]);
}

/// Makes the commit of a key named `slow` take a while.
const SLOW_COMMITS: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN IF NEW.name = 'slow' THEN PERFORM pg_sleep(0.6); END IF; RETURN NEW; END$$; \
     CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON keyward.keys DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION slow()";

/// A caller leaves while the server commits: both are made, and whoever comes next counts on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_waits_for_is_counted() {
    let url = Postgres::shared().database();
    let service = service(connect(&url).await);
    let pool = PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql(SLOW_COMMITS).execute(&pool).await.unwrap();
    issue(&service).await;
    let leaving = tokio::spawn({
        let service = service.clone();
        let grant = Grant::try_scopes(["leads:read".parse().unwrap()]).unwrap();
        let request = IssueKey::new("acme".parse().unwrap(), "slow", grant);
        async move { service.issue(&actor(), request).await }
    });
    let commits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND query = 'COMMIT' AND wait_event = 'PgSleep'";
    while count(&pool, commits).await == 0 {
        tokio::task::yield_now().await;
    }
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    issue(&service).await;
    let trail = "SELECT sequence FROM keyward.audit ORDER BY position";
    let trail = sqlx::query_scalar::<_, i64>(trail).fetch_all(&pool).await;
    assert_eq!(trail.unwrap(), [1, 2, 3]);
    assert_eq!(count(&pool, "SELECT count(*) FROM keyward.keys").await, 3);
}

/// Old events may be purged, and the connection may be another one: no number is given twice.
#[tokio::test]
async fn numbers_of_purged_events_do_not_come_again() {
    let url = Postgres::shared().database();
    let store = connect(&url).await;
    let pool = PgPool::connect(&url).await.unwrap();
    let service = service(store.clone());
    issue(&service).await;
    issue(&service).await;
    let purge = "DELETE FROM keyward.audit";
    sqlx::query(purge).execute(&pool).await.unwrap();
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(count(&pool, others).await > 0);
    issue(&service).await;
    assert_eq!(
        count(&pool, "SELECT max(sequence) FROM keyward.audit").await,
        3
    );
}

/// Two processes that were started from one name never count the same.
#[tokio::test]
async fn processes_of_one_label_count_by_themselves() {
    let url = Postgres::shared().database();
    let (here, there) = (connect(&url).await, connect(&url).await);
    assert_ne!(here.recorder(), there.recorder());
    for store in [&here, &there] {
        issue(&service(store.clone())).await;
        assert!(store.recorder().starts_with("faults/"));
    }
    let pool = PgPool::connect(&url).await.unwrap();
    let ones = "SELECT count(DISTINCT recorder) FROM keyward.audit WHERE sequence = 1 AND kind = 'key_created'";
    assert_eq!(count(&pool, ones).await, 2);
}

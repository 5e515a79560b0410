//! Connections under PostgreSQL's stores: none is lost to the pool, whoever forgets, ends, holds or drops one.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use keyward::access::{Grant, Scope};
use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, AuditSink as _, PostgresAuditSink};
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, KeyId, KeyRecord};
use keyward::store::sqlx::postgres::PgPoolOptions;
use keyward::store::sqlx::{self, AssertSqlSafe, PgPool};
use keyward::store::{InsertKey, KeyStore, ListKeys, PostgresStore, StoreError};
use keyward::time::Timestamp;

mod servers;

use servers::{Postgres, Proxy};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn id(number: u32) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

fn record(number: u32) -> KeyRecord {
    KeyRecord::new(
        id(number),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(vec![Scope::from_stored("leads:read")]),
        Credential::new(DigestText::new("$2b$12$x"), SecretOrigin::Generated, NOW),
        NOW,
        "user:ana".parse().unwrap(),
    )
}

async fn connect(url: &str, connections: u32, deadline: Duration) -> PostgresStore {
    let builder = PostgresStore::builder(url).unwrap().deadline(deadline);
    let connections = NonZeroU32::new(connections).unwrap();
    builder.connections(connections).connect().await.unwrap()
}

fn through(proxy: &Proxy, url: &str) -> String {
    let database = url
        .strip_prefix("postgres:///")
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    format!(
        "postgres://postgres@{}/{database}?sslmode=disable",
        proxy.address()
    )
}

/// Opens so many connections and waits until all of them lie in the pool.
async fn fill(pool: &PgPool, count: usize) {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(pool.acquire().await.unwrap());
    }
    drop(taken);
    until(|| pool.num_idle() >= count).await;
}

async fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Tries until it works, and fails the test if it never does.
async fn until_ok<T>(mut attempt: impl AsyncFnMut() -> Result<T, StoreError>) {
    let end = Instant::now() + Duration::from_secs(30);
    while let Err(error) = attempt().await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(Instant::now() < end, "it does not recover: {error:?}");
    }
}

/// A firewall has forgotten all of them, and says nothing. Writes find out first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_that_were_forgotten_do_not_use_up_the_pool() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let url = through(&proxy, &server.database());
    let store = connect(&url, 8, Duration::from_secs(1)).await;
    store.insert(InsertKey::new(record(1))).await.unwrap();
    fill(store.pool(), 8).await;
    proxy.lose();
    let mut number = 10;
    until_ok(async || {
        number += 1;
        store.insert(InsertKey::new(record(number))).await
    })
    .await;
    until_ok(async || store.find(&id(1)).await).await;
    // And all places are there again.
    fill(store.pool(), 8).await;
}

/// Two trips of a third of a second for each statement, and more readers than fit into one: late, and all of them right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_slower_than_anybodys_patience_answers_everybody() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let url = through(&proxy, &server.database());
    let store = connect(&url, 8, Duration::from_secs(5)).await;
    store.insert(InsertKey::new(record(1))).await.unwrap();
    fill(store.pool(), 8).await;
    store.find(&id(1)).await.unwrap();
    proxy.delay(Duration::from_millis(160));
    let reads: Vec<_> = (0..400)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find(&id(1)).await })
        })
        .collect();
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
}

/// An index is made, a purge runs: the audit table takes no rows for a while. That is nobody's business who verifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_audit_table_takes_no_connection_from_the_store() {
    let url = Postgres::shared().database();
    let store = connect(&url, 4, Duration::from_millis(500)).await;
    store.insert(InsertKey::new(record(1))).await.unwrap();
    let sink = PostgresAuditSink::from_pool(store.pool().clone(), "test").unwrap();
    sink.migrate().await.unwrap();
    sink.write(&[AuditEvent::new(AuditKind::RequestCompleted, NOW)])
        .await
        .unwrap();
    let other = PgPool::connect(&url).await.unwrap();
    let mut holder = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE keyward.audit IN SHARE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let recorder = AuditRecorder::builder(sink).start().unwrap();
    for _ in 0..2 {
        recorder.enqueue(AuditEvent::new(AuditKind::RequestCompleted, NOW));
    }
    // Longer than it takes the recorder to try twice.
    let end = Instant::now() + Duration::from_secs(11);
    while Instant::now() < end {
        assert!(store.find(&id(1)).await.unwrap().is_some());
        assert_eq!(store.list(&ListKeys::new()).await.unwrap().records.len(), 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nor do statements that were given up pile up in the server.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&other).await.unwrap();
    assert!(waiting <= 2, "{waiting} statements wait for the table");
    holder.rollback().await.unwrap();
    recorder.flush().await.unwrap();
}

/// A failover ends all of them. The server is back when the first event is to be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_written_although_every_connection_has_ended() {
    let url = Postgres::shared().database();
    let store = connect(&url, 8, Duration::from_secs(2)).await;
    let sink = PostgresAuditSink::from_pool(store.pool().clone(), "test").unwrap();
    sink.migrate().await.unwrap();
    sink.write(&[AuditEvent::new(AuditKind::KeyCreated, NOW)])
        .await
        .unwrap();
    fill(store.pool(), 8).await;
    let other = PgPool::connect(&url).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(end).execute(&other).await.unwrap();
    sink.write(&[AuditEvent::new(AuditKind::KeyCreated, NOW)])
        .await
        .unwrap();
    store.insert(InsertKey::new(record(1))).await.unwrap();
    assert!(store.find(&id(1)).await.unwrap().is_some());
}

/// The server ends sessions that say nothing, and says so on the next use: over TCP, as words rather than a broken pipe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_the_server_has_ended_for_idling_cost_no_read() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let url = server.database();
    let name = url
        .strip_prefix("postgres:///")
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let direct = connect(&url, 2, Duration::from_secs(2)).await;
    direct.insert(InsertKey::new(record(1))).await.unwrap();
    let setting = format!("ALTER DATABASE {name} SET idle_session_timeout = '300ms'");
    sqlx::raw_sql(AssertSqlSafe(setting))
        .execute(direct.pool())
        .await
        .unwrap();
    direct.close().await;
    let store = connect(&through(&proxy, &url), 8, Duration::from_secs(2)).await;
    fill(store.pool(), 4).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let counter = PgPoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    sqlx::raw_sql("SET idle_session_timeout = 0")
        .execute(&counter)
        .await
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while sqlx::query_scalar::<_, i64>(sessions)
        .fetch_one(&counter)
        .await
        .unwrap()
        > 0
    {
        assert!(Instant::now() < end, "the sessions do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..4 {
        assert!(store.find(&id(1)).await.unwrap().is_some());
    }
}

/// Two stores by mistake, where clones of one would do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_over_one_small_pool_leave_writers_their_turn() {
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5));
    let pool = pool.connect(&Postgres::shared().database()).await.unwrap();
    let (here, there) = (
        PostgresStore::from_pool(pool.clone()),
        PostgresStore::from_pool(pool),
    );
    here.migrate().await.unwrap();
    let load: Vec<_> = (0..16)
        .map(|task| {
            let store = if task % 2 == 0 {
                here.clone()
            } else {
                there.clone()
            };
            tokio::spawn(async move {
                loop {
                    let _ = store.find(&id(1)).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for number in 1..=20 {
        here.insert(InsertKey::new(record(number))).await.unwrap();
    }
    load.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A program that is not asynchronous throughout may drop what it began, anywhere.
#[test]
fn a_write_that_is_dropped_outside_the_runtime_does_no_harm() {
    let url = Postgres::shared().database();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (store, holder) = runtime.block_on(async {
        let store = connect(&url, 3, Duration::from_secs(2)).await;
        store.insert(InsertKey::new(record(1))).await.unwrap();
        let other = PgPool::connect(&url).await.unwrap();
        let mut holder = other.begin().await.unwrap();
        let lock = "LOCK TABLE keyward.keys IN EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *holder).await.unwrap();
        (store, holder)
    });
    let mut update = Box::pin({
        let store = store.clone();
        async move { store.update(&record(1)).await }
    });
    let begun = tokio::time::timeout;
    runtime.block_on(async {
        let waited = begun(Duration::from_millis(200), &mut update).await;
        assert!(waited.is_err());
    });
    drop(update);
    runtime.block_on(async {
        drop(holder);
        until_ok(async || store.find(&id(1)).await).await;
    });
}

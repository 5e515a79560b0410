//! Audit tables, on each engine: what the conformance suite cannot see from outside.
#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyward::audit::{
    ActorRef, AuditError, AuditEvent, AuditKind, AuditRecorder, AuditSink, EventId,
    PostgresAuditSink, SqliteAuditSink,
};
use keyward::store::sqlx::{self, PgPool, SqlitePool};
use keyward::time::Timestamp;

mod servers;

use servers::Postgres;

fn event(number: u8) -> AuditEvent {
    let time = Timestamp::from_secs(1_700_000_000);
    AuditEvent::new(AuditKind::KeyCreated, time)
        .with_id(EventId::new(time, &[number; EventId::RANDOM_BYTES]))
        .with_sequence(number.into())
}

fn batch(numbers: std::ops::RangeInclusive<u8>) -> Vec<AuditEvent> {
    numbers.map(event).collect()
}

/// The same tests on both engines.
macro_rules! on_each_engine {
    ($($engine:ident: $pool:ty, $sink:ty, $table:literal, $memory:literal, $fresh:expr;)*) => {$(
        mod $engine {
            use super::*;

            async fn fresh() -> ($pool, Option<tempfile::TempDir>) {
                $fresh.await
            }

            async fn sink(pool: &$pool, label: &str) -> $sink {
                let sink = <$sink>::from_pool(pool.clone(), label).unwrap();
                sink.migrate().await.unwrap();
                sink
            }

            async fn number(pool: &$pool, statement: &'static str) -> i64 {
                sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
            }

            #[tokio::test]
            async fn a_batch_that_is_repeated_stands_there_once() {
                let (pool, _folder) = fresh().await;
                let sink = sink(&pool, "test").await;
                sink.write(&batch(1..=3)).await.unwrap();
                sink.write(&batch(1..=5)).await.unwrap();
                assert_eq!(number(&pool, concat!("SELECT count(*) FROM ", $table)).await, 5);
                assert_eq!(sink.last_sequence().await.unwrap(), Some(5));
            }

            #[tokio::test]
            async fn processes_of_one_label_count_by_themselves() {
                let (pool, _folder) = fresh().await;
                let (here, there) = (sink(&pool, "api").await, sink(&pool, "api").await);
                assert_ne!(here.recorder(), there.recorder());
                assert!(here.recorder().starts_with("api/"));
                let recorders = [here, there].map(|sink| AuditRecorder::builder(sink).start().unwrap());
                for recorder in &recorders {
                    let time = Timestamp::from_secs(1);
                    recorder.record(AuditEvent::new(AuditKind::KeyCreated, time)).await.unwrap();
                    recorder.record(AuditEvent::new(AuditKind::KeyRevoked, time)).await.unwrap();
                    recorder.shutdown().await.unwrap();
                }
                let sum: i64 = number(&pool, concat!("SELECT CAST(sum(sequence) AS BIGINT) FROM ", $table)).await;
                assert_eq!(sum, 1 + 2 + 1 + 2);
            }

            #[tokio::test]
            async fn columns_repeat_the_event_as_it_stands_in_its_line() {
                let (pool, _folder) = fresh().await;
                let sink = sink(&pool, "label of a process that is far longer than anybody needs, and goes on and on").await;
                let hostile = "nul\0 esc\u{1b}[2J \"quoted\"";
                let event = event(7)
                    .with_failure("refused")
                    .with_actor(ActorRef::new("user", hostile))
                    .with_key_id(hostile)
                    .with_owner(hostile)
                    .with_tenant("north");
                sink.write(std::slice::from_ref(&event)).await.unwrap();
                let columns = concat!("SELECT recorder, kind, outcome, actor, key_id, owner, tenant, event FROM ", $table);
                type Columns = (String, String, String, String, String, String, String, String);
                let found: Columns = sqlx::query_as(columns).fetch_one(&pool).await.unwrap();
                let (recorder, kind, outcome, actor, key_id, owner, tenant, line) = found;
                let escaped = r#"nul\u0000 esc\u001b[2J \"quoted\""#;
                assert_eq!(recorder, sink.recorder());
                assert!(recorder.len() <= 64 + 17);
                assert_eq!((kind.as_str(), outcome.as_str()), ("key_created", "failure"));
                assert_eq!(actor, format!("user:{escaped}"));
                assert_eq!((key_id.as_str(), owner.as_str(), tenant.as_str()), (escaped, escaped, "north"));
                assert_eq!(serde_json::from_str::<AuditEvent>(&line).unwrap(), event);
            }

            #[tokio::test]
            async fn refuses_tables_of_a_newer_version() {
                let (pool, _folder) = fresh().await;
                let sink = sink(&pool, "test").await;
                sink.migrate().await.unwrap();
                let later = concat!(
                    "INSERT INTO ", $memory, " SELECT 7, 'later', installed_on, success, checksum, 0 FROM ", $memory
                );
                sqlx::query(later).execute(&pool).await.unwrap();
                let error = sink.migrate().await.unwrap_err();
                let AuditError::Backend { source, .. } = &error else {
                    panic!("{error:?}");
                };
                assert!(source.to_string().contains("made by a newer version: step 7"));
            }

            #[tokio::test]
            async fn a_database_without_the_table_is_an_error_and_no_loss() {
                let (pool, _folder) = fresh().await;
                let sink = <$sink>::from_pool(pool.clone(), "test").unwrap();
                assert!(matches!(sink.write(&batch(1..=2)).await, Err(AuditError::Backend { .. })));
                assert!(sink.last_sequence().await.is_err());
                sink.migrate().await.unwrap();
                sink.write(&batch(1..=2)).await.unwrap();
                assert_eq!(sink.last_sequence().await.unwrap(), Some(2));
            }
        }
    )*};
}

on_each_engine! {
    postgres: PgPool, PostgresAuditSink, "keyward.audit", "keyward.audit_migrations", async {
        (PgPool::connect(&Postgres::shared().database()).await.unwrap(), None)
    };
    sqlite: SqlitePool, SqliteAuditSink, "keyward_audit", "keyward_audit_migrations", async {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("audit.db").display());
        (SqlitePool::connect(&url).await.unwrap(), Some(folder))
    };
}

/// Whoever reads on from the last position it saw has seen everything in the end, although four processes write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn positions_rise_in_the_order_in_which_events_can_be_seen() {
    const WRITERS: usize = 4;
    const BATCHES: i64 = 60;
    let url = Postgres::shared().database();
    let pool = PgPool::connect(&url).await.unwrap();
    PostgresAuditSink::from_pool(pool.clone(), "x")
        .unwrap()
        .migrate()
        .await
        .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (pool, done) = (pool.clone(), Arc::clone(&done));
        async move {
            let (mut last, mut seen) = (0_i64, 0_i64);
            loop {
                let ended = done.load(Ordering::SeqCst);
                let more =
                    "SELECT position FROM keyward.audit WHERE position > $1 ORDER BY position";
                let more: Vec<i64> = sqlx::query_scalar(more)
                    .bind(last)
                    .fetch_all(&pool)
                    .await
                    .unwrap();
                seen += i64::try_from(more.len()).unwrap();
                last = more.last().copied().unwrap_or(last);
                if ended && more.is_empty() {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let pool = PgPool::connect(&url).await.unwrap();
                let sink = PostgresAuditSink::from_pool(pool, "w").unwrap();
                for _ in 0..BATCHES {
                    let event = AuditEvent::new(AuditKind::RequestCompleted, Timestamp::EPOCH);
                    sink.write(&[event.clone(), event.clone(), event])
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let written = 3 * BATCHES * i64::try_from(WRITERS).unwrap();
    assert_eq!(reader.await.unwrap(), written);
}

/// Somebody holds the lock that every writer takes. What was given up may be written when the lock is free, and what is
/// written again then is not there twice.
#[tokio::test]
async fn a_batch_that_waits_too_long_is_unavailable_and_can_be_written_again() {
    let pool = PgPool::connect(&Postgres::shared().database())
        .await
        .unwrap();
    let sink = PostgresAuditSink::from_pool(pool.clone(), "test").unwrap();
    sink.migrate().await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    // "kwaudit" in ASCII: documented, so that whoever purges can take it too.
    let lock = "SELECT pg_advisory_xact_lock(30249082973088116)";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let error = sink.write(&batch(1..=3)).await.unwrap_err();
    assert!(matches!(error, AuditError::Unavailable { .. }), "{error:?}");
    holder.rollback().await.unwrap();
    sink.write(&batch(1..=3)).await.unwrap();
    let count = "SELECT count(*) FROM keyward.audit";
    let count: i64 = sqlx::query_scalar(count).fetch_one(&pool).await.unwrap();
    assert_eq!(count, 3);
}

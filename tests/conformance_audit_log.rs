//! The rules of `AuditLog`, for every trail that can be read.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;

use keyward::async_trait;
use keyward::audit::{
    AuditError, AuditLog, AuditPage, AuditQuery, AuditSink, LoggedEvent, MemorySink,
};
use keyward::testing::audit_log_rules::{self, LogProbe};

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod servers;

struct Probe<L> {
    log: Arc<L>,
    sink: Arc<dyn AuditSink>,
}

#[async_trait]
impl<L: AuditLog> LogProbe for Probe<L> {
    fn log(&self) -> Arc<dyn AuditLog> {
        Arc::<L>::clone(&self.log)
    }

    fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::clone(&self.sink)
    }

    async fn damage_the_newest(&self) -> bool {
        false
    }
}

fn over_memory<L: AuditLog>(wrap: impl FnOnce(MemorySink) -> L) -> Probe<L> {
    let memory = MemorySink::unbounded();
    Probe {
        log: Arc::new(wrap(memory.clone())),
        sink: Arc::new(memory),
    }
}

async fn memory() -> Probe<MemorySink> {
    over_memory(|memory| memory)
}

async fn pointers() -> Probe<Box<dyn AuditLog>> {
    over_memory(|memory| Box::new(Arc::new(memory)) as Box<dyn AuditLog>)
}

keyward::audit_log_conformance!(memory_log, super::memory);
keyward::audit_log_conformance!(box_and_arc_log, super::pointers);

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sql {
    use std::sync::Arc;

    use keyward::async_trait;
    use keyward::audit::{AuditLog, AuditSink, PostgresAuditSink, SqliteAuditSink};
    use keyward::store::sqlx::{self, PgPool, SqlitePool};
    use keyward::testing::audit_log_rules::LogProbe;

    use super::servers::Postgres;

    pub(super) struct Table<S, P> {
        sink: Arc<S>,
        pool: P,
        _folder: Option<tempfile::TempDir>,
    }

    macro_rules! probe {
        ($sink:ty, $pool:ty, $damage:literal) => {
            #[async_trait]
            impl LogProbe for Table<$sink, $pool> {
                fn log(&self) -> Arc<dyn AuditLog> {
                    Arc::<$sink>::clone(&self.sink)
                }

                fn sink(&self) -> Arc<dyn AuditSink> {
                    Arc::<$sink>::clone(&self.sink)
                }

                async fn damage_the_newest(&self) -> bool {
                    let damaged = sqlx::query($damage).execute(&self.pool).await.unwrap();
                    damaged.rows_affected() == 1
                }
            }
        };
    }

    probe!(
        PostgresAuditSink,
        PgPool,
        "UPDATE keyward.audit SET event = left(event, -1) WHERE position = (SELECT max(position) FROM keyward.audit)"
    );
    probe!(
        SqliteAuditSink,
        SqlitePool,
        "UPDATE keyward_audit SET event = substr(event, 2) WHERE position = (SELECT max(position) FROM keyward_audit)"
    );

    pub(super) async fn postgres() -> Table<PostgresAuditSink, PgPool> {
        let pool = PgPool::connect(&Postgres::shared().database())
            .await
            .unwrap();
        let sink = PostgresAuditSink::from_pool(pool.clone(), "test").unwrap();
        sink.migrate().await.unwrap();
        Table {
            sink: Arc::new(sink),
            pool,
            _folder: None,
        }
    }

    pub(super) async fn sqlite() -> Table<SqliteAuditSink, SqlitePool> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let sink = SqliteAuditSink::open(&path, "test").await.unwrap();
        let pool = SqlitePool::connect(&format!("sqlite:{}", path.display()))
            .await
            .unwrap();
        Table {
            sink: Arc::new(sink),
            pool,
            _folder: Some(folder),
        }
    }
}

#[cfg(all(feature = "postgres", feature = "sqlite"))]
keyward::audit_log_conformance!(postgres_log, super::sql::postgres);
#[cfg(all(feature = "postgres", feature = "sqlite"))]
keyward::audit_log_conformance!(sqlite_log, super::sql::sqlite);

/// A trail that breaks a rule, to see that the rules notice.
#[derive(Debug)]
struct Broken<F>(MemorySink, F);

#[async_trait]
impl<F> AuditLog for Broken<F>
where
    F: Fn(&AuditQuery, Vec<LoggedEvent>) -> AuditPage + std::fmt::Debug + Send + Sync + 'static,
{
    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let all = self.0.page(&query.clone().with_page_size(1000)).await?;
        Ok((self.1)(query, all.events))
    }
}

#[tokio::test]
#[should_panic(expected = "an over-full page")]
async fn notices_pages_without_a_bound() {
    let unbounded: fn(&AuditQuery, Vec<LoggedEvent>) -> AuditPage =
        |_, events| AuditPage::cut(events, 1000);
    let probe = over_memory(|memory| Broken(memory, unbounded));
    audit_log_rules::keeps_pages_within_their_bounds(&probe).await;
}

#[tokio::test]
#[should_panic(expected = "left == right")]
async fn notices_an_event_that_is_left_out() {
    let lossy: fn(&AuditQuery, Vec<LoggedEvent>) -> AuditPage = |query, mut events| {
        events.retain(|found| found.event.sequence() != Some(17));
        AuditPage::cut(events, query.page_size())
    };
    let probe = over_memory(|memory| Broken(memory, lossy));
    audit_log_rules::pages_hold_every_event_once(&probe).await;
}

//! The rules of `AuditSink`, for every sink that can be read back and every wrapper.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::path::PathBuf;
use std::sync::Arc;

use keyward::async_trait;
use keyward::audit::{
    AuditError, AuditEvent, AuditSink, FanOut, JsonLinesBuilder, JsonLinesSink, MemorySink,
    SyncPolicy, trail_files, verify_chain,
};
use keyward::testing::FaultySink;
use keyward::testing::audit_rules::SinkProbe;

#[cfg(feature = "postgres")]
mod servers;

/// A sink whose events end up in memory.
struct InMemory {
    sink: Arc<dyn AuditSink>,
    memory: MemorySink,
}

#[async_trait]
impl SinkProbe for InMemory {
    fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::clone(&self.sink)
    }

    async fn read(&self) -> Vec<AuditEvent> {
        self.memory.events()
    }

    async fn text(&self) -> Option<String> {
        None
    }
}

fn in_memory<S: AuditSink>(wrap: impl FnOnce(MemorySink) -> S) -> InMemory {
    let memory = MemorySink::unbounded();
    InMemory {
        sink: Arc::new(wrap(memory.clone())),
        memory,
    }
}

/// A sink whose events end up in a file, or in several.
struct InFile {
    sink: Arc<dyn AuditSink>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

#[async_trait]
impl SinkProbe for InFile {
    fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::clone(&self.sink)
    }

    async fn read(&self) -> Vec<AuditEvent> {
        let text = self.text().await.unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn text(&self) -> Option<String> {
        let files = trail_files(&self.path).unwrap();
        let report = verify_chain(&files).unwrap();
        assert_eq!((report.unchained, report.unfinished), (0, 0));
        let texts = files.iter().map(std::fs::read_to_string);
        Some(texts.collect::<Result<String, _>>().unwrap())
    }
}

async fn in_file(set: impl FnOnce(JsonLinesBuilder) -> JsonLinesBuilder) -> InFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sink = set(JsonLinesSink::builder(&path)).open().await.unwrap();
    InFile {
        sink: Arc::new(sink),
        path,
        _folder: folder,
    }
}

async fn memory() -> InMemory {
    in_memory(|memory| memory)
}

async fn arc_dyn() -> InMemory {
    in_memory(|memory| Arc::new(memory) as Arc<dyn AuditSink>)
}

async fn boxed() -> InMemory {
    in_memory(|memory| Box::new(memory) as Box<dyn AuditSink>)
}

async fn faulty_without_faults() -> InMemory {
    in_memory(FaultySink::new)
}

async fn fan_out_first() -> InMemory {
    in_memory(|memory| FanOut::new(memory).required(MemorySink::unbounded()))
}

async fn fan_out_beside_a_broken_one() -> InMemory {
    let broken = FaultySink::new(MemorySink::unbounded());
    broken.fail_next(u32::MAX);
    in_memory(|memory| FanOut::new(memory).best_effort("broken", broken))
}

async fn json_lines() -> InFile {
    in_file(|builder| builder.sync(SyncPolicy::Never)).await
}

async fn json_lines_synced() -> InFile {
    in_file(|builder| builder.sync(SyncPolicy::Always)).await
}

#[cfg(unix)]
async fn json_lines_rotated() -> InFile {
    let often = std::num::NonZeroU64::new(4096).unwrap();
    in_file(|builder| builder.sync(SyncPolicy::Never).rotate_at(often)).await
}

#[cfg(unix)]
async fn json_lines_one_batch_a_file() -> InFile {
    in_file(|builder| builder.rotate_at(std::num::NonZeroU64::MIN).rotate_daily()).await
}

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sql {
    use std::sync::Arc;

    use keyward::async_trait;
    use keyward::audit::{AuditEvent, AuditSink, PostgresAuditSink, SqliteAuditSink};
    use keyward::store::sqlx::{self, PgPool, SqlitePool};
    use keyward::testing::audit_rules::SinkProbe;

    use super::servers::Postgres;

    /// A sink whose events end up in a table.
    pub(super) struct InTable<P> {
        sink: Arc<dyn AuditSink>,
        pool: P,
        _folder: Option<tempfile::TempDir>,
    }

    macro_rules! probe {
        ($pool:ty, $read:literal) => {
            #[async_trait]
            impl SinkProbe for InTable<$pool> {
                fn sink(&self) -> Arc<dyn AuditSink> {
                    Arc::clone(&self.sink)
                }

                async fn read(&self) -> Vec<AuditEvent> {
                    let text = self.text().await.unwrap();
                    text.lines()
                        .map(|line| serde_json::from_str(line).unwrap())
                        .collect()
                }

                async fn text(&self) -> Option<String> {
                    let lines: Vec<String> = sqlx::query_scalar($read)
                        .fetch_all(&self.pool)
                        .await
                        .unwrap();
                    Some(lines.join("\n"))
                }
            }
        };
    }

    probe!(PgPool, "SELECT event FROM keyward.audit ORDER BY position");
    probe!(
        SqlitePool,
        "SELECT event FROM keyward_audit ORDER BY position"
    );

    pub(super) async fn postgres() -> InTable<PgPool> {
        let pool = PgPool::connect(&Postgres::shared().database())
            .await
            .unwrap();
        let sink = PostgresAuditSink::from_pool(pool.clone(), "test").unwrap();
        sink.migrate().await.unwrap();
        InTable {
            sink: Arc::new(sink),
            pool,
            _folder: None,
        }
    }

    pub(super) async fn sqlite() -> InTable<SqlitePool> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let sink = SqliteAuditSink::open(&path, "test").await.unwrap();
        let pool = SqlitePool::connect(&format!("sqlite:{}", path.display()))
            .await
            .unwrap();
        InTable {
            sink: Arc::new(sink),
            pool,
            _folder: Some(folder),
        }
    }
}

#[cfg(all(feature = "postgres", feature = "sqlite"))]
keyward::audit_sink_conformance!(postgres_sink, super::sql::postgres);
#[cfg(all(feature = "postgres", feature = "sqlite"))]
keyward::audit_sink_conformance!(sqlite_sink, super::sql::sqlite);
keyward::audit_sink_conformance!(memory_sink, super::memory);
keyward::audit_sink_conformance!(arc_sink, super::arc_dyn);
keyward::audit_sink_conformance!(box_sink, super::boxed);
keyward::audit_sink_conformance!(faulty_sink, super::faulty_without_faults);
keyward::audit_sink_conformance!(fan_out_sink, super::fan_out_first);
keyward::audit_sink_conformance!(fan_out_beside_broken, super::fan_out_beside_a_broken_one);
keyward::audit_sink_conformance!(json_lines_sink, super::json_lines);
keyward::audit_sink_conformance!(json_lines_always, super::json_lines_synced);
#[cfg(unix)]
keyward::audit_sink_conformance!(json_lines_rotation, super::json_lines_rotated);
#[cfg(unix)]
keyward::audit_sink_conformance!(json_lines_many_files, super::json_lines_one_batch_a_file);

/// A sink that breaks a rule, to see that the rules notice.
#[derive(Debug)]
struct Reversing(MemorySink);

#[async_trait]
impl AuditSink for Reversing {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let reversed: Vec<_> = events.iter().rev().cloned().collect();
        self.0.write(&reversed).await
    }

    async fn flush(&self) -> Result<(), AuditError> {
        self.0.flush().await
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        self.0.last_sequence().await
    }
}

#[tokio::test]
#[should_panic(expected = "left == right")]
async fn notices_a_sink_that_turns_the_order_around() {
    let probe = in_memory(Reversing);
    keyward::testing::audit_rules::keeps_the_order(&probe).await;
}

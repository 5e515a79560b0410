use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteSynchronous;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use super::beside::EventTable;
use super::row::Row;
use super::sink::{Sink, Table, audit_sink, fault};
use super::tables;
use crate::audit::AuditError;
use crate::sql::open::{self, FileSettings};
use crate::sql::{self, Dialect as _, Work};

/// Events in the table `keyward_audit` of a SQLite database.
///
/// When `write` has returned, the events are committed. Several processes may write to one file; each counts sequences of
/// its own under a name of its own, which is the label and a random number. `docs/audit.md` has the table.
///
/// ```
/// use keyward::audit::{AuditSink, SqliteAuditSink};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// let trail = SqliteAuditSink::open(path, "api-1").await?;
/// assert_eq!(trail.last_sequence().await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteAuditSink {
    pub(super) pool: SqlitePool,
    sink: Sink<Pool>,
}

struct Pool(SqlitePool);

/// How long a batch waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

impl SqliteAuditSink {
    /// Opens a file of its own in write-ahead mode, every commit forced to the disk, and brings the table up to date. The
    /// label says which process wrote an event; of more than 64 bytes the first count.
    ///
    /// # Errors
    ///
    /// [`AuditError::Unavailable`] when the file cannot be opened; otherwise as [`SqliteAuditSink::migrate`].
    pub async fn open(path: impl AsRef<Path>, label: &str) -> Result<Self, AuditError> {
        let settings = FileSettings {
            path: path.as_ref(),
            synchronous: SqliteSynchronous::Full,
            connections: 2,
            busy_timeout: BUSY_TIMEOUT,
        };
        let pool = open::file(settings).await.map_err(fault::<Sqlite>)?;
        let sink = Self::from_pool(pool, label)?;
        sink.migrate().await?;
        Ok(sink)
    }

    /// Returns a sink over the application's pool, that of a [`SqliteStore`](crate::store::SqliteStore) for instance. Call
    /// [`SqliteAuditSink::migrate`] once before anything else.
    ///
    /// # Errors
    ///
    /// [`AuditError::Random`] when no name could be drawn.
    pub fn from_pool(pool: SqlitePool, label: &str) -> Result<Self, AuditError> {
        Ok(Self {
            sink: Sink::new(Pool(pool.clone()), label)?,
            pool,
        })
    }

    /// Creates the table, or brings an older one up to date. Does nothing when it is.
    ///
    /// # Errors
    ///
    /// [`AuditError::Backend`] when the table was made by a newer version or was tampered with; otherwise an outage.
    pub async fn migrate(&self) -> Result<(), AuditError> {
        let migrated = sql::sqlite::migrate(&self.pool, tables::SQLITE).await;
        migrated.map_err(fault::<Sqlite>)
    }
}

const INSERT: &str = "INSERT INTO keyward_audit \
     (recorder, id, sequence, time, kind, outcome, actor, key_id, owner, tenant, event) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING";

impl Table for Pool {
    type Engine = Sqlite;

    async fn insert(&self, recorder: &str, rows: Vec<Row>) -> Result<(), sqlx::Error> {
        let mut batch = self.0.begin_with(Sqlite::BEGIN).await?;
        for row in rows {
            insert(&mut batch, recorder, row).await?;
        }
        batch.commit().await
    }

    async fn last(&self, recorder: &str) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(LAST)
            .bind(recorder)
            .fetch_one(&self.0)
            .await
    }
}

const LAST: &str = "SELECT max(sequence) FROM keyward_audit WHERE recorder = $1";

async fn insert(
    connection: &mut SqliteConnection,
    recorder: &str,
    row: Row,
) -> Result<u64, sqlx::Error> {
    let insert = sqlx::query(INSERT)
        .bind(recorder)
        .bind(row.id)
        .bind(row.sequence)
        .bind(row.time)
        .bind(row.kind)
        .bind(row.outcome)
        .bind(row.actor)
        .bind(row.key_id)
        .bind(row.owner)
        .bind(row.tenant)
        .bind(row.event);
    Ok(insert.execute(connection).await?.rows_affected())
}

/// Whoever is in a transaction that writes has the only turn there is.
impl EventTable for Sqlite {
    fn last<'c>(connection: &'c mut SqliteConnection, recorder: &'c str) -> Work<'c, Option<i64>> {
        Box::pin(
            sqlx::query_scalar(LAST)
                .bind(recorder)
                .fetch_one(connection),
        )
    }

    fn insert<'c>(
        connection: &'c mut SqliteConnection,
        recorder: &'c str,
        row: Row,
    ) -> Work<'c, u64> {
        Box::pin(insert(connection, recorder, row))
    }
}

audit_sink!(SqliteAuditSink);

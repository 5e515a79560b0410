mod audited;
mod builder;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Sqlite, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

pub use audited::AuditedSqliteStore;
pub use builder::{Durability, SqliteStoreBuilder};

use super::bind::Bind as _;
use super::reads::Reads;
use super::store::sql_key_store;
use super::{error, statements, tables};
use crate::audit::AuditError;
use crate::key::{KeyId, OwnerId};
use crate::sql::{self, Dialect as _};
use crate::store::{StoreError, Usage};

/// How long a write waits for the writes before it: twice the busy timeout that this crate sets.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// How long a write or a list may take at most, its wait for another process among it. A read has none: nothing lies
/// between us and the file that could lose the question.
const DEADLINE: Duration = Duration::from_secs(60);

/// Records in a SQLite database: one file, no server, several processes on one machine.
///
/// Clones share the connections. `docs/store-contract.md` has the settings, the table, and what a backup needs.
///
/// ```
/// use keyward::store::{KeyStore, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys.db");
/// let store = SqliteStore::open(path).await?;
/// assert!(store.find(&"0aZ9bY8cX7dW".parse()?).await?.is_none());
/// # store.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    reads: Arc<Reads<SqlitePool>>,
    deadline: Duration,
    /// SQLite lets one connection write at a time. Whoever waits here waits in a queue and leaves the other
    /// connections to readers; whoever waits inside SQLite sleeps, and holds a connection.
    writer: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens the database at `path` with the defaults of [`SqliteStore::builder`].
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder(path).open().await
    }

    /// Returns the settings for opening the database at `path`.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(path.as_ref())
    }

    /// Returns an empty store in memory, on one connection, gone with the last clone.
    ///
    /// # Errors
    ///
    /// An outage.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let opened = sql::open::in_memory().await;
        let store = Self::from_pool(opened.map_err(error::fault::<Sqlite>)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Returns a store over the application's own pool. Call [`SqliteStore::migrate`] once before anything else.
    ///
    /// The pool's settings hold, durability among them: see [`Durability`] for why it matters.
    #[must_use]
    pub fn from_pool(pool: SqlitePool) -> Self {
        Self {
            reads: Reads::new(pool.clone(), None),
            pool,
            deadline: DEADLINE,
            writer: Arc::default(),
        }
    }

    /// Creates the tables, or brings older ones up to date. Does nothing when they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Backend`] when the tables were made by a newer version or were tampered with; otherwise an
    /// outage. The tables are as they were then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let _turn = self.turn().await.map_err(error::failed::<Sqlite>)?;
        let migrated = sql::sqlite::migrate(&self.pool, tables::SQLITE).await;
        migrated.map_err(error::fault::<Sqlite>)
    }

    /// Puts the audit trail beside the keys, in the table `keyward_audit` of the same database, and returns the store that
    /// writes changes and their events together. Brings that table up to date, as [`SqliteStore::migrate`] does for keys.
    ///
    /// The label says which process wrote an event; of more than 64 bytes the first count.
    ///
    /// # Errors
    ///
    /// As [`SqliteAuditSink::migrate`](crate::audit::SqliteAuditSink::migrate); [`AuditError::Random`] when no name could
    /// be drawn.
    pub async fn with_audit(self, label: &str) -> Result<AuditedSqliteStore, AuditError> {
        AuditedSqliteStore::new(self, label).await
    }

    /// Returns the pool, for the application's own tables in the same database.
    #[must_use]
    pub const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for what is under way and closes all connections, of all clones.
    pub async fn close(&self) {
        self.reads.release();
        self.pool.close().await;
    }

    async fn turn(&self) -> Result<MutexGuard<'_, ()>, sqlx::Error> {
        tokio::time::timeout(LONGEST_TURN, self.writer.lock())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)
    }

    /// One statement is one step here: it holds the only write lock from its first read on.
    async fn insert_within(&self, insert: Query, _: &OwnerId) -> Result<bool, sqlx::Error> {
        self.change(insert).await
    }

    /// Row by row, which costs no trip to anywhere.
    async fn write_usage(&self, usage: Vec<Usage>) -> Result<(), sqlx::Error> {
        let _turn = self.turn().await?;
        let written = self.using(|connection| {
            Box::pin(async move {
                let mut batch = connection.begin_with(Sqlite::BEGIN).await?;
                for used in usage {
                    sqlx::query(RECORD_USE)
                        .text(used.id.as_str())
                        .number(used.generation.number().into())
                        .time(used.at)
                        .maybe_text(used.from.map(|from| from.to_string()).as_deref())
                        .execute(&mut *batch)
                        .await?;
                }
                batch.commit().await
            })
        });
        written.await
    }
}

/// Key $1, generation $2, moment $3, address $4. Each of the three moments moves forwards only, each by itself.
const RECORD_USE: &str = "UPDATE keyward_keys SET \
     last_used_at = CASE WHEN last_used_at IS NULL OR last_used_at < $3 THEN $3 ELSE last_used_at END, \
     last_used_from = CASE WHEN last_used_at IS NULL OR last_used_at < $3 THEN $4 ELSE last_used_from END, \
     current_last_used_at = CASE WHEN current_generation = $2 \
     AND (current_last_used_at IS NULL OR current_last_used_at < $3) THEN $3 ELSE current_last_used_at END, \
     previous_last_used_at = CASE WHEN previous_generation = $2 \
     AND (previous_last_used_at IS NULL OR previous_last_used_at < $3) THEN $3 ELSE previous_last_used_at END \
     WHERE id = $1";

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// As a JSON list; ids are letters and digits.
fn bind_ids(query: Query, ids: &[KeyId]) -> Query {
    let mut list = String::with_capacity(ids.len().saturating_mul(16));
    for id in ids {
        list.push_str(if list.is_empty() { "[\"" } else { "\",\"" });
        list.push_str(id.as_str());
    }
    list.push_str("\"]");
    query.bind(list)
}

sql_key_store!(SqliteStore, Sqlite, SqliteRow, statements::SQLITE, many: bind_ids);

#[cfg(test)]
mod tests;

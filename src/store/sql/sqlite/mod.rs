mod builder;
mod open;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Sqlite, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

pub use builder::{Durability, SqliteStoreBuilder};

use super::schema::{Step, migration_failed, migrator};
use super::store::sql_key_store;
use super::{Dialect, error};
use crate::store::StoreError;

const STEPS: &[Step] = &[(1, "keys", include_str!("0001_keys.sql"))];

/// How long a write waits for the writes before it: twice the busy timeout that this crate sets.
const LONGEST_TURN: Duration = Duration::from_secs(10);

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
        let store = Self::from_pool(open::in_memory().await?);
        store.migrate().await?;
        Ok(store)
    }

    /// Returns a store over the application's own pool. Call [`SqliteStore::migrate`] once before anything else.
    ///
    /// The pool's settings hold, durability among them: see [`Durability`] for why it matters.
    #[must_use]
    pub fn from_pool(pool: SqlitePool) -> Self {
        Self {
            pool,
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
        // sqlx takes no lock of its own on SQLite; two processes that start together would both create the tables.
        let begun = self.pool.begin_with(Sqlite::BEGIN).await;
        let mut change = begun.map_err(error::failed::<Sqlite>)?;
        migrator(STEPS)
            .run_direct(None, &mut *change, false)
            .await
            .map_err(migration_failed::<Sqlite>)?;
        change.commit().await.map_err(error::failed::<Sqlite>)
    }

    /// Returns the pool, for the application's own tables in the same database.
    #[must_use]
    pub const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for what is under way and closes all connections, of all clones.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn turn(&self) -> Result<MutexGuard<'_, ()>, sqlx::Error> {
        tokio::time::timeout(LONGEST_TURN, self.writer.lock())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl Dialect for Sqlite {
    const STORE: &'static str = "sqlite";
    /// Takes the write lock before the first read. A transaction that reads first and writes later fails when another
    /// one wrote in between, and no busy timeout helps.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    /// Result codes of <https://www.sqlite.org/rescode.html>: busy, locked, out of memory, interrupted, input or output
    /// error, disk full, cannot open, locking protocol. The lowest byte is the code, the rest says more about it.
    fn is_transient(code: &str) -> bool {
        const TRANSIENT: [u32; 8] = [5, 6, 7, 9, 10, 13, 14, 15];
        code.parse::<u32>()
            .is_ok_and(|code| TRANSIENT.contains(&(code & 0xff)))
    }
}

sql_key_store!(SqliteStore, Sqlite);

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::sqlite::SqliteSynchronous;

use super::SqliteStore;
use crate::sql::open::{self, FileSettings};
use crate::store::StoreError;
use crate::store::sql::error;

/// What survives when the power fails.
///
/// Under either setting a write is safe from a crash of the process, and the database is never damaged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Durability {
    /// Every write that has returned (`synchronous = FULL`). The default: a revocation that a power failure undoes
    /// is a revoked key that works again, and nobody is told.
    #[default]
    Full,
    /// Everything up to some moment shortly before (`synchronous = NORMAL`). Writes cost about half; the last
    /// revocations may be lost with the power.
    Normal,
}

/// Settings for opening a SQLite database.
///
/// ```
/// use keyward::store::{Durability, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys.db");
/// let store = SqliteStore::builder(path).durability(Durability::Normal).open().await?;
/// # store.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    pub(super) connections: NonZeroU32,
    pub(super) busy_timeout: Duration,
}

impl SqliteStoreBuilder {
    /// Enough for reads to go on beside a write; each is a thread. More did not help where we measured.
    const CONNECTIONS: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");
    /// Longer than any write of this crate takes, shorter than a client waits.
    const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            durability: Durability::Full,
            connections: Self::CONNECTIONS,
            busy_timeout: Self::BUSY_TIMEOUT,
        }
    }

    /// Sets what survives when the power fails. [`Durability::Full`] unless set.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the most connections, and so the most reads at one time. 4 unless set.
    pub const fn connections(mut self, connections: NonZeroU32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long an operation waits for another process that writes, or for a free connection, before it fails as
    /// unavailable. 5 seconds unless set.
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the database in write-ahead mode and brings its tables up to date.
    ///
    /// A file that does not exist is created, on Unix readable and writable by its owner only; the folder must exist.
    /// The permissions of an existing file are left alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the file cannot be opened; otherwise as [`SqliteStore::migrate`].
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        let settings = FileSettings {
            path: &self.path,
            synchronous: match self.durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Normal => SqliteSynchronous::Normal,
            },
            connections: self.connections.get(),
            busy_timeout: self.busy_timeout,
        };
        let opened = open::file(settings).await;
        let store = SqliteStore::from_pool(opened.map_err(error::fault::<Sqlite>)?);
        store.migrate().await?;
        Ok(store)
    }
}

use sqlx::{Sqlite, SqlitePool};

use super::table::{fault, sql_factor_store};
use super::tables;
use crate::second_factor::FactorStoreError;
use crate::sql;

/// Second factors in the table `keyward_factors` of a SQLite database, which several processes may use.
///
/// ```
/// use keyward::second_factor::{FactorStore, SqliteFactorStore};
/// use keyward::store::SqliteStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let keys = SqliteStore::in_memory().await?;
/// let factors = SqliteFactorStore::from_pool(keys.pool().clone());
/// factors.migrate().await?;
/// assert!(factors.find(&"user:ana".parse()?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteFactorStore {
    pool: SqlitePool,
}

impl SqliteFactorStore {
    /// Returns a store over the application's pool, that of a [`SqliteStore`](crate::store::SqliteStore) for instance.
    /// Call [`SqliteFactorStore::migrate`] once before anything else.
    #[must_use]
    pub const fn from_pool(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Creates the table, or brings an older one up to date. Does nothing when it is.
    ///
    /// # Errors
    ///
    /// [`FactorStoreError::Backend`] when the table was made by a newer version or was tampered with; otherwise an
    /// outage.
    pub async fn migrate(&self) -> Result<(), FactorStoreError> {
        let migrated = sql::sqlite::migrate(&self.pool, tables::SQLITE).await;
        migrated.map_err(fault::<Sqlite>)
    }
}

sql_factor_store!(SqliteFactorStore, Sqlite, "keyward_factors");

use sqlx::{PgPool, Postgres};

use super::table::{fault, sql_factor_store};
use super::tables;
use crate::second_factor::FactorStoreError;
use crate::sql;

/// Second factors in the table `keyward.factors` of a PostgreSQL database: a code that one process accepted, no other
/// accepts again.
///
/// ```no_run
/// use keyward::second_factor::PostgresFactorStore;
/// use keyward::store::PostgresStore;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// let factors = PostgresFactorStore::from_pool(keys.pool().clone());
/// factors.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresFactorStore {
    pool: PgPool,
}

impl PostgresFactorStore {
    /// Returns a store over a pool that leads to the primary, that of a
    /// [`PostgresStore`](crate::store::PostgresStore) for instance. Call [`PostgresFactorStore::migrate`] once before
    /// anything else, or have it called by whoever may create tables.
    #[must_use]
    pub const fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Creates the table, or brings an older one up to date, as
    /// [`PostgresStore::migrate`](crate::store::PostgresStore::migrate) does for keys.
    ///
    /// # Errors
    ///
    /// [`FactorStoreError::Backend`] when the table was made by a newer version or was tampered with, or when the role
    /// may not create it; otherwise an outage.
    pub async fn migrate(&self) -> Result<(), FactorStoreError> {
        let migrated = sql::postgres::migrate(&self.pool, tables::POSTGRES).await;
        migrated.map_err(fault::<Postgres>)
    }
}

sql_factor_store!(PostgresFactorStore, Postgres, "keyward.factors");

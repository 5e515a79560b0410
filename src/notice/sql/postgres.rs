use sqlx::{PgPool, Postgres};

use super::log::{fault, sql_notice_log};
use super::{statements, tables};
use crate::notice::NoticeLogError;
use crate::sql;

/// Notices in the table `keyward.notices` of a PostgreSQL database, for all processes of a fleet.
///
/// ```no_run
/// use keyward::notice::PostgresNoticeLog;
/// use keyward::store::PostgresStore;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// let log = PostgresNoticeLog::from_pool(store.pool().clone());
/// log.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresNoticeLog {
    pool: PgPool,
}

impl PostgresNoticeLog {
    /// Returns a log over the application's pool, that of a [`PostgresStore`](crate::store::PostgresStore) for instance. Call
    /// [`PostgresNoticeLog::migrate`] once before anything else.
    #[must_use]
    pub const fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Creates the table, or brings an older one up to date, as
    /// [`PostgresStore::migrate`](crate::store::PostgresStore::migrate) does for keys.
    ///
    /// # Errors
    ///
    /// [`NoticeLogError::Backend`] when the table was made by a newer version or was tampered with, or when the role may not
    /// create it; otherwise an outage.
    pub async fn migrate(&self) -> Result<(), NoticeLogError> {
        let migrated = sql::postgres::migrate(&self.pool, tables::POSTGRES).await;
        migrated.map_err(fault::<Postgres>)
    }
}

type Query = sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments>;

/// As an array of texts.
fn bind_keys(query: Query, keys: &[String]) -> Query {
    query.bind(keys.to_vec())
}

sql_notice_log!(PostgresNoticeLog, Postgres, statements::POSTGRES, many: bind_keys);

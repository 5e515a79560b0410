use sqlx::{Sqlite, SqlitePool};

use super::log::{fault, sql_notice_log};
use super::{statements, tables};
use crate::notice::NoticeLogError;
use crate::sql;

/// Notices in the table `keyward_notices` of a SQLite database, for the processes of one machine.
///
/// ```
/// use keyward::notice::SqliteNoticeLog;
/// use keyward::store::SqliteStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let store = SqliteStore::in_memory().await?;
/// let log = SqliteNoticeLog::from_pool(store.pool().clone());
/// log.migrate().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteNoticeLog {
    pool: SqlitePool,
}

impl SqliteNoticeLog {
    /// Returns a log over the application's pool, that of a [`SqliteStore`](crate::store::SqliteStore) for instance. Call
    /// [`SqliteNoticeLog::migrate`] once before anything else.
    #[must_use]
    pub const fn from_pool(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Creates the table, or brings an older one up to date. Does nothing when it is.
    ///
    /// # Errors
    ///
    /// [`NoticeLogError::Backend`] when the table was made by a newer version or was tampered with; otherwise an outage.
    pub async fn migrate(&self) -> Result<(), NoticeLogError> {
        let migrated = sql::sqlite::migrate(&self.pool, tables::SQLITE).await;
        migrated.map_err(fault::<Sqlite>)
    }
}

type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

/// As a JSON list; ids are letters and digits.
fn bind_keys(query: Query, keys: &[String]) -> Query {
    let quoted: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    query.bind(format!("[{}]", quoted.join(",")))
}

sql_notice_log!(SqliteNoticeLog, Sqlite, statements::SQLITE, many: bind_keys);

//! Notices in a SQL table, which many processes share.

mod log;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod tables;

#[cfg(feature = "postgres")]
pub use postgres::PostgresNoticeLog;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteNoticeLog;

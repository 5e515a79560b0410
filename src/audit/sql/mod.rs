//! Events in a SQL table, which many processes may write to.
//!
//! One shape for every engine: the rows, the steps that made the table, and the sink over a [`Table`](sink::Table).

mod log;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "postgres")]
mod side;
mod sink;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresAuditSink;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteAuditSink;

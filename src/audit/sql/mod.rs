//! Events in a SQL table, which many processes may write to.
//!
//! One shape for every engine: the rows, the steps that made the table, and the sink over a [`Table`](sink::Table).

mod aside;
mod beside;
mod log;
#[cfg(feature = "postgres")]
mod postgres;
mod retention;
mod row;
mod sink;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;

pub(crate) use self::beside::Pen;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresAuditSink;
#[cfg(feature = "postgres")]
pub(crate) use self::sink::failed as table_failed;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteAuditSink;

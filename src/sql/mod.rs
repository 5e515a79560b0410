//! What the SQL stores and sinks share: engines, what their errors mean, and how tables come to be.

pub(crate) mod fault;
pub(crate) mod lent;
#[cfg(feature = "sqlite")]
pub(crate) mod open;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::pin::Pin;

/// Something under way on a connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'c>>;

/// What the shared code has to know about an engine.
pub(crate) trait Dialect: sqlx::Database {
    /// The engine's name in errors.
    const ENGINE: &'static str;
    /// Begins a transaction that will not fail half-way for having read before it wrote.
    const BEGIN: &'static str;

    /// Whether a connection that was left in the middle of something is closed rather than waited for. What is waited for
    /// within the process comes to an end; and a database in memory ends with its connection.
    const CLOSES_ABANDONED: bool;

    /// Returns whether the engine's error code means that trying again later may help.
    fn is_transient(code: &str) -> bool;

    /// Returns whether the engine's error code means that the connection is gone, and nothing was done.
    fn is_lost(code: &str) -> bool;
}

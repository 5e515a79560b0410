//! What the SQL stores and sinks share: engines, what their errors mean, and how tables come to be.

pub(crate) mod fault;
#[cfg(feature = "sqlite")]
pub(crate) mod open;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

/// What the shared code has to know about an engine.
pub(crate) trait Dialect: sqlx::Database {
    /// The engine's name in errors.
    const ENGINE: &'static str;
    /// Begins a transaction that will not fail half-way for having read before it wrote.
    const BEGIN: &'static str;

    /// Returns whether the engine's error code means that trying again later may help.
    fn is_transient(code: &str) -> bool;

    /// Returns whether the engine's error code means that the connection is gone, and nothing was done.
    fn is_lost(code: &str) -> bool;
}

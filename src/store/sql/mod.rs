//! Records in a SQL table.
//!
//! One shape, written once: statements, the order of their columns, how a record is bound to them and read from them,
//! and the [`KeyStore`](super::KeyStore) implementation over them. What differs between engines is a [`Dialect`], the
//! table definitions, and how a store is opened.

mod bind;
mod error;
mod read;
mod schema;
mod sqlite;
mod statements;
mod store;

pub use sqlite::{Durability, SqliteStore, SqliteStoreBuilder};

/// What the shared code has to know about an engine.
trait Dialect: sqlx::Database {
    /// The store's name in errors.
    const STORE: &'static str;
    /// Begins a transaction that will not fail half-way for having read before it wrote.
    const BEGIN: &'static str;

    /// Returns whether the engine's error code means that trying again later may help.
    fn is_transient(code: &str) -> bool;
}

//! Records in a SQL table.
//!
//! One shape, written once: statements, the order of their columns, how a record is bound to them and read from them,
//! how reads travel together, and the [`KeyStore`](super::KeyStore) implementation over them. What differs between
//! engines is a [`Dialect`](crate::sql::Dialect), the table definitions, and how a store is opened.

mod audited;
mod bind;
mod error;
#[cfg(feature = "postgres")]
mod postgres;
mod read;
mod reads;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod store;
mod tables;

#[cfg(feature = "postgres")]
pub use postgres::{AuditedPostgresStore, PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "sqlite")]
pub use sqlite::{AuditedSqliteStore, Durability, SqliteStore, SqliteStoreBuilder};

//! Second factors in a SQL table, beside the keys.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod tables;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresFactorStore;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteFactorStore;

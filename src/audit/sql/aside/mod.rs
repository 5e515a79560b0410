//! What is done with a table beside writing to it: reading and purging, on each engine.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub(super) use self::postgres::Side;

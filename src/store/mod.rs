//! Where records live: the [`KeyStore`] contract and the stores that ship.
//!
//! `docs/store-contract.md` has the contract in prose; the conformance suite in [`testing`](crate::testing) has it as
//! code, one named test per rule.

mod apply;
mod audited;
mod cursor;
mod error;
mod memory;
mod page;
mod query;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "vault")]
mod vault;
mod write;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

#[cfg(feature = "vault")]
pub use self::vault::{Swept, VaultStore};
pub use apply::{apply_update, apply_usage};
pub use audited::{AuditedError, AuditedStore};
pub use cursor::{Cursor, CursorError};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use page::Page;
pub use query::{ListKeys, ListOrder, UsageFilter};
#[cfg(feature = "postgres")]
pub use sql::{AuditedPostgresStore, PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "sqlite")]
pub use sql::{AuditedSqliteStore, Durability, SqliteStore, SqliteStoreBuilder};
/// The version of sqlx whose pools the SQL stores take.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use sqlx;
pub use write::{InsertKey, Usage};

use crate::key::{KeyId, KeyRecord, Revision};

/// Keeps key records.
///
/// # Contract
///
/// * **Fresh.** [`find`](Self::find) returns what the last completed write left, from whichever process. The state of
///   a key is decided on it, so a cache or a lagging replica in this place lets revoked keys through.
/// * **Exact.** What [`insert`](Self::insert) and [`update`](Self::update) were given comes back unchanged, to the
///   microsecond and the byte; texts are compared by their bytes.
/// * **Atomic.** `update` is a compare-and-swap on [`Revision`]; of several writers that read one revision exactly
///   one succeeds. `insert` never overwrites, and checks its owner limit in the same step.
/// * **Usage apart.** [`record_usage`](Self::record_usage) touches usage fields only and `update` never does: neither
///   can undo the other, and a use can never bring a deleted record back.
/// * **Cancel-safe.** A dropped future leaves either the old or the new record, never a mixture.
///
/// Methods have no default bodies: a wrapper must forward each of them.
#[async_trait]
pub trait KeyStore: fmt::Debug + Send + Sync + 'static {
    /// Returns what the store can do beyond the contract's core.
    fn capabilities(&self) -> Capabilities;

    /// Stores a new record.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] for an id in use; [`StoreError::OwnerLimit`] when the condition does not hold;
    /// [`StoreError::Unsupported`] for a condition the store cannot check atomically; otherwise an outage.
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError>;

    /// Returns the record with that id, compared by its bytes, or `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] for a record that cannot be read; otherwise an outage. Never `Ok(None)` for either.
    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError>;

    /// Replaces the record if the stored one still has `record.revision`, and returns the new revision, one higher.
    ///
    /// Usage fields of `record` are ignored: the stored ones stay, and a credential's last use follows its
    /// generation. Id, environment, kind, owner and creation never change and are ignored too.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] for another revision; [`StoreError::NotFound`]; otherwise an outage.
    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError>;

    /// Writes last uses. A use older than the stored one changes nothing; one of an unknown key or generation is
    /// skipped for what is unknown of it. The revision stays.
    ///
    /// # Errors
    ///
    /// An outage; some of the batch may then be written. Writing it again is harmless.
    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError>;

    /// Returns one page of the records that fit, in the [order](ListOrder) of the query.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] or an outage. A page is never silently short: one that ends before a record that cannot be
    /// read has a next one, and that fails, with the [place](StoreError::Corrupt) of the record if the store can tell.
    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError>;

    /// Removes the record if the stored one still has this revision.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] for another revision; [`StoreError::NotFound`]; otherwise an outage.
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError>;
}

/// What a store can do beyond the core. The conformance suite runs the rules of what is declared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// It keeps last uses. Without it `record_usage` succeeds and does nothing.
    pub usage: bool,
    /// It can hold an insert to an owner limit atomically.
    pub owner_limit: bool,
}

impl Capabilities {
    /// Returns everything.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            usage: true,
            owner_limit: true,
        }
    }

    /// Takes away last uses.
    #[must_use]
    pub const fn without_usage(mut self) -> Self {
        self.usage = false;
        self
    }

    /// Takes away owner limits.
    #[must_use]
    pub const fn without_owner_limit(mut self) -> Self {
        self.owner_limit = false;
        self
    }
}

const _: Option<&dyn KeyStore> = None;

macro_rules! forward {
    ($($wrapper:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: KeyStore + ?Sized> KeyStore for $wrapper<S> {
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
                (**self).insert(insert).await
            }
            async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
                (**self).find(id).await
            }
            async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
                (**self).update(record).await
            }
            async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
                (**self).record_usage(usage).await
            }
            async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
                (**self).list(query).await
            }
            async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
                (**self).delete(id, expected).await
            }
        }
    )*};
}

forward!(Arc, Box);

//! Where second factors are kept.

mod error;
mod memory;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use error::FactorStoreError;
pub use memory::MemoryFactorStore;
#[cfg(feature = "postgres")]
pub use sql::PostgresFactorStore;
#[cfg(feature = "sqlite")]
pub use sql::SqliteFactorStore;

use crate::key::ActorRef;

/// Keeps what is known of each actor's second factor: one row an actor, its content opaque.
///
/// # Contract
///
/// * **Fresh.** [`find`](Self::find) returns what the last completed write left, from whichever process.
/// * **Exact.** What was written comes back unchanged; actors are compared by their bytes.
/// * **Atomic.** [`write`](Self::write) and [`remove`](Self::remove) compare the revision and act in one step; of
///   several writers that read one revision exactly one succeeds. That a code works once rests on this.
/// * **Cancel-safe.** A dropped future leaves either the old or the new row.
///
/// The suite [`factor_store_conformance!`](crate::factor_store_conformance) has it as code (feature `testing`).
#[async_trait]
pub trait FactorStore: fmt::Debug + Send + Sync + 'static {
    /// Returns what is kept for the actor, or `None`.
    ///
    /// # Errors
    ///
    /// An outage. Never `Ok(None)` for one.
    async fn find(&self, actor: &ActorRef) -> Result<Option<StoredFactor>, FactorStoreError>;

    /// Writes `next` if what is kept has the revision `expected`, where `None` means that nothing is kept.
    ///
    /// # Errors
    ///
    /// [`FactorStoreError::Conflict`] when something else is kept; otherwise an outage.
    async fn write(
        &self,
        actor: &ActorRef,
        expected: Option<FactorRevision>,
        next: &StoredFactor,
    ) -> Result<(), FactorStoreError>;

    /// Removes what is kept if it has the revision `expected`.
    ///
    /// # Errors
    ///
    /// [`FactorStoreError::Conflict`] when something else or nothing is kept; otherwise an outage.
    async fn remove(
        &self,
        actor: &ActorRef,
        expected: FactorRevision,
    ) -> Result<(), FactorStoreError>;
}

const _: Option<&dyn FactorStore> = None;

macro_rules! forward {
    ($($wrapper:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: FactorStore + ?Sized> FactorStore for $wrapper<S> {
            async fn find(&self, actor: &ActorRef) -> Result<Option<StoredFactor>, FactorStoreError> {
                (**self).find(actor).await
            }
            async fn write(
                &self,
                actor: &ActorRef,
                expected: Option<FactorRevision>,
                next: &StoredFactor,
            ) -> Result<(), FactorStoreError> {
                (**self).write(actor, expected, next).await
            }
            async fn remove(
                &self,
                actor: &ActorRef,
                expected: FactorRevision,
            ) -> Result<(), FactorStoreError> {
                (**self).remove(actor, expected).await
            }
        }
    )*};
}

forward!(Arc, Box);

/// Which write it was that left what is kept.
///
/// A random number of its own for every write, so that a row that was removed and made anew never passes for the one
/// before it. Not negative, because some engines know no unsigned numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FactorRevision(i64);

impl FactorRevision {
    /// Returns the revision made of those random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        Self(i64::from_be_bytes(bytes) & i64::MAX)
    }

    /// Returns the revision that stands in a store.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number that is stored.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// What is kept for one actor. `Debug` does not show the content, which may hold a seed.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredFactor {
    revision: FactorRevision,
    state: Arc<str>,
}

impl StoredFactor {
    /// Returns that content under that revision.
    #[must_use]
    pub fn new(revision: FactorRevision, state: impl Into<Arc<str>>) -> Self {
        Self {
            revision,
            state: state.into(),
        }
    }

    /// Returns which write it was.
    #[must_use]
    pub const fn revision(&self) -> FactorRevision {
        self.revision
    }

    /// Returns the content: ASCII, of a few hundred bytes.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl fmt::Debug for StoredFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFactor")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

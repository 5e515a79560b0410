use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::store::KeyStore;

/// A store under test, perhaps opened twice.
///
/// Any store becomes one by `From`. A second handle over the same data (another connection pool, another process'
/// view) lets the rules about freshness and races see more than one of a store's own caches.
pub struct Handles {
    store: Arc<dyn KeyStore>,
    other: Arc<dyn KeyStore>,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Handles {
    /// Returns one handle, used as both.
    #[must_use]
    pub fn new(store: impl KeyStore) -> Self {
        let store: Arc<dyn KeyStore> = Arc::new(store);
        Self {
            other: Arc::clone(&store),
            store,
            kept: Vec::new(),
        }
    }

    /// Adds a second handle over the same data.
    #[must_use]
    pub fn with_other(mut self, other: impl KeyStore) -> Self {
        self.other = Arc::new(other);
        self
    }

    /// Keeps something alive for as long as the test runs, a temporary folder for instance.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &dyn KeyStore {
        &*self.store
    }

    /// Returns the second handle.
    #[must_use]
    pub fn other(&self) -> &dyn KeyStore {
        &*self.other
    }

    /// Returns `count` handles for tasks of their own, of both kinds in turn.
    pub(super) fn shared(&self, count: usize) -> impl Iterator<Item = Arc<dyn KeyStore>> {
        [&self.store, &self.other]
            .into_iter()
            .cycle()
            .take(count)
            .map(Arc::clone)
    }
}

impl<S: KeyStore> From<S> for Handles {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("store", &self.store)
            .field("other", &self.other)
            .finish_non_exhaustive()
    }
}

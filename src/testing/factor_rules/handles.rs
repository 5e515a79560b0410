use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::second_factor::FactorStore;

/// A fresh, empty store, opened once or several times.
///
/// ```
/// use keyward::second_factor::MemoryFactorStore;
/// use keyward::testing::factor_rules::FactorHandles;
///
/// let store = MemoryFactorStore::new();
/// let handles = FactorHandles::new(store.clone()).with_other(store);
/// ```
pub struct FactorHandles {
    store: Arc<dyn FactorStore>,
    others: Vec<Arc<dyn FactorStore>>,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl FactorHandles {
    /// Returns that store, opened once.
    pub fn new(store: impl FactorStore) -> Self {
        Self {
            store: Arc::new(store),
            others: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Adds another handle of the same store, as another process has one.
    #[must_use]
    pub fn with_other(mut self, other: impl FactorStore) -> Self {
        self.others.push(Arc::new(other));
        self
    }

    /// Keeps something alive as long as the handles: the folder of a file, say.
    #[must_use]
    pub fn keeping(mut self, it: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(it));
        self
    }

    /// Returns the first handle.
    #[must_use]
    pub fn store(&self) -> &dyn FactorStore {
        &*self.store
    }

    /// Returns `count` handles, each in turn.
    pub(super) fn shared(&self, count: usize) -> impl Iterator<Item = Arc<dyn FactorStore>> {
        let all = std::iter::once(&self.store).chain(&self.others).cycle();
        all.take(count).map(Arc::clone)
    }
}

impl<S: FactorStore> From<S> for FactorHandles {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for FactorHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactorHandles")
            .field("store", &self.store)
            .field("others", &self.others.len())
            .finish_non_exhaustive()
    }
}

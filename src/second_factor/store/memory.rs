use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{FactorRevision, FactorStore, FactorStoreError, StoredFactor};
use crate::key::ActorRef;
use crate::sync::{Mutex, lock};

/// Second factors in the process's memory, gone with the process. Clones share them.
///
/// For tests and tools: another process would accept a code once more.
///
/// ```
/// use keyward::second_factor::{FactorStore, MemoryFactorStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryFactorStore::new();
/// assert!(store.find(&"user:ana".parse()?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryFactorStore {
    rows: Arc<Mutex<HashMap<ActorRef, StoredFactor>>>,
}

impl MemoryFactorStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl FactorStore for MemoryFactorStore {
    async fn find(&self, actor: &ActorRef) -> Result<Option<StoredFactor>, FactorStoreError> {
        Ok(lock(&self.rows).get(actor).cloned())
    }

    async fn write(
        &self,
        actor: &ActorRef,
        expected: Option<FactorRevision>,
        next: &StoredFactor,
    ) -> Result<(), FactorStoreError> {
        let mut rows = lock(&self.rows);
        if rows.get(actor).map(StoredFactor::revision) != expected {
            return Err(FactorStoreError::Conflict);
        }
        rows.insert(actor.clone(), next.clone());
        Ok(())
    }

    async fn remove(
        &self,
        actor: &ActorRef,
        expected: FactorRevision,
    ) -> Result<(), FactorStoreError> {
        let mut rows = lock(&self.rows);
        if rows.get(actor).map(StoredFactor::revision) != Some(expected) {
            return Err(FactorStoreError::Conflict);
        }
        rows.remove(actor);
        Ok(())
    }
}

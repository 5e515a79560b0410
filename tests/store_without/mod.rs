//! A store that does without what a store may do without.

use std::sync::Arc;

use keyward::async_trait;
use keyward::key::{KeyId, KeyRecord, Revision};
use keyward::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, MemoryStore, Page, StoreError, Usage,
};

#[derive(Debug)]
pub(crate) struct Without {
    inner: MemoryStore,
    capabilities: Capabilities,
}

impl Without {
    const fn new(inner: MemoryStore, capabilities: Capabilities) -> Self {
        Self {
            inner,
            capabilities,
        }
    }

    pub(crate) fn usage() -> Self {
        Self::new(MemoryStore::new(), Capabilities::all().without_usage())
    }

    pub(crate) fn owner_limit() -> Self {
        let capabilities = Capabilities::all().without_owner_limit();
        Self::new(MemoryStore::new(), capabilities)
    }

    pub(crate) fn both() -> Self {
        let capabilities = Capabilities::all().without_usage().without_owner_limit();
        Self::new(MemoryStore::new(), capabilities)
    }
}

#[async_trait]
impl KeyStore for Without {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        if insert.owner_limit.is_some() && !self.capabilities.owner_limit {
            return Err(StoreError::unsupported("without", "an owner limit"));
        }
        self.inner.insert(insert).await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.inner.find(id).await
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.inner.update(record).await
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        if self.capabilities.usage {
            self.inner.record_usage(usage).await
        } else {
            Ok(())
        }
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.inner.list(query).await
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.inner.delete(id, expected).await
    }
}

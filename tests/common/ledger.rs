//! A store in memory that keeps the audit trail as well.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::async_trait;
use keyward::audit::{AuditError, AuditEvent, AuditLog, AuditSink, MemorySink};
use keyward::key::{KeyId, KeyRecord, Revision};
use keyward::store::{
    AuditedError, AuditedStore, Capabilities, InsertKey, KeyStore, ListKeys, MemoryStore, Page,
    StoreError, Usage,
};

/// What the way of telling does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Telling {
    Works,
    Fails,
    Hangs,
    /// The change and its event are made, and the answer is on its way for as long as this lasts.
    AnswersLate,
}

/// A store in memory that keeps a trail, which can be out of order.
#[derive(Clone, Debug)]
pub struct Ledger {
    keys: Arc<MemoryStore>,
    pub trail: MemorySink,
    telling: Arc<Mutex<Telling>>,
}

impl Ledger {
    pub fn new() -> Self {
        Self {
            keys: Arc::new(MemoryStore::new()),
            trail: MemorySink::unbounded(),
            telling: Arc::new(Mutex::new(Telling::Works)),
        }
    }

    pub fn telling(&self, telling: Telling) {
        *self.telling.lock().unwrap() = telling;
    }

    async fn tell(&self) -> Result<(), AuditedError> {
        match self.told_to() {
            Telling::Works | Telling::AnswersLate => Ok(()),
            Telling::Fails => Err(AuditError::unavailable("ledger", "told to fail").into()),
            Telling::Hangs => std::future::pending().await,
        }
    }

    fn told_to(&self) -> Telling {
        *self.telling.lock().unwrap()
    }

    async fn told(&self, event: &AuditEvent) {
        self.trail.write(std::slice::from_ref(event)).await.unwrap();
        while self.told_to() == Telling::AnswersLate {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[async_trait]
impl KeyStore for Ledger {
    fn capabilities(&self) -> Capabilities {
        self.keys.capabilities()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.keys.insert(insert).await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.keys.find(id).await
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.keys.update(record).await
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.keys.record_usage(usage).await
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.keys.list(query).await
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.keys.delete(id, expected).await
    }
}

/// Nobody looks between the two steps here.
#[async_trait]
impl AuditedStore for Ledger {
    fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::new(self.trail.clone())
    }

    fn log(&self) -> Option<Arc<dyn AuditLog>> {
        None
    }

    async fn insert_with_event(
        &self,
        insert: InsertKey,
        event: &AuditEvent,
    ) -> Result<(), AuditedError> {
        self.tell().await?;
        self.keys.insert(insert).await?;
        self.told(event).await;
        Ok(())
    }

    async fn update_with_event(
        &self,
        record: &KeyRecord,
        event: &AuditEvent,
    ) -> Result<Revision, AuditedError> {
        self.tell().await?;
        let revision = self.keys.update(record).await?;
        self.told(event).await;
        Ok(revision)
    }

    async fn delete_with_event(
        &self,
        id: &KeyId,
        expected: Revision,
        event: &AuditEvent,
    ) -> Result<(), AuditedError> {
        self.tell().await?;
        self.keys.delete(id, expected).await?;
        self.told(event).await;
        Ok(())
    }
}

//! The operations on one record, and the order of their steps.

use std::sync::Arc;

use async_trait::async_trait;

use super::body::{self, Body, Stored};
use super::error::{STORE, failed};
use super::{VaultStore, places};
use crate::key::{KeyId, KeyRecord, Revision};
use crate::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage, apply_update,
};
use crate::vault::VaultError;

/// A version that no secret has: what is written must be the first.
const FIRST: u64 = 0;

impl VaultStore {
    pub(super) async fn stored(&self, id: &KeyId) -> Result<Option<Stored>, StoreError> {
        let found = self.kv.read(&places::record(id)).await.map_err(failed)?;
        found.map_or(Ok(None), |found| body::read(id, &found))
    }

    /// Writes the index entry of a record that is about to be there. One that is there already will do.
    pub(super) async fn announce(&self, entry: &str) -> Result<(), StoreError> {
        let nothing = serde_json::json!({});
        match self.kv.write(entry, &nothing, FIRST).await {
            Err(VaultError::Conflict) => Ok(()),
            other => other.map(|_| ()).map_err(failed),
        }
    }
}

#[async_trait]
impl KeyStore for VaultStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without_usage().without_owner_limit()
    }

    /// The index entry first: a crash between the steps leaves an entry without a record, which lists pass over. The
    /// other way round it would leave a live key that no list shows.
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        if insert.owner_limit.is_some() {
            return Err(StoreError::unsupported(STORE, "an owner limit"));
        }
        let record = &insert.record;
        let body = Body::of(record)?;
        self.announce(&places::entry(record)).await?;
        let place = places::record(&record.id);
        match self.kv.write(&place, &body, FIRST).await {
            Err(VaultError::Conflict) => Err(StoreError::AlreadyExists),
            other => other.map(|_| ()).map_err(failed),
        }
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        Ok(self.stored(id).await?.map(|stored| stored.record))
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        let stored = self.stored(&record.id).await?;
        let stored = stored.ok_or(StoreError::NotFound)?;
        let next = apply_update(&stored.record, record)?;
        let place = places::record(&record.id);
        self.kv
            .write(&place, &Body::of(&next)?, stored.version)
            .await
            .map_err(failed)?;
        Ok(next.revision)
    }

    async fn record_usage(&self, _usage: &[Usage]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.page(query).await
    }

    /// Removing a secret cannot be made conditional, writing one can: so the record is first overwritten by nothing, and
    /// from then on the key is gone. What follows tidies up; where it fails, a sweep does it.
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        let stored = self.stored(id).await?.ok_or(StoreError::NotFound)?;
        if stored.record.revision != expected {
            return Err(StoreError::Conflict);
        }
        let place = places::record(id);
        self.kv
            .write(&place, &Body::tombstone(), stored.version)
            .await
            .map_err(failed)?;
        if self.kv.remove(&place).await.is_ok() {
            let _ = self.kv.remove(&places::entry(&stored.record)).await;
        }
        Ok(())
    }
}

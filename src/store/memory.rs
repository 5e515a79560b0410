use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use super::{
    Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage, apply_update, apply_usage,
};
use crate::key::{KeyId, KeyRecord, KeyStatus, Revision};
use crate::sync::{Mutex, RwLock, lock};

/// About one for each character that an id may end with: reads of different keys rarely meet at so many locks.
const SHARDS: usize = 62;

type Shard = HashMap<KeyId, Arc<KeyRecord>>;

/// A store in the process's memory: complete, fast, and gone with the process.
///
/// For tests, for tools, and as the reference of what the contract means. A read is one hash and one shared lock.
///
/// ```
/// use keyward::access::Grant;
/// use keyward::hash::{DigestText, SecretOrigin};
/// use keyward::key::{Credential, Environment, KeyRecord};
/// use keyward::store::{InsertKey, KeyStore, MemoryStore, StoreError};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let now = Timestamp::from_secs(1_700_000_000);
/// let credential = Credential::new(DigestText::new("$2b$12$…"), SecretOrigin::Generated, now);
/// let record = KeyRecord::new(
///     "0aZ9bY8cX7dW".parse()?,
///     Environment::live(),
///     "acme".parse()?,
///     "nightly export",
///     Grant::Scopes(Vec::new()),
///     credential,
///     now,
///     "user:ana".parse()?,
/// );
///
/// let store = MemoryStore::new();
/// store.insert(InsertKey::new(record.clone())).await?;
/// assert_eq!(*store.find(&record.id).await?.unwrap(), record);
/// assert!(matches!(store.insert(InsertKey::new(record)).await, Err(StoreError::AlreadyExists)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    shards: Vec<RwLock<Shard>>,
    /// Held by whoever changes anything, so that a count over all shards and the change after it are one step.
    writer: Mutex<()>,
}

impl MemoryStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            writer: Mutex::new(()),
        }
    }

    /// Ids are random, so their last character spreads them as well as any hash.
    fn shard(&self, id: &KeyId) -> Result<&RwLock<Shard>, StoreError> {
        self.shards
            .get(id.spread() % SHARDS)
            .ok_or_else(|| StoreError::backend("memory", "no shards"))
    }

    fn read(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        Ok(self
            .shard(id)?
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .map(Arc::clone))
    }

    fn write(&self, record: KeyRecord) -> Result<(), StoreError> {
        let mut shard = self
            .shard(&record.id)?
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.insert(record.id, Arc::new(record));
        Ok(())
    }

    fn select(&self, fits: impl Fn(&KeyRecord) -> bool) -> Vec<Arc<KeyRecord>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            found.extend(shard.values().filter(|record| fits(record)).map(Arc::clone));
        }
        found
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        let InsertKey {
            record,
            owner_limit,
        } = insert;
        let _writer = lock(&self.writer);
        if self.read(&record.id)?.is_some() {
            return Err(StoreError::AlreadyExists);
        }
        if let Some(limit) = owner_limit {
            let now = record.created_at;
            let active = self.select(|other| {
                other.owner == record.owner && other.status(now) == KeyStatus::Active
            });
            if u32::try_from(active.len()).unwrap_or(u32::MAX) >= limit {
                return Err(StoreError::OwnerLimit { limit });
            }
        }
        self.write(record)
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.read(id)
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        let _writer = lock(&self.writer);
        let stored = self.read(&record.id)?.ok_or(StoreError::NotFound)?;
        let next = apply_update(&stored, record)?;
        let revision = next.revision;
        self.write(next)?;
        Ok(revision)
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        let _writer = lock(&self.writer);
        for used in usage {
            let mut shard = self
                .shard(&used.id)?
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(stored) = shard.get_mut(&used.id) {
                apply_usage(Arc::make_mut(stored), used);
            }
        }
        Ok(())
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let mut found = self.select(|record| query.matches(record));
        query.sort(&mut found);
        Ok(Page::cut(found, query))
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        let _writer = lock(&self.writer);
        let stored = self.read(id)?.ok_or(StoreError::NotFound)?;
        if stored.revision != expected {
            return Err(StoreError::Conflict);
        }
        self.shard(id)?
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        Ok(())
    }
}

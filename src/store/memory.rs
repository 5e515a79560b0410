use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use super::{Capabilities, Cursor, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage};
use crate::key::{Credential, KeyId, KeyRecord, KeyStatus, LastUse, Revision};
use crate::sync::{Mutex, RwLock, lock};

/// Reads of different keys rarely meet at 64 locks, however many threads there are.
const SHARDS: usize = 64;

type Shard = HashMap<KeyId, Arc<KeyRecord>, RandomState>;

/// A store in the process's memory: complete, fast, and gone with the process.
///
/// For tests, for tools, and as the reference of what the contract means. A read is one hash and one shared lock.
pub struct MemoryStore {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
    /// Held by whoever changes anything, so that a count over all shards and the change after it are one step.
    writer: Mutex<()>,
}

impl MemoryStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS)
            .map(|_| RwLock::new(Shard::with_hasher(hasher.clone())))
            .collect();
        Self {
            hasher,
            shards,
            writer: Mutex::new(()),
        }
    }

    fn shard(&self, id: &KeyId) -> Result<&RwLock<Shard>, StoreError> {
        let count = u64::try_from(self.shards.len()).unwrap_or(1);
        let place = self
            .hasher
            .hash_one(id)
            .checked_rem(count)
            .and_then(|place| usize::try_from(place).ok());
        place
            .and_then(|place| self.shards.get(place))
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
        if stored.revision != record.revision {
            return Err(StoreError::Conflict);
        }
        let next = merge(&stored, record);
        let revision = next.revision;
        self.write(next)?;
        Ok(revision)
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        let _writer = lock(&self.writer);
        for used in usage {
            if let Some(stored) = self.read(&used.id)? {
                self.write(touched(&stored, used))?;
            }
        }
        Ok(())
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let mut found = self.select(|record| query.matches(record));
        found.sort_unstable_by_key(|record| std::cmp::Reverse(Cursor::of(record)));
        Ok(Page::cut(found, query.page_size()))
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

/// What the contract says an update leaves: the new settings, the old origin, the old usage.
fn merge(stored: &KeyRecord, update: &KeyRecord) -> KeyRecord {
    let used = |credential: &Credential| Credential {
        last_used_at: stored
            .credential(credential.generation)
            .and_then(|known| known.last_used_at),
        ..credential.clone()
    };
    KeyRecord {
        id: stored.id,
        environment: stored.environment,
        owner: stored.owner.clone(),
        created_at: stored.created_at,
        created_by: stored.created_by.clone(),
        last_used: stored.last_used,
        revision: stored.revision.next(),
        current: used(&update.current),
        previous: update.previous.as_ref().map(used),
        ..update.clone()
    }
}

fn touched(stored: &KeyRecord, used: &Usage) -> KeyRecord {
    let mut record = stored.clone();
    if record.last_used.is_none_or(|last| last.at < used.at) {
        record.last_used = Some(LastUse::new(used.at, used.from));
    }
    for credential in [Some(&mut record.current), record.previous.as_mut()]
        .into_iter()
        .flatten()
    {
        if credential.generation == used.generation {
            credential.last_used_at = credential.last_used_at.max(Some(used.at));
        }
    }
    record
}

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyward::key::{KeyId, KeyRecord, Revision};
use keyward::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, MemoryStore, Page, StoreError, Usage,
};

/// What can be asked of a store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Call {
    Find,
    Insert,
    Update,
    Usage,
    List,
    Delete,
}

/// A memory store that counts, and fails when told to. Clones share everything.
#[derive(Clone)]
pub struct TestStore {
    inner: Arc<MemoryStore>,
    state: Arc<Mutex<State>>,
    /// Whether writes of usage wait at their beginning.
    held: Arc<tokio::sync::watch::Sender<bool>>,
    /// Every batch of usage.
    pub batches: Arc<Mutex<Vec<Vec<Usage>>>>,
}

#[derive(Default)]
struct State {
    calls: HashMap<Call, u64>,
    failing: HashMap<Call, u64>,
    /// How many of the next updates find that somebody was faster.
    lost: u64,
}

impl std::fmt::Debug for TestStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestStore")
    }
}

impl TestStore {
    pub fn new() -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            state: Arc::default(),
            held: Arc::new(tokio::sync::watch::Sender::new(false)),
            batches: Arc::default(),
        }
    }

    pub fn count(&self, call: Call) -> u64 {
        let state = self.state.lock().unwrap();
        state.calls.get(&call).copied().unwrap_or(0)
    }

    /// Makes the next `times` calls of that kind fail; 0 mends it.
    pub fn fail(&self, call: Call, times: u64) {
        self.state.lock().unwrap().failing.insert(call, times);
    }

    /// Makes the next `times` updates find that somebody was faster.
    pub fn lose_updates(&self, times: u64) {
        self.state.lock().unwrap().lost = times;
    }

    fn loses(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let loses = state.lost > 0;
        state.lost -= u64::from(loses);
        loses
    }

    /// Makes writes of usage wait until they are released.
    pub fn hold_usage(&self) {
        self.held.send_replace(true);
    }

    pub fn release_usage(&self) {
        self.held.send_replace(false);
    }

    /// Changes a record behind the service's back.
    pub async fn edit(&self, id: &KeyId, edit: impl FnOnce(&mut KeyRecord)) {
        let mut record = (*self.inner.find(id).await.unwrap().unwrap()).clone();
        edit(&mut record);
        self.inner.update(&record).await.unwrap();
    }

    fn called(&self, call: Call) -> Result<(), StoreError> {
        if self.fails(call) {
            return Err(StoreError::unavailable("test", "told to fail"));
        }
        Ok(())
    }

    fn fails(&self, call: Call) -> bool {
        let mut state = self.state.lock().unwrap();
        *state.calls.entry(call).or_default() += 1;
        match state.failing.get_mut(&call) {
            Some(left) if *left > 0 => {
                *left = left.saturating_sub(u64::from(*left != u64::MAX));
                true
            }
            Some(_) | None => false,
        }
    }
}

#[async_trait]
impl KeyStore for TestStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.called(Call::Insert)?;
        self.inner.insert(insert).await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.called(Call::Find)?;
        let found = self.inner.find(id).await;
        // Whoever read the same record races: between read and write others get their turn.
        tokio::task::yield_now().await;
        found
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.called(Call::Update)?;
        if self.loses() {
            return Err(StoreError::Conflict);
        }
        self.inner.update(record).await
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.called(Call::Usage)?;
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        self.batches.lock().unwrap().push(usage.to_vec());
        self.inner.record_usage(usage).await
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.called(Call::List)?;
        self.inner.list(query).await
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.called(Call::Delete)?;
        self.inner.delete(id, expected).await
    }
}

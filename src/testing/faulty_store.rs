use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::key::{KeyId, KeyRecord, Revision};
use crate::store::{Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage};
use crate::sync::{Mutex, lock};

/// An operation of a [`KeyStore`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these are the operations of the trait, and a new one breaks every implementation anyway"
)]
pub enum StoreOperation {
    /// [`KeyStore::delete`].
    Delete,
    /// [`KeyStore::find`].
    Find,
    /// [`KeyStore::insert`].
    Insert,
    /// [`KeyStore::list`].
    List,
    /// [`KeyStore::record_usage`].
    RecordUsage,
    /// [`KeyStore::update`].
    Update,
}

/// A store around another that fails, waits and counts as it is told.
///
/// Clones share their state, so that a test keeps one and gives the other to what it tests.
///
/// ```
/// use keyward::store::{KeyStore, MemoryStore};
/// use keyward::testing::{FaultyStore, StoreOperation};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = FaultyStore::new(MemoryStore::new());
/// let id = "0aZ9bY8cX7dW".parse()?;
///
/// store.fail_next(StoreOperation::Find, 1);
/// assert!(store.find(&id).await.unwrap_err().is_outage());
/// assert!(store.find(&id).await?.is_none());
/// assert_eq!(store.calls(StoreOperation::Find), 2);
///
/// // Stop a read after it has seen the store, and before its caller learns of it.
/// let gate = store.hold_after(StoreOperation::Find);
/// let reader = tokio::spawn({
///     let store = store.clone();
///     async move { store.find(&id).await }
/// });
/// gate.arrived(1).await;
/// gate.open();
/// assert!(reader.await??.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn KeyStore>,
    plans: Arc<Mutex<HashMap<StoreOperation, Plan>>>,
}

/// What is to happen to an operation.
#[derive(Default)]
struct Plan {
    calls: u64,
    /// So many calls fail from now on; `u64::MAX` is all of them.
    failing: u64,
    before: Option<Post>,
    after: Option<Post>,
}

impl FaultyStore {
    /// Returns a store that does what `inner` does, until told otherwise.
    #[must_use]
    pub fn new(inner: impl KeyStore) -> Self {
        Self {
            inner: Arc::new(inner),
            plans: Arc::default(),
        }
    }

    /// Lets the next `count` calls of the operation fail as unavailable, without reaching the inner store.
    pub fn fail_next(&self, operation: StoreOperation, count: u64) {
        self.plan(operation, |plan| plan.failing = count);
    }

    /// Lets every call of the operation fail as unavailable, until [`FaultyStore::heal`].
    pub fn fail_always(&self, operation: StoreOperation) {
        self.fail_next(operation, u64::MAX);
    }

    /// Ends all failures. Gates stay.
    pub fn heal(&self) {
        for plan in lock(&self.plans).values_mut() {
            plan.failing = 0;
        }
    }

    /// Holds every call of the operation before it reaches the inner store, until the gate is opened or dropped.
    #[must_use]
    pub fn hold_before(&self, operation: StoreOperation) -> StoreGate {
        let (gate, post) = gate();
        self.plan(operation, |plan| plan.before = Some(post));
        gate
    }

    /// Holds every call of the operation when the inner store has done it, until the gate is opened or dropped.
    #[must_use]
    pub fn hold_after(&self, operation: StoreOperation) -> StoreGate {
        let (gate, post) = gate();
        self.plan(operation, |plan| plan.after = Some(post));
        gate
    }

    /// Returns how often the operation was called, failed and held calls included.
    #[must_use]
    pub fn calls(&self, operation: StoreOperation) -> u64 {
        self.plan(operation, |plan| plan.calls)
    }

    fn plan<T>(&self, operation: StoreOperation, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(lock(&self.plans).entry(operation).or_default())
    }

    async fn before(&self, operation: StoreOperation) -> Result<(), StoreError> {
        let (failed, post) = self.plan(operation, |plan| {
            plan.calls = plan.calls.saturating_add(1);
            let failed = plan.failing > 0;
            if plan.failing != u64::MAX {
                plan.failing = plan.failing.saturating_sub(1);
            }
            (failed, plan.before.clone())
        });
        wait_at(post).await;
        if failed {
            return Err(StoreError::unavailable("faulty", "told to fail"));
        }
        Ok(())
    }

    async fn after(&self, operation: StoreOperation) {
        let post = self.plan(operation, |plan| plan.after.clone());
        wait_at(post).await;
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Where calls of an operation wait. Dropping it lets them pass.
#[derive(Debug)]
pub struct StoreGate {
    open: watch::Sender<bool>,
    arrived: watch::Receiver<usize>,
}

/// The other side of a gate, one for all calls.
#[derive(Clone)]
struct Post {
    open: watch::Receiver<bool>,
    arrived: Arc<watch::Sender<usize>>,
}

fn gate() -> (StoreGate, Post) {
    let (open, opened) = watch::channel(false);
    let (arrive, arrived) = watch::channel(0);
    let gate = StoreGate { open, arrived };
    let post = Post {
        open: opened,
        arrived: Arc::new(arrive),
    };
    (gate, post)
}

impl StoreGate {
    /// Waits until `count` calls have come to the gate, counted since it was made.
    pub async fn arrived(&self, count: usize) {
        // An error means that the store is gone, and with it whatever could still arrive.
        let mut arrived = self.arrived.clone();
        drop(arrived.wait_for(|calls| *calls >= count).await);
    }

    /// Lets the calls that wait, and all later ones, pass.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn wait_at(post: Option<Post>) {
    let Some(mut post) = post else { return };
    post.arrived
        .send_modify(|calls| *calls = calls.saturating_add(1));
    // An error means that the gate was dropped, which opens it.
    drop(post.open.wait_for(|open| *open).await);
}

macro_rules! faulty {
    ($self:ident, $operation:ident, $call:expr) => {{
        $self.before(StoreOperation::$operation).await?;
        let outcome = $call.await;
        $self.after(StoreOperation::$operation).await;
        outcome
    }};
}

#[async_trait]
impl KeyStore for FaultyStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        faulty!(self, Insert, self.inner.insert(insert))
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        faulty!(self, Find, self.inner.find(id))
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        faulty!(self, Update, self.inner.update(record))
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        faulty!(self, RecordUsage, self.inner.record_usage(usage))
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        faulty!(self, List, self.inner.list(query))
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        faulty!(self, Delete, self.inner.delete(id, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn id() -> KeyId {
        "0aZ9bY8cX7dW".parse().unwrap()
    }

    #[tokio::test]
    async fn fails_as_often_as_told_and_counts() {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_next(StoreOperation::Find, 2);
        assert!(store.find(&id()).await.is_err());
        assert!(store.clone().find(&id()).await.is_err());
        assert!(store.find(&id()).await.is_ok());
        assert_eq!(store.calls(StoreOperation::Find), 3);
        assert_eq!(store.calls(StoreOperation::List), 0);
    }

    #[tokio::test]
    async fn fails_until_healed() {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_always(StoreOperation::List);
        for _ in 0..3 {
            assert!(store.list(&ListKeys::new()).await.unwrap_err().is_outage());
            assert!(store.find(&id()).await.is_ok());
        }
        store.heal();
        assert!(store.list(&ListKeys::new()).await.is_ok());
    }

    #[tokio::test]
    async fn holds_calls_until_the_gate_opens() {
        let store = FaultyStore::new(MemoryStore::new());
        for hold in [FaultyStore::hold_before, FaultyStore::hold_after] {
            let gate = hold(&store, StoreOperation::Find);
            let reader = tokio::spawn({
                let store = store.clone();
                async move { store.find(&id()).await.is_ok() }
            });
            gate.arrived(1).await;
            assert!(!reader.is_finished());
            gate.open();
            assert!(reader.await.unwrap());
            assert!(store.find(&id()).await.is_ok());
        }
    }

    #[tokio::test]
    async fn lets_calls_pass_when_the_gate_is_dropped() {
        let store = FaultyStore::new(MemoryStore::new());
        let gate = store.hold_before(StoreOperation::Find);
        let reader = tokio::spawn({
            let store = store.clone();
            async move { store.find(&id()).await.is_ok() }
        });
        gate.arrived(1).await;
        drop(gate);
        assert!(reader.await.unwrap());
    }
}

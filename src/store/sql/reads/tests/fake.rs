//! An engine that does what a test tells it.

use std::collections::HashMap;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::super::*;
use crate::access::Grant;
use crate::hash::{DigestText, SecretOrigin};
use crate::key::{Credential, Environment};
use crate::time::Timestamp;

/// An engine in memory, whose statements each wait for leave to end.
#[derive(Clone)]
pub(super) struct Fake(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) rows: StdMutex<HashMap<KeyId, Arc<KeyRecord>>>,
    /// The ids of each statement, in the order in which they began.
    pub(super) statements: StdMutex<Vec<Vec<KeyId>>>,
    pub(super) leave: Semaphore,
    pub(super) connections: AtomicUsize,
    pub(super) discarded: AtomicUsize,
    pub(super) closed: AtomicBool,
    /// How each connection was asked for.
    pub(super) asked: StdMutex<Vec<Health>>,
    pub(super) most: usize,
    /// Whether others wait for connections.
    pub(super) crowded: AtomicBool,
    /// What the next statements fail with.
    pub(super) faults: StdMutex<Vec<sqlx::Error>>,
}

/// A connection knows whose it is, so that its end can be counted.
pub(super) struct Connection(Arc<Inner>);

impl Fake {
    pub(super) fn new() -> Self {
        Self::with_connections(8)
    }

    pub(super) fn with_connections(most: usize) -> Self {
        Self(Arc::new(Inner {
            rows: StdMutex::default(),
            statements: StdMutex::default(),
            leave: Semaphore::new(0),
            connections: AtomicUsize::new(0),
            discarded: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            asked: StdMutex::default(),
            most,
            crowded: AtomicBool::new(false),
            faults: StdMutex::default(),
        }))
    }

    pub(super) fn reads(&self) -> Arc<Reads<Self>> {
        Reads::new(self.clone(), Some(Duration::from_secs(2)))
    }

    pub(super) fn insert(&self, id: KeyId) {
        let now = Timestamp::EPOCH;
        let digest = DigestText::new("$2b$12$not-a-digest");
        let record = KeyRecord::new(
            id,
            Environment::live(),
            "acme".parse().unwrap(),
            "name",
            Grant::Scopes(Vec::new()),
            Credential::new(digest, SecretOrigin::Generated, now),
            now,
            "user:ana".parse().unwrap(),
        );
        self.0.rows.lock().unwrap().insert(id, Arc::new(record));
    }

    pub(super) fn allow(&self, statements: usize) {
        self.0.leave.add_permits(statements);
    }

    pub(super) fn statements(&self) -> Vec<Vec<KeyId>> {
        self.0.statements.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Starts a read and waits until it has begun, or is waiting for others.
    pub(super) async fn start(
        &self,
        reads: &Arc<Reads<Self>>,
        number: u32,
    ) -> tokio::task::JoinHandle<Outcome> {
        let (task_reads, wanted) = (Arc::clone(reads), id(number));
        let task = tokio::spawn(async move { task_reads.find(&wanted).await });
        settle().await;
        task
    }
}

impl Engine for Fake {
    type Connection = Connection;
    type Row = Arc<KeyRecord>;

    fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    fn most_connections(&self) -> usize {
        self.0.most
    }

    fn has_spare(&self) -> bool {
        !self.0.crowded.load(Ordering::SeqCst)
    }

    async fn connect(&self, health: Health) -> Result<Connection, sqlx::Error> {
        self.0.asked.lock().unwrap().push(health);
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        Ok(Connection(Arc::clone(&self.0)))
    }

    async fn read(
        connection: &mut Connection,
        ids: &[KeyId],
    ) -> Result<Vec<Arc<KeyRecord>>, sqlx::Error> {
        let inner = Arc::clone(&connection.0);
        inner.statements.lock().unwrap().push(ids.to_vec());
        // What a statement sees is what there was when it began.
        let rows = inner.rows.lock().unwrap().clone();
        inner.leave.acquire().await.unwrap().forget();
        if let Some(fault) = inner.faults.lock().unwrap().pop() {
            return Err(fault);
        }
        Ok(ids.iter().filter_map(|id| rows.get(id).cloned()).collect())
    }

    fn discard(connection: Connection) {
        connection.0.discarded.fetch_add(1, Ordering::SeqCst);
    }

    fn id(row: &Arc<KeyRecord>) -> Option<KeyId> {
        Some(row.id)
    }

    fn record(row: &Arc<KeyRecord>) -> Result<Arc<KeyRecord>, StoreError> {
        if row.id == id(13) {
            return Err(StoreError::corrupt("owner", "unlucky"));
        }
        Ok(Arc::clone(row))
    }

    fn failed(error: sqlx::Error) -> StoreError {
        StoreError::unavailable("fake", error)
    }

    fn is_lost(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::Io(_))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn id(number: u32) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

/// Lets every task go on until all of them wait.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn found(outcome: &Outcome) -> Option<KeyId> {
    outcome.as_ref().unwrap().as_ref().map(|record| record.id)
}

use std::collections::HashMap;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::access::Grant;
use crate::hash::{DigestText, SecretOrigin};
use crate::key::{Credential, Environment};
use crate::time::Timestamp;

/// An engine in memory, whose statements each wait for leave to end.
#[derive(Clone)]
struct Fake(Arc<Inner>);

struct Inner {
    rows: StdMutex<HashMap<KeyId, Arc<KeyRecord>>>,
    /// The ids of each statement, in the order in which they began.
    statements: StdMutex<Vec<Vec<KeyId>>>,
    leave: Semaphore,
    connections: AtomicUsize,
    discarded: AtomicUsize,
    closed: AtomicBool,
    /// How each connection was asked for.
    asked: StdMutex<Vec<Health>>,
    most: usize,
    /// Whether others wait for connections.
    crowded: AtomicBool,
    /// What the next statements fail with.
    faults: StdMutex<Vec<sqlx::Error>>,
}

/// A connection knows whose it is, so that its end can be counted.
struct Connection(Arc<Inner>);

impl Fake {
    fn new() -> Self {
        Self::with_connections(8)
    }

    fn with_connections(most: usize) -> Self {
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

    fn reads(&self) -> Arc<Reads<Self>> {
        Reads::new(self.clone(), Some(Duration::from_secs(2)))
    }

    fn insert(&self, id: KeyId) {
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

    fn allow(&self, statements: usize) {
        self.0.leave.add_permits(statements);
    }

    fn statements(&self) -> Vec<Vec<KeyId>> {
        self.0.statements.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Starts a read and waits until it has begun, or is waiting for others.
    async fn start(
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

fn id(number: u32) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

/// Lets every task go on until all of them wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn found(outcome: &Outcome) -> Option<KeyId> {
    outcome.as_ref().unwrap().as_ref().map(|record| record.id)
}

#[tokio::test]
async fn a_read_alone_goes_at_once_and_alone() {
    let fake = Fake::new();
    fake.insert(id(1));
    fake.allow(2);
    let reads = fake.reads();
    assert_eq!(found(&reads.find(&id(1)).await), Some(id(1)));
    assert_eq!(found(&reads.find(&id(2)).await), None);
    assert_eq!(fake.statements(), [[id(1)], [id(2)]]);
}

#[tokio::test]
async fn those_who_wait_leave_together_with_the_first_line_that_is_back() {
    let fake = Fake::new();
    (1..=6).for_each(|number| fake.insert(id(number)));
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in [1, 2, 3, 4, 5, 4, 99] {
        tasks.push(fake.start(&reads, number).await);
    }
    assert_eq!(fake.statements(), [[id(1)], [id(2)]]);
    fake.allow(1);
    settle().await;
    let together = fake.statements().pop().unwrap();
    assert_eq!(together, [id(3), id(4), id(5), id(99)]);
    fake.allow(2);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(found(&task.await.unwrap()));
    }
    let expected = [1, 2, 3, 4, 5, 4].map(|number| Some(id(number)));
    assert_eq!(answers[..6], expected);
    assert_eq!(answers[6], None);
    assert_eq!(fake.statements().len(), 3);
}

/// The record changes while a statement is under way: who asked after the change sees the change.
#[tokio::test]
async fn no_read_is_answered_by_a_statement_that_began_before_it() {
    let fake = Fake::new();
    fake.insert(id(1));
    let reads = fake.reads();
    let early = [fake.start(&reads, 1).await, fake.start(&reads, 1).await];
    fake.0.rows.lock().unwrap().remove(&id(1));
    let late = fake.start(&reads, 1).await;
    fake.allow(3);
    for task in early {
        assert_eq!(found(&task.await.unwrap()), Some(id(1)));
    }
    assert_eq!(found(&late.await.unwrap()), None);
}

#[tokio::test]
async fn a_damaged_row_is_its_own_readers_trouble() {
    let fake = Fake::new();
    (13..=14).for_each(|number| fake.insert(id(number)));
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in [1, 2, 13, 14, 13] {
        tasks.push(fake.start(&reads, number).await);
    }
    fake.allow(3);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(matches!(
        answers[2],
        Err(StoreError::Corrupt { field: "owner", .. })
    ));
    assert!(matches!(
        answers[4],
        Err(StoreError::Corrupt { field: "owner", .. })
    ));
    assert_eq!(found(&answers[3]), Some(id(14)));
}

#[tokio::test]
async fn a_failed_statement_is_told_to_all_who_waited_for_it_with_its_cause() {
    let fake = Fake::new();
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in 1..=4 {
        tasks.push(fake.start(&reads, number).await);
    }
    fake.allow(2);
    settle().await;
    fake.0
        .faults
        .lock()
        .unwrap()
        .push(sqlx::Error::PoolTimedOut);
    fake.allow(1);
    let last = tasks.split_off(2);
    for task in last {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(
            error,
            StoreError::Unavailable { store: "fake", .. }
        ));
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), sqlx::Error::PoolTimedOut.to_string());
    }
}

#[tokio::test]
async fn a_lost_connection_is_replaced_and_the_read_goes_again() {
    let fake = Fake::new();
    fake.insert(id(1));
    let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
    fake.0.faults.lock().unwrap().extend([lost(), lost()]);
    fake.allow(3);
    assert_eq!(found(&fake.reads().find(&id(1)).await), Some(id(1)));
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 2);
    // Another that nobody has heard of since may be gone as well.
    let asked = fake.0.asked.lock().unwrap().clone();
    assert_eq!(asked, [Health::Assumed, Health::Tested, Health::Tested]);
    fake.0
        .faults
        .lock()
        .unwrap()
        .extend([lost(), lost(), lost()]);
    fake.allow(3);
    assert!(fake.reads().find(&id(1)).await.unwrap_err().is_outage());
}

#[tokio::test]
async fn whoever_gave_up_waiting_costs_nothing_and_holds_up_nobody() {
    let fake = Fake::new();
    fake.insert(id(5));
    let reads = fake.reads();
    let (first, second) = (fake.start(&reads, 1).await, fake.start(&reads, 2).await);
    let gone = [fake.start(&reads, 3).await, fake.start(&reads, 4).await];
    let stays = fake.start(&reads, 5).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    // A line whose reader is gone is there for the others all the same.
    first.abort();
    settle().await;
    assert_eq!(fake.statements().pop().unwrap(), [id(5)]);
    fake.allow(2);
    assert_eq!(found(&stays.await.unwrap()), Some(id(5)));
    assert_eq!(found(&second.await.unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn stuck_lines_hold_up_nobody_for_long() {
    let fake = Fake::new();
    (3..=9).for_each(|number| fake.insert(id(number)));
    let reads = Reads::new(fake.clone(), Some(Duration::from_secs(3600)));
    let stuck = [fake.start(&reads, 1).await, fake.start(&reads, 2).await];
    let mut late = Vec::new();
    for number in 3..=9 {
        late.push(fake.start(&reads, number).await);
    }
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    settle().await;
    // All of them, on one extra line.
    let together: Vec<_> = (3..=9).map(id).collect();
    assert_eq!(fake.statements(), [vec![id(1)], vec![id(2)], together]);
    // The semaphore is fair, so the stuck ones are let go first.
    fake.allow(3);
    for (number, task) in (3..=9).zip(late) {
        assert_eq!(found(&task.await.unwrap()), Some(id(number)));
    }
    for task in stuck {
        assert_eq!(found(&task.await.unwrap()), None);
    }
}

/// An engine that takes longer than anybody's patience is asked no more often for it.
#[tokio::test(start_paused = true)]
async fn a_slow_engine_is_asked_few_questions_for_many() {
    const READERS: std::ops::Range<u32> = 100..500;
    let fake = Fake::new();
    READERS.for_each(|number| fake.insert(id(number)));
    let reads = Reads::new(fake.clone(), Some(Duration::from_secs(10)));
    let mut tasks = Vec::new();
    for number in READERS {
        tasks.push(fake.start(&reads, number).await);
    }
    // Each statement takes twice the patience.
    for _ in 0..8 {
        tokio::time::sleep(PATIENCE * 2).await;
        let under_way = fake.0.connections.load(Ordering::SeqCst);
        assert!(under_way <= LINES + EXTRA_LINES, "{under_way} at one time");
        fake.allow(under_way);
        settle().await;
    }
    for (number, task) in READERS.zip(tasks) {
        assert_eq!(found(&task.await.unwrap()), Some(id(number)));
    }
    assert!(fake.statements().len() <= 8, "{}", fake.statements().len());
}

#[tokio::test(start_paused = true)]
async fn connections_are_not_taken_on_trust_for_a_while_after_one_has_failed() {
    let fake = Fake::with_connections(2);
    let reads = fake.reads();
    assert!(reads.find(&id(1)).await.is_err());
    fake.allow(10);
    reads.find(&id(1)).await.unwrap();
    tokio::time::sleep(DISTRUST).await;
    reads.find(&id(1)).await.unwrap();
    let asked = fake.0.asked.lock().unwrap().clone();
    assert_eq!(asked, [Health::Assumed, Health::Tested, Health::Assumed]);
}

#[tokio::test]
async fn an_engine_that_says_no_keeps_its_connection() {
    let fake = Fake::new();
    let reads = fake.reads();
    let refusal = sqlx::Error::Database(Box::new(Refusal));
    fake.0.faults.lock().unwrap().push(refusal);
    fake.allow(2);
    assert!(reads.find(&id(1)).await.is_err());
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.0.asked.lock().unwrap().len(), 1);
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 0);
}

/// What an engine says whose table is missing.
#[derive(Debug)]
struct Refusal;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no such table")
    }
}

impl std::error::Error for Refusal {}

impl sqlx::error::DatabaseError for Refusal {
    fn message(&self) -> &str {
        "no such table"
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}

#[tokio::test]
async fn a_line_keeps_nothing_while_others_wait_for_connections() {
    let fake = Fake::new();
    fake.allow(2);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 1);
    fake.0.crowded.store(true, Ordering::SeqCst);
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_in_time_is_unavailable_and_its_connection_is_ended() {
    let fake = Fake::new();
    let error = fake.reads().find(&id(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 1);
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_keeps_its_connection_while_it_is_used_and_not_long_after() {
    let fake = Fake::new();
    fake.allow(1000);
    let reads = fake.reads();
    for _ in 0..10 {
        reads.find(&id(1)).await.unwrap();
        assert_eq!(fake.connections(), 1);
        tokio::time::sleep(IDLE / 2).await;
    }
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(fake.connections(), 0);
    // And again: somebody looks after the line each time.
    reads.find(&id(1)).await.unwrap();
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_constant_use_goes_back_to_the_pool_now_and_then() {
    let fake = Fake::new();
    fake.allow(1000);
    let reads = fake.reads();
    let mut gone = 0;
    for _ in 0..130 {
        reads.find(&id(1)).await.unwrap();
        gone += usize::from(fake.connections() == 0);
        tokio::time::sleep(IDLE / 2).await;
    }
    assert_eq!(gone, 1);
}

#[tokio::test]
async fn a_pool_too_small_to_keep_connections_from_gets_each_back() {
    let fake = Fake::with_connections(2);
    fake.allow(1);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 0);
}

#[tokio::test]
async fn a_closed_pool_is_not_read_from_even_on_a_kept_connection() {
    let fake = Fake::new();
    fake.allow(2);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    fake.0.closed.store(true, Ordering::SeqCst);
    assert!(reads.find(&id(1)).await.unwrap_err().is_outage());
    assert_eq!(fake.connections(), 0);
}

#[tokio::test]
async fn many_more_than_fit_into_one_statement_are_all_answered() {
    let fake = Fake::new();
    let reads = fake.reads();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            fake.insert(id(number + 100));
            let reads = Arc::clone(&reads);
            tokio::spawn(async move { (number, reads.find(&id(number + 100)).await) })
        })
        .collect();
    settle().await;
    fake.allow(1000);
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        assert_eq!(found(&outcome), Some(id(number + 100)));
    }
    assert!(
        fake.statements()
            .iter()
            .all(|ids| ids.len() <= MOST_TOGETHER)
    );
    assert_eq!(
        fake.statements().len(),
        2 + 998_usize.div_ceil(MOST_TOGETHER)
    );
}

/// A runtime that ends drops the tasks it has; the lines come back nevertheless, and the next runtime reads.
#[test]
fn lines_survive_the_runtime_that_had_them() {
    let fake = Fake::new();
    fake.insert(id(1));
    let reads = fake.reads();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        for number in 1..=5 {
            drop(fake.start(&reads, number).await);
        }
    });
    drop(first);
    reads.release();
    fake.allow(10);
    assert_eq!(found(&runtime().block_on(reads.find(&id(1)))), Some(id(1)));
}

/// Whoever looked after the lines is gone with its runtime; the next runtime has another.
#[test]
fn connections_are_given_back_in_the_next_runtime_too() {
    let fake = Fake::new();
    fake.allow(10);
    let reads = fake.reads();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    runtime().block_on(reads.find(&id(1))).unwrap();
    runtime().block_on(async {
        reads.find(&id(1)).await.unwrap();
        tokio::time::sleep(IDLE * 3).await;
    });
    assert_eq!(fake.connections(), 0);
}

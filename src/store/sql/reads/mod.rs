//! Reads that travel together.
//!
//! A read that finds a line free goes at once, alone. While all lines are under way those that arrive wait, and leave
//! together with the first line that comes back: one statement for all of them. So nobody waits to be joined by others,
//! and every read begins after it was asked for: nothing that anybody gets to see is older than the question.
//!
//! A line keeps its connection while there is traffic, which saves a trip to the pool and the pool's own test of the
//! connection for each read.

mod line;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use self::line::Line;
use self::outcome::{Outcome, again};
use crate::key::{KeyId, KeyRecord};
use crate::store::StoreError;
use crate::sync::{Mutex, lock};

/// How many statements of reads are under way at one time. Two, so that one which is stuck holds up nobody, and no more,
/// because reads that wait a moment and go together cost the engine less than those that go apart.
const LINES: usize = 2;

/// The most ids in one statement: what comes back is then some hundred kilobytes.
const MOST_TOGETHER: usize = 128;

/// How long a read waits for a line to come back before it goes by itself: longer than a healthy engine ever takes, and
/// short beside what a client waits.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a line that nobody needs keeps its connection.
const IDLE: Duration = Duration::from_secs(1);

/// How an engine reads, for [`Reads`].
pub(super) trait Engine: Send + Sync + 'static {
    type Connection: Send + 'static;
    type Row: Send;

    /// Returns whether nothing more can be read.
    fn is_closed(&self) -> bool;

    /// Returns how many connections there can be.
    fn most_connections(&self) -> usize;

    /// Returns a connection: any, or one that has just answered.
    fn connect(
        &self,
        health: Health,
    ) -> impl Future<Output = Result<Self::Connection, sqlx::Error>> + Send;

    /// Reads the rows of these ids, in any order.
    fn read(
        connection: &mut Self::Connection,
        ids: &[KeyId],
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Ends a connection of which nobody knows what it is doing.
    fn discard(connection: Self::Connection);

    fn id(row: &Self::Row) -> Option<KeyId>;

    fn record(row: &Self::Row) -> Result<Arc<KeyRecord>, StoreError>;

    fn failed(error: sqlx::Error) -> StoreError;

    /// Returns whether the connection broke, so that the read may be tried on another.
    fn is_lost(error: &sqlx::Error) -> bool;
}

/// Whether a connection from the pool is asked for a sign of life first, which costs a trip.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    Assumed,
    Tested,
}

/// The reads of one store. See the module's page.
pub(super) struct Reads<E: Engine> {
    engine: E,
    /// How long an engine may take, if it can be out of reach.
    deadline: Option<Duration>,
    /// Lines keep their connections only where others are left for writers.
    keeps: bool,
    state: Mutex<State<E>>,
}

struct State<E: Engine> {
    idle: Vec<Line<E>>,
    waiting: VecDeque<Waiting>,
    /// Whether somebody looks after idle lines.
    tended: bool,
}

struct Waiting {
    id: KeyId,
    answer: oneshot::Sender<Outcome>,
}

enum Place<E: Engine> {
    Free(Line<E>),
    Taken(oneshot::Receiver<Outcome>),
}

/// One way to the engine and back. However it ends, its line is there for the next.
struct Trip<E: Engine> {
    reads: Arc<Reads<E>>,
    line: Line<E>,
    /// One of [`LINES`], or an extra one.
    regular: bool,
}

impl<E: Engine> Reads<E> {
    pub(super) fn new(engine: E, deadline: Option<Duration>) -> Arc<Self> {
        let keeps = engine.most_connections() > LINES;
        Arc::new(Self {
            engine,
            deadline,
            keeps,
            state: Mutex::new(State {
                idle: (0..LINES).map(|_| Line::default()).collect(),
                waiting: VecDeque::new(),
                tended: false,
            }),
        })
    }

    pub(super) async fn find(self: &Arc<Self>, id: &KeyId) -> Outcome {
        match self.take_place(id) {
            Place::Free(line) => Trip::regular(self, line).alone(id).await,
            Place::Taken(answer) => match timeout(PATIENCE, answer).await {
                Ok(Ok(outcome)) => outcome,
                // Its line is stuck, or ended with the task that had it.
                Ok(Err(_)) | Err(_) => Trip::extra(self).alone(id).await,
            },
        }
    }

    /// Lets go of every connection that is not being used.
    pub(super) fn release(&self) {
        let mut state = lock(&self.state);
        let held: Vec<_> = state.idle.iter_mut().map(Line::take).collect();
        drop(state);
        drop(held);
    }

    fn take_place(&self, id: &KeyId) -> Place<E> {
        let mut state = lock(&self.state);
        if let Some(line) = state.idle.pop() {
            return Place::Free(line);
        }
        let (answer, receiver) = oneshot::channel();
        state.waiting.push_back(Waiting { id: *id, answer });
        Place::Taken(receiver)
    }

    /// A line is back: it leaves with those who wait, or waits itself.
    fn arrive(self: &Arc<Self>, mut line: Line<E>) {
        let mut state = lock(&self.state);
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = state.waiting.len().min(MOST_TOGETHER);
        let together: Vec<_> = state.waiting.drain(..count).collect();
        // Outside a runtime those who wait find that nobody answers, and go by themselves.
        if let (false, Ok(runtime)) = (together.is_empty(), Handle::try_current()) {
            drop(state);
            runtime.spawn(Trip::regular(self, line).together(together));
            return;
        }
        let released = line.rest(self.keeps && !self.engine.is_closed());
        state.idle.push(line);
        if !state.tended {
            state.tended = self.tend();
        }
        drop(state);
        drop(released);
    }

    /// Takes the connections from lines that nobody needs any more, for as long as there are any.
    fn tend(self: &Arc<Self>) -> bool {
        let (Ok(runtime), true) = (Handle::try_current(), self.keeps) else {
            return false;
        };
        let reads = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(IDLE).await;
                let Some(reads) = reads.upgrade() else { return };
                let mut state = lock(&reads.state);
                let now = Instant::now();
                let rested: Vec<_> = state.idle.iter_mut().map(|it| it.rested(now)).collect();
                // A line under way looks for a tender when it is back.
                state.tended = state.idle.iter().any(Line::is_connected);
                let done = !state.tended;
                drop(state);
                drop(rested);
                if done {
                    return;
                }
            }
        });
        true
    }
}

impl<E: Engine> Trip<E> {
    fn regular(reads: &Arc<Reads<E>>, line: Line<E>) -> Self {
        Self {
            reads: Arc::clone(reads),
            line,
            regular: true,
        }
    }

    fn extra(reads: &Arc<Reads<E>>) -> Self {
        Self {
            reads: Arc::clone(reads),
            line: Line::default(),
            regular: false,
        }
    }

    async fn alone(mut self, id: &KeyId) -> Outcome {
        let rows = self.rows(std::slice::from_ref(id)).await?;
        rows.first().map(E::record).transpose()
    }

    async fn together(mut self, waiting: Vec<Waiting>) {
        let mut ids: Vec<_> = waiting.iter().map(|waiting| waiting.id).collect();
        ids.sort_unstable();
        ids.dedup();
        match self.rows(&ids).await {
            Ok(rows) => answer::<E>(waiting, &rows),
            Err(error) => {
                let error = Arc::new(error);
                for waiting in waiting {
                    // Whoever asked may be gone.
                    let _ = waiting.answer.send(Err(again(&error)));
                }
            }
        }
    }

    async fn rows(&mut self, ids: &[KeyId]) -> Result<Vec<E::Row>, StoreError> {
        let rows = self.line.rows(&self.reads.engine, self.reads.deadline, ids);
        rows.await.map_err(E::failed)
    }
}

impl<E: Engine> Drop for Trip<E> {
    fn drop(&mut self) {
        if self.regular {
            self.reads.arrive(std::mem::take(&mut self.line));
        }
    }
}

fn answer<E: Engine>(waiting: Vec<Waiting>, rows: &[E::Row]) {
    let mut read = HashMap::with_capacity(rows.len());
    let rows: HashMap<_, _> = rows
        .iter()
        .filter_map(|row| Some((E::id(row)?, row)))
        .collect();
    for Waiting { id, answer } in waiting {
        let outcome = match rows.get(&id) {
            None => Ok(None),
            Some(row) => match read.get(&id) {
                Some(record) => Ok(Some(Arc::clone(record))),
                None => E::record(row).map(|record| {
                    read.insert(id, Arc::clone(&record));
                    Some(record)
                }),
            },
        };
        // Whoever asked may be gone.
        let _ = answer.send(outcome);
    }
}

//! Reads that travel together.
//!
//! A read that finds a line free goes at once, alone. While all lines are under way those that arrive wait, and leave
//! together with the first line that comes back: one statement for all of them. So nobody waits to be joined by others,
//! and every read begins after it was asked for: nothing that anybody gets to see is older than the question.
//!
//! When no line comes back for a while, those who wait leave together on an extra one. However slow the engine is, there are
//! only so many statements at one time, each for many.
//!
//! A line keeps its connection while there is traffic, which saves a trip to the pool and the pool's own test of the
//! connection for each read.

mod line;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use self::line::Line;
use self::outcome::{Outcome, again};
use crate::key::{KeyId, KeyRecord};
use crate::sql::lent::Health;
use crate::store::StoreError;
use crate::sync::{Mutex, lock};

/// How many statements of reads are under way at one time. Two, so that one which is stuck holds up nobody, and no more,
/// because reads that wait a moment and go together cost the engine less than those that go apart.
const LINES: usize = 2;

/// How many more there may be while those do not come back.
const EXTRA_LINES: usize = 2;

/// The most ids in one statement: what comes back is then some hundred kilobytes.
const MOST_TOGETHER: usize = 128;

/// How long a read waits for a line to come back before it asks for an extra one: longer than a healthy engine ever takes,
/// and short beside what a client waits.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a line that nobody needs keeps its connection.
const IDLE: Duration = Duration::from_secs(1);

/// How long connections are not taken on trust after one has failed: what took one of them may have taken all.
const DISTRUST: Duration = Duration::from_secs(60);

/// How an engine reads, for [`Reads`].
pub(super) trait Engine: Send + Sync + 'static {
    type Connection: Send + 'static;
    type Row: Send;

    /// Returns whether nothing more can be read.
    fn is_closed(&self) -> bool;

    /// Returns how many connections there can be.
    fn most_connections(&self) -> usize;

    /// Returns whether others could have a connection at once.
    fn has_spare(&self) -> bool;

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
    /// How many extra lines are under way.
    extra: usize,
    next_ticket: u64,
    /// Since a connection failed.
    distrust: Option<Instant>,
    /// Whether somebody looks after idle lines.
    tended: bool,
}

struct Waiting {
    id: KeyId,
    ticket: u64,
    answer: oneshot::Sender<Outcome>,
}

enum Place<E: Engine> {
    Free(Line<E>),
    Taken(u64, oneshot::Receiver<Outcome>),
}

/// One way to the engine and back. However it ends, its line is there for the next.
struct Trip<E: Engine> {
    reads: Arc<Reads<E>>,
    line: Line<E>,
    kind: Kind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// One of [`LINES`].
    Regular,
    /// One of [`EXTRA_LINES`].
    Extra,
    /// For one whose trip ended with the runtime that had it.
    Stray,
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
                extra: 0,
                next_ticket: 0,
                distrust: None,
                tended: false,
            }),
        })
    }

    pub(super) async fn find(self: &Arc<Self>, id: &KeyId) -> Outcome {
        let (ticket, mut answer) = match self.take_place(id) {
            Place::Free(line) => return self.trip(line, Kind::Regular).alone(id).await,
            Place::Taken(ticket, answer) => (ticket, answer),
        };
        loop {
            match timeout(PATIENCE, &mut answer).await {
                Ok(Ok(outcome)) => return outcome,
                // Its trip ended with the task that made it.
                Ok(Err(_)) => return self.trip(Line::default(), Kind::Stray).alone(id).await,
                Err(_) => self.lose_patience(ticket),
            }
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
        let ticket = state.next_ticket;
        state.next_ticket = ticket.wrapping_add(1);
        state.waiting.push_back(Waiting {
            id: *id,
            ticket,
            answer,
        });
        Place::Taken(ticket, receiver)
    }

    /// Sends those who wait on an extra line, unless whoever asks is under way already, or enough others are.
    fn lose_patience(self: &Arc<Self>, ticket: u64) {
        let mut state = lock(&self.state);
        let waits = state.waiting.iter().any(|waiting| waiting.ticket == ticket);
        let (true, true, Ok(runtime)) = (waits, state.extra < EXTRA_LINES, Handle::try_current())
        else {
            return;
        };
        state.extra = state.extra.saturating_add(1);
        let together = state.depart();
        drop(state);
        runtime.spawn(self.trip(Line::default(), Kind::Extra).together(together));
    }

    /// A line is back: it leaves with those who wait, or waits itself.
    fn arrive(self: &Arc<Self>, mut line: Line<E>) {
        let mut state = lock(&self.state);
        let together = state.depart();
        // Outside a runtime those who wait find that nobody answers, and go by themselves.
        if let (false, Ok(runtime)) = (together.is_empty(), Handle::try_current()) {
            drop(state);
            runtime.spawn(self.trip(line, Kind::Regular).together(together));
            return;
        }
        let keep = self.keeps && !self.engine.is_closed() && self.engine.has_spare();
        let released = line.rest(keep);
        let untended = line.is_connected() && !state.tended;
        state.tended |= untended;
        state.idle.push(line);
        drop(state);
        drop(released);
        if untended {
            self.tend();
        }
    }

    /// Takes the connections from lines that nobody needs any more, for as long as there are any.
    fn tend(self: &Arc<Self>) {
        let tender = Tender(Arc::downgrade(self));
        // Without a runtime the tender is dropped here, and the next line that comes back looks for another.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(IDLE).await;
                let Some(reads) = tender.0.upgrade() else {
                    return;
                };
                let mut state = lock(&reads.state);
                let now = Instant::now();
                let rested: Vec<_> = state.idle.iter_mut().map(|it| it.rested(now)).collect();
                let done = !state.idle.iter().any(Line::is_connected);
                drop(state);
                drop(rested);
                if done {
                    return;
                }
            }
        });
    }

    /// Returns whether connections are taken on trust.
    fn health(&self) -> Health {
        let mut state = lock(&self.state);
        match state.distrust {
            Some(since) if since.elapsed() < DISTRUST => Health::Tested,
            _ => {
                state.distrust = None;
                Health::Assumed
            }
        }
    }

    fn trip(self: &Arc<Self>, line: Line<E>, kind: Kind) -> Trip<E> {
        Trip {
            reads: Arc::clone(self),
            line,
            kind,
        }
    }
}

impl<E: Engine> State<E> {
    /// Takes those who wait first, as many as go together.
    fn depart(&mut self) -> Vec<Waiting> {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = self.waiting.len().min(MOST_TOGETHER);
        self.waiting.drain(..count).collect()
    }
}

/// Looks after idle lines. However it ends, the next line that comes back may look for another.
struct Tender<E: Engine>(Weak<Reads<E>>);

impl<E: Engine> Drop for Tender<E> {
    fn drop(&mut self) {
        if let Some(reads) = self.0.upgrade() {
            lock(&reads.state).tended = false;
        }
    }
}

impl<E: Engine> Trip<E> {
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
        let reads = &self.reads;
        let health = if self.line.is_connected() {
            Health::Assumed
        } else {
            reads.health()
        };
        let rows = self.line.rows(&reads.engine, health, reads.deadline, ids);
        rows.await.map_err(|error| {
            if E::is_lost(&error) {
                lock(&reads.state).distrust = Some(Instant::now());
            }
            E::failed(error)
        })
    }
}

impl<E: Engine> Drop for Trip<E> {
    fn drop(&mut self) {
        match self.kind {
            Kind::Regular => self.reads.arrive(std::mem::take(&mut self.line)),
            Kind::Extra => {
                let mut state = lock(&self.reads.state);
                state.extra = state.extra.saturating_sub(1);
            }
            Kind::Stray => {}
        }
    }
}

fn answer<E: Engine>(waiting: Vec<Waiting>, rows: &[E::Row]) {
    let mut read = HashMap::with_capacity(rows.len());
    let known: HashMap<_, _> = rows
        .iter()
        .filter_map(|row| Some((E::id(row)?, row)))
        .collect();
    // A row that does not say whose it is may be anybody's: it must not make a key seem absent.
    let all_known = known.len() == rows.len();
    for Waiting { id, answer, .. } in waiting {
        let outcome = match (known.get(&id), read.get(&id)) {
            (None, _) if all_known => Ok(None),
            (None, _) => Err(StoreError::corrupt("id", "a row without a readable id")),
            (Some(_), Some(record)) => Ok(Some(Arc::clone(record))),
            (Some(row), None) => E::record(row).map(|record| {
                read.insert(id, Arc::clone(&record));
                Some(record)
            }),
        };
        // Whoever asked may be gone.
        let _ = answer.send(outcome);
    }
}

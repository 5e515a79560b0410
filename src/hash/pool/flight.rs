use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::job::{Ending, Job, ending, guarded};
use super::{HashJob, HashPool, Lane, Overloaded, PoolError};
use crate::hash::ProofTag;
use crate::sync::{Mutex, lock};

/// Runs equal presentations once: after a deploy, two hundred parallel requests of one client cost one slow hash.
///
/// Presentations are equal when their [`ProofTag`]s are, that is when key id, stored digest and secret are; a wrong
/// secret never shares the fate of a right one. Nothing outlives the hash: whoever comes after its end starts anew.
/// The job is skipped only if everybody who waits for it has gone.
///
/// ```
/// use keyward::hash::{DigestText, HashPool, Lane, ProofMemory, SingleFlight};
/// use keyward::random::OsRandom;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = HashPool::builder().build()?;
/// let memory = ProofMemory::new(&OsRandom::new())?;
/// let flights = SingleFlight::new();
/// let tag = memory.tag("id", &DigestText::new("$2b$12$…"), b"secret");
/// let first = flights.submit(&pool, &tag, Lane::Trusted, || true)?;
/// let second = flights.submit(&pool, &tag, Lane::Trusted, || true)?;
/// assert!(first.await? && second.await?);
/// # Ok(())
/// # }
/// ```
pub struct SingleFlight<R> {
    flights: Arc<Flights<R>>,
}

/// By tag. The tag is a MAC under a key that nobody knows, so that comparing it byte by byte tells nothing.
type Flights<R> = Mutex<HashMap<[u8; 32], Arc<Flight<R>>>>;

/// One hash and those who wait for it. The lock order is: map, then flight; neither is held while the pool is called.
struct Flight<R> {
    state: Mutex<State<R>>,
}

enum State<R> {
    Open(Vec<Waiter<R>>),
    /// Ended, turned away or abandoned: nobody can join any more.
    Closed,
}

type Waiter<R> = oneshot::Sender<Result<R, PoolError>>;

impl<R: Clone + Send + 'static> SingleFlight<R> {
    /// Returns one with nothing in flight.
    #[must_use]
    pub fn new() -> Self {
        Self {
            flights: Arc::default(),
        }
    }

    /// Joins the hash of an equal presentation, or queues this one. The lane counts for the first only.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when there was nothing to join and the lane is full.
    pub fn submit<F>(
        &self,
        pool: &HashPool,
        tag: &ProofTag,
        lane: Lane,
        job: F,
    ) -> Result<HashJob<R>, Overloaded>
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let waiting = HashJob { waiting };
        let Some(flight) = self.join_or_open(tag, answer) else {
            return Ok(waiting);
        };
        let shared = Shared {
            job: Some(job),
            tag: *tag.bytes(),
            flight: Arc::clone(&flight),
            flights: Arc::clone(&self.flights),
        };
        let Err(refused) = pool.push(lane, Box::new(shared)) else {
            return Ok(waiting);
        };
        // Others may have joined meanwhile: they are turned away with this one.
        flight.refuse(refused.overloaded);
        drop(refused.job);
        Err(refused.overloaded)
    }

    /// Returns how many different presentations are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        lock(&self.flights).len()
    }

    /// Returns the new flight when there was none to join.
    fn join_or_open(&self, tag: &ProofTag, waiter: Waiter<R>) -> Option<Arc<Flight<R>>> {
        let mut flights = lock(&self.flights);
        let waiter = match flights.get(tag.bytes()) {
            Some(flight) => flight.join(waiter)?,
            None => waiter,
        };
        let flight = Arc::new(Flight {
            state: Mutex::new(State::Open(vec![waiter])),
        });
        flights.insert(*tag.bytes(), Arc::clone(&flight));
        Some(flight)
    }
}

impl<R: Clone + Send + 'static> Default for SingleFlight<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for SingleFlight<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl<R> Flight<R> {
    /// Gives the waiter back when it is too late to join.
    fn join(&self, waiter: Waiter<R>) -> Option<Waiter<R>> {
        match &mut *lock(&self.state) {
            State::Open(waiters) => {
                waiters.push(waiter);
                None
            }
            State::Closed => Some(waiter),
        }
    }

    /// Closes it and returns who waits.
    fn close(&self) -> Vec<Waiter<R>> {
        match std::mem::replace(&mut *lock(&self.state), State::Closed) {
            State::Open(waiters) => waiters,
            State::Closed => Vec::new(),
        }
    }

    fn refuse(&self, overloaded: Overloaded) {
        for waiter in self.close() {
            let _ = waiter.send(Err(PoolError::Overloaded(overloaded)));
        }
    }

    /// Closes it if nobody waits any more, and returns whether it is closed.
    fn close_if_abandoned(&self) -> bool {
        let mut state = lock(&self.state);
        if let State::Open(waiters) = &*state
            && !waiters.iter().all(oneshot::Sender::is_closed)
        {
            return false;
        }
        *state = State::Closed;
        true
    }
}

/// The one job of a flight.
struct Shared<R, F> {
    job: Option<F>,
    tag: [u8; 32],
    flight: Arc<Flight<R>>,
    flights: Arc<Flights<R>>,
}

impl<R, F> Shared<R, F> {
    /// Takes the flight off the map, unless a later one has taken its place.
    fn land(&self) -> Vec<Waiter<R>> {
        let mut flights = lock(&self.flights);
        if flights
            .get(&self.tag)
            .is_some_and(|it| Arc::ptr_eq(it, &self.flight))
        {
            flights.remove(&self.tag);
        }
        drop(flights);
        self.flight.close()
    }
}

impl<R, F> Job for Shared<R, F>
where
    F: FnOnce() -> R + Send,
    R: Clone + Send,
{
    fn is_abandoned(&self) -> bool {
        self.flight.close_if_abandoned()
    }

    fn run(mut self: Box<Self>, end: &dyn Fn(Ending)) {
        let Some(job) = self.job.take().filter(|_| !self.is_abandoned()) else {
            drop(self.land());
            end(Ending::Skipped);
            return;
        };
        let answer = guarded(job);
        let waiters = self.land();
        end(ending(&answer));
        for waiter in waiters {
            // A caller who left meanwhile needs no answer.
            let _ = waiter.send(answer.clone());
        }
    }
}

/// Not run: the pool has stopped, or the flight was abandoned. Those who wait hear "stopped".
impl<R, F> Drop for Shared<R, F> {
    fn drop(&mut self) {
        drop(self.land());
    }
}

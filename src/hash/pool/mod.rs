use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use self::job::{Alone, Job};
use self::queue::{Queue, Refused};
use crate::sync::thread;

mod exclusive;
mod flight;
mod job;
mod queue;
#[cfg(all(test, keyward_shuttle))]
mod races;

pub use self::exclusive::Exclusive;
pub use self::flight::SingleFlight;
pub use self::job::HashJob;

/// A few threads of their own for slow hashes, with a bounded queue in two lanes.
///
/// A slow hash is a third of a second of one core. On the async threads ten wrong keys a second would stop a server; on
/// an unbounded pool they would starve each other. Here at most `threads` run at a time, at most `queue` wait in each
/// lane, and the rest is told at once to come back: [`Overloaded`].
///
/// * [`Lane::Trusted`] goes first; [`Lane::Doubtful`] gets at most every fourth slot while trusted jobs wait, and
///   cannot take their room.
/// * A job whose [`HashJob`] was dropped before it began is skipped. One that has begun keeps its thread to the end,
///   so that the number of running hashes never exceeds the threads.
/// * A job that panics answers [`PoolError::Panicked`] and harms no other.
/// * Dropping the pool stops it without waiting: queued jobs answer [`PoolError::Stopped`], running ones are finished
///   on their threads, which then end.
///
/// ```
/// use keyward::hash::{HashPool, Lane};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = HashPool::builder().build()?;
/// let answer = pool.submit(Lane::Trusted, || 6 * 7)?.await?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
pub struct HashPool {
    queue: Arc<Queue>,
    exclusive: exclusive::Busy,
}

impl HashPool {
    /// Starts from the defaults.
    pub fn builder() -> HashPoolBuilder {
        HashPoolBuilder {
            threads: None,
            queue: None,
            hash_time: HASH_TIME,
        }
    }

    /// Queues a job. It need not be awaited to run, but is skipped if its [`HashJob`] is dropped before it begins.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when the lane is full. The job is dropped.
    pub fn submit<R, F>(&self, lane: Lane, job: F) -> Result<HashJob<R>, Overloaded>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, answer) = Alone::new(job);
        match self.push(lane, Box::new(job)) {
            Ok(()) => Ok(answer),
            Err(refused) => Err(refused.overloaded),
        }
    }

    /// Reserves a key for one hash at a time, for services that remember no proofs: the holder of a single good key
    /// could otherwise fill all threads.
    ///
    /// Move the [`Exclusive`] into the job, so that it lives as long as the hash even when the caller goes away.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] while another hash for this key waits or runs. It does not wait, because whoever waits holds a
    /// request open, and that is what there must not be many of.
    pub fn exclusive(&self, key_id: &str) -> Result<Exclusive, Overloaded> {
        self.exclusive
            .enter(key_id)
            .ok_or_else(|| self.queue.refusal())
    }

    /// Returns what it is doing and has done.
    #[must_use]
    pub fn stats(&self) -> HashPoolStats {
        self.queue.stats()
    }

    fn push(&self, lane: Lane, job: Box<dyn Job>) -> Result<(), Refused> {
        self.queue.push(lane, job)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Who goes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "two lanes are what keeps a flood from honest clients"
)]
pub enum Lane {
    /// For sources without recent failures.
    Trusted,
    /// For everyone else.
    Doubtful,
}

/// There is no room in the queue. The answer to the client is 503 with `Retry-After`, never "invalid key".
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many slow hashes are waiting")]
#[non_exhaustive]
pub struct Overloaded {
    /// When the queue, as full as it is now, will have been worked off.
    pub retry_after: Duration,
}

/// Why a queued job has no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The presentation that this one had joined was turned away.
    #[error("too many slow hashes are waiting")]
    Overloaded(Overloaded),
    /// The job panicked.
    #[error("the job panicked")]
    Panicked,
    /// The pool was dropped before the job began.
    #[error("the pool has stopped")]
    Stopped,
}

/// What a [`HashPool`] is doing and has done, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HashPoolStats {
    /// Jobs that ran to their end.
    pub done: u64,
    /// Jobs that panicked; not among `done`.
    pub panicked: u64,
    /// Jobs that wait in the doubtful lane.
    pub queued_doubtful: usize,
    /// Jobs that wait in the trusted lane.
    pub queued_trusted: usize,
    /// Jobs that run now.
    pub running: usize,
    /// Jobs that were turned away, because the lane was full or the key was busy.
    pub shed: u64,
    /// Jobs that were skipped because nobody waited for them any more.
    pub skipped: u64,
    /// Threads.
    pub threads: usize,
}

/// Sets up a [`HashPool`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HashPoolBuilder {
    threads: Option<NonZeroUsize>,
    queue: Option<usize>,
    hash_time: Duration,
}

impl HashPoolBuilder {
    /// Sets the number of threads: half the cores by default, at least one, so that hashing never takes the whole
    /// machine from the requests that need none.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets how many jobs may wait in each lane: six for each thread by default, which bcrypt at 12 works off in two
    /// seconds. With 0 only an idle thread takes a job.
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = Some(jobs);
        self
    }

    /// Sets how long one job takes, from which [`Overloaded::retry_after`] is reckoned: 300 ms by default, bcrypt at 12.
    pub fn hash_time(mut self, time: Duration) -> Self {
        self.hash_time = time;
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] when the operating system gave no thread; those already started end again.
    pub fn build(self) -> std::io::Result<HashPool> {
        let threads = self.threads.map_or_else(default_threads, NonZeroUsize::get);
        let room = self
            .queue
            .unwrap_or(threads.saturating_mul(QUEUE_PER_THREAD));
        let queue = Arc::new(Queue::new(threads, room, self.hash_time));
        let pool = HashPool {
            queue: Arc::clone(&queue),
            exclusive: exclusive::Busy::default(),
        };
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("keyward-hash".to_owned())
                .spawn(move || queue.work())?;
        }
        Ok(pool)
    }
}

/// bcrypt at 12 takes 300 ms of one core (`docs/hashing.md`).
const HASH_TIME: Duration = Duration::from_millis(300);

/// What one thread works off in two seconds, about as long as a client waits gladly.
const QUEUE_PER_THREAD: usize = 6;

fn default_threads() -> usize {
    available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

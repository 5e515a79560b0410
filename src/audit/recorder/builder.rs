use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::observers::Observers;
use super::queue::Queue;
use super::writer::{Pace, Writer};
use super::{AuditRecorder, Overflow};
use crate::audit::{AuditError, AuditObserver, AuditSink};
use crate::random::{OsRandom, SecureRandom};

/// 8192 events: at 100 000 a second the writer may fall 80 ms behind, longer than a slow disk's sync, and full of
/// events of 500 bytes it holds 4 MB. Empty it takes 200 kB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// 256 events are some 100 kB of lines: large enough for one write and sync to be cheap for each, small enough not to
/// hold up a life-cycle event behind them.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// 20 ms: at most fifty wake-ups a second, and no more than that is lost when the process is killed.
const LINGER: Duration = Duration::from_millis(20);
/// Five attempts with 50, 100, 200 and 400 ms between them: a failover of 0.75 s is survived, and a life-cycle
/// operation does not hang longer than that on a dead sink.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(5).unwrap();
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The settings of an [`AuditRecorder`].
#[derive(Debug)]
#[must_use]
pub struct AuditRecorderBuilder {
    sink: Arc<dyn AuditSink>,
    observers: Vec<Arc<dyn AuditObserver>>,
    random: Arc<dyn SecureRandom>,
    overflow: Overflow,
    capacity: NonZeroUsize,
    pace: Pace,
}

impl AuditRecorderBuilder {
    pub(super) fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self {
            sink,
            observers: Vec::new(),
            random: Arc::new(OsRandom::new()),
            overflow: Overflow::default(),
            capacity: CAPACITY,
            pace: Pace {
                batch: BATCH.get(),
                linger: LINGER,
                attempts: ATTEMPTS,
                retry_delay: RETRY_DELAY,
            },
        }
    }

    /// Sets how many queued events may wait for the writer; 8192 otherwise.
    pub const fn capacity(mut self, events: NonZeroUsize) -> Self {
        self.capacity = events;
        self
    }

    /// Sets what [`enqueue_or_wait`](AuditRecorder::enqueue_or_wait) does when the queue is full;
    /// [`Overflow::DropAndCount`] otherwise.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how many events the sink gets at once at most; 256 otherwise.
    pub const fn batch_size(mut self, events: NonZeroUsize) -> Self {
        self.pace.batch = events.get();
        self
    }

    /// Sets how long a queued event waits for others to share its write; 20 ms otherwise. It is also how much of the
    /// events of requests is lost when the process is killed. Life-cycle events and flushes end the wait at once.
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.pace.linger = linger;
        self
    }

    /// Sets how often a batch is tried before it is given up, the first time included; 5 otherwise.
    pub const fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.pace.attempts = attempts;
        self
    }

    /// Sets the wait before the second attempt; it doubles before each further one. 50 ms otherwise.
    pub const fn retry_delay(mut self, delay: Duration) -> Self {
        self.pace.retry_delay = delay;
        self
    }

    /// Sets where the random part of the ids comes from; [`OsRandom`] otherwise.
    pub fn random(mut self, random: impl SecureRandom) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Adds somebody who looks on: see [`AuditObserver`]. Nobody otherwise.
    pub fn observer(mut self, observer: impl AuditObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Starts the writer as a task of the current tokio runtime, which must have its timer enabled.
    ///
    /// # Errors
    ///
    /// [`AuditError::NoRuntime`] outside a tokio runtime.
    pub fn start(self) -> Result<AuditRecorder, AuditError> {
        let runtime = Handle::try_current().map_err(|_| AuditError::NoRuntime)?;
        let capacity = self.capacity.get();
        // Half a full queue is worth a write even if that is no full batch.
        let batch = self.pace.batch.min(capacity.div_ceil(2));
        let queue = Arc::new(Queue::new(capacity, batch));
        let observers = Observers::new(self.observers);
        let writer = Writer::new(
            Arc::clone(&queue),
            self.sink,
            observers,
            self.random,
            self.pace,
        );
        let (ended, end) = tokio::sync::watch::channel(());
        runtime.spawn(async move {
            let _ended = ended;
            writer.run().await;
        });
        Ok(AuditRecorder {
            queue,
            overflow: self.overflow,
            end,
        })
    }
}

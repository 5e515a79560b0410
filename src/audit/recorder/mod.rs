//! From many callers to one writer.

mod builder;
mod counters;
mod observers;
mod pending;
mod queue;
mod writer;

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use self::queue::{Queue, Refused};
use super::{AuditError, AuditEvent, AuditSink};

pub use self::builder::AuditRecorderBuilder;
pub use self::counters::AuditCounters;
pub use self::pending::{DeferredEvent, Pending};

/// What happens to a queued event when the queue is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// It is dropped, and [`AuditCounters::dropped`] rises. A slow sink then costs events, never requests.
    #[default]
    DropAndCount,
    /// [`enqueue_or_wait`](AuditRecorder::enqueue_or_wait) waits for room. A slow sink then slows the requests.
    Wait,
}

/// What became of an event that was to be queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an event is taken or it is not; the recorder's state says why"
)]
pub enum Enqueued {
    /// It is in the queue.
    Queued,
    /// The queue was full or the recorder closed; the loss is counted.
    Dropped,
}

/// Takes events from the service, gives them their order, and writes them to a sink.
///
/// There is one order: [`record`](Self::record)ed and [`enqueue`](Self::enqueue)d events share it, and the sequence
/// counts it from where the sink ended. A gap in the sequence shows events whose write failed for good.
///
/// A batch whose write fails is tried again a bounded number of times. Then its queued events are lost and counted,
/// its recorded ones are an error to their callers, and the writer goes on with the next batch.
///
/// Call [`shutdown`](Self::shutdown) before the process ends. A recorder that is dropped without it takes nothing
/// more and goes on writing what it has as long as the runtime lives, but nobody waits for that.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, Enqueued, MemorySink, Pending};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let sink = MemorySink::unbounded();
/// let recorder = AuditRecorder::builder(sink.clone()).start()?;
/// let now = Timestamp::from_secs(1_700_000_000);
///
/// let pending = Pending::deferred(move || AuditEvent::new(AuditKind::RequestCompleted, now).with_status(200));
/// assert_eq!(recorder.enqueue(pending), Enqueued::Queued);
/// recorder.record(AuditEvent::new(AuditKind::KeyRevoked, now)).await?;
///
/// let sequences: Vec<_> = sink.events().iter().filter_map(AuditEvent::sequence).collect();
/// assert_eq!(sequences, [1, 2]);
/// recorder.shutdown().await?;
/// # Ok::<(), keyward::audit::AuditError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AuditRecorder {
    queue: Arc<Queue>,
    overflow: Overflow,
    /// Closes when the writer has ended.
    end: watch::Receiver<()>,
}

impl AuditRecorder {
    /// Returns the settings of a recorder that writes to `sink`.
    pub fn builder(sink: impl AuditSink) -> AuditRecorderBuilder {
        AuditRecorderBuilder::new(Arc::new(sink))
    }

    /// Records an event: when this returns `Ok`, the event is as safe as the sink promises. It is never dropped
    /// because the queue is full.
    ///
    /// # Errors
    ///
    /// * [`AuditError::Closed`]: the recorder was shut down, or its runtime ended.
    /// * What the sink said to the last attempt. The event may be in the sink nevertheless.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the event may be written or not; everything else goes on. So a caller may put a
    /// limit on the time it waits.
    pub async fn record(&self, event: AuditEvent) -> Result<(), AuditError> {
        let (answer, end) = oneshot::channel();
        if !self.queue.push_durable(event, answer) {
            return Err(AuditError::Closed);
        }
        end.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Queues an event, or counts it as dropped if there is no room. Never waits, whatever the [`Overflow`].
    pub fn enqueue(&self, event: impl Into<Pending>) -> Enqueued {
        match self.queue.push(event.into()) {
            Ok(()) => Enqueued::Queued,
            Err(_) => self.dropped(),
        }
    }

    /// Queues an event; when there is no room, does what the [`Overflow`] says.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped while it waits, the event is not queued and not counted.
    pub async fn enqueue_or_wait(&self, event: impl Into<Pending> + Send) -> Enqueued {
        match (self.queue.push(event.into()), self.overflow) {
            (Ok(()), _) => Enqueued::Queued,
            (Err(Refused::Full(pending)), Overflow::Wait) => {
                self.enqueue_with_patience(pending).await
            }
            (Err(_), _) => self.dropped(),
        }
    }

    async fn enqueue_with_patience(&self, mut pending: Pending) -> Enqueued {
        loop {
            let mut room = pin!(self.queue.room());
            // Before the queue is tried: room made in between is not missed.
            room.as_mut().enable();
            match self.queue.push(pending) {
                Ok(()) => return Enqueued::Queued,
                Err(Refused::Closed) => return self.dropped(),
                Err(Refused::Full(back)) => pending = back,
            }
            room.await;
        }
    }

    /// Shows the observers an event that is kept already, by whoever changed the key: it does not go to the sink. Counted as
    /// dropped if there is no room.
    pub fn observe(&self, event: AuditEvent) {
        if !self.queue.push_kept(event) {
            self.queue.count_dropped();
        }
    }

    fn dropped(&self) -> Enqueued {
        self.queue.count_dropped();
        Enqueued::Dropped
    }

    /// Waits until everything handed over before is in the sink, and flushes the sink.
    ///
    /// # Errors
    ///
    /// * [`AuditError::Lost`]: queued events were given up since the last flush.
    /// * [`AuditError::Closed`]: the recorder was shut down, or its runtime ended.
    /// * What the sink said.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; but a loss is reported once, and a dropped call may have been the one to report it. The counters
    /// do not forget.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (answer, end) = oneshot::channel();
        if !self.queue.push_flush(answer, false) {
            return Err(AuditError::Closed);
        }
        end.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Takes nothing more, writes everything taken before, flushes the sink and ends the writer.
    ///
    /// Afterwards [`record`](Self::record) and [`flush`](Self::flush) answer [`AuditError::Closed`], and queued
    /// events count as dropped. Calling it again waits for the same end.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); the recorder is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the shutdown goes on even if the future is dropped.
    pub async fn shutdown(&self) -> Result<(), AuditError> {
        let (answer, result) = oneshot::channel::<Result<(), AuditError>>();
        let first = self.queue.push_flush(answer, true);
        // An error is what it waits for: the writer has let go of its side.
        let _ = self.end.clone().changed().await;
        if first {
            result.await.unwrap_or(Err(AuditError::Closed))
        } else {
            Ok(())
        }
    }

    /// Returns what became of the events so far.
    #[must_use]
    pub fn counters(&self) -> AuditCounters {
        self.queue.counters()
    }
}

impl Drop for AuditRecorder {
    fn drop(&mut self) {
        self.queue.close();
    }
}

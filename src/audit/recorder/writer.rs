use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::observers::Observers;
use super::pending::{Answer, Entry};
use super::queue::{Queue, Readiness, Settled, Work};
use crate::audit::{AuditError, AuditEvent, AuditSink, EventId};
use crate::random::SecureRandom;

/// How the writer works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) batch: usize,
    pub(super) linger: Duration,
    pub(super) attempts: NonZeroU32,
    pub(super) retry_delay: Duration,
}

/// The one task that gives events their order and hands them to the sink.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    sink: Arc<dyn AuditSink>,
    observers: Observers,
    random: Arc<dyn SecureRandom>,
    pace: Pace,
    /// Known once the sink has said where it stands.
    last_sequence: Option<u64>,
    lost_since_flush: u64,
}

/// Events taken from the queue, and who waits for them.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<AuditEvent>,
    /// Events that are kept elsewhere, and how many of the others come before them.
    kept: Vec<(usize, AuditEvent)>,
    answers: Vec<Answer>,
    /// Events whose closure panicked.
    broken: u64,
}

impl Writer {
    pub(super) fn new(
        queue: Arc<Queue>,
        sink: Arc<dyn AuditSink>,
        observers: Observers,
        random: Arc<dyn SecureRandom>,
        pace: Pace,
    ) -> Self {
        Self {
            queue,
            sink,
            observers,
            random,
            pace,
            last_sequence: None,
            lost_since_flush: 0,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        while self.ready().await {
            match self.queue.take(self.pace.batch) {
                Some(Work::Write(entries)) => self.write(Batch::of(entries)).await,
                Some(Work::Flush(answer)) => self.flush(answer).await,
                None => {}
            }
        }
    }

    /// Waits for work; for events that nobody waits for, until there is a batch or the linger is over.
    async fn ready(&self) -> bool {
        loop {
            match self.queue.readiness() {
                Readiness::Done => return false,
                Readiness::Ready => return true,
                Readiness::Empty => self.queue.work().await,
                Readiness::Gathering => {
                    // Both ends mean the same: take what is there.
                    let _ = tokio::time::timeout(self.pace.linger, self.queue.work()).await;
                    return true;
                }
            }
        }
    }

    /// Writes the batch, and then what the observers had to add to it.
    async fn write(&mut self, mut batch: Batch) {
        let written = self.write_events(&mut batch).await;
        let shown = self.observers.show(batch.seen(written.is_ok()));
        batch.answer(&written);
        self.queue.count_observer_panics(shown.panics);
        if !shown.follow_up.is_empty() {
            let mut added = Batch::added(shown.follow_up);
            self.queue.count_added(added.len());
            // Nobody waits for it, and a loss is counted.
            drop(self.write_events(&mut added).await);
        }
    }

    async fn write_events(&mut self, batch: &mut Batch) -> Result<(), AuditError> {
        let written = if batch.events.is_empty() {
            Ok(())
        } else {
            self.write_or_retry(&mut batch.events).await
        };
        let settled = batch.settle(written.is_ok());
        self.lost_since_flush = self.lost_since_flush.saturating_add(settled.lost);
        self.queue.settle(settled);
        written
    }

    async fn write_or_retry(&mut self, events: &mut [AuditEvent]) -> Result<(), AuditError> {
        let mut delay = self.pace.retry_delay;
        let mut attempt = 1;
        loop {
            let Err(error) = self.attempt(events).await else {
                return Ok(());
            };
            self.queue.count_failed_write();
            if attempt >= self.pace.attempts.get() {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
            delay = delay.saturating_mul(2);
            attempt = attempt.saturating_add(1);
        }
    }

    async fn attempt(&mut self, events: &mut [AuditEvent]) -> Result<(), AuditError> {
        self.number(events).await?;
        self.name(events)?;
        caught(self.sink.write(events)).await
    }

    /// Gives a sequence to the events that lack one; a repeated attempt keeps those it has.
    async fn number(&mut self, events: &mut [AuditEvent]) -> Result<(), AuditError> {
        let mut last = match self.last_sequence {
            Some(last) => last,
            None => caught(self.sink.last_sequence()).await?.unwrap_or(0),
        };
        for event in events.iter_mut().filter(|event| event.sequence().is_none()) {
            last = last.saturating_add(1);
            event.set_sequence(Some(last));
        }
        self.last_sequence = Some(last);
        Ok(())
    }

    /// Gives an id to the events that lack one, from one draw for the batch.
    fn name(&self, events: &mut [AuditEvent]) -> Result<(), AuditError> {
        const BYTES: usize = EventId::RANDOM_BYTES;
        let mut random = vec![0; events.len().saturating_mul(BYTES)];
        self.random.fill(&mut random)?;
        let (draws, _) = random.as_chunks::<BYTES>();
        for (event, draw) in events.iter_mut().zip(draws) {
            if event.id().is_none() {
                event.set_id(EventId::new(event.time(), draw));
            }
        }
        Ok(())
    }

    async fn flush(&mut self, answer: Answer) {
        let flushed = caught(self.sink.flush()).await;
        let lost = std::mem::take(&mut self.lost_since_flush);
        let result = match flushed {
            Ok(()) if lost > 0 => Err(AuditError::Lost { events: lost }),
            other => other,
        };
        // The caller may be gone.
        let _ = answer.send(result);
    }
}

impl Batch {
    fn of(entries: Vec<Entry>) -> Self {
        let mut batch = Self {
            events: Vec::with_capacity(entries.len()),
            ..Self::default()
        };
        for entry in entries {
            batch.add(entry);
        }
        batch
    }

    fn add(&mut self, entry: Entry) {
        let mut event = match entry {
            Entry::Durable(event, answer) => {
                self.answers.push(answer);
                *event
            }
            Entry::Queued(pending) => {
                let Ok(event) = catch_unwind(AssertUnwindSafe(|| pending.build())) else {
                    self.broken = self.broken.saturating_add(1);
                    return;
                };
                event
            }
            Entry::Kept(event) => {
                self.kept.push((self.events.len(), *event));
                return;
            }
            Entry::Flush(_) => return,
        };
        event.set_sequence(None);
        self.events.push(event);
    }

    fn added(events: Vec<AuditEvent>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    fn len(&self) -> u64 {
        count(self.events.len())
    }

    /// What observers may see, in the order in which it was handed over: an operation whose event could not be written did
    /// not happen.
    fn seen(&self, written: bool) -> impl Iterator<Item = &AuditEvent> {
        let mut kept = self.kept.iter().peekable();
        let mut seen = Vec::with_capacity(self.events.len().saturating_add(self.kept.len()));
        for (place, event) in self.events.iter().enumerate() {
            while let Some((_, before)) = kept.next_if(|(before, _)| *before <= place) {
                seen.push(before);
            }
            if written || !event.kind().is_life_cycle() {
                seen.push(event);
            }
        }
        seen.extend(kept.map(|(_, event)| event));
        seen.into_iter()
    }

    fn settle(&self, written: bool) -> Settled {
        let (all, durable) = (self.len(), count(self.answers.len()));
        let kept = count(self.kept.len());
        if written {
            return Settled {
                written: all.saturating_add(kept),
                lost: self.broken,
                failed: 0,
            };
        }
        Settled {
            written: kept,
            lost: all.saturating_sub(durable).saturating_add(self.broken),
            failed: durable,
        }
    }

    fn answer(self, result: &Result<(), AuditError>) {
        for answer in self.answers {
            // The caller may be gone.
            let _ = answer.send(result.clone());
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Closes the queue when the task ends, however it ends, even if it never ran: nobody waits for a writer that is gone.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

/// Turns a panic of the sink into an error, so that it does not end the writer.
async fn caught<T>(
    call: impl Future<Output = Result<T, AuditError>> + Send,
) -> Result<T, AuditError> {
    let mut call = pin!(call);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(AuditError::Panicked)))
    })
    .await
}

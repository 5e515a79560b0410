use async_trait::async_trait;

use super::{AuditError, AuditEvent, AuditSink, EventId};
use crate::sync::{Mutex, lock};

/// Writes every event to several sinks.
///
/// A batch is recorded when all *required* sinks have it; there is always at least one. Sinks on *best effort* come
/// after them, and their failures are counted instead of reported. A required sink that has a batch does not get it
/// again when the recorder repeats the batch because of another.
///
/// The sinks are written one after the other, so a batch takes as long as all of them together: best effort forgives
/// a sink that fails, not one that hangs.
///
/// ```
/// use keyward::audit::{FanOut, MemorySink};
///
/// let sink = FanOut::new(MemorySink::unbounded())
///     .required(MemorySink::unbounded())
///     .best_effort("console", MemorySink::unbounded());
/// assert_eq!(sink.failures("console"), Some(0));
/// ```
#[derive(Debug)]
pub struct FanOut {
    required: Vec<Required>,
    best_effort: Vec<BestEffort>,
}

#[derive(Debug)]
struct Required {
    sink: Box<dyn AuditSink>,
    latest: Mutex<Option<Batch>>,
}

#[derive(Debug)]
struct BestEffort {
    name: &'static str,
    sink: Box<dyn AuditSink>,
    failures: Mutex<u64>,
}

/// What tells one batch from another: its first and last id, and its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Batch(EventId, EventId, usize);

impl Batch {
    /// Returns nothing for events without ids, which cannot be told apart.
    fn of(events: &[AuditEvent]) -> Option<Self> {
        let first = events.first()?.id()?;
        let last = events.last()?.id()?;
        Some(Self(first, last, events.len()))
    }
}

impl FanOut {
    /// Returns a fan-out to one required sink.
    #[must_use]
    pub fn new(sink: impl AuditSink) -> Self {
        let none = Self {
            required: Vec::new(),
            best_effort: Vec::new(),
        };
        none.required(sink)
    }

    /// Adds a sink that must have an event before the event counts as recorded.
    #[must_use]
    pub fn required(mut self, sink: impl AuditSink) -> Self {
        self.required.push(Required {
            sink: Box::new(sink),
            latest: Mutex::new(None),
        });
        self
    }

    /// Adds a sink that may miss events.
    #[must_use]
    pub fn best_effort(mut self, name: &'static str, sink: impl AuditSink) -> Self {
        self.best_effort.push(BestEffort {
            name,
            sink: Box::new(sink),
            failures: Mutex::new(0),
        });
        self
    }

    /// Returns how many calls of the best-effort sink of that name failed; `None` if there is none of that name.
    #[must_use]
    pub fn failures(&self, name: &str) -> Option<u64> {
        let branch = self.best_effort.iter().find(|branch| branch.name == name)?;
        Some(*lock(&branch.failures))
    }
}

impl Required {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let batch = Batch::of(events);
        if batch.is_some() && *lock(&self.latest) == batch {
            return Ok(());
        }
        self.sink.write(events).await?;
        *lock(&self.latest) = batch;
        Ok(())
    }
}

impl BestEffort {
    fn count(&self, result: &Result<(), AuditError>) {
        if result.is_err() {
            let mut failures = lock(&self.failures);
            *failures = failures.saturating_add(1);
        }
    }
}

/// A sink that fails does not keep the events from the ones after it; the first failure is the answer.
#[async_trait]
impl AuditSink for FanOut {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let mut result = Ok(());
        for branch in &self.required {
            result = result.and(branch.write(events).await);
        }
        result?;
        for branch in &self.best_effort {
            branch.count(&branch.sink.write(events).await);
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        let mut result = Ok(());
        for branch in &self.required {
            result = result.and(branch.sink.flush().await);
        }
        for branch in &self.best_effort {
            branch.count(&branch.sink.flush().await);
        }
        result
    }

    /// Returns the highest of the required sinks.
    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        let mut highest = None;
        for branch in &self.required {
            highest = highest.max(branch.sink.last_sequence().await?);
        }
        Ok(highest)
    }
}

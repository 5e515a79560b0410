use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    AuditCursor, AuditError, AuditEvent, AuditLog, AuditPage, AuditQuery, AuditSink, LoggedEvent,
};
use crate::sync::{Mutex, lock};

/// Keeps events in memory, for tests and for a view of the latest ones. Clones share what they hold.
///
/// An event is safe until the process ends or, when bounded, until newer ones push it out.
///
/// ```
/// use std::num::NonZeroUsize;
/// use keyward::audit::{AuditEvent, AuditKind, AuditSink, MemorySink};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sink = MemorySink::bounded(NonZeroUsize::MIN);
/// let event = |kind| AuditEvent::new(kind, Timestamp::EPOCH);
/// sink.write(&[event(AuditKind::KeyCreated), event(AuditKind::KeyRevoked)]).await?;
/// assert_eq!(sink.events(), [event(AuditKind::KeyRevoked)]);
/// assert_eq!(sink.discarded(), 1);
/// # Ok::<(), keyward::audit::AuditError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemorySink {
    capacity: Option<NonZeroUsize>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    events: VecDeque<AuditEvent>,
    discarded: u64,
    last_sequence: Option<u64>,
}

impl Held {
    /// The events with their positions, from 1.
    fn placed(&self) -> impl Iterator<Item = (u64, &AuditEvent)> {
        (self.discarded.saturating_add(1)..).zip(&self.events)
    }
}

impl MemorySink {
    /// Returns a sink that keeps everything.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::with_capacity(None)
    }

    /// Returns a sink that keeps the newest `capacity` events.
    #[must_use]
    pub fn bounded(capacity: NonZeroUsize) -> Self {
        Self::with_capacity(Some(capacity))
    }

    fn with_capacity(capacity: Option<NonZeroUsize>) -> Self {
        Self {
            capacity,
            held: Arc::default(),
        }
    }

    /// Returns the events it holds, the oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        lock(&self.held).events.iter().cloned().collect()
    }

    /// Returns how many events newer ones pushed out.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        lock(&self.held).discarded
    }
}

#[async_trait]
impl AuditSink for MemorySink {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let mut held = lock(&self.held);
        for event in events {
            held.last_sequence = held.last_sequence.max(event.sequence());
            held.events.push_back(event.clone());
            if self
                .capacity
                .is_some_and(|max| held.events.len() > max.get())
            {
                held.events.pop_front();
                held.discarded = held.discarded.saturating_add(1);
            }
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(lock(&self.held).last_sequence)
    }
}

/// The position of an event counts all that were written before it.
#[async_trait]
impl AuditLog for MemorySink {
    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let after = query.after().map_or(0, AuditCursor::position);
        let size = query.page_size();
        let held = lock(&self.held);
        let found = held
            .placed()
            .filter(|(position, event)| *position > after && query.matches(event))
            .take(size.saturating_add(1))
            .map(|(position, event)| LoggedEvent::new(position, event.clone()));
        Ok(AuditPage::cut(found.collect(), size))
    }
}

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    AuditCursor, AuditError, AuditEvent, AuditExporter, AuditLog, AuditPage, AuditQuery,
    AuditRetention, AuditSink, LoggedEvent, PurgeError, RemovedPart,
};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

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
    events: VecDeque<LoggedEvent>,
    /// Positions count all events that were ever written, from 1.
    written: u64,
    discarded: u64,
    last_sequence: Option<u64>,
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
        let held = lock(&self.held);
        let events = held.events.iter();
        events.map(|held| held.event.clone()).collect()
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
            held.written = held.written.saturating_add(1);
            let logged = LoggedEvent::new(held.written, event.clone());
            held.events.push_back(logged);
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

#[async_trait]
impl AuditLog for MemorySink {
    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let size = query.page_size();
        let held = lock(&self.held);
        let behind = |logged: &&LoggedEvent| Some(logged.cursor) > query.after();
        let found = held
            .events
            .iter()
            .filter(behind)
            .filter(|logged| query.matches(&logged.event))
            .take(size.saturating_add(1));
        Ok(AuditPage::cut(found.cloned().collect(), size))
    }
}

#[async_trait]
impl AuditRetention for MemorySink {
    async fn is_due(&self, before: Timestamp) -> Result<bool, AuditError> {
        let held = lock(&self.held);
        Ok(held.events.iter().any(|held| held.event.time() < before))
    }

    async fn remove_part(
        &self,
        before: Timestamp,
        most: usize,
        exporter: Option<&mut (dyn AuditExporter + '_)>,
    ) -> Result<Option<RemovedPart>, PurgeError> {
        let (cursors, events) = self.old(before, most);
        if cursors.is_empty() {
            return Ok(None);
        }
        if let Some(exporter) = exporter {
            let exported = exporter.export(&events).await;
            exported.map_err(PurgeError::Export)?;
        }
        let mut part = RemovedPart::default();
        let mut held = lock(&self.held);
        held.events.retain(|logged| {
            let goes = cursors.binary_search(&logged.cursor).is_ok();
            if goes {
                part.events = part.events.saturating_add(1);
                part.last_position = Some(logged.cursor.position());
                part.note("memory", logged.event.sequence());
            }
            !goes
        });
        Ok(Some(part))
    }
}

impl MemorySink {
    fn old(&self, before: Timestamp, most: usize) -> (Vec<AuditCursor>, Vec<AuditEvent>) {
        let held = lock(&self.held);
        let old = held.events.iter().filter(|it| it.event.time() < before);
        let old = old.take(most.max(1)).cloned();
        old.map(|logged| (logged.cursor, logged.event)).unzip()
    }
}

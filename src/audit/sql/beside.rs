//! One event at a time, in the transaction of the change that it tells of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::row::Row;
use super::sink::{failed, recorder_name};
use crate::audit::{AuditError, AuditEvent};
use crate::sql::{Dialect, Work};

/// An engine that keeps events, for whoever has a transaction of its own there.
pub(crate) trait EventTable: Dialect {
    /// Returns the highest sequence of this recorder. Until the transaction ends nobody else writes events.
    fn last<'c>(connection: &'c mut Self::Connection, recorder: &'c str) -> Work<'c, Option<i64>>;

    /// Writes a row, and returns how many: none if its id is there already. Until the transaction ends nobody else
    /// writes events.
    fn insert<'c>(
        connection: &'c mut Self::Connection,
        recorder: &'c str,
        row: Row,
    ) -> Work<'c, u64>;
}

/// An id was given to two events.
#[derive(Debug, thiserror::Error)]
#[error("an event with this id is in the trail already")]
struct Repeated;

/// Writes events under a name of its own. One transaction uses it at a time.
#[derive(Clone, Debug)]
pub(crate) struct Pen {
    recorder: Arc<str>,
    /// The highest sequence that was committed, as far as this process knows. The table may know of a higher one, from a
    /// commit whose answer was lost; and of none, when old events were purged.
    floor: Arc<AtomicU64>,
}

impl Pen {
    pub(crate) fn new(label: &str) -> Result<Self, AuditError> {
        Ok(Self {
            recorder: recorder_name(label)?,
            floor: Arc::default(),
        })
    }

    pub(crate) fn recorder(&self) -> &str {
        &self.recorder
    }

    /// Writes the event and returns the sequence that it got: the next after `last`, or after what the table says.
    ///
    /// `last` is for whoever knows that every transaction with this pen has come to its end, and how.
    pub(crate) async fn write<D: EventTable>(
        &self,
        connection: &mut D::Connection,
        event: &AuditEvent,
        last: Option<u64>,
    ) -> Result<u64, AuditError> {
        let last = match last {
            Some(last) => last,
            None => {
                let last = D::last(connection, &self.recorder).await;
                let last = last.map_err(failed::<D>)?.map_or(0, i64::cast_unsigned);
                last.max(self.floor.load(Ordering::Relaxed))
            }
        };
        let sequence = last.saturating_add(1);
        let mut event = event.clone();
        event.set_sequence(Some(sequence));
        let row = Row::of(&event)?;
        let written = D::insert(connection, &self.recorder, row).await;
        if written.map_err(failed::<D>)? == 0 {
            return Err(AuditError::backend(D::ENGINE, Repeated));
        }
        Ok(sequence)
    }

    /// The transaction that wrote this sequence is committed: no later one counts from below it.
    pub(crate) fn keep(&self, sequence: u64) {
        self.floor.fetch_max(sequence, Ordering::Relaxed);
    }
}

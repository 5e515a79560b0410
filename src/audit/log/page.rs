use super::AuditCursor;
use crate::audit::AuditEvent;

/// An event, and its place in the trail.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggedEvent {
    /// The place behind the event.
    pub cursor: AuditCursor,
    /// What happened.
    pub event: AuditEvent,
}

impl LoggedEvent {
    /// Returns the event of that position. For implementors of [`AuditLog`](super::AuditLog).
    #[must_use]
    pub const fn new(position: u64, event: AuditEvent) -> Self {
        Self {
            cursor: AuditCursor::new(position),
            event,
        }
    }
}

/// One page of a trail.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuditPage {
    /// The events, by rising position.
    pub events: Vec<LoggedEvent>,
    /// Where the next page begins; `None` when there was nothing more. To read on later from the end of the trail, keep
    /// the cursor of the last event.
    pub next: Option<AuditCursor>,
}

impl AuditPage {
    /// Returns a page of at most `size` of the events, which are in order and may hold one too many: that one tells that
    /// there is a next page.
    #[must_use]
    pub fn cut(mut events: Vec<LoggedEvent>, size: usize) -> Self {
        let more = events.len() > size;
        events.truncate(size);
        let next = events.last().filter(|_| more).map(|last| last.cursor);
        Self { events, next }
    }
}

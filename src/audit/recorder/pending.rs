use std::fmt;

use tokio::sync::oneshot;

use crate::audit::{AuditError, AuditEvent};

/// An event on its way into the queue: built already, or to be built by the writer.
///
/// A request should not pay for strings it needs only for the trail. It moves what it holds anyway (shared pointers,
/// numbers) into a closure, and the writer turns that into an event later.
///
/// ```
/// use std::sync::Arc;
/// use keyward::audit::{AuditEvent, AuditKind, Pending};
/// use keyward::time::Timestamp;
///
/// let route: Arc<str> = Arc::from("/users/{id}");
/// let pending = Pending::deferred(move || {
///     AuditEvent::new(AuditKind::RequestCompleted, Timestamp::EPOCH).with_route(route)
/// });
/// # let _ = pending;
/// ```
#[derive(Debug)]
pub struct Pending(Draft);

enum Draft {
    Built(Box<AuditEvent>),
    Deferred(Box<dyn FnOnce() -> AuditEvent + Send>),
}

impl Pending {
    /// Returns an event that the writer builds.
    ///
    /// The closure should do nothing but build. One that panics counts as one lost event.
    #[must_use]
    pub fn deferred(build: impl FnOnce() -> AuditEvent + Send + 'static) -> Self {
        Self(Draft::Deferred(Box::new(build)))
    }

    pub(super) fn build(self) -> AuditEvent {
        match self.0 {
            Draft::Built(event) => *event,
            Draft::Deferred(build) => build(),
        }
    }
}

impl From<AuditEvent> for Pending {
    fn from(event: AuditEvent) -> Self {
        Self(Draft::Built(Box::new(event)))
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built(event) => event.fmt(f),
            Self::Deferred(_) => f.write_str("Deferred(..)"),
        }
    }
}

/// Tells a waiting caller how it ended.
pub(super) type Answer = oneshot::Sender<Result<(), AuditError>>;

/// One place in the queue.
#[derive(Debug)]
pub(super) enum Entry {
    /// Nobody waits for it.
    Queued(Pending),
    /// Somebody waits until it is in the sink.
    Durable(Box<AuditEvent>, Answer),
    /// Somebody waits until everything before it is in the sink.
    Flush(Answer),
}

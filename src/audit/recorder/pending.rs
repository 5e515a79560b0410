use std::fmt;
use std::sync::Arc;

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

/// Facts of a request that are shared anyway, and of which the writer can make an event later.
///
/// Handing over such a pointer costs the request nothing but a count; see [`Pending::shared`].
pub trait DeferredEvent: Send + Sync + 'static {
    /// Returns the event. Does nothing but build; a panic counts as one lost event.
    fn build(&self) -> AuditEvent;
}

enum Draft {
    Built(Box<AuditEvent>),
    Shared(Arc<dyn DeferredEvent>),
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

    /// Returns an event that the writer builds from facts somebody else holds as well.
    #[must_use]
    pub fn shared(facts: Arc<dyn DeferredEvent>) -> Self {
        Self(Draft::Shared(facts))
    }

    pub(super) fn build(self) -> AuditEvent {
        match self.0 {
            Draft::Built(event) => *event,
            Draft::Deferred(build) => build(),
            Draft::Shared(facts) => facts.build(),
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
            Self::Deferred(_) | Self::Shared(_) => f.write_str("Deferred(..)"),
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
    /// It is kept elsewhere; the observers see it.
    Kept(Box<AuditEvent>),
    /// Somebody waits until everything before it is in the sink.
    Flush(Answer),
}

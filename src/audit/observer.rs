use std::fmt::Debug;
use std::sync::Arc;

use super::AuditEvent;

/// Looks on while a recorder writes: rules that raise alerts, for instance.
///
/// A recorder shows its observers every event of its trail, in the order of the trail and once it is in the sink. Events of
/// requests are shown also when the sink lost them, so that what watches does not go blind with the trail; an operation on a
/// key whose event could not be written did not happen, and is not shown.
///
/// # For implementors
///
/// `observe` runs on the one task that writes the trail: compute, and return. What takes longer belongs on a task of the
/// observer's own, behind a bounded queue. A panic is caught and counted; the other observers and the trail go on.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use keyward::audit::{AuditEvent, AuditKind, AuditObserver, AuditRecorder, MemorySink};
/// use keyward::time::Timestamp;
///
/// /// Writes down when the first key was revoked.
/// #[derive(Debug, Default)]
/// struct FirstRevocation(AtomicU64);
///
/// impl AuditObserver for FirstRevocation {
///     fn observe(&self, event: &AuditEvent, follow_up: &mut Vec<AuditEvent>) {
///         if event.kind() == AuditKind::KeyRevoked && self.0.fetch_add(1, Ordering::Relaxed) == 0 {
///             follow_up.push(AuditEvent::new(AuditKind::AlertRaised, event.time()).with_reason("first_revocation"));
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let sink = MemorySink::unbounded();
/// let recorder = AuditRecorder::builder(sink.clone()).observer(FirstRevocation::default()).start()?;
/// recorder.record(AuditEvent::new(AuditKind::KeyRevoked, Timestamp::EPOCH)).await?;
/// recorder.shutdown().await?;
///
/// let kinds: Vec<_> = sink.events().iter().map(AuditEvent::kind).collect();
/// assert_eq!(kinds, [AuditKind::KeyRevoked, AuditKind::AlertRaised]);
/// # Ok::<(), keyward::audit::AuditError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AuditObserver: Debug + Send + Sync + 'static {
    /// Looks at an event. What is pushed to `follow_up` is written to the trail next, and not shown to observers.
    fn observe(&self, event: &AuditEvent, follow_up: &mut Vec<AuditEvent>);
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<O: AuditObserver + ?Sized> AuditObserver for $pointer<O> {
            fn observe(&self, event: &AuditEvent, follow_up: &mut Vec<AuditEvent>) {
                (**self).observe(event, follow_up);
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// A recorder has several of them.
const _: fn(&dyn AuditObserver) = |_| {};

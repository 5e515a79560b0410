use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Alert, AlertError};

/// Where alerts go.
///
/// # For implementors
///
/// * Each sink has a task and a queue of its own: one that is slow, fails, hangs or panics touches neither a request nor the
///   trail nor another sink. What finds no room in its queue is dropped and counted.
/// * **Failure**: an alert is handed over once. A sink that can try again does so itself, a bounded number of times; the call
///   is given up after the engine's [`patience`](super::AlertsBuilder::patience).
/// * **Repetition**: [`Alert::id`] names the alert, for receivers that can tell a repetition.
///
/// ```
/// use keyward::alert::{Alert, AlertError, AlertSink};
/// use keyward::async_trait;
///
/// /// Counts, and tells nobody.
/// #[derive(Debug, Default)]
/// struct Count(std::sync::atomic::AtomicUsize);
///
/// #[async_trait]
/// impl AlertSink for Count {
///     async fn send(&self, _: &Alert) -> Result<(), AlertError> {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait AlertSink: Debug + Send + Sync + 'static {
    /// Sends an alert.
    ///
    /// # Errors
    ///
    /// * [`AlertError::Unavailable`]: not now.
    /// * [`AlertError::Refused`]: not this one.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the alert may be sent or not, and later calls work.
    async fn send(&self, alert: &Alert) -> Result<(), AlertError>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: AlertSink + ?Sized> AlertSink for $pointer<S> {
            async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
                (**self).send(alert).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Sinks are chosen at run time.
const _: fn(&dyn AlertSink) = |_| {};

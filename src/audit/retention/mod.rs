//! Removing what is older than has to be kept, so that whoever looks later can tell it from what was stolen.

mod error;
mod purge;
mod report;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{AuditError, AuditExporter};
use crate::time::Timestamp;

pub use self::error::PurgeError;
pub use self::purge::AuditPurge;
pub use self::report::{PurgeReport, RemovedPart};

/// A trail whose old events can be removed.
///
/// Call [`AuditRecorder::purge`](super::AuditRecorder::purge) or
/// [`KeyService::purge_audit`](crate::service::KeyService::purge_audit), which write down what was removed. This alone
/// removes without a trace.
///
/// # For implementors
///
/// * **Age**: an event is old when its time lies before `before`. Nothing younger is removed.
/// * **Export first**: with an exporter, a part is removed only after it took all events of it.
/// * **Parts**: one call removes one bounded part in one short step, so that readers and writers go on in between.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditRetention, AuditSink, MemorySink};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trail = MemorySink::unbounded();
/// trail.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH).with_sequence(1)]).await?;
/// assert!(!trail.is_due(Timestamp::EPOCH).await?);
/// assert!(trail.is_due(Timestamp::from_secs(1)).await?);
/// # Ok::<(), keyward::audit::AuditError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait AuditRetention: Debug + Send + Sync + 'static {
    /// Returns whether there is anything old to remove.
    ///
    /// # Errors
    ///
    /// * [`AuditError::MayNotRemove`]: the role may not remove anything, whether there is something or not.
    /// * As [`AuditLog::page`](super::AuditLog::page).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn is_due(&self, before: Timestamp) -> Result<bool, AuditError>;

    /// Removes one part of what is old, the oldest first; `None` when there is nothing old any more. `most` events are a
    /// part, except where only more can be removed in one step, such as a file.
    ///
    /// # Errors
    ///
    /// * [`PurgeError::Export`]: the exporter did not take the events. Nothing of the part was removed.
    /// * [`PurgeError::Trail`]: the trail could not be read, or nothing be removed from it.
    ///
    /// # Cancel safety
    ///
    /// The part is removed or not; it may have been exported without being removed, and then it is exported again later.
    async fn remove_part(
        &self,
        before: Timestamp,
        most: usize,
        exporter: Option<&mut (dyn AuditExporter + '_)>,
    ) -> Result<Option<RemovedPart>, PurgeError>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<R: AuditRetention + ?Sized> AuditRetention for $pointer<R> {
            async fn is_due(&self, before: Timestamp) -> Result<bool, AuditError> {
                (**self).is_due(before).await
            }

            async fn remove_part(
                &self,
                before: Timestamp,
                most: usize,
                exporter: Option<&mut (dyn AuditExporter + '_)>,
            ) -> Result<Option<RemovedPart>, PurgeError> {
                (**self).remove_part(before, most, exporter).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Trails are chosen at run time.
const _: fn(&dyn AuditRetention) = |_| {};

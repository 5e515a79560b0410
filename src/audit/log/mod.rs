//! Reading the trail: questions, pages, and the places between events.

mod cursor;
mod exporter;
mod page;
mod query;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::AuditError;

pub use self::cursor::{AuditCursor, InvalidAuditCursor};
pub use self::exporter::AuditExporter;
pub use self::page::{AuditPage, LoggedEvent};
pub(crate) use self::query::PLATFORM;
pub use self::query::{AuditQuery, TenantFilter};

/// A trail that can be read page by page.
///
/// Every event has a *position*, and positions rise in the order in which events become visible. So pages that go on from
/// each other's end neither lose nor repeat an event, however many are written meanwhile.
///
/// Reading it says nothing about who may: [`KeyService::read_audit`](crate::service::KeyService::read_audit) does, and
/// leaves a trace.
///
/// # For implementors
///
/// * **Meaning**: a page holds events for which [`AuditQuery::matches`] is true, by rising position, after
///   [`AuditQuery::after`] and at most [`AuditQuery::page_size`] of them. Texts are compared byte for byte.
/// * **Order**: an event becomes visible only when no event of a lower position can become visible any more, and keeps its
///   position.
/// * **Damage**: an event that is there and cannot be read is [`AuditError::UnreadableEvent`], never left out.
/// * **Wrappers** deny `clippy::missing_trait_methods`, so that a method added later cannot be forgotten.
///
/// The suite `keyward::testing::audit_log_rules` (feature `testing`) checks these rules.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditLog, AuditQuery, AuditSink, MemorySink};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trail = MemorySink::unbounded();
/// let event = |owner: &str| AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH).with_owner(owner);
/// trail.write(&[event("acme"), event("evil"), event("acme")]).await?;
///
/// let mut query = AuditQuery::new().with_owner("acme").with_page_size(1);
/// let mut found = 0;
/// loop {
///     let page = trail.page(&query).await?;
///     found += page.events.len();
///     let Some(next) = page.next else { break };
///     query = query.with_after(next);
/// }
/// assert_eq!(found, 2);
/// # Ok::<(), keyward::audit::AuditError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait AuditLog: Debug + Send + Sync + 'static {
    /// Returns one page of events, the oldest position first.
    ///
    /// # Errors
    ///
    /// * [`AuditError::Unavailable`]: not now.
    /// * [`AuditError::Backend`]: the trail could not be read.
    /// * [`AuditError::UnreadableEvent`]: one of the events is damaged, or of a later version's kind.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<L: AuditLog + ?Sized> AuditLog for $pointer<L> {
            async fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
                (**self).page(query).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Trails are chosen at run time.
const _: fn(&dyn AuditLog) = |_| {};

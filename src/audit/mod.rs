//! What happened: events, the recorder and the sinks.
//!
//! An [`AuditEvent`] says what happened. An [`AuditRecorder`] takes events from the service, puts them in order and
//! writes them in batches to an [`AuditSink`]. Life-cycle events are in the sink before [`AuditRecorder::record`]
//! returns; events of requests go through a bounded queue and never hold up a request.
//!
//! [`export`] turns events into OCSF and CSV.
//!
//! A [`Redactor`] takes keys out of any text, such as all that an application logs.
//!
//! Fields, file format and guarantees are described in `docs/audit.md`.
//!
//! ```
//! use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, MemorySink};
//! use keyward::time::{Clock, SystemClock};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let sink = MemorySink::unbounded();
//! let recorder = AuditRecorder::builder(sink.clone()).start()?;
//!
//! recorder.record(AuditEvent::new(AuditKind::KeyCreated, SystemClock::new().now())).await?;
//! assert_eq!(sink.events().len(), 1);
//! recorder.shutdown().await?;
//! # Ok::<(), keyward::audit::AuditError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod event;
pub mod export;
mod fan_out;
mod json_lines;
mod log;
mod memory;
mod observer;
mod recorder;
mod redact;
mod retention;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::error::AuditError;
#[cfg(feature = "tracing")]
pub(crate) use self::event::escape;
pub(crate) use self::event::write_json;
pub use self::event::{
    ActorRef, AuditEvent, AuditKind, Detail, EventId, InvalidEventId, Outcome, SCHEMA, Text,
    UnknownKind,
};
pub use self::fan_out::FanOut;
pub use self::json_lines::{
    ChainError, ChainFault, ChainReport, DEFAULT_RETENTION, JsonLinesBuilder, JsonLinesSink,
    LineHash, Purged, StartsAfter, SyncPolicy, TrailFiles, purge, trail_files, verify_chain,
};
#[cfg(feature = "audit-seal")]
pub use self::json_lines::{
    Checkpoint, CheckpointFault, CheckpointSink, DEFAULT_SEAL_INTERVAL, SealCounters, SealError,
    SealKey, SealKeyError, SealReport, SealVerifier, Sealing, VerifierKey, checkpoints_file,
};
pub(crate) use self::log::PLATFORM;
pub use self::log::{
    AuditCursor, AuditExporter, AuditLog, AuditPage, AuditQuery, InvalidAuditCursor, LoggedEvent,
    TenantFilter,
};
pub use self::memory::MemorySink;
pub use self::observer::AuditObserver;
pub use self::recorder::{
    AuditCounters, AuditRecorder, AuditRecorderBuilder, DeferredEvent, Enqueued, Overflow, Pending,
};
pub use self::redact::{RedactingWriter, Redactor};
pub use self::retention::{AuditPurge, AuditRetention, PurgeError, PurgeReport, RemovedPart};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::sql::Pen;
#[cfg(feature = "postgres")]
pub use self::sql::PostgresAuditSink;
#[cfg(feature = "sqlite")]
pub use self::sql::SqliteAuditSink;
#[cfg(feature = "postgres")]
pub(crate) use self::sql::table_failed;
#[cfg(feature = "tracing")]
pub use self::tracing::{TARGET, TracingSink};

/// Where events go.
///
/// # For implementors
///
/// * **Order**: the events of one call are kept together and in the order given. A recorder makes one call at a time;
///   other callers may not, and then the calls are kept apart, in any order.
/// * **Durability**: `Ok` from [`write`](Self::write) means that all the events are as safe as the sink promises to
///   keep them. Say in the sink's documentation what that is.
/// * **Failure**: `Err` means that any of the events may be missing. The recorder then repeats the same call, so an
///   event may arrive twice: always with the same id and sequence.
/// * **Cancellation**: a call whose future is dropped may have written all, some or none of its events, and later
///   calls work.
/// * **Content**: never refuse an event for what it holds. One event stays one line or one row: use
///   [`AuditEvent::to_line`], or escape control characters, line separators and bidirectional controls.
/// * **Wrappers** deny `clippy::missing_trait_methods`, so that a method added later cannot be forgotten.
///
/// The suite `keyward::testing::audit_rules` (feature `testing`) checks these rules.
///
/// ```
/// use keyward::async_trait;
/// use keyward::audit::{AuditError, AuditEvent, AuditSink};
///
/// /// Counts, and keeps nothing.
/// #[derive(Debug, Default)]
/// struct Count(std::sync::atomic::AtomicUsize);
///
/// #[async_trait]
/// impl AuditSink for Count {
///     async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
///         self.0.fetch_add(events.len(), std::sync::atomic::Ordering::Relaxed);
///         Ok(())
///     }
///
///     async fn flush(&self) -> Result<(), AuditError> {
///         Ok(())
///     }
///
///     async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
///         Ok(None)
///     }
/// }
/// ```
#[async_trait]
pub trait AuditSink: Debug + Send + Sync + 'static {
    /// Writes the events.
    ///
    /// # Errors
    ///
    /// * [`AuditError::Unavailable`]: not now.
    /// * [`AuditError::Backend`]: the sink failed.
    ///
    /// # Cancel safety
    ///
    /// Any of the events may be written when the future is dropped.
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError>;

    /// Makes everything written so far as safe as the sink can, even where [`write`](Self::write) promises less.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn flush(&self) -> Result<(), AuditError>;

    /// Returns the highest sequence the sink holds, so that a recorder goes on from there after a restart. `None` if
    /// it holds none or does not keep events.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn last_sequence(&self) -> Result<Option<u64>, AuditError>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: AuditSink + ?Sized> AuditSink for $pointer<S> {
            async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
                (**self).write(events).await
            }

            async fn flush(&self) -> Result<(), AuditError> {
                (**self).flush().await
            }

            async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
                (**self).last_sequence().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Sinks are chosen at run time.
const _: fn(&dyn AuditSink) = |_| {};

/// Compiles what the guide shows.
#[cfg(doctest)]
#[doc = include_str!("../../docs/audit.md")]
struct Guide;

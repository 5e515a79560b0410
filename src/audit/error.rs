use std::error::Error;
use std::sync::Arc;

use crate::error::BoxError;

/// Why an event was not recorded, or the trail not reached.
///
/// It can be cloned because one failed write answers every caller whose event was in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The sink could not take the events now; the same call may work later.
    #[error("the audit sink {sink} is not available")]
    #[non_exhaustive]
    Unavailable {
        /// Which sink.
        sink: &'static str,
        /// What it said.
        source: Arc<dyn Error + Send + Sync>,
    },

    /// The sink failed in a way that trying again will hardly mend.
    #[error("the audit sink {sink} failed")]
    #[non_exhaustive]
    Backend {
        /// Which sink.
        sink: &'static str,
        /// What it said.
        source: Arc<dyn Error + Send + Sync>,
    },

    /// What stands in the sink is no audit trail that could be continued.
    #[error("what the audit sink {sink} holds is not an audit trail")]
    #[non_exhaustive]
    Unreadable {
        /// Which sink.
        sink: &'static str,
    },

    /// An event that stands in the trail is damaged, or of a later version's kind.
    #[error("the audit sink {sink} holds an event that cannot be read, at {place}")]
    #[non_exhaustive]
    UnreadableEvent {
        /// Which sink.
        sink: &'static str,
        /// Where it stands: a position, or a line of a file.
        place: String,
    },

    /// The role with which the trail is reached may not remove events from it.
    #[error("the audit sink {sink} does not let this role remove events")]
    #[non_exhaustive]
    MayNotRemove {
        /// Which sink.
        sink: &'static str,
    },

    /// The recorder was shut down, or its runtime is gone.
    #[error("the audit recorder is closed")]
    Closed,

    /// Queued events were given up since the last flush.
    #[error("{events} queued audit events were lost")]
    #[non_exhaustive]
    Lost {
        /// How many.
        events: u64,
    },

    /// There is no tokio runtime here.
    #[error("the audit trail needs a tokio runtime")]
    NoRuntime,

    /// The source of randomness failed, so that no id could be made.
    #[error("no id could be made for an audit event")]
    Random(#[from] crate::random::RandomError),

    /// The sink panicked.
    #[error("the audit sink panicked")]
    Panicked,
}

impl AuditError {
    /// Returns [`AuditError::Unavailable`].
    #[must_use]
    pub fn unavailable(sink: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            sink,
            source: Arc::from(source.into()),
        }
    }

    /// Returns [`AuditError::Backend`].
    #[must_use]
    pub fn backend(sink: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend {
            sink,
            source: Arc::from(source.into()),
        }
    }

    /// Returns [`AuditError::UnreadableEvent`]. `place` says where it stands, such as `position 17`.
    #[must_use]
    pub fn unreadable_event(sink: &'static str, place: impl Into<String>) -> Self {
        Self::UnreadableEvent {
            sink,
            place: place.into(),
        }
    }

    /// Returns [`AuditError::MayNotRemove`].
    #[must_use]
    pub const fn may_not_remove(sink: &'static str) -> Self {
        Self::MayNotRemove { sink }
    }

    /// Returns [`AuditError::Unreadable`].
    #[must_use]
    pub const fn unreadable(sink: &'static str) -> Self {
        Self::Unreadable { sink }
    }
}

use crate::BoxError;
use crate::audit::AuditError;

/// A purge did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// That there would be a purge could not be written down, so nothing was removed.
    #[error("the purge could not be announced in the audit trail; nothing was removed")]
    Announce(#[source] AuditError),

    /// The exporter did not take a part, and the part was not removed. Those before it are gone.
    #[error("old audit events were not exported, and not removed")]
    Export(#[source] BoxError),

    /// The trail could not be read, or nothing be removed from it.
    #[error("old audit events could not be removed")]
    Trail(#[from] AuditError),

    /// All that was to be removed is gone, but the trail has only the announcement of it.
    #[error("old audit events were removed, but the result could not be written down")]
    Conclude(#[source] AuditError),
}

impl PurgeError {
    /// Returns the error as one lower-case word, stable, for logs and the audit trail.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Announce(_) | Self::Conclude(_) => "audit_unavailable",
            Self::Export(_) => "export_failed",
            Self::Trail(_) => "not_removed",
        }
    }
}

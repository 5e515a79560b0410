use crate::key::KeyId;
use crate::time::Timestamp;

/// What became of a key whose secret arrived where others can read it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ExposureAction {
    /// It stands in the trail, and nothing else happened.
    Reported,
    /// It is marked as exposed, and lives on.
    Flagged,
    /// It is marked, and the secret that was seen ends.
    Grace {
        /// Valid while `now < ends_at`.
        ends_at: Timestamp,
    },
    /// The secret that was seen has ended; the one that replaced it lives on.
    Ended,
    /// The key is revoked.
    Revoked,
}

impl ExposureAction {
    /// Returns the action as one lower-case word, stable, for logs, the audit trail and replies.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Flagged => "flagged",
            Self::Grace { .. } => "grace",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }

    /// Returns when the secret ends, if it still works until then.
    #[must_use]
    pub const fn ends_at(self) -> Option<Timestamp> {
        match self {
            Self::Grace { ends_at } => Some(ends_at),
            Self::Reported | Self::Flagged | Self::Ended | Self::Revoked => None,
        }
    }

    /// What to do about it, for a person.
    #[cfg(feature = "tower")]
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Reported | Self::Flagged => "others may have read this key: rotate it",
            Self::Grace { .. } => "others may have read this key, and it ends soon: rotate it",
            Self::Ended => "others may have read this key, and it has ended: use its successor",
            Self::Revoked => "others may have read this key, and it is revoked: ask for another",
        }
    }
}

/// What a string that arrived where others can read it turned out to be.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum ExposureOutcome {
    /// A live secret of that key, proved.
    Proved {
        /// The key.
        key: KeyId,
        /// What became of it.
        action: ExposureAction,
    },
    /// None. Nothing changed.
    NoLiveSecret,
    /// Nothing is known: something was out of order or overloaded, too many were looked at at the same time, or its sender
    /// has failed too often. It may be a live one.
    Unanswered,
}

impl ExposureOutcome {
    /// Returns what became of the key, if the string was a live secret of one.
    #[must_use]
    pub const fn action(self) -> Option<ExposureAction> {
        match self {
            Self::Proved { action, .. } => Some(action),
            Self::NoLiveSecret | Self::Unanswered => None,
        }
    }
}

use std::fmt;
use std::time::Duration;

use crate::BoxError;
use crate::key::KeyParseError;
use crate::time::Timestamp;

/// A presented key was not accepted.
///
/// To the outside all of these look alike (see [`Rejection::face`]); [`Rejection::code`] is for logs, not for clients.
/// `Display` gives the outward sentence only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not a key of this service at all.
    Malformed(KeyParseError),
    /// No record has its id.
    UnknownKey,
    /// The id exists, the secret is another.
    WrongSecret,
    /// The key says that it is of another kind than its record does: somebody wrote another beginning before it.
    WrongKind,
    /// The secret was the right one until a rotation ended it.
    Superseded,
    /// The secret was the right one until it was seen where others can read it, and its grace is over.
    Exposed,
    /// The key is revoked.
    Revoked,
    /// The key is switched off.
    Disabled,
    /// The key's time is over.
    Expired,
    /// The key belongs to another environment than this service.
    WrongEnvironment,
    /// What is stored of the secret cannot be checked: an unknown scheme, or a cost outside the bounds.
    UnusableDigest,
    /// The record says something else than what the service wrote: it was edited, or put in another's place.
    RecordTampered,
    /// The record is not bound, and the service requires that.
    RecordUnbound,
    /// The owner is banned or gone.
    OwnerInactive,
    /// The client's address is unknown or outside the key's networks.
    NetworkRefused,
    /// The client's address is unknown or outside the networks of the key's role.
    RoleNetworkRefused,
    /// The key is bound to a client certificate and none was given.
    CertificateMissing,
    /// The key is bound to another client certificate.
    CertificateMismatch,
    /// The secret is older than the [`RotationPolicy`](super::RotationPolicy) allows.
    RotationOverdue {
        /// Since when it is refused.
        since: Timestamp,
    },
    /// Too many failed attempts from this address; the key was not looked at.
    Throttled {
        /// How long until the next attempt is looked at.
        retry_after: Duration,
    },
}

/// What a client may learn of a rejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Face {
    /// 401: there is no valid key. One face for every kind.
    Unauthenticated,
    /// 403: the key is valid, but not from there. Only said after the secret was proved.
    Forbidden,
    /// 403: the key is valid, and its secret is too old since that moment. Only said after the secret was proved.
    RotationOverdue(Timestamp),
    /// 429: too many failed attempts.
    TooManyAttempts(Duration),
}

impl Rejection {
    /// Returns the reason as one lower-case word, stable, for logs and the audit trail. Not for clients.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.code(),
            Self::UnknownKey => "unknown_key",
            Self::WrongSecret => "wrong_secret",
            Self::WrongKind => "wrong_kind",
            Self::Superseded => "superseded",
            Self::Exposed => "exposed",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::WrongEnvironment => "wrong_environment",
            Self::UnusableDigest => "unusable_digest",
            Self::RecordTampered => "record_tampered",
            Self::RecordUnbound => "record_unbound",
            Self::OwnerInactive => "owner_inactive",
            Self::NetworkRefused => "network_refused",
            Self::RoleNetworkRefused => "role_network_refused",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::RotationOverdue { .. } => "rotation_overdue",
            Self::Throttled { .. } => "throttled",
        }
    }

    /// Returns what the client may learn.
    #[must_use]
    pub const fn face(&self) -> Face {
        match self {
            Self::NetworkRefused | Self::RoleNetworkRefused => Face::Forbidden,
            Self::RotationOverdue { since } => Face::RotationOverdue(*since),
            Self::Throttled { retry_after } => Face::TooManyAttempts(*retry_after),
            Self::Malformed(_)
            | Self::UnknownKey
            | Self::WrongSecret
            | Self::WrongKind
            | Self::Superseded
            | Self::Exposed
            | Self::Revoked
            | Self::Disabled
            | Self::Expired
            | Self::WrongEnvironment
            | Self::UnusableDigest
            | Self::RecordTampered
            | Self::RecordUnbound
            | Self::OwnerInactive
            | Self::CertificateMissing
            | Self::CertificateMismatch => Face::Unauthenticated,
        }
    }

    /// Returns whether the attempt counts against its address: what a guesser does, not what an owner meets.
    pub(super) const fn is_failed_attempt(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_) | Self::UnknownKey | Self::WrongSecret | Self::WrongKind
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.face() {
            Face::Unauthenticated => "the key was not accepted",
            Face::Forbidden => "the key is not accepted from this address",
            Face::RotationOverdue(_) => "the key's secret is too old and must be rotated",
            Face::TooManyAttempts(_) => "too many failed attempts",
        })
    }
}

impl std::error::Error for Rejection {}

/// `verify` gave no verified key.
///
/// Only [`VerifyError::Rejected`] says something about the key. The others say that the question could not be
/// answered: never treat them as "invalid key", or clients will throw good keys away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The key was looked at and not accepted.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The hash pool is full. Nothing is known about the key.
    #[error("too many keys are waiting for their first check")]
    Overloaded {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The store, a hook or a provider is out of order. Nothing is known about the key.
    #[error("the key could not be checked")]
    Unavailable(#[source] BoxError),
}

impl VerifyError {
    pub(super) fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Returns the rejection, if the key was looked at.
    #[must_use]
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Overloaded { .. } | Self::Unavailable(_) => None,
        }
    }
}

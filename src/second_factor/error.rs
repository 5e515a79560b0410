use std::time::Duration;

use super::FactorStoreError;
use crate::BoxError;
use crate::audit::AuditError;
use crate::random::RandomError;

/// A second factor was not proved, enrolled or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactorError {
    /// The actor has no factor, or one whose enrolment was not confirmed.
    #[error("no second factor is enrolled")]
    NotEnrolled,
    /// The code is a wrong one.
    #[error("the code is wrong")]
    WrongCode,
    /// The code was accepted before. Wait for the next one.
    #[error("the code was used already")]
    UsedCode,
    /// The text has the shape of no code. It was not counted as a guess.
    #[error("the text is no code")]
    MalformedCode,
    /// After wrong codes the next one has to wait. The code was not looked at.
    #[error("after too many wrong codes the next one has to wait")]
    Throttled {
        /// How long.
        retry_after: Duration,
    },
    /// So many wrong codes in a row that only a recovery code or a reset helps. The code was not looked at.
    #[error("the second factor is locked after too many wrong codes")]
    Locked,
    /// There is a confirmed factor already; reset it first.
    #[error("a second factor is enrolled already")]
    AlreadyEnrolled,
    /// No enrolment waits for its first code, or it has waited too long.
    #[error("no enrolment waits for a code")]
    NotPending,
    /// Only the application itself may do this without a code.
    #[error("`{actor}` is no part of the application")]
    NotTheApplication {
        /// Who tried.
        actor: crate::key::ActorRef,
    },
    /// A text for the enrolment breaks a bound.
    #[error("`{field}` {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Others kept changing the factor. Nothing was accepted.
    #[error("the second factor kept being changed by others")]
    Contended,
    /// The audit trail could not be written, so nothing was changed.
    #[error("the audit trail could not be written; nothing was changed")]
    Audit(#[source] AuditError),
    /// What is stored is not what was written for this actor, or was sealed under a key that is not at hand.
    #[error("what is stored of the second factor cannot be read")]
    Corrupt(#[source] BoxError),
    /// The store or the source of randomness is out of order.
    #[error("the second factor cannot be checked now")]
    Unavailable(#[source] BoxError),
}

impl FactorError {
    /// Returns [`FactorError::Unavailable`].
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }

    #[cfg(feature = "totp")]
    pub(super) fn corrupt(source: impl Into<BoxError>) -> Self {
        Self::Corrupt(source.into())
    }

    /// Returns whether it was looked at and not accepted, as opposed to something being out of order.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotEnrolled
                | Self::WrongCode
                | Self::UsedCode
                | Self::MalformedCode
                | Self::Throttled { .. }
                | Self::Locked
        )
    }

    /// Returns the error as one lower-case word, stable, for logs and the audit trail.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled => "not_enrolled",
            Self::WrongCode => "wrong_code",
            Self::UsedCode => "used_code",
            Self::MalformedCode => "malformed_code",
            Self::Throttled { .. } => "throttled",
            Self::Locked => "locked",
            Self::AlreadyEnrolled => "already_enrolled",
            Self::NotPending => "not_pending",
            Self::NotTheApplication { .. } => "not_the_application",
            Self::Invalid { .. } => "invalid",
            Self::Contended => "contended",
            Self::Audit(_) => "audit_unavailable",
            Self::Corrupt(_) => "corrupt",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<FactorStoreError> for FactorError {
    fn from(error: FactorStoreError) -> Self {
        match error {
            FactorStoreError::Conflict => Self::Contended,
            other => Self::unavailable(other),
        }
    }
}

impl From<RandomError> for FactorError {
    fn from(error: RandomError) -> Self {
        Self::unavailable(error)
    }
}

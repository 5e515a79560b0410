//! What can go wrong while a limit is asked. Being over the limit is not an error.

use crate::error::BoxError;

/// Why a limiter gave no answer.
///
/// A denial is an answer, so it is never in here: every variant means that nobody knows whether the request was within
/// its limits. No variant holds a subject or any other text of a request.
///
/// ```
/// use keyward::rate_limit::RateLimitError;
///
/// let error = RateLimitError::unavailable("connection refused");
/// assert_eq!(error.to_string(), "rate limiter is unavailable");
/// assert!(error.is_outage());
/// assert!(!RateLimitError::TooManyCharges { count: 17 }.is_outage());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RateLimitError {
    /// The backend answered, but failed at the task.
    #[error("rate limiter failed")]
    Backend {
        /// What the backend said.
        source: BoxError,
    },
    /// The backend answered for another number of charges than it was asked about.
    #[error("rate limiter answered for another number of charges than asked")]
    MalformedAnswer,
    /// The backend did not answer within its deadline. The charges may or may not have been taken.
    #[error("rate limiter did not answer in time")]
    Timeout,
    /// One call held more than [`MAX_CHARGES`](super::MAX_CHARGES) charges. Nothing was taken.
    #[error("{count} charges in one call are too many")]
    TooManyCharges {
        /// How many there were.
        count: usize,
    },
    /// The backend could not be reached, or is not being asked because it failed just before.
    #[error("rate limiter is unavailable")]
    Unavailable {
        /// What the transport said.
        source: BoxError,
    },
}

impl RateLimitError {
    /// Wraps a failure inside a backend.
    pub fn backend(source: impl Into<BoxError>) -> Self {
        Self::Backend {
            source: source.into(),
        }
    }

    /// Wraps a failure to reach a backend.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            source: source.into(),
        }
    }

    /// Tells whether the backend is at fault, as opposed to the call: only then does an outage policy apply.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        !matches!(self, Self::TooManyCharges { .. })
    }
}

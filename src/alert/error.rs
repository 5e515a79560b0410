use crate::error::BoxError;

/// Why an alert did not reach its sink, or why alerts do not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// The sink could not take the alert now; a later one may get through.
    #[error("the alert sink {sink} is not available")]
    #[non_exhaustive]
    Unavailable {
        /// Which sink.
        sink: &'static str,
        /// What it said.
        source: BoxError,
    },

    /// The sink refused the alert, and would refuse it again.
    #[error("the alert sink {sink} refused the alert")]
    #[non_exhaustive]
    Refused {
        /// Which sink.
        sink: &'static str,
        /// What it said.
        source: BoxError,
    },

    /// Alerts did not reach a sink, or found no room in its queue, since the last flush.
    #[error("{alerts} alerts were lost")]
    #[non_exhaustive]
    Lost {
        /// How many, summed over the sinks.
        alerts: u64,
    },

    /// The sink panicked.
    #[error("the alert sink panicked")]
    Panicked,

    /// There is no tokio runtime here.
    #[error("sending alerts needs a tokio runtime")]
    NoRuntime,
}

impl AlertError {
    /// Returns [`AlertError::Unavailable`].
    #[must_use]
    pub fn unavailable(sink: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            sink,
            source: source.into(),
        }
    }

    /// Returns [`AlertError::Refused`].
    #[must_use]
    pub fn refused(sink: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Refused {
            sink,
            source: source.into(),
        }
    }
}

/// A rule cannot work with the settings it was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the alert rule {rule} cannot work: {problem}")]
#[non_exhaustive]
pub struct InvalidRule {
    /// Which rule.
    pub rule: &'static str,
    /// What is wrong.
    pub problem: &'static str,
}

impl InvalidRule {
    /// Returns the error, for rules of the application's own too.
    #[must_use]
    pub const fn new(rule: &'static str, problem: &'static str) -> Self {
        Self { rule, problem }
    }
}

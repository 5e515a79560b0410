use crate::BoxError;

/// A notice was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// Whatever was to take it said no.
    #[error("the notice was not taken")]
    Failed(#[source] BoxError),
    /// The notifier took longer than the run waits.
    #[error("the notifier did not answer in time")]
    Late,
    /// The notifier panicked.
    #[error("the notifier panicked")]
    Panicked,
}

impl NotifyError {
    /// Returns [`NotifyError::Failed`].
    pub fn failed(source: impl Into<BoxError>) -> Self {
        Self::Failed(source.into())
    }
}

/// What was sent could not be remembered or looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeLogError {
    /// Not now; the same call may work later.
    #[error("the notice log {log} is not available")]
    #[non_exhaustive]
    Unavailable {
        /// Which log.
        log: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// The log failed in a way that trying again will hardly mend.
    #[error("the notice log {log} failed")]
    #[non_exhaustive]
    Backend {
        /// Which log.
        log: &'static str,
        /// What it said.
        source: BoxError,
    },
}

impl NoticeLogError {
    /// Returns [`NoticeLogError::Unavailable`].
    pub fn unavailable(log: &'static str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self::Unavailable { log, source }
    }

    /// Returns [`NoticeLogError::Backend`].
    pub fn backend(log: &'static str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self::Backend { log, source }
    }
}

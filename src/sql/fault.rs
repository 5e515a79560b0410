//! What an engine's error means to a caller.

use super::Dialect;
use crate::BoxError;

/// What an engine said, reduced to code and message.
///
/// SECURITY: some engines put the failing row into further fields of their error, and with it the digest. Those stop
/// here, `Debug` included.
#[derive(Debug, thiserror::Error)]
#[error("{message} (code {code})")]
struct EngineError {
    code: String,
    message: String,
}

/// An engine's error, sorted by what can be done about it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine refused in a way that trying again will not mend.
    Backend(BoxError),
    /// Another row has the key. Not every caller minds.
    Duplicate(BoxError),
    /// Trying again later may help.
    Unavailable(BoxError),
}

impl Fault {
    pub(crate) fn of<D: Dialect>(error: sqlx::Error) -> Self {
        use sqlx::Error;

        match error {
            Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                let (transient, duplicate) = (D::is_transient(&code), error.is_unique_violation());
                let message = error.message().to_owned();
                let source = EngineError { code, message }.into();
                if duplicate {
                    Self::Duplicate(source)
                } else if transient {
                    Self::Unavailable(source)
                } else {
                    Self::Backend(source)
                }
            }
            Error::Io(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::Tls(_)
            | Error::WorkerCrashed => Self::Unavailable(error.into()),
            other => Self::Backend(other.into()),
        }
    }
}

/// Returns whether the connection broke, so that a read may be tried once more on another.
pub(crate) fn is_lost<D: Dialect>(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| D::is_lost(&code)),
        _ => false,
    }
}

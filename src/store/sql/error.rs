//! What an engine's error means to a caller.

use super::Dialect;
use crate::store::StoreError;

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

/// Sorts an engine's error by what can be done about it.
pub(super) fn failed<D: Dialect>(error: sqlx::Error) -> StoreError {
    use sqlx::Error;

    match error {
        Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            let transient = D::is_transient(&code);
            let message = error.message().to_owned();
            let source = EngineError { code, message };
            if transient {
                StoreError::unavailable(D::STORE, source)
            } else {
                StoreError::backend(D::STORE, source)
            }
        }
        Error::Io(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::Tls(_)
        | Error::WorkerCrashed => StoreError::unavailable(D::STORE, error),
        other => StoreError::backend(D::STORE, other),
    }
}

/// As [`failed`], for an insert: a second row with the id is the caller's to deal with.
pub(super) fn insert_failed<D: Dialect>(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::AlreadyExists,
        other => failed::<D>(other),
    }
}

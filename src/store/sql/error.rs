//! What an engine's error means to whoever uses the store.

use crate::sql::Dialect;
use crate::sql::fault::Fault;
use crate::store::StoreError;

/// Sorts an engine's error by what can be done about it.
pub(super) fn failed<D: Dialect>(error: sqlx::Error) -> StoreError {
    fault::<D>(Fault::of::<D>(error))
}

/// As [`failed`], for an insert: a second row with the id is the caller's to deal with.
pub(super) fn insert_failed<D: Dialect>(error: sqlx::Error) -> StoreError {
    match Fault::of::<D>(error) {
        Fault::Duplicate(_) => StoreError::AlreadyExists,
        other => fault::<D>(other),
    }
}

pub(super) fn fault<D: Dialect>(fault: Fault) -> StoreError {
    match fault {
        Fault::Unavailable(source) => StoreError::unavailable(D::ENGINE, source),
        Fault::Backend(source) | Fault::Duplicate(source) => StoreError::backend(D::ENGINE, source),
    }
}

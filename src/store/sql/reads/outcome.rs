use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::key::KeyRecord;
use crate::store::StoreError;

/// What a read brings.
pub(super) type Outcome = Result<Option<Arc<KeyRecord>>, StoreError>;

/// Returns an error that says the same, for the next of several who have to be told.
pub(super) fn again(error: &Arc<StoreError>) -> StoreError {
    let cause = Cause(Arc::clone(error));
    match **error {
        StoreError::Backend { store, .. } => StoreError::backend(store, cause),
        StoreError::Corrupt { field, .. } => StoreError::corrupt(field, cause),
        StoreError::Unavailable { store, .. } => StoreError::unavailable(store, cause),
        // No read is answered by one of these; if one is, it is no verdict on a key.
        _ => StoreError::backend("sql", cause),
    }
}

/// The cause of an error that several callers share.
struct Cause(Arc<StoreError>);

impl Cause {
    fn inner(&self) -> &(dyn Error + 'static) {
        self.0.source().unwrap_or(&*self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner(), f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner().source()
    }
}

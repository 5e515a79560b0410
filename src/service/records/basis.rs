use std::sync::Arc;

use super::{Found, Records, RowBindingMode};
use crate::hash::HashError;
use crate::key::{KeyId, KeyRecord, canonical};
use crate::service::{LifecycleError, Rejection, VerifyError};

/// What a change starts from, and something can be granted on. Only this module makes one.
#[derive(Debug)]
pub(in crate::service) struct Basis {
    record: Arc<KeyRecord>,
    standing: Standing,
}

/// What is known of a record that is to be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It says what the service wrote, as far as its mode can tell. What is made of it may be bound.
    Sound,
    /// It does not, or nobody knows. It may be ended, and must stay what it is.
    Broken,
}

/// Why nothing may be granted on a record.
#[derive(Debug)]
pub(in crate::service) enum Unsound {
    /// It was changed since it was bound, or its binding was.
    Tampered,
    /// It has no binding and needs one.
    Unbound,
    /// Its pepper is not here, so nothing is known of it.
    Unknown(HashError),
}

impl Basis {
    pub(in crate::service) fn record(&self) -> &KeyRecord {
        &self.record
    }

    pub(in crate::service) fn into_record(self) -> Arc<KeyRecord> {
        self.record
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }
}

impl Records {
    /// Returns the record as one that something can be granted on, and that can be changed.
    pub(in crate::service) fn vouch(&self, found: Found) -> Result<Basis, Unsound> {
        self.check(&found.0)?;
        Ok(Basis {
            record: found.0,
            standing: Standing::Sound,
        })
    }

    /// Returns the record as one that can be ended, whatever its binding says.
    ///
    /// SECURITY: what is made of a broken one is not bound anew, and takes over its end and nothing else.
    pub(in crate::service) fn vouch_to_end(&self, found: Found) -> Basis {
        let standing = match self.check(&found.0) {
            Ok(()) => Standing::Sound,
            Err(_) => Standing::Broken,
        };
        Basis {
            record: found.0,
            standing,
        }
    }

    /// As [`Self::vouch`], for a record out of a list.
    pub(in crate::service) fn vouch_listed(
        &self,
        record: &Arc<KeyRecord>,
    ) -> Result<Basis, Unsound> {
        self.vouch(Found(Arc::clone(record)))
    }

    /// Says whether a record is what the service wrote. Without row binding nobody can tell, and nothing is computed.
    pub(in crate::service) fn check(&self, record: &KeyRecord) -> Result<(), Unsound> {
        let Some(mode) = self.mode else {
            return Ok(());
        };
        match (&record.binding, mode) {
            (None, RowBindingMode::WhenPresent) => Ok(()),
            (None, RowBindingMode::Required) => Err(Unsound::Unbound),
            (Some(binding), _) => match self.hashing.check_row(&canonical(record), binding) {
                Ok(true) => Ok(()),
                Ok(false) => Err(Unsound::Tampered),
                Err(error) => Err(Unsound::Unknown(error)),
            },
        }
    }
}

impl Unsound {
    pub(in crate::service) fn of(self, key: KeyId) -> LifecycleError {
        match self {
            Self::Tampered => LifecycleError::RecordTampered { key },
            Self::Unbound => LifecycleError::RecordUnbound { key },
            Self::Unknown(error) => LifecycleError::unavailable(error),
        }
    }
}

impl From<Unsound> for VerifyError {
    fn from(unsound: Unsound) -> Self {
        match unsound {
            Unsound::Tampered => Rejection::RecordTampered.into(),
            Unsound::Unbound => Rejection::RecordUnbound.into(),
            Unsound::Unknown(error) => Self::unavailable(error),
        }
    }
}

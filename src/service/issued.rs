use std::fmt;
use std::sync::Arc;

use crate::key::{KeyRecord, SecretKey};

/// A new plaintext, and the record of its key. The plaintext is nowhere else and cannot be had again.
#[must_use = "the plaintext exists only here"]
pub struct IssuedKey {
    key: SecretKey,
    hint: String,
    record: Arc<KeyRecord>,
}

impl IssuedKey {
    pub(super) const fn new(key: SecretKey, hint: String, record: Arc<KeyRecord>) -> Self {
        Self { key, hint, record }
    }

    /// Returns the plaintext, to be shown to its owner once.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns the form for lists: `pm_live_…a1B2`.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Returns what was stored.
    #[must_use]
    pub const fn record(&self) -> &Arc<KeyRecord> {
        &self.record
    }

    /// Returns the plaintext and drops the rest.
    #[must_use]
    pub fn into_key(self) -> SecretKey {
        self.key
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey")
            .field("key", &self.key)
            .field("id", &self.record.id)
            .finish_non_exhaustive()
    }
}

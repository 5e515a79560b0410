use std::net::IpAddr;

use crate::key::{Generation, KeyId, KeyRecord};
use crate::time::Timestamp;

/// A record to insert, with the condition under which it may be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InsertKey {
    /// The record. Its revision and usage are stored as they are.
    pub record: KeyRecord,
    /// At most so many *active* keys of the owner, this one included, counted and inserted in one atomic step.
    pub owner_limit: Option<u32>,
}

impl InsertKey {
    /// Returns an unconditional insert.
    #[must_use]
    pub const fn new(record: KeyRecord) -> Self {
        Self {
            record,
            owner_limit: None,
        }
    }

    /// Inserts only while the owner has fewer than `limit` keys that are active at the record's `created_at`.
    #[must_use]
    pub const fn with_owner_limit(mut self, limit: u32) -> Self {
        self.owner_limit = Some(limit);
        self
    }
}

/// One use of a key, to be written in a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// The key.
    pub id: KeyId,
    /// The credential that was presented.
    pub generation: Generation,
    /// When.
    pub at: Timestamp,
    /// From where, if known.
    pub from: Option<IpAddr>,
}

impl Usage {
    /// Returns one use.
    #[must_use]
    pub const fn new(
        id: KeyId,
        generation: Generation,
        at: Timestamp,
        from: Option<IpAddr>,
    ) -> Self {
        Self {
            id,
            generation,
            at,
            from,
        }
    }
}

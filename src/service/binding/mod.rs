//! Passes over all rows: which are not bound as they should be, and binding those that may be.

mod pass;

use crate::key::KeyId;
use crate::store::Cursor;

/// What is the matter with a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BindingFault {
    /// It has no binding: it was written before rows were bound, or by a process that does not bind them, or somebody took
    /// the binding away.
    Unbound,
    /// It says something else than what the service wrote, or its binding cannot be read. Revoke the key.
    Broken,
    /// It holds, under a pepper that is not the current one.
    Outdated {
        /// The pepper's version.
        version: u32,
    },
    /// It cannot be read as a record, so its key is refused as in an outage and cannot be revoked. Whoever reaches the database
    /// removes the row, or mends it and revokes the key.
    Unreadable,
    /// Nobody can tell, because this process has not that pepper.
    UnknownPepper {
        /// The pepper's version, as the row says.
        version: u32,
    },
}

/// One page of [`KeyService::check_bindings`](super::KeyService::check_bindings).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BindingPage {
    /// How many rows were looked at.
    pub looked_at: usize,
    /// Those with something the matter.
    pub faults: Vec<(KeyId, BindingFault)>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Cursor>,
}

/// One page of [`KeyService::bind_records`](super::KeyService::bind_records).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BoundPage {
    /// Rows that had no binding and have one now. What they said was believed.
    pub bound: u64,
    /// Rows that held under another pepper and are bound under the current one now.
    pub renewed: u64,
    /// Rows that somebody else changed or removed meanwhile. Whoever changed one has bound it.
    pub lost: u64,
    /// Rows that were left as they are.
    pub left: Vec<(KeyId, BindingFault)>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Cursor>,
}

//! What a write leaves, as functions of what was stored: for stores that keep whole records.

use super::{StoreError, Usage};
use crate::key::{Credential, KeyRecord, LastUse};

/// Returns the record that an update leaves: the new settings and credentials, the old origin, the old usage, and the
/// next revision.
///
/// A store that keeps whole records calls this inside the step that makes its update atomic.
///
/// # Errors
///
/// [`StoreError::Conflict`] when `update` was made from another revision than the stored one.
pub fn apply_update(stored: &KeyRecord, update: &KeyRecord) -> Result<KeyRecord, StoreError> {
    if stored.revision != update.revision {
        return Err(StoreError::Conflict);
    }
    let used = |credential: &Credential| Credential {
        last_used_at: stored
            .credential(credential.generation)
            .and_then(|known| known.last_used_at),
        ..credential.clone()
    };
    Ok(KeyRecord {
        id: stored.id,
        environment: stored.environment,
        kind: stored.kind,
        owner: stored.owner.clone(),
        created_at: stored.created_at,
        created_by: stored.created_by.clone(),
        last_used: stored.last_used,
        revision: stored.revision.next(),
        current: used(&update.current),
        previous: update.previous.as_ref().map(used),
        ..update.clone()
    })
}

/// Writes one use into the usage fields of a record, each only forwards. Returns whether anything changed.
///
/// A store that keeps whole records calls this under the same lock as its updates.
pub fn apply_usage(record: &mut KeyRecord, usage: &Usage) -> bool {
    let mut changed = false;
    if record.last_used.is_none_or(|last| last.at < usage.at) {
        record.last_used = Some(LastUse::new(usage.at, usage.from));
        changed = true;
    }
    let credentials = std::iter::once(&mut record.current).chain(record.previous.as_mut());
    for credential in credentials.filter(|known| known.generation == usage.generation) {
        if credential.last_used_at < Some(usage.at) {
            credential.last_used_at = Some(usage.at);
            changed = true;
        }
    }
    changed
}

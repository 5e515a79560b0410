//! What is stored at a record's place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::{KeyId, KeyRecord};
use crate::store::StoreError;
use crate::vault::Versioned;

/// A record as text, or nothing of a deleted one.
///
/// Text, because Vault reads and writes JSON in between: what comes back must be the same to the last digit.
#[derive(Deserialize, Serialize)]
pub(super) struct Body {
    keyward: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    deleted: bool,
}

/// A later form gets a number of its own.
const FORM: u32 = 1;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A record, and the version of the secret it was read from.
pub(super) struct Stored {
    pub(super) record: Arc<KeyRecord>,
    pub(super) version: u64,
}

impl Body {
    pub(super) fn of(record: &KeyRecord) -> Result<Self, StoreError> {
        let text = serde_json::to_string(record);
        Ok(Self {
            keyward: FORM,
            record: Some(text.map_err(|error| StoreError::corrupt("record", error))?),
            deleted: false,
        })
    }

    /// What a deleted record leaves until its place is removed. It holds nothing of it.
    pub(super) const fn tombstone() -> Self {
        Self {
            keyward: FORM,
            record: None,
            deleted: true,
        }
    }
}

/// Reads what lies at the place of `id`: a record, or `None` for a tombstone. Anything else is corrupt.
pub(super) fn read(
    id: &KeyId,
    found: &Versioned<serde_json::Value>,
) -> Result<Option<Stored>, StoreError> {
    let unreadable = |what| StoreError::corrupt("record", Unreadable(what));
    let body = Body::deserialize(&found.data).map_err(|_| unreadable("no record of this crate"))?;
    if body.keyward != FORM {
        return Err(unreadable("of a newer version of this crate"));
    }
    let text = match (body.record, body.deleted) {
        (Some(text), false) => text,
        (None, true) => return Ok(None),
        (Some(_), true) | (None, false) => return Err(unreadable("neither there nor deleted")),
    };
    // SECURITY: serde's message may quote what it read.
    let record: KeyRecord =
        serde_json::from_str(&text).map_err(|_| unreadable("not the text of a record"))?;
    if record.id != *id {
        return Err(unreadable("the record of another key"));
    }
    Ok(Some(Stored {
        record: Arc::new(record),
        version: found.version,
    }))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(&'static str);

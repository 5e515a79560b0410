use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::{KeyId, KeyRecord};
use crate::time::Timestamp;

/// A place in the order of a list: by the moment that [the order](super::ListOrder) goes by, then by id. Pages continue there
/// whatever is inserted meanwhile.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor {
    moment: Timestamp,
    id: KeyId,
}

impl Cursor {
    /// Returns the place of a record in a list by creation.
    #[must_use]
    pub const fn of(record: &KeyRecord) -> Self {
        Self {
            moment: record.created_at,
            id: record.id,
        }
    }

    pub(super) const fn new(moment: Timestamp, id: KeyId) -> Self {
        Self { moment, id }
    }

    /// Returns the moment that the order goes by: creation, unless the list has another order.
    #[must_use]
    pub const fn moment(&self) -> Timestamp {
        self.moment
    }

    /// Returns the id of the record at this place.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// A cursor's text form is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of a key list")]
#[non_exhaustive]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.moment.as_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (micros, id) = text.split_once('.').ok_or(CursorError)?;
        let moment = micros
            .parse()
            .map(Timestamp::from_micros)
            .map_err(|_| CursorError)?;
        Ok(Self {
            moment,
            id: id.parse().map_err(|_| CursorError)?,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

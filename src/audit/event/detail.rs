use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Text;

/// Most details of one event.
pub(super) const MAX_DETAILS: usize = 16;
/// Longest name of a detail, in bytes.
const MAX_NAME: usize = 64;
/// Longest text of a detail, in bytes.
const MAX_VALUE: usize = 256;

/// The value of a detail.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(untagged)]
pub enum Detail {
    /// A whole number.
    Number(i64),
    /// A text of at most 256 bytes.
    Text(Text),
}

impl Detail {
    fn bounded(self) -> Self {
        match self {
            Self::Number(_) => self,
            Self::Text(text) => Self::Text(text.bounded(MAX_VALUE)),
        }
    }
}

impl<T: Into<Text>> From<T> for Detail {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Detail {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Detail {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// Numbers above `i64::MAX` become `i64::MAX`.
impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// At most [`MAX_DETAILS`] named values, in the order of their names.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Details(BTreeMap<Text, Detail>);

impl Details {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds or replaces a value; a new name beyond the limit is turned away with `false`.
    pub(super) fn set(&mut self, name: Text, value: Detail) -> bool {
        let name = name.bounded(MAX_NAME);
        let fits = self.0.len() < MAX_DETAILS || self.0.contains_key(&name);
        if fits {
            self.0.insert(name, value.bounded());
        }
        fits
    }

    pub(super) fn get(&self, name: &str) -> Option<&Detail> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Detail)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

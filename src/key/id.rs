use std::fmt;
use std::str::FromStr;

use super::base62;
use super::text::{ShortText, text_conversions};
use super::{KeyIdError, KeyStyle};

/// The public part of a key: random, unique, and the same for all its life.
///
/// It stands in lists, logs and audit events, and tells nothing about the secret. 12 base62 characters (71 bits) for
/// a standard key, 8 (47 bits) for a compact one. `Copy`, without a heap.
///
/// ```
/// use keyward::key::{KeyId, KeyStyle};
///
/// let id: KeyId = "0aZ9bY8cX7dW".parse()?;
/// assert_eq!(id.style(), KeyStyle::Standard);
/// assert_eq!(id.to_string(), "0aZ9bY8cX7dW");
/// assert!("0aZ9bY8c-7dW".parse::<KeyId>().is_err());
/// # Ok::<(), keyward::key::KeyIdError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(ShortText<12>);

impl KeyId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns a byte that spreads random ids evenly: their last character.
    pub(crate) fn spread(&self) -> usize {
        usize::from(self.0.as_bytes().last().copied().unwrap_or(0))
    }

    /// Returns the style of the keys that carry this id; its length tells.
    #[must_use]
    pub fn style(&self) -> KeyStyle {
        if self.0.as_bytes().len() == KeyStyle::Compact.id_len() {
            KeyStyle::Compact
        } else {
            KeyStyle::Standard
        }
    }

    pub(super) fn new(text: &[u8]) -> Result<Self, KeyIdError> {
        if text.len() != KeyStyle::Standard.id_len() && text.len() != KeyStyle::Compact.id_len() {
            return Err(KeyIdError::Length);
        }
        if !base62::is_text(text) {
            return Err(KeyIdError::Character);
        }
        Self::known(text).ok_or(KeyIdError::Length)
    }

    /// Takes characters that have been checked.
    pub(super) fn known(text: &[u8]) -> Option<Self> {
        ShortText::new(text).map(Self)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.as_str())
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        Self::new(text.as_bytes())
    }
}

text_conversions!(KeyId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_both_lengths_and_nothing_between() {
        assert_eq!(
            KeyId::new(b"0123456789AZ").unwrap().style(),
            KeyStyle::Standard
        );
        assert_eq!(KeyId::new(b"abcdefgz").unwrap().style(), KeyStyle::Compact);
        for len in (0..=20).filter(|len| *len != 8 && *len != 12) {
            assert_eq!(KeyId::new(&vec![b'a'; len]), Err(KeyIdError::Length));
        }
    }

    #[test]
    fn refuses_other_alphabets() {
        for text in [
            "0123456789A_",
            "0123456789A-",
            "0123456789A ",
            "0123456é89A",
            "012345\0",
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn shows_itself_in_debug() {
        let id: KeyId = "abcdefgz".parse().unwrap();
        assert_eq!(format!("{id:?}"), "KeyId(abcdefgz)");
    }

    #[test]
    fn sorts_like_its_text() {
        let mut texts = ["zz000000", "00000000", "000000000000", "Az0000000000"];
        let mut ids = texts.map(|text| text.parse::<KeyId>().unwrap());
        texts.sort_unstable();
        ids.sort_unstable();
        assert_eq!(ids.map(|id| id.to_string()), texts);
    }

    #[test]
    fn is_a_string_to_serde() {
        let id: KeyId = "0123456789AZ".parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"0123456789AZ\"");
        assert_eq!(serde_json::from_str::<KeyId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<KeyId>("\"0123456789A\"").is_err());
    }
}

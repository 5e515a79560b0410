use std::fmt;
use std::str::FromStr;

use super::text::{ShortText, text_conversions};
use super::{HintTailError, base62};

/// The last four characters of a secret: what a list may show so that a person recognises a key.
///
/// Four base62 characters give away 23.8 of a standard secret's 256 bits (of a compact one's 142.9), and are stored in
/// clear. [`KeyFormat::hint`](super::KeyFormat::hint) gives the form to display.
///
/// ```
/// use keyward::key::{HintTail, KeyFormat};
///
/// let tail: HintTail = "a1B2".parse()?;
/// assert_eq!(KeyFormat::default().hint(tail), "pm_live_…a1B2");
/// # Ok::<(), keyward::key::HintTailError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HintTail(ShortText<4>);

impl HintTail {
    /// Takes the last four characters of a secret.
    ///
    /// # Errors
    ///
    /// [`HintTailError`] when one of them is not in `0-9A-Za-z`.
    pub fn new(tail: [u8; 4]) -> Result<Self, HintTailError> {
        if base62::is_text(&tail) {
            Ok(Self::known(tail))
        } else {
            Err(HintTailError::new())
        }
    }

    /// Returns the four characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Takes characters that have been checked.
    pub(super) const fn known(tail: [u8; 4]) -> Self {
        Self(ShortText::padded(tail, 4))
    }
}

impl fmt::Debug for HintTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HintTail({})", self.as_str())
    }
}

impl FromStr for HintTail {
    type Err = HintTailError;

    fn from_str(text: &str) -> Result<Self, HintTailError> {
        text.as_bytes()
            .try_into()
            .map_err(|_| HintTailError::new())
            .and_then(Self::new)
    }
}

text_conversions!(HintTail);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_exactly_four_characters_of_the_alphabet() {
        assert_eq!("a1B2".parse::<HintTail>().unwrap().as_str(), "a1B2");
        for text in ["", "a1B", "a1B2c", "a1B_", "a1B ", "a1é"] {
            assert!(text.parse::<HintTail>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn is_a_string_to_serde() {
        let tail: HintTail = serde_json::from_str("\"a1B2\"").unwrap();
        assert_eq!(serde_json::to_string(&tail).unwrap(), "\"a1B2\"");
        assert!(serde_json::from_str::<HintTail>("\"a1B\"").is_err());
    }
}

use std::fmt;
use std::str::FromStr;

use super::PrefixError;
use super::text::{ShortText, text_conversions};

/// What every key of an application begins with; `pm` unless configured.
///
/// 1 to 32 of `0-9A-Za-z` and `_`, where `_` neither begins nor ends the prefix and never stands twice in a row.
/// Compared byte for byte; `Copy`, without a heap. Choose it once: scanners know keys by it, and a key under another
/// prefix is refused.
///
/// ```
/// use keyward::key::Prefix;
///
/// assert_eq!(Prefix::default().as_str(), "pm");
/// assert_eq!(Prefix::new("acme_api")?.as_str(), "acme_api");
/// assert!(Prefix::new("acme-api").is_err());
/// # Ok::<(), keyward::key::PrefixError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Prefix(ShortText<32>);

impl Prefix {
    /// The longest prefix, in characters.
    pub const MAX_LEN: usize = 32;

    /// Takes a prefix.
    ///
    /// # Errors
    ///
    /// * [`PrefixError::Length`] when it is empty or longer than [`Prefix::MAX_LEN`],
    /// * [`PrefixError::Character`] when it holds anything but `0-9A-Za-z` and `_`,
    /// * [`PrefixError::Underscore`] when it begins or ends with `_` or holds two in a row.
    pub fn new(text: &str) -> Result<Self, PrefixError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(PrefixError::Length);
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(PrefixError::Character);
        }
        if text.split('_').any(str::is_empty) {
            return Err(PrefixError::Underscore);
        }
        ShortText::new(text.as_bytes())
            .map(Self)
            .ok_or(PrefixError::Length)
    }

    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// `pm`.
impl Default for Prefix {
    fn default() -> Self {
        let mut text = [0; 32];
        if let Some(start) = text.first_chunk_mut() {
            *start = *b"pm";
        }
        Self(ShortText::padded(text, 2))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.as_str())
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Self::new(text)
    }
}

text_conversions!(Prefix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_pm_by_default() {
        assert_eq!(Prefix::new("pm"), Ok(Prefix::default()));
    }

    #[test]
    fn bounds_the_length() {
        assert_eq!(Prefix::new(""), Err(PrefixError::Length));
        assert!(Prefix::new("a").is_ok());
        assert!(Prefix::new(&"a".repeat(32)).is_ok());
        assert_eq!(Prefix::new(&"a".repeat(33)), Err(PrefixError::Length));
    }

    #[test]
    fn accepts_words_that_hold_the_name_of_an_environment() {
        for text in ["device", "latest", "pm_live", "live", "a_b_c", "A1", "1"] {
            assert_eq!(Prefix::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_other_alphabets() {
        for text in ["a-b", "a b", "a\0", "é", "a.b", "a/b"] {
            assert_eq!(Prefix::new(text), Err(PrefixError::Character), "{text:?}");
        }
    }

    #[test]
    fn refuses_empty_parts() {
        for text in ["_", "_a", "a_", "a__b"] {
            assert_eq!(Prefix::new(text), Err(PrefixError::Underscore), "{text:?}");
        }
    }

    #[test]
    fn is_a_string_to_serde() {
        let prefix: Prefix = serde_json::from_str("\"acme_api\"").unwrap();
        assert_eq!(serde_json::to_string(&prefix).unwrap(), "\"acme_api\"");
        assert!(serde_json::from_str::<Prefix>("\"acme-api\"").is_err());
    }
}

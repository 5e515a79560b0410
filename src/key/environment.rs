use std::fmt;
use std::str::FromStr;

use super::EnvironmentError;
use super::text::{ShortText, text_conversions};

/// The world a key belongs to: `live`, `test`, or a name of the application's own.
///
/// It stands in every key, and a [`KeyFormat`](super::KeyFormat) of one environment refuses the keys of all others.
/// Compared byte for byte; `Copy`, without a heap.
///
/// ```
/// use keyward::key::Environment;
///
/// assert_eq!(Environment::live().as_str(), "live");
/// assert_eq!(Environment::custom("test")?, Environment::test());
/// assert!(Environment::custom("Staging").is_err());
/// # Ok::<(), keyward::key::EnvironmentError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Environment(ShortText<16>);

impl Environment {
    /// The longest name, in characters: enough for a word, and it keeps the longest key at 121 characters.
    pub const MAX_LEN: usize = 16;

    /// Returns the environment that serves customers.
    #[must_use]
    pub const fn live() -> Self {
        Self(ShortText::padded(*b"live\0\0\0\0\0\0\0\0\0\0\0\0", 4))
    }

    /// Returns the environment that customers try things in.
    #[must_use]
    pub const fn test() -> Self {
        Self(ShortText::padded(*b"test\0\0\0\0\0\0\0\0\0\0\0\0", 4))
    }

    /// Returns an environment of the application's own.
    ///
    /// # Errors
    ///
    /// * [`EnvironmentError::Length`] when the name is empty or longer than [`Environment::MAX_LEN`],
    /// * [`EnvironmentError::Character`] when it holds anything but `a-z` and `0-9`.
    pub fn custom(name: &str) -> Result<Self, EnvironmentError> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(EnvironmentError::Length);
        }
        if !Self::is_text(name.as_bytes()) {
            return Err(EnvironmentError::Character);
        }
        ShortText::new(name.as_bytes())
            .map(Self)
            .ok_or(EnvironmentError::Length)
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Tells whether these bytes could name an environment.
    pub(super) fn is_name(name: &[u8]) -> bool {
        !name.is_empty() && name.len() <= Self::MAX_LEN && Self::is_text(name)
    }

    fn is_text(name: &[u8]) -> bool {
        name.iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }
}

/// [`Environment::live`].
impl Default for Environment {
    fn default() -> Self {
        Self::live()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({})", self.as_str())
    }
}

impl FromStr for Environment {
    type Err = EnvironmentError;

    fn from_str(text: &str) -> Result<Self, EnvironmentError> {
        Self::custom(text)
    }
}

text_conversions!(Environment);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_the_two_given_ones() {
        assert_eq!(Environment::custom("live"), Ok(Environment::live()));
        assert_eq!(Environment::custom("test"), Ok(Environment::test()));
        assert_eq!(Environment::test().as_str(), "test");
    }

    #[test]
    fn bounds_the_length() {
        assert_eq!(Environment::custom(""), Err(EnvironmentError::Length));
        assert!(Environment::custom("a").is_ok());
        assert!(Environment::custom("a234567890123456").is_ok());
        assert_eq!(
            Environment::custom("a2345678901234567"),
            Err(EnvironmentError::Length)
        );
    }

    #[test]
    fn refuses_other_alphabets() {
        for name in ["Live", "eu_1", "eu-1", "eu 1", "é", "eu\0"] {
            assert_eq!(
                Environment::custom(name),
                Err(EnvironmentError::Character),
                "{name:?}"
            );
        }
    }

    #[test]
    fn is_a_string_to_serde() {
        let json = serde_json::to_string(&Environment::live()).unwrap();
        assert_eq!(json, "\"live\"");
        assert_eq!(
            serde_json::from_str::<Environment>(&json).unwrap(),
            Environment::live()
        );
        assert!(serde_json::from_str::<Environment>("\"LIVE\"").is_err());
    }
}

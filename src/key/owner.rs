use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::OwnerIdError;
use super::text::text_conversions;

/// The application's own name for whoever a key belongs to: a user id, an account number, a team.
///
/// 1 to 255 bytes of UTF-8 without control characters, compared byte for byte: nothing is trimmed and no case is
/// folded. Clones share the text.
///
/// ```
/// use keyward::key::OwnerId;
///
/// let owner: OwnerId = "user-4711".parse()?;
/// assert_eq!(owner.as_str(), "user-4711");
/// assert!("".parse::<OwnerId>().is_err());
/// # Ok::<(), keyward::key::OwnerIdError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnerId(Arc<str>);

impl OwnerId {
    /// The longest name, in bytes: what an indexed text column holds on every engine the crate talks to.
    pub const MAX_LEN: usize = 255;

    /// Takes the application's name for an owner.
    ///
    /// # Errors
    ///
    /// * [`OwnerIdError::Length`] when it is empty or longer than [`OwnerId::MAX_LEN`] bytes,
    /// * [`OwnerIdError::Control`] when it holds a control character.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, OwnerIdError> {
        let name = name.into();
        check(&name)?;
        Ok(Self(name))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), OwnerIdError> {
    if name.is_empty() || name.len() > OwnerId::MAX_LEN {
        return Err(OwnerIdError::Length);
    }
    if name.chars().any(char::is_control) {
        return Err(OwnerIdError::Control);
    }
    Ok(())
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnerId").field(&self.as_str()).finish()
    }
}

/// So that a map keyed by owner can be asked with a `&str`.
impl From<OwnerId> for Arc<str> {
    fn from(owner: OwnerId) -> Self {
        owner.0
    }
}

impl Borrow<str> for OwnerId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for OwnerId {
    type Err = OwnerIdError;

    fn from_str(text: &str) -> Result<Self, OwnerIdError> {
        check(text)?;
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for OwnerId {
    type Error = OwnerIdError;

    fn try_from(text: String) -> Result<Self, OwnerIdError> {
        Self::new(text)
    }
}

text_conversions!(OwnerId);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn bounds_the_length_in_bytes() {
        assert_eq!(OwnerId::new(""), Err(OwnerIdError::Length));
        assert!(OwnerId::new("a").is_ok());
        assert!(OwnerId::new("a".repeat(255)).is_ok());
        assert_eq!(OwnerId::new("a".repeat(256)), Err(OwnerIdError::Length));
        assert_eq!(OwnerId::new("é".repeat(128)), Err(OwnerIdError::Length));
    }

    #[test]
    fn refuses_control_characters() {
        for name in ["a\nb", "\0", "a\u{7f}", "a\u{85}b", "\u{1b}[31m"] {
            assert_eq!(
                name.parse::<OwnerId>(),
                Err(OwnerIdError::Control),
                "{name:?}"
            );
        }
    }

    #[test]
    fn keeps_every_other_byte() {
        for name in [" user ", "Zoë", "org/7 (eu)", "用户"] {
            assert_eq!(OwnerId::new(name).unwrap().as_str(), name);
        }
        assert_ne!(OwnerId::new("a"), OwnerId::new("A"));
    }

    #[test]
    fn is_found_in_a_map_by_its_text() {
        let map = HashMap::from([(OwnerId::new("acme").unwrap(), 1)]);
        assert_eq!(map.get("acme"), Some(&1));
    }

    #[test]
    fn is_a_string_to_serde() {
        let owner = OwnerId::new("acme").unwrap();
        assert_eq!(serde_json::to_string(&owner).unwrap(), "\"acme\"");
        assert_eq!(serde_json::from_str::<OwnerId>("\"acme\"").unwrap(), owner);
        assert!(serde_json::from_str::<OwnerId>("\"a\\nb\"").is_err());
    }
}

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands at the end of a text that was cut.
const MARKER: &str = "…";

/// A text of an event: a literal, or shared. Cloning never copies the characters.
///
/// ```
/// use std::sync::Arc;
/// use keyward::audit::Text;
///
/// let owner: Arc<str> = Arc::from("acme");
/// assert_eq!(Text::from(Arc::clone(&owner)), Text::from_static("acme"));
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Text {
    /// Returns a literal as it is, without allocating.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// Returns the characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Shared(text) => text,
        }
    }

    /// Returns `text` if it has at most `max` bytes, otherwise its beginning and the marker, together at most `max`.
    pub(super) fn cut(text: &str, max: usize) -> Self {
        let shortened = shorten(text, max);
        Self::from(&*shortened)
    }

    /// Like [`Text::cut`], but keeps what fits as it is.
    pub(in crate::audit) fn bounded(self, max: usize) -> Self {
        match shorten(self.as_str(), max) {
            Cow::Borrowed(_) => self,
            Cow::Owned(short) => Self::from(short),
        }
    }
}

fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max.saturating_sub(MARKER.len()));
    Cow::Owned([text.get(..end).unwrap_or_default(), MARKER].concat())
}

/// Copies the characters once; [`Text::from_static`] does not.
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Repr::Shared(Arc::from(text)))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Repr::Shared(Arc::from(text)))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Repr::Shared(text))
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_text_that_just_fits() {
        assert_eq!(Text::cut("abcdef", 6).as_str(), "abcdef");
        assert_eq!(Text::from("abcdef").bounded(6).as_str(), "abcdef");
    }

    #[test]
    fn cuts_one_byte_too_many_and_says_so() {
        assert_eq!(Text::cut("abcdefg", 6).as_str(), "abc…");
        assert_eq!(Text::from("abcdefg").bounded(6).as_str(), "abc…");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(Text::cut("aäöü", 6).as_str(), "aä…");
        assert_eq!(Text::cut("ääöü", 6).as_str(), "ä…");
    }

    #[test]
    fn shares_what_it_was_given() {
        let shared: Arc<str> = Arc::from("acme");
        let text = Text::from(Arc::clone(&shared)).bounded(10);
        assert_eq!(text.as_str().as_ptr(), shared.as_ptr());
    }
}

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Text;

/// Longest kind of an actor, in bytes.
const MAX_KIND: usize = 32;
/// Longest id of an actor, in bytes: room for an e-mail address or a distinguished name's useful part.
const MAX_ID: usize = 256;

/// Who did it: a kind and an id, written `kind:id`.
///
/// ```
/// use keyward::audit::ActorRef;
///
/// let ana = ActorRef::user("ana");
/// assert_eq!(ana.to_string(), "user:ana");
/// assert_eq!((ana.kind(), ana.id()), ("user", "ana"));
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ActorRef(Text);

impl ActorRef {
    /// Returns the actor of that kind and id.
    ///
    /// In the kind, everything but `a-z`, `0-9`, `-` and `_` becomes `_`, so that the first colon always ends it.
    /// A kind longer than 32 bytes and an id longer than 256 are cut; a cut id ends in `…`.
    #[must_use]
    pub fn new(kind: &str, id: &str) -> Self {
        let kind: String = kind.chars().take(MAX_KIND).map(kind_char).collect();
        Self(Text::from(format!("{kind}:{}", Text::cut(id, MAX_ID))))
    }

    /// Returns a part of the application itself, such as `system:bootstrap`.
    #[must_use]
    pub fn system(id: &str) -> Self {
        Self::new("system", id)
    }

    /// Returns a person.
    #[must_use]
    pub fn user(id: &str) -> Self {
        Self::new("user", id)
    }

    /// Returns a key, by its id.
    #[must_use]
    pub fn key(id: &str) -> Self {
        Self::new("key", id)
    }

    /// Returns what stands before the colon.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.as_str().split_once(':').map_or("", |(kind, _)| kind)
    }

    /// Returns what stands after the colon.
    #[must_use]
    pub fn id(&self) -> &str {
        let text = self.0.as_str();
        text.split_once(':').map_or(text, |(_, id)| id)
    }

    /// Returns both, as `kind:id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// As it stands in records.
impl From<&crate::key::ActorRef> for ActorRef {
    fn from(actor: &crate::key::ActorRef) -> Self {
        let text = actor.as_str();
        let (kind, id) = text.split_once(':').unwrap_or(("system", text));
        Self::new(kind, id)
    }
}

const fn kind_char(c: char) -> char {
    match c {
        'a'..='z' | '0'..='9' | '-' | '_' => c,
        _ => '_',
    }
}

impl fmt::Display for ActorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_colons_in_the_id_and_not_in_the_kind() {
        let actor = ActorRef::new("svc:x", "a:b");
        assert_eq!((actor.kind(), actor.id()), ("svc_x", "a:b"));
    }

    #[test]
    fn bounds_both_parts() {
        let actor = ActorRef::new(&"k".repeat(1000), &"i".repeat(1000));
        assert_eq!((actor.kind().len(), actor.id().len()), (MAX_KIND, MAX_ID));
        assert!(actor.id().ends_with('…'));
    }
}

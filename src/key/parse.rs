use std::fmt;

use super::format::Shape;
use super::{
    Environment, HintTail, KeyFormat, KeyId, KeyKind, KeyParseError, KeyStyle, PUBLISHABLE,
    PresentedSecret, TagPolicy, TagStatus, base62, checksum,
};

/// A presented key in its parts, borrowed from where it arrived. Made by [`KeyFormat::parse`].
///
/// Its `Debug` shows the id, never the secret.
///
/// ```
/// use keyward::key::{KeyFormat, KeyStyle};
/// use keyward::random::OsRandom;
///
/// let format = KeyFormat::default();
/// let key = format.generate(&OsRandom::new())?;
///
/// let parsed = format.parse(key.plaintext().expose().as_bytes())?;
/// assert_eq!(parsed.id(), key.id());
/// assert_eq!(parsed.style(), KeyStyle::Standard);
/// assert_eq!(parsed.secret().expose().len(), 43);
/// assert!(parsed.secret().expose().ends_with(parsed.hint_tail().as_str().as_bytes()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct ParsedKey<'k> {
    whole: &'k [u8],
    secret: &'k [u8],
    id: KeyId,
    kind: KeyKind,
    hint_tail: HintTail,
    tag: TagStatus,
}

impl<'k> ParsedKey<'k> {
    /// Returns the public part.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the style of the key.
    #[must_use]
    pub fn style(&self) -> KeyStyle {
        self.id.style()
    }

    /// Returns the kind that the key's beginning claims.
    ///
    /// # Security
    ///
    /// A claim: anyone can write another beginning before the same body. What the key is, its record says, and the two
    /// must agree.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the private part.
    #[must_use]
    pub const fn secret(&self) -> PresentedSecret<'k> {
        PresentedSecret::new(self.secret)
    }

    /// Returns the last four characters of the secret.
    #[must_use]
    pub const fn hint_tail(&self) -> HintTail {
        self.hint_tail
    }

    /// Returns what was found out about the tag.
    #[must_use]
    pub const fn tag(&self) -> TagStatus {
        self.tag
    }

    /// Returns all of the key as it was presented, for digests that another system took of the whole.
    #[must_use]
    pub const fn whole(&self) -> &'k [u8] {
        self.whole
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedKey")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("style", &self.style())
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl KeyFormat {
    /// Reads a presented key.
    ///
    /// Checks in this order, the cheap first: length, prefix, kind and environment, style, alphabet, checksum, tag. Nothing is
    /// trimmed and no case is folded. Allocates nothing and never panics, whatever the bytes.
    ///
    /// # Errors
    ///
    /// [`KeyParseError`] tells the first check that failed.
    ///
    /// # Security
    ///
    /// A parsed key is a well-formed one and no more. Without a tag anyone can invent it.
    pub fn parse<'k>(&self, presented: &'k [u8]) -> Result<ParsedKey<'k>, KeyParseError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&presented.len()) {
            return Err(KeyParseError::Length);
        }
        let Some((kind, body)) = self.leads().strip(presented) else {
            return Err(foreign(self, presented));
        };
        let shape = Shape::of_len(body.len()).ok_or(KeyParseError::Length)?;
        if !self.accepts(shape.style()) {
            return Err(KeyParseError::Style);
        }
        if !base62::is_text(body) {
            return Err(KeyParseError::Character);
        }
        let tag = match shape {
            Shape::Compact => TagStatus::Absent,
            Shape::Standard | Shape::Tagged => check_tail(self.tags(), presented, shape)?,
        };
        let parts = split(body, shape.style()).ok_or(KeyParseError::Length)?;
        Ok(ParsedKey {
            whole: presented,
            secret: parts.secret,
            id: parts.id,
            kind,
            hint_tail: parts.hint_tail,
            tag,
        })
    }
}

/// Checks what stands behind the secret: the checksum over all before it, then the tag over all before that.
fn check_tail(
    policy: &TagPolicy,
    presented: &[u8],
    shape: Shape,
) -> Result<TagStatus, KeyParseError> {
    let (covered, sum) = presented.split_last_chunk().ok_or(KeyParseError::Length)?;
    if checksum::of(covered) != *sum {
        return Err(KeyParseError::Checksum);
    }
    match shape {
        Shape::Tagged => check_tag(policy, covered),
        Shape::Standard if matches!(policy, TagPolicy::Required(_)) => {
            Err(KeyParseError::TagMissing)
        }
        Shape::Standard | Shape::Compact => Ok(TagStatus::Absent),
    }
}

fn check_tag(policy: &TagPolicy, tagged: &[u8]) -> Result<TagStatus, KeyParseError> {
    match policy {
        TagPolicy::Off => Err(KeyParseError::TagUnexpected),
        TagPolicy::Ignored => Ok(TagStatus::Unchecked),
        TagPolicy::Required(ring) | TagPolicy::Optional(ring) => {
            let (text, tag) = tagged.split_last_chunk().ok_or(KeyParseError::Length)?;
            ring.check(text, *tag).ok_or(KeyParseError::Tag)
        }
    }
}

/// What stands in a body besides its tail.
struct Parts<'k> {
    id: KeyId,
    secret: &'k [u8],
    hint_tail: HintTail,
}

fn split(body: &[u8], style: KeyStyle) -> Option<Parts<'_>> {
    let (id, rest) = body.split_at_checked(style.id_len())?;
    let secret = rest.get(..style.secret_len())?;
    Some(Parts {
        id: KeyId::known(id)?,
        secret,
        hint_tail: HintTail::known(*secret.last_chunk()?),
    })
}

/// Tells a key of another environment from everything else that does not begin like our keys.
#[cold]
fn foreign(format: &KeyFormat, presented: &[u8]) -> KeyParseError {
    let rest = presented
        .strip_prefix(format.prefix().as_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b"_"));
    if rest.is_some_and(|rest| is_of_other_environment(format, rest)) {
        KeyParseError::WrongEnvironment
    } else {
        KeyParseError::Prefix
    }
}

fn is_of_other_environment(format: &KeyFormat, rest: &[u8]) -> bool {
    let published = rest
        .strip_prefix(PUBLISHABLE.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"_"))
        .filter(|_| format.accepts_kind(KeyKind::Publishable));
    is_environment_and_body(rest) || published.is_some_and(is_environment_and_body)
}

/// The body has no underscore, so the last one ends the environment, whatever the prefix holds.
fn is_environment_and_body(rest: &[u8]) -> bool {
    let mut parts = rest.rsplitn(2, |byte| *byte == b'_');
    let (Some(body), Some(environment)) = (parts.next(), parts.next()) else {
        return false;
    };
    Environment::is_name(environment)
        && Shape::of_len(body.len()).is_some()
        && base62::is_text(body)
}

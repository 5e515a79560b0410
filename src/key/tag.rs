use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{TagKeyError, base62};

/// How many characters a tag has.
pub(super) const LEN: usize = 6;

/// A key that marks the keys made here, so that invented ones are refused before the store is asked.
///
/// At least 32 bytes of randomness, kept as a prepared HMAC-SHA-256 state that is wiped on drop. Every process that
/// verifies needs the same one.
///
/// # Security
///
/// A tag is a sieve against floods, not proof of anything: six characters are 35.7 bits, and the secret behind them is
/// still checked. Losing a tag key reopens the flood, nothing else.
pub struct TagKey(Hmac<Sha256>);

impl TagKey {
    /// The fewest bytes of key material: the size of the digest (RFC 2104, section 3).
    pub const MIN_LEN: usize = 32;

    /// Takes key material, which the caller should then wipe.
    ///
    /// # Errors
    ///
    /// [`TagKeyError`] when it is shorter than [`TagKey::MIN_LEN`].
    pub fn new(material: &[u8]) -> Result<Self, TagKeyError> {
        if material.len() < Self::MIN_LEN {
            return Err(TagKeyError::new());
        }
        Hmac::new_from_slice(material)
            .map(Self)
            .map_err(|_| TagKeyError::new())
    }

    /// Returns the tag of a text: the first six symbols that the MAC's bytes draw.
    ///
    /// Bytes from 248 on draw none, exactly as in a secret, so tags are uniform. The 32 bytes yield fewer than six
    /// symbols once in 2^117 texts; the missing ones are then `0`.
    fn tag(&self, text: &[u8]) -> [u8; LEN] {
        let mac = self.0.clone().chain_update(text).finalize().into_bytes();
        let mut tag = [b'0'; LEN];
        for (place, symbol) in tag.iter_mut().zip(mac.into_iter().filter_map(base62::draw)) {
            *place = symbol;
        }
        tag
    }

    fn fits(&self, text: &[u8], tag: [u8; LEN]) -> bool {
        self.tag(text).ct_eq(&tag).into()
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey([redacted])")
    }
}

/// The tag keys in use: one that signs, and those of before, whose tags are still known.
///
/// To change the tag key: deploy the new one as retired everywhere, then swap the two, and drop the old one when no
/// key that it signed is left. Each retired key adds an HMAC to the cost of refusing a forgery, so keep few.
///
/// ```
/// use keyward::key::{KeyFormat, TagKey, TagPolicy, TagRing};
///
/// let ring = TagRing::new(TagKey::new(&[7; 32])?).with_retired(TagKey::new(&[6; 32])?);
/// let format = KeyFormat::builder().tags(TagPolicy::Required(ring)).build();
/// assert!(format.is_ok());
/// # Ok::<(), keyward::key::TagKeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TagRing {
    current: Arc<TagKey>,
    retired: Vec<Arc<TagKey>>,
}

impl TagRing {
    /// Returns a ring of one key, which signs.
    #[must_use]
    pub fn new(current: TagKey) -> Self {
        Self {
            current: Arc::new(current),
            retired: Vec::new(),
        }
    }

    /// Adds a key that no longer signs but whose tags are accepted.
    #[must_use]
    pub fn with_retired(mut self, key: TagKey) -> Self {
        self.retired.push(Arc::new(key));
        self
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; LEN] {
        self.current.tag(text)
    }

    /// Returns whose tag it is, or nothing when it is nobody's.
    pub(super) fn check(&self, text: &[u8], tag: [u8; LEN]) -> Option<TagStatus> {
        if self.current.fits(text, tag) {
            return Some(TagStatus::Current);
        }
        self.retired
            .iter()
            .any(|key| key.fits(text, tag))
            .then_some(TagStatus::Retired)
    }
}

/// What a [`KeyFormat`](super::KeyFormat) does about tags.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum TagPolicy {
    /// New keys carry none; keys that carry one are refused.
    #[default]
    Off,
    /// New keys carry one; keys without one, or with a wrong one, are refused.
    Required(TagRing),
    /// New keys carry one; a wrong one is refused, but keys without one pass: for the time after tags were introduced,
    /// while older keys are still about.
    Optional(TagRing),
    /// New keys carry none; keys that carry one pass whatever it is: the way back when tags are given up or the tag key
    /// is lost.
    Ignored,
}

/// What was found out about the tag of a key that was accepted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TagStatus {
    /// It has none.
    Absent,
    /// The tag key that signs new keys made it.
    Current,
    /// A retired tag key made it.
    Retired,
    /// It has one that nobody looked at.
    Unchecked,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> TagKey {
        TagKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn demands_32_bytes_of_key() {
        assert!(TagKey::new(&[1; 31]).is_err());
        assert!(TagKey::new(&[1; 32]).is_ok());
        assert!(TagKey::new(&[1; 200]).is_ok());
    }

    #[test]
    fn knows_current_from_retired_from_foreign() {
        let ring = TagRing::new(key(1))
            .with_retired(key(2))
            .with_retired(key(3));
        let check = |byte| ring.check(b"text", key(byte).tag(b"text"));
        assert_eq!(check(1), Some(TagStatus::Current));
        assert_eq!(check(2), Some(TagStatus::Retired));
        assert_eq!(check(3), Some(TagStatus::Retired));
        assert_eq!(check(4), None);
    }

    #[test]
    fn signs_with_the_current_key() {
        let ring = TagRing::new(key(1)).with_retired(key(2));
        assert_eq!(ring.sign(b"text"), key(1).tag(b"text"));
    }

    #[test]
    fn ties_the_tag_to_the_text() {
        let ring = TagRing::new(key(1));
        let tag = ring.sign(b"text");
        assert_eq!(ring.check(b"texu", tag), None);
    }
}

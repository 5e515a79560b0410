use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::hash::encoding::{from_hex, hex_into};

/// The type byte of an Ed25519 key in the formats of `signed-note`.
pub(super) const ED25519: u8 = 1;
/// Longest name of a key, in bytes: as long as a host name may be.
const LONGEST_NAME: usize = 253;

/// The public half of a [`SealKey`](super::SealKey): what a trail's checkpoints are verified with.
///
/// Its text form is that of C2SP `signed-note`, `name+hash+key`, which other tools read as well. It is no secret, but
/// whoever can replace it where it is used can replace the trail: keep it with the verifier, not with the trail.
///
/// ```
/// use keyward::audit::VerifierKey;
///
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: VerifierKey = text.parse()?;
/// assert_eq!(key.name(), "PeterNeumann");
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), keyward::audit::SealKeyError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// Why a text is no key, or a key cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealKeyError {
    /// The name is empty, longer than 253 bytes, or holds white space, a control character or a `+`.
    #[error("not a name for a key")]
    Name,

    /// It does not have the form of such a key.
    #[error("not a key in the form of `signed-note`")]
    Malformed,

    /// It is not an Ed25519 key.
    #[error("not an Ed25519 key")]
    Algorithm,

    /// The hash in the text is that of another name or another key.
    #[error("the hash of the key does not fit the key")]
    Hash,

    /// The source of randomness failed.
    #[error("no key could be made")]
    Random(#[from] crate::random::RandomError),
}

impl VerifierKey {
    pub(super) fn new(name: &str, key: VerifyingKey) -> Result<Self, SealKeyError> {
        if !is_name(name) {
            return Err(SealKeyError::Name);
        }
        let id = key_id(name, key.as_bytes());
        let name = name.to_owned();
        Ok(Self { name, id, key })
    }

    /// Returns the name, which is also the first line of every checkpoint.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Says whether the signature is this key's over the text.
    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        // SECURITY: strict, so that no second signature of the same text passes and no key of small order does.
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }

    pub(super) fn hash_text(&self) -> String {
        let mut digits = [0; 8];
        hex_into(&self.id, &mut digits);
        digits.iter().map(|digit| char::from(*digit)).collect()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519], self.key.as_bytes().as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, self.hash_text())
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = SealKeyError;

    fn from_str(text: &str) -> Result<Self, SealKeyError> {
        let parts = Parts::of(text)?;
        let key = VerifyingKey::from_bytes(&parts.key).map_err(|_| SealKeyError::Malformed)?;
        let key = Self::new(parts.name, key)?;
        parts.check(&key)?;
        Ok(key)
    }
}

/// The three parts that both text forms end in. The key may be a secret: it is wiped by whoever takes it.
pub(super) struct Parts<'t> {
    pub(super) name: &'t str,
    hash: &'t str,
    pub(super) key: [u8; 32],
}

impl<'t> Parts<'t> {
    pub(super) fn of(text: &'t str) -> Result<Self, SealKeyError> {
        // The key may hold a `+` of its own.
        let mut parts = text.splitn(3, '+');
        let mut next = || parts.next().ok_or(SealKeyError::Malformed);
        let (name, hash, key) = (next()?, next()?, next()?);
        let mut bytes = zeroize::Zeroizing::new([0; 33]);
        let read = STANDARD.decode_slice(key, bytes.as_mut_slice());
        match (read, bytes.split_first()) {
            (Ok(33), Some((&ED25519, key))) => Ok(Self {
                name,
                hash,
                key: key.try_into().map_err(|_| SealKeyError::Malformed)?,
            }),
            (Ok(33), Some(_)) => Err(SealKeyError::Algorithm),
            _ => Err(SealKeyError::Malformed),
        }
    }

    /// The hash ties name and key together, and is written in one way.
    pub(super) fn check(&self, key: &VerifierKey) -> Result<(), SealKeyError> {
        from_hex::<4>(self.hash).ok_or(SealKeyError::Malformed)?;
        if self.hash == key.hash_text() {
            Ok(())
        } else {
            Err(SealKeyError::Hash)
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(allowed)
}

fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key)
        .finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    [a, b, c, d]
}

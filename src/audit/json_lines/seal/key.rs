use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::verifier_key::{ED25519, Parts, SealKeyError, VerifierKey};
use crate::random::SecureRandom;

/// What the text form of a secret key begins with.
const PREFIX: &str = "PRIVATE+KEY+";

/// The secret Ed25519 key that a trail is sealed with, and its name.
///
/// The name is also the *origin* of the checkpoints: it says which trail they are of. Give each trail its own, in the form of
/// an address without scheme, such as `example.com/audit/eu-1`. `Debug` shows the public half, and the secret is wiped on drop.
///
/// # Security
///
/// Who has this key can make checkpoints of any history. It has to be in the process that writes the trail; checkpoints that
/// left the machine before somebody took it over cannot be changed with it any more.
///
/// ```
/// use keyward::audit::SealKey;
/// use keyward::random::OsRandom;
///
/// let key = SealKey::generate("example.com/audit", &OsRandom::new())?;
/// let kept: SealKey = key.expose().parse()?; // from a vault, say
/// assert_eq!(kept.verifier(), key.verifier());
/// # Ok::<(), keyward::audit::SealKeyError>(())
/// ```
pub struct SealKey {
    secret: SigningKey,
    text: Zeroizing<String>,
    verifier: VerifierKey,
}

impl SealKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// * [`SealKeyError::Name`]: not a name for a key.
    /// * [`SealKeyError::Random`]: the source of randomness failed.
    pub fn generate(name: &str, random: &dyn SecureRandom) -> Result<Self, SealKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice())?;
        Self::from_seed(name, &seed)
    }

    /// Returns the key of a seed, the 32 bytes that RFC 8032 calls the private key. They must be random.
    ///
    /// # Errors
    ///
    /// * [`SealKeyError::Name`]: not a name for a key.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SealKeyError> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, secret.verifying_key())?;
        let mut bytes = Zeroizing::new([ED25519; 33]);
        for (to, from) in bytes.iter_mut().skip(1).zip(seed) {
            *to = *from;
        }
        let seed = Zeroizing::new(STANDARD.encode(bytes.as_slice()));
        let hash = verifier.hash_text();
        // All of it at once: a text that grows leaves pieces of itself behind.
        let mut text = Zeroizing::new(String::with_capacity(
            PREFIX.len().saturating_add(name.len()).saturating_add(64),
        ));
        for part in [PREFIX, name, "+", &hash, "+", &seed] {
            text.push_str(part);
        }
        Ok(Self {
            secret,
            text,
            verifier,
        })
    }

    /// Returns the text form, `PRIVATE+KEY+name+hash+key` as other tools for `signed-note` write it, to be kept where
    /// secrets are kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &str) -> [u8; 64] {
        self.secret.sign(text.as_bytes()).to_bytes()
    }
}

impl FromStr for SealKey {
    type Err = SealKeyError;

    fn from_str(text: &str) -> Result<Self, SealKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(SealKeyError::Malformed)?;
        let parts = Parts::of(rest)?;
        let seed = Zeroizing::new(parts.key);
        let key = Self::from_seed(parts.name, &seed)?;
        parts.check(&key.verifier)?;
        Ok(key)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

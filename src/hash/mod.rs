//! From a presented secret to a yes or no: slow hashes, keyed digests, proofs and the pool that runs the slow ones.
//!
//! * [`Hashing`] is the entrance: it makes a [`DigestText`] from a secret, judges a secret against a stored one, and
//!   says when a stored one should be replaced. It puts the schemes side by side: [`Bcrypt`] (the default),
//!   [`Argon2id`], [`KeyedDigest`], and whatever implements [`KeyHasher`].
//! * [`PepperRing`] holds the keys that do not live in the store.
//! * [`ProofMemory`] remembers, for as long as the process lives, that a secret has passed the slow hash.
//! * [`HashPool`] runs the slow hashes on threads of its own, [`SingleFlight`] runs equal ones once.
//!
//! Nothing here knows records, stores or time: a caller hands in a key id, a secret and a stored text. The whole
//! picture, with the bounds and the reasons for them, is in `docs/hashing.md`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::random::SecureRandom;

mod argon2id;
mod bcrypt;
pub(crate) mod encoding;
mod error;
#[cfg(all(test, keyward_shuttle))]
mod explore;
mod hashing;
mod keyed;
mod keyed_text;
pub(crate) mod mac;
mod memory;
mod pepper;
mod pool;
mod proof;
mod row_binding;
mod text;

pub use self::argon2id::{Argon2id, Argon2idBuilder, DangerousArgon2idBuilder};
pub use self::bcrypt::{Bcrypt, BcryptBuilder, DangerousBcryptBuilder};
pub use self::error::{HashBuildError, HashError};
pub use self::hashing::{Hashing, HashingBuilder};
pub use self::keyed::KeyedDigest;
#[cfg(feature = "postgres")]
pub(crate) use self::mac::sha256;
pub use self::memory::{ProofMemory, ProofMemoryStats, ProofTag, Remembered};
pub use self::pepper::{PepperRing, PepperRingBuilder};
pub use self::pool::{
    Exclusive, HashJob, HashPool, HashPoolBuilder, HashPoolStats, Lane, Overloaded, PoolError,
    SingleFlight,
};
pub use self::proof::{ShortCheck, StoredProof};
pub use self::row_binding::RowBinding;
pub use self::text::DigestText;

/// A scheme that turns a secret into a stored text and judges secrets against it.
///
/// Implement it to add a scheme of your own; [`Hashing`] then chooses between schemes by asking each what it
/// [`accepts`](KeyHasher::accepts). The first accepted text starts with `$`, the scheme's name and `$`, is visible
/// ASCII of at most 400 bytes, and does not start with `$pepper` or `$import`, which [`Hashing`] uses itself.
///
/// An implementation:
///
/// * answers `accepts` and `is_current` by reading the text, without hashing;
/// * bounds the cost it accepts from a stored text in both directions: the text may come from a tampered store;
/// * compares in constant time, and never panics whatever the text says;
/// * keeps the secret out of the text, its errors and its `Debug`.
pub trait KeyHasher: fmt::Debug + Send + Sync + 'static {
    /// Returns the scheme's name, unique among the schemes of one [`Hashing`].
    fn scheme(&self) -> &str;

    /// Returns how dear a computation is. A [`Plan::Slow`] hash runs on the [`HashPool`].
    fn cost(&self) -> Plan;

    /// Returns whether this scheme would compute the stored text.
    ///
    /// # Errors
    ///
    /// * [`HashError::UnknownScheme`] when the text belongs to another scheme;
    /// * [`HashError::CostOutOfBounds`], [`HashError::Malformed`] or [`HashError::PepperMissing`] when it belongs to
    ///   this one and is refused.
    fn accepts(&self, text: &str) -> Result<(), HashError>;

    /// Returns whether a text made now would be no stronger than this one. A dearer one is never replaced by a cheaper.
    fn is_current(&self, text: &str) -> bool;

    /// Makes the text to store.
    ///
    /// # Errors
    ///
    /// [`HashError::UnsuitableSecret`] when the scheme cannot take the secret, and what the computation may meet.
    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError>;

    /// Returns whether the stored text was made from this secret.
    ///
    /// # Errors
    ///
    /// What [`accepts`](KeyHasher::accepts) refuses is refused here too, before anything is computed.
    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError>;
}

const _: Option<&dyn KeyHasher> = None;

#[deny(
    clippy::missing_trait_methods,
    reason = "a forwarding impl must forward everything"
)]
impl<H: KeyHasher + ?Sized> KeyHasher for Arc<H> {
    fn scheme(&self) -> &str {
        (**self).scheme()
    }

    fn cost(&self) -> Plan {
        (**self).cost()
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        (**self).accepts(text)
    }

    fn is_current(&self, text: &str) -> bool {
        (**self).is_current(text)
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        (**self).hash(input, random)
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        (**self).verify(input, text)
    }
}

/// What a [`KeyHasher`] hashes. `Debug` shows the key id only.
#[derive(Clone, Copy)]
pub struct HashInput<'a> {
    key_id: &'a str,
    secret: &'a [u8],
}

impl<'a> HashInput<'a> {
    /// Returns the input for one key.
    #[must_use]
    pub const fn new(key_id: &'a str, secret: &'a [u8]) -> Self {
        Self { key_id, secret }
    }

    /// Returns the public id. A keyed scheme binds it in; a salted one need not.
    #[must_use]
    pub const fn key_id(self) -> &'a str {
        self.key_id
    }

    /// Returns the secret, or under a pepper 64 hex digits that stand for id and secret.
    #[must_use]
    pub const fn secret(self) -> &'a [u8] {
        self.secret
    }
}

impl fmt::Debug for HashInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashInput")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// What judging a stored digest will cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are two places to run a hash: here, or on the pool"
)]
pub enum Plan {
    /// Microseconds: compute it where you stand.
    Fast,
    /// Milliseconds to a third of a second of one core: hand it to the [`HashPool`].
    Slow,
}

/// Where a secret comes from, which decides how it may be kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a secret is known to be strong, or it is not"
)]
pub enum SecretOrigin {
    /// Drawn by this crate, with 128 bits or more: nobody guesses it, however fast the digest.
    Generated,
    /// Chosen by someone else and perhaps guessable: slow schemes only, no proofs, no short check.
    Imported,
}

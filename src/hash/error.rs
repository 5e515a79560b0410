use std::sync::Arc;

use crate::error::BoxError;
use crate::random::RandomError;

/// Why a digest could not be made or judged.
///
/// A wrong secret is not an error: [`Hashing::verify`](super::Hashing::verify) answers `Ok(false)`. No message and no
/// `Debug` output holds a secret, a digest or a pepper.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The stored text asks for more, or offers less, work than the hasher's bounds allow. It was not computed.
    #[error("the stored digest's cost lies outside the accepted bounds")]
    CostOutOfBounds,
    /// A hasher from outside the crate failed.
    #[error("the hasher failed")]
    Hasher(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The stored text fits no known grammar.
    #[error("the stored digest is malformed")]
    Malformed,
    /// The memory that the scheme asks for could not be had.
    #[error("no memory for the hash")]
    OutOfMemory,
    /// The stored text was made under a pepper that the ring does not hold.
    #[error("pepper version {version} is not configured")]
    PepperMissing {
        /// The version that the text names.
        version: u32,
    },
    /// No salt could be drawn.
    #[error("no salt could be drawn")]
    Random(#[from] RandomError),
    /// An imported secret may be guessable, so only a slow scheme may hold it; none is configured.
    #[error("an imported secret needs a slow scheme and none is configured")]
    SlowSchemeNeeded,
    /// The stored text names a scheme that is not accepted here.
    #[error("the stored digest names a scheme that is not accepted")]
    UnknownScheme,
    /// The secret cannot be hashed under the scheme: empty, or for bcrypt longer than 72 bytes or with a zero byte.
    #[error("the secret cannot be hashed under the preferred scheme")]
    UnsuitableSecret,
}

impl HashError {
    /// Wraps the failure of a hasher that lives outside this crate.
    #[must_use]
    pub fn hasher(cause: impl Into<BoxError>) -> Self {
        Self::Hasher(cause.into().into())
    }

    /// Returns whether the stored digest itself is at fault, so that no secret can ever match it.
    ///
    /// Such a key is refused like one with a wrong secret, and the fault belongs into a log. Everything else is this
    /// process's trouble (no memory, no randomness, a pepper that was not configured): the key may be fine, the answer
    /// is "try later", not "invalid".
    ///
    /// ```
    /// use keyward::hash::{DigestText, Hashing};
    ///
    /// let costly = DigestText::new("$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC");
    /// let error = Hashing::default().plan(&costly).unwrap_err();
    /// assert!(error.is_digest_fault());
    /// ```
    #[must_use]
    pub const fn is_digest_fault(&self) -> bool {
        matches!(
            self,
            Self::CostOutOfBounds | Self::Malformed | Self::UnknownScheme
        )
    }
}

/// Why the hashing set-up was refused. All of these are mistakes in configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HashBuildError {
    /// The range of accepted costs is empty, or reaches beyond what the scheme may be asked for.
    #[error("the range of accepted costs is empty or too wide")]
    BoundsUnusable,
    /// The cost of new digests lies outside what would be accepted later, or below what is safe.
    #[error("the cost for new digests is too low or outside the accepted range")]
    CostUnusable,
    /// The version that is to be current has no pepper.
    #[error("no pepper of version {version} was given")]
    CurrentPepperMissing {
        /// The version that was named as current.
        version: u32,
    },
    /// Two peppers carry one version, or two versions one pepper.
    #[error("pepper version {version} is a duplicate")]
    DuplicatePepper {
        /// The later of the two.
        version: u32,
    },
    /// A version that a ring holds, or has held, is to become another pepper. Versions are never used twice.
    #[error("pepper version {version} is another pepper than before")]
    PepperChanged {
        /// The version.
        version: u32,
    },
    /// A ring without a pepper.
    #[error("a pepper ring needs at least one pepper")]
    NoPepper,
    /// A scheme's name is not made of lower-case letters, digits and hyphens, or begins like a form of the crate's own.
    #[error("the name of a scheme is unusable")]
    SchemeName,
    /// A pepper is shorter than 32 bytes, or repeats itself. Draw 32 random bytes.
    #[error("pepper version {version} is weak: give at least 32 random bytes")]
    WeakPepper {
        /// The version of the weak one.
        version: u32,
    },
    /// Versions start at 1.
    #[error("pepper versions start at 1")]
    ZeroVersion,
}

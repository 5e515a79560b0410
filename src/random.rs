//! Randomness as the crate sees it: bytes from a source that can be replaced in tests.

use std::fmt;
use std::sync::Arc;

/// Fills buffers with bytes fit for secrets.
///
/// # Security
///
/// Everything secret in the crate comes from here. An implementation other than [`OsRandom`] belongs in tests only.
pub trait SecureRandom: fmt::Debug + Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source failed; the buffer's content is then meaningless and must not be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError>;
}

impl<R: SecureRandom + ?Sized> SecureRandom for Arc<R> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        (**self).fill(buffer)
    }
}

/// The source of randomness failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the source of randomness failed")]
#[non_exhaustive]
pub struct RandomError;

impl RandomError {
    /// Returns the error, for sources outside this crate.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Default for RandomError {
    fn default() -> Self {
        Self::new()
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OsRandom;

impl OsRandom {
    /// Returns the operating system's generator.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl SecureRandom for OsRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(buffer).map_err(|_| RandomError)
    }
}

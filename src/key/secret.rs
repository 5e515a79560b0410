use std::fmt;

use zeroize::Zeroizing;

/// The whole key in plain text, as it is handed to its holder: once.
///
/// There is no `Display`, `Clone`, `PartialEq` or serde form, `Debug` shows nothing, the memory is wiped on drop, and
/// [`expose`](SecretKey::expose) is the only door. A lost key cannot be shown again, only rotated.
///
/// ```
/// use keyward::key::KeyFormat;
/// use keyward::random::OsRandom;
///
/// let key = KeyFormat::default().generate(&OsRandom::new())?.into_plaintext();
/// assert_eq!(format!("{key:?}"), "SecretKey([redacted])");
/// assert!(key.expose().starts_with("pm_live_"));
/// # Ok::<(), keyward::key::GenerateError>(())
/// ```
///
/// # Security
///
/// What `expose` returns is the caller's to protect: send it to the holder and keep no copy.
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    pub(super) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    #[cfg(test)]
    pub(super) fn spare_room(&self) -> usize {
        self.0.capacity() - self.0.len()
    }

    /// Returns the plain text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}

/// A secret as somebody presented it, borrowed from where it arrived.
///
/// No comparison: a secret is checked through a digest or a proof, in constant time. `Debug` shows nothing.
///
/// ```
/// use keyward::key::PresentedSecret;
///
/// let secret = PresentedSecret::new(b"correct horse battery staple");
/// assert_eq!(format!("{secret:?}"), "PresentedSecret([redacted])");
/// assert_eq!(secret.expose().len(), 28);
/// ```
#[derive(Clone, Copy)]
pub struct PresentedSecret<'k>(&'k [u8]);

impl<'k> PresentedSecret<'k> {
    /// Wraps bytes so that no log can show them.
    #[must_use]
    pub const fn new(secret: &'k [u8]) -> Self {
        Self(secret)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn expose(self) -> &'k [u8] {
        self.0
    }
}

impl fmt::Debug for PresentedSecret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedSecret([redacted])")
    }
}

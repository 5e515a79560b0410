use std::fmt::{self, Write as _};

use zeroize::Zeroizing;

use super::label::Label;
use super::seed::Seed;
use super::{TotpAlgorithm, TotpDigits, TotpFactor};

/// A new seed, to be shown to its owner once, as a QR code of the URI or as text. It counts for nothing until a first
/// code [confirms](super::Enrolments::confirm) that it has arrived.
///
/// There is no `Display` and no `Clone`, `Debug` shows nothing, and the memory is wiped on drop.
#[must_use = "the seed exists in plain text only here"]
pub struct Enrolment {
    secret: Zeroizing<String>,
    uri: Zeroizing<String>,
}

impl Enrolment {
    pub(super) fn new(
        seed: &Seed,
        (algorithm, digits): (TotpAlgorithm, TotpDigits),
        issuer: &Label,
        account: &Label,
    ) -> Self {
        let secret = seed.to_base32();
        // With room for all of it, so that no copy of the seed is left behind by a growing buffer.
        let mut uri = Zeroizing::new(String::with_capacity(LONGEST));
        let (issuer, account) = (issuer.in_uris(), account.in_uris());
        let written = write!(
            uri,
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm={}&digits={}&period={}",
            secret.as_str(),
            algorithm.in_uris(),
            digits.count(),
            TotpFactor::PERIOD.as_secs(),
        );
        debug_assert!(written.is_ok(), "a string takes everything");
        Self { secret, uri }
    }

    /// Returns the `otpauth://` URI, which apps read from a QR code.
    #[must_use]
    pub fn expose_uri(&self) -> &str {
        &self.uri
    }

    /// Returns the seed in base 32, for apps into which it is typed.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }
}

/// Two issuers and an account of 128 bytes, each byte of which may take three; a seed of 103 characters; the rest.
const LONGEST: usize = 3 * 3 * 128 + 103 + 128;

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment([redacted])")
    }
}

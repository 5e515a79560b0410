use std::fmt;

use zeroize::Zeroizing;

use super::{TotpAlgorithm, TotpDigits, TotpFactor};
use crate::random::{RandomError, SecureRandom};

/// Room for the longest seed.
const ROOM: usize = 64;

/// What the app and we have in common. In place, so that no copy is left behind when it moves between buffers of the
/// heap; wiped on drop.
#[derive(Clone)]
pub(super) struct Seed {
    bytes: Zeroizing<[u8; ROOM]>,
    len: usize,
}

impl Seed {
    pub(super) fn draw(
        algorithm: TotpAlgorithm,
        random: &dyn SecureRandom,
    ) -> Result<Self, RandomError> {
        let mut seed = Self {
            bytes: Zeroizing::new([0; ROOM]),
            len: algorithm.seed_bytes(),
        };
        random.fill(seed.bytes.as_mut_slice().split_at_mut(seed.len).0)?;
        Ok(seed)
    }

    /// Returns nothing for bytes that are no seed.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut seed = Self {
            bytes: Zeroizing::new([0; ROOM]),
            len: bytes.len(),
        };
        seed.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        (!bytes.is_empty()).then_some(seed)
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(self.arithmetic_secret().to_base32())
    }

    fn arithmetic_secret(&self) -> totp_rs::Secret {
        totp_rs::Secret::new(self.expose().into())
    }

    /// Returns the arithmetic of RFC 6238 over this seed, for one step at a time.
    pub(super) fn codes(&self, algorithm: TotpAlgorithm, digits: TotpDigits) -> Codes {
        let totp = totp_rs::Builder::new()
            .with_secret(self.arithmetic_secret())
            .with_algorithm(algorithm.arithmetic())
            .with_digits(digits.count())
            .with_step_duration(TotpFactor::PERIOD.as_secs())
            .with_skew(0);
        // Digits and period are in bounds by their types, and the vectors of the RFC hold for every seed length.
        Codes(totp.build_noncompliant())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed([redacted])")
    }
}

/// The codes of one seed. Wiped on drop.
pub(super) struct Codes(totp_rs::Totp);

impl Codes {
    /// Compares in constant time.
    pub(super) fn is_of(&self, step: u64, code: &str) -> bool {
        let begin = step.saturating_mul(TotpFactor::PERIOD.as_secs());
        self.0.check(code, begin).is_some()
    }
}

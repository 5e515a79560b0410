use std::ops::RangeInclusive;
use std::str::FromStr;

use ::bcrypt::HashParts;

use super::{DigestText, HashBuildError, HashError, HashInput, KeyHasher, Plan};
use crate::random::SecureRandom;

/// bcrypt, work factor 12 unless told otherwise.
///
/// * Makes `$2b$`; also verifies `$2a$` and `$2y$`, which differ in name only. `$2x$` marks a broken implementation
///   and is refused.
/// * Accepts stored work factors 10 to 14 by default: OWASP's password storage sheet asks for at least 10, and each
///   step doubles the 0.3 s of a 12, so that 14 is the most a request should ever buy.
/// * Takes 1 to 72 bytes without a zero byte. bcrypt silently drops what follows byte 72 and repeats its input
///   cyclically after a zero byte (`ab` and `ab\0ab` hash alike), so anything else is refused instead of accepted
///   for something it is not: an error when hashing, `false` when verifying.
///
/// ```
/// use keyward::hash::{Bcrypt, HashInput, KeyHasher};
/// use keyward::random::OsRandom;
///
/// # fn main() -> Result<(), keyward::hash::HashError> {
/// let bcrypt = Bcrypt::default();
/// let text = bcrypt.hash(HashInput::new("id", b"secret"), &OsRandom::new())?;
/// assert!(text.as_str().starts_with("$2b$12$"));
/// assert!(bcrypt.verify(HashInput::new("id", b"secret"), text.as_str())?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bcrypt {
    cost: u32,
    lowest: u32,
    highest: u32,
}

impl Bcrypt {
    /// Starts from the defaults: makes 12, accepts 10 to 14.
    pub fn builder() -> BcryptBuilder {
        BcryptBuilder {
            cost: 12,
            accepted: 10..=14,
            floor: SAFE_FLOOR,
        }
    }

    fn read(&self, text: &str) -> Result<HashParts, HashError> {
        let [b'$', b'2', kind, b'$', tens, ones, b'$', ..] = text.as_bytes() else {
            return Err(foreign_or_malformed(text));
        };
        if !matches!(kind, b'a' | b'b' | b'y') {
            return Err(HashError::UnknownScheme);
        }
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return Err(HashError::Malformed);
        }
        let parts = HashParts::from_str(text).map_err(|_| HashError::Malformed)?;
        if (self.lowest..=self.highest).contains(&parts.get_cost()) {
            Ok(parts)
        } else {
            Err(HashError::CostOutOfBounds)
        }
    }
}

fn foreign_or_malformed(text: &str) -> HashError {
    if ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|kind| text.starts_with(kind))
    {
        HashError::Malformed
    } else {
        HashError::UnknownScheme
    }
}

/// Whether bcrypt sees every byte of the input, and nothing else hashes alike.
fn suitable(secret: &[u8]) -> bool {
    (1..=LONGEST).contains(&secret.len()) && !secret.contains(&0)
}

/// Work factor 12; accepts 10 to 14.
impl Default for Bcrypt {
    fn default() -> Self {
        Self {
            cost: 12,
            lowest: 10,
            highest: 14,
        }
    }
}

impl KeyHasher for Bcrypt {
    fn scheme(&self) -> &'static str {
        "bcrypt"
    }

    fn cost(&self) -> Plan {
        Plan::Slow
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        self.read(text).map(|_| ())
    }

    fn is_current(&self, text: &str) -> bool {
        // A dearer digest is never replaced by a cheaper one: lowering the setting is for new keys.
        text.starts_with("$2b$") && self.read(text).is_ok_and(|it| it.get_cost() >= self.cost)
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        if !suitable(input.secret()) {
            return Err(HashError::UnsuitableSecret);
        }
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        // Not the crate's `non_truncating` twin: that one refuses byte 72 itself, which bcrypt does take in.
        ::bcrypt::hash_with_salt(input.secret(), self.cost, salt)
            .map(|parts| DigestText::new(parts.to_string()))
            .map_err(HashError::hasher)
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        self.accepts(text)?;
        if !suitable(input.secret()) {
            return Ok(false);
        }
        ::bcrypt::verify(input.secret(), text).map_err(|_| HashError::Malformed)
    }
}

/// The most bytes that bcrypt takes in: 18 words of its key schedule.
const LONGEST: usize = 72;

/// The lowest work factor for new digests without [`BcryptBuilder::dangerous`].
const SAFE_FLOOR: u32 = 12;

/// The algorithm's own range, from which 17 and more is cut off: above ten seconds for one check.
const POSSIBLE: RangeInclusive<u32> = 4..=16;

/// Sets up a [`Bcrypt`].
///
/// ```
/// use keyward::hash::Bcrypt;
///
/// assert!(Bcrypt::builder().cost(13).build().is_ok());
/// assert!(Bcrypt::builder().cost(11).build().is_err());
/// assert!(Bcrypt::builder().accepted(10..=31).build().is_err());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BcryptBuilder {
    cost: u32,
    accepted: RangeInclusive<u32>,
    floor: u32,
}

impl BcryptBuilder {
    /// Sets the work factor of new digests: 12 (the default) or more.
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Sets which stored work factors are computed at all: 10 to 14 by default, 16 at most.
    pub fn accepted(mut self, costs: RangeInclusive<u32>) -> Self {
        self.accepted = costs;
        self
    }

    /// Opens the settings that weaken what is stored.
    pub fn dangerous(self) -> DangerousBcryptBuilder {
        DangerousBcryptBuilder { builder: self }
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// * [`HashBuildError::BoundsUnusable`] when the accepted range is empty or reaches outside 4 to 16;
    /// * [`HashBuildError::CostUnusable`] when the cost is below 12 or not in the accepted range.
    pub fn build(self) -> Result<Bcrypt, HashBuildError> {
        let (lowest, highest) = (*self.accepted.start(), *self.accepted.end());
        if lowest > highest || !POSSIBLE.contains(&lowest) || !POSSIBLE.contains(&highest) {
            return Err(HashBuildError::BoundsUnusable);
        }
        if self.cost < self.floor || !self.accepted.contains(&self.cost) {
            return Err(HashBuildError::CostUnusable);
        }
        Ok(Bcrypt {
            cost: self.cost,
            lowest,
            highest,
        })
    }
}

/// Settings of [`Bcrypt`] that weaken it.
#[derive(Debug)]
#[must_use]
pub struct DangerousBcryptBuilder {
    builder: BcryptBuilder,
}

impl DangerousBcryptBuilder {
    /// Makes and accepts work factors from `cost` on, down to 4. For tests, where a third of a second is too long.
    pub fn low_cost(self, cost: u32) -> BcryptBuilder {
        let highest = (*self.builder.accepted.end()).max(cost);
        BcryptBuilder {
            cost,
            accepted: cost..=highest,
            floor: cost,
        }
    }
}

use std::ops::RangeInclusive;
use std::sync::Arc;

use ::argon2::{Algorithm, Argon2, Params, Version};

use self::scratch::ScratchPool;
use super::{DigestText, HashBuildError, HashError, HashInput, KeyHasher, Plan, encoding, mac};
use crate::random::SecureRandom;

mod scratch;
mod text;

/// Argon2id, 19 MiB, two passes, one lane unless told otherwise: the first recommendation of OWASP's password storage
/// sheet, and some seventeen times cheaper to check than bcrypt at 12.
///
/// * Makes and reads the PHC form `$argon2id$v=19$m=19456,t=2,p=1$salt$digest` with a 16-byte salt and a 32-byte digest.
/// * Accepts stored parameters of 7 MiB (the smallest that OWASP lists) to 128 MiB, 1 to 8 passes, 1 to 4 lanes: at
///   most about half a second and 128 MiB, whatever a tampered row asks for.
/// * Keeps the memory of finished hashes for the next one (a fifth faster), one block list for each hash that ran at
///   the same time, and wipes it when the last clone is dropped.
///
/// ```
/// use keyward::hash::{Argon2id, HashInput, KeyHasher};
/// use keyward::random::OsRandom;
///
/// # fn main() -> Result<(), keyward::hash::HashError> {
/// let argon2id = Argon2id::default();
/// let text = argon2id.hash(HashInput::new("id", b"secret"), &OsRandom::new())?;
/// assert!(text.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert!(argon2id.verify(HashInput::new("id", b"secret"), text.as_str())?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Argon2id {
    own: Settings,
    accepted: Accepted,
    scratch: Arc<ScratchPool>,
}

/// The three parameters as the text writes them: KiB, passes, lanes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Settings {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Settings {
    const fn at_least(self, other: Self) -> bool {
        self.memory >= other.memory && self.passes >= other.passes && self.lanes == other.lanes
    }
}

#[derive(Clone, Debug)]
struct Accepted {
    memory: RangeInclusive<u32>,
    passes: RangeInclusive<u32>,
    lanes: RangeInclusive<u32>,
}

impl Argon2id {
    /// Starts from the defaults.
    pub fn builder() -> Argon2idBuilder {
        Argon2idBuilder {
            own: OWN,
            accepted: ACCEPTED,
            floor: Floor::Safe,
        }
    }

    fn read<'t>(&self, text: &'t str) -> Result<text::Parts<'t>, HashError> {
        let parts = text::read(text)?;
        if self.accepted.contain(parts.settings) {
            Ok(parts)
        } else {
            Err(HashError::CostOutOfBounds)
        }
    }

    fn compute(
        &self,
        settings: Settings,
        salt: &[u8],
        secret: &[u8],
    ) -> Result<[u8; 32], HashError> {
        let params = Params::new(settings.memory, settings.passes, settings.lanes, Some(32))
            .map_err(|_| HashError::CostOutOfBounds)?;
        let mut digest = [0; 32];
        let mut scratch = self.scratch.take(params.block_count())?;
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret, salt, &mut digest, scratch.blocks());
        self.scratch.give_back(scratch);
        done.map_err(|_| HashError::UnsuitableSecret)?;
        Ok(digest)
    }
}

impl Accepted {
    fn contain(&self, it: Settings) -> bool {
        self.memory.contains(&it.memory)
            && self.passes.contains(&it.passes)
            && self.lanes.contains(&it.lanes)
            && it.memory >= it.lanes.saturating_mul(8)
    }

    fn are_usable(&self) -> bool {
        let inside = |range: &RangeInclusive<u32>, most: u32| {
            *range.start() >= 1 && range.start() <= range.end() && *range.end() <= most
        };
        inside(&self.memory, MOST.memory)
            && inside(&self.passes, MOST.passes)
            && inside(&self.lanes, MOST.lanes)
            && *self.memory.start() >= Params::MIN_M_COST
    }
}

/// 19 MiB, two passes, one lane.
impl Default for Argon2id {
    fn default() -> Self {
        Self {
            own: OWN,
            accepted: ACCEPTED,
            scratch: Arc::new(ScratchPool::new(OWN.memory)),
        }
    }
}

impl KeyHasher for Argon2id {
    fn scheme(&self) -> &'static str {
        "argon2id"
    }

    fn cost(&self) -> Plan {
        Plan::Slow
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        self.read(text).map(|_| ())
    }

    fn is_current(&self, text: &str) -> bool {
        self.read(text)
            .is_ok_and(|it| it.settings.at_least(self.own))
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        if input.secret().is_empty() {
            return Err(HashError::UnsuitableSecret);
        }
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let digest = self.compute(self.own, &salt, input.secret())?;
        Ok(text::write(self.own, &salt, &digest))
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        let parts = self.read(text)?;
        if input.secret().is_empty() {
            return Ok(false);
        }
        let salt = encoding::from_base64_any(parts.salt).ok_or(HashError::Malformed)?;
        let digest = self.compute(parts.settings, &salt, input.secret())?;
        Ok(mac::same(&digest, &parts.digest))
    }
}

const OWN: Settings = Settings {
    memory: 19_456,
    passes: 2,
    lanes: 1,
};

const ACCEPTED: Accepted = Accepted {
    memory: 7_168..=131_072,
    passes: 1..=8,
    lanes: 1..=4,
};

/// No bound can be set above this: one gibibyte, and some ten seconds.
const MOST: Settings = Settings {
    memory: 1_048_576,
    passes: 16,
    lanes: 16,
};

#[derive(Clone, Copy, Debug)]
enum Floor {
    Lifted,
    Safe,
}

/// Sets up an [`Argon2id`].
///
/// ```
/// use keyward::hash::Argon2id;
///
/// assert!(Argon2id::builder().memory_kib(47_104).passes(1).build().is_ok());
/// assert!(Argon2id::builder().memory_kib(1_024).build().is_err());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Argon2idBuilder {
    own: Settings,
    accepted: Accepted,
    floor: Floor,
}

impl Argon2idBuilder {
    /// Sets the memory of new digests in KiB: 19 456 by default, and at least that (47 104 with a single pass).
    pub fn memory_kib(mut self, memory: u32) -> Self {
        self.own.memory = memory;
        self
    }

    /// Sets the passes over the memory: 2 by default.
    pub fn passes(mut self, passes: u32) -> Self {
        self.own.passes = passes;
        self
    }

    /// Sets the lanes: 1 by default. They are computed one after the other.
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.own.lanes = lanes;
        self
    }

    /// Sets which stored memory sizes (KiB) are computed at all: 7 168 to 131 072 by default, 1 048 576 at most.
    pub fn accepted_memory_kib(mut self, memory: RangeInclusive<u32>) -> Self {
        self.accepted.memory = memory;
        self
    }

    /// Sets which stored numbers of passes are computed at all: 1 to 8 by default, 16 at most.
    pub fn accepted_passes(mut self, passes: RangeInclusive<u32>) -> Self {
        self.accepted.passes = passes;
        self
    }

    /// Sets which stored numbers of lanes are computed at all: 1 to 4 by default, 16 at most.
    pub fn accepted_lanes(mut self, lanes: RangeInclusive<u32>) -> Self {
        self.accepted.lanes = lanes;
        self
    }

    /// Opens the settings that weaken what is stored.
    pub fn dangerous(self) -> DangerousArgon2idBuilder {
        DangerousArgon2idBuilder { builder: self }
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// * [`HashBuildError::BoundsUnusable`] when an accepted range is empty or too wide;
    /// * [`HashBuildError::CostUnusable`] when the parameters of new digests are too weak or would not be accepted.
    pub fn build(self) -> Result<Argon2id, HashBuildError> {
        if !self.accepted.are_usable() {
            return Err(HashBuildError::BoundsUnusable);
        }
        if !self.is_strong_enough() || !self.accepted.contain(self.own) {
            return Err(HashBuildError::CostUnusable);
        }
        Ok(Argon2id {
            own: self.own,
            accepted: self.accepted,
            scratch: Arc::new(ScratchPool::new(self.own.memory)),
        })
    }

    /// The two strongest settings of OWASP's list; its others trade memory for passes below 19 MiB.
    fn is_strong_enough(&self) -> bool {
        match self.floor {
            Floor::Lifted => true,
            Floor::Safe => {
                let (memory, passes) = (self.own.memory, self.own.passes);
                (memory >= 19_456 && passes >= 2) || (memory >= 47_104 && passes >= 1)
            }
        }
    }
}

/// Settings of [`Argon2id`] that weaken it.
#[derive(Debug)]
#[must_use]
pub struct DangerousArgon2idBuilder {
    builder: Argon2idBuilder,
}

impl DangerousArgon2idBuilder {
    /// Makes and accepts digests of one pass over `memory` KiB, down to 8. For tests.
    pub fn low_cost(self, memory: u32) -> Argon2idBuilder {
        let mut builder = self.builder;
        builder.own = Settings {
            memory,
            passes: 1,
            lanes: 1,
        };
        builder.accepted.memory = memory..=(*builder.accepted.memory.end()).max(memory);
        builder.floor = Floor::Lifted;
        builder
    }
}

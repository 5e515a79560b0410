use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::{Pepper, PepperRing};
use crate::hash::HashBuildError;

/// Gathers the peppers of a [`PepperRing`]. `Debug` shows versions only; the peppers are wiped on drop.
#[must_use]
pub struct PepperRingBuilder {
    current: Option<u32>,
    peppers: Vec<(u32, Zeroizing<Vec<u8>>)>,
}

impl PepperRingBuilder {
    pub(super) const fn new() -> Self {
        Self {
            current: None,
            peppers: Vec::new(),
        }
    }

    /// Adds a pepper of 32 random bytes or more. Versions start at 1 and must not be used twice, not even years later.
    pub fn pepper(mut self, version: u32, secret: impl Into<Vec<u8>>) -> Self {
        self.peppers.push((version, Zeroizing::new(secret.into())));
        self
    }

    /// Names the version for new digests; the highest one unless named.
    ///
    /// With several processes, first give all of them the new pepper with the old one current, then switch: otherwise
    /// a process that does not know it yet has to turn away keys that another has just upgraded.
    pub fn current(mut self, version: u32) -> Self {
        self.current = Some(version);
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// * [`HashBuildError::NoPepper`], [`HashBuildError::ZeroVersion`], [`HashBuildError::DuplicatePepper`],
    ///   [`HashBuildError::CurrentPepperMissing`] when the versions do not make a ring;
    /// * [`HashBuildError::WeakPepper`] when one is shorter than 32 bytes, a repeated pattern, or made of fewer than
    ///   eight different bytes.
    pub fn build(self) -> Result<PepperRing, HashBuildError> {
        let mut rest = self.peppers.as_slice();
        while let [earlier @ .., (version, secret)] = rest {
            check(*version, secret, earlier)?;
            rest = earlier;
        }
        let peppers: BTreeMap<_, _> = self
            .peppers
            .iter()
            .map(|(version, secret)| (*version, Pepper::new(*version, secret)))
            .collect();
        let highest = peppers.keys().next_back().copied();
        let current = self.current.or(highest).ok_or(HashBuildError::NoPepper)?;
        if !peppers.contains_key(&current) {
            return Err(HashBuildError::CurrentPepperMissing { version: current });
        }
        Ok(PepperRing::of(current, peppers))
    }
}

impl fmt::Debug for PepperRingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.peppers.iter().map(|(version, _)| version).collect();
        f.debug_struct("PepperRingBuilder")
            .field("current", &self.current)
            .field("versions", &versions)
            .finish_non_exhaustive()
    }
}

fn check(
    version: u32,
    secret: &[u8],
    earlier: &[(u32, Zeroizing<Vec<u8>>)],
) -> Result<(), HashBuildError> {
    if version == 0 {
        return Err(HashBuildError::ZeroVersion);
    }
    if secret.len() < SHORTEST || is_patterned(secret) {
        return Err(HashBuildError::WeakPepper { version });
    }
    let known = |(other, bytes): &(u32, Zeroizing<Vec<u8>>)| {
        *other == version || bytes.as_slice() == secret
    };
    if earlier.iter().any(known) {
        return Err(HashBuildError::DuplicatePepper { version });
    }
    Ok(())
}

/// 256 bits, as much as the secrets hold that the pepper stands in for.
const SHORTEST: usize = 32;

/// Few different bytes, or one piece over and over. Random bytes, or their hex, never look like that.
fn is_patterned(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(it) = seen.get_mut(usize::from(*byte)) {
            *it = true;
        }
    }
    let different = seen.iter().filter(|it| **it).count();
    let repeats = |period: usize| {
        secret
            .iter()
            .zip(secret.iter().skip(period))
            .all(|(a, b)| a == b)
    };
    different < 8 || (1..=secret.len() / 2).any(repeats)
}

//! What is kept of a factor, before it is sealed.

use std::time::Duration;

use zeroize::Zeroizing;

use super::recovery::RecoveryDigests;
use super::seed::Seed;
use super::{FactorError, TotpAlgorithm, TotpDigits, TotpFactor, wait};
use crate::time::Timestamp;

/// Rises when the bytes change their meaning.
const FORM: u8 = 1;
/// Room for the longest state, so that no piece of a seed is left behind by a growing buffer.
const ROOM: usize = 1024;

/// How far a factor has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Waits for its first code.
    Pending,
    /// Confirmed.
    Active,
}

impl Phase {
    /// What there is to say when no factor of this phase is there.
    pub(super) const fn absent(self) -> FactorError {
        match self {
            Self::Pending => FactorError::NotPending,
            Self::Active => FactorError::NotEnrolled,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// When the enrolment began.
    pub(super) begun: Timestamp,
    pub(super) algorithm: TotpAlgorithm,
    pub(super) digits: TotpDigits,
    pub(super) seed: Seed,
    /// The first step whose code is not spent.
    pub(super) unspent: u64,
    /// Wrong codes in a row, and when the last one came.
    pub(super) failures: u32,
    pub(super) last_failure: Timestamp,
    pub(super) recovery: RecoveryDigests,
}

impl State {
    pub(super) fn pending(
        seed: Seed,
        algorithm: TotpAlgorithm,
        digits: TotpDigits,
        now: Timestamp,
    ) -> Self {
        Self {
            phase: Phase::Pending,
            begun: now,
            algorithm,
            digits,
            seed,
            unspent: 0,
            failures: 0,
            last_failure: now,
            recovery: RecoveryDigests::default(),
        }
    }

    pub(super) fn is_confirmable(&self, now: Timestamp) -> bool {
        self.phase == Phase::Pending && now < self.begun.saturating_add(TotpFactor::ENROLMENT_LIFE)
    }

    pub(super) fn confirmed(&self, recovery: RecoveryDigests) -> Self {
        Self {
            phase: Phase::Active,
            recovery,
            ..self.clone()
        }
    }

    /// How long the next one-time code has to wait.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let wait = wait::after(self.failures);
        // Without a wait it does not matter when the last failure was: the clock may have stepped back since.
        if wait.is_zero() {
            return wait;
        }
        self.last_failure.saturating_add(wait).saturating_since(now)
    }

    pub(super) fn failed(&self, now: Timestamp) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            last_failure: now,
            ..self.clone()
        }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let phase = match self.phase {
            Phase::Pending => 0,
            Phase::Active => 1,
        };
        bytes.extend([FORM, phase, self.algorithm.number(), self.digits.count()]);
        bytes.extend(self.begun.as_micros().to_be_bytes());
        bytes.extend(self.unspent.to_be_bytes());
        bytes.extend(self.failures.to_be_bytes());
        bytes.extend(self.last_failure.as_micros().to_be_bytes());
        bytes.extend(self.recovery.salt);
        let seed = self.seed.expose();
        bytes.extend([short(seed.len()), short(self.recovery.digests.len())]);
        bytes.extend_from_slice(seed);
        for digest in &self.recovery.digests {
            bytes.extend(digest);
        }
        bytes
    }

    /// Returns nothing for bytes that are not exactly a state.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let [FORM, phase, algorithm, digits] = rest.take()? else {
            return None;
        };
        let phase = match phase {
            0 => Phase::Pending,
            1 => Phase::Active,
            _ => return None,
        };
        let begun = Timestamp::from_micros(i64::from_be_bytes(rest.take()?));
        let unspent = u64::from_be_bytes(rest.take()?);
        let failures = u32::from_be_bytes(rest.take()?);
        let last_failure = Timestamp::from_micros(i64::from_be_bytes(rest.take()?));
        let salt = rest.take()?;
        let [seed, codes] = rest.take()?;
        let seed = Seed::of(rest.slice(seed.into())?)?;
        let digests: Option<Vec<[u8; 32]>> = (0..codes).map(|_| rest.take()).collect();
        let state = Self {
            phase,
            begun,
            algorithm: TotpAlgorithm::numbered(algorithm)?,
            digits: TotpDigits::counting(digits)?,
            seed,
            unspent,
            failures,
            last_failure,
            recovery: RecoveryDigests {
                salt,
                digests: digests?,
            },
        };
        rest.0.is_empty().then_some(state)
    }
}

/// Lengths here are far below 256.
fn short(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn state(algorithm: TotpAlgorithm) -> State {
        let seed = Seed::draw(algorithm, &OsRandom::new()).unwrap();
        let ana = "user:ana".parse().unwrap();
        let (_, recovery) = RecoveryDigests::draw(&ana, &OsRandom::new()).unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let mut state = State::pending(seed, algorithm, TotpDigits::Eight, now).confirmed(recovery);
        state.unspent = 7;
        state.failed(now)
    }

    #[test]
    fn comes_back_as_it_was() {
        for algorithm in [
            TotpAlgorithm::Sha1,
            TotpAlgorithm::Sha256,
            TotpAlgorithm::Sha512,
        ] {
            let bytes = state(algorithm).to_bytes();
            assert!(bytes.len() <= ROOM);
            let back = State::of_bytes(&bytes).unwrap();
            assert_eq!(back.to_bytes(), bytes);
            assert_eq!(
                (back.phase, back.digits),
                (Phase::Active, TotpDigits::Eight)
            );
            assert_eq!((back.unspent, back.failures), (7, 1));
            assert_eq!(back.recovery.digests.len(), 10);
        }
    }

    #[test]
    fn reads_nothing_that_is_cut_or_longer() {
        let bytes = state(TotpAlgorithm::Sha1).to_bytes();
        for len in 0..bytes.len() {
            assert!(State::of_bytes(&bytes[..len]).is_none(), "{len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(State::of_bytes(&longer).is_none());
    }

    #[test]
    fn reads_no_form_phase_or_algorithm_it_does_not_know() {
        let bytes = state(TotpAlgorithm::Sha1).to_bytes();
        for place in 0..4 {
            let mut other = bytes.to_vec();
            other[place] = 9;
            assert!(State::of_bytes(&other).is_none(), "byte {place}");
        }
    }
}

use std::fmt;
use std::sync::Arc;

use super::label::Label;
use super::seal::Seal;
use super::{Inner, TotpAlgorithm, TotpDigits, TotpFactor};
use crate::hash::PepperRing;
use crate::random::{OsRandom, SecureRandom};
use crate::second_factor::FactorStore;
use crate::time::{Clock, SystemClock};

/// The settings of a [`TotpFactor`]. Seeds must be sealed under a key that does not lie beside them:
/// [`sealed_with`](TotpBuilder::sealed_with).
#[must_use]
pub struct TotpBuilder {
    store: Arc<dyn FactorStore>,
    issuer: String,
    ring: Option<Arc<PepperRing>>,
    unsealed: bool,
    algorithm: TotpAlgorithm,
    digits: TotpDigits,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
}

/// Why a [`TotpFactor`] could not be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TotpBuildError {
    /// There is no key to seal the seeds with.
    #[error("no key to seal the seeds with was given")]
    NoSeal,
    /// The issuer's name is empty, has more than 128 bytes, or holds a colon or a control character.
    #[error("the issuer's name {problem}")]
    Issuer {
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl TotpBuilder {
    pub(super) fn new(store: Arc<dyn FactorStore>, issuer: String) -> Self {
        Self {
            store,
            issuer,
            ring: None,
            unsealed: false,
            algorithm: TotpAlgorithm::default(),
            digits: TotpDigits::default(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom::new()),
        }
    }

    /// Sets the ring whose peppers yield the keys that seeds are sealed under: the one of
    /// [`HashingBuilder::peppers`](crate::hash::HashingBuilder::peppers), or one of its own. The current version seals;
    /// a row is sealed anew with every code.
    pub fn sealed_with(mut self, ring: impl Into<Arc<PepperRing>>) -> Self {
        self.ring = Some(ring.into());
        self
    }

    /// Sets the hash of new enrolments; SHA-1 otherwise, the only one that every app knows.
    pub const fn algorithm(mut self, algorithm: TotpAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets the length of codes of new enrolments; six digits otherwise, the only length that every app knows.
    pub const fn digits(mut self, digits: TotpDigits) -> Self {
        self.digits = digits;
        self
    }

    /// Sets the clock; the system's otherwise.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the source of randomness; the operating system's otherwise. Anything else belongs in tests.
    pub fn random(mut self, random: impl SecureRandom) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Returns the settings that weaken the factor.
    pub const fn dangerous(self) -> DangerousTotpBuilder {
        DangerousTotpBuilder { builder: self }
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// [`TotpBuildError`].
    pub fn build(self) -> Result<TotpFactor, TotpBuildError> {
        let issuer = Label::new(&self.issuer);
        let seal = match (self.ring, self.unsealed) {
            (Some(ring), _) => Seal::Ring(ring),
            (None, true) => Seal::Plain,
            (None, false) => return Err(TotpBuildError::NoSeal),
        };
        Ok(TotpFactor {
            inner: Arc::new(Inner {
                store: self.store,
                issuer: issuer.map_err(|problem| TotpBuildError::Issuer { problem })?,
                seal,
                algorithm: self.algorithm,
                digits: self.digits,
                clock: self.clock,
                random: self.random,
            }),
        })
    }
}

impl fmt::Debug for TotpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpBuilder")
            .field("store", &self.store)
            .field("issuer", &self.issuer)
            .field("ring", &self.ring)
            .field("algorithm", &self.algorithm)
            .field("digits", &self.digits)
            .finish_non_exhaustive()
    }
}

/// Settings that weaken a [`TotpFactor`]. Each says what it gives up.
#[derive(Debug)]
#[must_use]
pub struct DangerousTotpBuilder {
    builder: TotpBuilder,
}

impl DangerousTotpBuilder {
    /// Keeps seeds without a seal: whoever reads the store, or a backup of it, can make codes, and whoever writes to it
    /// can plant a seed. Without effect beside [`TotpBuilder::sealed_with`].
    pub fn unsealed(mut self) -> TotpBuilder {
        self.builder.unsealed = true;
        self.builder
    }
}

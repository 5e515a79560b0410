use std::sync::Arc;

use super::text::{Form, Over};
use super::{
    DigestText, HashError, HashInput, KeyHasher, PepperRing, Plan, SecretOrigin, ShortCheck,
    StoredProof, mac,
};
use crate::random::SecureRandom;

mod builder;
mod rows;

pub use self::builder::HashingBuilder;

/// Makes stored texts from secrets and judges secrets against them: one preferred scheme, others side by side.
///
/// The default makes bcrypt at 12 and also verifies Argon2id and imported digests, without a pepper. Cloning is cheap.
///
/// ```
/// use keyward::hash::{Hashing, Plan, SecretOrigin};
/// use keyward::random::OsRandom;
///
/// # fn main() -> Result<(), keyward::hash::HashError> {
/// let hashing = Hashing::default();
/// let digest = hashing.digest("id", b"secret", SecretOrigin::Generated, &OsRandom::new())?;
/// assert_eq!(hashing.plan(&digest)?, Plan::Slow);
/// assert!(hashing.verify("id", b"secret", b"pm_live_idsecret", &digest)?);
/// assert!(!hashing.verify("id", b"Secret", b"pm_live_idSecret", &digest)?);
/// # Ok(())
/// # }
/// ```
///
/// # Blocking
///
/// [`digest`](Hashing::digest) takes as long as the preferred scheme does and [`verify`](Hashing::verify) as long as
/// [`plan`](Hashing::plan) says: hand slow ones to the [`HashPool`](super::HashPool). Everything else is cheap.
#[derive(Clone, Debug)]
pub struct Hashing {
    /// Never empty: the first is the preferred one.
    schemes: Arc<[Arc<dyn KeyHasher>]>,
    peppers: Option<Arc<PepperRing>>,
    imports: Imports,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Imports {
    Accepted,
    Refused,
}

impl Hashing {
    /// Starts from the default.
    pub fn builder() -> HashingBuilder {
        HashingBuilder::default()
    }

    /// Makes the text to store for a secret.
    ///
    /// An imported secret gets the preferred scheme if that is slow, and otherwise the first slow one.
    ///
    /// # Errors
    ///
    /// * [`HashError::UnsuitableSecret`] when the scheme cannot take the secret: without a pepper, bcrypt takes 1 to 72
    ///   bytes and no zero byte;
    /// * [`HashError::SlowSchemeNeeded`] for an imported secret when no slow scheme is configured;
    /// * [`HashError::Random`], [`HashError::OutOfMemory`], [`HashError::Hasher`] when the computation failed.
    pub fn digest(
        &self,
        key_id: &str,
        secret: &[u8],
        origin: SecretOrigin,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        if secret.is_empty() {
            return Err(HashError::UnsuitableSecret);
        }
        let scheme = self.target(origin).ok_or(HashError::SlowSchemeNeeded)?;
        let Some(ring) = self.ring_for(scheme) else {
            return scheme.hash(HashInput::new(key_id, secret), random);
        };
        let (version, input) =
            ring.with_newest(|pepper| (pepper.version(), pepper.slow_input(key_id, secret)))?;
        let slow = scheme.hash(HashInput::new(key_id, input.as_slice()), random)?;
        Ok(DigestText::peppered(version, &slow))
    }

    /// Returns what judging this digest costs, after checking that it would be judged at all. Computes nothing.
    ///
    /// # Errors
    ///
    /// * [`HashError::Malformed`], [`HashError::UnknownScheme`], [`HashError::CostOutOfBounds`] when the digest is at
    ///   fault: see [`HashError::is_digest_fault`];
    /// * [`HashError::PepperMissing`] when it was made under a pepper that is not configured.
    pub fn plan(&self, digest: &DigestText) -> Result<Plan, HashError> {
        match self.form(digest)? {
            Form::ImportedSha256 { .. } => Ok(Plan::Fast),
            Form::ImportedWhole { body } => Ok(self.slow_scheme_of(body)?.cost()),
            Form::Peppered { version, body } => {
                self.peppers(version)?.check(version)?;
                Ok(self.slow_scheme_of(body)?.cost())
            }
            Form::Plain { body } => Ok(self.scheme_of(body)?.cost()),
        }
    }

    /// Returns whether the digest was made from this secret (or, for some imported forms, from the whole key string).
    ///
    /// # Errors
    ///
    /// Those of [`plan`](Hashing::plan), before anything is computed, and [`HashError::OutOfMemory`] or
    /// [`HashError::Hasher`] when the computation failed.
    pub fn verify(
        &self,
        key_id: &str,
        secret: &[u8],
        whole_key: &[u8],
        digest: &DigestText,
    ) -> Result<bool, HashError> {
        match self.form(digest)? {
            Form::ImportedSha256 { over, digest } => {
                let input = match over {
                    Over::Secret => secret,
                    Over::WholeKey => whole_key,
                };
                Ok(mac::same(&mac::sha256(input), &digest) && !input.is_empty())
            }
            Form::ImportedWhole { body } => self
                .slow_scheme_of(body)?
                .verify(HashInput::new(key_id, whole_key), body),
            Form::Peppered { version, body } => {
                let scheme = self.slow_scheme_of(body)?;
                let input = self
                    .peppers(version)?
                    .with(version, |pepper| pepper.slow_input(key_id, secret))?;
                if secret.is_empty() {
                    return Ok(false);
                }
                scheme.verify(HashInput::new(key_id, input.as_slice()), body)
            }
            Form::Plain { body } => self
                .scheme_of(body)?
                .verify(HashInput::new(key_id, secret), body),
        }
    }

    /// Returns whether a digest made now would look different: another scheme, other parameters, an older pepper or
    /// none, or a form imported from another system. A digest that cannot be verified needs no upgrade.
    #[must_use]
    pub fn needs_upgrade(&self, digest: &DigestText, origin: SecretOrigin) -> bool {
        let Some(target) = self.target(origin) else {
            return false;
        };
        let pepper = self.ring_for(target).map(PepperRing::current);
        match self.plan(digest).and_then(|_| self.form(digest)) {
            Ok(Form::Plain { body }) => pepper.is_some() || !target.is_current(body),
            Ok(Form::Peppered { version, body }) => {
                pepper != Some(version) || !target.is_current(body)
            }
            Ok(Form::ImportedSha256 { .. } | Form::ImportedWhole { .. }) => true,
            Err(_) => false,
        }
    }

    /// Returns the version of the pepper for new digests, proofs and checks.
    #[must_use]
    pub fn current_pepper(&self) -> Option<u32> {
        self.peppers.as_deref().map(PepperRing::current)
    }

    /// Makes the proof to store beside the digest, once the secret has passed the slow hash against it.
    ///
    /// `None` without a pepper, for an imported secret and for an imported digest: those take the slow path every time.
    ///
    /// # Security
    ///
    /// Call it only after [`verify`](Hashing::verify) said yes, or for the digest that was just made.
    #[must_use]
    pub fn stored_proof(
        &self,
        key_id: &str,
        digest: &DigestText,
        secret: &[u8],
        origin: SecretOrigin,
    ) -> Option<StoredProof> {
        let ring = self.peppers_for(origin)?;
        if !self.form(digest).is_ok_and(|form| !form.is_imported()) {
            return None;
        }
        let proof = ring.with_newest(|pepper| {
            let mac = pepper.stored_proof(key_id, digest.as_str(), secret);
            StoredProof::new(pepper.version(), mac)
        });
        proof.ok()
    }

    /// Returns whether the stored proof vouches for this secret against this digest; `None` when it cannot be judged
    /// because its pepper is not configured. Constant time.
    #[must_use]
    pub fn check_stored_proof(
        &self,
        key_id: &str,
        digest: &DigestText,
        secret: &[u8],
        proof: &StoredProof,
    ) -> Option<bool> {
        let version = proof.version();
        let mac = self.peppers(version).ok()?.with(version, |pepper| {
            pepper.stored_proof(key_id, digest.as_str(), secret)
        });
        Some(proof.matches(&mac.ok()?))
    }

    /// Makes the short check to store beside the digest; `None` without a pepper and for an imported secret.
    #[must_use]
    pub fn short_check(
        &self,
        key_id: &str,
        secret: &[u8],
        origin: SecretOrigin,
    ) -> Option<ShortCheck> {
        let check = self.peppers_for(origin)?.with_newest(|pepper| {
            ShortCheck::new(pepper.version(), pepper.short_check(key_id, secret))
        });
        check.ok()
    }

    /// Returns whether the secret fits the short check: `Some(false)` is certainly a wrong one, `None` means that the
    /// check's pepper is not configured. Constant time.
    #[must_use]
    pub fn check_short(&self, key_id: &str, secret: &[u8], check: ShortCheck) -> Option<bool> {
        let version = check.version();
        let bits = self
            .peppers(version)
            .ok()?
            .with(version, |pepper| pepper.short_check(key_id, secret));
        Some(check.matches(bits.ok()?))
    }

    fn form<'t>(&self, digest: &'t DigestText) -> Result<Form<'t>, HashError> {
        let form = Form::parse(digest.as_str())?;
        if form.is_imported() && self.imports == Imports::Refused {
            return Err(HashError::UnknownScheme);
        }
        Ok(form)
    }

    /// The scheme for new digests of such a secret.
    fn target(&self, origin: SecretOrigin) -> Option<&dyn KeyHasher> {
        let fits = |scheme: &&Arc<dyn KeyHasher>| match origin {
            SecretOrigin::Generated => true,
            SecretOrigin::Imported => scheme.cost() == Plan::Slow,
        };
        self.schemes.iter().find(fits).map(|scheme| &**scheme)
    }

    /// The scheme that reads this text.
    fn scheme_of(&self, body: &str) -> Result<&dyn KeyHasher, HashError> {
        for scheme in self.schemes.iter() {
            match scheme.accepts(body) {
                Err(HashError::UnknownScheme) => {}
                answer => return answer.map(|()| &**scheme),
            }
        }
        Err(HashError::UnknownScheme)
    }

    /// The same inside a wrapper, where only slow schemes belong.
    fn slow_scheme_of(&self, body: &str) -> Result<&dyn KeyHasher, HashError> {
        let scheme = self.scheme_of(body)?;
        match scheme.cost() {
            Plan::Fast => Err(HashError::Malformed),
            Plan::Slow => Ok(scheme),
        }
    }

    /// The ring, when this scheme's input goes through it. A fast scheme brings its own key.
    fn ring_for(&self, scheme: &dyn KeyHasher) -> Option<&PepperRing> {
        match scheme.cost() {
            Plan::Fast => None,
            Plan::Slow => self.peppers.as_deref(),
        }
    }

    /// The ring that should hold this version.
    fn peppers(&self, version: u32) -> Result<&PepperRing, HashError> {
        self.peppers
            .as_deref()
            .ok_or(HashError::PepperMissing { version })
    }

    fn peppers_for(&self, origin: SecretOrigin) -> Option<&PepperRing> {
        match origin {
            SecretOrigin::Generated => self.peppers.as_deref(),
            SecretOrigin::Imported => None,
        }
    }
}

/// bcrypt at 12 preferred, Argon2id and imported digests accepted, no pepper.
impl Default for Hashing {
    fn default() -> Self {
        HashingBuilder::default().assemble()
    }
}

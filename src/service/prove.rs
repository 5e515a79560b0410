//! From "may be the secret" to "is the secret".

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::fresh::Provable;
use super::{KeyService, Rejection, VerifyError};
use crate::hash::{HashError, Lane, Overloaded, Plan, PoolError, ProofTag, SecretOrigin};
use crate::key::{Credential, Generation, ParsedKey, TagStatus};
use crate::time::Timestamp;

/// What is known of a presented secret without a slow hash.
pub(super) enum Proof {
    /// It is the secret of that generation.
    Known(Generation),
    /// Only the slow hash can tell.
    Unknown,
}

impl KeyService {
    /// Looks for a proof: remembered in this process, stored under the pepper, or a digest that is fast by itself.
    pub(super) fn prove_cheaply(
        &self,
        live: &impl Provable,
        parsed: &ParsedKey<'_>,
    ) -> Result<Proof, VerifyError> {
        let mut undecided = false;
        let mut unusable = None;
        for credential in live.credentials() {
            if self.is_remembered(credential, parsed) {
                self.improve_overdue(credential, parsed);
                return Ok(Proof::Known(credential.generation));
            }
            if self.is_proven_by_pepper(credential, parsed) {
                return Ok(Proof::Known(credential.generation));
            }
            match self.inner.hashing.plan(&credential.digest) {
                Ok(Plan::Slow) => undecided = true,
                Ok(Plan::Fast) => match self.hash_now(credential, parsed) {
                    Ok(true) => {
                        self.improve_later(credential, parsed);
                        return Ok(Proof::Known(credential.generation));
                    }
                    Ok(false) => {}
                    Err(error) => unusable = Some(unusable_digest(error)),
                },
                Err(error) => unusable = Some(unusable_digest(error)),
            }
        }
        match (undecided, unusable) {
            (true, _) => Ok(Proof::Unknown),
            (false, Some(error)) => Err(error),
            (false, None) => Err(Rejection::WrongSecret.into()),
        }
    }

    /// Runs the slow hash on the pool, one credential after the other, and returns the one it proved.
    pub(super) async fn prove_slowly(
        &self,
        live: &(impl Provable + Sync),
        parsed: &ParsedKey<'_>,
        lane: Lane,
    ) -> Result<Credential, VerifyError> {
        let slow = live
            .credentials()
            .filter(|known| matches!(self.inner.hashing.plan(&known.digest), Ok(Plan::Slow)));
        for credential in slow {
            if self.hash_on_pool(credential, parsed, lane).await? {
                return Ok(credential.clone());
            }
        }
        // Not this one; but one that fits the cheap check and cannot be judged here may be the one.
        let unusable = live
            .credentials()
            .find_map(|known| self.inner.hashing.plan(&known.digest).err());
        Err(unusable.map_or_else(|| Rejection::WrongSecret.into(), unusable_digest))
    }

    async fn hash_on_pool(
        &self,
        credential: &Credential,
        parsed: &ParsedKey<'_>,
        lane: Lane,
    ) -> Result<bool, VerifyError> {
        let hashing = Arc::clone(&self.inner.hashing);
        let (id, digest) = (parsed.id(), credential.digest.clone());
        let secret = Zeroizing::new(parsed.secret().expose().to_vec());
        let whole = Zeroizing::new(parsed.whole().to_vec());
        let job = move || hashing.verify(id.as_str(), &secret, &whole, &digest);
        let job = if self.inner.settings.strict {
            let alone = self
                .inner
                .pool
                .exclusive(parsed.id().as_str())
                .map_err(overloaded)?;
            self.inner.pool.submit(lane, move || {
                let outcome = job();
                drop(alone);
                outcome
            })
        } else {
            let tag = self.tag(credential, parsed);
            self.inner.flights.submit(&self.inner.pool, &tag, lane, job)
        };
        job.map_err(overloaded)?
            .await
            .map_err(pool_error)?
            .map_err(unusable_digest)
    }

    fn hash_now(&self, credential: &Credential, parsed: &ParsedKey<'_>) -> Result<bool, HashError> {
        let (id, secret) = (parsed.id(), parsed.secret());
        self.inner.hashing.verify(
            id.as_str(),
            secret.expose(),
            parsed.whole(),
            &credential.digest,
        )
    }

    fn is_remembered(&self, credential: &Credential, parsed: &ParsedKey<'_>) -> bool {
        self.may_remember(credential) && {
            let tag = self.tag(credential, parsed);
            self.inner
                .proofs
                .remembers(parsed.id().as_str(), credential.generation.number(), &tag)
        }
    }

    fn is_proven_by_pepper(&self, credential: &Credential, parsed: &ParsedKey<'_>) -> bool {
        let Some(proof) = credential
            .proof
            .as_ref()
            .filter(|_| self.may_remember(credential))
        else {
            return false;
        };
        let (id, secret) = (parsed.id(), parsed.secret());
        let proven = self.inner.hashing.check_stored_proof(
            id.as_str(),
            &credential.digest,
            secret.expose(),
            proof,
        );
        if proven == Some(true) {
            self.remember(credential, parsed);
            return true;
        }
        false
    }

    /// SECURITY: nothing fast is ever kept of a secret that this library did not draw, nor of any in strict mode.
    fn may_remember(&self, credential: &Credential) -> bool {
        !self.inner.settings.strict && credential.origin == SecretOrigin::Generated
    }

    /// Called only when the secret was proved and the record read after that still holds the credential.
    pub(super) fn remember(&self, credential: &Credential, parsed: &ParsedKey<'_>) {
        if self.may_remember(credential) {
            let tag = self.tag(credential, parsed);
            let generation = credential.generation.number();
            // A full memory and an older generation are both no reason to refuse: the next use pays the hash.
            let _ = self.inner.proofs.remember(
                parsed.id().as_str(),
                generation,
                &tag,
                credential.origin,
            );
        }
        self.improve_later(credential, parsed);
    }

    fn tag(&self, credential: &Credential, parsed: &ParsedKey<'_>) -> ProofTag {
        self.inner.proofs.tag(
            parsed.id().as_str(),
            &credential.digest,
            parsed.secret().expose(),
        )
    }

    pub(super) fn lane(
        &self,
        client: Option<IpAddr>,
        parsed: &ParsedKey<'_>,
        now: Timestamp,
    ) -> Lane {
        // A retired tag key may be in other hands: whoever forges with it waits behind everybody else.
        if parsed.tag() == TagStatus::Retired {
            return Lane::Doubtful;
        }
        match &self.inner.gate {
            Some(gate) if gate.suspicious(client, &parsed.id(), now) => Lane::Doubtful,
            Some(_) | None => Lane::Trusted,
        }
    }
}

fn overloaded(full: Overloaded) -> VerifyError {
    VerifyError::Overloaded {
        retry_after: full.retry_after,
    }
}

fn pool_error(error: PoolError) -> VerifyError {
    match error {
        PoolError::Overloaded(full) => overloaded(full),
        other => VerifyError::unavailable(other),
    }
}

/// A digest that nobody can check is refused; a pepper that this process lacks is the operator's mistake, not the key's.
fn unusable_digest(error: HashError) -> VerifyError {
    if error.is_digest_fault() {
        Rejection::UnusableDigest.into()
    } else {
        VerifyError::unavailable(error)
    }
}

//! Upgrades of what is stored of a secret, made after a use proved the secret and never in its way.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::KeyService;
use crate::hash::{HashError, Lane, SecretOrigin};
use crate::key::{Credential, KeyId, ParsedKey};
use crate::store::StoreError;

/// A record under such contention gets its upgrade another time.
const ATTEMPTS: usize = 8;

impl KeyService {
    /// Starts an upgrade if the digest's scheme, cost or pepper is not the present one, or its proof is missing.
    ///
    /// One at a time in a process: each costs a slow hash, and there is always a next use.
    pub(super) fn improve_later(&self, proven: &Credential, parsed: &ParsedKey<'_>) {
        if !self.needs_improving(proven) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.inner.improving).try_acquire_owned() else {
            return;
        };
        let (service, proven, id) = (self.clone(), proven.clone(), parsed.id());
        let secret = Zeroizing::new(parsed.secret().expose().to_vec());
        self.inner.runtime.spawn(async move {
            if service.improve(&id, &proven, secret).await.is_err() {
                service.inner.counters.upgrade_failed();
            }
            drop(permit);
        });
    }

    fn needs_improving(&self, proven: &Credential) -> bool {
        let hashing = &self.inner.hashing;
        let pepper_due = proven.origin == SecretOrigin::Generated
            && hashing.current_pepper().is_some_and(|current| {
                proven
                    .proof
                    .as_ref()
                    .is_none_or(|proof| proof.version() != current)
                    || proven
                        .check
                        .as_ref()
                        .is_none_or(|check| check.version() != current)
            });
        pepper_due || hashing.needs_upgrade(&proven.digest, proven.origin)
    }

    /// Replaces digest, proof and check of one credential, if it is still the one that was proved.
    async fn improve(
        &self,
        id: &KeyId,
        proven: &Credential,
        secret: Zeroizing<Vec<u8>>,
    ) -> Result<(), ImproveError> {
        let better = self.better(id, proven, secret).await?;
        for _ in 0..ATTEMPTS {
            let Some(record) = self.inner.store.find(id).await? else {
                return Ok(());
            };
            let mut next = (*record).clone();
            let held = std::iter::once(&mut next.current)
                .chain(next.previous.as_mut())
                .find(|known| {
                    known.generation == proven.generation && known.digest == proven.digest
                });
            let Some(held) = held else { return Ok(()) };
            held.digest.clone_from(&better.digest);
            held.proof.clone_from(&better.proof);
            held.check.clone_from(&better.check);
            match self.inner.store.update(&next).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ImproveError)
    }

    async fn better(
        &self,
        id: &KeyId,
        proven: &Credential,
        secret: Zeroizing<Vec<u8>>,
    ) -> Result<Credential, ImproveError> {
        let (hashing, random) = (
            Arc::clone(&self.inner.hashing),
            Arc::clone(&self.inner.random),
        );
        let (id, proven) = (*id, proven.clone());
        let job = move || {
            let mut better = proven.clone();
            if hashing.needs_upgrade(&proven.digest, proven.origin) {
                better.digest = hashing.digest(id.as_str(), &secret, proven.origin, &*random)?;
            }
            if proven.origin == SecretOrigin::Generated {
                better.proof =
                    hashing.stored_proof(id.as_str(), &better.digest, &secret, proven.origin);
                better.check = hashing.short_check(id.as_str(), &secret, proven.origin);
            }
            Ok::<_, HashError>(better)
        };
        let job = self
            .inner
            .pool
            .submit(Lane::Doubtful, job)
            .map_err(|_| ImproveError)?;
        job.await
            .map_err(|_| ImproveError)?
            .map_err(|_| ImproveError)
    }
}

/// An upgrade did not happen. The next use tries again.
struct ImproveError;

impl From<StoreError> for ImproveError {
    fn from(_: StoreError) -> Self {
        Self
    }
}

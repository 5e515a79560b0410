//! Upgrades of what is stored of a secret, made after a use proved the secret and never in its way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::KeyService;
use crate::hash::{HashError, Lane, SecretOrigin};
use crate::key::{Credential, Generation, KeyId, ParsedKey};
use crate::store::StoreError;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

/// A store or a pool that refuses an upgrade is not asked for another one at once: each costs a slow hash.
const REST: Duration = Duration::from_secs(60);
/// Some 200 kB. A key beyond that is upgraded after the next start.
const REMEMBERED: usize = 10_000;
/// A record under such contention gets its upgrade another time.
const ATTEMPTS: usize = 8;

/// Keys whose upgrade was put off: once its proof is remembered, nothing else would bring a key back here.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    count: AtomicUsize,
    ids: Mutex<HashSet<KeyId>>,
    /// Upgraded by this process. Two processes that are set up differently, as in the middle of a deployment, would
    /// otherwise undo each other's work at every request.
    done: Mutex<HashSet<(KeyId, Generation)>>,
    resting_since: Mutex<Option<Timestamp>>,
}

impl Overdue {
    fn put_off(&self, id: KeyId) {
        let mut ids = lock(&self.ids);
        if ids.len() < REMEMBERED {
            ids.insert(id);
        }
        self.count.store(ids.len(), Ordering::Relaxed);
    }

    fn take_up(&self, id: &KeyId) {
        let mut ids = lock(&self.ids);
        ids.remove(id);
        self.count.store(ids.len(), Ordering::Relaxed);
    }

    /// One load on every warm request, as long as nothing is overdue.
    fn holds(&self, id: &KeyId) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && lock(&self.ids).contains(id)
    }

    fn is_done(&self, id: KeyId, generation: Generation) -> bool {
        lock(&self.done).contains(&(id, generation))
    }

    fn finish(&self, id: KeyId, generation: Generation) {
        let mut done = lock(&self.done);
        if done.len() >= REMEMBERED {
            done.clear();
        }
        done.insert((id, generation));
    }

    fn rest(&self, now: Timestamp) {
        *lock(&self.resting_since) = Some(now);
    }

    /// A clock that stepped back ends the rest.
    fn rests(&self, now: Timestamp) -> bool {
        lock(&self.resting_since)
            .is_some_and(|since| since <= now && now < since.saturating_add(REST))
    }
}

impl KeyService {
    /// Starts the upgrade of a key whose upgrade was put off.
    pub(super) fn improve_overdue(&self, proven: &Credential, parsed: &ParsedKey<'_>) {
        if self.inner.overdue.holds(&parsed.id()) {
            self.inner.overdue.take_up(&parsed.id());
            self.improve_later(proven, parsed);
        }
    }

    /// Starts an upgrade if the digest's scheme, cost or pepper is not the present one, or its proof is missing.
    ///
    /// One at a time in a process, for each costs a slow hash; the others are put off to their next use.
    pub(super) fn improve_later(&self, proven: &Credential, parsed: &ParsedKey<'_>) {
        let done = || self.inner.overdue.is_done(parsed.id(), proven.generation);
        if !self.needs_improving(proven) || done() {
            return;
        }
        let permit = Arc::clone(&self.inner.improving).try_acquire_owned();
        let rests = self.inner.overdue.rests(self.inner.clock.now());
        let (Ok(permit), false) = (permit, rests) else {
            self.inner.overdue.put_off(parsed.id());
            return;
        };
        let (service, proven, id) = (self.clone(), proven.clone(), parsed.id());
        let secret = Zeroizing::new(parsed.secret().expose().to_vec());
        self.inner.runtime.spawn(async move {
            match service.improve(&id, &proven, secret).await {
                Ok(()) => service.inner.overdue.finish(id, proven.generation),
                Err(ImproveError) => {
                    service.inner.counters.upgrade_failed();
                    service.inner.overdue.rest(service.inner.clock.now());
                    service.inner.overdue.put_off(id);
                }
            }
            drop(permit);
        });
    }

    fn needs_improving(&self, proven: &Credential) -> bool {
        let hashing = &self.inner.hashing;
        let pepper_due = proven.origin == SecretOrigin::Generated
            && hashing.current_pepper().is_some_and(|current| {
                let proof = proven.proof.as_ref();
                (!self.inner.settings.strict
                    && proof.is_none_or(|proof| proof.version() != current))
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
            let Some(found) = self.inner.records.find(id).await? else {
                return Ok(());
            };
            // SECURITY: an edited row must not be bound anew because its secret was used.
            let basis = self.inner.records.vouch(found).map_err(|_| ImproveError)?;
            let mut next = basis.record().clone();
            let held = std::iter::once(&mut next.current)
                .chain(next.previous.as_mut())
                .find(|known| {
                    known.generation == proven.generation && known.digest == proven.digest
                });
            let Some(held) = held else { return Ok(()) };
            held.digest.clone_from(&better.digest);
            held.proof.clone_from(&better.proof);
            held.check.clone_from(&better.check);
            let ready = self.inner.records.ready(&basis, next);
            let ready = ready.map_err(|_| ImproveError)?;
            match self.inner.records.update(&ready).await {
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
        let strict = self.inner.settings.strict;
        let job = move || {
            let mut better = proven.clone();
            if hashing.needs_upgrade(&proven.digest, proven.origin) {
                better.proof = None;
                better.digest = hashing.digest(id.as_str(), &secret, proven.origin, &*random)?;
            }
            if proven.origin == SecretOrigin::Generated {
                if !strict {
                    better.proof =
                        hashing.stored_proof(id.as_str(), &better.digest, &secret, proven.origin);
                }
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

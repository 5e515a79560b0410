use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Actor, IssueKey, IssuedKey, KeyService, LifecycleError, validate};
use crate::audit::AuditKind;
use crate::hash::{Lane, Overloaded, SecretOrigin};
use crate::key::{Credential, GeneratedKey, KeyId, KeyRecord};
use crate::store::{InsertKey, StoreError};
use crate::time::Timestamp;

/// With 71 bits an id is drawn twice once in ages; more than a few times in a row means the generator is broken.
const DRAWS: usize = 3;

impl KeyService {
    /// Issues a key.
    ///
    /// The audit event is durable before the record is stored; if it cannot be written, nothing is stored.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::NotPermitted`], [`LifecycleError::BeyondActor`], [`LifecycleError::ExceedsActor`]: the actor
    ///   is a key and may not issue this one;
    /// * [`LifecycleError::Invalid`]: a text too long or empty, an unknown tier or role, an ill-formed scope, an expiry
    ///   that has passed;
    /// * [`LifecycleError::OwnerLimit`]: the owner has too many active keys;
    /// * [`LifecycleError::Audit`], [`LifecycleError::Overloaded`], [`LifecycleError::Unavailable`]: out of order.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave an audit event of a key that was never stored, or a stored key whose plaintext
    /// nobody has: revoke it by its id, which the event names.
    pub async fn issue(
        &self,
        actor: &Actor,
        request: IssueKey,
    ) -> Result<IssuedKey, LifecycleError> {
        let now = self.inner.clock.now();
        validate::issue(&request, &self.inner, now)?;
        self.may_issue(actor, &request, AuditKind::KeyCreated, now)
            .await?;
        for _ in 0..DRAWS {
            let generated = self.draw()?;
            let credential = self.new_credential(&generated, now).await?;
            // A slow hash lies behind us: the acting key may have ended meanwhile.
            self.may_issue(actor, &request, AuditKind::KeyCreated, now)
                .await?;
            let environment = self.inner.format.environment();
            let record = request.to_record(generated.id(), &environment, credential, actor, now);
            match self
                .store_new(
                    actor,
                    record,
                    request.owner_limit,
                    AuditKind::KeyCreated,
                    now,
                )
                .await
            {
                Ok(record) => {
                    let hint = generated.hint();
                    return Ok(IssuedKey::new(generated.into_plaintext(), hint, record));
                }
                Err(StoreFailure::AlreadyExists) => {}
                Err(StoreFailure::Other(error)) => {
                    self.report_if_outage("issue", &error);
                    return Err(error);
                }
            }
        }
        Err(LifecycleError::unavailable(
            "ids repeat: the source of randomness is broken",
        ))
    }

    /// SECURITY: before the slow hash, so that a key that may not issue costs none; and after it, on what the store
    /// says then.
    pub(super) async fn may_issue(
        &self,
        actor: &Actor,
        request: &IssueKey,
        kind: AuditKind,
        now: Timestamp,
    ) -> Result<(), LifecycleError> {
        let outcome = match self.admit(actor).await {
            Ok(actor) => {
                let environment = self.inner.format.environment();
                actor.encloses(
                    &self.inner.policy,
                    &self.inner.limits,
                    &request.reach(environment, now),
                )
            }
            Err(error) => Err(error),
        };
        self.note_refusal(kind, actor, None, outcome.as_ref().err());
        outcome
    }

    fn draw(&self) -> Result<GeneratedKey, LifecycleError> {
        self.inner
            .format
            .generate(&*self.inner.random)
            .map_err(LifecycleError::unavailable)
    }

    /// Hashes a new secret on the pool and notes its hint, and under a pepper its proof and check.
    pub(super) async fn new_credential(
        &self,
        generated: &GeneratedKey,
        now: Timestamp,
    ) -> Result<Credential, LifecycleError> {
        let id = generated.id();
        let secret = Zeroizing::new(generated.secret().expose().to_vec());
        self.credential_for(id, secret, SecretOrigin::Generated, now)
            .await
            .map(|mut credential| {
                credential.hint = Some(generated.hint_tail());
                credential
            })
    }

    pub(super) async fn credential_for(
        &self,
        id: KeyId,
        secret: Zeroizing<Vec<u8>>,
        origin: SecretOrigin,
        now: Timestamp,
    ) -> Result<Credential, LifecycleError> {
        let (hashing, random) = (
            Arc::clone(&self.inner.hashing),
            Arc::clone(&self.inner.random),
        );
        let strict = self.inner.settings.strict;
        let job = move || {
            let digest = hashing.digest(id.as_str(), &secret, origin, &*random)?;
            let mut credential = Credential::new(digest, origin, now);
            if !strict {
                credential.proof =
                    hashing.stored_proof(id.as_str(), &credential.digest, &secret, origin);
            }
            credential.check = hashing.short_check(id.as_str(), &secret, origin);
            Ok::<_, crate::hash::HashError>(credential)
        };
        let job = self.inner.pool.submit(Lane::Trusted, job);
        let overloaded = |full: Overloaded| LifecycleError::Overloaded {
            retry_after: full.retry_after,
        };
        job.map_err(overloaded)?
            .await
            .map_err(LifecycleError::unavailable)?
            .map_err(LifecycleError::unavailable)
    }

    /// Audit first, then the store.
    pub(super) async fn store_new(
        &self,
        actor: &Actor,
        record: KeyRecord,
        owner_limit: Option<u32>,
        kind: AuditKind,
        now: Timestamp,
    ) -> Result<Arc<KeyRecord>, StoreFailure> {
        let recorded = self
            .inner
            .trail
            .record(kind, actor, &record, now, &self.granted(&record, None))
            .await;
        recorded.map_err(|error| StoreFailure::Other(LifecycleError::Audit(error)))?;
        let mut insert = InsertKey::new(record.clone());
        insert.owner_limit = owner_limit;
        match self.inner.store.insert(insert).await {
            Ok(()) => Ok(Arc::new(record)),
            Err(error) => {
                let exists = matches!(error, StoreError::AlreadyExists);
                let error = LifecycleError::from(error);
                self.inner
                    .trail
                    .record_failure(kind, actor, &record, now, &error)
                    .await;
                Err(if exists {
                    StoreFailure::AlreadyExists
                } else {
                    StoreFailure::Other(error)
                })
            }
        }
    }
}

/// Why a new record was not stored.
pub(super) enum StoreFailure {
    AlreadyExists,
    Other(LifecycleError),
}

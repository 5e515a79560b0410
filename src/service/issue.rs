use std::sync::Arc;

use zeroize::Zeroizing;

use super::clearance::Clearance;
use super::trail::Told;
use super::{Actor, IssueKey, IssuedKey, KeyService, LifecycleError, validate};
use crate::audit::AuditKind;
use crate::hash::{Lane, Overloaded, SecretOrigin};
use crate::key::{Credential, GeneratedKey, KeyId, KeyKind, KeyRecord};
use crate::second_factor::FactorOperation;
use crate::store::{AuditedError, StoreError};
use crate::time::Timestamp;

/// With 71 bits an id is drawn twice once in ages; more than a few times in a row means the generator is broken.
const DRAWS: usize = 3;

impl KeyService {
    /// Issues a key.
    ///
    /// The audit event is durable before the record is stored, or stored with it; if it cannot be written, nothing is
    /// stored.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::NotPermitted`], [`LifecycleError::BeyondActor`], [`LifecycleError::ExceedsActor`]: the actor
    ///   is a key and may not issue this one;
    /// * [`LifecycleError::NotPublishable`]: the key is publishable and would hold what the policy does not publish;
    /// * [`LifecycleError::Rule`], [`LifecycleError::SecondFactor`]: one of the [issuing rules](super::IssuePolicy) is
    ///   not kept;
    /// * [`LifecycleError::Invalid`]: a text too long or empty, an unknown tier or role, an ill-formed scope, an expiry
    ///   that has passed, a kind that the format does not make;
    /// * [`LifecycleError::OwnerLimit`]: the owner has too many active keys;
    /// * [`LifecycleError::Audit`], [`LifecycleError::Overloaded`], [`LifecycleError::Unavailable`]: out of order.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave a stored key whose plaintext nobody has: revoke it by its id, which the event names. Unless
    /// the store keeps the trail, it may also leave an audit event of a key that was never stored.
    pub async fn issue(
        &self,
        actor: &Actor,
        request: IssueKey,
    ) -> Result<IssuedKey, LifecycleError> {
        let now = self.inner.clock.now();
        let request = self.with_defaults(request);
        validate::issue(&request, &self.inner, now)?;
        let cleared = self
            .clear_issue(actor, &request, AuditKind::KeyCreated, now)
            .await?;
        for _ in 0..DRAWS {
            let generated = self.draw(request.kind)?;
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
                    &cleared,
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
                let reach = request.reach(environment, now);
                let enclosed = actor.encloses(&self.inner.policy, &self.inner.limits, &reach);
                enclosed.and_then(|()| self.check_rules(&actor, request, now))
            }
            Err(error) => Err(error),
        };
        self.note_refusal(kind, actor, None, outcome.as_ref().err());
        outcome
    }

    /// What the rules say where the request says nothing.
    pub(super) fn with_defaults(&self, request: IssueKey) -> IssueKey {
        let rules = self.rules_for(&request.subject());
        request.with_defaults(&rules)
    }

    /// Spends the actor's code, if one is needed, after everything that can be refused without it.
    pub(super) async fn clear_issue(
        &self,
        actor: &Actor,
        request: &IssueKey,
        kind: AuditKind,
        now: Timestamp,
    ) -> Result<Clearance, LifecycleError> {
        self.may_issue(actor, request, kind, now).await?;
        let is_needed = self.needs_factor(actor, &request.subject());
        self.clear(actor, FactorOperation::new(kind), is_needed)
            .await
    }

    fn check_rules(
        &self,
        actor: &Actor,
        request: &IssueKey,
        now: Timestamp,
    ) -> Result<(), LifecycleError> {
        let rules = self.rules_for(&request.subject());
        self.inner.policy.check_publishable(&request.subject())?;
        rules.check_justification(request.justification.as_deref())?;
        rules.check_networks(request.networks.as_ref())?;
        rules.check_lifetime(now, request.expiry.moment(now))?;
        if self.needs_factor(actor, &request.subject()) {
            self.check_askable(actor)?;
        }
        Ok(())
    }

    fn draw(&self, kind: KeyKind) -> Result<GeneratedKey, LifecycleError> {
        self.inner
            .format
            .generate_kind(kind, &*self.inner.random)
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

    /// Stores a new record, its event first or with it.
    pub(super) async fn store_new(
        &self,
        actor: &Actor,
        record: KeyRecord,
        owner_limit: Option<u32>,
        cleared: &Clearance,
        kind: AuditKind,
        now: Timestamp,
    ) -> Result<Arc<KeyRecord>, StoreFailure> {
        let is_needed = self.needs_factor(actor, &record.subject());
        self.check_cleared(cleared, actor, FactorOperation::new(kind), is_needed)
            .map_err(StoreFailure::Other)?;
        let mut details = self.granted(&record, None);
        details.extend(cleared.details());
        let new = self.inner.records.ready_new(record, owner_limit);
        let new = new.map_err(|error| StoreFailure::Other(LifecycleError::unavailable(error)))?;
        let told = Told {
            kind,
            actor,
            record: new.record(),
            now,
            details: &details,
        };
        let stored = if self.inner.records.keep_the_trail() {
            self.insert_together(&new, told).await
        } else {
            let recorded = self.inner.trail.record(told).await;
            recorded.map_err(|error| StoreFailure::Other(LifecycleError::Audit(error)))?;
            let stored = self.inner.records.insert(&new).await;
            stored.map_err(AuditedError::Store)
        };
        let Err(error) = stored else {
            return Ok(Arc::new(new.record().clone()));
        };
        let exists = matches!(error, AuditedError::Store(StoreError::AlreadyExists));
        let error = LifecycleError::from(error);
        let told = Told {
            details: &[],
            ..told
        };
        self.tell_failure(told, &error).await;
        Err(if exists {
            StoreFailure::AlreadyExists
        } else {
            StoreFailure::Other(error)
        })
    }
}

/// Why a new record was not stored.
pub(super) enum StoreFailure {
    AlreadyExists,
    Other(LifecycleError),
}

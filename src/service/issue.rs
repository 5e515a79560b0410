use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::actor::Reach;
use super::{Actor, KeyService, LifecycleError, validate};
use crate::access::{Grant, Scope, Subject, TenantBinding};
use crate::audit::AuditKind;
use crate::hash::{Lane, Overloaded, SecretOrigin};
use crate::key::{
    Credential, Environment, GeneratedKey, KeyId, KeyRecord, Metadata, Networks, OwnerId,
    SecretKey, Thumbprint,
};
use crate::store::{InsertKey, StoreError};
use crate::time::Timestamp;

/// With 71 bits an id is drawn twice once in ages; more than a few times in a row means the generator is broken.
const DRAWS: usize = 3;

/// What a new key is to be.
///
/// ```
/// use std::time::Duration;
/// use keyward::access::Grant;
/// use keyward::service::IssueKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = IssueKey::new("acme".parse()?, "nightly import", Grant::try_scopes(["leads:read".parse()?])?)
///     .with_tier("pro")
///     .with_lifetime(Duration::from_secs(90 * 24 * 3600));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct IssueKey {
    pub(super) owner: OwnerId,
    pub(super) name: String,
    pub(super) grant: Grant,
    pub(super) tenant: TenantBinding,
    pub(super) description: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) denied: Vec<Scope>,
    pub(super) networks: Option<Networks>,
    pub(super) certificate: Option<Thumbprint>,
    pub(super) metadata: Metadata,
    pub(super) justification: Option<String>,
    pub(super) expiry: Expiry,
    pub(super) owner_limit: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expiry {
    Never,
    After(Duration),
    At(Timestamp),
}

impl Expiry {
    pub(super) fn moment(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(lifetime) => Some(now.saturating_add(lifetime)),
            Self::At(moment) => Some(moment),
        }
    }
}

impl IssueKey {
    /// Returns the request for a key of `owner` with that grant: bound to no tenant, without expiry, in the default tier.
    pub fn new(owner: OwnerId, name: impl Into<String>, grant: Grant) -> Self {
        Self {
            owner,
            name: name.into(),
            grant,
            tenant: TenantBinding::None,
            description: None,
            tier: None,
            denied: Vec::new(),
            networks: None,
            certificate: None,
            metadata: Metadata::default(),
            justification: None,
            expiry: Expiry::Never,
            owner_limit: None,
        }
    }

    /// Binds the key to a tenant, or to the platform as a whole.
    pub fn with_tenant(mut self, tenant: TenantBinding) -> Self {
        self.tenant = tenant;
        self
    }

    /// Says what the key is for. At most 1024 bytes.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the tier; it must be one of the service's.
    pub fn with_tier(mut self, tier: impl Into<String>) -> Self {
        self.tier = Some(tier.into());
        self
    }

    /// Takes scopes away from whatever the grant gives.
    pub fn with_denied(mut self, denied: impl IntoIterator<Item = Scope>) -> Self {
        self.denied = denied.into_iter().collect();
        self
    }

    /// Binds the key to networks. An empty list allows nobody.
    pub fn with_networks(mut self, networks: Networks) -> Self {
        self.networks = Some(networks);
        self
    }

    /// Binds the key to a client certificate.
    pub fn with_certificate(mut self, certificate: Thumbprint) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Adds the application's own facts.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Says why the key is needed. At most 1024 bytes.
    pub fn with_justification(mut self, justification: impl Into<String>) -> Self {
        self.justification = Some(justification.into());
        self
    }

    /// Lets the key end that long after it is issued.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::After(lifetime);
        self
    }

    /// Lets the key end at that moment.
    pub fn with_expiry(mut self, moment: Timestamp) -> Self {
        self.expiry = Expiry::At(moment);
        self
    }

    /// Refuses when the owner has `limit` active keys already, counted in the same step as the insert.
    pub fn with_owner_limit(mut self, limit: u32) -> Self {
        self.owner_limit = Some(limit);
        self
    }

    /// Returns what the ceiling of the actor is held against.
    fn reach(&self, environment: Environment, now: Timestamp) -> Reach<'_> {
        Reach {
            subject: Subject::new(&self.grant, &self.denied, &self.tenant),
            expires_at: self.expiry.moment(now),
            networks: self.networks.as_ref(),
            environment,
        }
    }

    /// Returns the record that is to be stored.
    pub(super) fn to_record(
        &self,
        id: KeyId,
        environment: &Environment,
        credential: Credential,
        actor: &Actor,
        now: Timestamp,
    ) -> KeyRecord {
        let mut record = KeyRecord::new(
            id,
            *environment,
            self.owner.clone(),
            self.name.clone(),
            self.grant.clone(),
            credential,
            now,
            actor.reference().clone(),
        );
        record.tenant = self.tenant.clone();
        record.description.clone_from(&self.description);
        record.tier.clone_from(&self.tier);
        record.denied.clone_from(&self.denied);
        record.networks.clone_from(&self.networks);
        record.certificate = self.certificate;
        record.metadata = self.metadata.clone();
        record.justification.clone_from(&self.justification);
        record.expires_at = self.expiry.moment(now);
        record
    }
}

/// A new plaintext, and the record of its key. The plaintext is nowhere else and cannot be had again.
#[must_use = "the plaintext exists only here"]
pub struct IssuedKey {
    key: SecretKey,
    hint: String,
    record: Arc<KeyRecord>,
}

impl IssuedKey {
    pub(super) const fn new(key: SecretKey, hint: String, record: Arc<KeyRecord>) -> Self {
        Self { key, hint, record }
    }

    /// Returns the plaintext, to be shown to its owner once.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns the form for lists: `pm_live_…a1B2`.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Returns what was stored.
    #[must_use]
    pub const fn record(&self) -> &Arc<KeyRecord> {
        &self.record
    }

    /// Returns the plaintext and drops the rest.
    #[must_use]
    pub fn into_key(self) -> SecretKey {
        self.key
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey")
            .field("key", &self.key)
            .field("id", &self.record.id)
            .finish_non_exhaustive()
    }
}

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
                Err(StoreFailure::Other(error)) => return Err(error),
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
                actor.encloses(&self.inner.policy, &request.reach(environment, now))
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
            .record(kind, actor, &record, now, &[])
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

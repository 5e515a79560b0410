//! The service that ties the seams together.
//!
//! [`KeyService`] is what an application holds: it issues keys, verifies them on every request, decides what they may
//! do, holds them to their limits, rotates and revokes them, and writes down what happened. Build one with
//! [`KeyService::builder`] and share its clones.

mod actor;
mod admit;
mod assemble;
mod audit_log;
mod authorize;
mod binding;
mod builder;
mod change;
mod charges;
mod clearance;
mod context;
mod counters;
mod damage;
mod error;
mod fresh;
mod gate;
mod granted;
mod import;
mod improve;
mod issue;
mod issued;
mod leak;
mod limit;
mod lookup;
mod notices;
mod outage;
mod owners;
mod prove;
#[cfg(all(test, keyward_shuttle))]
mod races;
mod records;
mod rejection;
mod request;
mod retention;
mod retire;
mod revoke_many;
mod rotate;
mod rotation;
mod rules;
mod switch;
mod together;
mod trail;
mod update;
mod usage;
mod validate;
mod verified;
mod verify;

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

pub use actor::Actor;
pub use assemble::BuildError;
pub use binding::{BindingFault, BindingPage, BoundPage};
pub use builder::{DangerousBuilder, KeyServiceBuilder};
pub use context::RequestContext;
pub use counters::ServiceCounters;
pub use error::LifecycleError;
pub use gate::FailureBudget;
pub use import::ImportKey;
pub use issued::IssuedKey;
pub use leak::{
    ExposureAction, ExposureOutcome, ExposurePolicy, LeakFindings, LeakOutcome, LeakReceipt,
    LeakedTokens,
};
pub use limit::{LimitError, LimitPlan, UnknownTier};
pub use lookup::Review;
pub use notices::{
    NoticeReport, NoticeRunError, Notices, NoticesBuilder, NoticesError, UnsentNotice,
};
pub use owners::OwnerStatus;
pub use records::RowBindingMode;
pub use rejection::{Face, Rejection, VerifyError};
pub use request::IssueKey;
pub use revoke_many::{RevokeMany, RevokeManyError, RevokedBatch, RevokedMany};
pub use rotate::Rotation;
pub use rotation::{
    Retirement, RetirementReason, RotationAge, RotationPolicy, RotationPolicyBuilder,
    RotationPolicyError,
};
pub use rules::{
    DangerousIssuePolicyBuilder, IssuePolicy, IssuePolicyBuilder, IssuePolicyError, IssueRule,
    IssueRules,
};
pub use switch::Revoked;
pub use update::{Field, UpdateKey};
pub use verified::VerifiedKey;

use crate::access::AccessPolicy;
use crate::audit::{AuditCounters, AuditError, AuditLog, AuditRecorder};
use crate::hash::{
    HashError, HashPool, HashPoolStats, Hashing, ProofMemory, ProofMemoryStats, SingleFlight,
};
use crate::key::{KeyFormat, KeyId};
use crate::random::SecureRandom;
use crate::rate_limit::RateLimiter;
use crate::second_factor::SecondFactor;
use crate::store::{AuditedStore, KeyStore, StoreError};
use crate::time::Clock;

/// A proof that was not asked for in a whole day may cost a slow hash when it is.
const SWEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// API keys for one service: issue, verify, authorise, limit, rotate, revoke, and a trail of it all.
///
/// Clones are cheap and share everything. Call [`KeyService::shutdown`] before the process ends, or the last few
/// seconds of usage and audit may be missing.
#[derive(Clone)]
pub struct KeyService {
    inner: Arc<Inner>,
}

struct Inner {
    records: records::Records,
    format: KeyFormat,
    hashing: Arc<Hashing>,
    pool: HashPool,
    proofs: ProofMemory,
    flights: SingleFlight<Result<bool, HashError>>,
    policy: AccessPolicy,
    rules: IssuePolicy,
    rotation: RotationPolicy,
    second_factor: Option<Arc<dyn SecondFactor>>,
    limits: LimitPlan,
    limiter: Arc<dyn RateLimiter>,
    gate: Option<gate::FailureGate>,
    trail: trail::Trail,
    log: Option<Arc<dyn AuditLog>>,
    owners: Option<Arc<dyn OwnerStatus>>,
    outages: outage::OutageReporter,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
    usage: usage::UsageLog,
    settings: builder::Settings,
    /// Who acts when the service itself ends a secret.
    itself: Actor,
    counters: counters::Counters,
    /// Keys whose expiry was written down, so that it is written once.
    expired: Mutex<HashSet<KeyId>>,
    improving: Arc<Semaphore>,
    overdue: improve::Overdue,
    /// Held while a string of a leak report pays a slow hash.
    leaks: tokio::sync::Mutex<()>,
    /// Whose keys, seen in the wrong place, are being looked at.
    sightings: Arc<leak::Sightings>,
    /// Held while an old secret is ended at its successor's first use.
    retiring: retire::Retiring,
    runtime: Handle,
    /// Dropped with the service, which ends its background task.
    _alive: oneshot::Sender<Infallible>,
}

/// The service could not write down everything before it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Last uses were not taken by the store.
    #[error("the last uses could not be written")]
    Usage(#[source] StoreError),
    /// Audit events were not taken by the sink.
    #[error("the audit trail could not be written to its end")]
    Audit(#[source] AuditError),
}

impl KeyService {
    /// Returns a builder over a store.
    pub fn builder(store: impl KeyStore) -> KeyServiceBuilder {
        KeyServiceBuilder::new(Arc::new(store))
    }

    /// Returns a builder over a store that keeps the audit trail as well, so that the event of an operation on a key exists
    /// if and only if the change does. All other events go to the store's sink.
    ///
    /// ```
    /// use keyward::KeyService;
    /// # #[cfg(feature = "sqlite")]
    /// use keyward::store::SqliteStore;
    ///
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let store = SqliteStore::in_memory().await?.with_audit("api-1").await?;
    /// let keys = KeyService::builder_audited(store).build()?;
    /// keys.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder_audited(store: impl AuditedStore) -> KeyServiceBuilder {
        KeyServiceBuilder::audited(Arc::new(store))
    }

    /// Returns the roles.
    #[must_use]
    pub fn policy(&self) -> &AccessPolicy {
        &self.inner.policy
    }

    /// Returns the key format.
    #[must_use]
    pub fn format(&self) -> &KeyFormat {
        &self.inner.format
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Returns the recorder of the audit trail, for events of the application's own.
    #[must_use]
    pub fn recorder(&self) -> &AuditRecorder {
        self.inner.trail.recorder()
    }

    /// Returns what went wrong beside the requests.
    #[must_use]
    pub fn counters(&self) -> ServiceCounters {
        self.inner.counters.read()
    }

    /// Returns how the audit trail is doing, dropped events among it.
    #[must_use]
    pub fn audit_counters(&self) -> AuditCounters {
        self.inner.trail.recorder().counters()
    }

    /// Returns how the hash pool is doing.
    #[must_use]
    pub fn hash_stats(&self) -> HashPoolStats {
        self.inner.pool.stats()
    }

    /// Returns how the memory of proofs is doing. Keys it has no room for pay the slow hash each time.
    #[must_use]
    pub fn proof_stats(&self) -> ProofMemoryStats {
        self.inner.proofs.stats()
    }

    /// Forgets every proof, so that each key pays its hash, or its stored proof, once more: after a pepper was taken out
    /// of service, say. Nothing depends on it but time.
    pub fn forget_proofs(&self) {
        self.inner.proofs.forget_all();
    }

    /// Writes the last uses noted so far.
    ///
    /// # Errors
    ///
    /// What the store did not take; it is kept for the next time.
    ///
    /// # Cancel safety
    ///
    /// What was not written when the future is dropped is kept for the next time.
    pub async fn flush_usage(&self) -> Result<(), StoreError> {
        let written = self.inner.usage.flush(&self.inner.records).await;
        written.inspect_err(|error| {
            self.inner.counters.usage_write_failed();
            self.report_outage("usage", error);
        })
    }

    /// Writes everything that is still in memory: last uses and audit events. The trail is closed afterwards, and a
    /// life-cycle operation fails, unless the store keeps the trail itself.
    ///
    /// # Errors
    ///
    /// [`ShutdownError`]; both parts are tried in any case.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        let usage = self.flush_usage().await;
        let audit = self.inner.trail.recorder().shutdown().await;
        usage.map_err(ShutdownError::Usage)?;
        audit.map_err(ShutdownError::Audit)
    }

    /// Returns whether both are clones of one service.
    #[cfg(feature = "tower")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    fn start(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Writes last uses now and then, for as long as anybody holds the service.
    /// And once a day makes room for proofs of keys that nobody has used since.
    fn keep_house_every(&self, interval: Duration, mut gone: oneshot::Receiver<Infallible>) {
        let weak: Weak<Inner> = Arc::downgrade(&self.inner);
        self.inner.runtime.spawn(async move {
            let mut swept = Instant::now();
            while tokio::time::timeout(interval, &mut gone).await.is_err() {
                let Some(inner) = weak.upgrade() else { return };
                if swept.elapsed() >= SWEEP {
                    swept = Instant::now();
                    let _ = inner.proofs.forget_idle();
                }
                // A failure is counted, and what was not written is in the next batch.
                drop(Self { inner }.flush_usage().await);
            }
        });
    }
}

impl fmt::Debug for KeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyService")
            .field("store", self.inner.records.store())
            .finish_non_exhaustive()
    }
}

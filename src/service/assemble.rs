use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::builder::{KeyServiceBuilder, Settings};
use super::counters::Counters;
use super::gate::{FailureBudget, FailureGate};
use super::improve::Overdue;
use super::records::Records;
use super::retire::Retiring;
use super::trail::Trail;
use super::usage::UsageLog;
use super::{Actor, Inner, KeyService, LimitPlan, UnknownTier};
use crate::access::{AccessPolicy, NameError, Permission, RoleName};
use crate::audit::{
    AuditError, AuditObserver, AuditRecorder, AuditRecorderBuilder, AuditSink, MemorySink,
};
use crate::hash::{HashBuildError, HashPool, Hashing, ProofMemory, SingleFlight};
use crate::key::{FactError, KeyFormat, KeyFormatError};
use crate::random::RandomError;
use crate::rate_limit::{MAX_CHARGES, MemoryRateLimiter, Quota, QuotaError};

/// Why a service could not be built. Each of these is a mistake in configuration, or a broken generator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `build` must run inside a tokio runtime: usage and audit are written by tasks of it.
    #[error("no tokio runtime")]
    NoRuntime,
    /// More quotas can meet in one request than a limiter takes at once.
    #[error("{count} quotas can meet in one request, more than {MAX_CHARGES}")]
    TooManyQuotas {
        /// How many can meet.
        count: usize,
    },
    /// There are observers besides a recorder of the application's own, which they would have to be given to.
    #[error("observers belong to the recorder that was given")]
    Observers,
    /// There is a sink besides that of a store which keeps the trail itself: part of the trail would lie elsewhere.
    #[error("the store keeps the audit trail; another sink was given")]
    TwoTrails,
    /// There are issuing rules for a role that the access policy does not know.
    #[error("there are issuing rules for role `{role}`, which is unknown")]
    IssueRole {
        /// The role.
        role: RoleName,
    },
    /// There is a rotation age for a role that the access policy does not know.
    #[error("there is a rotation age for role `{role}`, which is unknown")]
    RotationRole {
        /// The role.
        role: RoleName,
    },
    /// The policy publishes the permission to manage keys: whoever reads a page with a key in it could make others.
    #[error("`{permission}` manages keys and is publishable")]
    PublishableManagement {
        /// The managing permission.
        permission: Permission,
    },
    /// An issuing rule limits the keys of an owner, and the store cannot count them in the same step as an insert.
    #[error("the store cannot hold an owner to a number of keys")]
    OwnerLimit,
    /// Rows are to be bound, and there is no pepper to bind them with.
    #[error("row binding needs a pepper")]
    RowBinding,
    /// The rotation age or the usage interval is zero.
    #[error("`{setting}` must not be zero")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
    /// The grace of an exposed secret is shorter than a second, or longer than
    /// [`ExposurePolicy::LONGEST_GRACE`](super::ExposurePolicy::LONGEST_GRACE).
    #[error("the grace of an exposed secret, {grace:?}, is not between a second and a week")]
    ExposureGrace {
        /// What was set.
        grace: Duration,
    },
    /// The key format was refused.
    #[error("the key format was refused")]
    Format(#[from] KeyFormatError),
    /// The hash set-up was refused.
    #[error("the hash set-up was refused")]
    Hash(#[from] HashBuildError),
    /// A built-in quota was refused.
    #[error("a quota was refused")]
    Quota(#[from] QuotaError),
    /// The audit recorder did not start.
    #[error("the audit recorder did not start")]
    Audit(#[from] AuditError),
    /// A built-in name was refused.
    #[error("a name was refused")]
    Name(#[from] FactError),
    /// A built-in permission was refused.
    #[error("a permission was refused")]
    Permission(#[from] NameError),
    /// A built-in tier was refused.
    #[error("a tier was refused")]
    Tier(#[from] UnknownTier),
    /// The operating system gave no thread for the hash pool.
    #[error("no thread for slow hashes")]
    Thread(#[from] std::io::Error),
    /// The source of randomness failed.
    #[error("no randomness")]
    Random(#[from] RandomError),
}

/// What the in-memory trail keeps when no sink is set: enough to look at, and bounded.
const DEFAULT_TRAIL: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

impl KeyServiceBuilder {
    /// Checks everything and starts the service.
    ///
    /// # Errors
    ///
    /// [`BuildError`]; nothing is left running then.
    pub fn build(self) -> Result<KeyService, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        self.check()?;
        let manage = unpublished(self.manage, &self.policy)?;
        let limits = match self.limits {
            Some(plan) => plan,
            None => LimitPlan::standard()?,
        };
        let count = limits.most_charges();
        if count > MAX_CHARGES {
            return Err(BuildError::TooManyQuotas { count });
        }
        let capacity = self.proof_capacity.unwrap_or(ProofMemory::DEFAULT_CAPACITY);
        let proofs = ProofMemory::with_capacity(capacity, &*self.random)?;
        let gate = match (self.failure_budget, self.no_failure_budget) {
            (_, true) => None,
            (Some(budget), false) => Some(budget),
            (None, false) => Some(usual_budget()?),
        };
        let kept = self.together.as_ref().and_then(|store| store.log());
        let mut log = self.log.or(kept);
        let own = self.together.as_ref().map(|store| store.sink());
        let recorder = match (self.recorder, own.or(self.sink)) {
            (Some(recorder), _) => recorder,
            (None, Some(sink)) => start_recorder(sink, self.observers)?,
            (None, None) => {
                let memory = Arc::new(MemorySink::bounded(DEFAULT_TRAIL));
                log.get_or_insert(Arc::<MemorySink>::clone(&memory));
                start_recorder(memory, self.observers)?
            }
        };
        let settings = Settings {
            strict: self.strict,
            audit_successes: self.audit_successes,
            manage,
            rotation_age: self.rotation_age,
            exposure: self.exposure,
        };
        let hashing = Arc::new(self.hashing.unwrap_or_default());
        let records = Records::new(
            self.store,
            self.together,
            Arc::clone(&hashing),
            self.row_binding,
        );
        let (alive, gone) = oneshot::channel();
        let service = KeyService::start(Inner {
            records,
            format: self
                .format
                .map_or_else(|| KeyFormat::builder().build(), Ok)?,
            hashing,
            pool: self.pool.map_or_else(|| HashPool::builder().build(), Ok)?,
            proofs,
            flights: SingleFlight::new(),
            policy: self.policy,
            rules: self.rules,
            rotation: self.rotation,
            second_factor: self.second_factor,
            limits,
            limiter: self
                .limiter
                .unwrap_or_else(|| Arc::new(MemoryRateLimiter::new())),
            gate: gate.map(|budget| FailureGate::new(MemoryRateLimiter::new(), budget)),
            trail: Trail::new(recorder),
            log,
            owners: self.owners,
            outages: self.outages,
            clock: self.clock,
            random: self.random,
            usage: UsageLog::new(),
            settings,
            itself: Actor::itself()?,
            counters: Counters::default(),
            expired: Mutex::default(),
            improving: Arc::new(Semaphore::new(1)),
            overdue: Overdue::default(),
            leaks: tokio::sync::Mutex::new(()),
            sightings: Arc::default(),
            retiring: Retiring::default(),
            runtime,
            _alive: alive,
        });
        service.keep_house_every(self.usage_interval, gone);
        Ok(service)
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.recorder.is_some() && !self.observers.is_empty() {
            return Err(BuildError::Observers);
        }
        if self.together.is_some() && self.sink.is_some() {
            return Err(BuildError::TwoTrails);
        }
        let has_peppers = self.hashing.as_ref().is_some_and(Hashing::has_peppers);
        if self.row_binding.is_some() && !has_peppers {
            return Err(BuildError::RowBinding);
        }
        let unknown = |role: &&RoleName| self.policy.role(role).is_none();
        if let Some(role) = self.rules.roles().find(unknown) {
            return Err(BuildError::IssueRole { role: role.clone() });
        }
        if let Some(role) = self.rotation.roles().find(unknown) {
            return Err(BuildError::RotationRole { role: role.clone() });
        }
        if self.rules.limits_owners() && !self.store.capabilities().owner_limit {
            return Err(BuildError::OwnerLimit);
        }
        self.exposure.check()?;
        for (setting, span) in [
            ("rotation_age", self.rotation_age),
            ("usage_interval", self.usage_interval),
        ] {
            if span.is_zero() {
                return Err(BuildError::Zero { setting });
            }
        }
        Ok(())
    }
}

fn unpublished(
    manage: Option<Permission>,
    policy: &AccessPolicy,
) -> Result<Permission, BuildError> {
    let permission = manage.map_or_else(|| "manage_keys".parse(), Ok)?;
    if policy.publishes(&permission) {
        return Err(BuildError::PublishableManagement { permission });
    }
    Ok(permission)
}

fn start_recorder(
    sink: Arc<dyn AuditSink>,
    observers: Vec<Arc<dyn AuditObserver>>,
) -> Result<AuditRecorder, AuditError> {
    observers
        .into_iter()
        .fold(AuditRecorder::builder(sink), AuditRecorderBuilder::observer)
        .start()
}

/// A person who mistypes a key a few times is not held up; a script that guesses is, after a fraction of a second.
fn usual_budget() -> Result<FailureBudget, QuotaError> {
    let per_address = Quota::per_minute(10)?
        .with_burst(20)?
        .named("failures_ip")?;
    let per_key = Quota::per_minute(5)?
        .with_burst(10)?
        .named("failures_key")?;
    Ok(FailureBudget::new(per_address, per_key))
}

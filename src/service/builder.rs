use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::gate::FailureBudget;
use super::outage::OutageReporter;
use super::{ExposurePolicy, IssuePolicy, LimitPlan, OwnerStatus, RotationPolicy, RowBindingMode};
use crate::access::{AccessPolicy, Permission};
use crate::audit::{AuditLog, AuditObserver, AuditRecorder, AuditSink};
use crate::hash::{HashPool, Hashing};
use crate::key::KeyFormat;
use crate::random::{OsRandom, SecureRandom};
use crate::rate_limit::RateLimiter;
use crate::second_factor::SecondFactor;
use crate::store::{AuditedStore, KeyStore};
use crate::time::{Clock, SystemClock};

/// 90 days, the age at which the common rule books want a secret changed.
const ROTATION_AGE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A last use that is five seconds late tells as much as one that is not, and costs a busy key one write instead of
/// thousands.
const USAGE_INTERVAL: Duration = Duration::from_secs(5);

/// What a service remembers of its builder.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) strict: bool,
    pub(super) audit_successes: bool,
    pub(super) manage: Permission,
    pub(super) rotation_age: Duration,
    pub(super) exposure: ExposurePolicy,
}

/// The parts of a [`KeyService`](super::KeyService). Every part but the store has a default; `docs/defaults.md` has the reasons.
///
/// ```
/// use keyward::audit::MemorySink;
/// use keyward::service::KeyService;
/// use keyward::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = KeyService::builder(MemoryStore::new()).audit(MemorySink::unbounded()).build()?;
/// service.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct KeyServiceBuilder {
    pub(super) store: Arc<dyn KeyStore>,
    pub(super) together: Option<Arc<dyn AuditedStore>>,
    pub(super) format: Option<KeyFormat>,
    pub(super) hashing: Option<Hashing>,
    pub(super) pool: Option<HashPool>,
    pub(super) proof_capacity: Option<usize>,
    pub(super) policy: AccessPolicy,
    pub(super) rules: IssuePolicy,
    pub(super) rotation: RotationPolicy,
    pub(super) second_factor: Option<Arc<dyn SecondFactor>>,
    pub(super) limits: Option<LimitPlan>,
    pub(super) limiter: Option<Arc<dyn RateLimiter>>,
    pub(super) failure_budget: Option<FailureBudget>,
    pub(super) no_failure_budget: bool,
    pub(super) recorder: Option<AuditRecorder>,
    pub(super) sink: Option<Arc<dyn AuditSink>>,
    pub(super) log: Option<Arc<dyn AuditLog>>,
    pub(super) observers: Vec<Arc<dyn AuditObserver>>,
    pub(super) owners: Option<Arc<dyn OwnerStatus>>,
    pub(super) outages: OutageReporter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn SecureRandom>,
    pub(super) usage_interval: Duration,
    pub(super) manage: Option<Permission>,
    pub(super) rotation_age: Duration,
    pub(super) exposure: ExposurePolicy,
    pub(super) strict: bool,
    pub(super) audit_successes: bool,
    pub(super) row_binding: Option<RowBindingMode>,
}

impl KeyServiceBuilder {
    pub(super) fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            store,
            together: None,
            format: None,
            hashing: None,
            pool: None,
            proof_capacity: None,
            policy: AccessPolicy::default(),
            rules: IssuePolicy::default(),
            rotation: RotationPolicy::default(),
            second_factor: None,
            limits: None,
            limiter: None,
            failure_budget: None,
            no_failure_budget: false,
            recorder: None,
            sink: None,
            log: None,
            observers: Vec::new(),
            owners: None,
            outages: OutageReporter::default(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom::new()),
            usage_interval: USAGE_INTERVAL,
            manage: None,
            rotation_age: ROTATION_AGE,
            exposure: ExposurePolicy::default(),
            strict: false,
            audit_successes: true,
            row_binding: None,
        }
    }

    pub(super) fn audited(store: Arc<dyn AuditedStore>) -> Self {
        Self {
            together: Some(Arc::clone(&store)),
            ..Self::new(store)
        }
    }

    /// Sets prefix, environment, shapes and tags of keys; `pm_live_…` in the standard shape otherwise.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets schemes and peppers; bcrypt-12 without a pepper otherwise.
    pub fn hashing(mut self, hashing: Hashing) -> Self {
        self.hashing = Some(hashing);
        self
    }

    /// Sets the threads that run slow hashes; half the cores, at least one, otherwise.
    pub fn hash_pool(mut self, pool: HashPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Sets how many keys' proofs are remembered; 65 536 otherwise. A full memory makes further keys pay the slow hash
    /// each time: set it above the number of keys in use.
    pub const fn proof_capacity(mut self, keys: usize) -> Self {
        self.proof_capacity = Some(keys);
        self
    }

    /// Sets the roles; none otherwise, so that only scopes grant anything.
    pub fn policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the rules for issuing keys; otherwise only those for keys that can manage keys, which need a justification
    /// and a second factor.
    pub fn issue_policy(mut self, rules: IssuePolicy) -> Self {
        self.rules = rules;
        self
    }

    /// Sets who judges second factors; nobody otherwise. Without one, people and keys cannot issue keys that can manage
    /// keys, and [`Actor::system`](super::Actor::system) can.
    pub fn second_factor(mut self, factor: impl SecondFactor) -> Self {
        self.second_factor = Some(Arc::new(factor));
        self
    }

    /// Sets the limits; the standard tiers with `starter` as default otherwise.
    pub fn limits(mut self, plan: LimitPlan) -> Self {
        self.limits = Some(plan);
        self
    }

    /// Sets who counts requests; the process's memory otherwise.
    pub fn limiter(mut self, limiter: impl RateLimiter) -> Self {
        self.limiter = Some(Arc::new(limiter));
        self
    }

    /// Sets the budget of failed attempts; a burst of 20 and ten a minute per address, a burst of 10 and five a minute
    /// per key id otherwise.
    pub fn failure_budget(mut self, budget: FailureBudget) -> Self {
        self.failure_budget = Some(budget);
        self
    }

    /// Sets where audit events go; the process's memory, bounded, otherwise. A store that keeps the trail has a sink of its
    /// own, and `build` refuses another.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Sets where [`read_audit`](super::KeyService::read_audit) and [`export_audit`](super::KeyService::export_audit) read: the
    /// sink that is written to, usually. Otherwise in the trail that the store keeps, or in the memory that a service without a
    /// sink has, or nowhere.
    pub fn audit_log(mut self, log: impl AuditLog) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// Sets a recorder with its own queue, overflow policy and sink, instead of [`KeyServiceBuilder::audit`]. Over a store that
    /// keeps the trail, give it [that store's sink](AuditedStore::sink); events of changes do not pass through it.
    pub fn recorder(mut self, recorder: AuditRecorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Adds somebody who looks on while the trail is written, such as rules that raise alerts; nobody otherwise. With a
    /// [recorder](Self::recorder) of your own, add it there.
    pub fn observer(mut self, observer: impl AuditObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Leaves accepted keys out of the audit trail, for services whose requests are audited elsewhere.
    pub const fn without_success_events(mut self) -> Self {
        self.audit_successes = false;
        self
    }

    /// Sets the hook that tells whether an owner is still welcome; none otherwise.
    pub fn owner_status(mut self, owners: impl OwnerStatus) -> Self {
        self.owners = Some(Arc::new(owners));
        self
    }

    /// Calls `report` whenever a store, sink, limiter or hook is out of order, with the operation (`verify`, `limit`,
    /// `usage`, `change`, `issue`, `second_factor`) and the error and its causes. Clients only hear "try later", so this is where an operator
    /// sees why. It is called on the request path: log, and return.
    pub fn report_outages(
        mut self,
        report: impl Fn(&'static str, &(dyn Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.outages = OutageReporter::new(report);
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

    /// Sets how often last uses are written; five seconds otherwise.
    pub const fn usage_interval(mut self, interval: Duration) -> Self {
        self.usage_interval = interval;
        self
    }

    /// Sets the permission a key needs to manage other keys; `manage_keys` otherwise.
    pub fn manage_permission(mut self, permission: Permission) -> Self {
        self.manage = Some(permission);
        self
    }

    /// Sets the age from which reviews recommend a rotation; 90 days otherwise.
    pub const fn rotation_age(mut self, age: Duration) -> Self {
        self.rotation_age = age;
        self
    }

    /// Sets the ages at which secrets are refused; none otherwise. The recommended [age](Self::rotation_age) should be lower.
    pub fn rotation_policy(mut self, ages: RotationPolicy) -> Self {
        self.rotation = ages;
        self
    }

    /// Sets what becomes of a key that arrives in a URL or over plain HTTP; [marked](ExposurePolicy::Flag) otherwise.
    pub const fn exposure_policy(mut self, policy: ExposurePolicy) -> Self {
        self.exposure = policy;
        self
    }

    /// Pays the slow hash on every request: no proof is computed or kept. With bcrypt-12 a core then serves about three
    /// requests a second, and one valid key can fill it; requests of one key wait for each other.
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Binds each record to a pepper, so that one that was edited in the store is refused and reported; not otherwise. Every
    /// process on the store needs the same setting and the same peppers. `docs/row-binding.md` has the order of switching on.
    pub const fn row_binding(mut self, mode: RowBindingMode) -> Self {
        self.row_binding = Some(mode);
        self
    }

    /// Returns the settings that weaken the service.
    pub fn dangerous(self) -> DangerousBuilder {
        DangerousBuilder { builder: self }
    }
}

/// Settings that weaken the service. Each says what it gives up.
#[derive(Debug)]
#[must_use]
pub struct DangerousBuilder {
    builder: KeyServiceBuilder,
}

impl DangerousBuilder {
    /// Lets every address fail as often as it likes. For services behind something that throttles guessing itself.
    pub fn without_failure_budget(mut self) -> KeyServiceBuilder {
        self.builder.no_failure_budget = true;
        self.builder
    }
}

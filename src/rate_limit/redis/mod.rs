//! The limiter on Redis, for limits that several processes share.

mod call;
mod client;
mod connection;
mod fault;
mod groups;
mod key;
mod link;

use std::fmt;
use std::sync::Arc;

use self::key::KeyPrefix;
use super::{
    Answer, Charge, GuardedRateLimiter, MAX_CHARGES, Mode, OutagePolicy, RateLimitError,
    RateLimiter, Reply, TimeSource,
};
use crate::time::Timestamp;

pub use self::call::RedisCall;
pub use self::client::RedisClient;
pub use self::connection::{RedisConnectError, RedisConnection};

const DEFAULT_PREFIX: &str = "keyward";

/// A limiter on Redis: exact for any number of processes, in one round trip a call.
///
/// One script decides all charges of a call and takes all of them or none. It goes by the server's clock, so processes
/// need not agree on the time. A bucket is one integer under a key that expires at the moment at which the bucket is full
/// again: Redis holds what is owed now and nothing else, and nothing has to be swept. Answers are those of
/// [`MemoryRateLimiter`](super::MemoryRateLimiter), to the microsecond.
///
/// On its own it fails when Redis fails. [`guarded`](Self::guarded) gives it a deadline, a pause after repeated failures and
/// an [`OutagePolicy`]; a service wants that. Redis 6.2 or newer is needed.
///
/// ```no_run
/// use keyward::rate_limit::{
///     Charge, Mode, OutagePolicy, Quota, RateLimiterExt, RedisConnection, RedisRateLimiter, Subject,
/// };
/// use keyward::time::{Clock, SystemClock};
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = RedisConnection::connect("redis://:password@cache.internal:6379").await?;
/// let limiter = RedisRateLimiter::new(connection).guarded(OutagePolicy::Local);
///
/// let quota = Quota::per_minute(60)?;
/// let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota)];
/// let decision = limiter.check(&charges, Mode::Consume, SystemClock::new().now()).await?;
/// assert!(decision.is_allowed());
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// As the contract of [`RateLimiter`] says. With [`RedisTopology::Cluster`], a call on several subjects goes on after its reply
/// was dropped, so that what has been taken for a refused call is given back.
pub struct RedisRateLimiter {
    client: Arc<dyn RedisClient>,
    prefix: KeyPrefix,
    time: TimeSource,
    topology: RedisTopology,
}

/// Where the keys of one call may lie.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RedisTopology {
    /// On one server, so that one script reaches all of them. A replica and Sentinel beside it change nothing.
    #[default]
    OneServer,
    /// On the nodes of a cluster. Buckets of one subject are always on one node, those of different subjects are not.
    ///
    /// A call on several subjects becomes one script for each, at the same time. When one refuses or fails, those that
    /// have taken something give it back, exactly. What is weaker than the contract of [`RateLimiter`]:
    ///
    /// * for a moment others see, and may be refused because of, a part of a call that is then refused;
    /// * if Redis fails or the process ends in that moment, the part stays taken until time has paid it back;
    /// * a refund over several subjects that fails may have been carried out for some of them.
    ///
    /// No bucket ever gives out too much. Calls on one subject keep the whole contract.
    Cluster,
}

impl RedisRateLimiter {
    /// Returns a limiter on one server that goes by the server's clock, with keys that begin with `keyward`.
    pub fn new(client: impl RedisClient) -> Self {
        Self::builder(client).build()
    }

    /// Returns a builder that sets the rest.
    pub fn builder(client: impl RedisClient) -> RedisLimiterBuilder {
        RedisLimiterBuilder(Self {
            client: Arc::new(client),
            prefix: KeyPrefix::new(DEFAULT_PREFIX),
            time: TimeSource::Own,
            topology: RedisTopology::default(),
        })
    }

    /// Returns this limiter behind a deadline of 25 ms, a pause after repeated failures, and the policy for an outage.
    #[must_use]
    pub fn guarded(self, policy: OutagePolicy) -> GuardedRateLimiter {
        GuardedRateLimiter::new(self, policy)
    }

    fn call(&self, charges: &[Charge<'_>], mode: Mode, now: Timestamp) -> RedisCall {
        RedisCall::new(&self.prefix, charges, mode, self.time, now)
    }

    async fn at_once(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> Result<Answer, RateLimitError> {
        let numbers = self.client.eval(&self.call(charges, mode, now)).await?;
        let asked = charges.iter();
        let asked = asked.map(|charge| (charge.quota().bucket(), charge.cost()));
        Answer::new(call::cells(asked, mode, &numbers)?)
    }

    async fn in_groups(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> Result<Answer, RateLimitError> {
        let groups = groups::divide(charges, |mine| self.call(mine, mode, now));
        groups::apply(Arc::clone(&self.client), groups, mode).await
    }
}

impl RateLimiter for RedisRateLimiter {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        let [first, rest @ ..] = charges else {
            return Reply::ready(Answer::new([]));
        };
        if charges.len() > MAX_CHARGES {
            let count = charges.len();
            return Reply::ready(Err(RateLimitError::TooManyCharges { count }));
        }
        let of_one = || {
            rest.iter()
                .all(|charge| charge.subject() == first.subject())
        };
        if self.topology == RedisTopology::OneServer || of_one() {
            return Reply::pending(self.at_once(charges, mode, now));
        }
        Reply::pending(self.in_groups(charges, mode, now))
    }

    fn time_source(&self) -> TimeSource {
        self.time
    }
}

impl fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimiter")
            .field("client", &self.client)
            .field("topology", &self.topology)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`RedisRateLimiter`].
///
/// ```no_run
/// use keyward::rate_limit::{OutagePolicy, RedisConnection, RedisRateLimiter, RedisTopology};
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = RedisConnection::connect("redis://cache.internal:6379").await?;
/// let limiter = RedisRateLimiter::builder(connection)
///     .prefix("billing")
///     .topology(RedisTopology::Cluster)
///     .build()
///     .guarded(OutagePolicy::Local);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct RedisLimiterBuilder(RedisRateLimiter);

impl RedisLimiterBuilder {
    /// Sets what keys begin with (`keyward` unless set). Limiters of one prefix on one server share their buckets.
    ///
    /// Braces, spaces and whatever is not ASCII are written as `%` and two hex digits a byte.
    pub fn prefix(self, prefix: &str) -> Self {
        Self(RedisRateLimiter {
            prefix: KeyPrefix::new(prefix),
            ..self.0
        })
    }

    /// Sets whose clock counts: the server's ([`TimeSource::Own`]) unless set.
    ///
    /// [`TimeSource::Caller`] is for tests and simulations. Processes whose clocks differ would disagree on what is owed, and a
    /// key expires a day of the *server's* time after its bucket is due, however slowly the caller's time runs.
    pub fn time_source(self, time: TimeSource) -> Self {
        Self(RedisRateLimiter { time, ..self.0 })
    }

    /// Sets where keys lie: on one server unless set.
    pub fn topology(self, topology: RedisTopology) -> Self {
        Self(RedisRateLimiter { topology, ..self.0 })
    }

    /// Returns the limiter.
    #[must_use]
    pub fn build(self) -> RedisRateLimiter {
        self.0
    }
}

//! What happens to requests while the backend that counts them is down.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Answer, Charge, MemoryRateLimiter, Mode, RateLimitError, RateLimiter, Reply, Source, TimeSource,
};
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use crate::time::Timestamp;

/// The default time a backend has to answer: thirty times what a Redis on the same network takes under load.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(25);

/// Failures in a row after which the backend is left alone for a while.
const FAILURES_TO_OPEN: u32 = 5;

/// How long it is left alone before one request tries again.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// What happens to a request when the backend does not answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutagePolicy {
    /// It passes, and is counted: within the process for the headers, and in [`OutageCounts::allowed`].
    Allow,
    /// It is held to this process's part of the limits, counted in memory.
    #[default]
    Local,
    /// It is refused with the error, which a server reports as 503 and never as 429.
    Refuse,
}

/// How often a [`GuardedRateLimiter`] had to do without its backend, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutageCounts {
    /// Calls that passed under [`OutagePolicy::Allow`].
    pub allowed: u64,
    /// Calls that the backend failed to answer.
    pub failed: u64,
    /// Calls that were decided in memory under [`OutagePolicy::Local`].
    pub local: u64,
    /// Calls that were refused under [`OutagePolicy::Refuse`].
    pub refused: u64,
}

/// A limiter that does not fall with its backend.
///
/// It gives the backend a deadline. When the backend fails five times in a row it is left alone for a second at a time, so
/// that no request waits for a reconnect; then one request tries it again. Meanwhile, and for each single failure, the
/// [`OutagePolicy`] decides. A charge that timed out may have been counted by the backend; it is not repeated there.
///
/// Under [`OutagePolicy::Local`] this process holds every subject to its part of the limit: with three processes
/// ([`with_nodes`](Self::with_nodes)) and 300 a minute, to 100 a minute, and the headers say so. The memory starts empty with each
/// process, not with each outage.
///
/// [`Answer::source`] tells who answered. Errors that are the caller's fault are passed on and count as no outage.
///
/// The deadline needs a tokio runtime with its timer enabled, and only for backends whose reply is not there at once.
///
/// ```
/// use keyward::rate_limit::{
///     Answer, Charge, GuardedRateLimiter, Mode, OutagePolicy, Quota, RateLimitError, RateLimiter, RateLimiterExt, Reply,
///     Source, Subject, TimeSource,
/// };
/// use keyward::time::Timestamp;
/// use std::num::NonZeroU32;
///
/// #[derive(Debug)]
/// struct Down;
///
/// impl RateLimiter for Down {
///     fn apply<'a>(&'a self, _: &'a [Charge<'a>], _: Mode, _: Timestamp) -> Reply<'a> {
///         Reply::ready(Err(RateLimitError::unavailable("connection refused")))
///     }
///
///     fn time_source(&self) -> TimeSource {
///         TimeSource::Own
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let nodes = NonZeroU32::new(3).unwrap();
/// let limiter = GuardedRateLimiter::new(Down, OutagePolicy::Local).with_nodes(nodes);
///
/// let quota = Quota::per_minute(300)?;
/// let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota)];
/// let decision = limiter.check(&charges, Mode::Consume, Timestamp::EPOCH).await?;
/// assert_eq!(decision.source(), Source::Fallback);
/// assert_eq!(decision.states().next().unwrap().remaining(), 99);
/// assert_eq!(limiter.counts().local, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GuardedRateLimiter {
    backend: Arc<dyn RateLimiter>,
    policy: OutagePolicy,
    local: MemoryRateLimiter,
    nodes: NonZeroU32,
    deadline: Duration,
    breaker: Breaker,
    counters: Counters,
}

impl GuardedRateLimiter {
    /// Returns `backend` with a deadline of 25 ms, for a service of one process.
    pub fn new(backend: impl RateLimiter, policy: OutagePolicy) -> Self {
        Self {
            backend: Arc::new(backend),
            policy,
            local: MemoryRateLimiter::new(),
            nodes: NonZeroU32::MIN,
            deadline: DEFAULT_DEADLINE,
            breaker: Breaker::default(),
            counters: Counters::default(),
        }
    }

    /// Sets how long the backend may take to answer.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sets the limiter that counts during an outage; the default is one of the default size.
    #[must_use]
    pub fn with_local(self, local: MemoryRateLimiter) -> Self {
        Self { local, ..self }
    }

    /// Sets how many processes share the limits, so that each knows its part during an outage.
    #[must_use]
    pub fn with_nodes(self, nodes: NonZeroU32) -> Self {
        Self { nodes, ..self }
    }

    /// Returns how often the backend was missed.
    #[must_use]
    pub fn counts(&self) -> OutageCounts {
        self.counters.read()
    }

    /// Passes on what the backend said, or decides without it.
    fn conclude(
        &self,
        reply: Result<Answer, RateLimitError>,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> Result<Answer, RateLimitError> {
        let complete = |answer: Answer| {
            let complete = answer.cells().len() == charges.len();
            complete
                .then_some(answer)
                .ok_or(RateLimitError::MalformedAnswer)
        };
        match reply.and_then(complete) {
            Err(error) if error.is_outage() => {
                add(&self.counters.failed);
                self.breaker.failed(now);
                self.without_backend(error, charges, mode, now)
            }
            answer => {
                self.breaker.answered();
                answer
            }
        }
    }

    fn without_backend(
        &self,
        error: RateLimitError,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> Result<Answer, RateLimitError> {
        match self.policy {
            OutagePolicy::Allow => {
                add(&self.counters.allowed);
                let shadow = self.local.decide(charges, mode, now, NonZeroU32::MIN)?;
                Ok(shadow.waved_through())
            }
            OutagePolicy::Local => {
                add(&self.counters.local);
                let answer = self.local.decide(charges, mode, now, self.nodes)?;
                Ok(answer.with_share(self.nodes).with_source(Source::Fallback))
            }
            OutagePolicy::Refuse => {
                add(&self.counters.refused);
                Err(error)
            }
        }
    }
}

impl RateLimiter for GuardedRateLimiter {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        if !self.breaker.lets_pass(now) {
            let error = RateLimitError::unavailable("not asked, because it failed just before");
            return Reply::ready(self.without_backend(error, charges, mode, now));
        }
        match self.backend.apply(charges, mode, now).try_ready() {
            Ok(reply) => Reply::ready(self.conclude(reply, charges, mode, now)),
            Err(pending) => Reply::pending(async move {
                let reply = tokio::time::timeout(self.deadline, pending).await;
                let reply = reply.unwrap_or(Err(RateLimitError::Timeout));
                self.conclude(reply, charges, mode, now)
            }),
        }
    }

    fn time_source(&self) -> TimeSource {
        self.backend.time_source()
    }
}

/// Leaves a failing backend alone. It orders no other memory, so relaxed operations do.
#[derive(Debug, Default)]
struct Breaker {
    failures: AtomicU32,
    retry_at: AtomicI64,
}

impl Breaker {
    /// Tells whether the backend is to be asked; while it is failing, to one caller in each cool-down.
    fn lets_pass(&self, now: Timestamp) -> bool {
        if self.failures.load(Ordering::Relaxed) < FAILURES_TO_OPEN {
            return true;
        }
        let retry_at = self.retry_at.load(Ordering::Relaxed);
        let until = Timestamp::from_micros(retry_at);
        // The lower bound is for a clock that stepped back: it must not lengthen the pause.
        if now < until && until <= now.saturating_add(COOL_DOWN) {
            return false;
        }
        let next = now.saturating_add(COOL_DOWN).as_micros();
        self.retry_at
            .compare_exchange(retry_at, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn failed(&self, now: Timestamp) {
        let next = now.saturating_add(COOL_DOWN).as_micros();
        self.retry_at.store(next, Ordering::Relaxed);
        let more = |failures: u32| Some(failures.saturating_add(1));
        let _ = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

#[derive(Debug, Default)]
struct Counters {
    allowed: AtomicU64,
    failed: AtomicU64,
    local: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    fn read(&self) -> OutageCounts {
        OutageCounts {
            allowed: self.allowed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            local: self.local.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

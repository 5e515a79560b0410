//! Limits on how often a subject may call.
//!
//! A [`Quota`] is a token bucket: so many tokens, coming back at so many a period. A [`Tier`] is a named set of quotas. A
//! [`Charge`] asks for tokens from one [`Subject`]'s bucket, and one call to a [`RateLimiter`] decides all charges of a
//! request: it takes all of them or none. Its [`Answer`] becomes a [`RateDecision`], and that becomes the response's
//! [header fields](RateHeaders).
//!
//! [`MemoryRateLimiter`] counts within the process, in bounded memory; `RedisRateLimiter` (feature `redis`) counts for several
//! processes. [`GuardedRateLimiter`] stands in front of a limiter that can fail and does what an [`OutagePolicy`] says.
//! `docs/rate-limiting.md` explains what the numbers mean.
//!
//! ```
//! use keyward::rate_limit::{Charge, MemoryRateLimiter, Mode, RateLimiterExt, Subject, Tiers};
//! use keyward::time::{Clock, SystemClock};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let limiter = MemoryRateLimiter::new();
//! let tiers = Tiers::standard();
//! let starter = tiers.get("starter").expect("a standard tier");
//!
//! let subject = Subject::key("3Fq9xT0bLm2A");
//! let charges: Vec<_> = starter.quotas().iter().map(|quota| Charge::new(subject, quota)).collect();
//! let decision = limiter.check(&charges, Mode::Consume, SystemClock::new().now()).await?;
//! assert!(decision.is_allowed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod charge;
mod decision;
mod error;
pub mod gcra;
mod guarded;
mod headers;
mod memory;
mod quota;
mod quota_text;
#[cfg(feature = "redis")]
mod redis;
mod reply;
mod subject;
mod tier;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

#[cfg(feature = "redis")]
pub use self::redis::{
    RedisCall, RedisClient, RedisConnectError, RedisConnection, RedisLimiterBuilder,
    RedisRateLimiter, RedisTopology,
};
pub use charge::{Charge, MAX_CHARGES, Mode};
pub use decision::{Outcome, QuotaState, RateDecision};
pub use error::RateLimitError;
pub use guarded::{GuardedRateLimiter, OutageCounts, OutagePolicy};
pub use headers::{HeaderProfile, RateHeaders, ResetStyle};
pub use memory::{MemoryLimiterBuilder, MemoryRateLimiter};
pub use quota::{MAX_NAME_LEN, Quota, QuotaError};
pub use reply::{Answer, Cell, Reply, Source};
pub use subject::{IpGrouping, Scope, Subject};
pub use tier::{MAX_QUOTAS, Tier, TierError, Tiers};

use crate::time::Timestamp;

#[cfg(doctest)]
#[doc = include_str!("../../docs/rate-limiting.md")]
struct Guide;

/// Counts requests against quotas.
///
/// # Contract
///
/// * **A bucket** is named by a charge's subject and its quota's [label](Quota::bucket_label), and by nothing else: the same
///   bucket may be charged under quotas of different sizes, and carries its debt from one to the next. What is stored is
///   the moment at which it is full again; [`gcra`] has the arithmetic, which must be followed to the microsecond.
/// * **All or nothing**: `Consume` takes every charge, or, if one does not fit, none. The charges count in order, so two of
///   one bucket in one call have to fit together. Nobody else sees, or is refused because of, a part of a call.
/// * **Never too much**: however many callers, processes or failures there are, no bucket gives out more than its capacity
///   and what time has paid back.
/// * **A denial takes nothing and a peek changes nothing.** One repair belongs to a denial: a stored moment further away
///   than the bucket's capacity (the clock stepped back, or the quota shrank) is pulled back to the capacity, which is the
///   debt that the answer reports. Without that, the wait it states would not be true.
/// * **Refund** takes the charges' price off the debts, down to nothing. It never fails for want of anything to give back.
/// * **A cost of zero** only looks, and writes nothing. **A cost above the burst** never fits, and therefore nothing of its call is taken.
/// * **The answer** has one [`Cell`] a charge, in order: the debt after the call (of a denial: the debt as it is), and a wait
///   that is zero exactly when that charge fits. After exactly the wait, if nothing else is charged, the charge does fit.
/// * **Time** is the caller's `now`, unless [`time_source`](RateLimiter::time_source) says otherwise. It may step back.
/// * **Errors** are for outages. They hold no subject and no other text of the request.
/// * More than [`MAX_CHARGES`] charges are [`RateLimitError::TooManyCharges`]; none at all are allowed.
///
/// # Cancel safety
///
/// A pending reply that is dropped may or may not have been carried out, as a whole. It is never repeated by the limiter.
///
/// # Writing one
///
/// `keyward::rate_limiter_conformance!` (feature `testing`) tests all of this. The least that works, a limiter
/// for one process that has few subjects and no need to be quick:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
///
/// use keyward::rate_limit::{
///     Answer, Cell, Charge, MAX_CHARGES, Mode, RateLimitError, RateLimiter, Reply, TimeSource,
/// };
/// use keyward::time::Timestamp;
///
/// #[derive(Debug, Default)]
/// struct PlainLimiter(Mutex<HashMap<(String, String), Timestamp>>);
///
/// impl RateLimiter for PlainLimiter {
///     fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
///         if charges.len() > MAX_CHARGES {
///             return Reply::ready(Err(RateLimitError::TooManyCharges { count: charges.len() }));
///         }
///         let name = |charge: &Charge<'_>| {
///             (charge.subject().to_string(), charge.quota().bucket_label().to_owned())
///         };
///         let mut stored = self.0.lock().unwrap();
///         let mut after = stored.clone(); // a real one would not copy everything
///         let mut cells = Vec::new();
///         for charge in charges {
///             let bucket = charge.quota().bucket();
///             let full_at = after.get(&name(charge)).copied().unwrap_or(Timestamp::MIN);
///             let debt = bucket.debt(full_at, now);
///             let price = bucket.price(charge.cost());
///             let (wait, owed) = match mode {
///                 Mode::Refund => (0, debt.saturating_sub(price).max(0)),
///                 _ if bucket.wait(debt, charge.cost()) > 0 => (bucket.wait(debt, charge.cost()), debt),
///                 _ => (0, debt + price),
///             };
///             if owed != debt {
///                 after.insert(name(charge), bucket.full_at(now, owed));
///             }
///             cells.push((wait, debt, bucket));
///         }
///         let denied = cells.iter().any(|(wait, ..)| *wait > 0);
///         if mode != Mode::Peek && !denied {
///             *stored = after;
///         }
///         if mode == Mode::Consume && denied {
///             for (charge, (wait, debt, bucket)) in charges.iter().zip(&cells) {
///                 if let Some(full_at) = stored.get_mut(&name(charge)).filter(|_| *wait > 0) {
///                     *full_at = (*full_at).min(bucket.full_at(now, bucket.capacity()));
///                 }
///             }
///         }
///         let answer = charges.iter().zip(&cells).map(|(charge, (wait, _, bucket))| {
///             let full_at = stored.get(&name(charge)).copied().unwrap_or(Timestamp::MIN);
///             Cell::new(bucket.debt(full_at, now), *wait)
///         });
///         Reply::ready(Answer::new(answer))
///     }
///
///     fn time_source(&self) -> TimeSource {
///         TimeSource::Caller
///     }
/// }
///
/// # #[cfg(feature = "testing")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use keyward::testing::rate_limit_rules;
/// # for rule in rate_limit_rules::RULES {
/// #     rate_limit_rules::run(rule.name(), || async { PlainLimiter::default() });
/// # }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))]
/// # fn main() {}
/// ```
pub trait RateLimiter: fmt::Debug + Send + Sync + 'static {
    /// Applies all charges, or none of them.
    ///
    /// # Errors
    ///
    /// The reply brings a [`RateLimitError`] when nobody can tell whether the charges fit.
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a>;

    /// Tells whose clock counts.
    fn time_source(&self) -> TimeSource;
}

const _: Option<&dyn RateLimiter> = None;

/// Whose clock a limiter goes by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TimeSource {
    /// The `now` of each call.
    Caller,
    /// A clock that all users of the backend share, such as the server's. The `now` of a call is ignored.
    Own,
}

/// What every [`RateLimiter`] can do besides.
pub trait RateLimiterExt: RateLimiter {
    /// Applies all charges or none, and returns what that means.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::apply`].
    fn check<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        mode: Mode,
        now: Timestamp,
    ) -> impl Future<Output = Result<RateDecision, RateLimitError>> + Send + 'a {
        let reply = self.apply(charges, mode, now);
        async move {
            if let Some(Ok(answer)) = reply.as_ready() {
                return RateDecision::new(charges, answer, now);
            }
            RateDecision::new(charges, &reply.await?, now)
        }
    }
}

impl<L: RateLimiter + ?Sized> RateLimiterExt for L {}

#[deny(clippy::missing_trait_methods)]
impl<L: RateLimiter + ?Sized> RateLimiter for Arc<L> {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        (**self).apply(charges, mode, now)
    }

    fn time_source(&self) -> TimeSource {
        (**self).time_source()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<L: RateLimiter + ?Sized> RateLimiter for Box<L> {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        (**self).apply(charges, mode, now)
    }

    fn time_source(&self) -> TimeSource {
        (**self).time_source()
    }
}

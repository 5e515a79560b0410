//! Every limiter in the crate, and every decorator, keeps the contract of `RateLimiter`.
#![allow(
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use keyward::rate_limit::{
    Charge, GuardedRateLimiter, MemoryRateLimiter, Mode, OutagePolicy, RateLimitError, RateLimiter,
    Reply, TimeSource,
};
#[cfg(feature = "redis")]
use keyward::rate_limit::{RedisRateLimiter, RedisTopology};
use keyward::testing::rate_limit_rules::{RULES, Rule};
use keyward::time::Timestamp;

#[cfg(feature = "redis")]
mod redis_limiter;
#[cfg(feature = "redis")]
mod servers;

async fn memory() -> MemoryRateLimiter {
    MemoryRateLimiter::new()
}

/// All subjects in one line: seven slots, and the overflow.
async fn crowded() -> MemoryRateLimiter {
    MemoryRateLimiter::builder().slots(1).build()
}

async fn shared() -> Arc<dyn RateLimiter> {
    Arc::new(MemoryRateLimiter::new())
}

async fn boxed() -> Box<dyn RateLimiter> {
    Box::new(MemoryRateLimiter::new())
}

async fn guarded() -> GuardedRateLimiter {
    GuardedRateLimiter::new(Remote(MemoryRateLimiter::new()), OutagePolicy::Refuse)
}

/// Never reaches its backend: the limiter in memory has to keep the contract in its stead.
async fn without_backend() -> GuardedRateLimiter {
    GuardedRateLimiter::new(Down, OutagePolicy::Local).with_nodes(NonZeroU32::MIN)
}

/// Rules are about answers. How long they may take is no rule, and a test machine may be slow.
#[cfg(feature = "redis")]
async fn guarded_redis() -> GuardedRateLimiter {
    let limiter = redis_limiter::on_the_callers_clock().await;
    let guarded = limiter.guarded(OutagePolicy::Refuse);
    guarded.with_deadline(Duration::from_secs(30))
}

/// What a cluster promises less is about failures, and about what others see meanwhile.
#[cfg(feature = "redis")]
async fn redis_cluster() -> RedisRateLimiter {
    let limiter = redis_limiter::on(redis_limiter::cluster()).await;
    let limiter = limiter.topology(RedisTopology::Cluster);
    limiter.time_source(TimeSource::Caller).build()
}

keyward::rate_limiter_conformance!(memory_limiter, memory);
keyward::rate_limiter_conformance!(memory_limiter_of_one_line, crowded);
keyward::rate_limiter_conformance!(limiter_in_an_arc, shared);
keyward::rate_limiter_conformance!(limiter_in_a_box, boxed);
keyward::rate_limiter_conformance!(guarded_limiter, guarded);
keyward::rate_limiter_conformance!(guarded_limiter_without_backend, without_backend);
#[cfg(feature = "redis")]
keyward::rate_limiter_conformance!(redis_on_its_own_clock, redis_limiter::on_its_own_clock);
#[cfg(feature = "redis")]
keyward::rate_limiter_conformance!(
    redis_on_the_callers_clock,
    redis_limiter::on_the_callers_clock
);
#[cfg(feature = "redis")]
keyward::rate_limiter_conformance!(redis_behind_a_guard, guarded_redis);
#[cfg(feature = "redis")]
keyward::rate_limiter_conformance!(redis_in_a_cluster, redis_cluster);

/// Answers later, as a limiter across a network does.
#[derive(Debug)]
struct Remote(MemoryRateLimiter);

impl RateLimiter for Remote {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        Reply::pending(async move {
            tokio::task::yield_now().await;
            self.0.apply(charges, mode, now).await
        })
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

#[derive(Debug)]
struct Down;

impl RateLimiter for Down {
    fn apply<'a>(&'a self, _: &'a [Charge<'a>], _: Mode, _: Timestamp) -> Reply<'a> {
        Reply::ready(Err(RateLimitError::unavailable("down")))
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

#[test]
fn every_rule_is_in_the_table() {
    let sources = [
        include_str!("../src/testing/rate_limit_rules/at_any_time.rs"),
        include_str!("../src/testing/rate_limit_rules/moving_time.rs"),
    ];
    let written: BTreeSet<&str> = sources
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .map(|rest| rest.split('(').next().unwrap())
        .collect();
    let listed: BTreeSet<&str> = RULES.iter().map(Rule::name).collect();
    assert_eq!(written, listed);
    assert_eq!(listed.len(), RULES.len(), "no rule twice");
}

#[test]
fn only_rules_that_move_time_may_be_passed_over() {
    let moving = RULES.iter().filter(|rule| rule.moves_time()).count();
    assert_eq!((RULES.len(), moving), (27, 9));
}

//! Limiters on test servers, each with keys of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each test takes what it needs of these helpers, and a helper may say what it expects"
)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keyward::rate_limit::{
    Charge, Mode, Quota, RateDecision, RateLimitError, RateLimiter, RateLimiterExt as _,
    RedisConnection, RedisLimiterBuilder, RedisRateLimiter, Subject, TimeSource,
};
use keyward::time::{Clock as _, SystemClock};

use crate::servers::{self, Redis};

/// A limiter on this server whose keys begin with a prefix that nobody else uses.
pub(crate) async fn on(server: &Redis) -> RedisLimiterBuilder {
    let connection = RedisConnection::connect(&server.url()).await.unwrap();
    RedisRateLimiter::builder(connection).prefix(&servers::unique("limits"))
}

pub(crate) async fn on_its_own_clock() -> RedisRateLimiter {
    on(Redis::shared()).await.build()
}

pub(crate) async fn on_the_callers_clock() -> RedisRateLimiter {
    let limiter = on(Redis::shared()).await;
    limiter.time_source(TimeSource::Caller).build()
}

/// A cluster of one node that has all slots: enough for it to refuse a script on keys of two.
pub(crate) fn cluster() -> &'static Redis {
    static CLUSTER: OnceLock<Redis> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Nobody else joins, but there is no cluster without a port for others.
        let port = servers::free_port().to_string();
        let server = Redis::private(&[
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &port,
            "--bind",
            "127.0.0.1",
        ]);
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let is_up = || {
            let info = server.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
        };
        wait_until("the cluster is up", is_up);
        server
    })
}

/// So many tokens, none of which comes back while a test runs.
pub(crate) fn hourly(limit: u32) -> Quota {
    let period = Duration::from_secs(3600).saturating_mul(limit);
    let quota = Quota::per(limit, period).unwrap();
    quota.in_bucket("slow").unwrap()
}

pub(crate) fn key<'a>(id: &'a str, quota: &'a Quota, cost: u32) -> Charge<'a> {
    Charge::new(Subject::key(id), quota).with_cost(cost)
}

pub(crate) async fn check(
    limiter: &impl RateLimiter,
    charges: &[Charge<'_>],
    mode: Mode,
) -> Result<RateDecision, RateLimitError> {
    limiter.check(charges, mode, SystemClock::new().now()).await
}

/// Takes one token of `a` under [`hourly`], or fails as the limiter does.
pub(crate) async fn take(
    limiter: &impl RateLimiter,
    quota: &Quota,
) -> Result<RateDecision, RateLimitError> {
    check(limiter, &[key("a", quota, 1)], Mode::Consume).await
}

pub(crate) async fn left(limiter: &impl RateLimiter, id: &str, quota: &Quota) -> u32 {
    let looking = [key(id, quota, 0)];
    let decision = check(limiter, &looking, Mode::Peek).await.unwrap();
    decision.states().next().unwrap().remaining()
}

/// Waits for what is bound to happen, and lets others run meanwhile.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(Instant::now() < end, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for what is bound to happen.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

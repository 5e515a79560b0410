//! The limiter on Redis beside `PING` through a bare connection of the `redis` crate, on a real server.

use std::sync::Arc;
use std::time::Instant;

use ::redis::aio::MultiplexedConnection;
use keyward::rate_limit::{
    Charge, Mode, Quota, RateLimiterExt as _, RedisConnection, RedisRateLimiter, Subject,
};
use keyward::time::{Clock as _, SystemClock};
use tokio::runtime::Runtime;

use crate::measure::{Row, interleave};
use crate::servers::Redis;

const ROUNDS: usize = 21;
const CALLS: usize = 6400;
const SUBJECTS: usize = 1000;

/// What is measured, as often and from as many tasks as told, in microseconds a call.
type Case<'a> = &'a dyn Fn(usize) -> f64;

pub(crate) fn run() {
    let server = Redis::private(&[]);
    let runtime = Runtime::new().unwrap();
    let (limiter, connection) = runtime.block_on(async {
        let ours = RedisConnection::connect(&server.url()).await.unwrap();
        let client = ::redis::Client::open(server.url()).unwrap();
        let bare = client.get_multiplexed_async_connection().await.unwrap();
        (Arc::new(RedisRateLimiter::new(ours)), bare)
    });
    let ping: Case<'_> = &|at_once| pings(&runtime, &connection, at_once);
    let charge: Case<'_> = &|at_once| charges(&runtime, &limiter, at_once, 1);
    let three: Case<'_> = &|at_once| charges(&runtime, &limiter, at_once, 3);
    row(
        "Redis limiter / PING, one at a time",
        1,
        1.0 / 0.85,
        charge,
        ping,
    );
    row(
        "Redis limiter / PING, 64 at a time",
        64,
        1.0 / 0.3,
        charge,
        ping,
    );
    row(
        "Redis limiter, three limits, all or none / one, 64 at a time",
        64,
        3.0,
        three,
        charge,
    );
    let denied: Case<'_> = &|at_once| denials(&runtime, &limiter, at_once);
    row(
        "Redis limiter, a refusal / what passes, 64 at a time",
        64,
        1.0,
        denied,
        charge,
    );
}

fn row(name: &'static str, at_once: usize, target: f64, ours: Case<'_>, reference: Case<'_>) {
    let medians = interleave(
        ROUNDS,
        &mut [&mut || ours(at_once), &mut || reference(at_once)],
    );
    Row {
        name,
        ours: medians[0],
        reference: medians[1],
        target,
        unit: "us",
    }
    .print();
}

fn pings(runtime: &Runtime, connection: &MultiplexedConnection, at_once: usize) -> f64 {
    let connection = connection.clone();
    each(runtime, at_once, move |_| {
        let mut connection = connection.clone();
        async move {
            let ping = ::redis::cmd("PING");
            let answer: String = ping.query_async(&mut connection).await.unwrap();
            assert_eq!(answer, "PONG");
        }
    })
}

/// Charges `limits` buckets of a subject in one call. No bucket is ever empty.
fn charges(
    runtime: &Runtime,
    limiter: &Arc<RedisRateLimiter>,
    at_once: usize,
    limits: usize,
) -> f64 {
    let labels = ["second", "two", "three"];
    let quotas = labels.map(|label| {
        let quota = Quota::per_second(1_000_000).unwrap();
        quota.in_bucket(label).unwrap()
    });
    let ids: Vec<String> = (0..SUBJECTS).map(|n| format!("{n:012}")).collect();
    let limiter = Arc::clone(limiter);
    let named = Arc::new((quotas, ids));
    each(runtime, at_once, move |turn| {
        let (limiter, named) = (Arc::clone(&limiter), Arc::clone(&named));
        async move {
            let (quotas, ids) = &*named;
            let id = &ids[turn % SUBJECTS];
            let charges = quotas
                .each_ref()
                .map(|quota| Charge::new(Subject::key(id), quota));
            let now = SystemClock::new().now();
            let decision = limiter.check(&charges[..limits], Mode::Consume, now).await;
            assert!(decision.unwrap().is_allowed());
        }
    })
}

fn denials(runtime: &Runtime, limiter: &Arc<RedisRateLimiter>, at_once: usize) -> f64 {
    let (limiter, quota) = (Arc::clone(limiter), Quota::per_day(1).unwrap());
    each(runtime, at_once, move |_| {
        let (limiter, quota) = (Arc::clone(&limiter), quota.clone());
        async move {
            let charge = [Charge::new(Subject::key("refused"), &quota)];
            let now = SystemClock::new().now();
            let decision = limiter.check(&charge, Mode::Consume, now).await;
            // All but the very first.
            std::hint::black_box(decision.unwrap().is_allowed());
        }
    })
}

fn each<O, F>(runtime: &Runtime, at_once: usize, once: O) -> f64
where
    O: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let turns = CALLS / at_once.min(8) / at_once.div_ceil(8);
    runtime.block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|task| {
                let once = once.clone();
                tokio::spawn(async move {
                    for turn in 0..turns {
                        once(task * turns + turn).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        start.elapsed().as_nanos() as f64 / 1e3 / (turns * at_once) as f64
    })
}

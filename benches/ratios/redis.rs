//! The limiter on Redis beside `PING` through a bare connection of the `redis` crate, on a real server.
//!
//! One at a time, the difference is the script, some 4 us of the server: more than 15 % where a round trip takes less than
//! 30 us, which only a loopback does. At 64, the two processes share what cores there are, and most of the time goes into
//! packets: a connection that answers quickly collects fewer calls in each.

use std::sync::Arc;
use std::time::Instant;

use ::redis::IntoConnectionInfo as _;
use ::redis::aio::MultiplexedConnection;
use keyward::rate_limit::{
    Charge, Mode, Quota, RateLimiterExt as _, RedisConnection, RedisRateLimiter, Subject,
};
use keyward::time::{Clock as _, SystemClock};
use tokio::runtime::Runtime;

use crate::measure::{Row, interleave};
use crate::servers::{self, Redis};

const ROUNDS: usize = 21;
const CALLS: usize = 6400;
const SUBJECTS: usize = 1000;

/// A limiter and a bare connection over the same kind of socket, and the runtime that both live in.
struct Pair {
    runtime: Runtime,
    limiter: Arc<RedisRateLimiter>,
    connection: MultiplexedConnection,
}

impl Pair {
    fn over(url: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (limiter, connection) = runtime.block_on(async {
            let ours = RedisConnection::connect(url).await.unwrap();
            let info = url.into_connection_info().unwrap();
            let tcp = info.tcp_settings().clone().set_nodelay(true);
            let client = ::redis::Client::open(info.set_tcp_settings(tcp)).unwrap();
            let bare = client.get_multiplexed_async_connection().await.unwrap();
            (Arc::new(RedisRateLimiter::new(ours)), bare)
        });
        Self {
            runtime,
            limiter,
            connection,
        }
    }

    fn ping(&self, at_once: usize) -> f64 {
        pings(&self.runtime, &self.connection, at_once)
    }

    fn charge(&self, at_once: usize, limits: usize) -> f64 {
        charges(&self.runtime, &self.limiter, at_once, limits)
    }
}

pub(crate) fn run() {
    let port = servers::free_port().to_string();
    let server = Redis::private(&["--port", &port, "--bind", "127.0.0.1"]);
    let tcp = Pair::over(&format!("redis://127.0.0.1:{port}"));
    let socket = Pair::over(&server.url());
    let (single, many) = (1.0 / 0.85, 1.0 / 0.3);
    row(
        "Redis limiter / PING, one at a time",
        single,
        &|| tcp.charge(1, 1),
        &|| tcp.ping(1),
    );
    row(
        "Redis limiter / PING, 64 at a time",
        many,
        &|| tcp.charge(64, 1),
        &|| tcp.ping(64),
    );
    row(
        "Redis limiter / PING, 64 at a time, over a unix socket (for comparison)",
        many,
        &|| socket.charge(64, 1),
        &|| socket.ping(64),
    );
    row(
        "Redis limiter, three limits, all or none / one, 64 at a time",
        3.0,
        &|| tcp.charge(64, 3),
        &|| tcp.charge(64, 1),
    );
    row(
        "Redis limiter, a refusal / what passes, 64 at a time",
        1.0,
        &|| denials(&tcp.runtime, &tcp.limiter, 64),
        &|| tcp.charge(64, 1),
    );
}

fn row(name: &'static str, target: f64, ours: &dyn Fn() -> f64, reference: &dyn Fn() -> f64) {
    let medians = interleave(ROUNDS, &mut [&mut || ours(), &mut || reference()]);
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
            let answer = ping.query_async::<String>(&mut connection).await;
            answer.is_ok_and(|answer| answer == "PONG")
        }
    })
}

/// Charges `limits` buckets of a subject in one call. No bucket is ever empty, and each owes something, as those of busy
/// subjects do.
fn charges(
    runtime: &Runtime,
    limiter: &Arc<RedisRateLimiter>,
    at_once: usize,
    limits: usize,
) -> f64 {
    let labels = ["second", "two", "three"];
    let quotas = labels.map(|label| {
        let quota = Quota::per_day(1_000_000).unwrap();
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
            decision.is_ok_and(|decision| decision.is_allowed())
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
            // But for the very first.
            decision.is_ok_and(|decision| !decision.is_allowed())
        }
    })
}

/// Microseconds a call, with that many under way.
///
/// A busy machine may stand still for longer than a client waits, so one answer in a hundred may be missing.
fn each<O, F>(runtime: &Runtime, at_once: usize, once: O) -> f64
where
    O: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = bool> + Send + 'static,
{
    let turns = CALLS / at_once.min(8) / at_once.div_ceil(8);
    runtime.block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|task| {
                let once = once.clone();
                tokio::spawn(async move {
                    let mut right = 0;
                    for turn in 0..turns {
                        right += usize::from(once(task * turns + turn).await);
                    }
                    right
                })
            })
            .collect();
        let mut right = 0;
        for task in tasks {
            right += task.await.unwrap();
        }
        assert!(right * 100 >= turns * at_once * 99, "{right} right answers");
        start.elapsed().as_nanos() as f64 / 1e3 / (turns * at_once) as f64
    })
}

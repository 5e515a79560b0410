//! Exact vectors: inputs and answers to the microsecond, as data.
//!
//! An input is `time [cN] [xN]`: seconds after the start, the cost (one unless stated) and how often it is sent, or
//! `first..last/step` for a series. An answer is `A left`, `D left wait seconds [Retry-After]` or `N left`; `A 59..0` is
//! one answer a request, counting down. Every limiter that goes by the caller's clock gives the same answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::sync::Arc;
use std::time::Duration;

use keyward::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Outcome, Quota, QuotaState, RateDecision, RateLimiter,
    RateLimiterExt, Subject,
};
use keyward::time::Timestamp;

#[cfg(feature = "redis")]
mod redis_limiter;
#[cfg(feature = "redis")]
mod servers;

/// Makes a module in which each of the functions below is a test against limiters from `fresh`.
macro_rules! vectors {
    ($module:ident, $fresh:expr, [$($vector:ident),* $(,)?]) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $vector() {
                    super::$vector(async || super::shared($fresh)).await;
                }
            )*
        }
    };
    ($module:ident, $fresh:expr) => {
        vectors!($module, $fresh, [
            every_vector_holds_to_the_microsecond,
            every_vector_holds_beside_another_limit,
            v23_a_half_used_starter_becomes_a_half_used_pro,
            v24_a_half_used_pro_becomes_a_half_used_starter,
            v25_a_debt_above_a_smaller_burst_is_cut_to_it,
            m1_an_empty_key_takes_nothing_from_the_address,
            m3_two_denials_wait_for_the_longer,
            m4_three_fresh_limits,
            m6_what_can_never_pass_takes_nothing,
            c1_640_tries_at_one_instant_admit_the_burst,
        ]);
    };
}

vectors!(memory, super::MemoryRateLimiter::new());
#[cfg(feature = "redis")]
vectors!(redis, super::redis_limiter::on_the_callers_clock().await);

fn shared(limiter: impl RateLimiter) -> Arc<dyn RateLimiter> {
    Arc::new(limiter)
}

struct Vector {
    id: &'static str,
    limit: u32,
    burst: u32,
    sent: &'static str,
    answered: &'static str,
}

const fn vector(
    id: &'static str,
    (limit, burst): (u32, u32),
    sent: &'static str,
    answered: &'static str,
) -> Vector {
    Vector {
        id,
        limit,
        burst,
        sent,
        answered,
    }
}

const VECTORS: &[Vector] = &[
    vector(
        "V01 full burst, 61st denied",
        (60, 60),
        "0 x60; 0",
        "A 59..0; D 0 wait 1 [1]",
    ),
    vector(
        "V02 a microsecond early, then on time",
        (60, 60),
        "0 x60; 0.999999; 1; 1",
        "A 59..0; D 0 wait 0.000001 [1]; A 0; D 0 wait 1 [1]",
    ),
    vector(
        "V03 pro",
        (300, 300),
        "0 x300; 0; 0.2",
        "A 299..0; D 0 wait 0.2 [1]; A 0",
    ),
    vector(
        "V04 enterprise",
        (1000, 1000),
        "0 x1000; 0; 0.06",
        "A 999..0; D 0 wait 0.06 [1]; A 0",
    ),
    vector(
        "V05 partial use, partial refill",
        (60, 60),
        "0 x30; 10",
        "A 59..30; A 39",
    ),
    vector(
        "V06 full after exactly a minute",
        (60, 60),
        "0 x60; 60 c0",
        "A 59..0; A 60",
    ),
    vector(
        "V06a and not a microsecond before",
        (60, 60),
        "0 x60; 59.999999 c0",
        "A 59..0; A 59",
    ),
    vector(
        "V08 one a second for two minutes",
        (60, 60),
        "0..120/1",
        "A 59 x121",
    ),
    vector(
        "V10 denials cost nothing",
        (60, 60),
        "0 x60; 0.5 x5; 1",
        "A 59..0; D 0 wait 0.5 [1] x5; A 0",
    ),
    vector(
        "V11 burst of ten",
        (60, 10),
        "0 x10; 0; 1",
        "A 9..0; D 0 wait 1 [1]; A 0",
    ),
    vector(
        "V12 pure pacing",
        (60, 1),
        "0; 0.5; 1; 1.999999; 2",
        "A 0; D 0 wait 0.5 [1]; A 0; D 0 wait 0.000001 [1]; A 0",
    ),
    vector(
        "V14 the whole burst at once",
        (60, 60),
        "0 c60; 0",
        "A 0; D 0 wait 1 [1]",
    ),
    vector(
        "V15 a cost that fits later",
        (60, 60),
        "0 x50; 0 c25; 15 c25",
        "A 59..10; D 10 wait 15 [15]; A 0",
    ),
    vector(
        "V16 a cost above the burst",
        (60, 60),
        "0 c61; 0",
        "N 60; A 59",
    ),
    vector(
        "V17 a cost of zero",
        (60, 60),
        "0 c0; 0; 0 c0",
        "A 60; A 59; A 59",
    ),
    vector(
        "V18 seven a minute are back in a minute",
        (7, 7),
        "0 x7; 60 c0",
        "A 6..0; A 7",
    ),
    vector(
        "V19 a step back of 30 s",
        (60, 60),
        "100 x60; 70; 71; 71",
        "A 59..0; D 0 wait 1 [1]; A 0; D 0 wait 1 [1]",
    ),
    vector(
        "V20 no credit above the burst",
        (60, 60),
        "0; 3600",
        "A 59; A 59",
    ),
    vector(
        "V21 exactly its rate",
        (1000, 1000),
        "0..119.94/0.06",
        "A 999 x2000",
    ),
    vector(
        "V22 a window admits 119 at worst",
        (60, 60),
        "0 x60; 1..59/1; 59.999999",
        "A 59..0; A 0 x59; D 0 wait 0.000001 [1]",
    ),
];

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

#[derive(Clone, Copy)]
struct Sent {
    micros: i64,
    cost: u32,
}

fn micros(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: i64 = format!("{part:0<6}").parse().unwrap();
    whole.parse::<i64>().unwrap() * 1_000_000 + part
}

fn requests(text: &str) -> Vec<Sent> {
    text.split("; ").flat_map(request).collect()
}

fn request(text: &str) -> Vec<Sent> {
    let mut words = text.split(' ');
    let when = words.next().unwrap();
    if let Some((first, rest)) = when.split_once("..") {
        let (last, step) = rest.split_once('/').unwrap();
        let series = (micros(first)..=micros(last)).step_by(micros(step).try_into().unwrap());
        return series.map(|micros| Sent { micros, cost: 1 }).collect();
    }
    let (mut cost, mut times) = (1, 1);
    for word in words {
        match word.split_at(1) {
            ("c", number) => cost = number.parse().unwrap(),
            ("x", number) => times = number.parse().unwrap(),
            _ => panic!("unknown word {word}"),
        }
    }
    let micros = micros(when);
    vec![Sent { micros, cost }; times]
}

fn answers(text: &str) -> Vec<String> {
    text.split("; ").flat_map(answer).collect()
}

fn answer(text: &str) -> Vec<String> {
    if let Some((first, last)) = text.trim_start_matches("A ").split_once("..") {
        let range = last.parse::<u32>().unwrap()..=first.parse().unwrap();
        return range.rev().map(|left| format!("A {left}")).collect();
    }
    let (one, times) = text.split_once(" x").unwrap_or((text, "1"));
    vec![one.to_owned(); times.parse().unwrap()]
}

fn shown(decision: &RateDecision) -> String {
    let left = decision.states().next().unwrap().remaining();
    match (decision.outcome(), decision.retry_after()) {
        (Outcome::Allowed, None) => format!("A {left}"),
        (Outcome::Never, None) => format!("N {left}"),
        (Outcome::Denied { wait }, Some(retry)) => {
            format!("D {left} wait {} [{retry}]", wait.as_secs_f64())
        }
        other => panic!("{other:?}"),
    }
}

fn minute(limit: u32, burst: u32) -> Quota {
    Quota::per_minute(limit).unwrap().with_burst(burst).unwrap()
}

async fn send(
    limiter: &Arc<dyn RateLimiter>,
    charges: &[Charge<'_>],
    mode: Mode,
    micros: i64,
) -> RateDecision {
    let now = START.saturating_add(Duration::from_micros(micros.unsigned_abs()));
    limiter.check(charges, mode, now).await.unwrap()
}

fn key<'a>(quota: &'a Quota) -> Charge<'a> {
    Charge::new(Subject::key("3Fq9xT0bLm2A"), quota)
}

fn ip(quota: &Quota) -> Charge<'_> {
    Charge::new(Subject::ip([192, 0, 2, 1].into()), quota)
}

fn left(decision: &RateDecision) -> Vec<u32> {
    decision.states().map(QuotaState::remaining).collect()
}

async fn every_vector_holds_to_the_microsecond(fresh: impl AsyncFn() -> Arc<dyn RateLimiter>) {
    for vector in VECTORS {
        let limiter = fresh().await;
        let quota = minute(vector.limit, vector.burst);
        let mut answered = Vec::new();
        for sent in requests(vector.sent) {
            let charge = key(&quota).with_cost(sent.cost);
            let decision = send(&limiter, &[charge], Mode::Consume, sent.micros).await;
            answered.push(shown(&decision));
        }
        assert_eq!(answered, answers(vector.answered), "{}", vector.id);
    }
}

/// The same vectors behind another limit that always fits: several charges give the same answers as one.
async fn every_vector_holds_beside_another_limit(fresh: impl AsyncFn() -> Arc<dyn RateLimiter>) {
    let wide = Quota::per_second(1_000_000).unwrap();
    for vector in VECTORS {
        let limiter = fresh().await;
        let quota = minute(vector.limit, vector.burst);
        let mut answered = Vec::new();
        for sent in requests(vector.sent) {
            let charges = [key(&quota).with_cost(sent.cost), ip(&wide)];
            let decision = send(&limiter, &charges, Mode::Consume, sent.micros).await;
            answered.push(shown(&decision));
        }
        assert_eq!(answered, answers(vector.answered), "{}", vector.id);
    }
}

async fn v23_a_half_used_starter_becomes_a_half_used_pro(
    fresh: impl AsyncFn() -> Arc<dyn RateLimiter>,
) {
    let limiter = fresh().await;
    let (starter, pro) = (minute(60, 60), minute(300, 300));
    let used = send(&limiter, &[key(&starter).with_cost(30)], Mode::Consume, 0).await;
    assert_eq!(left(&used), [30]);
    let peek = send(&limiter, &[key(&pro).with_cost(0)], Mode::Peek, 0).await;
    let state = peek.states().next().unwrap();
    assert_eq!(state.remaining(), 150);
    assert_eq!(state.next_token_in(), Duration::from_millis(200));
    assert_eq!(state.full_in(), Duration::from_secs(30));
    let next = send(&limiter, &[key(&pro)], Mode::Consume, 0).await;
    assert_eq!(shown(&next), "A 149");
}

async fn v24_a_half_used_pro_becomes_a_half_used_starter(
    fresh: impl AsyncFn() -> Arc<dyn RateLimiter>,
) {
    let limiter = fresh().await;
    let (starter, pro) = (minute(60, 60), minute(300, 300));
    let used = send(&limiter, &[key(&pro).with_cost(150)], Mode::Consume, 0).await;
    assert_eq!(left(&used), [150]);
    let next = send(&limiter, &[key(&starter)], Mode::Consume, 0).await;
    assert_eq!(shown(&next), "A 29");
}

async fn v25_a_debt_above_a_smaller_burst_is_cut_to_it(
    fresh: impl AsyncFn() -> Arc<dyn RateLimiter>,
) {
    let limiter = fresh().await;
    let (large, small) = (minute(60, 60), minute(60, 10));
    let used = send(&limiter, &[key(&large).with_cost(30)], Mode::Consume, 0).await;
    assert_eq!(left(&used), [30]);
    let denied = send(&limiter, &[key(&small)], Mode::Consume, 0).await;
    assert_eq!(shown(&denied), "D 0 wait 1 [1]");
    let state = denied.states().next().unwrap();
    assert_eq!(state.full_in(), Duration::from_secs(10));
    let next = send(&limiter, &[key(&small)], Mode::Consume, 1_000_000).await;
    assert_eq!(shown(&next), "A 0");
}

async fn m1_an_empty_key_takes_nothing_from_the_address(
    fresh: impl AsyncFn() -> Arc<dyn RateLimiter>,
) {
    let limiter = fresh().await;
    let (starter, address) = (minute(60, 60), minute(300, 300));
    let used = send(&limiter, &[key(&starter).with_cost(60)], Mode::Consume, 0).await;
    assert!(used.is_allowed());
    let both = send(&limiter, &[key(&starter), ip(&address)], Mode::Consume, 0).await;
    assert_eq!(shown(&both), "D 0 wait 1 [1]");
    assert_eq!(left(&both), [0, 300]);
    assert_eq!(both.denied().count(), 1);
    let peek = send(&limiter, &[ip(&address)], Mode::Peek, 0).await;
    assert_eq!(left(&peek), [300]);
}

async fn m3_two_denials_wait_for_the_longer(fresh: impl AsyncFn() -> Arc<dyn RateLimiter>) {
    let limiter = fresh().await;
    let starter = minute(60, 60).named("starter").unwrap();
    let address = minute(300, 300).named("ip").unwrap();
    let drain = [key(&starter).with_cost(60), ip(&address).with_cost(300)];
    assert!(send(&limiter, &drain, Mode::Consume, 0).await.is_allowed());
    let both = send(&limiter, &[key(&starter), ip(&address)], Mode::Consume, 0).await;
    assert_eq!(shown(&both), "D 0 wait 1 [1]");
    let names: Vec<_> = both.denied().map(QuotaState::name).collect();
    assert_eq!(names, ["starter", "ip"]);
}

async fn m4_three_fresh_limits(fresh: impl AsyncFn() -> Arc<dyn RateLimiter>) {
    let limiter = fresh().await;
    let pro = minute(300, 300).named("pro").unwrap();
    let thousand = minute(1000, 1000);
    let tenant = Charge::new(Subject::tenant("acme"), &thousand);
    let charges = [key(&pro), ip(&thousand), tenant];
    let all = send(&limiter, &charges, Mode::Consume, 0).await;
    assert!(all.is_allowed());
    assert_eq!(left(&all), [299, 999, 999]);
    assert_eq!(all.tightest().unwrap().name(), "pro");
}

async fn m6_what_can_never_pass_takes_nothing(fresh: impl AsyncFn() -> Arc<dyn RateLimiter>) {
    let limiter = fresh().await;
    let sixty = minute(60, 60);
    let charges = [key(&sixty).with_cost(61), ip(&sixty).with_cost(61)];
    let both = send(&limiter, &charges, Mode::Consume, 0).await;
    assert_eq!(both.outcome(), Outcome::Never);
    assert_eq!(both.denied().count(), 2);
    assert_eq!(left(&both), [60, 60]);
}

async fn c1_640_tries_at_one_instant_admit_the_burst(
    fresh: impl AsyncFn() -> Arc<dyn RateLimiter>,
) {
    let quota = Quota::per(60, Duration::from_secs(60 * 3600)).unwrap();
    let limiter = fresh().await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (limiter, quota) = (Arc::clone(&limiter), quota.clone());
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let charges = [key(&quota)];
                let tries = (0..10).filter(|_| {
                    let decision = runtime.block_on(send(&limiter, &charges, Mode::Consume, 0));
                    decision.is_allowed()
                });
                tries.count()
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap();
    }
    assert_eq!(admitted, 60);
}

/// The table's own language is read as it is meant.
#[test]
fn reads_the_tables_language() {
    let times: Vec<_> = requests("0.5 x2; 1..2/0.5; 3 c7")
        .iter()
        .map(|sent| (sent.micros, sent.cost))
        .collect();
    assert_eq!(
        times,
        [
            (500_000, 1),
            (500_000, 1),
            (1_000_000, 1),
            (1_500_000, 1),
            (2_000_000, 1),
            (3_000_000, 7)
        ]
    );
    assert_eq!(
        answers("A 2..0; D 0 wait 1 [1] x2"),
        ["A 2", "A 1", "A 0", "D 0 wait 1 [1]", "D 0 wait 1 [1]"]
    );
}

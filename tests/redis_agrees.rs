//! Redis and memory give the same answers, to the microsecond, whatever they are asked.
#![cfg(feature = "redis")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::time::Duration;

use keyward::rate_limit::{
    Cell, Charge, MemoryRateLimiter, Mode, Quota, RateLimiter, RedisTopology, Subject, TimeSource,
};
use keyward::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, prop_oneof, proptest};

mod redis_limiter;
mod servers;

/// One call, a while after the one before: which subject, under which quota, at what cost.
#[derive(Clone, Debug)]
struct Step {
    micros: i64,
    mode: Mode,
    charges: Vec<(usize, usize, u32)>,
}

fn forward() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 4 => 0_i64..3_000_000, 1 => 0_i64..600_000_000]
}

fn either_way() -> impl Strategy<Value = i64> {
    prop_oneof![9 => forward(), 1 => -90_000_000_i64..0]
}

fn step(micros: impl Strategy<Value = i64>) -> impl Strategy<Value = Step> {
    let mode = prop_oneof![
        6 => Just(Mode::Consume),
        1 => Just(Mode::Peek),
        2 => Just(Mode::Refund),
    ];
    let cost = prop_oneof![4 => Just(1), 1 => Just(0), 4 => 0_u32..12, 1 => Just(u32::MAX)];
    (micros, mode, vec((0_usize..3, 0_usize..5, cost), 1..6)).prop_map(|(micros, mode, charges)| {
        Step {
            micros,
            mode,
            charges,
        }
    })
}

/// Sizes that meet in one bucket, and one of another.
fn quotas() -> [Quota; 5] {
    let per = |limit, millis, burst| {
        let quota = Quota::per(limit, Duration::from_millis(millis)).unwrap();
        let quota = quota.with_burst(burst).unwrap();
        quota.in_bucket("one").unwrap()
    };
    [
        per(60, 60_000, 10),
        per(60, 60_000, 3),
        per(7, 60_000, 7),
        per(1000, 1000, 40),
        per(5, 1001, 5).in_bucket("other").unwrap(),
    ]
}

/// All answers of a limiter to these steps, refusals of the call itself included.
async fn answers(limiter: &dyn RateLimiter, steps: &[Step]) -> Vec<Vec<Cell>> {
    let (quotas, ids) = (quotas(), ["a", "b", "c"]);
    let mut now = Timestamp::from_secs(1_700_000_000).as_micros();
    let mut answers = Vec::new();
    for step in steps {
        now += step.micros;
        let charge = |(subject, quota, cost): &(usize, usize, u32)| {
            Charge::new(Subject::key(ids[*subject]), &quotas[*quota]).with_cost(*cost)
        };
        let charges: Vec<_> = step.charges.iter().map(charge).collect();
        let answer = limiter.apply(&charges, step.mode, Timestamp::from_micros(now));
        answers.push(answer.await.unwrap().cells().to_vec());
    }
    answers
}

fn compare(steps: &[Step], topology: RedisTopology) -> (Vec<Vec<Cell>>, Vec<Vec<Cell>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let redis = redis_limiter::on(servers::Redis::shared()).await;
        let redis = redis.time_source(TimeSource::Caller).topology(topology);
        (
            answers(&redis.build(), steps).await,
            answers(&MemoryRateLimiter::new(), steps).await,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_script_answers_as_memory_does(steps in vec(step(either_way()), 1..40)) {
        let (redis, memory) = compare(&steps, RedisTopology::OneServer);
        prop_assert_eq!(redis, memory);
    }

    /// One caller at a time sees nothing of what a cluster promises less, as long as time does not step back: what was taken
    /// and given back leaves a bucket that is full from now on, and not from before.
    #[test]
    fn a_script_for_each_subject_answers_as_memory_does(steps in vec(step(forward()), 1..40)) {
        let (redis, memory) = compare(&steps, RedisTopology::Cluster);
        prop_assert_eq!(redis, memory);
    }
}

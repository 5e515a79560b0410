//! What is in Redis: what is owed, under names that cannot be mistaken, for as long as it is owed.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::time::Duration;

use keyward::rate_limit::{
    Charge, Mode, Quota, RedisConnection, RedisRateLimiter, Subject, TimeSource,
};

mod redis_limiter;
mod servers;

use redis_limiter::{check, eventually, hourly, key, left, take};
use servers::Redis;

async fn limiter(server: &Redis) -> RedisRateLimiter {
    RedisRateLimiter::new(RedisConnection::connect(&server.url()).await.unwrap())
}

fn keys(server: &Redis) -> Vec<String> {
    let keys = server.command(&["KEYS", "*"]);
    let mut keys: Vec<_> = keys.lines().map(str::to_owned).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn a_key_lives_for_as_long_as_its_bucket_owes() {
    let server = Redis::private(&[]);
    let limiter = limiter(&server).await;
    let quota = hourly(5);
    for owed in [2, 4] {
        let charges = [key("a", &quota, 2)];
        assert!(
            check(&limiter, &charges, Mode::Consume)
                .await
                .unwrap()
                .is_allowed()
        );
        let left = server.command(&["PTTL", "keyward:{key:a}:slow"]);
        let left = Duration::from_millis(left.parse().unwrap());
        let owed = Duration::from_secs(owed * 3600);
        let a_while_ago = owed.saturating_sub(Duration::from_secs(30));
        assert!(
            (a_while_ago..=owed + Duration::from_millis(1)).contains(&left),
            "{left:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_left_when_debts_are_paid() {
    let server = Redis::private(&[]);
    let limiter = limiter(&server).await;
    let quota = Quota::per_second(100).unwrap();
    let both = [key("a", &quota, 30), key("b", &quota, 1)];
    assert!(
        check(&limiter, &both, Mode::Consume)
            .await
            .unwrap()
            .is_allowed()
    );
    assert_eq!(left(&limiter, "c", &quota).await, 100);
    eventually("the server is empty", async || keys(&server).is_empty()).await;
    assert_eq!(left(&limiter, "a", &quota).await, 100);
}

#[tokio::test]
async fn a_refund_of_everything_removes_the_key() {
    let server = Redis::private(&[]);
    let limiter = limiter(&server).await;
    let quota = hourly(5);
    assert!(take(&limiter, &quota).await.unwrap().is_allowed());
    assert_eq!(keys(&server), ["keyward:{key:a}:slow"]);
    let given = check(&limiter, &[key("a", &quota, 3)], Mode::Refund).await;
    assert!(given.unwrap().is_allowed());
    assert_eq!(keys(&server), [""; 0]);
}

#[tokio::test]
async fn what_takes_nothing_writes_nothing() {
    let server = Redis::private(&[]);
    let limiter = limiter(&server).await;
    let quota = hourly(5);
    for (mode, cost) in [
        (Mode::Peek, 1),
        (Mode::Peek, 6),
        (Mode::Consume, 0),
        (Mode::Consume, 6),
        (Mode::Refund, 1),
    ] {
        let decision = check(&limiter, &[key("a", &quota, cost)], mode).await;
        assert_eq!(decision.unwrap().is_allowed(), cost <= 5);
    }
    assert_eq!(keys(&server), [""; 0]);
}

/// The server's time runs on while the caller's stands still.
#[tokio::test]
async fn under_the_callers_clock_a_key_outlives_its_debt() {
    let server = Redis::private(&[]);
    let connection = RedisConnection::connect(&server.url()).await.unwrap();
    let limiter = RedisRateLimiter::builder(connection).time_source(TimeSource::Caller);
    let quota = Quota::per_second(1000).unwrap();
    let taken = check(&limiter.build(), &[key("a", &quota, 1)], Mode::Consume).await;
    assert!(taken.unwrap().is_allowed());
    let left = server.command(&["PTTL", "keyward:{key:a}:second"]);
    let day = 86_400_000;
    assert!(
        (day - 60_000..=day + 1).contains(&left.parse::<u64>().unwrap()),
        "{left}"
    );
}

/// Ids that try to be another's: by an end of the tag, by a tag of their own, by what an escape looks like.
#[tokio::test]
async fn names_that_look_alike_are_different_buckets() {
    let server = Redis::private(&[]);
    let limiter = limiter(&server).await;
    let subjects = [
        Subject::tenant("a"),
        Subject::tenant("a}:slow"),
        Subject::tenant("{a}"),
        Subject::tenant("%7ba%7d"),
        Subject::tenant("a "),
        Subject::tenant("a%20"),
        Subject::tenant(""),
        Subject::tenant("key:a"),
        Subject::tenant("ä"),
        Subject::key("a"),
        Subject::key("a:slow"),
        Subject::claimed_key("a"),
        Subject::owner("a"),
    ];
    let quota = hourly(1);
    for subject in &subjects {
        let charge = Charge::new(*subject, &quota);
        let decision = check(&limiter, &[charge], Mode::Consume).await.unwrap();
        assert!(decision.is_allowed(), "{subject} is fresh");
    }
    assert_eq!(keys(&server).len(), subjects.len());
}

#[tokio::test]
async fn limiters_of_different_prefixes_are_apart_and_of_one_prefix_are_not() {
    let server = Redis::private(&[]);
    let quota = hourly(1);
    let on = async |prefix| {
        let connection = RedisConnection::connect(&server.url()).await.unwrap();
        RedisRateLimiter::builder(connection).prefix(prefix).build()
    };
    for prefix in ["a", "a:{key:a}", "", "b c"] {
        assert!(take(&on(prefix).await, &quota).await.unwrap().is_allowed());
        assert!(!take(&on(prefix).await, &quota).await.unwrap().is_allowed());
    }
}

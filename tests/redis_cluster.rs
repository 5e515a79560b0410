//! Subjects on different nodes of a cluster: one script each, and all or none of them.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyward::async_trait;
use keyward::rate_limit::{
    Charge, Mode, Quota, QuotaState, RateDecision, RateLimitError, RedisCall, RedisClient,
    RedisConnection, RedisLimiterBuilder, RedisTopology, Subject,
};
use tokio::sync::Semaphore;

mod redis_limiter;
mod servers;

use redis_limiter::{check, cluster, eventually, hourly, key, left};

/// Counts calls, and lets refunds through one at a time.
#[derive(Debug)]
struct Watched {
    connection: RedisConnection,
    calls: AtomicUsize,
    refunds: Semaphore,
}

impl Watched {
    async fn new(refunds: usize) -> Arc<Self> {
        let connection = RedisConnection::connect(&cluster().url()).await.unwrap();
        Arc::new(Self {
            connection,
            calls: AtomicUsize::new(0),
            refunds: Semaphore::new(refunds),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl RedisClient for Watched {
    async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if call.arguments().first() == Some(&2) {
            self.refunds.acquire().await.unwrap().forget();
        }
        self.connection.eval(call).await
    }
}

async fn limiter() -> RedisLimiterBuilder {
    let limiter = redis_limiter::on(cluster()).await;
    limiter.topology(RedisTopology::Cluster)
}

fn remaining(decision: &RateDecision) -> Vec<u32> {
    decision.states().map(QuotaState::remaining).collect()
}

#[tokio::test]
async fn one_server_is_not_enough_for_keys_of_two_nodes() {
    let limiter = redis_limiter::on(cluster()).await.build();
    let quota = hourly(5);
    let both = [key("a", &quota, 1), key("b", &quota, 1)];
    let error = check(&limiter, &both, Mode::Consume).await.unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "server answered CROSSSLOT");
    assert_eq!(left(&limiter, "a", &quota).await, 5);
}

#[tokio::test]
async fn all_buckets_of_a_subject_are_one_call_and_each_subject_another() {
    let client = Watched::new(0).await;
    let limiter = keyward::rate_limit::RedisRateLimiter::builder(Arc::clone(&client))
        .prefix(&servers::unique("limits"))
        .topology(RedisTopology::Cluster)
        .build();
    let (slow, other) = (hourly(5), hourly(5).in_bucket("other").unwrap());
    let one = [key("a", &slow, 1), key("a", &other, 2)];
    let decision = check(&limiter, &one, Mode::Consume).await.unwrap();
    assert_eq!((remaining(&decision), client.calls()), (vec![4, 3], 1));

    let three = [
        key("b", &slow, 1),
        key("a", &slow, 2),
        Charge::new(Subject::tenant("acme"), &slow).with_cost(3),
        key("b", &other, 4),
    ];
    let decision = check(&limiter, &three, Mode::Consume).await.unwrap();
    assert!(decision.is_allowed());
    assert_eq!(
        (remaining(&decision), client.calls()),
        (vec![4, 2, 2, 1], 4)
    );
}

#[tokio::test]
async fn what_was_taken_is_given_back_when_another_refuses() {
    let limiter = limiter().await.build();
    let (quota, other) = (hourly(5), hourly(5).in_bucket("other").unwrap());
    let drain = [key("empty", &quota, 5), key("a", &quota, 2)];
    assert!(
        check(&limiter, &drain, Mode::Consume)
            .await
            .unwrap()
            .is_allowed()
    );
    let all = [
        key("a", &quota, 1),
        key("empty", &quota, 1),
        key("a", &other, 2),
        key("b", &quota, 5),
    ];
    let decision = check(&limiter, &all, Mode::Consume).await.unwrap();
    assert!(!decision.is_allowed());
    assert_eq!(remaining(&decision), [3, 0, 5, 5]);
    let denied: Vec<bool> = decision.states().map(QuotaState::is_denied).collect();
    assert_eq!(denied, [false, true, false, false]);
    assert_eq!(left(&limiter, "a", &quota).await, 3);
    assert_eq!(left(&limiter, "a", &other).await, 5);
    assert_eq!(left(&limiter, "b", &quota).await, 5);
}

#[tokio::test]
async fn what_was_taken_is_given_back_when_another_fails() {
    let prefix = servers::unique("limits");
    let limiter = limiter().await.prefix(&prefix).build();
    let quota = hourly(5);
    let name = format!("{prefix}:{{key:broken}}:slow");
    cluster().command(&["LPUSH", &name, "somebody's"]);
    let both = [key("a", &quota, 3), key("broken", &quota, 1)];
    let error = check(&limiter, &both, Mode::Consume).await.unwrap_err();
    assert!(error.is_outage());
    assert_eq!(left(&limiter, "a", &quota).await, 5);
}

/// The deadline of a guard drops calls. What they took must not stay taken for that.
#[tokio::test]
async fn what_was_taken_is_given_back_when_the_caller_has_gone() {
    let client = Watched::new(0).await;
    let limiter = keyward::rate_limit::RedisRateLimiter::builder(Arc::clone(&client))
        .prefix(&servers::unique("limits"))
        .topology(RedisTopology::Cluster)
        .build();
    let quota = hourly(5);
    let both = [key("a", &quota, 3), key("b", &quota, 6)];
    {
        let mut call = Box::pin(check(&limiter, &both, Mode::Consume));
        eventually("the refund is on its way", async || {
            let dropped = tokio::time::timeout(std::time::Duration::ZERO, &mut call);
            assert!(dropped.await.is_err(), "refunds are held up");
            client.calls() == 3
        })
        .await;
    }
    assert_eq!(left(&limiter, "a", &quota).await, 2);
    client.refunds.add_permits(1);
    let look = async || left(&limiter, "a", &quota).await == 5;
    eventually("it is given back", look).await;
}

#[tokio::test]
async fn a_look_and_a_refund_reach_all_subjects() {
    let limiter = limiter().await.build();
    let quota = hourly(5);
    let both = [key("a", &quota, 3), key("b", &quota, 4)];
    assert!(
        check(&limiter, &both, Mode::Consume)
            .await
            .unwrap()
            .is_allowed()
    );
    let looked = check(&limiter, &both, Mode::Peek).await.unwrap();
    assert_eq!(
        (looked.is_allowed(), remaining(&looked)),
        (false, vec![2, 1])
    );
    let given = check(&limiter, &both, Mode::Refund).await.unwrap();
    assert_eq!((given.is_allowed(), remaining(&given)), (true, vec![5, 5]));
}

/// Nobody gets onto another's node, or behind another's hash tag, by a name.
#[tokio::test]
async fn an_id_does_not_choose_its_slot_by_a_tag_of_its_own() {
    let prefix = servers::unique("limits");
    let limiter = limiter().await.prefix(&prefix).build();
    let quota: Quota = hourly(5);
    let tenants = ["victim", "}{tenant:victim}", "{tenant:victim}", "x}{victim"];
    for tenant in tenants {
        let charge = [Charge::new(Subject::tenant(tenant), &quota)];
        assert!(
            check(&limiter, &charge, Mode::Consume)
                .await
                .unwrap()
                .is_allowed()
        );
    }
    let names = cluster().command(&["KEYS", &format!("{prefix}:*")]);
    assert_eq!(names.lines().count(), tenants.len());
    for name in names.lines() {
        let slot = |name: &str| cluster().command(&["CLUSTER", "KEYSLOT", name]);
        let tag = name.split(['{', '}']).nth(1).unwrap();
        assert_eq!(
            slot(name),
            slot(tag),
            "{name} has one tag, its whole subject"
        );
    }
}

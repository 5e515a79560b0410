//! Rules that hold at one moment.

use std::sync::Arc;
use std::time::Duration;

use super::support::{NOW, apply, charge, give_back, hourly, left, remaining, send};
use crate::rate_limit::{
    Charge, MAX_CHARGES, Mode, Outcome, Quota, QuotaState, RateLimitError, RateLimiter, Subject,
};

/// A fresh bucket gives out its burst, counting down, and then denies.
pub async fn admits_exactly_the_burst(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(5);
    let one = [charge("a", &quota, 1)];
    for left in (0..5).rev() {
        let decision = apply(&limiter, &one, Mode::Consume, NOW).await;
        assert!(decision.is_allowed());
        assert_eq!(remaining(&decision), [left]);
    }
    let decision = apply(&limiter, &one, Mode::Consume, NOW).await;
    assert!(matches!(decision.outcome(), Outcome::Denied { .. }));
    assert_eq!(remaining(&decision), [0]);
}

/// A call without charges is allowed.
pub async fn allows_no_charges(limiter: Arc<dyn RateLimiter>) {
    for mode in [Mode::Consume, Mode::Peek, Mode::Refund] {
        let decision = apply(&limiter, &[], mode, NOW).await;
        assert!(decision.is_allowed());
        assert_eq!(decision.states().count(), 0);
    }
}

/// The answer has one cell a charge, in the order of the charges, up to the largest call.
pub async fn answers_for_every_charge_in_order(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(100);
    let ids: Vec<String> = (0..MAX_CHARGES).map(|id| format!("k{id}")).collect();
    let charges: Vec<_> = (1..)
        .zip(&ids)
        .map(|(cost, id)| charge(id, &quota, cost))
        .collect();
    let decision = apply(&limiter, &charges, Mode::Consume, NOW).await;
    let expected: Vec<u32> = (84..100).rev().collect();
    assert_eq!(remaining(&decision), expected);
    for (id, expected) in ids.iter().zip(expected) {
        assert_eq!(left(&limiter, id, &quota).await, expected);
    }
}

/// Two charges of one bucket in one call have to fit together.
pub async fn counts_charges_of_one_bucket_together(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(10);
    let twice = |one, two| [charge("a", &quota, one), charge("a", &quota, two)];
    assert!(!send(&limiter, &twice(5, 6)).await);
    assert_eq!(left(&limiter, "a", &quota).await, 10);
    let decision = apply(&limiter, &twice(5, 4), Mode::Consume, NOW).await;
    assert!(decision.is_allowed());
    assert_eq!(remaining(&decision), [1, 1]);
    assert_eq!(left(&limiter, "a", &quota).await, 1);
    give_back(&limiter, &twice(1, 2)).await;
    assert_eq!(left(&limiter, "a", &quota).await, 4);
}

/// More than a bucket ever holds is never admitted, whatever is in it, and takes nothing from anybody.
pub async fn denies_a_cost_above_the_burst_and_takes_nothing(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(5);
    for cost in [6, u32::MAX] {
        let both = [charge("b", &quota, 1), charge("a", &quota, cost)];
        let decision = apply(&limiter, &both, Mode::Consume, NOW).await;
        assert_eq!(decision.outcome(), Outcome::Never);
        assert_eq!(remaining(&decision), [5, 5]);
    }
    assert!(send(&limiter, &[charge("a", &quota, 5)]).await);
}

/// A refund gives back its price, no more and no less, and nobody else's.
pub async fn gives_back_exactly_what_was_taken(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(10);
    assert!(send(&limiter, &[charge("a", &quota, 8), charge("b", &quota, 8)]).await);
    let decision = apply(&limiter, &[charge("a", &quota, 3)], Mode::Refund, NOW).await;
    assert!(decision.is_allowed());
    assert_eq!(remaining(&decision), [5]);
    assert_eq!(left(&limiter, "b", &quota).await, 2);
    assert!(send(&limiter, &[charge("a", &quota, 5)]).await);
    assert!(!send(&limiter, &[charge("a", &quota, 1)]).await);
}

/// Two labels are two buckets of one subject.
pub async fn keeps_buckets_apart(limiter: Arc<dyn RateLimiter>) {
    let one = hourly(1);
    let other = hourly(1).in_bucket("other").expect("a plain label");
    assert!(send(&limiter, &[charge("a", &one, 1)]).await);
    assert!(send(&limiter, &[charge("a", &other, 1)]).await);
    assert!(!send(&limiter, &[charge("a", &other, 1)]).await);
}

/// Addresses of different networks have buckets of their own, and so has a key id that is only claimed; the addresses of
/// one IPv6 /64 share one.
pub async fn keeps_strangers_apart(limiter: Arc<dyn RateLimiter>) {
    let v6 = |net, host| Subject::ip([0x2001, 0xdb8, 0, net, 0, 0, 0, host].into());
    let subjects = [
        Subject::ip([192, 0, 2, 1].into()),
        Subject::ip([192, 0, 2, 2].into()),
        v6(0, 1),
        v6(1, 1),
        Subject::claimed_key("a"),
        Subject::key("a"),
    ];
    keeps_apart(&limiter, &subjects).await;
    let quota = hourly(1);
    assert!(!send(&limiter, &[Charge::new(v6(1, 2), &quota)]).await);
}

/// Subjects differ by scope and by id, also where one id is the beginning of another or looks like another's name.
pub async fn keeps_subjects_apart(limiter: Arc<dyn RateLimiter>) {
    let subjects = [
        Subject::key("a"),
        Subject::key("aa"),
        Subject::key("A"),
        Subject::key("a:slow"),
        Subject::key("192.0.2.1"),
        Subject::owner("a"),
        Subject::tenant("a"),
        Subject::tenant("{a}"),
        Subject::ip([192, 0, 2, 1].into()),
    ];
    keeps_apart(&limiter, &subjects).await;
}

async fn keeps_apart(limiter: &Arc<dyn RateLimiter>, subjects: &[Subject<'_>]) {
    let quota = hourly(1);
    for subject in subjects {
        let one = Charge::new(*subject, &quota);
        assert!(send(limiter, &[one]).await, "{subject} is fresh");
    }
    for subject in subjects {
        let one = Charge::new(*subject, &quota);
        assert!(!send(limiter, &[one]).await, "{subject} is empty");
    }
}

/// 640 tries on one bucket of 60, by 64 threads: 60 pass.
pub async fn never_admits_too_much_to_many_at_once(limiter: Arc<dyn RateLimiter>) {
    let admitted = race(&limiter, |_| hourly(60)).await;
    assert_eq!(admitted, 60);
}

/// The same with a second, wider bucket in each call: it has been charged for those that passed and for no other.
pub async fn takes_all_or_none_from_many_at_once(limiter: Arc<dyn RateLimiter>) {
    let wide = hourly(1000).in_bucket("wide").expect("a plain label");
    let admitted = race(&limiter, |narrow_first| {
        if narrow_first {
            hourly(60)
        } else {
            wide.clone()
        }
    });
    assert_eq!(admitted.await, 60);
    assert_eq!(left(&limiter, "shared", &wide).await, 940);
    assert_eq!(left(&limiter, "shared", &hourly(60)).await, 0);
}

/// Sends ten calls from each of 64 threads, charging the quota for `true` and that for `false`, in changing order.
async fn race(limiter: &Arc<dyn RateLimiter>, quota: impl Fn(bool) -> Quota) -> usize {
    let quotas = [quota(true), quota(false)];
    let same = quotas.first() == quotas.last();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (limiter, mut quotas) = (Arc::clone(limiter), quotas.to_vec());
            quotas.truncate(if same { 1 } else { 2 });
            if task % 2 == 0 {
                quotas.reverse();
            }
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let charges: Vec<_> = quotas
                    .iter()
                    .map(|quota| charge("shared", quota, 1))
                    .collect();
                let tries = (0..10).filter(|_| runtime.block_on(send(&limiter, &charges)));
                tries.count()
            })
        })
        .collect();
    let mut admitted: usize = 0;
    for task in tasks {
        admitted = admitted.saturating_add(task.await.expect("a task ends"));
    }
    admitted
}

/// A bucket is never fuller than full, and one never charged stays as it is.
pub async fn never_overfills_by_a_refund(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(3);
    for cost in [1, u32::MAX] {
        let decision = apply(&limiter, &[charge("a", &quota, cost)], Mode::Refund, NOW).await;
        assert!(decision.is_allowed());
        assert_eq!(remaining(&decision), [3]);
    }
    assert!(send(&limiter, &[charge("a", &quota, 2)]).await);
    give_back(&limiter, &[charge("a", &quota, 3)]).await;
    assert!(send(&limiter, &[charge("a", &quota, 3)]).await);
    assert!(!send(&limiter, &[charge("a", &quota, 1)]).await);
}

/// One charge above the most is an error of the caller, and takes nothing.
pub async fn refuses_too_many_charges(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(100);
    let many = [charge("a", &quota, 1); MAX_CHARGES + 1];
    for mode in [Mode::Consume, Mode::Peek, Mode::Refund] {
        let reply = limiter.apply(&many, mode, NOW).await;
        let error = reply.expect_err("too many charges");
        assert!(
            matches!(error, RateLimitError::TooManyCharges { .. }),
            "{error}"
        );
    }
    assert_eq!(left(&limiter, "a", &quota).await, 100);
}

/// A key that changes its plan keeps the share it has used.
pub async fn shares_a_bucket_between_quotas_of_one_label(limiter: Arc<dyn RateLimiter>) {
    let sized = |limit| {
        let quota = Quota::per(limit, Duration::from_secs(300 * 3600)).expect("a valid quota");
        quota.in_bucket("plan").expect("a plain label")
    };
    let (starter, pro) = (sized(60), sized(300));
    assert!(send(&limiter, &[charge("a", &starter, 30)]).await);
    assert_eq!(left(&limiter, "a", &pro).await, 150);
    assert!(send(&limiter, &[charge("a", &pro, 150)]).await);
    assert!(!send(&limiter, &[charge("a", &starter, 1)]).await);
}

/// When one charge does not fit, the others are not taken, before it or after it.
pub async fn takes_all_or_none(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(3);
    assert!(send(&limiter, &[charge("empty", &quota, 3)]).await);
    let all = [
        charge("before", &quota, 1),
        charge("empty", &quota, 1),
        charge("after", &quota, 2),
    ];
    let decision = apply(&limiter, &all, Mode::Consume, NOW).await;
    assert_eq!(remaining(&decision), [3, 0, 3]);
    let denied: Vec<bool> = decision.states().map(QuotaState::is_denied).collect();
    assert_eq!(denied, [false, true, false]);
    assert_eq!(left(&limiter, "before", &quota).await, 3);
    assert_eq!(left(&limiter, "after", &quota).await, 3);
    give_back(&limiter, &[charge("empty", &quota, 1)]).await;
    let decision = apply(&limiter, &all, Mode::Consume, NOW).await;
    assert_eq!(remaining(&decision), [2, 0, 1]);
}

/// What does not fit takes nothing: a smaller request still passes.
pub async fn takes_nothing_by_a_denial(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(5);
    assert!(send(&limiter, &[charge("a", &quota, 3)]).await);
    for _ in 0..10 {
        assert!(!send(&limiter, &[charge("a", &quota, 3)]).await);
    }
    assert!(send(&limiter, &[charge("a", &quota, 2)]).await);
}

/// A peek tells what would happen and changes nothing, also about buckets that do not exist yet.
pub async fn takes_nothing_by_a_peek(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(5);
    for cost in [5, 6, 0] {
        let decision = apply(&limiter, &[charge("a", &quota, cost)], Mode::Peek, NOW).await;
        assert_eq!(decision.is_allowed(), cost <= 5);
        assert_eq!(remaining(&decision), [5]);
    }
    assert!(send(&limiter, &[charge("a", &quota, 4)]).await);
    let both = [charge("b", &quota, 1), charge("a", &quota, 2)];
    let decision = apply(&limiter, &both, Mode::Peek, NOW).await;
    assert!(matches!(decision.outcome(), Outcome::Denied { .. }));
    assert_eq!(remaining(&decision), [5, 1]);
    assert!(send(&limiter, &[charge("a", &quota, 1), charge("b", &quota, 5)]).await);
}

/// A cost of zero only looks, and is allowed by an empty bucket.
pub async fn takes_nothing_for_a_cost_of_zero(limiter: Arc<dyn RateLimiter>) {
    let quota = hourly(2);
    for left in [2, 1, 0] {
        let decision = apply(&limiter, &[charge("a", &quota, 0)], Mode::Consume, NOW).await;
        assert!(decision.is_allowed());
        assert_eq!(remaining(&decision), [left]);
        assert_eq!(send(&limiter, &[charge("a", &quota, 1)]).await, left > 0);
    }
    looks_through_a_smaller_quota(&limiter).await;
}

/// Looking at a bucket under a quota that could not owe as much does not cut its debt.
async fn looks_through_a_smaller_quota(limiter: &Arc<dyn RateLimiter>) {
    let large = hourly(10);
    let small = hourly(10).with_burst(2).expect("a valid burst");
    assert!(send(limiter, &[charge("b", &large, 8)]).await);
    assert!(send(limiter, &[charge("b", &small, 0)]).await);
    assert!(send(limiter, &[charge("c", &large, 1), charge("b", &small, 0)]).await);
    assert_eq!(left(limiter, "b", &large).await, 2);
    let both = [charge("d", &large, 5), charge("d", &small, 0)];
    let decision = apply(limiter, &both, Mode::Consume, NOW).await;
    assert_eq!(remaining(&decision), [5, 0]);
}

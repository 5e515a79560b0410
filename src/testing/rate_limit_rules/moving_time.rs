//! Rules about what time does.

use std::sync::Arc;
use std::time::Duration;

use super::support::{
    NOW, SECOND, after, apply, charge, denied, left_at, panic_about, per_minute, remaining, send,
    send_at,
};
use crate::rate_limit::{Mode, Outcome, RateLimiter};
use crate::time::Timestamp;

/// A caller who keeps exactly to the rate is never denied.
pub async fn admits_for_ever_at_exactly_its_rate(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(1000).with_burst(1).expect("a valid burst");
    for step in 0..2000 {
        let outcome = send_at(&limiter, charge("a", &quota, 1), after(step * 60_000)).await;
        assert_eq!(outcome, Outcome::Allowed);
    }
}

/// However long a bucket rests, it holds no more than its burst.
pub async fn earns_no_credit_while_idle(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(60);
    assert_eq!(
        send_at(&limiter, charge("a", &quota, 1), NOW).await,
        Outcome::Allowed
    );
    let later = after(3600 * SECOND);
    assert_eq!(
        send_at(&limiter, charge("a", &quota, 60), later).await,
        Outcome::Allowed
    );
    assert_eq!(
        send_at(&limiter, charge("a", &quota, 1), later).await,
        denied(1000)
    );
}

/// One token comes back an interval, and not a microsecond earlier.
pub async fn gives_back_a_token_an_interval(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(60);
    let one = charge("a", &quota, 1);
    assert_eq!(
        send_at(&limiter, one.with_cost(60), NOW).await,
        Outcome::Allowed
    );
    let early = send_at(&limiter, one, after(SECOND - 1)).await;
    assert_eq!(
        early,
        Outcome::Denied {
            wait: Duration::from_micros(1)
        }
    );
    assert_eq!(
        send_at(&limiter, one, after(SECOND)).await,
        Outcome::Allowed
    );
    assert_eq!(send_at(&limiter, one, after(SECOND)).await, denied(1000));
    assert_eq!(left_at(&limiter, "a", &quota, after(31 * SECOND)).await, 30);
}

/// While the clock only moves back, a bucket gives out its burst and no more.
pub async fn grants_nothing_when_the_clock_steps_back(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(60);
    let mut admitted = 0;
    for step in 0..200 {
        let now = after(-step * 700_000);
        let outcome = send_at(&limiter, charge("a", &quota, 1), now).await;
        admitted += u32::from(outcome == Outcome::Allowed);
    }
    assert!((1..=60).contains(&admitted), "{admitted} passed");
}

/// After the wait of a denial the request passes; a microsecond before, it does not.
pub async fn passes_after_exactly_the_stated_wait(limiter: Arc<dyn RateLimiter>) {
    for (index, limit) in [7, 60, 300, 1000].into_iter().enumerate() {
        let quota = per_minute(limit);
        let id = format!("k{index}");
        let one = charge(&id, &quota, 1);
        assert_eq!(
            send_at(&limiter, one.with_cost(limit - 3), NOW).await,
            Outcome::Allowed
        );
        for cost in [5, limit] {
            let outcome = send_at(&limiter, one.with_cost(cost), NOW).await;
            let Outcome::Denied { wait } = outcome else {
                panic_about(outcome)
            };
            let on_time = NOW.saturating_add(wait);
            let early = on_time.saturating_sub(Duration::from_micros(1));
            let outcome = send_at(&limiter, one.with_cost(cost), early).await;
            assert_eq!(
                outcome,
                Outcome::Denied {
                    wait: Duration::from_micros(1)
                }
            );
            let peek = apply(&limiter, &[one.with_cost(cost)], Mode::Peek, on_time).await;
            assert!(peek.is_allowed());
        }
    }
}

/// When the clock steps back, an empty bucket gives its next token one interval later, and goes on from there.
pub async fn recovers_from_a_step_back_within_a_token(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(60);
    let one = charge("a", &quota, 1);
    assert_eq!(
        send_at(&limiter, one.with_cost(60), NOW).await,
        Outcome::Allowed
    );
    let back = -30 * SECOND;
    assert_eq!(send_at(&limiter, one, after(back)).await, denied(1000));
    assert_eq!(
        send_at(&limiter, one, after(back + SECOND)).await,
        Outcome::Allowed
    );
    assert_eq!(
        send_at(&limiter, one, after(back + SECOND)).await,
        denied(1000)
    );
    assert_eq!(
        send_at(&limiter, one, after(back + 2 * SECOND)).await,
        Outcome::Allowed
    );
}

/// A debt above what a smaller quota can owe counts as an empty bucket, not as a longer wait.
pub async fn recovers_from_a_smaller_quota_within_a_token(limiter: Arc<dyn RateLimiter>) {
    let large = per_minute(60);
    let small = per_minute(60).with_burst(10).expect("a valid burst");
    assert_eq!(
        send_at(&limiter, charge("a", &large, 30), NOW).await,
        Outcome::Allowed
    );
    let both = [charge("b", &small, 1), charge("a", &small, 1)];
    let decision = apply(&limiter, &both, Mode::Consume, NOW).await;
    assert_eq!(decision.outcome(), denied(1000));
    assert_eq!(remaining(&decision), [10, 0]);
    assert_eq!(left_at(&limiter, "a", &small, after(10 * SECOND)).await, 10);
    let one = charge("a", &small, 1);
    assert_eq!(
        send_at(&limiter, one, after(SECOND)).await,
        Outcome::Allowed
    );
}

/// The wait of a denial by several charges is the longest, and after it all of them pass.
pub async fn states_waits_that_hold_for_all_charges(limiter: Arc<dyn RateLimiter>) {
    let (slow, fast) = (per_minute(60), per_minute(300));
    let of = |cost| [charge("slow", &slow, cost), charge("fast", &fast, cost)];
    assert!(
        send(
            &limiter,
            &[charge("slow", &slow, 60), charge("fast", &fast, 300)]
        )
        .await
    );
    let decision = apply(&limiter, &of(1), Mode::Consume, NOW).await;
    assert_eq!(decision.outcome(), denied(1000));
    assert_eq!(decision.denied().count(), 2);
    let early = apply(&limiter, &of(1), Mode::Consume, after(SECOND - 1)).await;
    assert!(!early.is_allowed());
    let on_time = apply(&limiter, &of(1), Mode::Consume, after(SECOND)).await;
    assert!(on_time.is_allowed());
    assert_eq!(remaining(&on_time), [0, 4]);
}

/// The earliest and the latest moment neither panic nor let more through.
pub async fn survives_the_ends_of_time(limiter: Arc<dyn RateLimiter>) {
    let quota = per_minute(60);
    for (id, now) in [("first", Timestamp::MIN), ("last", Timestamp::MAX)] {
        let one = charge(id, &quota, 1);
        assert_eq!(
            send_at(&limiter, one.with_cost(60), now).await,
            Outcome::Allowed
        );
        assert_eq!(send_at(&limiter, one, now).await, denied(1000));
    }
    let one = charge("last", &quota, 1);
    assert_eq!(send_at(&limiter, one, Timestamp::MIN).await, denied(1000));
}

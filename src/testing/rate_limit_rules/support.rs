//! What the rules say in few words.

use std::sync::Arc;
use std::time::Duration;

use crate::rate_limit::{
    Charge, Mode, Outcome, Quota, QuotaState, RateDecision, RateLimiter, RateLimiterExt as _,
    Subject,
};
use crate::time::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// So slow that nothing comes back while a rule runs, whatever the clock.
pub(super) fn hourly(limit: u32) -> Quota {
    let period = Duration::from_secs(3600).saturating_mul(limit);
    let quota = Quota::per(limit, period).expect("a whole hour for each token");
    quota.in_bucket("slow").expect("a plain label")
}

pub(super) fn per_minute(limit: u32) -> Quota {
    Quota::per_minute(limit).expect("a valid quota")
}

pub(super) fn charge<'a>(id: &'a str, quota: &'a Quota, cost: u32) -> Charge<'a> {
    Charge::new(Subject::key(id), quota).with_cost(cost)
}

pub(super) async fn apply(
    limiter: &Arc<dyn RateLimiter>,
    charges: &[Charge<'_>],
    mode: Mode,
    now: Timestamp,
) -> RateDecision {
    let decision = limiter.check(charges, mode, now).await;
    decision.expect("the limiter answers")
}

pub(super) async fn send(limiter: &Arc<dyn RateLimiter>, charges: &[Charge<'_>]) -> bool {
    apply(limiter, charges, Mode::Consume, NOW)
        .await
        .is_allowed()
}

pub(super) async fn give_back(limiter: &Arc<dyn RateLimiter>, charges: &[Charge<'_>]) {
    let decision = apply(limiter, charges, Mode::Refund, NOW).await;
    assert!(decision.is_allowed(), "a refund always succeeds");
}

pub(super) async fn send_at(
    limiter: &Arc<dyn RateLimiter>,
    charge: Charge<'_>,
    now: Timestamp,
) -> Outcome {
    apply(limiter, &[charge], Mode::Consume, now)
        .await
        .outcome()
}

pub(super) async fn left(limiter: &Arc<dyn RateLimiter>, id: &str, quota: &Quota) -> u32 {
    left_at(limiter, id, quota, NOW).await
}

pub(super) async fn left_at(
    limiter: &Arc<dyn RateLimiter>,
    id: &str,
    quota: &Quota,
    now: Timestamp,
) -> u32 {
    let decision = apply(limiter, &[charge(id, quota, 0)], Mode::Peek, now).await;
    remaining(&decision)
        .first()
        .copied()
        .expect("one state a charge")
}

pub(super) fn remaining(decision: &RateDecision) -> Vec<u32> {
    decision.states().map(QuotaState::remaining).collect()
}

pub(super) fn after(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros().saturating_add(micros))
}

pub(super) const SECOND: i64 = 1_000_000;

pub(super) fn denied(millis: u64) -> Outcome {
    Outcome::Denied {
        wait: Duration::from_millis(millis),
    }
}

#[expect(clippy::panic, reason = "a rule says by a panic that it is broken")]
pub(super) fn panic_about(outcome: Outcome) -> ! {
    panic!("expected a denial, found {outcome:?}")
}

//! What holds for every limit and every sequence of requests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::time::Duration;

use keyward::rate_limit::{
    Answer, Charge, MemoryRateLimiter, Mode, Outcome, Quota, QuotaState, RateDecision, RateLimiter,
    Subject,
};
use keyward::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{
    Just, Strategy, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn quota() -> impl Strategy<Value = Quota> {
    let limit = prop_oneof![Just(60), Just(300), Just(1000), 1_u32..2000];
    let period = prop_oneof![Just(60_000), Just(1000), 500_u64..100_000];
    let limits =
        (limit, period, 1_u32..200).prop_filter_map("too fast", |(limit, period, burst)| {
            Quota::per(limit, Duration::from_millis(period))
                .ok()?
                .with_burst(burst)
                .ok()
        });
    limits.boxed()
}

/// Pauses, mostly about as long as a token takes, and costs.
fn steps() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let pause = prop_oneof![Just(0), 0_u64..2_000_000, 0_u64..200_000_000];
    vec((pause, prop_oneof![4 => Just(1), 1 => 0_u32..30]), 1..200)
}

fn ask(
    limiter: &MemoryRateLimiter,
    charges: &[Charge<'_>],
    mode: Mode,
    now: Timestamp,
) -> RateDecision {
    let reply: Result<Answer, _> = limiter.apply(charges, mode, now).try_ready().unwrap();
    RateDecision::new(charges, &reply.unwrap(), now).unwrap()
}

fn key<'a>(quota: &'a Quota, cost: u32) -> Charge<'a> {
    Charge::new(Subject::key("3Fq9xT0bLm2A"), quota).with_cost(cost)
}

fn left(decision: &RateDecision) -> u32 {
    decision.states().next().unwrap().remaining()
}

fn small() -> MemoryRateLimiter {
    MemoryRateLimiter::builder().slots(7).build()
}

/// The textbook bucket: a count of tokens, in parts of a token's time, and when it was last looked at.
struct Credit {
    interval: u64,
    capacity: u64,
    credit: u64,
    last: u64,
}

impl Credit {
    fn new(quota: &Quota) -> Self {
        let interval = u64::try_from(quota.interval().as_micros()).unwrap();
        let capacity = interval * u64::from(quota.burst());
        Self {
            interval,
            capacity,
            credit: capacity,
            last: 0,
        }
    }

    fn take(&mut self, now: u64, cost: u32) -> (Outcome, u32) {
        self.credit = self.capacity.min(self.credit + now - self.last);
        self.last = now;
        let price = self.interval * u64::from(cost);
        let outcome = if price > self.capacity {
            Outcome::Never
        } else if price > self.credit {
            let wait = Duration::from_micros(price - self.credit);
            Outcome::Denied { wait }
        } else {
            self.credit -= price;
            Outcome::Allowed
        };
        (outcome, u32::try_from(self.credit / self.interval).unwrap())
    }
}

proptest! {
    #[test]
    fn agrees_with_a_bucket_that_counts_tokens(quota in quota(), steps in steps()) {
        let limiter = small();
        let mut model = Credit::new(&quota);
        let mut elapsed = 0;
        for (pause, cost) in steps {
            elapsed += pause;
            let now = START.saturating_add(Duration::from_micros(elapsed));
            let decision = ask(&limiter, &[key(&quota, cost)], Mode::Consume, now);
            prop_assert_eq!((decision.outcome(), left(&decision)), model.take(elapsed, cost));
        }
    }

    #[test]
    fn admits_no_more_than_the_burst_and_the_refill_in_any_window(quota in quota(), steps in steps()) {
        let limiter = small();
        let mut admitted: Vec<(Duration, u32)> = Vec::new();
        let mut elapsed = Duration::ZERO;
        for (pause, cost) in steps {
            elapsed += Duration::from_micros(pause);
            let now = START.saturating_add(elapsed);
            if ask(&limiter, &[key(&quota, cost)], Mode::Consume, now).is_allowed() {
                admitted.push((elapsed, cost));
            }
        }
        for (index, (from, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (until, cost) in &admitted[index..] {
                sum += u128::from(*cost);
                let refill = (*until - *from).as_micros() / quota.interval().as_micros();
                prop_assert!(sum <= u128::from(quota.burst()) + refill);
            }
        }
    }

    /// Forward steps of a clock are all that ever gives tokens back, however it jumps.
    #[test]
    fn a_jumping_clock_grants_only_what_it_moves_forward(
        quota in quota(),
        jumps in vec((-60_000_000_i64..60_000_000, 1_u32..5), 1..200),
    ) {
        let limiter = small();
        let (mut micros, mut forward, mut admitted) = (START.as_micros(), 0_i64, 0_i64);
        for (jump, cost) in jumps {
            micros += jump;
            forward += jump.max(0);
            let now = Timestamp::from_micros(micros);
            if ask(&limiter, &[key(&quota, cost)], Mode::Consume, now).is_allowed() {
                admitted += i64::from(cost);
            }
        }
        let bucket = quota.bucket();
        prop_assert!(admitted * bucket.interval() <= bucket.capacity() + forward);
    }

    #[test]
    fn the_stated_wait_is_exact(quota in quota(), steps in steps(), cost in 1_u32..200) {
        prop_assume!(cost <= quota.burst());
        let limiter = small();
        let mut now = START;
        for (pause, cost) in steps {
            now = now.saturating_add(Duration::from_micros(pause));
            let _ = ask(&limiter, &[key(&quota, cost)], Mode::Consume, now).is_allowed();
        }
        let decision = ask(&limiter, &[key(&quota, cost)], Mode::Consume, now);
        if let Outcome::Denied { wait } = decision.outcome() {
            let microsecond = Duration::from_micros(1);
            let early = now.saturating_add(wait - microsecond);
            let too_early = ask(&limiter, &[key(&quota, cost)], Mode::Consume, early);
            prop_assert_eq!(too_early.outcome(), Outcome::Denied { wait: microsecond });
            let on_time = ask(&limiter, &[key(&quota, cost)], Mode::Consume, early.saturating_add(microsecond));
            prop_assert!(on_time.is_allowed());
        }
    }

    #[test]
    fn whoever_obeys_retry_after_passes(quotas in vec(quota(), 1..4), rounds in 1_usize..100) {
        let limiter = small();
        let ids = ["a", "b", "c"];
        let charges: Vec<_> = ids
            .iter()
            .zip(&quotas)
            .map(|(id, quota)| Charge::new(Subject::key(id), quota))
            .collect();
        let mut now = START;
        for _ in 0..rounds {
            let decision = ask(&limiter, &charges, Mode::Consume, now);
            if let Some(seconds) = decision.retry_after() {
                now = now.saturating_add(Duration::from_secs(seconds));
                prop_assert!(ask(&limiter, &charges, Mode::Consume, now).is_allowed());
            }
        }
    }

    #[test]
    fn exactly_as_many_as_remain_pass(quota in quota(), steps in steps()) {
        let limiter = small();
        let mut now = START;
        for (pause, cost) in steps {
            now = now.saturating_add(Duration::from_micros(pause));
            let _ = ask(&limiter, &[key(&quota, cost)], Mode::Consume, now).is_allowed();
        }
        let promised = left(&ask(&limiter, &[key(&quota, 0)], Mode::Peek, now));
        for _ in 0..promised {
            prop_assert!(ask(&limiter, &[key(&quota, 1)], Mode::Consume, now).is_allowed());
        }
        prop_assert!(!ask(&limiter, &[key(&quota, 1)], Mode::Consume, now).is_allowed());
    }

    #[test]
    fn a_refund_leaves_no_trace_of_what_it_refunds(
        quota in quota(),
        before in 0_u32..200,
        cost in 0_u32..200,
        pause in 0_u64..1_000_000,
    ) {
        let limiter = small();
        let used = ask(&limiter, &[key(&quota, before)], Mode::Consume, START);
        let reset = |decision: &RateDecision| decision.states().next().unwrap().reset();
        let taken = ask(&limiter, &[key(&quota, cost)], Mode::Consume, START);
        prop_assume!(taken.is_allowed());
        let now = START.saturating_add(Duration::from_micros(pause));
        let refunded = ask(&limiter, &[key(&quota, cost)], Mode::Refund, now);
        prop_assert_eq!(reset(&refunded), reset(&used).max(now));
    }

    #[test]
    fn a_denied_call_changes_nothing(
        mut quotas in vec(quota(), 2..6),
        used in vec(0_u32..200, 6),
        costs in vec(0_u32..200, 6),
        same in proptest::bool::ANY,
    ) {
        let limiter = small();
        let mut ids = ["a", "b", "c", "d", "e", "f"];
        if same {
            let first = quotas[0].clone();
            (ids, quotas) = (["a"; 6], vec![first; quotas.len()]);
        }
        let charges = |costs: &[u32]| -> Vec<Charge<'_>> {
            let named = ids.iter().zip(&quotas).zip(costs);
            named.map(|((id, quota), cost)| Charge::new(Subject::key(id), quota).with_cost(*cost)).collect()
        };
        for charge in charges(&used) {
            let _ = ask(&limiter, &[charge], Mode::Consume, START).is_allowed();
        }
        let looking = charges(&[0; 6]);
        let resets = |decision: &RateDecision| -> Vec<Timestamp> {
            decision.states().map(QuotaState::reset).collect()
        };
        let before = resets(&ask(&limiter, &looking, Mode::Peek, START));
        let decision = ask(&limiter, &charges(&costs), Mode::Consume, START);
        if !decision.is_allowed() {
            prop_assert_eq!(&resets(&decision), &before);
            prop_assert_eq!(&resets(&ask(&limiter, &looking, Mode::Peek, START)), &before);
        }
    }

    /// Deciding several limits at once is deciding them one by one, as long as all of them pass.
    #[test]
    fn several_at_once_are_the_same_as_one_by_one(quotas in vec(quota(), 1..6), costs in vec(0_u32..50, 6)) {
        let (together, apart) = (small(), small());
        let ids = ["a", "b", "c", "d", "e", "f"];
        let named = ids.iter().zip(&quotas).zip(&costs);
        let charges: Vec<_> = named
            .map(|((id, quota), cost)| Charge::new(Subject::key(id), quota).with_cost(*cost))
            .collect();
        for second in 0..5 {
            let now = START.saturating_add(Duration::from_secs(second));
            let peek = ask(&together, &charges, Mode::Peek, now);
            let decision = ask(&together, &charges, Mode::Consume, now);
            prop_assert_eq!(peek.outcome(), decision.outcome());
            if decision.is_allowed() {
                for (charge, state) in charges.iter().zip(decision.states()) {
                    let alone = ask(&apart, &[*charge], Mode::Consume, now);
                    prop_assert!(alone.is_allowed());
                    prop_assert_eq!(alone.states().next().unwrap().reset(), state.reset());
                }
            }
        }
    }
}

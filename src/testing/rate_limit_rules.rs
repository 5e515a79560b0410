//! The contract of [`RateLimiter`], as tests that anybody can run against an implementation.
//!
//! ```
//! # #[allow(unused)]
//! mod my_limiter {
//!     use keyward::rate_limit::MemoryRateLimiter;
//!
//!     async fn fresh() -> MemoryRateLimiter {
//!         MemoryRateLimiter::new()
//!     }
//!
//!     keyward::rate_limiter_conformance!(contract, fresh);
//! }
//! ```
//!
//! makes one test a rule, `my_limiter::contract::admits_exactly_the_burst` and so on. The factory is called once a rule and
//! returns a limiter, or an `Arc` of one, in which nothing has been charged yet. Rules that move time are passed over by a
//! limiter that declares a clock of its own ([`TimeSource::Own`]), and by nothing else.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a rule says by a panic that it is broken"
)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::rate_limit::{
    Charge, MAX_CHARGES, Mode, Outcome, Quota, QuotaState, RateDecision, RateLimitError,
    RateLimiter, RateLimiterExt, Subject, TimeSource,
};
use crate::time::Timestamp;

/// One rule of the contract.
pub struct Rule {
    name: &'static str,
    moves_time: bool,
    check: fn(Arc<dyn RateLimiter>) -> Check,
}

type Check = Pin<Box<dyn Future<Output = ()>>>;

impl Rule {
    /// Returns the rule's name, which is that of its function and of its test.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Tells whether the rule needs a limiter that goes by the caller's clock.
    #[must_use]
    pub const fn moves_time(&self) -> bool {
        self.moves_time
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.name)
    }
}

/// The one table of rules. The list for programs and the tests for `cargo test` are both made from it.
#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limit_rules {
    ($consumer:ident $input:tt) => {
        $crate::$consumer! { $input
            at_any_time admits_exactly_the_burst;
            at_any_time allows_no_charges;
            at_any_time answers_for_every_charge_in_order;
            at_any_time counts_charges_of_one_bucket_together;
            at_any_time denies_a_cost_above_the_burst_and_takes_nothing;
            at_any_time gives_back_exactly_what_was_taken;
            at_any_time keeps_buckets_apart;
            at_any_time keeps_strangers_apart;
            at_any_time keeps_subjects_apart;
            at_any_time never_admits_too_much_to_many_at_once;
            at_any_time never_overfills_by_a_refund;
            at_any_time refuses_too_many_charges;
            at_any_time shares_a_bucket_between_quotas_of_one_label;
            at_any_time takes_all_or_none;
            at_any_time takes_all_or_none_from_many_at_once;
            at_any_time takes_nothing_by_a_denial;
            at_any_time takes_nothing_by_a_peek;
            at_any_time takes_nothing_for_a_cost_of_zero;
            moving_time admits_for_ever_at_exactly_its_rate;
            moving_time earns_no_credit_while_idle;
            moving_time gives_back_a_token_an_interval;
            moving_time grants_nothing_when_the_clock_steps_back;
            moving_time passes_after_exactly_the_stated_wait;
            moving_time recovers_from_a_step_back_within_a_token;
            moving_time recovers_from_a_smaller_quota_within_a_token;
            moving_time states_waits_that_hold_for_all_charges;
            moving_time survives_the_ends_of_time;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limit_rule_list {
    ([] $($when:ident $rule:ident;)*) => {
        &[$(Rule {
            name: stringify!($rule),
            moves_time: $crate::__rate_limit_rule_list!(@moves $when),
            check: |limiter| Box::pin($rule(limiter)),
        },)*]
    };
    (@moves at_any_time) => { false };
    (@moves moving_time) => { true };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limit_rule_tests {
    ([$module:ident, $factory:expr] $($when:ident $rule:ident;)*) => {
        mod $module {
            #[allow(unused_imports, reason = "the factory may name anything around it")]
            use super::*;

            $(
                #[test]
                fn $rule() {
                    $crate::testing::rate_limit_rules::run(stringify!($rule), $factory);
                }
            )*
        }
    };
}

/// Makes a module with one test for each rule of the [`RateLimiter`] contract.
///
/// The second argument is an `async fn` (or a closure that returns a future) that makes a fresh limiter. See
/// [`rate_limit_rules`](crate::testing::rate_limit_rules).
#[macro_export]
macro_rules! rate_limiter_conformance {
    ($module:ident, $factory:expr $(,)?) => {
        $crate::__rate_limit_rules! { __rate_limit_rule_tests [$module, $factory] }
    };
}

/// Every rule, in the order of the table.
pub const RULES: &[Rule] = crate::__rate_limit_rules! { __rate_limit_rule_list [] };

/// Checks one rule against a limiter from `factory`, in a runtime of its own.
///
/// # Panics
///
/// When the rule is broken, or when there is no rule of that name.
pub fn run<L, F>(name: &str, factory: impl FnOnce() -> F)
where
    L: RateLimiter,
    F: Future<Output = L>,
{
    let rule = RULES.iter().find(|rule| rule.name == name);
    let rule = rule.expect("a rule of this name is in the table");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let limiter: Arc<dyn RateLimiter> = Arc::new(factory().await);
        if rule.moves_time && limiter.time_source() == TimeSource::Own {
            return;
        }
        (rule.check)(limiter).await;
    });
}

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// So slow that nothing comes back while a rule runs, whatever the clock.
fn hourly(limit: u32) -> Quota {
    let period = Duration::from_secs(3600).saturating_mul(limit);
    let quota = Quota::per(limit, period).expect("a whole hour for each token");
    quota.in_bucket("slow").expect("a plain label")
}

fn per_minute(limit: u32) -> Quota {
    Quota::per_minute(limit).expect("a valid quota")
}

fn charge<'a>(id: &'a str, quota: &'a Quota, cost: u32) -> Charge<'a> {
    Charge::new(Subject::key(id), quota).with_cost(cost)
}

async fn apply(
    limiter: &Arc<dyn RateLimiter>,
    charges: &[Charge<'_>],
    mode: Mode,
    now: Timestamp,
) -> RateDecision {
    let decision = limiter.check(charges, mode, now).await;
    decision.expect("the limiter answers")
}

async fn send(limiter: &Arc<dyn RateLimiter>, charges: &[Charge<'_>]) -> bool {
    apply(limiter, charges, Mode::Consume, NOW)
        .await
        .is_allowed()
}

async fn give_back(limiter: &Arc<dyn RateLimiter>, charges: &[Charge<'_>]) {
    let decision = apply(limiter, charges, Mode::Refund, NOW).await;
    assert!(decision.is_allowed(), "a refund always succeeds");
}

async fn send_at(limiter: &Arc<dyn RateLimiter>, charge: Charge<'_>, now: Timestamp) -> Outcome {
    apply(limiter, &[charge], Mode::Consume, now)
        .await
        .outcome()
}

async fn left(limiter: &Arc<dyn RateLimiter>, id: &str, quota: &Quota) -> u32 {
    left_at(limiter, id, quota, NOW).await
}

async fn left_at(limiter: &Arc<dyn RateLimiter>, id: &str, quota: &Quota, now: Timestamp) -> u32 {
    let decision = apply(limiter, &[charge(id, quota, 0)], Mode::Peek, now).await;
    remaining(&decision)
        .first()
        .copied()
        .expect("one state a charge")
}

fn remaining(decision: &RateDecision) -> Vec<u32> {
    decision.states().map(QuotaState::remaining).collect()
}

fn after(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros().saturating_add(micros))
}

const SECOND: i64 = 1_000_000;

fn denied(millis: u64) -> Outcome {
    Outcome::Denied {
        wait: Duration::from_millis(millis),
    }
}

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
}

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

#[expect(clippy::panic, reason = "a rule says by a panic that it is broken")]
fn panic_about(outcome: Outcome) -> ! {
    panic!("expected a denial, found {outcome:?}")
}

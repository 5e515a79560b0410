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

mod at_any_time;
mod moving_time;
mod support;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::rate_limit::{RateLimiter, TimeSource};

pub use at_any_time::*;
pub use moving_time::*;

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

//! What a limiter is asked.

use super::{Quota, Subject};

/// The most charges one call may hold: four quotas each for an address, a key, an owner and a tenant.
pub const MAX_CHARGES: usize = 16;

/// How many charges are handled without allocating. More would make every call pay for copying what few calls use.
pub(super) const INLINE_CHARGES: usize = 6;

/// One bucket to be charged: whose, under which quota, by how much.
///
/// ```
/// use keyward::rate_limit::{Charge, Quota, Subject};
///
/// let quota = Quota::per_minute(60)?;
/// let export = Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota).with_cost(10);
/// assert_eq!(export.cost(), 10);
/// # Ok::<(), keyward::rate_limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    subject: Subject<'a>,
    quota: &'a Quota,
    cost: u32,
}

impl<'a> Charge<'a> {
    /// Returns a charge of one token.
    #[must_use]
    pub const fn new(subject: Subject<'a>, quota: &'a Quota) -> Self {
        Self {
            subject,
            quota,
            cost: 1,
        }
    }

    /// Sets how many tokens are charged. Zero looks without taking; more than the quota's burst can never pass.
    #[must_use]
    pub const fn with_cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// Returns how many tokens are charged.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// Returns the quota that sizes the bucket.
    #[must_use]
    pub const fn quota(&self) -> &'a Quota {
        self.quota
    }

    /// Returns whose bucket it is.
    #[must_use]
    pub const fn subject(&self) -> Subject<'a> {
        self.subject
    }
}

/// What is done with a slice of charges.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a backend that does not know a mode could not keep its contract"
)]
pub enum Mode {
    /// Take every charge, or none of them if one does not fit.
    Consume,
    /// Tell whether `Consume` would pass, and how things stand; change nothing.
    Peek,
    /// Give back what an earlier `Consume` took. Always succeeds; a bucket cannot become fuller than full.
    Refund,
}

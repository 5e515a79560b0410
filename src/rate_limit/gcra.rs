//! The arithmetic of a token bucket, as one moment and a subtraction.
//!
//! A bucket is stored as the moment at which it will be full again (the *theoretical arrival time* of the generic cell
//! rate algorithm, ITU-T I.371). What lies between now and that moment is its *debt*: nothing when the bucket is full or
//! was never used, its whole capacity when it is empty. A token costs one *interval* of debt, and time pays debt back by
//! itself, so there is no refill to compute, no count to keep and no clean-up to run.
//!
//! Everything here is pure, total and in whole microseconds, so that every backend that does the same sums gives the
//! same answer to the microsecond.
#![warn(clippy::arithmetic_side_effects)]

use std::num::NonZeroU32;

use crate::time::Timestamp;

/// The longest time any bucket may take to fill: ten years of 366 days.
///
/// It keeps every moment that a bucket can store below 2^53 microseconds until the year 2245; above, the numbers of a
/// Redis script are no longer exact.
pub const MAX_SPAN_MICROS: i64 = 10 * 366 * 86_400 * 1_000_000;

/// The size and speed of a bucket: how long one token takes, and how long all of them take.
///
/// ```
/// use keyward::rate_limit::gcra::Bucket;
/// use keyward::time::Timestamp;
///
/// let now = Timestamp::from_secs(1_700_000_000);
/// let bucket = Bucket::new(1_000_000, 60).expect("one token a second, at most sixty");
///
/// let debt = bucket.debt(Timestamp::MIN, now); // never used: owes nothing
/// assert_eq!(bucket.wait(debt, 60), 0);
/// let stored = bucket.full_at(now, debt + bucket.price(60));
/// assert_eq!(bucket.debt(stored, now), 60_000_000);
/// assert_eq!(bucket.wait(60_000_000, 1), 1_000_000);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Bucket {
    interval: i64,
    capacity: i64,
}

impl Bucket {
    /// Fills a place that is not used yet.
    pub(super) const NONE: Self = Self {
        interval: 1,
        capacity: 0,
    };

    /// Returns a bucket of `burst` tokens, one of which comes back every `interval` microseconds.
    ///
    /// `None` when either is zero or when the bucket would take longer than [`MAX_SPAN_MICROS`] to fill.
    #[must_use]
    pub fn new(interval: i64, burst: u32) -> Option<Self> {
        let capacity = interval.checked_mul(i64::from(burst))?;
        let valid = interval > 0 && capacity > 0 && capacity <= MAX_SPAN_MICROS;
        valid.then_some(Self { interval, capacity })
    }

    /// Returns this bucket's part when `nodes` processes divide it: fewer tokens, each as many times slower.
    ///
    /// At least one token remains, so a bucket smaller than `nodes` is divided by its rate only.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        let interval = self
            .interval
            .saturating_mul(i64::from(nodes.get()))
            .min(MAX_SPAN_MICROS);
        let burst = i64::from(self.burst())
            .checked_div(i64::from(nodes.get()))
            .unwrap_or(1)
            .max(1);
        Self {
            interval,
            capacity: interval.saturating_mul(burst).min(MAX_SPAN_MICROS),
        }
    }

    /// Returns the microseconds in which one token comes back.
    #[must_use]
    pub const fn interval(self) -> i64 {
        self.interval
    }

    /// Returns the microseconds in which an empty bucket fills, which is also the most it can owe.
    #[must_use]
    pub const fn capacity(self) -> i64 {
        self.capacity
    }

    /// Returns how many tokens a full bucket holds.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.tokens(self.capacity)
    }

    /// Returns what the bucket owes at `now` when it is stored as full at `full_at`.
    ///
    /// Never below zero (idle time earns no credit) and never above the capacity: a clock that stepped back, or a quota
    /// that has become smaller, can empty the bucket but cannot lock anybody out for longer than that.
    #[must_use]
    pub fn debt(self, full_at: Timestamp, now: Timestamp) -> i64 {
        full_at
            .as_micros()
            .saturating_sub(latest(now))
            .clamp(0, self.capacity)
    }

    /// Returns the debt that `cost` tokens add.
    #[must_use]
    pub fn price(self, cost: u32) -> i64 {
        self.interval.saturating_mul(i64::from(cost))
    }

    /// Returns how long `cost` tokens have to wait for a bucket in `debt`: zero when they fit now.
    ///
    /// No wait helps a cost above [`Bucket::burst`]; the number is then only known to be above zero.
    #[must_use]
    pub fn wait(self, debt: i64, cost: u32) -> i64 {
        debt.saturating_add(self.price(cost))
            .saturating_sub(self.capacity)
            .max(0)
    }

    /// Returns the moment to store for a bucket that owes `debt` at `now`.
    #[must_use]
    pub fn full_at(self, now: Timestamp, debt: i64) -> Timestamp {
        Timestamp::from_micros(latest(now).saturating_add(debt))
    }

    /// Tells whether the stored moment lies beyond what this bucket can owe, so that it has to be pulled back.
    #[must_use]
    pub fn overdrawn(self, full_at: Timestamp, now: Timestamp) -> bool {
        full_at.as_micros().saturating_sub(latest(now)) > self.capacity
    }

    /// Returns how many whole tokens are left in a bucket in `debt`.
    #[must_use]
    pub fn remaining(self, debt: i64) -> u32 {
        self.tokens(self.capacity.saturating_sub(debt))
    }

    /// Returns the microseconds until one more token is there; zero when the bucket is full.
    #[must_use]
    pub fn next_token(self, debt: i64) -> i64 {
        if debt <= 0 {
            return 0;
        }
        let started = self
            .capacity
            .saturating_sub(debt)
            .checked_rem(self.interval)
            .unwrap_or(0);
        self.interval.saturating_sub(started)
    }

    fn tokens(self, span: i64) -> u32 {
        let whole = span.checked_div(self.interval).unwrap_or(0);
        u32::try_from(whole).unwrap_or(0)
    }
}

/// `now` in microseconds, kept so far from the end of time that no debt can be cut short by it.
fn latest(now: Timestamp) -> i64 {
    now.as_micros()
        .min(i64::MAX.saturating_sub(MAX_SPAN_MICROS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn starter() -> Bucket {
        Bucket::new(SECOND, 60).unwrap()
    }

    #[test]
    fn a_bucket_never_used_owes_nothing_at_any_time() {
        for now in [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX] {
            assert_eq!(starter().debt(Timestamp::MIN, now), 0);
        }
    }

    #[test]
    fn an_idle_hour_earns_no_credit() {
        let debt = starter().debt(Timestamp::from_secs(1), Timestamp::from_secs(3600));
        assert_eq!(debt, 0);
        assert_eq!(starter().remaining(debt), 60);
    }

    #[test]
    fn keeps_whole_debts_at_the_end_of_time() {
        let stored = starter().full_at(Timestamp::MAX, 60 * SECOND);
        assert_eq!(starter().debt(stored, Timestamp::MAX), 60 * SECOND);
    }

    #[test]
    fn a_step_back_empties_the_bucket_at_most() {
        let stored = starter().full_at(Timestamp::from_secs(1000), 5 * SECOND);
        assert_eq!(
            starter().debt(stored, Timestamp::from_secs(970)),
            35 * SECOND
        );
        let debt = starter().debt(stored, Timestamp::MIN);
        assert_eq!(debt, 60 * SECOND);
        assert_eq!(starter().wait(debt, 1), SECOND);
    }

    #[test]
    fn a_step_back_leaves_it_overdrawn_only_beyond_the_capacity() {
        let stored = starter().full_at(Timestamp::from_secs(1000), 60 * SECOND);
        assert!(!starter().overdrawn(stored, Timestamp::from_secs(1000)));
        assert!(starter().overdrawn(stored, Timestamp::from_secs(999)));
    }

    #[test]
    fn a_huge_cost_saturates() {
        assert_eq!(
            Bucket::new(MAX_SPAN_MICROS, 1).unwrap().price(u32::MAX),
            i64::MAX
        );
        assert!(starter().wait(60 * SECOND, u32::MAX) > 0);
    }

    #[test]
    fn the_next_token_of_a_full_bucket_is_now() {
        assert_eq!(starter().next_token(0), 0);
        assert_eq!(starter().next_token(1), 1);
        assert_eq!(starter().next_token(SECOND), SECOND);
        assert_eq!(starter().next_token(SECOND + 1), 1);
    }

    #[test]
    fn refuses_empty_stopped_and_endless_buckets() {
        assert!(Bucket::new(0, 1).is_none());
        assert!(Bucket::new(-1, 1).is_none());
        assert!(Bucket::new(1, 0).is_none());
        assert!(Bucket::new(i64::MAX, 2).is_none());
        assert!(Bucket::new(MAX_SPAN_MICROS, 1).is_some());
        assert!(Bucket::new(MAX_SPAN_MICROS + 1, 1).is_none());
    }

    #[test]
    fn divides_among_nodes_by_count_and_rate() {
        let nodes = NonZeroU32::new(3).unwrap();
        let pro = Bucket::new(200_000, 300).unwrap().share(nodes);
        assert_eq!((pro.burst(), pro.interval()), (100, 600_000));
        let pacing = Bucket::new(SECOND, 1).unwrap().share(nodes);
        assert_eq!((pacing.burst(), pacing.interval()), (1, 3 * SECOND));
        let slowest = Bucket::new(MAX_SPAN_MICROS, 1)
            .unwrap()
            .share(NonZeroU32::MAX);
        assert_eq!((slowest.burst(), slowest.interval()), (1, MAX_SPAN_MICROS));
    }
}

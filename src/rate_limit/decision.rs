//! What a limiter's answer means for a request and its client.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::charge::INLINE_CHARGES;
use super::gcra::Bucket;
use super::quota::{seconds_up, span};
use super::{Answer, Charge, Quota, RateLimitError, Scope, Source};
use crate::time::Timestamp;

/// Whether a request is within its limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a fourth outcome that callers ignore would be an opening"
)]
pub enum Outcome {
    /// Every charge fits.
    Allowed,
    /// At least one charge does not fit now; all of them fit after exactly this wait, if nothing else is charged.
    Denied {
        /// The longest of the waits, always above zero.
        wait: Duration,
    },
    /// At least one charge costs more than its quota ever holds: no wait helps.
    Never,
}

/// The verdict over all charges of a request, and for each quota what is left and until when.
///
/// It is computed here from the charges and a backend's [`Answer`], the same for every backend, and keeps what the
/// headers need. For up to six quotas that allocates nothing.
///
/// ```
/// use std::time::Duration;
/// use keyward::rate_limit::{Answer, Cell, Charge, Outcome, Quota, RateDecision, Subject};
/// use keyward::time::Timestamp;
///
/// let quota = Quota::per_minute(60)?;
/// let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota)];
/// // The backend says: owes all its 60 seconds, and one more token is 0.4 seconds away.
/// let answer = Answer::new([Cell::new(60_000_000, 400_000)])?;
/// let decision = RateDecision::new(&charges, &answer, Timestamp::from_secs(1_700_000_000))?;
///
/// assert_eq!(decision.outcome(), Outcome::Denied { wait: Duration::from_millis(400) });
/// assert_eq!(decision.retry_after(), Some(1)); // whole seconds, rounded up
/// let state = decision.denied().next().unwrap();
/// assert_eq!((state.name(), state.limit(), state.remaining()), ("minute", 60, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a decision that nobody looks at limits nobody"]
pub struct RateDecision {
    few: [Option<QuotaState>; INLINE_CHARGES],
    more: Vec<QuotaState>,
    len: usize,
    outcome: Outcome,
    source: Source,
}

impl RateDecision {
    /// Returns what `answer` means for `charges` that were made at `now`.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::MalformedAnswer`] when the answer is about another number of charges.
    pub fn new(
        charges: &[Charge<'_>],
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Self, RateLimitError> {
        let cells = answer.cells();
        if cells.len() != charges.len() {
            return Err(RateLimitError::MalformedAnswer);
        }
        let mut decision = Self::unlimited();
        decision.source = answer.source();
        for (charge, cell) in charges.iter().zip(cells) {
            decision.push(QuotaState {
                quota: charge.quota().clone(),
                debt: cell.debt(),
                wait: cell.wait(),
                now,
                cost: charge.cost(),
                share: answer.share(),
                scope: charge.subject().scope(),
            });
        }
        Ok(decision)
    }

    /// Returns the decision about a request that no quota applies to: allowed, with nothing to tell.
    pub const fn unlimited() -> Self {
        Self {
            few: [const { None }; INLINE_CHARGES],
            more: Vec::new(),
            len: 0,
            outcome: Outcome::Allowed,
            source: Source::Backend,
        }
    }

    /// Returns both decisions as one, for the headers: an address may be decided before authentication, a key after.
    ///
    /// The request is allowed if both allow it.
    pub fn join(mut self, later: Self) -> Self {
        self.source = self.source.max(later.source);
        for state in later.few.into_iter().flatten().chain(later.more) {
            self.push(state);
        }
        self
    }

    /// Returns the verdict.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Tells whether the request is within all its limits.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allowed)
    }

    /// Returns whole seconds to wait, rounded up and at least one, for a denial that a wait can help.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Denied { wait } => {
                let part = u64::from(wait.subsec_nanos() > 0);
                Some(wait.as_secs().saturating_add(part).max(1))
            }
            Outcome::Allowed | Outcome::Never => None,
        }
    }

    /// Returns who gave the answer; of joined decisions, the least authoritative.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Returns the state of every quota, in the order of the charges.
    pub fn states(&self) -> impl Iterator<Item = &QuotaState> {
        self.few.iter().flatten().chain(&self.more)
    }

    /// Returns the quotas that denied the request.
    pub fn denied(&self) -> impl Iterator<Item = &QuotaState> {
        self.states().filter(|state| state.is_denied())
    }

    /// Returns the quota that matters most to the client: the one that denied the request for longest, else the one with
    /// the smallest share left, the first of equals.
    #[must_use]
    pub fn tightest(&self) -> Option<&QuotaState> {
        self.states().reduce(|best, state| {
            if state.is_tighter_than(best) {
                state
            } else {
                best
            }
        })
    }

    fn push(&mut self, state: QuotaState) {
        self.outcome = self.outcome.and(state.outcome());
        match self.few.get_mut(self.len) {
            Some(place) => *place = Some(state),
            None => self.more.push(state),
        }
        self.len = self.len.saturating_add(1);
    }
}

impl Outcome {
    /// The outcome of two that both have to allow: never beats denied, denied beats allowed, the longer wait wins.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Denied { wait: one }, Self::Denied { wait: two }) => {
                Self::Denied { wait: one.max(two) }
            }
            (denied @ Self::Denied { .. }, Self::Allowed) => denied,
            (Self::Allowed, other) => other,
        }
    }
}

impl fmt::Debug for RateDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateDecision")
            .field("outcome", &self.outcome)
            .field("source", &self.source)
            .field("states", &self.states().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Where one quota stands after a decision.
#[derive(Clone, Debug)]
pub struct QuotaState {
    quota: Quota,
    debt: i64,
    wait: i64,
    now: Timestamp,
    cost: u32,
    share: NonZeroU32,
    scope: Scope,
}

impl QuotaState {
    /// Returns whose quota it is.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns the quota as it was configured.
    #[must_use]
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Returns the quota's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.quota.name()
    }

    /// Returns how many tokens a full bucket holds; on a fallback, this process's part of them.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.bucket().burst()
    }

    /// Returns how many tokens are left: so many requests of cost one pass before any wait.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.bucket().remaining(self.debt)
    }

    /// Returns when one more token is there; zero when the bucket is full.
    #[must_use]
    pub fn next_token_in(&self) -> Duration {
        span(self.bucket().next_token(self.debt))
    }

    /// Returns when the bucket is full again; zero when it is.
    #[must_use]
    pub fn full_in(&self) -> Duration {
        span(self.debt)
    }

    /// Returns the moment at which the bucket is full again.
    #[must_use]
    pub fn reset(&self) -> Timestamp {
        self.now.saturating_add(self.full_in())
    }

    /// Returns what this quota alone says about the request.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if !self.is_denied() {
            Outcome::Allowed
        } else if self.cost > self.limit() {
            Outcome::Never
        } else {
            Outcome::Denied {
                wait: span(self.wait),
            }
        }
    }

    /// Tells whether this quota denied the request.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.wait > 0
    }

    pub(super) const fn share(&self) -> NonZeroU32 {
        self.share
    }

    pub(super) fn bucket(&self) -> Bucket {
        let whole = self.quota.bucket();
        if self.share == NonZeroU32::MIN {
            return whole;
        }
        whole.share(self.share)
    }

    pub(super) fn next_token_secs(&self) -> i64 {
        seconds_up(self.bucket().next_token(self.debt))
    }

    pub(super) fn full_secs(&self) -> i64 {
        seconds_up(self.debt)
    }

    pub(super) fn reset_secs(&self) -> i64 {
        let reset = self.now.as_micros().saturating_add(self.debt);
        reset.saturating_add(999_999).div_euclid(1_000_000)
    }

    /// Denials first and the longest of them foremost, then by the share that is left.
    fn is_tighter_than(&self, other: &Self) -> bool {
        if self.is_denied() || other.is_denied() {
            return self.severity() > other.severity();
        }
        let (mine, theirs) = (u64::from(self.remaining()), u64::from(other.remaining()));
        let (limit, their_limit) = (u64::from(self.limit()), u64::from(other.limit()));
        mine.saturating_mul(their_limit) < theirs.saturating_mul(limit)
    }

    fn severity(&self) -> i64 {
        match self.outcome() {
            Outcome::Allowed => 0,
            Outcome::Denied { .. } => self.wait,
            Outcome::Never => i64::MAX,
        }
    }
}

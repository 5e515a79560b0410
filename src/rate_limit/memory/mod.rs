//! The limiter that counts within one process.

mod batch;
mod line;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::size_of;
use std::num::NonZeroU32;

use self::line::{Line, Pool, SLOTS};
use super::charge::INLINE_CHARGES;
use super::gcra::Bucket;
use super::{
    Answer, Cell, Charge, MAX_CHARGES, Mode, RateLimitError, RateLimiter, Reply, Subject,
    TimeSource,
};
use crate::sync::{self, Mutex};
use crate::time::Timestamp;

/// The default number of lines: 114 688 slots in 2 MiB.
const DEFAULT_LINES: usize = 1 << 14;

/// The most lines: 117 million slots in 2 GiB.
const MAX_LINES: usize = 1 << 24;

/// The default bound of the overflow: at most half as much memory again as the default table.
const DEFAULT_OVERFLOW: usize = 1 << 16;

/// A limiter in memory: exact, bounded, without a background task and without allocations (but for calls of more than six
/// charges, and for the overflow).
///
/// Buckets live in a table of fixed size, in lines of seven behind a lock of their own. A bucket that is full again is the
/// same as one never used, so its slot is simply free: nothing has to be swept. Subjects are kept as a hash under a key
/// drawn at random for each limiter, so no address stays in memory and nobody outside can aim at a line.
///
/// # When a line is full
///
/// The *least indebted* of its seven makes room. If strangers can make up such subjects ([`Scope::is_open`]) and it owes no
/// more than the newcomer, it is forgotten, which costs its owner's limit one or a few tokens of accuracy
/// ([`live_evictions`](Self::live_evictions) counts these: if it grows, enlarge the table). Otherwise (it belongs to a
/// verified key, owner or tenant, or it owes more) it moves to an overflow and stays exact. So however many new subjects
/// arrive, an exhausted bucket stays exhausted. The overflow is bounded too; beyond it the least indebted are forgotten.
///
/// # Several charges
///
/// A call locks the lines it needs in the order of the table, decides, and only then writes. (The alternative, taking one
/// after the other and giving back after a denial, is exact as well, but lets a call that will fail make another one fail.)
/// The overflow belongs to its line, so there is no further lock, and nothing that can deadlock.
///
/// ```
/// use keyward::rate_limit::{Charge, MemoryRateLimiter, Mode, Outcome, Quota, RateLimiterExt, Subject};
/// use keyward::time::Timestamp;
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let limiter = MemoryRateLimiter::builder().slots(1_000_000).build();
/// let (key, now) = (Quota::per_minute(60)?.with_burst(1)?, Timestamp::from_secs(1_700_000_000));
/// let tenant = Quota::per_day(10_000)?;
/// let charges = [
///     Charge::new(Subject::key("3Fq9xT0bLm2A"), &key),
///     Charge::new(Subject::tenant("acme"), &tenant),
/// ];
/// assert!(limiter.check(&charges, Mode::Consume, now).await?.is_allowed());
///
/// let denied = limiter.check(&charges, Mode::Consume, now).await?;
/// assert_eq!(denied.outcome(), Outcome::Denied { wait: Duration::from_secs(1) });
/// let tenant = denied.states().nth(1).unwrap();
/// assert_eq!(tenant.remaining(), 9_999); // the tenant was not charged for it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Scope::is_open`]: super::Scope::is_open
pub struct MemoryRateLimiter {
    lines: Box<[Aligned]>,
    pool: Pool,
    hasher: RandomState,
}

/// A line in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Aligned(Mutex<Line>);

/// The keyed hash of a subject. It decides the line, so that all buckets of one subject are behind one lock.
#[derive(Clone, Copy)]
struct SubjectHash(u64);

/// Where a bucket is kept, if it is kept: in which line, and under which tag.
#[derive(Clone, Copy)]
struct Place {
    tag: u64,
    line: usize,
}

impl MemoryRateLimiter {
    /// Returns a limiter of the default size: some 115 000 buckets in 2 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder that sets the size.
    pub const fn builder() -> MemoryLimiterBuilder {
        MemoryLimiterBuilder {
            lines: DEFAULT_LINES,
            overflow: DEFAULT_OVERFLOW,
        }
    }

    /// Returns how many buckets the table holds.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.lines.len().saturating_mul(SLOTS)
    }

    /// Returns the memory of the table in bytes. The overflow comes on top while it holds something.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.lines.len().saturating_mul(size_of::<Aligned>())
    }

    /// Returns how many buckets that still owed something have been forgotten since the start, for want of room.
    #[must_use]
    pub fn live_evictions(&self) -> u64 {
        self.pool.lost()
    }

    /// Returns how many buckets are in the overflow now.
    #[must_use]
    pub fn overflowing(&self) -> usize {
        self.pool.used()
    }

    /// Does what [`RateLimiter::apply`] does, with each quota divided by `share`.
    pub(super) fn decide(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
        share: NonZeroU32,
    ) -> Result<Answer, RateLimitError> {
        match charges {
            [one] => Ok(Answer::of_one(self.apply_one(one, mode, now, share))),
            [_, _] => self.apply_all::<2>(charges, mode, now, share),
            [_, _, _] => self.apply_all::<3>(charges, mode, now, share),
            few if few.len() <= INLINE_CHARGES => {
                self.apply_all::<INLINE_CHARGES>(few, mode, now, share)
            }
            some if some.len() <= MAX_CHARGES => {
                self.apply_all::<MAX_CHARGES>(some, mode, now, share)
            }
            many => Err(RateLimitError::TooManyCharges { count: many.len() }),
        }
    }

    fn apply_one(
        &self,
        charge: &Charge<'_>,
        mode: Mode,
        now: Timestamp,
        share: NonZeroU32,
    ) -> Cell {
        let bucket = sized(charge, share);
        let place = self.place(self.hash(charge.subject()), charge);
        let mut line = sync::lock(self.line(place.line));
        let stored = line.find(place.tag);
        let full_at = stored.as_ref().map_or(Timestamp::MIN, |at| **at);
        let debt = bucket.debt(full_at, now);
        let (owed, wait) = step(bucket, debt, charge.cost(), mode);
        if mode == Mode::Peek {
            return Cell::new(debt, wait);
        }
        let heals = wait > 0 && bucket.overdrawn(full_at, now);
        if heals || owed != debt {
            let full_at = bucket.full_at(now, owed);
            match stored {
                Some(place) => *place = full_at,
                None => line.insert(place.tag, full_at, now, &self.pool),
            }
        }
        Cell::new(owed, wait)
    }

    fn place(&self, hash: SubjectHash, charge: &Charge<'_>) -> Place {
        let kept = !charge.subject().scope().is_open();
        let mask = self.lines.len().saturating_sub(1);
        Place {
            tag: line::tag(hash.0 ^ charge.quota().bucket_id(), kept),
            line: usize::try_from(hash.0 >> 32).unwrap_or(0) & mask,
        }
    }

    fn hash(&self, subject: Subject<'_>) -> SubjectHash {
        let mut hasher = self.hasher.build_hasher();
        subject.hash_id(&mut hasher);
        // Spreads the few scopes over all bits (Knuth's constant); cheaper than hashing one byte more.
        let scope = (subject.scope() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        SubjectHash(hasher.finish() ^ scope)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`place` masks the index by the length, a power of two"
    )]
    fn line(&self, index: usize) -> &Mutex<Line> {
        &self.lines[index].0
    }
}

/// What the bucket owes after the charge, and how long the charge has to wait. One that has to wait adds nothing.
fn step(bucket: Bucket, debt: i64, cost: u32, mode: Mode) -> (i64, i64) {
    let price = bucket.price(cost);
    if mode == Mode::Refund {
        return (debt.saturating_sub(price).max(0), 0);
    }
    match bucket.wait(debt, cost) {
        0 => (debt.saturating_add(price), 0),
        wait => (debt, wait),
    }
}

fn sized(charge: &Charge<'_>, share: NonZeroU32) -> Bucket {
    let whole = charge.quota().bucket();
    if share == NonZeroU32::MIN {
        return whole;
    }
    whole.share(share)
}

impl Default for MemoryRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRateLimiter")
            .field("slots", &self.slots())
            .field("overflowing", &self.overflowing())
            .field("live_evictions", &self.live_evictions())
            .finish_non_exhaustive()
    }
}

impl RateLimiter for MemoryRateLimiter {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        Reply::ready(self.decide(charges, mode, now, NonZeroU32::MIN))
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

/// Sets the size of a [`MemoryRateLimiter`].
///
/// ```
/// use keyward::rate_limit::MemoryRateLimiter;
///
/// let limiter = MemoryRateLimiter::builder().slots(1_000_000).overflow(10_000).build();
/// assert!(limiter.slots() >= 1_000_000);
/// assert!(limiter.table_bytes() <= 34 * limiter.slots());
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MemoryLimiterBuilder {
    lines: usize,
    overflow: usize,
}

impl MemoryLimiterBuilder {
    /// Sets how many buckets the table holds at least; it is rounded up to the next size, at most 117 million.
    ///
    /// A good size is twice the number of subjects that owe something at one time. All of it is allocated at once.
    pub fn slots(self, slots: usize) -> Self {
        let lines = slots.div_ceil(SLOTS).clamp(1, MAX_LINES);
        Self {
            lines: lines.next_power_of_two(),
            ..self
        }
    }

    /// Sets how many buckets the overflow holds at most, over the whole table (65 536 unless set).
    pub const fn overflow(self, buckets: usize) -> Self {
        Self {
            overflow: buckets,
            ..self
        }
    }

    /// Returns the limiter.
    #[must_use]
    pub fn build(self) -> MemoryRateLimiter {
        MemoryRateLimiter {
            lines: (0..self.lines).map(|_| Aligned::default()).collect(),
            pool: Pool::new(self.overflow),
            hasher: RandomState::new(),
        }
    }
}

#[cfg(all(test, keyward_shuttle))]
mod races;

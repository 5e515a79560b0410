//! Seven buckets behind one lock, and what they push out.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::time::Timestamp;

/// Buckets in a line: with the lock and the overflow they fill two cache lines of 64 bytes.
pub(super) const SLOTS: usize = 7;

/// Set in every tag of a bucket, so that none equals the zero of an empty slot.
const USED: u64 = 0b10;

/// Set in the tag of a bucket that must not be forgotten while it owes something.
const KEPT: u64 = 0b01;

/// Makes the tag of a bucket from the hash of its name.
pub(super) const fn tag(hash: u64, kept: bool) -> u64 {
    let kept = if kept { KEPT } else { 0 };
    hash & !(USED | KEPT) | USED | kept
}

/// INVARIANT: no tag occurs twice, in the slots and the overflow together.
#[derive(Debug)]
pub(super) struct Line {
    slots: [Slot; SLOTS],
    #[expect(
        clippy::box_collection,
        reason = "a vector is 16 bytes more, and most lines never have one"
    )]
    overflow: Option<Box<Vec<Slot>>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u64,
    full_at: Timestamp,
}

impl Slot {
    const EMPTY: Self = Self {
        tag: 0,
        full_at: Timestamp::MIN,
    };
}

impl Default for Line {
    fn default() -> Self {
        Self {
            slots: [Slot::EMPTY; SLOTS],
            overflow: None,
        }
    }
}

impl Line {
    /// Returns where the bucket is stored, if it is.
    #[inline]
    pub(super) fn find(&mut self, tag: u64) -> Option<&mut Timestamp> {
        let slot = match self.slots.iter_mut().find(|slot| slot.tag == tag) {
            Some(slot) => slot,
            None => self
                .overflow
                .as_mut()?
                .iter_mut()
                .find(|slot| slot.tag == tag)?,
        };
        Some(&mut slot.full_at)
    }

    /// Stores a bucket that is not there yet, in the place of the one that owes least.
    pub(super) fn insert(&mut self, tag: u64, full_at: Timestamp, now: Timestamp, pool: &Pool) {
        self.sweep(now, pool);
        let newcomer = Slot { tag, full_at };
        let pushed_out = self.replace_least(newcomer);
        let Some(victim) = pushed_out.filter(|victim| victim.full_at > now) else {
            return;
        };
        if victim.tag & KEPT != 0 || victim.full_at > full_at {
            self.overflow(victim, pool);
        } else {
            pool.lose();
        }
    }

    fn replace_least(&mut self, newcomer: Slot) -> Option<Slot> {
        let slots = self.slots.iter_mut();
        let least = slots.min_by_key(|slot| slot.full_at)?;
        Some(std::mem::replace(least, newcomer))
    }

    /// Drops what owes nothing any more from the overflow.
    fn sweep(&mut self, now: Timestamp, pool: &Pool) {
        let Some(overflow) = &mut self.overflow else {
            return;
        };
        let before = overflow.len();
        overflow.retain(|slot| slot.full_at > now);
        pool.release(before.saturating_sub(overflow.len()));
        if overflow.is_empty() {
            self.overflow = None;
        } else if overflow.len() < overflow.capacity() / 4 {
            overflow.shrink_to_fit();
        }
    }

    /// Keeps a bucket in the overflow; if that is at its bound, in the place of one of this line that owes less.
    fn overflow(&mut self, victim: Slot, pool: &Pool) {
        if pool.reserve() {
            let overflow = self.overflow.get_or_insert_default();
            return overflow.push(victim);
        }
        pool.lose();
        let slots = self
            .overflow
            .iter_mut()
            .flat_map(|overflow| overflow.iter_mut());
        if let Some(least) = slots.min_by_key(|slot| slot.full_at)
            && least.full_at < victim.full_at
        {
            *least = victim;
        }
    }
}

/// What all lines share: the bound of their overflows, and the count of what was lost.
///
/// The counters order nothing: each line's lock does that.
#[derive(Debug)]
pub(super) struct Pool {
    bound: usize,
    used: AtomicUsize,
    lost: AtomicU64,
}

impl Pool {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            used: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn reserve(&self) -> bool {
        let more = |used: usize| (used < self.bound).then_some(used.saturating_add(1));
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn release(&self, count: usize) {
        if count > 0 {
            self.used.fetch_sub(count, Ordering::Relaxed);
        }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(keyward_shuttle)))]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1000 + secs)
    }

    /// A line of seven that owe 11 to 17 seconds, tagged 1 to 7.
    fn full(kept: bool, pool: &Pool) -> Line {
        let mut line = Line::default();
        for (hash, debt) in (1..).zip(11..=17) {
            line.insert(tag(hash << 2, kept), at(debt), NOW, pool);
        }
        line
    }

    fn holds(line: &mut Line, hash: u64, kept: bool) -> bool {
        line.find(tag(hash << 2, kept)).is_some()
    }

    #[test]
    fn a_line_fills_two_cache_lines() {
        assert_eq!(size_of::<crate::sync::Mutex<Line>>(), 128);
    }

    #[test]
    fn forgets_the_least_indebted_stranger_and_counts_it() {
        let pool = Pool::new(10);
        let mut line = full(false, &pool);
        assert_eq!(pool.lost(), 0);
        line.insert(tag(8 << 2, false), at(11), NOW, &pool);
        assert!(!holds(&mut line, 1, false));
        assert!((2..=8).all(|hash| holds(&mut line, hash, false)));
        assert_eq!((pool.lost(), pool.used()), (1, 0));
    }

    #[test]
    fn keeps_a_stranger_that_owes_more_than_the_newcomer() {
        let pool = Pool::new(10);
        let mut line = full(false, &pool);
        line.insert(tag(8 << 2, false), at(10), NOW, &pool);
        assert!((1..=8).all(|hash| holds(&mut line, hash, false)));
        assert_eq!((pool.lost(), pool.used()), (0, 1));
    }

    #[test]
    fn keeps_a_known_subject_that_owes_less_than_the_newcomer() {
        let pool = Pool::new(10);
        let mut line = full(true, &pool);
        line.insert(tag(8 << 2, false), at(60), NOW, &pool);
        assert!((1..=7).all(|hash| holds(&mut line, hash, true)));
        assert_eq!((pool.lost(), pool.used()), (0, 1));
    }

    #[test]
    fn the_overflow_stops_at_its_bound_and_keeps_the_most_indebted() {
        let pool = Pool::new(1);
        let mut line = full(true, &pool);
        line.insert(tag(8 << 2, true), at(60), NOW, &pool);
        line.insert(tag(9 << 2, true), at(60), NOW, &pool);
        assert!(!holds(&mut line, 1, true));
        assert!((2..=9).all(|hash| holds(&mut line, hash, true)));
        assert_eq!((pool.lost(), pool.used()), (1, 1));
    }

    #[test]
    fn what_owes_nothing_is_replaced_without_being_counted() {
        let pool = Pool::new(0);
        let mut line = full(true, &pool);
        line.insert(tag(8 << 2, true), at(71), at(11), &pool);
        assert_eq!((pool.lost(), pool.used()), (0, 0));
        line.insert(tag(9 << 2, true), at(71), at(11), &pool);
        assert_eq!((pool.lost(), pool.used()), (1, 0));
    }

    #[test]
    fn the_overflow_is_dropped_once_it_owes_nothing() {
        let pool = Pool::new(10);
        let mut line = full(true, &pool);
        line.insert(tag(8 << 2, true), at(60), NOW, &pool);
        assert_eq!(pool.used(), 1);
        line.insert(tag(9 << 2, true), at(100), at(50), &pool);
        assert_eq!(pool.used(), 0);
        assert!(line.overflow.is_none());
    }

    #[test]
    fn tags_tell_kept_from_open_and_used_from_empty() {
        assert_ne!(tag(0, false), 0);
        assert_ne!(tag(0, false), tag(0, true));
        assert_ne!(tag(4, true), tag(8, true));
    }
}

//! Several charges in one step.

use std::num::NonZeroU32;

use super::line::Line;
use super::{MemoryRateLimiter, Place, SubjectHash, sized, step};
use crate::rate_limit::gcra::Bucket;
use crate::rate_limit::{Answer, Cell, Charge, Mode, RateLimitError, Subject};
use crate::sync::{self, MutexGuard};
use crate::time::Timestamp;

/// One charge on its way through.
#[derive(Clone, Copy)]
struct Work {
    bucket: Bucket,
    place: Place,
    /// What is stored, whatever the charges before this one do to the bucket.
    full_at: Timestamp,
    /// What the bucket owes before this charge, and after it, if all charges are applied in order.
    debt: i64,
    owed: i64,
    wait: i64,
}

impl MemoryRateLimiter {
    /// Decides up to `N` charges under the locks of all their lines, and writes only then.
    ///
    /// `N` is a constant, and close to the number of charges, so that no call pays for the largest.
    pub(super) fn apply_all<const N: usize>(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
        share: NonZeroU32,
    ) -> Result<Answer, RateLimitError> {
        let mut works = [Work::NONE; N];
        let works = works.get_mut(..charges.len()).unwrap_or_default();
        let mut hashed: Option<(Subject<'_>, SubjectHash)> = None;
        for (work, charge) in works.iter_mut().zip(charges) {
            let subject = charge.subject();
            let known = hashed.filter(|(other, _)| *other == subject);
            let (_, hash) = *hashed.insert(known.unwrap_or_else(|| (subject, self.hash(subject))));
            work.bucket = sized(charge, share);
            work.place = self.place(hash, charge);
        }
        let mut held = Held::<N>::lock(self, works);
        let mut denied = false;
        for (index, charge) in charges.iter().enumerate() {
            let (done, rest) = works.split_at_mut(index);
            if let Some(work) = rest.first_mut() {
                work.full_at = held.find(work.place).map_or(Timestamp::MIN, |at| *at);
                let earlier = last(done, work.place);
                let base = earlier.map_or(work.full_at, |earlier| earlier.full_at_after(now));
                work.debt = work.bucket.debt(base, now);
                (work.owed, work.wait) = step(work.bucket, work.debt, charge.cost(), mode);
                denied |= work.wait > 0;
            }
        }
        let applied = mode != Mode::Peek && !denied;
        let mut healed = false;
        for work in works.iter() {
            if applied && work.writes() {
                held.store(work.place, work.full_at_after(now), now);
            } else if denied && mode == Mode::Consume {
                healed |= held.heal(work, now);
            }
        }
        if healed {
            for work in works.iter_mut() {
                work.full_at = held.find(work.place).map_or(Timestamp::MIN, |at| *at);
            }
        }
        Answer::new(works.iter().map(|work| {
            let after = last(works, work.place).filter(|_| applied);
            let full_at = after.map_or(work.full_at, |work| work.full_at_after(now));
            Cell::new(work.bucket.debt(full_at, now), work.wait)
        }))
    }
}

impl Work {
    const NONE: Self = Self {
        bucket: Bucket::NONE,
        place: Place { tag: 0, line: 0 },
        full_at: Timestamp::MIN,
        debt: 0,
        owed: 0,
        wait: 0,
    };

    fn writes(&self) -> bool {
        self.owed != self.debt
    }

    fn full_at_after(&self, now: Timestamp) -> Timestamp {
        self.bucket.full_at(now, self.owed)
    }
}

/// The last of these charges that changes the bucket at `place`. One that does not must not lend it the size of its quota.
fn last(works: &[Work], place: Place) -> Option<&Work> {
    let mut works = works.iter().rev();
    works.find(|work| work.place.tag == place.tag && work.writes())
}

/// The lines of one call, locked in the order of the table, each once.
struct Held<'a, const N: usize> {
    limiter: &'a MemoryRateLimiter,
    lines: [Option<(usize, MutexGuard<'a, Line>)>; N],
}

impl<'a, const N: usize> Held<'a, N> {
    fn lock(limiter: &'a MemoryRateLimiter, works: &[Work]) -> Self {
        // What is unused sorts to the end, past every line.
        let mut order = [usize::MAX; N];
        for (index, work) in order.iter_mut().zip(works) {
            *index = work.place.line;
        }
        order.sort_unstable();
        let mut lines = [const { None }; N];
        let mut last = None;
        for (slot, index) in lines.iter_mut().zip(order).take(works.len()) {
            if last != Some(index) {
                *slot = Some((index, sync::lock(limiter.line(index))));
                last = Some(index);
            }
        }
        Self { limiter, lines }
    }

    fn line(&mut self, index: usize) -> Option<&mut Line> {
        let mut lines = self.lines.iter_mut().flatten();
        let (_, guard) = lines.find(|(line, _)| *line == index)?;
        Some(guard)
    }

    fn find(&mut self, place: Place) -> Option<&mut Timestamp> {
        self.line(place.line)?.find(place.tag)
    }

    fn store(&mut self, place: Place, full_at: Timestamp, now: Timestamp) {
        let pool = &self.limiter.pool;
        let Some(line) = self.line(place.line) else {
            return;
        };
        match line.find(place.tag) {
            Some(stored) => *stored = full_at,
            None => line.insert(place.tag, full_at, now, pool),
        }
    }

    /// Pulls a bucket back to its capacity that was denied because it is beyond it (see [`Bucket::overdrawn`]).
    fn heal(&mut self, work: &Work, now: Timestamp) -> bool {
        if work.wait == 0 || !work.bucket.overdrawn(work.full_at, now) {
            return false;
        }
        let Some(stored) = self.find(work.place) else {
            return false;
        };
        *stored = (*stored).min(work.bucket.full_at(now, work.bucket.capacity()));
        true
    }
}

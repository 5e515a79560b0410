//! Several charges in one step.

use std::num::NonZeroU32;

use super::line::Line;
use super::{MemoryRateLimiter, Place, sized, step};
use crate::rate_limit::gcra::Bucket;
use crate::rate_limit::{Answer, Cell, Charge, MAX_CHARGES, Mode, RateLimitError};
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
    /// Decides all charges under the locks of all their lines, and writes only then.
    pub(super) fn apply_all(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
        share: NonZeroU32,
    ) -> Result<Answer, RateLimitError> {
        let mut places = [Place::default(); MAX_CHARGES];
        for (place, charge) in places.iter_mut().zip(charges) {
            *place = self.place(charge);
        }
        let places = places.get(..charges.len()).unwrap_or_default();
        let mut held = Held::lock(self, places);

        let mut works: [Option<Work>; MAX_CHARGES] = [None; MAX_CHARGES];
        let mut denied = false;
        for (index, (charge, place)) in charges.iter().zip(places).enumerate() {
            let (done, rest) = works.split_at_mut(index);
            let bucket = sized(charge, share);
            let full_at = held.find(*place).map_or(Timestamp::MIN, |at| *at);
            let earlier = done.iter().rev().flatten();
            let base = earlier
                .filter(|work| work.place.tag == place.tag)
                .map(|work| work.bucket.full_at(now, work.owed))
                .next()
                .unwrap_or(full_at);
            let debt = bucket.debt(base, now);
            let (owed, wait) = step(bucket, debt, charge.cost(), mode);
            denied |= wait > 0;
            if let Some(work) = rest.first_mut() {
                *work = Some(Work {
                    bucket,
                    place: *place,
                    full_at,
                    debt,
                    owed,
                    wait,
                });
            }
        }
        let works = works.iter().flatten();
        if mode != Mode::Peek {
            for work in works.clone() {
                held.store(work, denied, now);
            }
        }
        Answer::new(works.map(|work| {
            let full_at = held.find(work.place).map_or(Timestamp::MIN, |at| *at);
            Cell::new(work.bucket.debt(full_at, now), work.wait)
        }))
    }
}

/// The lines of one call, locked in the order of the table, each once.
struct Held<'a> {
    limiter: &'a MemoryRateLimiter,
    lines: [(usize, Option<MutexGuard<'a, Line>>); MAX_CHARGES],
}

impl<'a> Held<'a> {
    fn lock(limiter: &'a MemoryRateLimiter, places: &[Place]) -> Self {
        let mut order = [usize::MAX; MAX_CHARGES];
        for (index, place) in order.iter_mut().zip(places) {
            *index = place.line;
        }
        let count = places.len();
        if let Some(order) = order.get_mut(..count) {
            order.sort_unstable();
        }
        let mut held = Self {
            limiter,
            lines: [const { (usize::MAX, None) }; MAX_CHARGES],
        };
        let mut last = usize::MAX;
        for (slot, index) in held.lines.iter_mut().zip(order.into_iter().take(count)) {
            if index != last {
                *slot = (index, Some(sync::lock(limiter.line(index))));
                last = index;
            }
        }
        held
    }

    fn line(&mut self, index: usize) -> Option<&mut Line> {
        let mut lines = self.lines.iter_mut();
        let (_, guard) = lines.find(|(line, _)| *line == index)?;
        guard.as_deref_mut()
    }

    fn find(&mut self, place: Place) -> Option<&mut Timestamp> {
        self.line(place.line)?.find(place.tag)
    }

    /// Writes what a charge does to its bucket; of a denial only what heals it (see [`Bucket::overdrawn`]).
    fn store(&mut self, work: &Work, denied: bool, now: Timestamp) {
        let Work { bucket, place, .. } = *work;
        let heals = work.wait > 0 && bucket.overdrawn(work.full_at, now);
        let full_at = match denied {
            true if heals => bucket.full_at(now, bucket.capacity()),
            false if work.owed != work.debt => bucket.full_at(now, work.owed),
            _ => return,
        };
        if let Some(stored) = self.find(place) {
            *stored = full_at;
        } else if full_at > now {
            let pool = &self.limiter.pool;
            if let Some(line) = self.line(place.line) {
                line.insert(place.tag, full_at, now, pool);
            }
        }
    }
}

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// Up to so many requests in the window each has a cell of its own, so that the window is exact to the microsecond.
const EXACT: usize = 256;
/// Beyond that, requests share a cell when they fall into the same part of the window, and leave it together, with the last
/// of them: the window of a busy key is up to a 64th longer.
const PARTS: u64 = 64;

/// How many of the requests in a sliding window failed. At most 322 cells of 16 bytes.
#[derive(Debug, Default)]
pub(super) struct Sample {
    cells: VecDeque<Cell>,
    counted: Counted,
}

/// Requests that leave the window together.
#[derive(Clone, Copy, Debug)]
struct Cell {
    newest: Timestamp,
    counted: Counted,
}

/// Requests, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counted {
    pub(super) all: u32,
    pub(super) failed: u32,
}

impl Counted {
    const fn plus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_add(other.all),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_sub(other.all),
            failed: self.failed.saturating_sub(other.failed),
        }
    }
}

impl Sample {
    /// Adds a request and returns what lies in the window that ends with the newest one. A request that is exactly as old as
    /// the window is outside.
    pub(super) fn add(&mut self, time: Timestamp, failed: bool, window: Duration) -> Counted {
        self.forget_future(time, window);
        let one = Counted {
            all: 1,
            failed: u32::from(failed),
        };
        self.put(time, one, window);
        self.forget_past(window);
        self.counted
    }

    fn put(&mut self, time: Timestamp, one: Counted, window: Duration) {
        let later = self
            .cells
            .iter()
            .rev()
            .take_while(|cell| cell.newest > time);
        let place = self.cells.len().saturating_sub(later.count());
        self.counted = self.counted.plus(one);
        let full = self.cells.len() >= EXACT;
        // The cell after a late request stays longest: sharing it, the late one is counted rather long than short.
        if full && let Some(cell) = self.cells.get_mut(place) {
            cell.counted = cell.counted.plus(one);
        } else if full
            && let Some(cell) = self.cells.back_mut()
            && part(cell.newest, window) == part(time, window)
        {
            cell.newest = time;
            cell.counted = cell.counted.plus(one);
        } else {
            let cell = Cell {
                newest: time,
                counted: one,
            };
            self.cells.insert(place, cell);
        }
    }

    fn forget_past(&mut self, window: Duration) {
        let Some(newest) = self.cells.back().map(|cell| cell.newest) else {
            return;
        };
        while let Some(cell) = self
            .cells
            .pop_front_if(|cell| newest.saturating_since(cell.newest) >= window)
        {
            self.counted = self.counted.minus(cell.counted);
        }
    }

    /// What lies a window or more ahead came from a clock that has been set right since.
    fn forget_future(&mut self, time: Timestamp, window: Duration) {
        while let Some(cell) = self
            .cells
            .pop_back_if(|cell| cell.newest.saturating_since(time) >= window)
        {
            self.counted = self.counted.minus(cell.counted);
        }
    }
}

/// In which part of all time a moment lies.
fn part(time: Timestamp, window: Duration) -> i64 {
    let width = u64::try_from(window.as_micros()).unwrap_or(u64::MAX) / PARTS;
    let width = i64::try_from(width).unwrap_or(i64::MAX).max(1);
    time.as_micros().div_euclid(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_micros(6400);

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn added(requests: &[(i64, bool)]) -> Vec<(u32, u32)> {
        let mut sample = Sample::default();
        let mut add = |(time, failed): &(i64, bool)| sample.add(at(*time), *failed, WINDOW);
        let counts = requests.iter().map(&mut add);
        counts.map(|it| (it.all, it.failed)).collect()
    }

    fn count(requests: usize) -> u32 {
        u32::try_from(requests).unwrap()
    }

    /// All that ever was, and the definition of a window of that width.
    fn naive(requests: &[(i64, bool)], window: i64) -> Vec<(u32, u32)> {
        let mut known: Vec<(i64, bool)> = Vec::new();
        let mut counts = Vec::new();
        for request in requests {
            known.retain(|it| it.0 - request.0 < window);
            known.push(*request);
            let newest = known.iter().map(|it| it.0).max().unwrap();
            known.retain(|it| newest - it.0 < window);
            let failed = known.iter().filter(|it| it.1);
            counts.push((count(known.len()), count(failed.count())));
        }
        counts
    }

    #[test]
    fn leaves_out_a_request_as_old_as_the_window() {
        assert_eq!(added(&[(0, true), (6399, false)]), [(1, 1), (2, 1)]);
        assert_eq!(added(&[(0, true), (6400, false)]), [(1, 1), (1, 0)]);
    }

    #[test]
    fn bears_the_ends_of_time() {
        let ends = [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN].map(|time| (time, true));
        assert_eq!(added(&ends), [(1, 1); 5]);
    }

    #[test]
    fn is_bounded_however_many_requests_there_are() {
        let mut sample = Sample::default();
        let counts: Vec<_> = (0..100_000)
            .map(|time| sample.add(at(time / 4), time % 2 == 0, WINDOW))
            .collect();
        assert!(sample.cells.len() <= 322, "{}", sample.cells.len());
        let last = counts.last().unwrap();
        // A 64th of 25 600 is 400.
        assert!((25_600..=26_000).contains(&last.all), "{last:?}");
        assert!((12_800..=13_000).contains(&last.failed), "{last:?}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_count_whatever_the_order(
            requests in prop::collection::vec((0..20_000_i64, any::<bool>()), 1..250)
        ) {
            prop_assert_eq!(added(&requests), naive(&requests, 6400));
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn counts_a_busy_key_neither_short_nor_long_by_more_than_a_64th(
            steps in prop::collection::vec((0..12_i64, any::<bool>()), 1..2000)
        ) {
            let mut time = 0;
            let mut next = |(step, failed): &(i64, bool)| { time += step; (time, *failed) };
            let requests: Vec<_> = steps.iter().map(&mut next).collect();
            let (short, long) = (naive(&requests, 6400), naive(&requests, 6500));
            for ((counted, short), long) in added(&requests).into_iter().zip(short).zip(long) {
                prop_assert!((short.0..=long.0).contains(&counted.0));
                prop_assert!((short.1..=long.1).contains(&counted.1));
            }
        }
    }
}

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
        let later = self.cells.iter().rev().take_while(|cell| cell.newest > time);
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

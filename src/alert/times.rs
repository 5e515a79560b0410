use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// The newest moments at which something happened to one subject: as many as a rule has to count, exact to the microsecond.
#[derive(Debug, Default)]
pub(super) struct Times(VecDeque<Timestamp>);

impl Times {
    /// Adds a moment, keeping the newest `most`, and returns how many of them lie in the window that ends with the newest. One
    /// that is exactly as old as the window is outside.
    pub(super) fn add(&mut self, time: Timestamp, window: Duration, most: usize) -> usize {
        self.forget_future(time, window);
        let later = self.0.iter().rev().take_while(|known| **known > time);
        let place = self.0.len().saturating_sub(later.count());
        self.0.insert(place, time);
        let newest = self.0.back().copied().unwrap_or(time);
        let outside = |known: &Timestamp| newest.saturating_since(*known) >= window;
        while self.0.len() > most || self.0.front().is_some_and(outside) {
            self.0.pop_front();
        }
        self.0.len()
    }

    /// What lies a window or more ahead came from a clock that has been set right since.
    fn forget_future(&mut self, time: Timestamp, window: Duration) {
        let ahead = |known: &Timestamp| known.saturating_since(time) >= window;
        while self.0.back().is_some_and(ahead) {
            self.0.pop_back();
        }
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_micros(100);

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn added(times: &[i64], most: usize) -> Vec<usize> {
        let mut known = Times::default();
        let add = |time: &i64| known.add(at(*time), WINDOW, most);
        times.iter().map(add).collect()
    }

    #[test]
    fn counts_up_to_the_last_moment_of_the_window() {
        assert_eq!(added(&[0, 50, 99], 3), [1, 2, 3]);
        assert_eq!(added(&[0, 50, 100], 3), [1, 2, 2]);
    }

    #[test]
    fn keeps_the_newest() {
        assert_eq!(added(&[0, 0, 90, 95, 99, 194], 3)[2..], [3, 3, 3, 3]);
        assert_eq!(added(&[0, 0, 90, 95, 99, 195], 3)[2..], [3, 3, 3, 2]);
    }

    #[test]
    fn puts_late_moments_in_their_place() {
        assert_eq!(added(&[0, 99, 50], 3), [1, 2, 3]);
        assert_eq!(added(&[0, 120, 50], 3), [1, 1, 2]);
    }

    #[test]
    fn forgets_what_a_wrong_clock_left_far_ahead() {
        assert_eq!(added(&[1_000_000, 0, 10, 20], 3), [1, 1, 2, 3]);
    }

    #[test]
    fn bears_the_ends_of_time() {
        let ends = [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN];
        assert_eq!(added(&ends, 3), [1; 5]);
    }

    /// All that ever was, and the definition of the window.
    fn naive(times: &[i64], most: usize) -> Vec<usize> {
        let mut known: Vec<i64> = Vec::new();
        let mut counts = Vec::new();
        for time in times {
            known.retain(|it| *it - time < 100);
            known.push(*time);
            known.sort_unstable();
            let newest = known[known.len() - 1];
            known.retain(|it| newest - it < 100);
            counts.push(known.len().min(most));
        }
        counts
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_count_of_events_that_come_late(
            steps in prop::collection::vec((0..60_i64, 0..100_i64), 1..60),
            most in 1..9_usize,
        ) {
            let mut clock = 0;
            let mut next = |(step, late): &(i64, i64)| { clock += step; clock - late };
            let times: Vec<_> = steps.iter().map(&mut next).collect();
            prop_assert_eq!(added(&times, most), naive(&times, most));
        }
    }
}

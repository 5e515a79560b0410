//! How long guessing waits.

use std::time::Duration;

/// Wrong codes in a row that cost no wait: a person who mistypes, or whose code has just changed.
const FREE: u32 = 2;
/// The wait after the next one; it doubles from there.
const FIRST: Duration = Duration::from_secs(5);
/// The longest wait: a guesser gets four codes an hour, the owner is not kept out for a day.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// NIST SP 800-63B: no more than 100 failures in a row on one account.
pub(super) const MOST_FAILURES: u32 = 100;

/// Returns how long the next code waits after so many wrong ones in a row.
pub(super) fn after(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
            FIRST.saturating_mul(factor).min(LONGEST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_the_third_failure_up_to_a_quarter_of_an_hour() {
        let seconds = |failures| after(failures).as_secs();
        assert_eq!([0, 1, 2].map(seconds), [0, 0, 0]);
        assert_eq!(
            [3, 4, 5, 10, 11, 12].map(seconds),
            [5, 10, 20, 640, 900, 900]
        );
        assert_eq!(seconds(MOST_FAILURES), 900);
        assert_eq!(seconds(u32::MAX), 900);
    }
}

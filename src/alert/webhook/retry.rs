//! When to try again.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::random::SecureRandom;
use crate::time::Timestamp;

/// Longer pauses would outlast the deadline.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What came of one attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    Taken,
    /// The receiver wants no more.
    Gone,
    /// It would be the same another time.
    Refused(StatusCode),
    /// Another time it may work. The receiver may have said when.
    Later {
        status: StatusCode,
        after: Option<Duration>,
    },
}

impl Outcome {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        match status {
            taken if taken.is_success() => Self::Taken,
            StatusCode::GONE => Self::Gone,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Later {
                status,
                after: retry_after(headers, now),
            },
            failure if failure.is_server_error() => Self::Later {
                status,
                after: retry_after(headers, now),
            },
            // Redirects among them: they are not followed.
            _ => Self::Refused(status),
        }
    }
}

/// Seconds, or a date (RFC 9110). What is neither is not there.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    const DATES: DateTimeParser = DateTimeParser::new();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DATES.parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()).saturating_since(now))
}

/// Returns the pause after this many failures: twice as long each time, and by chance between half of that and all of it, so
/// that senders that failed together do not come back together. Not shorter than the receiver asked for.
pub(super) fn pause(
    first: Duration,
    failures: u32,
    asked: Option<Duration>,
    random: &dyn SecureRandom,
) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let whole = first.saturating_mul(doubled).min(LONGEST_PAUSE);
    let mut byte = [u8::MAX];
    if random.fill(&mut byte).is_err() {
        // Without chance it is the longer one.
        byte = [u8::MAX];
    }
    let [share] = byte.map(u32::from);
    let half = whole / 2;
    let pause = half.saturating_add(half.saturating_mul(share) / u32::from(u8::MAX));
    pause.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::RandomError;

    const NOW: Timestamp = Timestamp::from_secs(784_111_777);

    #[derive(Debug)]
    struct Always(u8);

    impl SecureRandom for Always {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    fn asked(text: &str) -> Option<Duration> {
        let headers = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
        retry_after(&headers, NOW)
    }

    #[test]
    fn reads_seconds_and_dates_and_nothing_else() {
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(asked(date), Some(Duration::from_secs(120)));
        // A date that is over: at once.
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        assert_eq!(asked(past), Some(Duration::ZERO));
        for text in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn sorts_answers_by_what_can_be_done() {
        let of = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            Outcome::of(status, &HeaderMap::new(), NOW)
        };
        for status in [200, 202, 204, 299] {
            assert!(matches!(of(status), Outcome::Taken), "{status}");
        }
        assert!(matches!(of(410), Outcome::Gone));
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(of(status), Outcome::Later { .. }), "{status}");
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 405, 413, 422] {
            assert!(matches!(of(status), Outcome::Refused(_)), "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let first = Duration::from_secs(1);
        let longest = |failures| pause(first, failures, None, &Always(255)).as_secs();
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 40].map(longest),
            [1, 2, 4, 8, 16, 30, 30]
        );
    }

    #[test]
    fn chance_takes_up_to_half_of_a_pause_away() {
        let first = Duration::from_secs(8);
        let with = |chance| pause(first, 1, None, &Always(chance));
        assert_eq!(with(0), Duration::from_secs(4));
        assert_eq!(with(255), Duration::from_secs(8));
        assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&with(128)));
    }

    #[test]
    fn the_receiver_may_ask_for_more_time_but_not_for_less() {
        let first = Duration::from_secs(8);
        let with = |asked| pause(first, 1, Some(Duration::from_secs(asked)), &Always(255));
        assert_eq!(with(60), Duration::from_secs(60));
        assert_eq!(with(0), Duration::from_secs(8));
    }
}

//! One run of the script: what goes to Redis, and what its numbers mean.

use std::fmt;
use std::sync::LazyLock;

use super::key::KeyPrefix;
use crate::rate_limit::gcra::{Bucket, MAX_SPAN_MICROS};
use crate::rate_limit::{Cell, Charge, Mode, RateLimitError, TimeSource};
use crate::time::Timestamp;

/// The largest moment the script is given: whatever it adds stays below 2^53, where its numbers are exact.
const LAST_MOMENT: i64 = (1 << 53) - 1 - MAX_SPAN_MICROS;

static ON_OWN_CLOCK: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(concat!(
        include_str!("own_clock.lua"),
        include_str!("charge.lua")
    ))
});

static ON_CALLERS_CLOCK: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(concat!(
        include_str!("callers_clock.lua"),
        include_str!("charge.lua")
    ))
});

struct RedisScript {
    text: &'static str,
    sha1: String,
}

impl RedisScript {
    fn new(text: &'static str) -> Self {
        let sha1 = ::redis::Script::new(text).get_hash().to_owned();
        Self { text, sha1 }
    }
}

/// A script, its keys and its arguments, for a [`RedisClient`](super::RedisClient) to run.
///
/// All keys of a call are declared, and in a [cluster](super::RedisTopology::Cluster) they have one hash tag.
#[derive(Clone)]
pub struct RedisCall {
    script: &'static RedisScript,
    keys: Vec<String>,
    arguments: Vec<i64>,
}

impl RedisCall {
    pub(super) fn new(
        prefix: &KeyPrefix,
        charges: &[Charge<'_>],
        mode: Mode,
        time: TimeSource,
        now: Timestamp,
    ) -> Self {
        let mut keys = Vec::with_capacity(charges.len());
        let mut arguments = Vec::with_capacity(2 * charges.len() + 2);
        arguments.push(number(mode));
        for charge in charges {
            let bucket = charge.quota().bucket();
            keys.push(prefix.key(charge));
            // What costs more than the whole bucket neither fits nor leaves a debt, however much more it is.
            let most = bucket.capacity().saturating_add(1);
            arguments.extend([bucket.price(charge.cost()).min(most), bucket.capacity()]);
        }
        if time == TimeSource::Own {
            return Self {
                script: &ON_OWN_CLOCK,
                keys,
                arguments,
            };
        }
        arguments.push(now.as_micros().clamp(-LAST_MOMENT, LAST_MOMENT));
        Self {
            script: &ON_CALLERS_CLOCK,
            keys,
            arguments,
        }
    }

    /// Returns the call that gives back what this one took.
    ///
    /// The last charge comes first: so each finds its bucket as it left it, within what its own quota can owe.
    pub(super) fn refund(mut self) -> Self {
        self.keys.reverse();
        if let Some((mode, rest)) = self.arguments.split_first_mut() {
            *mode = number(Mode::Refund);
            let (pairs, _) = rest.as_chunks_mut::<2>();
            pairs.reverse();
        }
        self
    }

    /// Returns the script's text, for `EVAL`.
    #[must_use]
    pub fn script(&self) -> &'static str {
        self.script.text
    }

    /// Returns the SHA-1 of the text in lower-case hex, for `EVALSHA`.
    #[must_use]
    pub fn sha1(&self) -> &'static str {
        &self.script.sha1
    }

    /// Returns the keys, `KEYS` of the script. They name subjects, so they belong in no log.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Returns the arguments, `ARGV` of the script, to be sent in decimal.
    #[must_use]
    pub fn arguments(&self) -> &[i64] {
        &self.arguments
    }
}

/// What the script knows a mode by.
const fn number(mode: Mode) -> i64 {
    match mode {
        Mode::Consume => 0,
        Mode::Peek => 1,
        Mode::Refund => 2,
    }
}

/// Names the script and counts its keys.
impl fmt::Debug for RedisCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCall")
            .field("sha1", &self.script.sha1)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// Makes cells of the script's numbers: for each charge what its bucket owed before it and owes after the call.
///
/// `asked` has the bucket and the cost of each charge.
pub(super) fn cells(
    asked: impl ExactSizeIterator<Item = (Bucket, u32)>,
    mode: Mode,
    numbers: &[i64],
) -> Result<impl Iterator<Item = Cell>, RateLimitError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if pairs.len() != asked.len() || !rest.is_empty() {
        return Err(RateLimitError::MalformedAnswer);
    }
    let cell = move |((bucket, cost), [before, after]): ((Bucket, u32), &[i64; 2])| {
        let wait = match mode {
            Mode::Refund => 0,
            // Here and not in the script, whose numbers could not hold the largest.
            Mode::Consume | Mode::Peek => bucket.wait(*before, cost),
        };
        Cell::new(*after, wait)
    };
    Ok(asked.zip(pairs).map(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{Quota, Subject};

    fn call(cost: u32, time: TimeSource, now: Timestamp) -> RedisCall {
        let quota = Quota::per_minute(60).unwrap();
        let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota).with_cost(cost)];
        RedisCall::new(&KeyPrefix::new("k"), &charges, Mode::Consume, time, now)
    }

    #[test]
    fn no_number_is_too_large_for_the_script() {
        let exact = -(1 << 53)..(1_i64 << 53);
        for now in [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX] {
            let call = call(u32::MAX, TimeSource::Caller, now);
            let sum: i64 = call.arguments().iter().sum();
            assert!(exact.contains(&sum), "{:?}", call.arguments());
        }
    }

    #[test]
    fn each_clock_has_a_script_of_its_own() {
        let now = Timestamp::from_secs(1_700_000_000);
        let (own, callers) = (
            call(1, TimeSource::Own, now),
            call(1, TimeSource::Caller, now),
        );
        assert_eq!(own.arguments(), [0, 1_000_000, 60_000_000]);
        let with_time = [0, 1_000_000, 60_000_000, 1_700_000_000_000_000];
        assert_eq!(callers.arguments(), with_time);
        assert!(own.script().contains("'TIME'") && !callers.script().contains("'TIME'"));
        assert_ne!(own.sha1(), callers.sha1());
    }

    #[test]
    fn another_number_of_numbers_is_no_answer() {
        let bucket = Bucket::new(1_000_000, 60).unwrap();
        for numbers in [&[][..], &[0], &[0, 0, 0], &[0, 0, 0, 0]] {
            let cells = cells([(bucket, 1)].into_iter(), Mode::Consume, numbers);
            let error = cells.map(Iterator::count).unwrap_err();
            assert!(matches!(error, RateLimitError::MalformedAnswer));
        }
    }

    #[test]
    fn a_calls_debug_names_no_subject() {
        let call = call(1, TimeSource::Own, Timestamp::EPOCH);
        assert!(!format!("{call:?}").contains("3Fq9x"));
    }
}

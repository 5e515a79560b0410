use std::num::NonZeroUsize;
use std::time::Duration;

use super::{check_times, check_window, count};
use crate::alert::book::Book;
use crate::alert::times::Times;
use crate::alert::{AlertKind, AlertRule, Finding, InvalidRule, MAX_SUBJECTS};
use crate::audit::{AuditEvent, AuditKind};

const NAME: &str = "limit_hits";
/// Once is a bad moment, twice a coincidence; three refusals in a day say that the tier does not fit, or that somebody else
/// uses the key too.
const TIMES: u32 = 3;
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// A key that is refused for its limits again and again: [`AlertKind::RepeatedLimitHits`].
///
/// It counts `limit_hit` events of a key in a sliding window, exactly: at the third within 24 hours it finds something.
///
/// ```
/// use std::time::Duration;
/// use keyward::alert::rules::LimitHits;
///
/// let rule = LimitHits::builder().times(100).window(Duration::from_secs(3600)).build()?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Debug)]
pub struct LimitHits {
    times: u32,
    window: Duration,
    keys: Book<Times>,
}

/// The settings of [`LimitHits`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LimitHitsBuilder {
    times: u32,
    window: Duration,
    capacity: NonZeroUsize,
}

impl LimitHits {
    /// Returns the usual settings.
    pub const fn builder() -> LimitHitsBuilder {
        LimitHitsBuilder {
            times: TIMES,
            window: WINDOW,
            capacity: MAX_SUBJECTS,
        }
    }
}

impl Default for LimitHits {
    fn default() -> Self {
        Self::builder().assemble()
    }
}

impl LimitHitsBuilder {
    /// Sets how many refusals are too many, 1 to 1000; 3 otherwise.
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Sets within which time; 24 hours otherwise.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets of how many keys the rule remembers something; 100 000 otherwise.
    pub const fn capacity(mut self, keys: NonZeroUsize) -> Self {
        self.capacity = keys;
        self
    }

    /// Returns the rule.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] for an empty window or a number out of bounds.
    pub fn build(self) -> Result<LimitHits, InvalidRule> {
        check_times(NAME, self.times)?;
        check_window(NAME, self.window)?;
        Ok(self.assemble())
    }

    fn assemble(self) -> LimitHits {
        LimitHits {
            times: self.times,
            window: self.window,
            keys: Book::new(self.capacity),
        }
    }
}

impl AlertRule for LimitHits {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() != AuditKind::LimitHit {
            return;
        }
        let Some(key) = event.known_key() else { return };
        let most = usize::try_from(self.times).unwrap_or(usize::MAX);
        let times = self.keys.open(key).add(event.time(), self.window, most);
        if times >= most {
            let finding = Finding::of_key(AlertKind::RepeatedLimitHits, event);
            findings.extend(finding.map(|it| it.with_count(count(times)).with_window(self.window)));
        }
    }
}

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::check_window;
use crate::alert::book::Book;
use crate::alert::sample::{Counted, Sample};
use crate::alert::{AlertKind, AlertRule, Finding, InvalidRule, MAX_SUBJECTS};
use crate::audit::{AuditEvent, AuditKind};

const NAME: &str = "error_rate";
/// One request in ten: a client that works meets errors now and then, one that is broken or probing meets them all the time.
const PERCENT: u8 = 10;
/// Below 20 requests, one or two errors are above 10 % by chance.
const MINIMUM_SAMPLE: u32 = 20;
/// An hour: a key with one request in three minutes still fills the sample, and an outage of five minutes, which alarms
/// through other channels, stays below 10 % of a steady client's requests.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// A key too many of whose requests fail: [`AlertKind::ErrorRate`].
///
/// It counts `request_completed` events of a key in a sliding window. All of 4xx and 5xx are errors, 429 too; requests without
/// an accepted key have no key to be counted for, so 401 does not occur. A request without an answer counts neither way.
///
/// The window is exact for up to 256 requests of a key; of a busier key it is up to a 64th longer.
///
/// ```
/// use keyward::alert::rules::ErrorRate;
///
/// // A service that says 404 to mean "no such lead", and alerts on limits by another rule.
/// let rule = ErrorRate::builder().percent(25).minimum_sample(50).ignore(404).ignore(429).build()?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Debug)]
pub struct ErrorRate {
    settings: Settings,
    keys: Book<Sample>,
}

#[derive(Clone, Debug)]
struct Settings {
    percent: u8,
    minimum_sample: u32,
    window: Duration,
    ignored: BTreeSet<u16>,
}

/// The settings of [`ErrorRate`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ErrorRateBuilder {
    settings: Settings,
    capacity: NonZeroUsize,
}

impl ErrorRate {
    /// Returns the usual settings.
    pub const fn builder() -> ErrorRateBuilder {
        ErrorRateBuilder {
            settings: Settings {
                percent: PERCENT,
                minimum_sample: MINIMUM_SAMPLE,
                window: WINDOW,
                ignored: BTreeSet::new(),
            },
            capacity: MAX_SUBJECTS,
        }
    }
}

impl Default for ErrorRate {
    fn default() -> Self {
        Self::builder().assemble()
    }
}

impl ErrorRateBuilder {
    /// Sets the share of errors that is still right, 0 to 99 in a hundred; 10 otherwise. More than that is too much.
    pub const fn percent(mut self, percent: u8) -> Self {
        self.settings.percent = percent;
        self
    }

    /// Sets of how many requests in the window a share is taken at least, from 1; 20 otherwise.
    pub const fn minimum_sample(mut self, requests: u32) -> Self {
        self.settings.minimum_sample = requests;
        self
    }

    /// Sets within which time requests are counted; one hour otherwise.
    pub const fn window(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// Leaves requests with that status out, as if there had been none.
    pub fn ignore(mut self, status: u16) -> Self {
        self.settings.ignored.insert(status);
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
    /// [`InvalidRule`] for an empty window or sample, or a share that cannot be exceeded.
    pub fn build(self) -> Result<ErrorRate, InvalidRule> {
        check_window(NAME, self.settings.window)?;
        if self.settings.percent > 99 {
            return Err(InvalidRule::new(NAME, "its share is below 100 %"));
        }
        if self.settings.minimum_sample == 0 {
            return Err(InvalidRule::new(NAME, "its sample is empty"));
        }
        Ok(self.assemble())
    }

    fn assemble(self) -> ErrorRate {
        ErrorRate {
            settings: self.settings,
            keys: Book::new(self.capacity),
        }
    }
}

impl Settings {
    fn is_met(&self, counted: Counted) -> bool {
        let share = u64::from(counted.failed).saturating_mul(100);
        let limit = u64::from(counted.all).saturating_mul(self.percent.into());
        counted.all >= self.minimum_sample && share > limit
    }
}

impl AlertRule for ErrorRate {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() != AuditKind::RequestCompleted {
            return;
        }
        let (Some(key), Some(status)) = (event.known_key(), event.status()) else {
            return;
        };
        if self.settings.ignored.contains(&status) {
            return;
        }
        let (failed, window) = (status >= 400, self.settings.window);
        let counted = self.keys.open(key).add(event.time(), failed, window);
        if self.settings.is_met(counted) {
            let finding = Finding::of_key(AlertKind::ErrorRate, event);
            findings.extend(finding.map(|it| {
                it.with_count(counted.failed.into())
                    .with_window(window)
                    .with_detail("requests", counted.all)
            }));
        }
    }
}

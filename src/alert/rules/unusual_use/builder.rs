use std::num::NonZeroUsize;
use std::time::Duration;

use super::UnusualUse;
use crate::alert::{InvalidRule, MAX_SUBJECTS};

const RULE: &str = "unusual_use";
/// Two working weeks and their weekends, for a key that is used every day.
const LEARNING_DAYS: u16 = 14;
/// Fewer do not give the sample a deviation.
const LEAST_LEARNING_DAYS: u16 = 8;
/// One in two years. Half the keys of a fleet of a hundred then give one alarm a year for nothing: one a week in all.
const FALSE_ALARMS_A_YEAR: f64 = 0.5;
/// Below it, most that is unusual is a retry loop or a busy day; theft that is to pay takes more.
const LEAST_RATIO: f64 = 4.0;
/// What a person does by hand in an hour.
const LEAST_REQUESTS: u32 = 20;
/// Office, home, phone and the places of a few journeys.
const NETWORKS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// A quarter: who is somewhere every three months is at home there.
const NETWORKS_KEPT: Duration = Duration::from_secs(90 * DAY);
const DAY: u64 = 24 * 60 * 60;
const DAYS_A_YEAR: f64 = 365.0;

/// The settings of an [`UnusualUse`].
///
/// ```
/// use keyward::alert::rules::UnusualUse;
///
/// let rule = UnusualUse::builder().learning_days(30).false_alarms_a_year(0.1).build()?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct UnusualUseBuilder {
    learning_days: u16,
    false_alarms_a_year: f64,
    least_ratio: f64,
    least_requests: u32,
    networks: NonZeroUsize,
    networks_kept: Duration,
    capacity: NonZeroUsize,
}

/// The settings, checked, in the units that are computed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) learning_days: u16,
    pub(super) chance_a_day: f64,
    pub(super) least_ratio: f64,
    pub(super) least_requests: f64,
    pub(super) networks: NonZeroUsize,
    /// In days.
    pub(super) networks_kept: i64,
    pub(super) capacity: NonZeroUsize,
}

impl Settings {
    pub(super) const USUAL: Self = UnusualUseBuilder::new().settings();
}

impl UnusualUseBuilder {
    pub(super) const fn new() -> Self {
        Self {
            learning_days: LEARNING_DAYS,
            false_alarms_a_year: FALSE_ALARMS_A_YEAR,
            least_ratio: LEAST_RATIO,
            least_requests: LEAST_REQUESTS,
            networks: NETWORKS,
            networks_kept: NETWORKS_KEPT,
            capacity: MAX_SUBJECTS,
        }
    }

    /// Sets on how many days a key must have been used before anything can be unusual, 8 to 365; 14 otherwise.
    pub const fn learning_days(mut self, days: u16) -> Self {
        self.learning_days = days;
        self
    }

    /// Sets how often a key that is used every day may have an unusual rate by chance, more than 0 and up to 12 times a
    /// year; 0.5 otherwise.
    pub const fn false_alarms_a_year(mut self, alarms: f64) -> Self {
        self.false_alarms_a_year = alarms;
        self
    }

    /// Sets how many times the usual an unusual hour has at least, more than 1 and up to 1000; 4 otherwise.
    pub const fn least_ratio(mut self, ratio: f64) -> Self {
        self.least_ratio = ratio;
        self
    }

    /// Sets how many requests an unusual hour has at least; 20 otherwise.
    pub const fn least_requests(mut self, requests: u32) -> Self {
        self.least_requests = requests;
        self
    }

    /// Sets how many networks are remembered of each key, up to 256; 16 otherwise. When one more comes, the one of the fewest
    /// days makes room.
    pub const fn networks(mut self, networks: NonZeroUsize) -> Self {
        self.networks = networks;
        self
    }

    /// Sets how long a network is remembered after its last use, in whole days and at least one; 90 days otherwise.
    pub const fn networks_kept(mut self, span: Duration) -> Self {
        self.networks_kept = span;
        self
    }

    /// Sets how many keys are remembered; 100 000 otherwise. Beyond that, the one that was used least recently is forgotten.
    pub const fn capacity(mut self, keys: NonZeroUsize) -> Self {
        self.capacity = keys;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`]: a setting is outside its bounds.
    pub fn build(self) -> Result<UnusualUse, InvalidRule> {
        let problem = |problem| Err(InvalidRule::new(RULE, problem));
        if !(LEAST_LEARNING_DAYS..=365).contains(&self.learning_days) {
            return problem("it learns for 8 to 365 days");
        }
        if !(self.false_alarms_a_year > 0.0 && self.false_alarms_a_year <= 12.0) {
            return problem("false alarms are more than 0 and up to 12 a year");
        }
        if !(self.least_ratio > 1.0 && self.least_ratio <= 1000.0) {
            return problem("the least ratio is more than 1 and up to 1000");
        }
        if self.least_requests == 0 {
            return problem("an hour without requests is never unusual");
        }
        if self.networks.get() > 256 {
            return problem("it remembers up to 256 networks of a key");
        }
        if self.networks_kept.as_secs() < DAY {
            return problem("networks are kept for a day at least");
        }
        Ok(UnusualUse::new(self.settings()))
    }

    const fn settings(&self) -> Settings {
        Settings {
            learning_days: self.learning_days,
            chance_a_day: self.false_alarms_a_year / DAYS_A_YEAR,
            least_ratio: self.least_ratio,
            least_requests: self.least_requests as f64,
            networks: self.networks,
            #[expect(
                clippy::cast_possible_wrap,
                reason = "u64 seconds are fewer than i64 days"
            )]
            networks_kept: (self.networks_kept.as_secs() / DAY) as i64,
            capacity: self.capacity,
        }
    }
}

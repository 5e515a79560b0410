//! How far a key's busiest hour of a day usually is above the usual.

use super::builder::Settings;
use super::student::deviations;

/// Days after which an old one counts for little: two months, so that a quarter's end is forgotten by the next, and enough
/// days for a deviation that can be relied upon.
const MEMORY: f64 = 60.0;
/// Even a clock ticks with a tenth of play. Without it, a key that did the same on fourteen days would be held to that.
const PLAY: f64 = 0.1;

/// A day teaches no more than so many deviations, or a flood would soon be within them. What really changes is learnt all the
/// same, some days later.
const STRIDE: f64 = 3.0;

/// The logarithm of each day's largest ratio of an hour's requests to their usual number: its mean and variance, as if it were
/// normal, with older days fading. Days without requests do not count.
#[derive(Debug, Default)]
pub(super) struct Peaks {
    day: Option<i64>,
    /// The largest ratio of the day so far.
    largest: f64,
    /// Days with requests.
    days: u32,
    mean: f64,
    variance: f64,
    /// The ratio that is too large, once it is known.
    bound: Option<f64>,
}

impl Peaks {
    /// Takes note of an hour that is over.
    pub(super) fn note(&mut self, day: i64, ratio: f64, settings: &Settings) {
        if self.day != Some(day) {
            self.close(settings);
            self.day = Some(day);
        }
        self.largest = self.largest.max(ratio);
    }

    /// Returns the ratio that is too large.
    pub(super) const fn bound(&self) -> Option<f64> {
        self.bound
    }

    fn close(&mut self, settings: &Settings) {
        if self.largest <= 0.0 {
            return;
        }
        self.days = self.days.saturating_add(1);
        let peak = std::mem::take(&mut self.largest).ln();
        // In the first half of the learning there is nothing usual yet to compare with.
        let of_use = f64::from(self.days) - f64::from(settings.learning_days / 2);
        if of_use >= 1.0 {
            let days = of_use.min(MEMORY);
            self.learn(peak, days);
            self.set_bound(days, settings);
        }
    }

    fn learn(&mut self, peak: f64, days: f64) {
        let weight = 1.0 / days;
        let mut off = peak - self.mean;
        if self.bound.is_some() {
            let stride = STRIDE * self.width(days);
            off = off.clamp(-stride, stride);
        }
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }

    /// The predictive distribution of the next day's peak is Student's.
    fn set_bound(&mut self, days: f64, settings: &Settings) {
        if self.days < u32::from(settings.learning_days) {
            return;
        }
        let far = deviations(settings.chance_a_day, days - 1.0) * self.width(days);
        let bound = self.mean + far;
        self.bound = Some(bound.exp().max(settings.least_ratio));
    }

    /// The deviation of the sample, and by how much its mean is uncertain after so few days.
    fn width(&self, days: f64) -> f64 {
        let variance = self.variance * days / (days - 1.0).max(1.0) + PLAY * PLAY;
        (variance * (1.0 + 1.0 / days)).sqrt()
    }
}

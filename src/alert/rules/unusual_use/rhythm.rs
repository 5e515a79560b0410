//! How many requests a key usually has in which hour.

use super::HOURS_A_DAY;
use super::builder::Settings;
use super::peaks::Peaks;

/// Hours of a day from Monday to Friday, then of Saturday and Sunday, in UTC. An hour of each day of the week would be
/// learnt seven times as slowly, and one for all days would take a working day for an unusual Sunday (`docs/alerts.md`).
const SLOTS: usize = 48;
const HOURS_A_WEEK: i64 = 7 * HOURS_A_DAY;
/// 1970-01-01 was a Thursday.
const FROM_MONDAY: i64 = 3 * HOURS_A_DAY;
/// Weeks after which an old one counts for little: growth is followed, and a week off does not empty the memory.
const WEEKS: f64 = 6.0;
const WORKING_DAYS: f64 = 5.0;
const FREE_DAYS: f64 = 2.0;
/// Hours with requests after which an old one counts for little, in the size of the key's busy hours.
const BUSY_MEMORY: f64 = 400.0;
/// At an hour at which a key is never used, a third of a busy hour counts as usual: work on a Sunday and a job that starts
/// late are no alarms.
const QUIET_SHARE: f64 = 0.35;

/// The hours of one key.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// The hour under way.
    hour: Option<i64>,
    count: u64,
    usual: f64,
    /// How many requests the hour may have, once that is known.
    limit: Option<f64>,
    /// Requests an hour, in each slot.
    slots: [f32; SLOTS],
    /// Hours that were learnt from: of working days, of free days.
    hours: [u32; 2],
    /// Of the hours with requests: the sum of the counts, and of their squares. Their ratio is the size of a busy hour.
    sum: f64,
    squares: f64,
    peaks: Peaks,
}

/// An hour with too many requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unusual {
    pub(super) count: u64,
    pub(super) usual: u64,
    pub(super) limit: u64,
}

impl Rhythm {
    /// Counts a request of this hour (since 1970). Says so if the hour has too many.
    pub(super) fn count(&mut self, hour: i64, settings: &Settings) -> Option<Unusual> {
        self.go_to(hour, settings);
        self.count = self.count.saturating_add(1);
        let limit = self.limit?;
        (requests(self.count) >= limit).then(|| Unusual {
            count: self.count,
            usual: whole(self.usual),
            limit: whole(limit),
        })
    }

    fn go_to(&mut self, hour: i64, settings: &Settings) {
        match self.hour {
            // Threads write a little out of order.
            Some(now) if hour == now || hour == now.saturating_sub(1) => return,
            Some(now) if hour > now => {
                self.learn_hour(now, settings);
                self.learn_silence(now, hour);
            }
            // The clock was set back: what was counted belongs nowhere.
            Some(_) | None => {}
        }
        self.hour = Some(hour);
        self.count = 0;
        self.usual = self.usual_at(hour, settings);
        self.limit = self.peaks.bound().map(|ratio| ratio * self.usual);
    }

    /// SECURITY: no hour teaches more than its limit, so that a flood becomes usual in weeks, not in hours.
    fn learn_hour(&mut self, hour: i64, settings: &Settings) {
        let count = requests(self.count).min(self.limit.unwrap_or(f64::INFINITY));
        self.learn(hour, count);
        let keep = 1.0 - 1.0 / BUSY_MEMORY;
        self.sum = self.sum * keep + count;
        self.squares = self.squares * keep + count * count;
        let day = hour.div_euclid(HOURS_A_DAY);
        self.peaks.note(day, count / self.usual.max(1.0), settings);
    }

    /// The hours without requests until the next one with some: at most a week of them, so that a holiday is not learnt.
    fn learn_silence(&mut self, from: i64, until: i64) {
        let first = from
            .saturating_add(1)
            .max(until.saturating_sub(HOURS_A_WEEK));
        for hour in first..until {
            self.learn(hour, 0.0);
        }
    }

    fn learn(&mut self, hour: i64, count: f64) {
        let [working, free] = &mut self.hours;
        let (hours, days_kept) = if is_free(hour) {
            (free, FREE_DAYS * WEEKS)
        } else {
            (working, WORKING_DAYS * WEEKS)
        };
        let weight = 1.0 / f64::from(*hours / 24 + 1).min(days_kept);
        *hours = hours.saturating_add(1);
        if let Some(slot) = self.slots.get_mut(slot_of(hour)) {
            let mean = f64::from(*slot);
            *slot = narrow(mean + weight * (count - mean));
        }
    }

    /// The highest of this hour and its neighbours, so that neither a job that starts a little late nor daylight saving is
    /// unusual; and not less than what an idle key may do.
    fn usual_at(&self, hour: i64, settings: &Settings) -> f64 {
        let near = [hour.saturating_sub(1), hour, hour.saturating_add(1)];
        let means = near.map(|hour| self.slots.get(slot_of(hour)).copied().unwrap_or_default());
        let busy = if self.sum > 0.0 {
            self.squares / self.sum
        } else {
            0.0
        };
        let least = settings.least_requests / settings.least_ratio;
        let floor = least.max(QUIET_SHARE * busy);
        means.into_iter().map(f64::from).fold(floor, f64::max)
    }
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            hour: None,
            count: 0,
            usual: 0.0,
            limit: None,
            slots: [0.0; SLOTS],
            hours: [0; 2],
            sum: 0.0,
            squares: 0.0,
            peaks: Peaks::default(),
        }
    }
}

fn of_week(hour: i64) -> i64 {
    hour.saturating_add(FROM_MONDAY).rem_euclid(HOURS_A_WEEK)
}

fn is_free(hour: i64) -> bool {
    of_week(hour).div_euclid(HOURS_A_DAY) >= 5
}

fn slot_of(hour: i64) -> usize {
    let of_day = usize::try_from(hour.rem_euclid(HOURS_A_DAY)).unwrap_or_default();
    if is_free(hour) { of_day + 24 } else { of_day }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^53 requests an hour"
)]
const fn requests(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and it saturates"
)]
const fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven digits of a mean are enough, and half the memory"
)]
const fn narrow(number: f64) -> f32 {
    number as f32
}

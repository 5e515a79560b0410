use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::NAME;
use crate::alert::InvalidRule;
use crate::time::Timestamp;

/// From eight to six: wide enough for early and late people in one office.
const OPENS: &str = "08:00";
const CLOSES: &str = "18:00";
const DAY: u16 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "a week has seven days")]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// When people work: days of the week and a time of the day, by the clock on the wall of a place, summer time included.
///
/// Open while `opens <= local time < closes`. Hours that close before they open go through the night, and belong to the day on
/// which they open.
///
/// ```
/// use keyward::alert::rules::{BusinessHours, Weekday};
/// use keyward::time::Timestamp;
///
/// let night = BusinessHours::builder("America/New_York")
///     .days([Weekday::Friday])
///     .open("22:00", "06:00")
///     .closed_on("2026-12-25")
///     .build()?;
/// // Saturday, 2026-11-28, 05:59 in New York.
/// assert_eq!(night.is_open(Timestamp::from_secs(1_795_863_540)), Some(true));
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Clone, Debug)]
pub struct BusinessHours {
    zone: TimeZone,
    days: BTreeSet<Weekday>,
    closed: BTreeSet<Date>,
    /// Minutes of the day.
    opens: u16,
    closes: u16,
}

/// The settings of [`BusinessHours`].
#[derive(Clone, Debug)]
#[must_use]
pub struct BusinessHoursBuilder {
    zone: String,
    days: BTreeSet<Weekday>,
    closed: Vec<String>,
    opens: String,
    closes: String,
}

impl BusinessHours {
    /// Returns Monday to Friday from 08:00 to 18:00 in a zone of the IANA database, such as `Europe/Berlin`.
    ///
    /// The system's copy of the database is used, and one inside the program where the system has none.
    pub fn builder(zone: impl Into<String>) -> BusinessHoursBuilder {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        BusinessHoursBuilder {
            zone: zone.into(),
            days: BTreeSet::from([Monday, Tuesday, Wednesday, Thursday, Friday]),
            closed: Vec::new(),
            opens: OPENS.to_owned(),
            closes: CLOSES.to_owned(),
        }
    }

    /// Returns whether people work at that moment; `None` for one that no calendar reaches.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> Option<bool> {
        Some(self.is_open_locally(self.local(at)?))
    }

    /// Returns what the clock on the wall says, if nobody works then.
    pub(super) fn outside(&self, at: Timestamp) -> Option<String> {
        let local = self.local(at)?;
        (!self.is_open_locally(local)).then(|| local.strftime("%Y-%m-%dT%H:%M").to_string())
    }

    fn local(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        Some(self.zone.to_datetime(at))
    }

    fn is_open_locally(&self, local: DateTime) -> bool {
        let minute = minute_of(local);
        let today = self.is_working(local.date());
        if self.opens < self.closes {
            return today && (self.opens..self.closes).contains(&minute);
        }
        let yesterday = local
            .date()
            .yesterday()
            .is_ok_and(|day| self.is_working(day));
        (today && minute >= self.opens) || (yesterday && minute < self.closes)
    }

    fn is_working(&self, date: Date) -> bool {
        self.days.contains(&date.weekday().into()) && !self.closed.contains(&date)
    }
}

impl BusinessHoursBuilder {
    /// Sets the days of the week; Monday to Friday otherwise.
    pub fn days(mut self, days: impl IntoIterator<Item = Weekday>) -> Self {
        self.days = days.into_iter().collect();
        self
    }

    /// Sets the time of the day, as `hh:mm` from `00:00` to `24:00`; 08:00 to 18:00 otherwise.
    pub fn open(mut self, opens: impl Into<String>, closes: impl Into<String>) -> Self {
        (self.opens, self.closes) = (opens.into(), closes.into());
        self
    }

    /// Adds a day on which nobody works, as `yyyy-mm-dd`.
    pub fn closed_on(mut self, date: impl Into<String>) -> Self {
        self.closed.push(date.into());
        self
    }

    /// Returns the hours.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] for an unknown zone, a time or a date that is none, no day at all, or hours that close when they open.
    pub fn build(self) -> Result<BusinessHours, InvalidRule> {
        let invalid = |problem| InvalidRule::new(NAME, problem);
        let zone = TimeZone::get(&self.zone);
        let zone = zone.map_err(|_| invalid("its time zone is not in the IANA database"))?;
        let dates = self.closed.iter().map(|date| date.parse());
        let closed = dates.collect::<Result<_, _>>();
        let time = |text| minute(text).ok_or_else(|| invalid("a time is no hh:mm"));
        let hours = BusinessHours {
            zone,
            days: self.days,
            closed: closed.map_err(|_| invalid("a date is no yyyy-mm-dd"))?,
            opens: time(&self.opens)?,
            closes: time(&self.closes)?,
        };
        if hours.days.is_empty() {
            return Err(invalid("its hours have no day"));
        }
        if hours.opens == hours.closes || hours.opens == DAY {
            return Err(invalid("its hours are empty"));
        }
        Ok(hours)
    }
}

/// Reads `hh:mm`.
fn minute(text: &str) -> Option<u16> {
    let [tens, ones, b':', minute_tens, minute_ones] = text.as_bytes() else {
        return None;
    };
    let (hour, minute) = (two(*tens, *ones)?, two(*minute_tens, *minute_ones)?);
    let time = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && time <= DAY).then_some(time)
}

fn two(tens: u8, ones: u8) -> Option<u16> {
    let digit = |byte: u8| {
        byte.is_ascii_digit()
            .then(|| u16::from(byte.saturating_sub(b'0')))
    };
    digit(tens)?.checked_mul(10)?.checked_add(digit(ones)?)
}

fn minute_of(local: DateTime) -> u16 {
    let part = |number: i8| u16::try_from(number).unwrap_or(0);
    part(local.hour())
        .saturating_mul(60)
        .saturating_add(part(local.minute()))
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        use jiff::civil::Weekday as Day;
        match day {
            Day::Monday => Self::Monday,
            Day::Tuesday => Self::Tuesday,
            Day::Wednesday => Self::Wednesday,
            Day::Thursday => Self::Thursday,
            Day::Friday => Self::Friday,
            Day::Saturday => Self::Saturday,
            Day::Sunday => Self::Sunday,
        }
    }
}

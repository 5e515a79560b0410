//! The rules that come with the crate. `docs/alerts.md` says what each sees and what it does not.

mod admin_key;
mod burst;
mod country;
mod dormant;
mod edited;
mod error_rate;
mod exposed;
#[cfg(feature = "time-zones")]
mod hours;
mod limit_hits;
mod nearest;
mod superseded;
mod unusual_use;

use std::time::Duration;

use super::InvalidRule;

pub use self::admin_key::AdminKeyCreated;
pub use self::burst::{BurstOfKeys, BurstOfKeysBuilder, CountedPer};
pub use self::country::{UnexpectedCountry, UnexpectedCountryBuilder};
pub use self::dormant::DormantKey;
pub use self::edited::EditedRecord;
pub use self::error_rate::{ErrorRate, ErrorRateBuilder};
pub use self::exposed::KeyExposed;
#[cfg(feature = "time-zones")]
pub use self::hours::{
    BusinessHours, BusinessHoursBuilder, OutsideBusinessHours, OutsideBusinessHoursBuilder, Weekday,
};
pub use self::limit_hits::{LimitHits, LimitHitsBuilder};
pub use self::superseded::SupersededSecret;
pub use self::unusual_use::{UnusualUse, UnusualUseBuilder};

/// Most events that a rule counts one by one: 8 kB a subject.
const MAX_TIMES: u32 = 1000;

fn check_window(rule: &'static str, window: Duration) -> Result<(), InvalidRule> {
    if window < Duration::from_micros(1) {
        return Err(InvalidRule::new(rule, "its window is empty"));
    }
    Ok(())
}

fn check_times(rule: &'static str, times: u32) -> Result<(), InvalidRule> {
    if !(1..=MAX_TIMES).contains(&times) {
        return Err(InvalidRule::new(rule, "it counts 1 to 1000 events"));
    }
    Ok(())
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

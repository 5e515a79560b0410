//! One key through its year, with or without a thief.

use std::net::IpAddr;
use std::time::Duration;

use keyward::alert::rules::UnusualUse;
use keyward::alert::{AlertError, Alerts};
use keyward::audit::{AuditEvent, AuditKind, AuditObserver as _, Text};
use keyward::time::Timestamp;

use crate::chance::Chance;
use crate::fleet::{DAYS, Hour, Origin, Use, Year, address};

/// 2024-01-01, a Monday.
const START: i64 = 1_704_067_200;
const HOUR: Duration = Duration::from_secs(3600);

/// How a stolen key is used, for a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Theft {
    /// Three requests an hour more, from a network of the thief's own.
    Quiet,
    /// Ten times as much as usual, from the owner's network.
    TenTimes,
    /// A thousand requests an hour between midnight and five, from the owner's network.
    AtNight,
}

impl Theft {
    pub(crate) const ALL: [Self; 3] = [Self::Quiet, Self::TenTimes, Self::AtNight];

    /// What it must be found as.
    const fn code(self) -> &'static str {
        match self {
            Self::Quiet => "new_network",
            Self::TenTimes | Self::AtNight => "unusual_rate",
        }
    }
}

/// What came of an honest year.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Honest {
    pub(crate) unusual_rates: u32,
    pub(crate) new_networks: u32,
    pub(crate) requests: u64,
}

/// Every alert of a year without a thief is a false one.
pub(crate) fn honest(what: Use, seed: u64, scale: f64) -> Result<Honest, AlertError> {
    let year = Year::of(what, seed, scale);
    let mut trial = Trial::new()?;
    let mut found = Honest::default();
    for (at, hour) in year.hours.iter().enumerate() {
        found.requests += u64::from(hour.requests);
        for alert in trial.hour(at, *hour) {
            match alert.reason() {
                Some("unusual_rate") => found.unusual_rates += 1,
                _ => found.new_networks += 1,
            }
        }
    }
    Ok(found)
}

/// How long after its first request the theft was found; `None` if it was not. The outer one is `None` if the thief had
/// nothing to multiply that day.
pub(crate) fn stolen(
    what: Use,
    seed: u64,
    scale: f64,
    theft: Theft,
) -> Result<Option<Option<Duration>>, AlertError> {
    let year = Year::of(what, seed, scale);
    let mut chance = Chance::new(seed ^ 0x0074_6869_6566);
    let first = (90 + chance.below(DAYS - 100)) * 24 + chance.below(24);
    let mut trial = Trial::new()?;
    let mut since = None;
    for (at, own) in year.hours.iter().enumerate().take(first + 24) {
        let more = if at < first {
            None
        } else {
            extra(theft, &year, at, *own)
        };
        let mut alerts = trial.hour(at, *own);
        if let Some(more) = more.filter(|it| it.requests > 0) {
            since.get_or_insert(time(at, 0, 1));
            alerts.extend(trial.hour(at, more));
        }
        let found = alerts.iter().find(|it| it.reason() == Some(theft.code()));
        if let (Some(since), Some(found)) = (since, found) {
            return Ok(Some(Some(found.time().saturating_since(since))));
        }
    }
    Ok(since.map(|_| None))
}

fn extra(theft: Theft, year: &Year, at: usize, own: Hour) -> Option<Hour> {
    let (requests, from) = match theft {
        Theft::Quiet => (3, address(0x00ff_0000)),
        Theft::TenTimes => (own.requests.saturating_mul(9), year.own_address(at)),
        Theft::AtNight => {
            let local = (at as i64 + year.zone).rem_euclid(24);
            let requests = if local < 5 { 1000 } else { 0 };
            (requests, year.own_address(at))
        }
    };
    let from = match (theft, own.from) {
        (Theft::Quiet, _) | (_, Origin::Address(_)) => Origin::Address(from),
        (_, pool) => pool,
    };
    Some(Hour { requests, from })
}

/// A rule that sees one key.
struct Trial {
    alerts: Alerts,
    key: Text,
    turn: u32,
}

impl Trial {
    fn new() -> Result<Self, AlertError> {
        Ok(Self {
            alerts: Alerts::builder().rule(UnusualUse::default()).start()?,
            key: Text::from_static("a1B2c3D4e5F6"),
            turn: 0,
        })
    }

    /// Shows it the requests of an hour. Returns what the trail gets of it.
    fn hour(&mut self, at: usize, hour: Hour) -> Vec<AuditEvent> {
        let mut raised = Vec::new();
        for number in 0..hour.requests {
            let event = AuditEvent::new(
                AuditKind::AuthenticationSucceeded,
                time(at, number, hour.requests),
            )
            .with_key_id(self.key.clone())
            .with_client_ip(self.from(hour.from));
            self.alerts.observe(&event, &mut raised);
        }
        raised
    }

    fn from(&mut self, origin: Origin) -> IpAddr {
        match origin {
            Origin::Address(address) => address,
            Origin::Pool(networks) => {
                // A prime steps through all of them.
                self.turn = self.turn.wrapping_add(7919);
                address(5000 + self.turn % u32::from(networks))
            }
        }
    }
}

/// Requests are spread over their hour.
fn time(hour: usize, number: u32, of: u32) -> Timestamp {
    let start = Timestamp::from_secs(START + 3600 * hour as i64);
    start.saturating_add(HOUR.saturating_mul(number) / of.max(1))
}

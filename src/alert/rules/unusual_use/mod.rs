//! What each key usually does, learnt from the trail.

mod builder;
mod networks;
mod peaks;
mod rhythm;
mod student;
#[cfg(test)]
mod tests;

use self::builder::Settings;
use self::networks::Networks;
use self::rhythm::{Rhythm, Unusual};
use crate::alert::book::Book;
use crate::alert::{AlertKind, AlertRule, Finding};
use crate::audit::{AuditEvent, AuditKind, Text};
use crate::time::Timestamp;

pub use self::builder::UnusualUseBuilder;

const HOUR: i64 = 3_600_000_000;
const HOURS_A_DAY: i64 = 24;

/// Learns how each key is usually used, and finds [unusual rates](AlertKind::UnusualRate) and
/// [new networks](AlertKind::NewNetwork).
///
/// A key is learnt on fourteen days on which it is used, unless told otherwise; until then the rule says nothing of it.
///
/// * **Rate**: an hour is unusual when it has more requests than the key's usual number for that time, times what the key's
///   own busiest hours say, and at least four times and twenty requests. How high that is, is chosen so that a key gives half
///   a false alarm a year.
/// * **Network**: a new network (an IPv4 /24, an IPv6 /48) is found at its first request, if the key is one that hardly ever
///   has a new one.
///
/// It counts accepted keys (`authentication_succeeded`); where those are not written, completed requests.
/// `docs/alerts.md` has the statistic, how it fares in a simulated year, and what it does not see.
///
/// What it has learnt ends with the process, but [`Alerts::replay`](crate::alert::Alerts::replay) teaches it again from the
/// trail. It takes about a kilobyte a key.
///
/// ```
/// use keyward::alert::{Alerts, rules::UnusualUse};
///
/// let alerts = Alerts::builder().rule(UnusualUse::default()).start()?;
/// # let _ = alerts;
/// # Ok::<(), keyward::alert::AlertError>(())
/// ```
#[derive(Debug)]
pub struct UnusualUse {
    settings: Settings,
    keys: Book<Box<Profile>>,
    /// Whether accepted keys are in the trail.
    sees_successes: bool,
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Profile {
    rhythm: Rhythm,
    networks: Networks,
}

impl UnusualUse {
    /// Returns the settings of a rule, all usual.
    pub fn builder() -> UnusualUseBuilder {
        UnusualUseBuilder::new()
    }

    fn new(settings: Settings) -> Self {
        Self {
            settings,
            keys: Book::new(settings.capacity),
            sees_successes: false,
        }
    }

    /// One request is not counted twice.
    fn counts(&mut self, event: &AuditEvent) -> bool {
        match event.kind() {
            AuditKind::AuthenticationSucceeded => {
                self.sees_successes = true;
                true
            }
            AuditKind::RequestCompleted => !self.sees_successes,
            _ => false,
        }
    }
}

impl Default for UnusualUse {
    fn default() -> Self {
        Self::new(Settings::USUAL)
    }
}

impl AlertRule for UnusualUse {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let Some(key_id) = event.key_id_text() else {
            return;
        };
        if !self.counts(event) {
            return;
        }
        let profile = self.keys.open(key_id);
        let hour = hour_of(event.time());
        if let Some(unusual) = profile.rhythm.count(hour, &self.settings) {
            findings.extend(unusual_rate(event, &unusual));
        }
        if let Some(address) = event.client_ip() {
            let day = hour.div_euclid(HOURS_A_DAY);
            let is_news = profile.networks.look(address, day, &self.settings);
            findings.extend(is_news.and_then(|network| new_network(event, network)));
        }
    }
}

fn hour_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(HOUR)
}

fn unusual_rate(event: &AuditEvent, unusual: &Unusual) -> Option<Finding> {
    let finding = Finding::of_key(AlertKind::UnusualRate, event)?
        .with_count(unusual.count)
        .with_window(std::time::Duration::from_secs(3600))
        .with_detail("usual", unusual.usual)
        .with_detail("limit", unusual.limit);
    Some(finding)
}

fn new_network(event: &AuditEvent, network: Text) -> Option<Finding> {
    let finding = Finding::of_key(AlertKind::NewNetwork, event)?;
    Some(finding.with_detail("network", network))
}

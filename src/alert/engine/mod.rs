//! From findings to alerts, and from alerts to sinks.

mod builder;
mod counters;
mod delivery;
mod once;
mod silence;
mod watch;

use std::sync::Arc;

use self::counters::Counts;
use self::delivery::Outlet;
use self::watch::Watch;
use super::{Alert, AlertError};
use crate::audit::{AuditEvent, AuditObserver};
use crate::sync::{Mutex, lock};

pub use self::builder::AlertsBuilder;
pub use self::counters::{AlertCounters, SinkCounters};

/// Shows the trail to rules, and turns what they find into alerts.
///
/// It is an [`AuditObserver`]: give it to
/// [`KeyServiceBuilder::observer`](crate::service::KeyServiceBuilder::observer) in an [`Arc`], and keep another to
/// [shut it down](Self::shutdown) after the service.
///
/// Of each subject (a key, as a rule) and kind there is one alert a period. It is written to the trail as an `alert_raised`
/// event, and handed to every sink. The next one, after the period, says how often the rule was met in between.
///
/// It sees the trail of its own process, and what it remembers ends with the process: [`Alerts::replay`] shows it a part of
/// the trail that was written before.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
///
/// use keyward::alert::{Alerts, MemoryAlertSink};
/// use keyward::service::KeyService;
/// use keyward::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let latest = MemoryAlertSink::bounded(NonZeroUsize::new(100).ok_or("zero")?);
/// let alerts = Arc::new(Alerts::builder().sink("latest", latest.clone()).start()?);
/// let service = KeyService::builder(MemoryStore::new()).observer(Arc::clone(&alerts)).build()?;
/// // …
/// service.shutdown().await?;
/// alerts.shutdown().await?;
/// assert!(latest.alerts().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Alerts {
    watch: Mutex<Watch>,
    outlets: Vec<Outlet>,
    counts: Arc<Counts>,
    patience: std::time::Duration,
}

impl Alerts {
    /// Returns the settings of an engine without rules and sinks.
    pub fn builder() -> AlertsBuilder {
        AlertsBuilder::new()
    }

    /// Shows the rules events of the past, in their order, so that windows that were open when the process ended are open
    /// again. No alert is raised: what the rules find, and the `alert_raised` events among them, count as raised.
    pub fn replay<'e>(&self, events: impl IntoIterator<Item = &'e AuditEvent>) {
        let mut watch = lock(&self.watch);
        for event in events {
            watch.replay(event, &self.counts);
        }
    }

    /// Waits until every sink has dealt with what was handed to it before.
    ///
    /// # Errors
    ///
    /// [`AlertError::Lost`]: alerts did not reach a sink since the last flush.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) -> Result<(), AlertError> {
        for outlet in &self.outlets {
            outlet.flush().await;
        }
        self.lost()
    }

    /// Takes no more alerts, and waits until the sinks have dealt with those they were handed; not longer than the
    /// [patience](AlertsBuilder::patience) with one alert, then the rest is dropped and counted.
    ///
    /// Events are looked at afterwards too, and alerts written to the trail, but no sink hears of them. So shut the service
    /// down first.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Once polled, the sinks get nothing more; the rest may be called again.
    pub async fn shutdown(&self) -> Result<(), AlertError> {
        self.outlets.iter().for_each(Outlet::close);
        let ended = async {
            for outlet in &self.outlets {
                outlet.ended().await;
            }
        };
        // Both ends mean the same: whoever is not done now is given up.
        let _ = tokio::time::timeout(self.patience, ended).await;
        for outlet in &self.outlets {
            outlet.give_up().await;
        }
        self.lost()
    }

    fn lost(&self) -> Result<(), AlertError> {
        let lost = self.outlets.iter().map(Outlet::newly_lost);
        match lost.fold(0, u64::saturating_add) {
            0 => Ok(()),
            alerts => Err(AlertError::Lost { alerts }),
        }
    }

    /// Returns what became of the alerts so far.
    #[must_use]
    pub fn counters(&self) -> AlertCounters {
        self.counts
            .read(self.outlets.iter().map(Outlet::counters).collect())
    }
}

impl AuditObserver for Alerts {
    fn observe(&self, event: &AuditEvent, follow_up: &mut Vec<AuditEvent>) {
        let raised: Vec<Alert> = lock(&self.watch).look(event, &self.counts);
        for alert in raised {
            follow_up.push(alert.to_event());
            let alert = Arc::new(alert);
            for outlet in &self.outlets {
                outlet.hand(&alert);
            }
        }
    }
}

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of findings and alerts since the engine started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AlertCounters {
    /// Alerts that were raised.
    pub raised: u64,
    /// Findings that raised none, because there had been an alert of their kind and subject in the same period.
    pub suppressed: u64,
    /// Events that were shown a second time, and counted once.
    pub repeated_events: u64,
    /// Panics of rules.
    pub rule_panics: u64,
    /// What became of the alerts at each sink, in the order in which the sinks were added.
    pub sinks: Vec<SinkCounters>,
}

/// What became of the alerts that one sink was to get.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SinkCounters {
    /// The sink's name.
    pub name: &'static str,
    /// Alerts it took.
    pub sent: u64,
    /// Alerts it refused, failed or panicked at, or did not take in time.
    pub failed: u64,
    /// Alerts that found no room in its queue or the engine shut down.
    pub dropped: u64,
    /// Alerts that wait for it, or are with it now.
    pub pending: u64,
}

/// The counters as they count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) raised: AtomicU64,
    pub(super) suppressed: AtomicU64,
    pub(super) repeated_events: AtomicU64,
    pub(super) rule_panics: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self, sinks: Vec<SinkCounters>) -> AlertCounters {
        AlertCounters {
            raised: self.raised.load(Ordering::Relaxed),
            suppressed: self.suppressed.load(Ordering::Relaxed),
            repeated_events: self.repeated_events.load(Ordering::Relaxed),
            rule_panics: self.rule_panics.load(Ordering::Relaxed),
            sinks,
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

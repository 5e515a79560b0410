use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong beside the requests, in numbers for a dashboard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceCounters {
    /// Old secrets that could not be ended at their successor's first use. Each is tried again at the next use.
    pub retirements_failed: u64,
    /// Digests that could not be upgraded after a use. Each is tried again at a later use.
    pub upgrades_failed: u64,
    /// Batches of last uses that the store did not take. They are kept for the next batch.
    pub usage_writes_failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    retirements: AtomicU64,
    upgrades: AtomicU64,
    usage_writes: AtomicU64,
}

impl Counters {
    pub(super) fn retirement_failed(&self) {
        self.retirements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn upgrade_failed(&self) {
        self.upgrades.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn usage_write_failed(&self) {
        self.usage_writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ServiceCounters {
        ServiceCounters {
            retirements_failed: self.retirements.load(Ordering::Relaxed),
            upgrades_failed: self.upgrades.load(Ordering::Relaxed),
            usage_writes_failed: self.usage_writes.load(Ordering::Relaxed),
        }
    }
}

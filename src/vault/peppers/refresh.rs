//! Reading the peppers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until, timeout};

use super::{PepperRefreshStats, layout};
use crate::hash::PepperRing;
use crate::vault::{Kv, VaultError};

pub(super) type Report = dyn Fn(&VaultError) + Send + Sync;

/// A text with a version that nobody has must not become a read of Vault for each request that presents it.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Shared {
    kv: Kv,
    path: String,
    pub(super) ring: Arc<PepperRing>,
    report: Option<Box<Report>>,
    /// One read at a time, so that of two the later one is also taken over later.
    turn: Mutex<()>,
    refreshed: AtomicU64,
    failed: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        kv: Kv,
        path: String,
        ring: Arc<PepperRing>,
        report: Option<Box<Report>>,
    ) -> Self {
        Self {
            kv,
            path,
            ring,
            report,
            turn: Mutex::new(()),
            refreshed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) async fn refresh(&self) -> Result<bool, VaultError> {
        let turn = self.turn.lock().await;
        let outcome = self.read().await;
        drop(turn);
        match &outcome {
            Ok(_) => _ = self.refreshed.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if let Some(report) = &self.report {
                    report(error);
                }
            }
        }
        outcome
    }

    async fn read(&self) -> Result<bool, VaultError> {
        let next = layout::read(&self.kv, &self.path).await?;
        Ok(self.ring.take_over(next)?)
    }

    pub(super) fn stats(&self) -> PepperRefreshStats {
        PepperRefreshStats {
            refreshed: self.refreshed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Refreshes on time, and when a version is missing: those who miss one meanwhile are served by one read.
pub(super) async fn keep(shared: Arc<Shared>, missing: Arc<Notify>, every: Duration) {
    loop {
        let last = Instant::now();
        if timeout(every, missing.notified()).await.is_ok() {
            sleep_until(last + REST.min(every)).await;
        }
        // A failure has been counted and reported, and the ring is as it was.
        let _ = shared.refresh().await;
    }
}

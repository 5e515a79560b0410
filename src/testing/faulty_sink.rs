use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::audit::{AuditError, AuditEvent, AuditSink};

/// A sink that fails, panics or holds still when told to, in front of another. Clones share their faults.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditSink, MemorySink};
/// use keyward::testing::FaultySink;
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sink = FaultySink::new(MemorySink::unbounded());
/// let event = [AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH)];
/// sink.fail_next(1);
/// assert!(sink.write(&event).await.is_err());
/// assert!(sink.write(&event).await.is_ok());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultySink<S> {
    inner: S,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    failing: AtomicU32,
    panicking: AtomicU32,
    held: watch::Sender<bool>,
    begun: watch::Sender<u32>,
}

impl<S: AuditSink> FaultySink<S> {
    /// Returns a sink in front of `inner` that has no faults yet.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            faults: Arc::new(Faults {
                failing: AtomicU32::new(0),
                panicking: AtomicU32::new(0),
                held: watch::Sender::new(false),
                begun: watch::Sender::new(0),
            }),
        }
    }

    /// Makes the next `calls` of `write` fail without reaching the inner sink; `u32::MAX` for all, 0 to mend it.
    pub fn fail_next(&self, calls: u32) {
        self.faults.failing.store(calls, Ordering::SeqCst);
    }

    /// Makes the next `calls` of `write` panic.
    pub fn panic_next(&self, calls: u32) {
        self.faults.panicking.store(calls, Ordering::SeqCst);
    }

    /// Makes every `write` from now on wait at its beginning.
    pub fn hold(&self) {
        self.faults.held.send_replace(true);
    }

    /// Lets the held calls go on.
    pub fn release(&self) {
        self.faults.held.send_replace(false);
    }

    /// Returns how many calls of `write` have begun.
    #[must_use]
    pub fn begun(&self) -> u32 {
        *self.faults.begun.borrow()
    }

    /// Returns once `calls` calls of `write` have begun since the sink was made.
    pub async fn wait_for_writes(&self, calls: u32) {
        // The sender lives in `self`, so the wait can only end because the number is reached.
        let mut begun = self.faults.begun.subscribe();
        let _ = begun.wait_for(|begun| *begun >= calls).await;
    }
}

/// Takes one off a count; `false` if there was none.
fn take_one(count: &AtomicU32) -> bool {
    let one_less = |left: u32| match left {
        u32::MAX => Some(left),
        _ => left.checked_sub(1),
    };
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: AuditSink> AuditSink for FaultySink<S> {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let mut held = self.faults.held.subscribe();
        self.faults
            .begun
            .send_modify(|begun| *begun = begun.saturating_add(1));
        let _ = held.wait_for(|held| !held).await;
        assert!(
            !take_one(&self.faults.panicking),
            "this sink was told to panic"
        );
        if take_one(&self.faults.failing) {
            return Err(AuditError::unavailable("faulty", "told to fail"));
        }
        self.inner.write(events).await
    }

    async fn flush(&self) -> Result<(), AuditError> {
        self.inner.flush().await
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        self.inner.last_sequence().await
    }
}

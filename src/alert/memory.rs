use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Alert, AlertError, AlertSink};
use crate::sync::{Mutex, lock};

/// Keeps the newest alerts in memory, for tests and for a view of the latest ones. Clones share what they hold.
///
/// ```
/// use std::num::NonZeroUsize;
/// use keyward::alert::MemoryAlertSink;
///
/// let sink = MemoryAlertSink::bounded(NonZeroUsize::MIN);
/// assert!(sink.alerts().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct MemoryAlertSink {
    capacity: NonZeroUsize,
    held: Arc<Mutex<VecDeque<Alert>>>,
}

impl MemoryAlertSink {
    /// Returns a sink that keeps the newest `capacity` alerts.
    #[must_use]
    pub fn bounded(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            held: Arc::default(),
        }
    }

    /// Returns the alerts it holds, the oldest first.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        lock(&self.held).iter().cloned().collect()
    }
}

#[async_trait]
impl AlertSink for MemoryAlertSink {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        let mut held = lock(&self.held);
        if held.len() >= self.capacity.get() {
            held.pop_front();
        }
        held.push_back(alert.clone());
        Ok(())
    }
}

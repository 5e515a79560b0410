use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::super::blocking;
use super::super::trail::Trail;
use super::outbox::Outbox;
use crate::audit::AuditError;

/// Makes checkpoints from time to time and publishes them, until it is dropped.
#[derive(Debug)]
pub(in super::super) struct SealTask {
    pub(in super::super) outbox: Arc<Outbox>,
    task: AbortHandle,
}

impl SealTask {
    pub(in super::super) fn start(
        trail: &Arc<Mutex<Trail>>,
        outbox: Arc<Outbox>,
        every: Duration,
    ) -> Result<Self, AuditError> {
        let runtime = Handle::try_current().map_err(|_| AuditError::NoRuntime)?;
        let work = run(Arc::downgrade(trail), Arc::clone(&outbox), every);
        let task = runtime.spawn(work).abort_handle();
        Ok(Self { outbox, task })
    }
}

impl Drop for SealTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(trail: Weak<Mutex<Trail>>, outbox: Arc<Outbox>, every: Duration) {
    loop {
        if !outbox.wait(every).await {
            let Some(trail) = trail.upgrade() else { return };
            let mut trail = trail.lock_owned().await;
            // A failure is counted where it happens, and tried again next time.
            let _ = blocking(move || trail.seal()).await;
        }
        let _ = outbox.publish().await;
    }
}

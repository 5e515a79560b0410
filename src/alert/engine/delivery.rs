use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::counters::{SinkCounters, count};
use crate::alert::{Alert, AlertError, AlertSink};
use crate::sync::{Mutex, lock};

/// Hears why a sink did not get an alert.
#[derive(Clone)]
pub(super) struct Reporter(Arc<Report>);

type Report = dyn Fn(&'static str, &AlertError) + Send + Sync;

impl Reporter {
    pub(super) fn new(report: impl Fn(&'static str, &AlertError) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// The way to one sink: its queue and its task.
#[derive(Debug)]
pub(super) struct Outlet {
    name: &'static str,
    queue: Mutex<Option<mpsc::Sender<Message>>>,
    tally: Arc<Tally>,
    reported: AtomicU64,
    task: AbortHandle,
    /// Closes when the task has ended.
    end: watch::Receiver<()>,
}

#[derive(Debug)]
enum Message {
    Alert(Arc<Alert>),
    Flush(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct Tally {
    handed: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// What the task of a sink needs.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) name: &'static str,
    pub(super) sink: Box<dyn AlertSink>,
    pub(super) patience: Duration,
    pub(super) report: Option<Reporter>,
}

impl Outlet {
    /// Starts the sink's task.
    pub(super) fn start(courier: Courier, capacity: NonZeroUsize, runtime: &Handle) -> Self {
        let (queue, inbox) = mpsc::channel(capacity.get());
        let (ended, end) = watch::channel(());
        let (name, tally) = (courier.name, Arc::<Tally>::default());
        let counted = Arc::clone(&tally);
        let task = runtime.spawn(async move {
            let _ended = ended;
            courier.run(inbox, &counted).await;
        });
        Self {
            name,
            queue: Mutex::new(Some(queue)),
            tally,
            reported: AtomicU64::new(0),
            task: task.abort_handle(),
            end,
        }
    }

    /// Queues an alert, or drops it and counts that. Never waits.
    pub(super) fn hand(&self, alert: &Arc<Alert>) {
        let queue = lock(&self.queue);
        count(&self.tally.handed);
        let message = Message::Alert(Arc::clone(alert));
        let refused = |queue: &mpsc::Sender<Message>| queue.try_send(message).is_err();
        if queue.as_ref().is_none_or(refused) {
            count(&self.tally.dropped);
        }
    }

    /// Waits until everything handed over before is dealt with.
    pub(super) async fn flush(&self) {
        let queue = lock(&self.queue).clone();
        let Some(queue) = queue else { return };
        let (done, wait) = oneshot::channel();
        if queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the task has ended: nothing is left to wait for.
            let _ = wait.await;
        }
    }

    pub(super) fn close(&self) {
        *lock(&self.queue) = None;
    }

    pub(super) async fn ended(&self) {
        // An error is what it waits for: the task has let go of its side.
        let _ = self.end.clone().changed().await;
    }

    /// Ends the task, and counts what it has not dealt with as dropped.
    pub(super) async fn give_up(&self) {
        self.task.abort();
        self.ended().await;
        // Under the lock nobody is between handing an alert over and counting what became of it.
        let _queue = lock(&self.queue);
        let left = self.counters().pending;
        self.tally.dropped.fetch_add(left, Ordering::Relaxed);
    }

    /// Returns how many alerts were lost since this was asked before.
    pub(super) fn newly_lost(&self) -> u64 {
        let now = self.counters();
        let lost = now.failed.saturating_add(now.dropped);
        lost.saturating_sub(self.reported.swap(lost, Ordering::Relaxed))
    }

    pub(super) fn counters(&self) -> SinkCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (sent, failed, dropped) = (
            read(&self.tally.sent),
            read(&self.tally.failed),
            read(&self.tally.dropped),
        );
        let settled = sent.saturating_add(failed).saturating_add(dropped);
        SinkCounters {
            name: self.name,
            sent,
            failed,
            dropped,
            pending: read(&self.tally.handed).saturating_sub(settled),
        }
    }
}

impl Courier {
    async fn run(self, mut inbox: mpsc::Receiver<Message>, tally: &Tally) {
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Alert(alert) => self.deliver(&alert, tally).await,
                // Whoever asked may be gone.
                Message::Flush(done) => drop(done.send(())),
            }
        }
    }

    async fn deliver(&self, alert: &Alert, tally: &Tally) {
        let call = caught(self.sink.send(alert));
        let result = tokio::time::timeout(self.patience, call)
            .await
            .unwrap_or_else(|_| Err(AlertError::unavailable(self.name, "it took too long")));
        match result {
            Ok(()) => count(&tally.sent),
            Err(error) => {
                count(&tally.failed);
                self.report(&error);
            }
        }
    }

    fn report(&self, error: &AlertError) {
        if let Some(Reporter(report)) = &self.report {
            // What the application makes of it must not end the task.
            drop(catch_unwind(AssertUnwindSafe(|| report(self.name, error))));
        }
    }
}

/// Turns a panic of the sink into an error, so that it does not end its task.
async fn caught(
    call: impl Future<Output = Result<(), AlertError>> + Send,
) -> Result<(), AlertError> {
    let mut call = pin!(call);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(AlertError::Panicked)))
    })
    .await
}

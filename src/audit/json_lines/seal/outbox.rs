//! Checkpoints on their way out of the machine, and the counts of what became of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Checkpoint, CheckpointSink};
use crate::error::BoxError;
use crate::sync::{Mutex, lock};

/// How long a sink may take over one checkpoint: 10 s, beyond the answer of any object store, and short enough that a shutdown
/// does not seem to hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many checkpoints wait for a sink that fails: 256, most of a day of them at the default interval. The newest covers what
/// older ones cover, so the oldest is given up first.
pub(super) const CAPACITY: usize = 256;

/// What became of the checkpoints of a trail in this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SealCounters {
    /// Checkpoints written to the file beside the trail.
    pub written: u64,
    /// Attempts at making one that failed; the next one covers the same lines. Watch it.
    pub failed: u64,
    /// Lines covered by the newest checkpoint that was written, counted from the first of the trail.
    pub sealed_lines: u64,
    /// Checkpoints that were published.
    pub published: u64,
    /// Attempts at publishing one that failed. Watch it.
    pub failed_publications: u64,
    /// Checkpoints given up because 256 newer ones waited to be published.
    pub given_up: u64,
    /// Checkpoints that wait to be published.
    pub waiting: u64,
}

#[derive(Debug)]
pub(in super::super) struct Outbox {
    sink: Option<Arc<dyn CheckpointSink>>,
    state: Mutex<State>,
    /// One at a time, in order.
    turn: tokio::sync::Mutex<()>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Checkpoint>,
    counters: SealCounters,
}

impl Outbox {
    pub(super) fn new(sink: Option<Arc<dyn CheckpointSink>>) -> Self {
        Self {
            sink,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            news: Notify::new(),
        }
    }

    pub(in super::super) fn counters(&self) -> SealCounters {
        let state = lock(&self.state);
        SealCounters {
            waiting: u64::try_from(state.waiting.len()).unwrap_or(u64::MAX),
            ..state.counters
        }
    }

    /// Takes a checkpoint that stands in the file.
    pub(super) fn put(&self, checkpoint: Checkpoint) {
        // It says nothing about lines.
        if checkpoint.is_beginning() {
            return;
        }
        let mut state = lock(&self.state);
        let counters = &mut state.counters;
        counters.written = counters.written.saturating_add(1);
        counters.sealed_lines = checkpoint.size();
        if self.sink.is_none() {
            return;
        }
        if state.waiting.len() >= CAPACITY {
            state.waiting.pop_front();
            state.counters.given_up = state.counters.given_up.saturating_add(1);
        }
        state.waiting.push_back(checkpoint);
        drop(state);
        self.news.notify_one();
    }

    pub(super) fn count_failed(&self) {
        let counters = &mut lock(&self.state).counters;
        counters.failed = counters.failed.saturating_add(1);
    }

    /// Returns when there is something new, or when the time is over: `false`.
    pub(super) async fn wait(&self, limit: Duration) -> bool {
        timeout(limit, self.news.notified()).await.is_ok()
    }

    /// Publishes what waits, oldest first, up to the first failure.
    pub(in super::super) async fn publish(&self) -> Result<(), BoxError> {
        let Some(sink) = &self.sink else {
            return Ok(());
        };
        let _turn = self.turn.lock().await;
        while let Some(checkpoint) = self.first() {
            let size = checkpoint.size();
            let published = publish(Arc::clone(sink), checkpoint).await;
            self.settle(size, published.is_ok());
            published?;
        }
        Ok(())
    }

    fn first(&self) -> Option<Checkpoint> {
        lock(&self.state).waiting.front().cloned()
    }

    fn settle(&self, size: u64, published: bool) {
        let mut state = lock(&self.state);
        if !published {
            let failed = &mut state.counters.failed_publications;
            *failed = failed.saturating_add(1);
            return;
        }
        state.counters.published = state.counters.published.saturating_add(1);
        // It may have been given up meanwhile.
        if state
            .waiting
            .front()
            .is_some_and(|first| first.size() == size)
        {
            state.waiting.pop_front();
        }
    }
}

/// On a task of its own: a panic ends that one, and a sink that hangs is left behind.
async fn publish(sink: Arc<dyn CheckpointSink>, checkpoint: Checkpoint) -> Result<(), BoxError> {
    let mut task = tokio::spawn(async move { sink.publish(&checkpoint).await });
    match timeout(PATIENCE, &mut task).await {
        Ok(ended) => ended?,
        Err(elapsed) => {
            task.abort();
            Err(elapsed.into())
        }
    }
}

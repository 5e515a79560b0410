use std::collections::VecDeque;

use tokio::sync::Notify;

use super::AuditCounters;
use super::pending::{Answer, Entry, Pending};
use crate::audit::AuditEvent;
use crate::sync::{Mutex, MutexGuard, lock};

/// What stands between the callers and the one writer.
///
/// One short lock, and a wake-up only when the writer asked for one: a push while the writer is busy or gathering a
/// batch touches nothing but the queue.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    /// How many entries are worth waking the writer for before the linger is over.
    batch: usize,
    state: Mutex<State>,
    work: Notify,
    room: Notify,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    /// Entries that nobody waits for; the capacity bounds them.
    waiting: usize,
    /// Entries that somebody waits for; each holds up one caller, which bounds them.
    urgent: usize,
    /// Length at which the writer wants to be woken.
    wake_at: usize,
    closed: bool,
    counters: AuditCounters,
}

/// The writer is at work and looks by itself before it sleeps.
const AWAKE: usize = usize::MAX;

/// Why an entry was not taken; it comes back.
#[derive(Debug)]
pub(super) enum Refused {
    Full(Pending),
    Closed,
}

/// What the writer finds when it looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Readiness {
    /// Nothing to do; the next push wakes.
    Empty,
    /// Less than a batch that nobody waits for; a full batch wakes.
    Gathering,
    /// Something to do now.
    Ready,
    /// Closed, and everything is done.
    Done,
}

/// What the writer has to do next.
#[derive(Debug)]
pub(super) enum Work {
    Write(Vec<Entry>),
    Flush(Answer),
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    pub(super) written: u64,
    pub(super) lost: u64,
    pub(super) failed: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize, batch: usize) -> Self {
        Self {
            capacity,
            batch,
            state: Mutex::new(State {
                entries: VecDeque::with_capacity(capacity),
                waiting: 0,
                urgent: 0,
                wake_at: AWAKE,
                closed: false,
                counters: AuditCounters::default(),
            }),
            work: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Adds an event nobody waits for, if there is room.
    pub(super) fn push(&self, pending: Pending) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting >= self.capacity {
            return Err(Refused::Full(pending));
        }
        state.push_waiting(Entry::Queued(pending));
        self.wake_for_a_batch(state);
        Ok(())
    }

    fn wake_for_a_batch(&self, mut state: MutexGuard<'_, State>) {
        if state.entries.len() >= state.wake_at {
            state.wake_at = AWAKE;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Adds an event that is kept elsewhere. `false` if closed or full.
    pub(super) fn push_kept(&self, event: AuditEvent) -> bool {
        let entry = Entry::Kept(Box::new(event));
        let mut state = lock(&self.state);
        if state.closed || state.waiting >= self.capacity {
            return false;
        }
        state.push_waiting(entry);
        self.wake_for_a_batch(state);
        true
    }

    /// Counts events that the writer adds by itself.
    pub(super) fn count_added(&self, events: u64) {
        let counters = &mut lock(&self.state).counters;
        counters.queued = counters.queued.saturating_add(events);
        counters.pending = counters.pending.saturating_add(events);
    }

    pub(super) fn count_observer_panics(&self, panics: u64) {
        let counters = &mut lock(&self.state).counters;
        counters.observer_panics = counters.observer_panics.saturating_add(panics);
    }

    /// Adds an event that somebody waits for; there is always room. `false` if closed.
    pub(super) fn push_durable(&self, event: AuditEvent, answer: Answer) -> bool {
        let entry = Entry::Durable(Box::new(event), answer);
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        state.counters.recorded = state.counters.recorded.saturating_add(1);
        state.counters.pending = state.counters.pending.saturating_add(1);
        state.push_urgent(entry);
        drop(state);
        self.work.notify_one();
        true
    }

    /// Adds a flush, and with `close` takes nothing more after it. `false` if closed.
    pub(super) fn push_flush(&self, answer: Answer, close: bool) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        state.push_urgent(Entry::Flush(answer));
        state.closed = close;
        drop(state);
        self.work.notify_one();
        if close {
            self.room.notify_waiters();
        }
        true
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Closes, and gives up what is left: there is no writer any more.
    pub(super) fn abandon(&self) {
        let left = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.give_up();
            std::mem::take(&mut state.entries)
        };
        // Dropped outside the lock: callers that wait for an answer wake up.
        drop(left);
        self.room.notify_waiters();
    }

    pub(super) fn count_dropped(&self) {
        let mut state = lock(&self.state);
        state.counters.dropped = state.counters.dropped.saturating_add(1);
    }

    pub(super) fn count_failed_write(&self) {
        let mut state = lock(&self.state);
        state.counters.failed_writes = state.counters.failed_writes.saturating_add(1);
    }

    pub(super) fn settle(&self, settled: Settled) {
        lock(&self.state).counters.settle(settled);
    }

    pub(super) fn counters(&self) -> AuditCounters {
        lock(&self.state).counters
    }

    /// Says whether there is work, and if not arranges to be woken.
    pub(super) fn readiness(&self) -> Readiness {
        let mut state = lock(&self.state);
        let length = state.entries.len();
        let (readiness, wake_at) = if length == 0 && state.closed {
            (Readiness::Done, AWAKE)
        } else if length >= self.batch || state.urgent > 0 || state.closed {
            (Readiness::Ready, AWAKE)
        } else if length > 0 {
            (Readiness::Gathering, self.batch)
        } else {
            (Readiness::Empty, 1)
        };
        state.wake_at = wake_at;
        readiness
    }

    /// Returns when the writer should look again.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// Takes up to `max` events, or a flush if one comes first. Nothing if the queue is empty.
    pub(super) fn take(&self, max: usize) -> Option<Work> {
        // Allocated before the lock, which the callers of the hot path want too.
        let mut taken = Vec::with_capacity(max.min(self.capacity));
        let flush = lock(&self.state).take(max, &mut taken);
        self.room.notify_waiters();
        match flush {
            Some(answer) => Some(Work::Flush(answer)),
            None if taken.is_empty() => None,
            None => Some(Work::Write(taken)),
        }
    }

    /// Returns what tells of room; it has to be enabled before the queue is tried.
    pub(super) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }
}

impl State {
    fn push_waiting(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        self.waiting = self.waiting.saturating_add(1);
        self.counters.queued = self.counters.queued.saturating_add(1);
        self.counters.pending = self.counters.pending.saturating_add(1);
    }

    fn push_urgent(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        self.urgent = self.urgent.saturating_add(1);
        self.wake_at = AWAKE;
    }

    /// Moves up to `max` events into `taken`, those before the next flush; if that comes first, returns it instead.
    fn take(&mut self, max: usize, taken: &mut Vec<Entry>) -> Option<Answer> {
        self.wake_at = AWAKE;
        while taken.len() < max {
            let flush_later =
                matches!(self.entries.front(), Some(Entry::Flush(_))) && !taken.is_empty();
            if flush_later {
                break;
            }
            match self.entries.pop_front()? {
                Entry::Flush(answer) => {
                    self.urgent = self.urgent.saturating_sub(1);
                    return Some(answer);
                }
                entry @ Entry::Durable(..) => {
                    self.urgent = self.urgent.saturating_sub(1);
                    taken.push(entry);
                }
                entry @ (Entry::Queued(_) | Entry::Kept(_)) => {
                    self.waiting = self.waiting.saturating_sub(1);
                    taken.push(entry);
                }
            }
        }
        None
    }

    /// Counts what nobody will write: also what the writer held when it ended.
    fn give_up(&mut self) {
        let durable = |entry: &&Entry| matches!(entry, Entry::Durable(..));
        let failed = self.entries.iter().filter(durable).count();
        let failed = u64::try_from(failed).unwrap_or(u64::MAX);
        let lost = self.counters.pending.saturating_sub(failed);
        self.counters.settle(Settled {
            lost,
            failed,
            ..Settled::default()
        });
        (self.waiting, self.urgent) = (0, 0);
    }
}

impl AuditCounters {
    const fn settle(&mut self, settled: Settled) {
        let Settled {
            written,
            lost,
            failed,
        } = settled;
        self.written = self.written.saturating_add(written);
        self.lost = self.lost.saturating_add(lost);
        self.failed = self.failed.saturating_add(failed);
        let all = written.saturating_add(lost).saturating_add(failed);
        self.pending = self.pending.saturating_sub(all);
    }
}

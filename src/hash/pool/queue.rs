use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use super::job::{Ending, Job, guarded};
use super::{HashPoolStats, Lane, Overloaded};
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// What the threads and the callers share.
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    threads: usize,
    room: usize,
    hash_time: Duration,
}

/// A job that found no room, and what to tell its caller.
pub(super) struct Refused {
    pub(super) overloaded: Overloaded,
    pub(super) job: Box<dyn Job>,
}

#[derive(Default)]
struct State {
    trusted: VecDeque<Box<dyn Job>>,
    doubtful: VecDeque<Box<dyn Job>>,
    /// Trusted jobs taken since the last doubtful one, counted up to [`TRUSTED_IN_A_ROW`].
    in_a_row: u8,
    running: usize,
    stopped: bool,
    done: u64,
    panicked: u64,
    shed: u64,
    skipped: u64,
}

/// While both lanes have work, three trusted jobs run for each doubtful one.
const TRUSTED_IN_A_ROW: u8 = 3;

impl Queue {
    pub(super) fn new(threads: usize, room: usize, hash_time: Duration) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            threads,
            room,
            hash_time,
        }
    }

    pub(super) fn push(&self, lane: Lane, job: Box<dyn Job>) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        // Dropped jobs may run code of their caller: only after the lock is gone.
        let mut abandoned = VecDeque::new();
        if !self.has_room(&state, lane) {
            abandoned = state.take_abandoned(lane);
        }
        if state.stopped || !self.has_room(&state, lane) {
            state.shed += 1;
            let overloaded = self.overloaded(&state, lane);
            drop(state);
            drop(abandoned);
            return Err(Refused { overloaded, job });
        }
        state.lane(lane).push_back(job);
        drop(state);
        drop(abandoned);
        self.filled.notify_one();
        Ok(())
    }

    /// An idle thread is room, too, unless the other lane's jobs are about to take it.
    fn has_room(&self, state: &State, lane: Lane) -> bool {
        let (trusted, doubtful) = (state.trusted.len(), state.doubtful.len());
        let (waiting, others) = match lane {
            Lane::Doubtful => (doubtful, trusted),
            Lane::Trusted => (trusted, doubtful),
        };
        let idle = self.threads.saturating_sub(state.running);
        waiting < self.room.saturating_add(idle.saturating_sub(others))
    }

    /// Counts and returns a refusal that has another reason than the queue's length.
    pub(super) fn refusal(&self) -> Overloaded {
        let mut state = lock(&self.state);
        state.shed += 1;
        Overloaded {
            retry_after: self.hash_time.max(LEAST_WAIT),
        }
    }

    fn overloaded(&self, state: &State, lane: Lane) -> Overloaded {
        let ahead = match lane {
            Lane::Doubtful => state.doubtful.len() + state.trusted.len(),
            Lane::Trusted => state.trusted.len(),
        };
        let turns = (ahead + state.running).div_ceil(self.threads.max(1)).max(1);
        let wait = self
            .hash_time
            .saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        Overloaded {
            retry_after: wait.max(LEAST_WAIT),
        }
    }

    /// Turns away everything that waits and lets the threads end.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        let waiting = (
            std::mem::take(&mut state.trusted),
            std::mem::take(&mut state.doubtful),
        );
        drop(state);
        drop(waiting);
        self.filled.notify_all();
    }

    /// A thread's life.
    pub(super) fn work(&self) {
        while let Some(job) = self.next() {
            let counted = Cell::new(false);
            let end = |ending| {
                counted.set(true);
                self.ended(ending);
            };
            // What a caller's types do on drop, clone or wake must not cost the pool a thread.
            let _ = guarded(|| job.run(&end));
            if !counted.get() {
                self.ended(Ending::Panicked);
            }
        }
    }

    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.take() {
                state.running += 1;
                return Some(job);
            }
            if state.stopped {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.filled
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, ending: Ending) {
        let mut state = lock(&self.state);
        state.running -= 1;
        match ending {
            Ending::Done => state.done += 1,
            Ending::Panicked => state.panicked += 1,
            Ending::Skipped => state.skipped += 1,
        }
    }

    pub(super) fn stats(&self) -> HashPoolStats {
        let state = lock(&self.state);
        HashPoolStats {
            done: state.done,
            panicked: state.panicked,
            queued_doubtful: state.doubtful.len(),
            queued_trusted: state.trusted.len(),
            running: state.running,
            shed: state.shed,
            skipped: state.skipped,
            threads: self.threads,
        }
    }
}

/// `Retry-After` counts whole seconds.
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl State {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Box<dyn Job>> {
        match lane {
            Lane::Doubtful => &mut self.doubtful,
            Lane::Trusted => &mut self.trusted,
        }
    }

    fn take(&mut self) -> Option<Box<dyn Job>> {
        let doubtful_turn = self.in_a_row >= TRUSTED_IN_A_ROW && !self.doubtful.is_empty();
        if !doubtful_turn && let Some(job) = self.trusted.pop_front() {
            self.in_a_row = (self.in_a_row + 1).min(TRUSTED_IN_A_ROW);
            return Some(job);
        }
        let job = self.doubtful.pop_front()?;
        self.in_a_row = 0;
        Some(job)
    }

    fn take_abandoned(&mut self, lane: Lane) -> VecDeque<Box<dyn Job>> {
        let jobs = std::mem::take(self.lane(lane));
        let (abandoned, kept): (VecDeque<_>, VecDeque<_>) =
            jobs.into_iter().partition(|job| job.is_abandoned());
        *self.lane(lane) = kept;
        self.skipped += u64::try_from(abandoned.len()).unwrap_or(0);
        abandoned
    }
}

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::PoolError;

/// What a worker does with an entry of the queue.
pub(super) trait Job: Send {
    /// Returns whether nobody waits for it any more; from then on it must not run.
    fn is_abandoned(&self) -> bool;

    /// Runs it and hands the answer to whoever waits. Never panics. Dropping a job instead answers "stopped".
    fn run(self: Box<Self>, end: &dyn Fn(Ending));
}

/// How a job ended, told before the answer is handed out so that the counters are never behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Done,
    Panicked,
    Skipped,
}

/// Runs a closure; a panic becomes an error.
pub(super) fn guarded<R>(job: impl FnOnce() -> R) -> Result<R, PoolError> {
    // The closure and all it owns are gone after a panic; nothing half-changed can be seen.
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| PoolError::Panicked)
}

pub(super) const fn ending<R>(answer: &Result<R, PoolError>) -> Ending {
    match answer {
        Ok(_) => Ending::Done,
        Err(_) => Ending::Panicked,
    }
}

/// A job with one caller.
pub(super) struct Alone<R, F> {
    job: F,
    answer: oneshot::Sender<Result<R, PoolError>>,
}

impl<R, F> Alone<R, F> {
    pub(super) fn new(job: F) -> (Self, HashJob<R>) {
        let (answer, waiting) = oneshot::channel();
        (Self { job, answer }, HashJob { waiting })
    }
}

impl<R, F> Job for Alone<R, F>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, end: &dyn Fn(Ending)) {
        if self.is_abandoned() {
            end(Ending::Skipped);
            return;
        }
        let answer = guarded(self.job);
        end(ending(&answer));
        // A caller who left meanwhile needs no answer.
        let _ = self.answer.send(answer);
    }
}

/// The answer of a queued job, to be awaited. Dropping it withdraws the job if that has not begun.
///
/// # Cancel safety
///
/// Polling may stop and go on at any time.
#[must_use = "a job whose answer nobody awaits is skipped"]
pub struct HashJob<R> {
    pub(super) waiting: oneshot::Receiver<Result<R, PoolError>>,
}

impl<R> Future for HashJob<R> {
    type Output = Result<R, PoolError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.waiting)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(PoolError::Stopped)))
    }
}

impl<R> fmt::Debug for HashJob<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashJob(..)")
    }
}

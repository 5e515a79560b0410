/// What became of the events so far, all read at one moment.
///
/// At every moment `queued + recorded` = `written + lost + failed + pending`. In `dropped` and `lost` is what the
/// trail lacks: watch them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuditCounters {
    /// Events taken by [`enqueue`](super::AuditRecorder::enqueue) or
    /// [`enqueue_or_wait`](super::AuditRecorder::enqueue_or_wait), and those that observers had to add.
    pub queued: u64,
    /// Events taken by [`record`](super::AuditRecorder::record).
    pub recorded: u64,
    /// Events not taken because the queue was full or the recorder closed.
    pub dropped: u64,
    /// Events that are in the sink, or were kept elsewhere and shown to the observers.
    pub written: u64,
    /// Queued events given up: the sink failed on every attempt, the closure panicked, or the runtime ended.
    pub lost: u64,
    /// Events of `record` whose caller got an error.
    pub failed: u64,
    /// Calls of the sink that failed, those that were repeated included.
    pub failed_writes: u64,
    /// Events that wait for the writer or are being written.
    pub pending: u64,
    /// Panics of observers.
    pub observer_panics: u64,
}

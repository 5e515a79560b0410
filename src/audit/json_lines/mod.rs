mod chain;
mod files;
mod purge;
mod retention;
mod rotation;
#[cfg(feature = "audit-seal")]
mod seal;
mod tail;
mod trail;
mod verify;

use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use self::chain::Batch;
use self::rotation::Rotation;
use self::trail::Trail;
use super::{AuditError, AuditEvent, AuditSink};

pub use self::chain::LineHash;
pub use self::files::trail_files;
pub use self::purge::{DEFAULT_RETENTION, Purged, purge};
pub use self::retention::TrailFiles;
#[cfg(feature = "audit-seal")]
pub use self::seal::{
    Checkpoint, CheckpointFault, CheckpointSink, DEFAULT_SEAL_INTERVAL, SealCounters, SealError,
    SealKey, SealKeyError, SealReport, SealVerifier, Sealing, VerifierKey, checkpoints_file,
};
pub use self::verify::{ChainError, ChainFault, ChainReport, StartsAfter, verify_chain};

/// Name of the sink in errors.
const NAME: &str = "json_lines";

/// When the file is forced to the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// After every batch.
    Always,
    /// After every batch that holds an operation on a key or on the trail; those survive a power cut. Events of
    /// requests survive the end of the process, and a power cut once the next operation or flush came after them.
    #[default]
    LifeCycle,
    /// Only on [`flush`](AuditSink::flush). Written events survive the end of the process, not a power cut.
    Never,
}

impl SyncPolicy {
    fn applies_to(self, events: &[AuditEvent]) -> bool {
        match self {
            Self::Always => true,
            Self::LifeCycle => events.iter().any(|event| event.kind().is_administrative()),
            Self::Never => false,
        }
    }
}

/// A file with one JSON object a line, appended to.
///
/// * A batch is one write, under an advisory lock on the file, so that lines of several processes never mix. Give
///   each process a file of its own nevertheless: a sequence counts the events of one recorder.
/// * Every line carries the hash of the line before as `prev`, so that [`verify_chain`] finds lines that were changed,
///   removed or put in. The chain goes on after a restart, between several writers, and from file to file. In a file
///   from before there was a chain the first new line names the last old one.
/// * [`rotate_at`](JsonLinesBuilder::rotate_at) and [`rotate_daily`](JsonLinesBuilder::rotate_daily) begin new files;
///   without them there is one.
/// * On Unix a new file is readable by its owner only (0600). The mode of a file that exists is left alone.
/// * A line that a crash, a full disk or a dropped call cut off is moved to a file of the same name with `.torn`
///   appended, before the next line is written: all that is in the file itself can be read.
/// * All file work is done on tokio's threads for blocking work.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditSink, JsonLinesSink};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.jsonl");
/// let sink = JsonLinesSink::open(&path).await?;
/// sink.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH).with_sequence(1)]).await?;
///
/// let again = JsonLinesSink::open(&path).await?;
/// assert_eq!(again.last_sequence().await?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonLinesSink {
    sync: SyncPolicy,
    /// Held until the file work is done, even if its caller is gone.
    trail: Arc<Mutex<Trail>>,
    #[cfg(feature = "audit-seal")]
    seals: Option<seal::SealTask>,
}

/// The settings of a [`JsonLinesSink`].
#[derive(Clone, Debug)]
#[must_use]
pub struct JsonLinesBuilder {
    path: PathBuf,
    sync: SyncPolicy,
    rotation: Rotation,
    #[cfg(feature = "audit-seal")]
    sealing: Option<Arc<Sealing>>,
}

impl JsonLinesBuilder {
    /// Sets when the file is forced to the disk; [`SyncPolicy::LifeCycle`] otherwise.
    pub const fn sync(mut self, sync: SyncPolicy) -> Self {
        self.sync = sync;
        self
    }

    /// Begins a new file before a batch that would make the present one longer than so many bytes; never otherwise.
    ///
    /// The full file is renamed: `audit.jsonl` becomes `audit.jsonl.000001`, the next one `audit.jsonl.000002`, and
    /// so on. A batch is not split, so a file is longer than that only when it holds a single batch. A file that
    /// cannot be renamed is a failed write. All processes that write to one trail should be given the same.
    ///
    /// ```
    /// use std::num::NonZeroU64;
    ///
    /// use keyward::audit::{AuditEvent, AuditKind, AuditSink, JsonLinesSink, trail_files, verify_chain};
    /// use keyward::time::Timestamp;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.jsonl");
    /// let sink = JsonLinesSink::builder(&path).rotate_at(NonZeroU64::MIN).rotate_daily().open().await?;
    /// for sequence in 1..=3 {
    ///     sink.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH).with_sequence(sequence)]).await?;
    /// }
    /// let report = verify_chain(trail_files(&path)?)?;
    /// assert_eq!((report.files, report.lines), (3, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn rotate_at(mut self, bytes: NonZeroU64) -> Self {
        self.rotation.size = Some(bytes);
        self
    }

    /// Begins a new file when the first event of a batch is of a later day (UTC) than the first line of the present
    /// one; never otherwise. Names are those of [`rotate_at`](Self::rotate_at). A batch over midnight is not split,
    /// and a file whose first line came from a clock that ran ahead is kept until that day is over.
    pub const fn rotate_daily(mut self) -> Self {
        self.rotation.daily = true;
        self
    }

    /// Seals the trail: makes signed checkpoints over all its lines, so that [`SealVerifier`] finds a tail that was cut off
    /// and a history that was rewritten. Never otherwise.
    ///
    /// A checkpoint is made whenever a file is full, on [`flush`](AuditSink::flush) and so on the recorder's `shutdown`, and
    /// [after some time](Sealing::every), each time only if there are new lines. It is written to the file that
    /// [`checkpoints_file`] names, after the lines were forced to the disk, and then
    /// [published](Sealing::publish_to). A failure keeps no event from being written: it is
    /// [counted](JsonLinesSink::seal_counters), `flush` returns it, and it is made up for by the next checkpoint. The
    /// runtime needs its timer enabled.
    ///
    /// A new or empty trail begins by itself, with a signed note of no lines. One that has lines and no checkpoint is refused,
    /// unless [told otherwise](Sealing::begin_on_existing_trail).
    ///
    /// All processes that write to one trail should seal it with the same key. A sealed trail must not be emptied or renamed
    /// by other tools: to begin another one, move its files and the checkpoints away together.
    ///
    /// ```
    /// use keyward::audit::{
    ///     AuditEvent, AuditKind, AuditSink, JsonLinesSink, SealKey, SealVerifier, Sealing, checkpoints_file, trail_files,
    /// };
    /// use keyward::random::OsRandom;
    /// use keyward::time::Timestamp;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.jsonl");
    /// let key = SealKey::generate("example.com/audit", &OsRandom::new())?;
    /// let verifier = SealVerifier::new(key.verifier().clone());
    ///
    /// let sink = JsonLinesSink::builder(&path).seal(Sealing::new(key)).open().await?;
    /// sink.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH)]).await?;
    /// sink.flush().await?;
    ///
    /// let report = verifier.verify(trail_files(&path)?, checkpoints_file(&path))?;
    /// assert_eq!((report.sealed, report.unsealed), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "audit-seal")]
    pub fn seal(mut self, sealing: Sealing) -> Self {
        self.sealing = Some(Arc::new(sealing));
        self
    }

    /// Opens the file, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// * [`AuditError::Backend`] or [`AuditError::Unavailable`]: the file cannot be opened, read or mended; or
    ///   rotation is set, and the path is a symbolic link or this is not Unix. Elsewhere a writer cannot see that
    ///   another one renamed the file.
    /// * [`AuditError::Backend`] also for a trail that is sealed and cannot go on from its last checkpoint: the line that
    ///   was sealed last is gone, or the checkpoint is not signed by a known key, or the trail has lines and no checkpoint at
    ///   all. Verify it: somebody changed it. If it was never sealed, see [`Sealing::begin_on_existing_trail`].
    /// * [`AuditError::Unreadable`]: none of the last lines is an event. Probably it is some other file.
    /// * [`AuditError::NoRuntime`]: called outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The file may be made or its end mended when the future is dropped.
    pub async fn open(self) -> Result<JsonLinesSink, AuditError> {
        let (path, rotation) = (self.path, self.rotation);
        let trail = blocking(move || Trail::open(path, rotation)).await??;
        let sink = JsonLinesSink {
            sync: self.sync,
            trail: Arc::new(Mutex::new(trail)),
            #[cfg(feature = "audit-seal")]
            seals: None,
        };
        #[cfg(feature = "audit-seal")]
        if let Some(sealing) = self.sealing {
            return sink.sealed(sealing).await;
        }
        Ok(sink)
    }
}

impl JsonLinesSink {
    /// Returns the settings for a file, to be changed before it is opened.
    pub fn builder(path: impl AsRef<Path>) -> JsonLinesBuilder {
        JsonLinesBuilder {
            path: path.as_ref().to_owned(),
            sync: SyncPolicy::default(),
            rotation: Rotation::default(),
            #[cfg(feature = "audit-seal")]
            sealing: None,
        }
    }

    /// Opens the file with the default settings.
    ///
    /// # Errors
    ///
    /// As [`JsonLinesBuilder::open`].
    pub async fn open(path: impl AsRef<Path> + Send) -> Result<Self, AuditError> {
        Self::builder(path).open().await
    }
}

#[cfg(feature = "audit-seal")]
impl JsonLinesSink {
    /// Returns what became of the checkpoints so far; zeros if the trail is not sealed.
    #[must_use]
    pub fn seal_counters(&self) -> SealCounters {
        let seals = self.seals.as_ref();
        seals
            .map(|seals| seals.outbox.counters())
            .unwrap_or_default()
    }

    async fn sealed(mut self, sealing: Arc<Sealing>) -> Result<Self, AuditError> {
        let outbox = sealing.outbox();
        let every = sealing.interval();
        let theirs = Arc::clone(&outbox);
        let mut trail = Arc::clone(&self.trail).lock_owned().await;
        blocking(move || trail.seal_with(sealing, theirs)).await??;
        self.seals = Some(seal::SealTask::start(&self.trail, outbox, every)?);
        Ok(self)
    }

    /// Seals what was written, and publishes what waits.
    async fn flush_sealed(&self, seals: &seal::SealTask) -> Result<(), AuditError> {
        let mut trail = Arc::clone(&self.trail).lock_owned().await;
        let sealed = blocking(move || trail.seal()).await.flatten();
        let published = seals.outbox.publish().await;
        sealed.and(published.map_err(|error| AuditError::unavailable(NAME, error)))
    }
}

#[async_trait]
impl AuditSink for JsonLinesSink {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        if events.is_empty() {
            return Ok(());
        }
        let batch = Batch::of(events)?;
        let sync = self.sync.applies_to(events);
        let mut trail = Arc::clone(&self.trail).lock_owned().await;
        blocking(move || trail.append(&batch, sync))
            .await?
            .map_err(failed)
    }

    async fn flush(&self) -> Result<(), AuditError> {
        #[cfg(feature = "audit-seal")]
        if let Some(seals) = &self.seals {
            return self.flush_sealed(seals).await;
        }
        let trail = Arc::clone(&self.trail).lock_owned().await;
        blocking(move || trail.sync()).await?.map_err(failed)
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(self.trail.lock().await.last_sequence())
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AuditError> {
    let runtime = Handle::try_current().map_err(|_| AuditError::NoRuntime)?;
    runtime.spawn_blocking(work).await.map_err(|error| {
        if error.is_panic() {
            AuditError::Panicked
        } else {
            AuditError::Closed
        }
    })
}

/// Sorts what the operating system says by whether it may pass.
fn failed(error: io::Error) -> AuditError {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ResourceBusy
        | io::ErrorKind::TimedOut
        | io::ErrorKind::Interrupted => AuditError::unavailable(NAME, error),
        _ => AuditError::backend(NAME, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditKind;
    use crate::time::Timestamp;

    fn events(kinds: &[AuditKind]) -> Vec<AuditEvent> {
        let event = |kind: &AuditKind| AuditEvent::new(*kind, Timestamp::EPOCH);
        kinds.iter().map(event).collect()
    }

    #[test]
    fn syncs_for_operations_and_not_for_requests() {
        let requests = events(&[AuditKind::RequestCompleted, AuditKind::AuthenticationFailed]);
        let mixed = events(&[AuditKind::RequestCompleted, AuditKind::KeyRevoked]);
        let purge = events(&[AuditKind::AuditPurged]);
        let read = events(&[AuditKind::AuditRead]);
        let by_policy =
            |sync: SyncPolicy| [&requests, &mixed, &purge, &read].map(|e| sync.applies_to(e));
        assert_eq!(by_policy(SyncPolicy::Always), [true, true, true, true]);
        assert_eq!(by_policy(SyncPolicy::LifeCycle), [false, true, true, true]);
        assert_eq!(by_policy(SyncPolicy::Never), [false, false, false, false]);
    }
}

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::outbox::Outbox;
use super::{Checkpoint, SealKey, VerifierKey};
use crate::error::BoxError;

/// How often a checkpoint is made while lines are written: every five minutes. It is how much of the newest history somebody
/// who takes the machine over can rewrite without contradicting a checkpoint, and bounds the file to some 90 MB a year.
pub const DEFAULT_SEAL_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Where checkpoints are published: somewhere that whoever can write the trail cannot take them back from.
///
/// A checkpoint proves nothing about the machine it was made on while it stays there. Send it to an object store with
/// retention, another team's log, a transparency witness, or a mailbox.
///
/// # For implementors
///
/// * A checkpoint may come twice, and after a restart the ones between may not come at all; the newest covers everything
///   that the ones before it cover.
/// * An error, a panic or ten seconds without an answer mean that it comes again with the next one. No event waits for it.
///
/// ```
/// use keyward::async_trait;
/// use keyward::audit::{Checkpoint, CheckpointSink};
/// use keyward::error::BoxError;
///
/// /// Prints it, where the platform collects what processes print.
/// #[derive(Debug)]
/// struct Print;
///
/// #[async_trait]
/// impl CheckpointSink for Print {
///     async fn publish(&self, checkpoint: &Checkpoint) -> Result<(), BoxError> {
///         println!("{}", checkpoint.note());
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait CheckpointSink: Debug + Send + Sync + 'static {
    /// Publishes a checkpoint: [`note`](Checkpoint::note) is the text to keep.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being published.
    ///
    /// # Cancel safety
    ///
    /// It may be published when the future is dropped.
    async fn publish(&self, checkpoint: &Checkpoint) -> Result<(), BoxError>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointSink + ?Sized> CheckpointSink for Arc<S> {
    async fn publish(&self, checkpoint: &Checkpoint) -> Result<(), BoxError> {
        (**self).publish(checkpoint).await
    }
}

/// Sinks are chosen at run time.
const _: fn(&dyn CheckpointSink) = |_| {};

/// How a trail is sealed: see [`JsonLinesBuilder::seal`](crate::audit::JsonLinesBuilder::seal).
///
/// ```
/// use std::time::Duration;
///
/// use keyward::audit::{SealKey, Sealing};
/// # let key = SealKey::from_seed("example.com/audit", &[7; 32])?;
/// # let old = SealKey::from_seed("example.com/audit", &[8; 32])?.verifier().clone();
///
/// let sealing = Sealing::new(key).every(Duration::from_secs(60)).after(old);
/// # Ok::<(), keyward::audit::SealKeyError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Sealing {
    pub(super) key: SealKey,
    pub(super) keys: Vec<VerifierKey>,
    pub(super) every: Duration,
    pub(super) sink: Option<Arc<dyn CheckpointSink>>,
    pub(super) existing: ExistingTrail,
}

/// What to do about a trail that has lines and no checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ExistingTrail {
    Refuse,
    Seal,
}

impl Sealing {
    /// Returns the settings for sealing with this key.
    pub fn new(key: SealKey) -> Self {
        Self {
            keys: vec![key.verifier().clone()],
            key,
            every: DEFAULT_SEAL_INTERVAL,
            sink: None,
            existing: ExistingTrail::Refuse,
        }
    }

    /// Sets how long after a checkpoint the next one is made, if there are new lines; [`DEFAULT_SEAL_INTERVAL`] otherwise.
    /// It must not be zero.
    pub const fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// Goes on also from a checkpoint signed by an earlier key of the same name: to change keys, seal with the new one and
    /// name the old one here, until a checkpoint of the new key stands in the file.
    pub fn after(mut self, earlier: VerifierKey) -> Self {
        self.keys.push(earlier);
        self
    }

    /// Sets where checkpoints are published; they are only written beside the trail otherwise.
    pub fn publish_to(mut self, sink: impl CheckpointSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Begins to seal a trail that has lines already and no checkpoint, with one over all of them as they are now. Such a trail
    /// is not opened otherwise: somebody may have changed it and removed its checkpoints. A new or an empty trail needs no word.
    ///
    /// Say it for the first start with sealing, and take it out again: while it is there, a start does not notice that the
    /// checkpoints were removed. [Verify the chain](crate::audit::verify_chain) before.
    ///
    /// ```
    /// use keyward::audit::{AuditEvent, AuditKind, AuditSink, JsonLinesSink, SealKey, Sealing};
    /// use keyward::time::Timestamp;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.jsonl");
    /// # let key = || SealKey::from_seed("example.com/audit", &[7; 32]);
    /// let plain = JsonLinesSink::open(&path).await?;
    /// plain.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH)]).await?;
    ///
    /// let sealed = |sealing| JsonLinesSink::builder(&path).seal(sealing).open();
    /// assert!(sealed(Sealing::new(key()?)).await.is_err());
    /// sealed(Sealing::new(key()?).begin_on_existing_trail()).await?;
    /// sealed(Sealing::new(key()?)).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn begin_on_existing_trail(mut self) -> Self {
        self.existing = ExistingTrail::Seal;
        self
    }

    pub(in super::super) const fn interval(&self) -> Duration {
        self.every
    }

    pub(in super::super) fn outbox(&self) -> Arc<Outbox> {
        Arc::new(Outbox::new(self.sink.clone()))
    }

    pub(super) fn check(&self) -> io::Result<()> {
        let invalid = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.every.is_zero() {
            return invalid("the interval between checkpoints must not be zero");
        }
        let name = self.key.verifier().name();
        if self.keys.iter().any(|key| key.name() != name) {
            return invalid("an earlier key of a trail must have the same name");
        }
        Ok(())
    }
}

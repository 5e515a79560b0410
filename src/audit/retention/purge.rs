use std::fmt;
use std::time::Duration;

use super::{AuditRetention, PurgeError, PurgeReport};
use crate::audit::{
    ActorRef, AuditError, AuditEvent, AuditExporter, AuditKind, AuditRecorder, DEFAULT_RETENTION,
    PLATFORM,
};
use crate::time::Timestamp;

/// 500 events are half a megabyte, and took a table of 100 000 rows 27 ms, the connection included: writers hardly notice.
const DEFAULT_BATCH: usize = 500;
/// What one statement removes at most.
const MAX_BATCH: usize = 10_000;
/// Recorders named in one event: with the other details they stay below the sixteen that an event has room for.
const RECORDERS: usize = 6;

/// How a trail is purged: what is kept, in which steps, and who gets the events before they go.
///
/// ```
/// use std::time::Duration;
/// use keyward::BoxError;
/// use keyward::audit::{
///     ActorRef, AuditEvent, AuditKind, AuditPurge, AuditRecorder, AuditSink, MemorySink,
/// };
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let trail = MemorySink::unbounded();
/// let day = |n: i64| Timestamp::from_secs(n * 86_400);
/// trail.write(&[AuditEvent::new(AuditKind::KeyCreated, day(1)).with_sequence(1)]).await?;
/// let recorder = AuditRecorder::builder(trail.clone()).start()?;
///
/// let mut archive = Vec::new();
/// let mut keep = |events: &[AuditEvent]| -> Result<(), BoxError> {
///     archive.extend_from_slice(events);
///     Ok(())
/// };
/// let purge = AuditPurge::new().older_than(Duration::from_secs(365 * 86_400)).export_to(&mut keep);
/// let report = recorder.purge(&trail, purge, ActorRef::system("nightly"), day(400)).await?;
/// assert_eq!(report.removed.events, 1);
/// assert_eq!(archive.len(), 1);
///
/// // What is left says what happened: the announcement, and the result.
/// let kinds: Vec<_> = trail.events().iter().map(AuditEvent::kind).collect();
/// assert_eq!(kinds, [AuditKind::AuditPurged, AuditKind::AuditPurged]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct AuditPurge<'e> {
    retention: Duration,
    batch: usize,
    exporter: Option<&'e mut dyn AuditExporter>,
}

impl AuditPurge<'_> {
    /// Returns a purge of what is older than [`DEFAULT_RETENTION`], without an export.
    pub const fn new() -> Self {
        Self {
            retention: DEFAULT_RETENTION,
            batch: DEFAULT_BATCH,
            exporter: None,
        }
    }

    /// Sets how long events are kept; [`DEFAULT_RETENTION`] otherwise.
    pub const fn older_than(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how many events are removed in one step, 1 to 10 000; 500 otherwise. Of a trail in files each file is a step.
    pub fn batch_size(mut self, events: usize) -> Self {
        self.batch = events.clamp(1, MAX_BATCH);
        self
    }

    /// Hands the events of each step to `exporter` before they are removed. What it does not take stays, and the purge ends
    /// there. It may get an event twice: when the process ends after the export and before the removal.
    pub fn export_to(self, exporter: &mut dyn AuditExporter) -> AuditPurge<'_> {
        AuditPurge {
            retention: self.retention,
            batch: self.batch,
            exporter: Some(exporter),
        }
    }

    /// Announces, removes, and writes down the result. `event` says who and when.
    ///
    /// The announcement is in the trail before anything is gone, so that whoever finds less than there was finds the
    /// reason too, also when the process ends in the middle.
    pub(crate) async fn run(
        mut self,
        trail: &dyn AuditRetention,
        recorder: &AuditRecorder,
        event: AuditEvent,
    ) -> Result<PurgeReport, PurgeError> {
        let before = event.time().saturating_sub(self.retention);
        let mut report = PurgeReport::new(before);
        if !trail.is_due(before).await? {
            return Ok(report);
        }
        let event = event.with_detail("before", before.to_string());
        let announcement = event.clone().with_detail("phase", "announced");
        let announced = recorder.record(announcement).await;
        announced.map_err(PurgeError::Announce)?;
        let outcome = self.remove(trail, &mut report).await;
        let concluded = conclude(recorder, event, &outcome, &report).await;
        outcome?;
        concluded.map_err(PurgeError::Conclude)?;
        Ok(report)
    }

    async fn remove(
        &mut self,
        trail: &dyn AuditRetention,
        report: &mut PurgeReport,
    ) -> Result<(), PurgeError> {
        loop {
            let exporter: Option<&mut dyn AuditExporter> = match &mut self.exporter {
                Some(exporter) => Some(&mut **exporter),
                None => None,
            };
            let part = trail.remove_part(report.before, self.batch, exporter);
            match part.await? {
                Some(part) => report.add(part),
                None => return Ok(()),
            }
        }
    }
}

/// The same as [`AuditPurge::new`].
impl Default for AuditPurge<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AuditPurge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditPurge")
            .field("retention", &self.retention)
            .field("batch", &self.batch)
            .field("exports", &self.exporter.is_some())
            .finish()
    }
}

impl AuditRecorder {
    /// Removes what is old from a trail, and writes down who did it and what is gone: an `audit_purged` event before the
    /// first removal, and one with the result after the last. If there is nothing old, nothing is written.
    ///
    /// The trail is usually the sink of this recorder, but it need not be: the role of a database that serves requests had
    /// better not be allowed to remove events. With a [`KeyService`](crate::service::KeyService), call its
    /// [`purge_audit`](crate::service::KeyService::purge_audit), which looks at who asks.
    ///
    /// # Errors
    ///
    /// [`PurgeError`]. Parts removed before it are gone, and the result in the trail says which.
    ///
    /// # Cancel safety
    ///
    /// Parts may be gone when the future is dropped. Then the trail has the announcement and no result; a later call goes
    /// on.
    pub async fn purge(
        &self,
        trail: &dyn AuditRetention,
        purge: AuditPurge<'_>,
        actor: ActorRef,
        now: Timestamp,
    ) -> Result<PurgeReport, PurgeError> {
        let (name, value) = PLATFORM;
        let event = AuditEvent::new(AuditKind::AuditPurged, now)
            .with_actor(actor)
            .with_detail(name, value);
        purge.run(trail, self, event).await
    }
}

/// Writes down what was removed. Recorders that one event has no room for come in further ones.
async fn conclude(
    recorder: &AuditRecorder,
    event: AuditEvent,
    outcome: &Result<(), PurgeError>,
    report: &PurgeReport,
) -> Result<(), AuditError> {
    let event = match outcome {
        Ok(()) => event,
        Err(error) => event.with_failure(error.code()),
    };
    let sequences: Vec<_> = report.removed.last_sequences.iter().collect();
    let mut chunks = sequences.chunks(RECORDERS);
    let result = event.clone().with_detail("phase", "done");
    let result = with_counts(result, report);
    let first = chunks.next().unwrap_or_default();
    recorder.record(with_recorders(result, first)).await?;
    for chunk in chunks {
        let more = event.clone().with_detail("phase", "recorders");
        recorder.record(with_recorders(more, chunk)).await?;
    }
    Ok(())
}

fn with_counts(event: AuditEvent, report: &PurgeReport) -> AuditEvent {
    let removed = &report.removed;
    let mut event = event.with_detail("events", removed.events);
    if let Some(position) = removed.last_position {
        event = event.with_detail("up_to_position", position);
    }
    if let Some(name) = removed.files.last().and_then(|file| file.file_name()) {
        let files = u64::try_from(removed.files.len()).unwrap_or(u64::MAX);
        event = event
            .with_detail("files", files)
            .with_detail("last_file", name.to_string_lossy().into_owned());
    }
    if removed.torn_bytes > 0 {
        event = event.with_detail("torn_bytes", removed.torn_bytes);
    }
    event
}

fn with_recorders(event: AuditEvent, recorders: &[(&String, &u64)]) -> AuditEvent {
    let numbered = recorders.iter().zip(1..);
    numbered.fold(event, |event, ((recorder, sequence), n)| {
        event.with_detail(format!("recorder_{n}"), format!("{recorder} {sequence}"))
    })
}

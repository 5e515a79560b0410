//! The one way a stored record is changed: read, decide, audit, compare-and-swap, and again if another was faster. Where the
//! store keeps the trail as well, audit and compare-and-swap are one step.

use std::sync::Arc;
use std::time::Duration;

use super::trail::Told;
use super::{Actor, KeyService, LifecycleError};
use crate::audit::{AuditError, AuditKind};
use crate::key::{KeyId, KeyRecord, Revision};
use crate::store::{AuditedError, StoreError};
use crate::time::Timestamp;

/// Each lost race means that somebody else's change succeeded, so this many losses in a row need as many winners.
const ATTEMPTS: usize = 64;
/// How long a revocation waits for its audit event: several times as long as the recorder tries a dead sink.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What an operation wants of the record it was shown.
pub(super) enum Decision {
    /// Store this instead, and write down these details.
    Change(Box<KeyRecord>, Vec<(&'static str, String)>),
    /// The record is as wanted already.
    Nothing,
}

/// What is done when the audit trail cannot be written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum WithoutAudit {
    /// Nothing changes.
    Refuse,
    /// The change is made all the same, and the caller is told.
    Proceed,
}

/// Who changes what, and how it is written down.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) actor: &'a Actor,
    pub(super) id: &'a KeyId,
    pub(super) kind: AuditKind,
    pub(super) without_audit: WithoutAudit,
    /// How long it waits for its event if it is made without it as well.
    pub(super) patience: Duration,
}

impl<'a> Change<'a> {
    pub(super) const fn new(actor: &'a Actor, id: &'a KeyId, kind: AuditKind) -> Self {
        Self {
            actor,
            id,
            kind,
            without_audit: WithoutAudit::Refuse,
            patience: PATIENCE,
        }
    }

    const fn told(
        self,
        record: &'a KeyRecord,
        now: Timestamp,
        details: &'a [(&'static str, String)],
    ) -> Told<'a> {
        Told {
            kind: self.kind,
            actor: self.actor,
            record,
            now,
            details,
        }
    }
}

/// A change that was made, or found made.
pub(super) struct Changed {
    pub(super) record: Arc<KeyRecord>,
    /// Whether this operation made it.
    pub(super) stored: bool,
    /// Why its audit event is missing, if it is.
    pub(super) unaudited: Option<AuditError>,
}

impl Changed {
    fn audited(done: Done) -> Self {
        Self {
            record: done.record,
            stored: done.stored,
            unaudited: None,
        }
    }
}

/// The record as it is now, and whether this operation made it so.
struct Done {
    record: Arc<KeyRecord>,
    stored: bool,
}

/// Decides what becomes of a record, asked by an actor, at a moment.
pub(super) trait Decide:
    Fn(&Actor, &KeyRecord, Timestamp) -> Result<Decision, LifecycleError> + Send + Sync
{
}

impl<F> Decide for F where
    F: Fn(&Actor, &KeyRecord, Timestamp) -> Result<Decision, LifecycleError> + Send + Sync
{
}

/// Whether the event of a change stands in the trail.
pub(super) enum Trail {
    Unwritten,
    /// It was written first; the change may not have been made.
    Written(Arc<KeyRecord>),
    /// Change and event were tried as one step, and neither was made.
    Tried(Arc<KeyRecord>),
    Missing(AuditError),
}

impl KeyService {
    /// Reads a record the actor may know of.
    pub(super) async fn visible(
        &self,
        actor: &Actor,
        id: &KeyId,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        let record = self
            .inner
            .store
            .find(id)
            .await?
            .ok_or(LifecycleError::NotFound)?;
        if actor.sees(&self.inner.policy, &record) {
            Ok(record)
        } else {
            Err(LifecycleError::NotFound)
        }
    }

    /// Changes a record as `decide` says.
    ///
    /// The event is written once, before the first attempt to store, or with the attempt that succeeds; when a race is lost,
    /// `decide` is asked again about the record that won. If the operation fails after its event was written, a second
    /// event says so.
    pub(super) async fn change(
        &self,
        change: Change<'_>,
        decide: impl Decide,
    ) -> Result<Changed, LifecycleError> {
        let now = self.inner.clock.now();
        let mut trail = Trail::Unwritten;
        let outcome = self.attempt(change, &decide, now, &mut trail).await;
        if let Err(error) = &outcome {
            self.report_if_outage("change", error);
        }
        match (outcome, trail) {
            (Ok(done), Trail::Missing(error)) => {
                self.report_outage("audit", &error);
                Ok(Changed {
                    unaudited: Some(error),
                    ..Changed::audited(done)
                })
            }
            (Ok(done), Trail::Written(announced)) => {
                if !done.stored {
                    let error = LifecycleError::Contended;
                    let told = change.told(&announced, now, &[]);
                    self.tell_failure(told, &error).await;
                }
                Ok(Changed::audited(done))
            }
            (Ok(done), Trail::Unwritten | Trail::Tried(_)) => Ok(Changed::audited(done)),
            (Err(error), Trail::Written(meant) | Trail::Tried(meant)) => {
                self.tell_failure(change.told(&meant, now, &[]), &error)
                    .await;
                Err(error)
            }
            (Err(error), Trail::Unwritten | Trail::Missing(_)) => {
                self.note_refusal(change.kind, change.actor, Some(change.id), Some(&error));
                Err(error)
            }
        }
    }

    async fn attempt(
        &self,
        change: Change<'_>,
        decide: &impl Decide,
        now: Timestamp,
        trail: &mut Trail,
    ) -> Result<Done, LifecycleError> {
        for _ in 0..ATTEMPTS {
            let actor = self.admit(change.actor).await?;
            let record = self.visible(&actor, change.id).await?;
            let (mut next, details) = match decide(&actor, &record, now)? {
                Decision::Nothing => {
                    return Ok(Done {
                        record,
                        stored: false,
                    });
                }
                Decision::Change(next, details) => (next, details),
            };
            let told = change.told(&next, now, &details);
            match self.store_change(change, told, trail).await {
                Ok(revision) => {
                    next.revision = revision;
                    return Ok(Done {
                        record: Arc::from(next),
                        stored: true,
                    });
                }
                Err(AuditedError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LifecycleError::Contended)
    }

    async fn store_change(
        &self,
        change: Change<'_>,
        told: Told<'_>,
        trail: &mut Trail,
    ) -> Result<Revision, AuditedError> {
        if let Some(store) = &self.inner.together {
            return self.change_together(store, change, told, trail).await;
        }
        if matches!(trail, Trail::Unwritten) {
            *trail = self.announce(change, told).await?;
        }
        Ok(self.inner.store.update(told.record).await?)
    }

    async fn announce(&self, change: Change<'_>, told: Told<'_>) -> Result<Trail, AuditError> {
        let record = self.inner.trail.record(told);
        let written = match change.without_audit {
            WithoutAudit::Refuse => record.await,
            // A trail that hangs is one that cannot be written.
            WithoutAudit::Proceed => tokio::time::timeout(change.patience, record)
                .await
                .unwrap_or_else(|_| Err(AuditError::unavailable("recorder", "no answer in time"))),
        };
        match written {
            Ok(()) => Ok(Trail::Written(Arc::new(told.record.clone()))),
            Err(error) if change.without_audit == WithoutAudit::Proceed => {
                Ok(Trail::Missing(error))
            }
            Err(error) => Err(error),
        }
    }
}

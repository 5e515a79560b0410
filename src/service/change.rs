//! The one way a stored record is changed: read, decide, audit, compare-and-swap, and again if another was faster.

use std::sync::Arc;

use super::{Actor, KeyService, LifecycleError};
use crate::audit::{AuditError, AuditKind};
use crate::key::{KeyId, KeyRecord};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Each lost race means that somebody else's change succeeded, so this many losses in a row need as many winners.
const ATTEMPTS: usize = 64;

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
}

impl<'a> Change<'a> {
    pub(super) const fn new(actor: &'a Actor, id: &'a KeyId, kind: AuditKind) -> Self {
        Self {
            actor,
            id,
            kind,
            without_audit: WithoutAudit::Refuse,
        }
    }
}

/// A change that was made, or found made.
pub(super) struct Changed {
    pub(super) record: Arc<KeyRecord>,
    /// Why its audit event is missing, if it is.
    pub(super) unaudited: Option<AuditError>,
}

/// Whether the event of a change stands in the trail.
enum Trail {
    Unwritten,
    Written(Arc<KeyRecord>),
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
    /// The event is written once, before the first attempt to store; when a race is lost, `decide` is asked again about
    /// the record that won. If the operation fails after its event was written, a second event says so.
    pub(super) async fn change(
        &self,
        change: Change<'_>,
        decide: impl Fn(&KeyRecord, Timestamp) -> Result<Decision, LifecycleError> + Send + Sync,
    ) -> Result<Changed, LifecycleError> {
        change
            .actor
            .may_manage(&self.inner.policy, &self.inner.settings.manage)?;
        let now = self.inner.clock.now();
        let mut trail = Trail::Unwritten;
        let outcome = self.attempt(change, &decide, now, &mut trail).await;
        match (outcome, trail) {
            (Ok(record), Trail::Missing(error)) => Ok(Changed {
                record,
                unaudited: Some(error),
            }),
            (Ok(record), Trail::Unwritten | Trail::Written(_)) => Ok(Changed {
                record,
                unaudited: None,
            }),
            (Err(error), Trail::Written(record)) => {
                self.inner
                    .trail
                    .record_failure(change.kind, change.actor, &record, now, &error)
                    .await;
                Err(error)
            }
            (Err(error), Trail::Unwritten | Trail::Missing(_)) => Err(error),
        }
    }

    async fn attempt(
        &self,
        change: Change<'_>,
        decide: &(impl Fn(&KeyRecord, Timestamp) -> Result<Decision, LifecycleError> + Send + Sync),
        now: Timestamp,
        trail: &mut Trail,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        for _ in 0..ATTEMPTS {
            let record = self.visible(change.actor, change.id).await?;
            let (mut next, details) = match decide(&record, now)? {
                Decision::Nothing => return Ok(record),
                Decision::Change(next, details) => (next, details),
            };
            if matches!(trail, Trail::Unwritten) {
                *trail = self.announce(change, &next, now, &details).await?;
            }
            match self.inner.store.update(&next).await {
                Ok(revision) => {
                    next.revision = revision;
                    return Ok(Arc::from(next));
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LifecycleError::Contended)
    }

    async fn announce(
        &self,
        change: Change<'_>,
        next: &KeyRecord,
        now: Timestamp,
        details: &[(&'static str, String)],
    ) -> Result<Trail, LifecycleError> {
        match self
            .inner
            .trail
            .record(change.kind, change.actor, next, now, details)
            .await
        {
            Ok(()) => Ok(Trail::Written(Arc::new(next.clone()))),
            Err(error) if change.without_audit == WithoutAudit::Proceed => {
                Ok(Trail::Missing(error))
            }
            Err(error) => Err(LifecycleError::Audit(error)),
        }
    }
}

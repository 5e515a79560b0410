//! Changes whose event is a part of them: one step in the store, both or neither.

use super::change::{Change, Trail, WithoutAudit};
use super::records::{Ready, ReadyNew};
use super::trail::Told;
use super::{KeyService, LifecycleError};
use crate::audit::{AuditError, AuditEvent, EventId};
use crate::key::Revision;
use crate::store::{AuditedError, StoreError};

impl KeyService {
    /// Returns the event, under the id that it will have in the trail.
    fn event_of(&self, told: Told<'_>) -> Result<AuditEvent, AuditError> {
        let mut random = [0; EventId::RANDOM_BYTES];
        self.inner.random.fill(&mut random)?;
        Ok(told.event().with_id(EventId::new(told.now, &random)))
    }

    pub(super) async fn insert_together(
        &self,
        new: &ReadyNew,
        told: Told<'_>,
    ) -> Result<(), AuditedError> {
        let (service, new, event) = (self.clone(), new.clone(), self.event_of(told)?);
        self.to_the_end(async move {
            let records = &service.inner.records;
            records.insert_with_event(&new, &event).await?;
            service.recorder().observe(event);
            Ok(())
        })
        .await
    }

    pub(super) async fn delete_together(&self, told: Told<'_>) -> Result<(), AuditedError> {
        let event = self.event_of(told)?;
        let records = &self.inner.records;
        records.delete_with_event(told.record, &event).await?;
        self.recorder().observe(event);
        Ok(())
    }

    async fn update_together(
        &self,
        ready: &Ready,
        told: Told<'_>,
    ) -> Result<Revision, AuditedError> {
        let event = self.event_of(told)?;
        let records = &self.inner.records;
        let revision = records.update_with_event(ready, &event).await?;
        self.recorder().observe(event);
        Ok(revision)
    }

    /// As [`Self::update_together`], and carried to its end when the caller is gone.
    async fn update_to_the_end(
        &self,
        ready: &Ready,
        told: Told<'_>,
    ) -> Result<Revision, AuditedError> {
        let (service, ready, event) = (self.clone(), ready.clone(), self.event_of(told)?);
        self.to_the_end(async move {
            let records = &service.inner.records;
            let revision = records.update_with_event(&ready, &event).await?;
            service.recorder().observe(event);
            Ok(revision)
        })
        .await
    }

    /// SECURITY: whoever hangs up between the commit and its answer would have the change, and keep it from the observers.
    async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, AuditedError>> + Send + 'static,
    ) -> Result<T, AuditedError> {
        let changed = self.inner.runtime.spawn(change).await;
        changed.unwrap_or_else(|error| Err(StoreError::unavailable("audited", error).into()))
    }

    /// Changes a record and tells of it, or, where the change must not wait for the trail, only changes it.
    pub(super) async fn change_together(
        &self,
        change: Change<'_>,
        told: Told<'_>,
        ready: &Ready,
        trail: &mut Trail,
    ) -> Result<Revision, AuditedError> {
        if matches!(trail, Trail::Missing(_)) {
            return self.change_first(told, ready).await;
        }
        let made = match change.without_audit {
            WithoutAudit::Refuse => self.update_to_the_end(ready, told).await,
            WithoutAudit::Proceed => {
                tokio::time::timeout(change.patience, self.update_together(ready, told))
                    .await
                    .unwrap_or_else(|_| {
                        Err(AuditError::unavailable("store", "no answer in time").into())
                    })
            }
        };
        match made {
            Err(AuditedError::Audit(error)) if change.without_audit == WithoutAudit::Proceed => {
                *trail = Trail::Missing(error);
                self.change_first(told, ready).await
            }
            Err(error) => {
                *trail = Trail::Tried(told.record.clone().into());
                Err(error)
            }
            Ok(revision) => Ok(revision),
        }
    }

    /// Changes a record, and leaves the event to the queue: it is in the trail a little later, if that recovers soon.
    async fn change_first(&self, told: Told<'_>, ready: &Ready) -> Result<Revision, AuditedError> {
        let revision = self.inner.records.update(ready).await?;
        // What the queue cannot take it counts, and the caller is told that the event is missing in any case.
        let _ = self.recorder().enqueue(told.event());
        Ok(revision)
    }

    /// Writes that an operation failed.
    ///
    /// Where its event stands in the trail already, this one must as well. Where it does not, nothing happened of which the
    /// trail says otherwise: the answer does not wait, and a trail that is out of order is not asked.
    pub(super) async fn tell_failure(&self, told: Told<'_>, error: &LifecycleError) {
        if !self.inner.records.keep_the_trail() {
            self.inner.trail.record_failure(told, error).await;
        } else if !matches!(error, LifecycleError::Audit(_)) {
            self.inner.trail.note_failure(told, error).await;
        }
    }
}

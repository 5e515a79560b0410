//! Purging the audit trail: only by who answers for all of it.

use super::actor::View;
use super::{Actor, KeyService, LifecycleError};
use crate::audit::{AuditEvent, AuditKind, AuditPurge, AuditRetention, PLATFORM, PurgeReport};

impl KeyService {
    /// Removes what is old from a trail, after it was exported if an exporter is set, and writes down by whom and what: one
    /// `audit_purged` event before the first removal and one with the result. If there is nothing old, nothing is written.
    ///
    /// `trail` is the sink, or the files, of this service; on PostgreSQL better a sink whose role may remove events, which
    /// the role that serves requests should not. A key that is bound to a tenant, or to none, may not: the trail is
    /// everybody's.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::ActorEnded`], [`LifecycleError::NotPermitted`].
    /// * [`LifecycleError::ExceedsActor`]: the acting key does not reach all tenants.
    /// * [`LifecycleError::AuditPurge`]: the purge did not come to its end.
    /// * [`LifecycleError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// As [`AuditRecorder::purge`](crate::audit::AuditRecorder::purge).
    ///
    /// ```
    /// use std::time::Duration;
    /// use keyward::audit::{AuditPurge, MemorySink};
    /// use keyward::service::{Actor, KeyService};
    /// use keyward::store::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let trail = MemorySink::unbounded();
    /// let service = KeyService::builder(MemoryStore::new()).audit(trail.clone()).build()?;
    ///
    /// let a_year = Duration::from_secs(365 * 24 * 60 * 60);
    /// let nightly = Actor::system("nightly")?;
    /// let report = service.purge_audit(&nightly, &trail, AuditPurge::new().older_than(a_year)).await?;
    /// assert_eq!(report.removed.events, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn purge_audit(
        &self,
        actor: &Actor,
        trail: &dyn AuditRetention,
        purge: AuditPurge<'_>,
    ) -> Result<PurgeReport, LifecycleError> {
        let admitted = self.admit(actor).await;
        let admitted = admitted.and_then(|actor| self.may_purge(actor));
        self.note_refusal(AuditKind::AuditPurged, actor, None, admitted.as_ref().err());
        let event = self.trail_event(AuditKind::AuditPurged, &admitted?);
        let purged = purge.run(trail, self.recorder(), event).await;
        purged.map_err(|error| {
            self.report_outage("audit", &error);
            LifecycleError::AuditPurge(error)
        })
    }

    fn may_purge(&self, actor: Actor) -> Result<Actor, LifecycleError> {
        match actor.view(&self.inner.policy) {
            View::Everything => Ok(actor),
            View::Tenant(_) | View::Unbound | View::Nothing => {
                Err(LifecycleError::ExceedsActor { what: "purge" })
            }
        }
    }

    /// Returns an event about the trail itself. Of who sees everything it is marked as the platform's: it tells of other
    /// tenants, by what was asked for.
    pub(super) fn trail_event(&self, kind: AuditKind, actor: &Actor) -> AuditEvent {
        let event = AuditEvent::new(kind, self.inner.clock.now());
        let event = match actor.verified_key() {
            Some(key) => {
                let generation = u64::from(key.generation().number());
                key.write(event).with_detail("actor_generation", generation)
            }
            None => event.with_actor(actor.audit_reference()),
        };
        match actor.view(&self.inner.policy) {
            View::Everything => event.with_detail(PLATFORM.0, PLATFORM.1),
            View::Tenant(_) | View::Unbound | View::Nothing => event,
        }
    }
}

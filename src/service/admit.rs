//! Who may perform a life-cycle operation at all.

use super::{Actor, KeyService, LifecycleError};
use crate::audit::AuditKind;
use crate::key::{Environment, KeyId, KeyKind, KeyStatus};

impl KeyService {
    /// Returns the actor as the store knows it now.
    ///
    /// SECURITY: between the verification of an acting key and its operation lies whatever the application did, and
    /// in `issue` and `rotate` a slow hash. A key that was revoked meanwhile must not leave a new key behind.
    pub(super) async fn admit(&self, actor: &Actor) -> Result<Actor, LifecycleError> {
        let Some(own) = actor.verified_key() else {
            return Ok(actor.clone());
        };
        let records = &self.inner.records;
        let found = records.find(&own.id()).await?;
        let found = found.ok_or(LifecycleError::ActorEnded)?;
        let basis = records.vouch(found).map_err(|it| it.of(own.id()))?;
        let record = basis.into_record();
        let now = self.inner.clock.now();
        let used = record.credential(own.generation());
        let is_live = used.is_some_and(|it| it.is_live(now))
            && self.judge_age(&record, own.generation(), now).is_ok();
        if record.status(now) != KeyStatus::Active || !is_live {
            return Err(LifecycleError::ActorEnded);
        }
        // SECURITY: whatever its record and the policy say it may do.
        if record.kind == KeyKind::Publishable {
            return Err(LifecycleError::PublishableActor);
        }
        let actor = actor.refreshed(record);
        actor.may_manage(&self.inner.policy, &self.inner.settings.manage)?;
        Ok(actor)
    }

    /// A key that reaches for more than it may, or anybody who does not keep a rule, is worth a line in the trail.
    pub(super) fn note_refusal(
        &self,
        kind: AuditKind,
        actor: &Actor,
        target: Option<&KeyId>,
        error: Option<&LifecycleError>,
    ) {
        let Some(error) = error.filter(|error| error.is_refusal()) else {
            return;
        };
        let (trail, now) = (&self.inner.trail, self.inner.clock.now());
        match error.broken_record() {
            Some(key) => trail.broken_record(kind, actor, key, error.code(), now),
            None => trail.management_refused(kind, actor, target.copied(), error.code(), now),
        }
    }

    /// A key of another environment, style or kind would get a secret that this service itself refuses.
    pub(super) fn check_own_format(
        &self,
        id: &KeyId,
        environment: &Environment,
        kind: KeyKind,
    ) -> Result<(), LifecycleError> {
        if !self.inner.format.accepts(id.style()) {
            return Err(LifecycleError::invalid(
                "id",
                "has a style that the service does not accept",
            ));
        }
        if !self.inner.format.accepts_kind(kind) {
            return Err(LifecycleError::invalid(
                "kind",
                "is not one that the service accepts",
            ));
        }
        if *environment != self.inner.format.environment() {
            return Err(LifecycleError::invalid(
                "environment",
                "is not the service's own",
            ));
        }
        Ok(())
    }
}

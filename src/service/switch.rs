use std::sync::Arc;
use std::time::Duration;

use super::actor::Reach;
use super::change::{Change, Changed, Decision, PATIENCE, WhenBroken, WithoutAudit};
use super::{Actor, KeyService, LifecycleError, validate};
use crate::audit::{AuditError, AuditKind};
use crate::key::{KeyId, KeyRecord, KeyStatus, Revocation};
use crate::second_factor::FactorOperation;

/// A revocation that took effect.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Revoked {
    /// The record as it is now.
    pub record: Arc<KeyRecord>,
    /// Why the audit trail has no event of it, if so. The key is revoked all the same: write it down elsewhere.
    pub unaudited: Option<AuditError>,
}

impl KeyService {
    /// Ends a key for good, both its secrets, from the moment the call returns, in every process.
    ///
    /// Revoking a revoked key changes nothing and succeeds with the first revocation. If the audit trail cannot be
    /// written, or does not answer for five seconds, the revocation still takes effect, and [`Revoked::unaudited`] says
    /// why its event is missing. A record that was edited behind the service's back can be revoked; it stays broken, so that
    /// taking the revocation out again makes no valid key of it.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::Invalid`]: no reason, or one above 1024 bytes;
    /// * [`LifecycleError::NotFound`], [`LifecycleError::NotPermitted`]: the actor may not;
    /// * [`LifecycleError::Contended`], [`LifecycleError::Unavailable`]: the key may still be live, try again.
    pub async fn revoke(
        &self,
        actor: &Actor,
        id: &KeyId,
        reason: &str,
    ) -> Result<Revoked, LifecycleError> {
        validate::text("reason", reason, 1, validate::LONG_TEXT)?;
        let changed = self.end_key(actor, id, reason, PATIENCE).await?;
        Ok(Revoked {
            record: changed.record,
            unaudited: changed.unaudited,
        })
    }

    /// Revokes a key for a reason that was looked at, and waits so long for its event.
    pub(super) async fn end_key(
        &self,
        actor: &Actor,
        id: &KeyId,
        reason: &str,
        patience: Duration,
    ) -> Result<Changed, LifecycleError> {
        let change = Change {
            without_audit: WithoutAudit::Proceed,
            patience,
            when_broken: WhenBroken::End,
            ..Change::new(actor, id, AuditKind::KeyRevoked)
        };
        let changed = self
            .change(change, |actor, record, now| {
                if record.revocation.is_some() {
                    return Ok(Decision::Nothing);
                }
                let mut next = record.clone();
                next.revocation = Some(Revocation::new(
                    now,
                    actor.reference().clone(),
                    reason.to_owned(),
                ));
                Ok(Decision::Change(
                    Box::new(next),
                    vec![("reason", reason.to_owned())],
                ))
            })
            .await?;
        self.inner.proofs.forget(id.as_str());
        Ok(changed)
    }

    /// Switches a key off until it is switched on again. One that is off stays off.
    ///
    /// # Errors
    ///
    /// As [`KeyService::update`]; [`LifecycleError::WrongState`] for a revoked key.
    pub async fn disable(
        &self,
        actor: &Actor,
        id: &KeyId,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        self.switch(actor, id, true).await
    }

    /// Switches a key on again. One that is on stays on. A key that acts cannot switch itself on.
    ///
    /// # Errors
    ///
    /// As [`KeyService::update`]; [`LifecycleError::WrongState`] for a revoked key. All
    /// [issuing rules](super::IssuePolicy) hold for the key as it is, but for the number of active keys, which is counted at
    /// issue alone, and what holds for publishable ones.
    pub async fn enable(
        &self,
        actor: &Actor,
        id: &KeyId,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        self.switch(actor, id, false).await
    }

    fn check_record(&self, record: &KeyRecord) -> Result<(), LifecycleError> {
        let rules = self.rules_for(&record.subject());
        self.inner.policy.check_publishable(&record.subject())?;
        rules.check_justification(record.justification.as_deref())?;
        rules.check_networks(record.networks.as_ref())?;
        rules.check_lifetime(record.created_at, record.expires_at)?;
        Ok(())
    }

    async fn switch(
        &self,
        actor: &Actor,
        id: &KeyId,
        off: bool,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        let kind = if off {
            AuditKind::KeyDisabled
        } else {
            AuditKind::KeyEnabled
        };
        let operation = FactorOperation::new(kind).on(*id);
        let needs_factor = |actor: &Actor, record: &KeyRecord, _| {
            let wakes = !off && record.disabled && record.revocation.is_none();
            Ok(wakes && self.needs_factor(actor, &record.subject()))
        };
        let cleared = self.clear_change(actor, id, kind, needs_factor).await?;
        let Changed { record, .. } = self
            .change(Change::new(actor, id, kind), |actor, record, now| {
                if record.revocation.is_some() {
                    return Err(LifecycleError::WrongState {
                        state: KeyStatus::Revoked,
                    });
                }
                if record.disabled == off {
                    return Ok(Decision::Nothing);
                }
                // Switching off needs no ceiling; switching on hands out what the key can do.
                if !off {
                    actor.check_other(record)?;
                    actor.encloses(&self.inner.policy, &self.inner.limits, &Reach::of(record))?;
                    self.check_record(record)?;
                    let is_needed = needs_factor(actor, record, now)?;
                    self.check_cleared(&cleared, actor, operation, is_needed)?;
                }
                let mut next = record.clone();
                next.disabled = off;
                Ok(Decision::Change(Box::new(next), cleared.details()))
            })
            .await?;
        Ok(record)
    }
}

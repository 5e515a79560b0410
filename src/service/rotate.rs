use std::sync::Arc;
use std::time::Duration;

use super::actor::Reach;
use super::change::{Change, Decision};
use super::{Actor, IssuedKey, KeyService, LifecycleError, validate};
use crate::audit::AuditKind;
use crate::key::{Credential, CredentialEnd, KeyId, KeyRecord};
use crate::second_factor::FactorOperation;
use crate::time::Timestamp;

/// When the old secret ends.
///
/// Never later than the key itself. Rotating again during a grace ends the older of the two old secrets at once: a key
/// has at most two live ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rotation {
    /// With the call, in every process and whatever its clock says. For a secret that may have leaked.
    AtOnce,
    /// After a grace; 24 hours ([`Rotation::USUAL_GRACE`]) are usual.
    Grace(Duration),
    /// When the new one is first used, and after that time at the latest: the client can try the new one before the
    /// old one goes. Once a use of the new one was accepted, in whichever process, no use of the old one is that begins
    /// after it, unless the old one could not be ended just then ([`ServiceCounters`](super::ServiceCounters) tells).
    UntilFirstUse(Duration),
}

impl Rotation {
    /// A day: every deployment that reads its keys at start-up has had a chance to restart.
    pub const USUAL_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

    fn end(self, now: Timestamp, key_ends: Option<Timestamp>) -> CredentialEnd {
        let capped = |wait| {
            let end = now.saturating_add(wait);
            key_ends.map_or(end, |key_ends| end.min(key_ends))
        };
        match self {
            Self::AtOnce => CredentialEnd::ENDED,
            Self::Grace(wait) => CredentialEnd::At(capped(wait)),
            Self::UntilFirstUse(latest) => CredentialEnd::OnSuccessorUse(capped(latest)),
        }
    }

    const fn wait(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::Grace(wait) | Self::UntilFirstUse(wait) => wait,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Grace(_) => "grace",
            Self::UntilFirstUse(_) => "until_first_use",
        }
    }
}

impl KeyService {
    /// Gives a key a new secret. Id, settings, limits and history stay.
    ///
    /// A secret that was seen where others can read it ends no later for being rotated out, and the new one does not inherit
    /// its end. Once such a secret has ended its key cannot rotate itself any more; whoever else manages it can.
    ///
    /// Of several rotations that run at the same time one succeeds; the others get [`LifecycleError::Contended`], so a
    /// retried rotation cannot leave two successors.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::NotFound`], [`LifecycleError::NotPermitted`], [`LifecycleError::BeyondActor`],
    ///   [`LifecycleError::ExceedsActor`]: the actor may not;
    /// * [`LifecycleError::ActorEnded`]: the acting key has ended. One that is too old by the [`RotationPolicy`](super::RotationPolicy)
    ///   has: it must rotate itself in time;
    /// * [`LifecycleError::Rule`], [`LifecycleError::SecondFactor`]: the key is one that needs a second factor to be
    ///   issued, and so does a new secret of it, unless the key rotates itself;
    /// * [`LifecycleError::WrongState`]: a revoked or expired key cannot be revived;
    /// * [`LifecycleError::Invalid`]: a wait of more than a year; or the key belongs to another environment than this service, or has a style or kind that its
    ///   format does not accept: what would be made of it, it would refuse;
    /// * [`LifecycleError::Contended`]: it was rotated meanwhile;
    /// * [`LifecycleError::Audit`], [`LifecycleError::Overloaded`], [`LifecycleError::Unavailable`]: out of order.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave a rotated key whose new plaintext nobody has: rotate it again.
    pub async fn rotate(
        &self,
        actor: &Actor,
        id: &KeyId,
        rotation: Rotation,
    ) -> Result<IssuedKey, LifecycleError> {
        validate::grace(rotation.wait())?;
        let before = self.rotatable(actor, id).await?;
        let operation = FactorOperation::new(AuditKind::KeyRotated).on(*id);
        let is_needed = self.rotation_needs_factor(actor, &before);
        let cleared = self.clear(actor, operation, is_needed).await?;
        let format = &self.inner.format;
        let generated = format.generate_kind_for(before.kind, *id, &*self.inner.random);
        let generated = generated.map_err(LifecycleError::unavailable)?;
        let fresh = self
            .new_credential(&generated, self.inner.clock.now())
            .await?;
        let changed = self
            .change(
                Change::new(actor, id, AuditKind::KeyRotated),
                |actor, record, now| {
                    if record.current.generation != before.current.generation {
                        return Err(LifecycleError::Contended);
                    }
                    check_rotatable(record, now)?;
                    actor.check_successor(record)?;
                    actor.encloses(&self.inner.policy, &self.inner.limits, &Reach::of(record))?;
                    let is_needed = self.rotation_needs_factor(actor, record);
                    self.check_cleared(&cleared, actor, operation, is_needed)?;
                    let next = rotated(record, &fresh, rotation, now);
                    let mut details = vec![("rotation", rotation.name().to_owned())];
                    details.extend(cleared.details());
                    let ends = next.previous.as_ref().and_then(|old| old.end.deadline());
                    if let Some(ends) = ends.filter(|_| rotation != Rotation::AtOnce) {
                        details.push(("previous_ends_at", ends.to_string()));
                    }
                    Ok(Decision::Change(Box::new(next), details))
                },
            )
            .await?;
        let hint = generated.hint();
        Ok(IssuedKey::new(
            generated.into_plaintext(),
            hint,
            changed.record,
        ))
    }

    /// What can be refused is refused before the slow hash of a new secret is paid.
    async fn rotatable(&self, actor: &Actor, id: &KeyId) -> Result<Arc<KeyRecord>, LifecycleError> {
        let check = async {
            let actor = self.admit(actor).await?;
            let record = self.vouched(&actor, id).await?.into_record();
            check_rotatable(&record, self.inner.clock.now())?;
            actor.check_successor(&record)?;
            self.check_own_format(id, &record.environment, record.kind)?;
            actor.encloses(&self.inner.policy, &self.inner.limits, &Reach::of(&record))?;
            if self.rotation_needs_factor(&actor, &record) {
                self.check_askable(&actor)?;
            }
            Ok(record)
        };
        let outcome = check.await;
        self.note_refusal(
            AuditKind::KeyRotated,
            actor,
            Some(id),
            outcome.as_ref().err(),
        );
        outcome
    }

    /// Whoever rotates another's key holds what it can do afterwards, as if they had issued it. A key that rotates
    /// itself gets nothing that it has not, and must be able to do so at night.
    fn rotation_needs_factor(&self, actor: &Actor, record: &KeyRecord) -> bool {
        let is_itself = actor
            .verified_key()
            .is_some_and(|own| own.id() == record.id);
        !is_itself && self.needs_factor(actor, &record.subject())
    }
}

fn check_rotatable(record: &KeyRecord, now: Timestamp) -> Result<(), LifecycleError> {
    match record.over_as(now) {
        Some(state) => Err(LifecycleError::WrongState { state }),
        None => Ok(()),
    }
}

fn rotated(
    record: &KeyRecord,
    fresh: &Credential,
    rotation: Rotation,
    now: Timestamp,
) -> KeyRecord {
    let mut next = record.clone();
    let mut old = record.current.clone();
    // A deadline that the old secret had already, because it was exposed, is not extended by the rotation.
    let known = old.end.deadline().unwrap_or(Timestamp::MAX);
    old.end = match rotation.end(now, record.expires_at) {
        CredentialEnd::At(at) => CredentialEnd::At(at.min(known)),
        CredentialEnd::OnSuccessorUse(at) => CredentialEnd::OnSuccessorUse(at.min(known)),
        CredentialEnd::WithKey => old.end,
    };
    next.current = fresh.clone();
    next.current.generation = record.current.generation.next();
    next.previous = Some(old);
    // A mark that was made while the new secret was hashed, or by a clock ahead, is the old one's.
    let before = just_before(next.current.created_at);
    next.exposed_at = record.exposed_at.map(|at| at.min(before));
    next
}

fn just_before(moment: Timestamp) -> Timestamp {
    moment.saturating_sub(Duration::from_micros(1))
}

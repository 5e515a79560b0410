//! The second factor within an operation: asked once, for this actor and this operation, and good for nothing else.

use std::time::Duration;

use super::rules::{IssueRule, IssueRules};
use super::{Actor, KeyService, LifecycleError};
use crate::access::Subject;
use crate::audit::AuditKind;
use crate::key::{ActorRef, KeyId, KeyRecord};
use crate::second_factor::{FactorAttempt, FactorMethod, FactorOperation};
use crate::time::Timestamp;

/// How long a proof holds. Between it and the change lie a place in the queue of the slow hash, the hash, and a write
/// of the audit trail: seconds.
const LIFE: Duration = Duration::from_secs(60);

/// That an operation may be carried out as far as a second factor goes.
///
/// Only [`KeyService::clear`] makes one, nothing copies one, and it is good for one actor and one operation.
#[derive(Debug)]
pub(super) struct Clearance {
    actor: ActorRef,
    operation: FactorOperation,
    proof: Option<Proof>,
}

#[derive(Debug)]
struct Proof {
    method: FactorMethod,
    at: Timestamp,
}

impl Clearance {
    fn proves(&self, actor: &Actor, operation: FactorOperation, now: Timestamp) -> bool {
        let is_fresh = |proof: &Proof| now < proof.at.saturating_add(LIFE);
        self.actor == *actor.reference()
            && self.operation == operation
            && self.proof.as_ref().is_some_and(is_fresh)
    }

    /// What the operation's own event says of it.
    pub(super) fn details(&self) -> Vec<(&'static str, String)> {
        let proof = self.proof.as_ref();
        proof
            .map(|proof| ("second_factor", proof.method.to_string()))
            .into_iter()
            .collect()
    }
}

impl KeyService {
    /// The issuing rules for a key that can do that.
    pub(super) fn rules_for(&self, subject: &Subject<'_>) -> IssueRules {
        let (access, manage) = (&self.inner.policy, &self.inner.settings.manage);
        self.inner.rules.rules_for(access, manage, subject)
    }

    /// Whether the actor must prove a second factor to hand out a key like this. The application itself has none.
    pub(super) fn needs_factor(&self, actor: &Actor, subject: &Subject<'_>) -> bool {
        !actor.is_system() && self.rules_for(subject).demands_second_factor()
    }

    /// Refuses before a code is looked at when there is none, or nobody to look at it.
    pub(super) fn check_askable(&self, actor: &Actor) -> Result<(), LifecycleError> {
        if self.inner.second_factor.is_none() {
            return Err(IssueRule::NoSecondFactor.into());
        }
        match actor.code() {
            Some(_) => Ok(()),
            None => Err(IssueRule::SecondFactor.into()),
        }
    }

    /// Spends the actor's code if it is needed.
    pub(super) async fn clear(
        &self,
        actor: &Actor,
        operation: FactorOperation,
        is_needed: bool,
    ) -> Result<Clearance, LifecycleError> {
        let proof = if is_needed {
            Some(self.prove_factor(actor, operation).await?)
        } else {
            None
        };
        Ok(Clearance {
            actor: actor.reference().clone(),
            operation,
            proof,
        })
    }

    async fn prove_factor(
        &self,
        actor: &Actor,
        operation: FactorOperation,
    ) -> Result<Proof, LifecycleError> {
        let (Some(factor), Some(code)) = (&self.inner.second_factor, actor.code()) else {
            return self
                .check_askable(actor)
                .and(Err(IssueRule::SecondFactor.into()));
        };
        let attempt = FactorAttempt::new(actor.reference(), operation, code);
        let outcome = factor.verify(&attempt).await;
        let now = self.inner.clock.now();
        match outcome {
            Ok(method) => Ok(Proof { method, at: now }),
            Err(error) => {
                let event = self
                    .inner
                    .trail
                    .factor_failed(actor, operation, error.code(), now);
                event.await;
                let error = LifecycleError::from(error);
                self.report_if_outage("second_factor", &error);
                Err(error)
            }
        }
    }

    /// Asks for the factor before a record is changed, if the change that `needs_factor` describes needs it.
    ///
    /// Without a code there is nothing to spend: the change itself then finds out whether one is needed.
    pub(super) async fn clear_change(
        &self,
        actor: &Actor,
        id: &KeyId,
        kind: AuditKind,
        needs_factor: impl Fn(&Actor, &KeyRecord, Timestamp) -> Result<bool, LifecycleError>
        + Send
        + Sync,
    ) -> Result<Clearance, LifecycleError> {
        let operation = FactorOperation::new(kind).on(*id);
        if actor.code().is_none() {
            return self.clear(actor, operation, false).await;
        }
        let look = async {
            let admitted = self.admit(actor).await?;
            let basis = self.vouched(&admitted, id).await?;
            let needed = needs_factor(&admitted, basis.record(), self.inner.clock.now())?;
            if needed {
                self.check_askable(actor)?;
            }
            Ok(needed)
        };
        let needed: Result<bool, LifecycleError> = look.await;
        self.note_refusal(kind, actor, Some(id), needed.as_ref().err());
        self.clear(actor, operation, needed?).await
    }

    /// Refuses a change that needs a proof which was not given for it.
    pub(super) fn check_cleared(
        &self,
        cleared: &Clearance,
        actor: &Actor,
        operation: FactorOperation,
        is_needed: bool,
    ) -> Result<(), LifecycleError> {
        if !is_needed || cleared.proves(actor, operation, self.inner.clock.now()) {
            return Ok(());
        }
        // Without a code it says what is missing. With one it was spent for another state of the record.
        self.check_askable(actor)?;
        Err(IssueRule::SecondFactor.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn ana() -> Actor {
        Actor::user("ana").unwrap()
    }

    fn update_of(id: &str) -> FactorOperation {
        FactorOperation::new(AuditKind::KeyUpdated).on(id.parse().unwrap())
    }

    fn proved() -> Clearance {
        Clearance {
            actor: ana().reference().clone(),
            operation: update_of("0aZ9bY8cX7dW"),
            proof: Some(Proof {
                method: FactorMethod::TOTP,
                at: NOW,
            }),
        }
    }

    #[test]
    fn a_proof_is_of_one_actor_one_operation_and_one_key() {
        let operation = update_of("0aZ9bY8cX7dW");
        assert!(proved().proves(&ana(), operation, NOW));
        let bob = Actor::user("bob").unwrap();
        assert!(!proved().proves(&bob, operation, NOW));
        assert!(!proved().proves(&ana(), update_of("0aZ9bY8cX7dX"), NOW));
        let rotation =
            FactorOperation::new(AuditKind::KeyRotated).on("0aZ9bY8cX7dW".parse().unwrap());
        assert!(!proved().proves(&ana(), rotation, NOW));
        assert!(!proved().proves(&ana(), FactorOperation::new(AuditKind::KeyUpdated), NOW));
    }

    #[test]
    fn a_proof_lapses_after_a_minute() {
        let operation = update_of("0aZ9bY8cX7dW");
        let last = NOW.saturating_add(LIFE - Duration::from_micros(1));
        assert!(proved().proves(&ana(), operation, last));
        assert!(!proved().proves(&ana(), operation, NOW.saturating_add(LIFE)));
    }

    #[test]
    fn without_a_proof_nothing_is_proved() {
        let without = Clearance {
            proof: None,
            ..proved()
        };
        assert!(!without.proves(&ana(), update_of("0aZ9bY8cX7dW"), NOW));
        assert!(without.details().is_empty());
    }
}

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::proof::{Sighting, Spent};
use super::{LeakFindings, LeakOutcome, LeakedTokens};
use crate::audit::{AuditError, AuditKind};
use crate::key::{Generation, KeyId, KeyRecord, KeyStatus, Revocation};
use crate::service::change::{Change, Decision, IMPATIENCE, PATIENCE, WhenBroken, WithoutAudit};
use crate::service::{Actor, KeyService, LifecycleError, VerifiedKey};
use crate::time::Timestamp;

/// Why such a key was revoked, in its record and in the trail.
const REASON: &str = "leaked";

impl KeyService {
    /// Revokes the keys whose live secrets are among strings that were found where no key should be.
    ///
    /// Each string's secret is proved as in a verification; one that is live, be it the current one or one that is being
    /// rotated out, ends its key at once: `key_exposed` and `key_revoked` (`leaked`) in the trail, and
    /// [`exposed_at`](KeyRecord::exposed_at) in the record. A key that is switched off is revoked as well, since it could be
    /// switched on again. Everything else, publishable keys among it, changes nothing and is counted in one event of the report.
    ///
    /// Slow hashes run one at a time and behind those of requests, so a report may take as many times 0.3 s as it holds
    /// live secrets that this process has not seen. Neither the address nor the key is charged for wrong secrets: nobody
    /// is to be held up because of what others report.
    ///
    /// ```
    /// # use keyward::access::Grant;
    /// # use keyward::service::{Actor, IssueKey, KeyService, LeakedTokens};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).build()?;
    /// # let admin = Actor::system("example")?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", Grant::try_scopes(["send_email".parse()?])?);
    /// # let issued = service.issue(&admin, request).await?;
    /// # let found_in_a_repository = issued.key().expose().to_owned();
    /// let tokens = LeakedTokens::new([found_in_a_repository, "no key".into()])?;
    /// let answer = tokens.receipt(); // all that whoever reported may learn
    /// let findings = service.report_leaked(&admin, tokens).await?;
    /// assert_eq!(findings.revoked().count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LifecycleError::ActorEnded`], [`LifecycleError::NotPermitted`], [`LifecycleError::Unavailable`]: the actor may not, or
    /// that is not known. What goes wrong with one string does not stop the others:
    /// [`LeakFindings::is_incomplete`] tells whether to report again, which does no harm.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the keys may be revoked, and the event of the report is missing.
    pub async fn report_leaked(
        &self,
        actor: &Actor,
        tokens: LeakedTokens,
    ) -> Result<LeakFindings, LifecycleError> {
        let admitted = self.admit(actor).await;
        let refused = admitted.as_ref().err();
        self.note_refusal(AuditKind::KeyRevoked, actor, None, refused);
        let admitted = admitted?;
        let mut findings = LeakFindings {
            outcomes: Vec::with_capacity(tokens.0.len()),
            unaudited: Vec::new(),
        };
        let (mut known, mut spent) = (HashMap::new(), Spent::default());
        for token in self.own_last(actor, &tokens) {
            let outcome = match known.get(token.as_str()) {
                Some(outcome) => *outcome,
                None => {
                    self.end_leaked(&admitted, token, &mut spent, &mut findings)
                        .await
                }
            };
            known.insert(token.as_str(), outcome);
        }
        let outcomes = tokens.0.iter().filter_map(|it| known.get(it.as_str()));
        findings.outcomes.extend(outcomes.copied());
        self.write_down(&admitted, &mut findings).await;
        Ok(findings)
    }

    /// A key that reports itself among others ends with its own revocation: that comes last.
    fn own_last<'t>(
        &self,
        actor: &Actor,
        tokens: &'t LeakedTokens,
    ) -> impl Iterator<Item = &'t Zeroizing<String>> + use<'t> {
        let own = actor.verified_key().map(VerifiedKey::id);
        let is_own = |token: &Zeroizing<String>| {
            let parsed = self.inner.format.parse(token.as_bytes());
            own.is_some() && parsed.ok().map(|it| it.id()) == own
        };
        let (own, others): (Vec<_>, Vec<_>) = tokens.0.iter().partition(|it| is_own(it));
        others.into_iter().chain(own)
    }

    async fn end_leaked(
        &self,
        actor: &Actor,
        token: &str,
        spent: &mut Spent,
        findings: &mut LeakFindings,
    ) -> LeakOutcome {
        let Ok(parsed) = self.inner.format.parse(token.as_bytes()) else {
            return LeakOutcome::Malformed;
        };
        let id = parsed.id();
        match self.recognise(actor, &parsed, spent).await {
            Sighting::Ended => LeakOutcome::Ended(id),
            Sighting::WrongSecret => LeakOutcome::WrongSecret(id),
            Sighting::Publishable => LeakOutcome::Publishable(id),
            Sighting::UnknownKey => LeakOutcome::Unknown,
            Sighting::Unanswered => LeakOutcome::Unanswered,
            Sighting::Live(generation) => {
                let ended = self.revoke_leaked(actor, &id, generation, findings).await;
                ended.unwrap_or_else(|error| match error {
                    LifecycleError::NotFound => LeakOutcome::Unknown,
                    _ => LeakOutcome::Unanswered,
                })
            }
        }
    }

    /// Ends the key, unless that secret of it has ended since it was proved.
    async fn revoke_leaked(
        &self,
        actor: &Actor,
        id: &KeyId,
        generation: Generation,
        findings: &mut LeakFindings,
    ) -> Result<LeakOutcome, LifecycleError> {
        let record = self.visible(actor, id).await?.into_shown();
        let exposed =
            self.inner
                .trail
                .exposed(actor, &record, "leak_report", self.inner.clock.now());
        let patience = findings.patience();
        findings
            .unaudited
            .extend(in_time(exposed, patience).await.err());
        let change = Change {
            without_audit: WithoutAudit::Proceed,
            when_broken: WhenBroken::End,
            patience: findings.patience(),
            ..Change::new(actor, id, AuditKind::KeyRevoked)
        };
        let changed = self
            .change(change, |actor, record, now| {
                if !is_live(record, generation, now) {
                    return Ok(Decision::Nothing);
                }
                let mut next = record.clone();
                let by = actor.reference().clone();
                next.revocation = Some(Revocation::new(now, by, REASON.to_owned()));
                next.exposed_at = Some(exposed_at(record, now));
                let details = vec![("reason", REASON.to_owned())];
                Ok(Decision::Change(Box::new(next), details))
            })
            .await?;
        self.inner.proofs.forget(id.as_str());
        findings.unaudited.extend(changed.unaudited);
        Ok(match changed.record.revocation {
            Some(_) => LeakOutcome::Revoked(*id),
            None => LeakOutcome::Ended(*id),
        })
    }

    async fn write_down(&self, actor: &Actor, findings: &mut LeakFindings) {
        let counts = findings.counts().collect::<Vec<_>>();
        let now = self.inner.clock.now();
        let view = actor.view(&self.inner.policy);
        let (kind, trail) = (AuditKind::KeyExposed, &self.inner.trail);
        let told = trail.total(kind, "leak_report", actor, view, &counts, now);
        let written = in_time(told, findings.patience()).await;
        if let Err(error) = written {
            self.report_outage("audit", &error);
            findings.unaudited.push(error);
        }
    }
}

impl LeakFindings {
    /// How long the next event may take: nobody waits long for a trail that has failed in this report already.
    const fn patience(&self) -> Duration {
        if self.unaudited.is_empty() {
            PATIENCE
        } else {
            IMPATIENCE
        }
    }
}

/// A trail that hangs is one that cannot be written: it must not keep a leaked key alive.
pub(super) async fn in_time(
    write: impl Future<Output = Result<(), AuditError>>,
    patience: Duration,
) -> Result<(), AuditError> {
    let late = |_| AuditError::unavailable("recorder", "no answer in time");
    timeout(patience, write).await.map_err(late)?
}

/// Whether a secret could open something, now or once its key is switched on again.
pub(super) fn is_live(record: &KeyRecord, generation: Generation, now: Timestamp) -> bool {
    matches!(record.status(now), KeyStatus::Active | KeyStatus::Disabled)
        && record
            .credential(generation)
            .is_some_and(|credential| credential.is_live(now))
}

/// Not before the secret was made, whatever this process's clock says: the exposure is of this secret.
pub(super) fn exposed_at(record: &KeyRecord, now: Timestamp) -> Timestamp {
    match record.exposed_at {
        Some(first) if record.is_exposed() => first,
        Some(_) | None => now.max(record.current.created_at),
    }
}

//! What the policy makes of a secret that was seen, and proved.

use std::time::Duration;

use super::report::{exposed_at, in_time, is_live};
use super::{ExposureAction, ExposurePolicy};
use crate::audit::AuditKind;
use crate::key::{Credential, CredentialEnd, Generation, KeyId, KeyRecord, Revocation};
use crate::service::change::{
    Change, Changed, Decision, IMPATIENCE, PATIENCE, WhenBroken, WithoutAudit,
};
use crate::service::trail::Told;
use crate::service::{KeyService, LifecycleError};
use crate::time::Timestamp;

/// Why such a key was revoked, in its record and in the trail.
const REASON: &str = "exposed";

/// A secret that was proved, and where it was seen.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) key: KeyId,
    pub(super) generation: Generation,
    pub(super) place: &'static str,
}

/// When a secret ends that was seen.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    AsItWas,
    After(Duration),
    AtOnce,
}

impl KeyService {
    /// Returns what became of the key; nothing if that secret of it has ended since it was proved.
    pub(super) async fn follow_policy(
        &self,
        seen: Seen,
    ) -> Result<Option<ExposureAction>, LifecycleError> {
        match self.inner.settings.exposure {
            ExposurePolicy::Report => self.write_down_seen(seen).await,
            ExposurePolicy::Flag => self.mark(seen, End::AsItWas).await,
            ExposurePolicy::Grace(wait) => self.mark(seen, End::After(wait)).await,
            ExposurePolicy::Revoke => match self.revoke_seen(seen).await? {
                Some(revoked) => Ok(Some(revoked)),
                None => self.mark(seen, End::AtOnce).await,
            },
        }
    }

    async fn write_down_seen(&self, seen: Seen) -> Result<Option<ExposureAction>, LifecycleError> {
        let itself = &self.inner.itself;
        let vouched = self.vouched(itself, &seen.key).await;
        let refused = vouched.as_ref().err();
        self.note_refusal(AuditKind::KeyExposed, itself, Some(&seen.key), refused);
        let record = vouched?.into_record();
        if !is_live(&record, seen.generation, self.inner.clock.now()) {
            return Ok(None);
        }
        let action = ExposureAction::Reported;
        self.tell_once(seen, &record, action).await?;
        Ok(Some(action))
    }

    /// Marks the key as exposed, and has the secret that was seen end if it is to.
    async fn mark(&self, seen: Seen, end: End) -> Result<Option<ExposureAction>, LifecycleError> {
        let change = Change {
            // A secret that ends at once ends as by a revocation, and a dead trail does not keep it alive.
            without_audit: match end {
                End::AtOnce => WithoutAudit::Proceed,
                End::AsItWas | End::After(_) => WithoutAudit::Refuse,
            },
            ..Change::new(&self.inner.itself, &seen.key, AuditKind::KeyExposed)
        };
        let changed = self.change(change, |_, record, now| {
            if !is_live(record, seen.generation, now) {
                return Ok(Decision::Nothing);
            }
            let next = marked(record, seen.generation, end, now);
            match action_of(&next, seen.generation, end) {
                Some(action) if next != *record => {
                    Ok(Decision::Change(Box::new(next), details(seen, action)))
                }
                Some(_) | None => Ok(Decision::Nothing),
            }
        });
        let Changed { record, made, .. } = changed.await?;
        let is_over = !is_live(&record, seen.generation, self.inner.clock.now());
        if is_over && end != End::AtOnce {
            return Ok(None);
        }
        let action = action_of(&record, seen.generation, end);
        match action {
            Some(_) if made => self.inner.sightings.note(seen.key, seen.generation),
            Some(action) if !is_over && may_be_of_the_other(&record, seen.generation) => {
                self.tell_once(seen, &record, action).await?;
            }
            Some(_) | None => {}
        }
        Ok(action)
    }

    /// Revokes the key, if the secret that was seen is its current one.
    async fn revoke_seen(&self, seen: Seen) -> Result<Option<ExposureAction>, LifecycleError> {
        let change = Change {
            without_audit: WithoutAudit::Proceed,
            when_broken: WhenBroken::End,
            ..Change::new(&self.inner.itself, &seen.key, AuditKind::KeyRevoked)
        };
        let changed = self.change(change, |actor, record, now| {
            let is_current = record.current.generation == seen.generation;
            if !is_current || !is_live(record, seen.generation, now) {
                return Ok(Decision::Nothing);
            }
            let mut next = record.clone();
            let by = actor.reference().clone();
            next.revocation = Some(Revocation::new(now, by, REASON.to_owned()));
            next.exposed_at = Some(exposed_at(record, now));
            let details = vec![
                ("reason", REASON.to_owned()),
                ("place", seen.place.to_owned()),
            ];
            Ok(Decision::Change(Box::new(next), details))
        });
        let changed = changed.await?;
        if changed.record.revocation.is_none() {
            return Ok(None);
        }
        self.inner.proofs.forget(seen.key.as_str());
        let action = ExposureAction::Revoked;
        if changed.made {
            // The key is dead whether or not this can be written.
            let patience = changed.unaudited.map_or(PATIENCE, |_| IMPATIENCE);
            drop(self.tell_of(seen, &changed.record, action, patience).await);
        }
        Ok(Some(action))
    }

    /// As [`Self::tell_of`], once a secret and process.
    async fn tell_once(
        &self,
        seen: Seen,
        record: &KeyRecord,
        action: ExposureAction,
    ) -> Result<(), LifecycleError> {
        if !self.inner.sightings.is_news(seen.key, seen.generation) {
            return Ok(());
        }
        let written = self.tell_of(seen, record, action, PATIENCE).await;
        if written.is_err() {
            self.inner.sightings.forget(seen.key, seen.generation);
        }
        written
    }

    /// Writes durably that the secret was seen, where no change of the record says so.
    async fn tell_of(
        &self,
        seen: Seen,
        record: &KeyRecord,
        action: ExposureAction,
        patience: Duration,
    ) -> Result<(), LifecycleError> {
        let told = Told {
            kind: AuditKind::KeyExposed,
            actor: &self.inner.itself,
            record,
            now: self.inner.clock.now(),
            details: &details(seen, action),
        };
        let written = in_time(self.inner.trail.record(told), patience).await;
        written.map_err(|error| {
            self.report_outage("audit", &error);
            LifecycleError::Audit(error)
        })
    }
}

fn details(seen: Seen, action: ExposureAction) -> Vec<(&'static str, String)> {
    let mut details = vec![
        ("place", seen.place.to_owned()),
        ("secret", "proved".to_owned()),
        ("action", action.code().to_owned()),
    ];
    details.extend(action.ends_at().map(|at| ("ends_at", at.to_string())));
    details
}

fn marked(record: &KeyRecord, generation: Generation, end: End, now: Timestamp) -> KeyRecord {
    let mut next = record.clone();
    next.exposed_at = Some(exposed_at(record, now));
    let mut held = std::iter::once(&mut next.current).chain(next.previous.as_mut());
    if let Some(seen) = held.find(|credential| credential.generation == generation) {
        seen.end = match end {
            End::AsItWas => seen.end,
            End::After(wait) => shortened(seen.end, now.saturating_add(wait), record.expires_at),
            End::AtOnce => CredentialEnd::ENDED,
        };
    }
    next
}

/// Whether it may have been the other secret that the key was marked for: the mark does not say which.
fn may_be_of_the_other(record: &KeyRecord, generation: Generation) -> bool {
    let Some(previous) = &record.previous else {
        return false;
    };
    let had_ended = match previous.end {
        // Nobody knows when.
        CredentialEnd::ENDED => false,
        _ => record.exposed_at.is_some_and(|at| !previous.is_live(at)),
    };
    generation != record.current.generation || !had_ended
}

/// The earliest end wins, and a secret that ends when its successor is used still does.
fn shortened(end: CredentialEnd, at: Timestamp, key_ends: Option<Timestamp>) -> CredentialEnd {
    let at = key_ends.map_or(at, |key_ends| at.min(key_ends));
    match end {
        CredentialEnd::WithKey => CredentialEnd::At(at),
        CredentialEnd::At(known) => CredentialEnd::At(known.min(at)),
        CredentialEnd::OnSuccessorUse(known) => CredentialEnd::OnSuccessorUse(known.min(at)),
    }
}

/// What the record says became of that secret. A key that was marked before, under another policy, has it read off as well.
fn action_of(record: &KeyRecord, generation: Generation, end: End) -> Option<ExposureAction> {
    let seen: &Credential = record.credential(generation)?;
    Some(match (end, seen.end.deadline()) {
        (End::AtOnce, _) => ExposureAction::Ended,
        (End::After(_), Some(ends_at)) => ExposureAction::Grace { ends_at },
        (End::AsItWas, _) | (End::After(_), None) => ExposureAction::Flagged,
    })
}

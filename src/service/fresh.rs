//! The order of the checks, as types: each step consumes the one before, and only a store read begins the row.
//!
//! A cache of records cannot be slipped in: [`FreshRecord`] has no constructor but [`FreshRecord::read`], is not
//! `Clone`, and is used up by the first check.

use std::sync::Arc;

use super::records::{Found, Records, Unsound};
use super::rejection::Rejection;
use crate::hash::{Hashing, SecretOrigin};
use crate::key::{Credential, KeyId, KeyRecord, KeyStatus, ParsedKey};
use crate::store::StoreError;
use crate::time::Timestamp;

/// A record that the store returned for this request.
#[derive(Debug)]
pub(super) struct FreshRecord(Found);

/// A fresh record, of whose credentials some fit the cheap part of the presented secret.
#[derive(Debug)]
pub(super) struct Suspected {
    record: Arc<KeyRecord>,
    current: bool,
    previous: bool,
}

/// A suspected record that says what the service wrote, as far as its binding can tell.
#[derive(Debug)]
pub(super) struct Vouched(Suspected);

/// A vouched record that is active now, with at least one fitting credential that is live.
#[derive(Debug)]
pub(super) struct Live(Suspected);

/// A suspected record that is active or switched off, with at least one fitting credential that is live.
#[derive(Debug)]
pub(super) struct AtRisk(Suspected);

impl FreshRecord {
    pub(super) async fn read(records: &Records, id: &KeyId) -> Result<Option<Self>, StoreError> {
        Ok(records.find(id).await?.map(Self))
    }

    pub(super) fn record(&self) -> &KeyRecord {
        self.0.record()
    }

    /// Keeps the credentials that the presented secret could belong to, if the key is of the kind that it claims.
    ///
    /// SECURITY: kind first, in the one step that every presented key goes through: nobody makes a secret key of a
    /// publishable one, or the reverse, by writing another beginning. All before the state, so that a stranger who knows an id
    /// learns nothing of the state; and before any slow hash, so that a wrong secret costs no more than an unknown id.
    pub(super) fn suspect(
        self,
        presented: &ParsedKey<'_>,
        hashing: &Hashing,
    ) -> Result<Suspected, Rejection> {
        if presented.kind() != self.0.record().kind {
            return Err(Rejection::WrongKind);
        }
        let fits = |credential: &Credential| cheap_check(credential, presented, hashing);
        let record = self.0.into_shown();
        let current = fits(&record.current);
        let previous = record.previous.as_ref().is_some_and(fits);
        if current || previous {
            Ok(Suspected {
                record,
                current,
                previous,
            })
        } else {
            Err(Rejection::WrongSecret)
        }
    }
}

impl Vouched {
    /// Decides on the state the store just gave.
    pub(super) fn judge(self, now: Timestamp) -> Result<Live, (Rejection, Arc<KeyRecord>)> {
        let Self(suspected) = self;
        let rejection = match suspected.record.status(now) {
            KeyStatus::Revoked => Rejection::Revoked,
            KeyStatus::Disabled => Rejection::Disabled,
            KeyStatus::Expired => Rejection::Expired,
            KeyStatus::Active => {
                // A current secret ends before its key for one reason only.
                let over = if suspected.current {
                    Rejection::Exposed
                } else {
                    Rejection::Superseded
                };
                return match suspected.keep_live(now) {
                    Ok(live) => Ok(Live(live)),
                    Err(ended) => Err((over, ended.record)),
                };
            }
        };
        Err((rejection, suspected.record))
    }
}

impl Suspected {
    /// Holds the record to its binding.
    ///
    /// SECURITY: after the cheap check, so that a stranger who knows an id neither pays for it nor raises an alert with it;
    /// before anything that the record says is believed, its state among it.
    pub(super) fn vouch(self, records: &Records) -> Result<Vouched, Unsound> {
        records.check(&self.record)?;
        Ok(Vouched(self))
    }

    /// Keeps what a leak puts at risk: the live secrets of a key that is in use, or that could be switched on again.
    ///
    /// SECURITY: the answer is no [`Live`] one, from which alone a key is verified. So the record may have been edited: a key
    /// that leaked is ended all the same.
    pub(super) fn judge_leaked(self, now: Timestamp) -> Option<AtRisk> {
        match self.record.status(now) {
            KeyStatus::Active | KeyStatus::Disabled => self.keep_live(now).ok().map(AtRisk),
            KeyStatus::Expired | KeyStatus::Revoked => None,
        }
    }

    fn keep_live(mut self, now: Timestamp) -> Result<Self, Self> {
        let is_live = |credential: &Credential| credential.is_live(now);
        self.current = self.current && is_live(&self.record.current);
        self.previous = self.previous && self.record.previous.as_ref().is_some_and(is_live);
        if self.current || self.previous {
            Ok(self)
        } else {
            Err(self)
        }
    }

    fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let current = Some(&self.record.current).filter(|_| self.current);
        let previous = self.record.previous.as_ref().filter(|_| self.previous);
        current.into_iter().chain(previous)
    }
}

/// A record with live secrets that may be the presented one, and that may be judged by whoever proves it.
pub(super) trait Provable {
    /// Returns the credentials that are live and may fit.
    fn credentials(&self) -> impl Iterator<Item = &Credential> + Send;
}

impl Provable for Live {
    fn credentials(&self) -> impl Iterator<Item = &Credential> + Send {
        self.0.credentials()
    }
}

impl Provable for AtRisk {
    fn credentials(&self) -> impl Iterator<Item = &Credential> + Send {
        self.0.credentials()
    }
}

impl Live {
    /// Returns whether that very credential is still among them.
    pub(super) fn still_holds(&self, proven: &Credential) -> bool {
        self.0
            .credentials()
            .any(|known| known.generation == proven.generation && known.digest == proven.digest)
    }

    pub(super) const fn record(&self) -> &Arc<KeyRecord> {
        &self.0.record
    }

    pub(super) fn into_record(self) -> Arc<KeyRecord> {
        self.0.record
    }
}

/// The keyed check if there is one and its pepper is known, else the hint; without either nothing is known yet.
fn cheap_check(credential: &Credential, presented: &ParsedKey<'_>, hashing: &Hashing) -> bool {
    let secret = presented.secret();
    if let Some(check) = &credential.check
        && let Some(fits) = hashing.check_short(presented.id().as_str(), secret.expose(), *check)
    {
        return fits;
    }
    match (&credential.hint, credential.origin) {
        (Some(hint), SecretOrigin::Generated | SecretOrigin::Imported) => {
            *hint == presented.hint_tail()
        }
        (None, _) => true,
    }
}

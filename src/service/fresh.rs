//! The order of the checks, as types: each step consumes the one before, and only a store read begins the row.
//!
//! A cache of records cannot be slipped in: [`FreshRecord`] has no constructor but [`FreshRecord::read`], is not
//! `Clone`, and is used up by the first check.

use std::sync::Arc;

use super::rejection::Rejection;
use crate::hash::{Hashing, SecretOrigin};
use crate::key::{Credential, KeyId, KeyRecord, KeyStatus, ParsedKey};
use crate::store::{KeyStore, StoreError};
use crate::time::Timestamp;

/// A record that the store returned for this request.
#[derive(Debug)]
pub(super) struct FreshRecord(Arc<KeyRecord>);

/// A fresh record, of whose credentials some fit the cheap part of the presented secret.
#[derive(Debug)]
pub(super) struct Suspected {
    record: Arc<KeyRecord>,
    current: bool,
    previous: bool,
}

/// A suspected record that is active now, with at least one fitting credential that is live.
#[derive(Debug)]
pub(super) struct Live(Suspected);

impl FreshRecord {
    pub(super) async fn read(store: &dyn KeyStore, id: &KeyId) -> Result<Option<Self>, StoreError> {
        Ok(store.find(id).await?.map(Self))
    }

    /// Keeps the credentials that the presented secret could belong to.
    ///
    /// SECURITY: before the state, so that a stranger who knows an id learns nothing of the state; and before any
    /// slow hash, so that a wrong secret costs no more than an unknown id.
    pub(super) fn suspect(
        self,
        presented: &ParsedKey<'_>,
        hashing: &Hashing,
    ) -> Result<Suspected, Rejection> {
        let fits = |credential: &Credential| cheap_check(credential, presented, hashing);
        let current = fits(&self.0.current);
        let previous = self.0.previous.as_ref().is_some_and(fits);
        if current || previous {
            Ok(Suspected {
                record: self.0,
                current,
                previous,
            })
        } else {
            Err(Rejection::WrongSecret)
        }
    }
}

impl Suspected {
    /// Decides on the state the store just gave.
    pub(super) fn judge(mut self, now: Timestamp) -> Result<Live, (Rejection, Arc<KeyRecord>)> {
        let rejection = match self.record.status(now) {
            KeyStatus::Revoked => Rejection::Revoked,
            KeyStatus::Disabled => Rejection::Disabled,
            KeyStatus::Expired => Rejection::Expired,
            KeyStatus::Active => {
                self.current = self.current && self.record.current.is_live(now);
                self.previous = self.previous
                    && self
                        .record
                        .previous
                        .as_ref()
                        .is_some_and(|old| old.is_live(now));
                if self.current || self.previous {
                    return Ok(Live(self));
                }
                Rejection::Superseded
            }
        };
        Err((rejection, self.record))
    }
}

impl Live {
    /// Returns the credentials that are live and may fit.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let Suspected {
            record,
            current,
            previous,
        } = &self.0;
        let current = Some(&record.current).filter(|_| *current);
        let previous = record.previous.as_ref().filter(|_| *previous);
        current.into_iter().chain(previous)
    }

    /// Returns whether that very credential is still among them.
    pub(super) fn still_holds(&self, proven: &Credential) -> bool {
        self.credentials()
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

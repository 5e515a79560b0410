//! Whether a string in the wrong place is a live secret.

use std::collections::HashMap;

use crate::hash::Lane;
use crate::key::{Generation, KeyId, KeyKind, ParsedKey};
use crate::service::fresh::FreshRecord;
use crate::service::prove::Proof;
use crate::service::{Actor, KeyService, Rejection, VerifyError};

/// The most slow hashes that one report may cost for one key. Two secrets of a key can be live; whoever sends more that
/// agree with its hint is guessing.
const MOST_HASHES_A_KEY: u32 = 16;

/// How many slow hashes each key has cost, and may.
#[derive(Debug)]
pub(super) struct Spent {
    hashes: HashMap<KeyId, u32>,
    most: u32,
}

impl Default for Spent {
    fn default() -> Self {
        Self {
            hashes: HashMap::new(),
            most: MOST_HASHES_A_KEY,
        }
    }
}

impl Spent {
    /// As much as there is: what needs a slow hash is unanswered.
    pub(super) fn all() -> Self {
        Self {
            hashes: HashMap::new(),
            most: 0,
        }
    }

    fn may_hash(&mut self, id: KeyId) -> bool {
        let spent = self.hashes.entry(id).or_default();
        *spent = spent.saturating_add(1);
        *spent <= self.most
    }
}

/// What a well-formed string turned out to be.
pub(super) enum Sighting {
    /// The live secret of that generation.
    Live(Generation),
    /// Of a key or a secret whose time is over.
    Ended,
    WrongSecret,
    /// Of a key that anybody may read.
    Publishable,
    UnknownKey,
    /// Nothing is known.
    Unanswered,
}

impl KeyService {
    /// Finds out what a string is, in the order of a verification: nothing dear before something cheap has agreed.
    ///
    /// SECURITY: slow hashes run one at a time, behind everybody else's, so that no flood of reports holds up a request.
    pub(super) async fn recognise(
        &self,
        actor: &Actor,
        parsed: &ParsedKey<'_>,
        spent: &mut Spent,
    ) -> Sighting {
        let id = parsed.id();
        let fresh = match FreshRecord::read(&self.inner.records, &id).await {
            Ok(Some(fresh)) if actor.sees(&self.inner.policy, fresh.record()) => fresh,
            Ok(_) => return Sighting::UnknownKey,
            Err(error) => {
                self.report_outage("leak", &error);
                return Sighting::Unanswered;
            }
        };
        let Ok(suspected) = fresh.suspect(parsed, &self.inner.hashing) else {
            return Sighting::WrongSecret;
        };
        let Some(at_risk) = suspected.judge_leaked(self.inner.clock.now()) else {
            return Sighting::Ended;
        };
        if parsed.kind() == KeyKind::Publishable {
            return Sighting::Publishable;
        }
        let proven = match self.prove_cheaply(&at_risk, parsed) {
            Ok(Proof::Known(generation)) => return Sighting::Live(generation),
            Ok(Proof::Unknown) if spent.may_hash(id) => {
                let _turn = self.inner.leaks.lock().await;
                self.prove_slowly(&at_risk, parsed, Lane::Doubtful).await
            }
            Ok(Proof::Unknown) => return Sighting::Unanswered,
            Err(error) => Err(error),
        };
        match proven {
            Ok(credential) => Sighting::Live(credential.generation),
            Err(VerifyError::Rejected(Rejection::WrongSecret)) => Sighting::WrongSecret,
            Err(error) => {
                if matches!(error, VerifyError::Unavailable(_)) {
                    self.report_outage("leak", &error);
                }
                Sighting::Unanswered
            }
        }
    }
}

//! Keys in the wrong place: reported by whoever found them, or seen by the service itself.

mod consequence;
mod exposure;
mod outcome;
mod policy;
mod proof;
mod report;
mod sightings;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use super::LifecycleError;
use crate::audit::AuditError;
use crate::key::KeyId;

pub use outcome::{ExposureAction, ExposureOutcome};
pub use policy::ExposurePolicy;
pub(super) use sightings::Sightings;

/// Strings that somebody found where no key should be, as they were reported.
///
/// They are wiped when this is dropped, and `Debug` shows how many there are and nothing else.
///
/// ```
/// use keyward::service::LeakedTokens;
///
/// let tokens = LeakedTokens::new(["pm_live_…", "no key at all"])?;
/// assert_eq!(serde_json::to_string(&tokens.receipt())?, r#"{"accepted":2}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LeakedTokens(Vec<Zeroizing<String>>);

impl LeakedTokens {
    /// The most strings of one report: what a scanner sends at a time, several times over, and a bound for the slow hashes
    /// that one report may cost.
    pub const MAX: usize = 1000;

    /// Takes the strings of one report, each as it was found and without what stood around it.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::Invalid`] for more than [`Self::MAX`].
    pub fn new(
        tokens: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, LifecycleError> {
        let tokens = tokens.into_iter().take(Self::MAX.saturating_add(1));
        let tokens: Vec<_> = tokens.map(|token| Zeroizing::new(token.into())).collect();
        if tokens.len() > Self::MAX {
            let problem = format!("are more than {}", Self::MAX);
            return Err(LifecycleError::invalid("tokens", problem));
        }
        Ok(Self(tokens))
    }

    /// Returns the answer for whoever reported. It depends on nothing but the number of strings, and can be sent before any
    /// of them is looked at.
    #[must_use]
    pub const fn receipt(&self) -> LeakReceipt {
        LeakReceipt {
            accepted: self.0.len(),
        }
    }
}

impl fmt::Debug for LeakedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeakedTokens({})", self.0.len())
    }
}

/// What whoever reported is told: that so many strings were taken. The same whatever they were.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LeakReceipt {
    /// How many strings were in the report.
    pub accepted: usize,
}

/// What became of one reported string.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LeakOutcome {
    /// It was a live secret of that key, which is revoked now.
    Revoked(KeyId),
    /// That key was revoked or has expired, or the secret was rotated out: nothing is left to end.
    Ended(KeyId),
    /// It names that key, and has not its secret, or says that it is of another kind.
    WrongSecret(KeyId),
    /// It names that key, which is publishable: nothing has leaked, and nothing ends.
    Publishable(KeyId),
    /// It is well formed, and names no key that the actor may know of.
    Unknown,
    /// It is no key of this service.
    Malformed,
    /// Something was out of order or overloaded, or the report held too many secrets for one key: report it once more.
    Unanswered,
}

impl LeakOutcome {
    const CODES: [&'static str; 7] = [
        "revoked",
        "ended",
        "wrong_secret",
        "publishable",
        "unknown",
        "malformed",
        "unanswered",
    ];

    /// Returns the outcome as one lower-case word, stable, as the audit trail counts it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        let [
            revoked,
            ended,
            wrong_secret,
            publishable,
            unknown,
            malformed,
            unanswered,
        ] = Self::CODES;
        match self {
            Self::Revoked(_) => revoked,
            Self::Ended(_) => ended,
            Self::WrongSecret(_) => wrong_secret,
            Self::Publishable(_) => publishable,
            Self::Unknown => unknown,
            Self::Malformed => malformed,
            Self::Unanswered => unanswered,
        }
    }
}

/// What a report of leaked keys came to.
///
/// # Security
///
/// For the application and its operators. Whoever reported gets [`LeakedTokens::receipt`]: which of the strings were real is
/// what a thief wants to know.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct LeakFindings {
    /// One for each string, in their order.
    pub outcomes: Vec<LeakOutcome>,
    /// Why events are missing from the audit trail, if some are. The keys are revoked all the same.
    pub unaudited: Vec<AuditError>,
}

impl LeakFindings {
    /// Returns the keys that are revoked now, each once.
    pub fn revoked(&self) -> impl Iterator<Item = KeyId> {
        let ids = self.outcomes.iter().filter_map(|outcome| match outcome {
            LeakOutcome::Revoked(id) => Some(*id),
            _ => None,
        });
        ids.collect::<BTreeSet<_>>().into_iter()
    }

    /// Returns whether some strings should be reported once more.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.outcomes.contains(&LeakOutcome::Unanswered)
    }

    /// How many strings came to each outcome.
    fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LeakOutcome::CODES.into_iter().map(|code| {
            let of_code = self.outcomes.iter().filter(|it| it.code() == code);
            (code, u64::try_from(of_code.count()).unwrap_or(u64::MAX))
        })
    }
}

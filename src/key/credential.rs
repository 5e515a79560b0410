use std::fmt;

use serde::{Deserialize, Serialize};

use super::HintTail;
use crate::hash::{DigestText, SecretOrigin, ShortCheck, StoredProof};
use crate::time::Timestamp;

/// The number of a credential within its key: 1 for the first secret, one more with each rotation.
///
/// Usage is stored under it, so that it follows a secret from *current* to *previous* when the key is rotated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The generation of a key's first secret.
    pub const FIRST: Self = Self(1);

    /// Returns the generation with that number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a credential stops being accepted, apart from the end of the key itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "ends", content = "at")]
#[non_exhaustive]
pub enum CredentialEnd {
    /// With the key.
    WithKey,
    /// At a moment: valid while `now < at`.
    At(Timestamp),
    /// When its successor is first used, and at that moment at the latest.
    OnSuccessorUse(Timestamp),
}

impl CredentialEnd {
    /// Over, whatever any clock says: one that is behind, or steps back, does not bring the credential back.
    pub const ENDED: Self = Self::At(Timestamp::MIN);

    /// Returns the moment from which the credential is refused in any case.
    #[must_use]
    pub const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::WithKey => None,
            Self::At(at) | Self::OnSuccessorUse(at) => Some(at),
        }
    }
}

/// What is stored of one secret of a key.
///
/// # Security
///
/// `Debug` shows neither digest nor proof nor hint. The serialised form holds them: it is meant for stores only.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Credential {
    /// The credential's number within its key.
    pub generation: Generation,
    /// The slow hash of the secret, with its scheme and parameters.
    pub digest: DigestText,
    /// Whether this library drew the secret. An imported one may be guessable, so nothing fast is ever kept of it.
    pub origin: SecretOrigin,
    /// The last four characters of the secret: shown in lists, and refuses wrong secrets before any slow hash.
    pub hint: Option<HintTail>,
    /// The keyed proof that saves a fresh process the slow hash; only with a pepper.
    pub proof: Option<StoredProof>,
    /// The 32-bit keyed check that refuses wrong secrets before any slow hash; only with a pepper.
    pub check: Option<ShortCheck>,
    /// When the secret was made.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub end: CredentialEnd,
    /// When it was last used. Written by usage batches only, never by an update of the record.
    pub last_used_at: Option<Timestamp>,
}

impl Credential {
    /// Returns a first credential for `digest` that ends with its key.
    #[must_use]
    pub const fn new(digest: DigestText, origin: SecretOrigin, created_at: Timestamp) -> Self {
        Self {
            generation: Generation::FIRST,
            digest,
            origin,
            hint: None,
            proof: None,
            check: None,
            created_at,
            end: CredentialEnd::WithKey,
            last_used_at: None,
        }
    }

    /// Returns whether the credential itself is still accepted at `now`: strictly before its deadline.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.end.deadline().is_none_or(|deadline| now < deadline)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("generation", &self.generation)
            .field("origin", &self.origin)
            .field("created_at", &self.created_at)
            .field("end", &self.end)
            .field("last_used_at", &self.last_used_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(end: CredentialEnd) -> Credential {
        let digest = DigestText::new("$2b$12$canary");
        let mut credential = Credential::new(digest, SecretOrigin::Generated, Timestamp::EPOCH);
        credential.end = end;
        credential.hint = Some("c4nA".parse().unwrap());
        credential
    }

    #[test]
    fn is_live_until_the_moment_before_its_deadline() {
        let deadline = Timestamp::from_micros(1000);
        for end in [
            CredentialEnd::At(deadline),
            CredentialEnd::OnSuccessorUse(deadline),
        ] {
            let credential = credential(end);
            assert!(credential.is_live(Timestamp::MIN));
            assert!(credential.is_live(Timestamp::from_micros(999)));
            assert!(!credential.is_live(deadline));
            assert!(!credential.is_live(Timestamp::MAX));
        }
    }

    #[test]
    fn lives_as_long_as_its_key_without_a_deadline() {
        let credential = credential(CredentialEnd::WithKey);
        assert_eq!(credential.end.deadline(), None);
        assert!(credential.is_live(Timestamp::MAX));
    }

    #[test]
    fn counts_generations_up_and_stops_at_the_end() {
        assert_eq!(Generation::FIRST.next(), Generation::new(2));
        assert_eq!(Generation::new(u32::MAX).next(), Generation::new(u32::MAX));
        assert_eq!(Generation::new(7).to_string(), "7");
    }

    #[test]
    fn shows_neither_digest_nor_hint_in_debug() {
        let shown = format!("{:?}", credential(CredentialEnd::WithKey));
        assert!(
            !shown.contains("canary") && !shown.contains("c4nA"),
            "{shown}"
        );
        assert!(shown.contains("generation"));
    }

    #[test]
    fn keeps_each_end_through_data() {
        for (end, json) in [
            (CredentialEnd::WithKey, r#"{"ends":"with_key"}"#),
            (
                CredentialEnd::At(Timestamp::EPOCH),
                r#"{"ends":"at","at":0}"#,
            ),
            (
                CredentialEnd::OnSuccessorUse(Timestamp::MAX),
                r#"{"ends":"on_successor_use","at":9223372036854775807}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&end).unwrap(), json);
            assert_eq!(serde_json::from_str::<CredentialEnd>(json).unwrap(), end);
        }
        assert!(serde_json::from_str::<CredentialEnd>(r#"{"ends":"at"}"#).is_err());
        assert!(serde_json::from_str::<CredentialEnd>(r#"{"ends":"never"}"#).is_err());
    }
}

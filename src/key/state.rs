use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What a key's state amounts to at a moment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyStatus {
    /// It is accepted.
    Active,
    /// It is switched off and can be switched on again.
    Disabled,
    /// Its time is over.
    Expired,
    /// It is ended for good.
    Revoked,
}

impl KeyStatus {
    /// Returns the status as one lower-case word, stable for logs and APIs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for KeyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts the changes of a record. A store accepts an update only for the revision it holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a record that was just inserted.
    pub const FIRST: Self = Self(1);

    /// Returns the revision with that number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Another tier for a key until a moment, so that a larger limit given in a hurry ends by itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TierOverride {
    /// The tier that holds meanwhile.
    pub tier: String,
    /// Holds while `now < until`.
    pub until: Timestamp,
}

impl TierOverride {
    /// Returns an override.
    #[must_use]
    pub fn new(tier: impl Into<String>, until: Timestamp) -> Self {
        Self {
            tier: tier.into(),
            until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_each_status_in_the_word_it_is_stored_as() {
        for (status, word) in [
            (KeyStatus::Active, "active"),
            (KeyStatus::Disabled, "disabled"),
            (KeyStatus::Expired, "expired"),
            (KeyStatus::Revoked, "revoked"),
        ] {
            assert_eq!(status.to_string(), word);
            assert_eq!(serde_json::to_value(status).unwrap(), word);
        }
    }

    #[test]
    fn counts_revisions_up_and_stops_at_the_end() {
        assert_eq!(Revision::FIRST.next(), Revision::new(2));
        assert_eq!(Revision::new(u64::MAX).next(), Revision::new(u64::MAX));
    }
}

use std::fmt;
use std::time::Duration;

/// A rule that an operation did not keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IssueRule {
    /// Nobody said why the key is needed.
    Justification,
    /// The actor gave no code; see [`Actor::with_second_factor`](crate::service::Actor::with_second_factor).
    SecondFactor,
    /// A second factor is demanded and the service has none to ask; see
    /// [`KeyServiceBuilder::second_factor`](crate::service::KeyServiceBuilder::second_factor).
    NoSecondFactor,
    /// The key would live longer than that, counted from its creation, or for ever.
    Lifetime {
        /// The longest life.
        longest: Duration,
    },
    /// The key is bound to no networks, or to all of them.
    Networks,
}

impl IssueRule {
    /// Returns the rule as one lower-case word, stable, for logs and the audit trail.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Justification => "justification_required",
            Self::SecondFactor => "second_factor_required",
            Self::NoSecondFactor => "second_factor_not_configured",
            Self::Lifetime { .. } => "lifetime_too_long",
            Self::Networks => "networks_required",
        }
    }
}

impl fmt::Display for IssueRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Justification => f.write_str("such a key needs a justification"),
            Self::SecondFactor => f.write_str("such a key needs a code of a second factor"),
            Self::NoSecondFactor => {
                f.write_str("such a key needs a second factor, and the service has none to ask")
            }
            Self::Lifetime { longest } => {
                let seconds = longest.as_secs();
                write!(
                    f,
                    "such a key lives at most {seconds} seconds from its creation"
                )
            }
            Self::Networks => f.write_str("such a key must be bound to networks"),
        }
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Outcome;

/// Writes the enum, its codes and the list of all from one table.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $code:literal,)*) => {
        /// What happened.
        ///
        /// ```
        /// use keyward::audit::AuditKind;
        ///
        /// assert_eq!(AuditKind::KeyRevoked.code(), "key_revoked");
        /// assert_eq!("key_revoked".parse(), Ok(AuditKind::KeyRevoked));
        /// ```
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum AuditKind {
            $($(#[$doc])* $kind,)*
        }

        impl AuditKind {
            /// Every kind this version knows.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the name that stands in files and tables. It never changes.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// A key was issued.
    KeyCreated => "key_created",
    /// A key that another system had made was taken over.
    KeyImported => "key_imported",
    /// A key got a new secret.
    KeyRotated => "key_rotated",
    /// A key was revoked for good.
    KeyRevoked => "key_revoked",
    /// A key was switched off.
    KeyDisabled => "key_disabled",
    /// A key was switched on again.
    KeyEnabled => "key_enabled",
    /// A key's settings were changed.
    KeyUpdated => "key_updated",
    /// A key's record was removed.
    KeyDeleted => "key_deleted",
    /// A key was refused for the first time because its time had passed.
    KeyExpired => "key_expired",
    /// A key was sent in clear or in a URL.
    KeyExposed => "key_exposed",
    /// A key was accepted.
    AuthenticationSucceeded => "authentication_succeeded",
    /// A presented credential was refused.
    AuthenticationFailed => "authentication_failed",
    /// An accepted key lacked a permission.
    PermissionRefused => "permission_refused",
    /// A second factor was confirmed by its first code.
    SecondFactorEnrolled => "second_factor_enrolled",
    /// A second factor was asked for and not proved.
    SecondFactorFailed => "second_factor_failed",
    /// A second factor was taken away.
    SecondFactorReset => "second_factor_reset",
    /// All recovery codes of a second factor were replaced.
    RecoveryCodesRenewed => "recovery_codes_renewed",
    /// A rate limit refused a request.
    LimitHit => "limit_hit",
    /// A request was answered.
    RequestCompleted => "request_completed",
    /// A rule over the trail raised an alert.
    AlertRaised => "alert_raised",
    /// Somebody read the trail.
    AuditRead => "audit_read",
    /// Somebody exported the trail.
    AuditExported => "audit_exported",
    /// Old parts of the trail were removed.
    AuditPurged => "audit_purged",
}

impl AuditKind {
    /// Returns whether the event tells of an operation on a key or a second factor, which must be on record before it
    /// takes effect.
    #[must_use]
    pub const fn is_life_cycle(self) -> bool {
        matches!(
            self,
            Self::KeyCreated
                | Self::KeyImported
                | Self::KeyRotated
                | Self::KeyRevoked
                | Self::KeyDisabled
                | Self::KeyEnabled
                | Self::KeyUpdated
                | Self::KeyDeleted
                | Self::SecondFactorEnrolled
                | Self::SecondFactorReset
                | Self::RecoveryCodesRenewed
        )
    }

    /// Returns whether the event tells of an operation that somebody carried out, on a key or on the trail itself.
    pub(in crate::audit) const fn is_administrative(self) -> bool {
        self.is_life_cycle()
            || matches!(
                self,
                Self::AuditRead | Self::AuditExported | Self::AuditPurged
            )
    }

    /// Returns the outcome that an event of this kind has unless told otherwise.
    pub(super) const fn usual_outcome(self) -> Outcome {
        match self {
            Self::KeyExpired
            | Self::KeyExposed
            | Self::AuthenticationFailed
            | Self::PermissionRefused
            | Self::SecondFactorFailed
            | Self::LimitHit => Outcome::Failure,
            _ => Outcome::Success,
        }
    }
}

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// The text is not the code of a kind this version knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the code of a known audit event")]
#[non_exhaustive]
pub struct UnknownKind;

impl FromStr for AuditKind {
    type Err = UnknownKind;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|kind| kind.code() == code);
        known.copied().ok_or(UnknownKind)
    }
}

impl Serialize for AuditKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for AuditKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_code() {
        for kind in AuditKind::ALL {
            assert_eq!(kind.code().parse(), Ok(*kind));
        }
    }

    #[test]
    fn refuses_a_code_in_another_case() {
        assert_eq!("Key_Created".parse::<AuditKind>(), Err(UnknownKind));
    }

    #[test]
    fn counts_operations_on_keys_and_factors_as_life_cycle_and_requests_not() {
        let life_cycle: Vec<_> = AuditKind::ALL
            .iter()
            .filter(|kind| kind.is_life_cycle())
            .map(|kind| kind.code())
            .collect();
        assert_eq!(
            life_cycle,
            [
                "key_created",
                "key_imported",
                "key_rotated",
                "key_revoked",
                "key_disabled",
                "key_enabled",
                "key_updated",
                "key_deleted",
                "second_factor_enrolled",
                "second_factor_reset",
                "recovery_codes_renewed"
            ]
        );
    }
}

use std::fmt;

use serde::{Serialize, Serializer};

use super::Severity;

/// Writes the enum, its codes, its severities and the list of all from one table.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $code:literal, $severity:ident;)*) => {
        /// What an alert is about.
        ///
        /// ```
        /// use keyward::alert::{AlertKind, Severity};
        ///
        /// assert_eq!(AlertKind::ErrorRate.code(), "error_rate");
        /// assert_eq!(AlertKind::AdminKeyCreated.severity(), Severity::Critical);
        /// ```
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum AlertKind {
            $($(#[$doc])* $kind,)*
            /// Of a rule of the application's own, by a code that it keeps stable: lower case, words joined by `_`, at most
            /// 64 bytes.
            Custom(&'static str),
        }

        impl AlertKind {
            /// Every kind of the rules that come with this version.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the name that stands in messages and in the trail. It never changes.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                    Self::Custom(code) => code,
                }
            }

            /// Returns how urgent an alert of this kind is unless its rule says otherwise.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)*
                    Self::Custom(_) => Severity::Warning,
                }
            }
        }
    };
}

kinds! {
    /// Too many of a key's requests fail.
    ErrorRate => "error_rate", Warning;
    /// A key runs into its limits again and again.
    RepeatedLimitHits => "repeated_limit_hits", Notice;
    /// A key is used from a country where it does not belong.
    UnexpectedCountry => "unexpected_country", Warning;
    /// A key is used outside its owner's business hours.
    OutsideBusinessHours => "outside_business_hours", Notice;
    /// A key that had not been used for long is used again.
    DormantKeyActive => "dormant_key_active", Warning;
    /// Somebody makes many keys at once.
    BurstOfKeys => "burst_of_keys", Warning;
    /// A key got the permission to manage other keys.
    AdminKeyCreated => "admin_key_created", Critical;
    /// A secret that a rotation ended is still in use.
    SupersededSecret => "superseded_secret", Notice;
    /// A key was sent in clear or in a URL.
    KeyExposed => "key_exposed", Critical;
    /// A key's record is not what the service wrote.
    RecordTampered => "record_tampered", Critical;
    /// A key has far more requests in an hour than usual.
    UnusualRate => "unusual_rate", Warning;
    /// A key is used from a network that is new for it.
    NewNetwork => "new_network", Warning;
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for AlertKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

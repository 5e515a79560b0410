//! What the checked names of this module share: their error, and how they are read, shown and stored.

/// Why a text is no permission, scope, role name or tenant id.
///
/// The message never repeats the text, which may come from outside.
///
/// ```
/// use keyward::access::{NameError, Permission};
///
/// assert_eq!("billing:Read".parse::<Permission>(), Err(NameError::BadCharacter { at: 8 }));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given.
    #[error("name is empty")]
    Empty,
    /// More bytes than a name of this kind may have.
    #[error("name is longer than {max} bytes")]
    TooLong {
        /// The most bytes a name of this kind may have.
        max: usize,
    },
    /// A character that is not allowed, or not at the start of a segment.
    #[error("character at byte {at} is not allowed there")]
    BadCharacter {
        /// Where the character begins, in bytes from 0.
        at: usize,
    },
    /// A colon with no segment before or after it.
    #[error("segment is empty at byte {at}")]
    EmptySegment {
        /// Where the segment should have begun, in bytes from 0.
        at: usize,
    },
    /// A star anywhere but as the whole last segment of a scope.
    #[error("wildcard at byte {at} is not allowed there")]
    Wildcard {
        /// Where the star stands, in bytes from 0.
        at: usize,
    },
    /// A word that means something else: `and`, `or` as a permission, `*` as a tenant.
    #[error("name is reserved")]
    Reserved,
}

/// Refuses the empty text and one longer than `max` bytes.
pub(super) fn check_length(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong { max }),
        _ => Ok(()),
    }
}

/// Refuses the first character that `allowed` does not accept; it is told the byte and its position.
pub(super) fn check_bytes(text: &str, allowed: fn(usize, u8) -> bool) -> Result<(), NameError> {
    let bad = text.bytes().enumerate().find(|&(at, b)| !allowed(at, b));
    bad.map_or(Ok(()), |(at, _)| Err(NameError::BadCharacter { at }))
}

/// Declares a name that is checked once, when it is read, and cheap to clone ever after.
macro_rules! checked_name {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Returns the name as it was given, byte for byte.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for std::sync::Arc<str> {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::access::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::access::NameError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(super) use checked_name;

//! The text of what is made under a pepper: its version, a dollar sign, and the rest.

use super::encoding;

pub(super) fn read<const N: usize>(
    text: &str,
    decode: impl Fn(&str) -> Option<[u8; N]>,
) -> Option<(u32, [u8; N])> {
    let (version, rest) = encoding::versioned(text.strip_prefix("v=")?)?;
    Some((version, decode(rest)?))
}

pub(super) fn write(version: u32, rest: &str) -> String {
    format!("v={version}${rest}")
}

/// What is stored as its text, and shows its version and nothing else.
macro_rules! stored_as_text {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("version", &self.version)
                    .finish_non_exhaustive()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_text())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)
                    .map(|text| Self::from_text(&text))
            }
        }
    };
}

/// A MAC of 32 bytes and the version of its pepper.
macro_rules! stored_mac {
    ($name:ident) => {
        impl $name {
            /// No ring holds a pepper of version 0.
            const VOID: Self = Self {
                version: 0,
                mac: [0; 32],
            };

            pub(super) const fn new(version: u32, mac: [u8; 32]) -> Self {
                Self { version, mac }
            }

            /// Reads the stored text.
            #[must_use]
            pub fn from_text(text: &str) -> Self {
                let read =
                    $crate::hash::keyed_text::read(text, $crate::hash::encoding::from_base64);
                read.map_or(Self::VOID, |(version, mac)| Self { version, mac })
            }

            /// Writes the text to store.
            #[must_use]
            pub fn to_text(&self) -> String {
                let mac = $crate::hash::encoding::to_base64(&self.mac);
                $crate::hash::keyed_text::write(self.version, &mac)
            }

            /// Returns the version of the pepper it was made under; 0 for one that never holds.
            #[must_use]
            pub const fn version(&self) -> u32 {
                self.version
            }

            /// Returns whether it is this MAC. Constant time.
            pub(super) fn matches(&self, mac: &[u8; 32]) -> bool {
                $crate::hash::mac::same(&self.mac, mac)
            }
        }

        /// Compares in constant time.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.matches(&other.mac) && self.version == other.version
            }
        }

        impl Eq for $name {}

        $crate::hash::keyed_text::stored_as_text!($name);
    };
}

pub(super) use {stored_as_text, stored_mac};

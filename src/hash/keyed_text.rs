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

pub(super) use stored_as_text;

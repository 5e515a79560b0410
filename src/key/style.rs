use serde::{Deserialize, Serialize};

/// The two shapes a key can have.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyStyle {
    /// 12 characters of id, 43 of secret (256 bits), six of checksum, and six of tag where tags are configured.
    #[default]
    Standard,
    /// 32 characters and nothing else: 8 of id, 24 of secret (142.9 bits). For systems that already use that shape.
    Compact,
}

impl KeyStyle {
    /// Returns how many characters the key id has.
    #[must_use]
    pub const fn id_len(self) -> usize {
        match self {
            Self::Standard => 12,
            Self::Compact => 8,
        }
    }

    /// Returns how many characters the secret has.
    #[must_use]
    pub const fn secret_len(self) -> usize {
        match self {
            Self::Standard => 43,
            Self::Compact => 24,
        }
    }
}

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a key is kept secret or handed to clients.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyKind {
    /// Known to its owner's servers only.
    #[default]
    Secret,
    /// Meant for browsers and apps, where anybody can read it.
    Publishable,
}

impl KeyKind {
    /// Returns the kind as one lower-case word, stable, as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Publishable => "publishable",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_its_word_to_serde() {
        for kind in [KeyKind::Secret, KeyKind::Publishable] {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<KeyKind>(&json).unwrap(), kind);
        }
    }
}

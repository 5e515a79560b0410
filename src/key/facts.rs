use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// A fact about a key was not acceptable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FactError {
    /// Metadata is not a JSON object.
    #[error("metadata must be a JSON object")]
    MetadataNotAnObject,
    /// Metadata is larger than [`Metadata::MAX_BYTES`] when written as JSON.
    #[error("metadata has {actual} bytes, more than {}", Metadata::MAX_BYTES)]
    MetadataTooLarge {
        /// Its size as JSON.
        actual: usize,
    },
    /// A certificate thumbprint is not 43 characters of base64url for 32 bytes.
    #[error("a certificate thumbprint is the base64url form of 32 bytes, without padding")]
    Thumbprint,
    /// An actor's name is empty, longer than 255 bytes, or holds control characters.
    #[error("an actor is named by 1 to 255 bytes without control characters")]
    Actor,
}

/// The application's own facts about a key: a JSON object of bounded size.
///
/// ```
/// use keyward::key::Metadata;
///
/// let metadata = Metadata::try_from(serde_json::json!({"plan": "gold"})).unwrap();
/// assert_eq!(metadata.as_map()["plan"], "gold");
/// assert!(Metadata::try_from(serde_json::json!(["not", "an", "object"])).is_err());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Metadata(serde_json::Map<String, serde_json::Value>);

impl Metadata {
    /// The largest metadata, as compact JSON: 16 KiB, enough for labels and too little for documents.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Returns the object.
    #[must_use]
    pub const fn as_map(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<serde_json::Value> for Metadata {
    type Error = FactError;

    fn try_from(value: serde_json::Value) -> Result<Self, FactError> {
        let serde_json::Value::Object(map) = value else {
            return Err(FactError::MetadataNotAnObject);
        };
        let actual = serde_json::to_vec(&map).map_or(usize::MAX, |text| text.len());
        if actual > Self::MAX_BYTES {
            return Err(FactError::MetadataTooLarge { actual });
        }
        Ok(Self(map))
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(serde_json::Value::deserialize(deserializer)?)
            .map_err(serde::de::Error::custom)
    }
}

/// SHA-256 of a client certificate in DER form (`x5t#S256`, RFC 8705 §3.1).
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Returns the thumbprint with those bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = FactError;

    fn from_str(text: &str) -> Result<Self, FactError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| FactError::Thumbprint)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FactError::Thumbprint)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Who did something, as it is written into records and the audit trail: `user:ana`, `key:4fGh…`, `system:bootstrap`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ActorRef(Arc<str>);

impl ActorRef {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ActorRef {
    type Err = FactError;

    fn from_str(text: &str) -> Result<Self, FactError> {
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            return Err(FactError::Actor);
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for ActorRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

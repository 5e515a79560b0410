use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

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
    /// Metadata is nested more deeply than [`Metadata::MAX_DEPTH`].
    #[error("metadata is nested more than {} levels deep", Metadata::MAX_DEPTH)]
    MetadataTooDeep,
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

    /// The most levels of objects and lists, the outermost included. A JSON reader gives up at some depth (128 levels
    /// for `serde_json`), and what was stored must be readable wherever it is embedded.
    pub const MAX_DEPTH: usize = 32;

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
        if is_deeper(&value, Self::MAX_DEPTH) {
            return Err(FactError::MetadataTooDeep);
        }
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

/// Looks no further down than the levels allowed.
fn is_deeper(value: &serde_json::Value, levels: usize) -> bool {
    use serde_json::Value;

    let is_deeper_inside = |below| match value {
        Value::Array(list) => list.iter().any(|inner| is_deeper(inner, below)),
        Value::Object(map) => map.values().any(|inner| is_deeper(inner, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let nests = value.is_array() || value.is_object();
    nests && levels.checked_sub(1).is_none_or(is_deeper_inside)
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(serde_json::Value::deserialize(deserializer)?)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An object that is `bytes` long as compact JSON.
    fn object(bytes: usize) -> serde_json::Value {
        json!({"text": "x".repeat(bytes - r#"{"text":""}"#.len())})
    }

    fn nested(levels: usize) -> serde_json::Value {
        (1..levels).fold(json!({}), |inner, level| {
            if level % 2 == 0 {
                json!({"in": inner})
            } else {
                json!([inner])
            }
        })
    }

    #[test]
    fn takes_16_kib_of_metadata_and_refuses_a_byte_more() {
        assert!(Metadata::try_from(object(16_384)).is_ok());
        assert_eq!(
            Metadata::try_from(object(16_385)),
            Err(FactError::MetadataTooLarge { actual: 16_385 })
        );
        let text = object(16_385).to_string();
        assert!(serde_json::from_str::<Metadata>(&text).is_err());
    }

    #[test]
    fn counts_metadata_as_it_is_stored() {
        let escapes = |count| json!({"": "\u{1}".repeat(count)});
        assert!(Metadata::try_from(escapes(2729)).is_ok());
        assert_eq!(
            Metadata::try_from(escapes(2730)),
            Err(FactError::MetadataTooLarge { actual: 16_387 })
        );
    }

    #[test]
    fn takes_32_levels_of_metadata_and_refuses_33() {
        let deepest = json!({"in": nested(31)});
        let metadata = Metadata::try_from(deepest).unwrap();
        let text = serde_json::to_string(&metadata).unwrap();
        assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), metadata);
        let deeper = json!({"in": nested(32)});
        assert_eq!(Metadata::try_from(deeper), Err(FactError::MetadataTooDeep));
    }

    #[test]
    fn refuses_metadata_that_is_no_object() {
        for value in [json!(null), json!([]), json!("{}"), json!(1)] {
            assert_eq!(
                Metadata::try_from(value),
                Err(FactError::MetadataNotAnObject)
            );
        }
        assert!(Metadata::try_from(json!({})).unwrap().is_empty());
    }

    #[test]
    fn keeps_every_bit_of_a_number_in_metadata() {
        let text = r#"{"a":0.1,"b":2.2250738585072014e-308,"c":18446744073709551615,"d":1.7976931348623157e+308}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        // Without exact reading this one comes back as its neighbour.
        let metadata: Metadata = serde_json::from_str(r#"{"a":122.416294033786585}"#).unwrap();
        assert_eq!(
            metadata.as_map()["a"].as_f64(),
            "122.416294033786585".parse().ok()
        );
    }

    #[test]
    fn names_actors_with_1_to_255_bytes_without_control_characters() {
        for name in ["a", "user:Zoë", &"x".repeat(255)] {
            assert_eq!(name.parse::<ActorRef>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "a\nb",
            "\u{85}",
            "a\0",
            &"x".repeat(256),
            &"é".repeat(128),
        ] {
            assert_eq!(name.parse::<ActorRef>(), Err(FactError::Actor), "{name:?}");
        }
        assert!(serde_json::from_str::<ActorRef>("\"\"").is_err());
    }
}

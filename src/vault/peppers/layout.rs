//! How the secret with the peppers looks.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::hash::{PepperRing, encoding};
use crate::vault::{Kv, VaultError};

/// What `base64` prints is padded, what others print is not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the secret and makes a ring of it.
pub(super) async fn read(kv: &Kv, path: &str) -> Result<PepperRing, VaultError> {
    let secret = kv.read::<BTreeMap<String, Field>>(path).await?;
    ring(&secret.ok_or(VaultError::Absent)?.data)
}

/// A field's text, wiped on drop. Numbers, as the API may give them, are their digits.
struct Field(Zeroizing<String>);

fn ring(fields: &BTreeMap<String, Field>) -> Result<PepperRing, VaultError> {
    let mut ring = PepperRing::builder();
    let mut current = None;
    for (name, Field(text)) in fields {
        let text = text.trim_ascii();
        if name == "current" {
            current = encoding::positive(text);
            continue;
        }
        let version = name.strip_prefix('v').and_then(encoding::positive);
        let version = version.ok_or(VaultError::Answer {
            what: "the peppers have a field that is neither `current` nor `v` and a version",
        })?;
        let pepper = BASE64.decode(text).map_err(|_| VaultError::Answer {
            what: "a pepper is not base64",
        })?;
        ring = ring.pepper(version, pepper);
    }
    // Not the highest one by default: a new pepper must reach every process before one of them uses it.
    let current = current.ok_or(VaultError::Answer {
        what: "the peppers have no field `current` with the number of a version",
    })?;
    Ok(ring.current(current).build()?)
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a number")
            }

            fn visit_str<E>(self, text: &str) -> Result<Field, E> {
                Ok(Field(Zeroizing::new(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Field, E> {
                Ok(Field(Zeroizing::new(number.to_string())))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "cFQzbjktdGhpcnR5LXR3by1yYW5kb20tYnl0ZXMtS2Q=";
    const B: &str = "MHk0US1hbjB0aGVyLTMyLWJ5dGUta2V5LXh6djg3THE=";

    fn fields(json: &str) -> BTreeMap<String, Field> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn reads_versions_and_the_current_one() {
        let two = format!(r#"{{"current": "1", "v1": "{A}", "v2": "{B}"}}"#);
        let two = ring(&fields(&two)).unwrap();
        assert_eq!(two.current(), 1);
        assert_eq!(two.versions().collect::<Vec<_>>(), [1, 2]);
        let unpadded = A.trim_end_matches('=');
        let other = format!(r#"{{"current": 7, "v7": "{unpadded}\n"}}"#);
        assert_eq!(ring(&fields(&other)).unwrap().current(), 7);
    }

    #[test]
    fn refuses_what_is_not_laid_out_like_that() {
        for json in [
            "{}".to_owned(),
            format!(r#"{{"v1": "{A}"}}"#),
            format!(r#"{{"current": "", "v1": "{A}"}}"#),
            format!(r#"{{"current": "2", "v1": "{A}"}}"#),
            format!(r#"{{"current": "1", "V1": "{A}"}}"#),
            format!(r#"{{"current": "1", "1": "{A}"}}"#),
            format!(r#"{{"current": "1", "v01": "{A}"}}"#),
            format!(r#"{{"current": "1", "v1": "{A}", "note": "x"}}"#),
            r#"{"current": "1", "v1": "not base64, but 32 characters long"}"#.to_owned(),
            r#"{"current": "1", "v1": "c2hvcnQ="}"#.to_owned(),
            format!(r#"{{"current": "1", "v1": "{A}", "v2": "{A}"}}"#),
        ] {
            let error = ring(&fields(&json)).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("characters") && !shown.contains("c2hv"),
                "{shown}"
            );
        }
    }
}

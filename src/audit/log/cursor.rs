use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands before the digits, so that no other number is taken for a cursor.
const PREFIX: &str = "a1.";
/// Hexadecimal digits of a position.
const DIGITS: usize = 16;

/// A place in a trail: right behind one event.
///
/// The text form goes through URLs and JSON as it is. It is opaque to clients and has one spelling only.
///
/// ```
/// use keyward::audit::AuditCursor;
///
/// let cursor = AuditCursor::new(4711);
/// assert_eq!(cursor.to_string().parse(), Ok(cursor));
/// assert!("4711".parse::<AuditCursor>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AuditCursor(u64);

impl AuditCursor {
    /// Returns the place behind the event of that position. For implementors of [`AuditLog`](super::AuditLog).
    #[must_use]
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// Returns the position of the event.
    #[must_use]
    pub const fn position(self) -> u64 {
        self.0
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of an audit trail")]
#[non_exhaustive]
pub struct InvalidAuditCursor;

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:0DIGITS$x}", self.0)
    }
}

impl FromStr for AuditCursor {
    type Err = InvalidAuditCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidAuditCursor)?;
        let plain = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != DIGITS || !digits.bytes().all(plain) {
            return Err(InvalidAuditCursor);
        }
        let position = u64::from_str_radix(digits, 16).map_err(|_| InvalidAuditCursor)?;
        Ok(Self(position))
    }
}

impl Serialize for AuditCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuditCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_back_every_position(position: u64) {
            let cursor = AuditCursor::new(position);
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn has_one_spelling(text: String) {
            if let Ok(cursor) = text.parse::<AuditCursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn refuses_everything_else() {
        let good = AuditCursor::new(0xab).to_string();
        assert!(good.parse::<AuditCursor>().is_ok());
        for bad in [
            String::new(),
            "171".to_owned(),
            good.to_uppercase(),
            good.replace("ab", "AB"),
            good.replace("ab", "+b"),
            format!("{good}0"),
            format!(" {good}"),
            format!("{good}\n"),
            good.replace("a1.", "a2."),
            good.replace("ab", "é"),
        ] {
            assert_eq!(bad.parse::<AuditCursor>(), Err(InvalidAuditCursor), "{bad}");
        }
    }
}

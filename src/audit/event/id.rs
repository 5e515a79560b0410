use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

use crate::time::Timestamp;

/// The name of one event: a version 7 UUID (RFC 9562, section 5.7), whose first 48 bits are the event's time.
///
/// Two copies of an event, such as a retry leaves behind, carry the same id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventId(Uuid);

impl EventId {
    /// Bytes of randomness in one id, before version and variant take their six bits.
    pub const RANDOM_BYTES: usize = 10;

    /// Returns the id made of the event's time, in milliseconds, and `random`. Times before 1970 count as 1970.
    #[must_use]
    pub fn new(time: Timestamp, random: &[u8; Self::RANDOM_BYTES]) -> Self {
        let millis = u64::try_from(time.as_micros().div_euclid(1000)).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// Returns the 16 bytes, the most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// Lower case, hyphenated.
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The text is not the id of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the id of an audit event")]
#[non_exhaustive]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidEventId)?;
        Ok(Self(id))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 -05:00, `rand_a` CC3, `rand_b` 18C4DC0C0C07398F.
    #[test]
    fn agrees_with_the_example_of_the_standard() {
        let time = Timestamp::from_micros(0x017F_22E2_79B0 * 1000 + 999);
        let random = [0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F];
        assert_eq!(
            EventId::new(time, &random).to_string(),
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        );
    }

    #[test]
    fn reads_back_what_it_writes() {
        let id = EventId::new(Timestamp::from_secs(1_700_000_000), &[7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("017f22e2".parse::<EventId>(), Err(InvalidEventId));
    }

    #[test]
    fn counts_a_time_before_1970_as_1970() {
        let id = EventId::new(Timestamp::MIN, &[0; 10]);
        assert_eq!(&id.as_bytes()[..6], &[0; 6]);
    }
}

/// Says whether serde may leave a count out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
pub(super) const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A timestamp as RFC 3339 with six decimals, in UTC.
pub(in crate::audit) mod rfc3339 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Timestamp;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature is serde's"
    )]
    pub(in crate::audit::event) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom("not a time"))
    }

    /// Reads both forms that [`Timestamp`] writes: a date, or microseconds where no calendar reaches.
    fn parse(text: &str) -> Option<Timestamp> {
        if let Some(micros) = text.strip_suffix("us") {
            return micros.parse().ok().map(Timestamp::from_micros);
        }
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp::from_micros(time.as_microsecond()))
    }
}

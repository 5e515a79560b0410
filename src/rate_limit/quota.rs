//! How much, and how fast.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gcra::{Bucket, MAX_SPAN_MICROS};
use super::quota_text::QuotaText;

/// The longest name of a quota or a tier, in bytes.
pub const MAX_NAME_LEN: usize = 64;

/// The largest share by which the rate may differ from the one asked for, because a token's time is a whole number of
/// microseconds: one in a thousand. It only refuses rates above about a thousand a second.
const MAX_ROUNDING: i64 = 1000;

/// Why a quota cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The rate cannot be kept to within 0.1 % in whole microseconds a token.
    #[error("rate is too high to be kept in whole microseconds")]
    Imprecise,
    /// A name or bucket label is empty, too long, or has a character outside its alphabet.
    #[error("name is empty, too long or has a character outside its alphabet")]
    InvalidName,
    /// The period, or the time to fill the bucket, is longer than [`MAX_SPAN_MICROS`].
    #[error("bucket would take more than ten years to fill")]
    TooLong,
    /// The limit, the burst or the period is zero.
    #[error("limit, burst and period must be above zero")]
    Zero,
}

/// So many tokens, coming back at so many a period: one limit.
///
/// `Quota::per_minute(60)` is a bucket of 60 tokens that refills one a second. A caller who has been quiet may send 60 at
/// once and then one a second, so within *some* minutes up to 119 requests pass: 60 saved ones and 59 earned during the
/// minute. Where that must not happen, split the number: `Quota::per_minute(30)` never passes more than 60.
///
/// A quota has two names. The *name* is shown to clients, in the headers. The *bucket label* says which count it is kept
/// in: two quotas with the same label are one bucket to a subject. It defaults to the period, so that a key that moves from
/// 60/min to 300/min takes along the used share of its minute, whatever the tiers are called.
///
/// Cloning is cheap: clones share one allocation.
///
/// ```
/// use std::time::Duration;
/// use keyward::rate_limit::{Quota, QuotaError};
///
/// let quota = Quota::per_minute(60)?.with_burst(10)?.named("search")?;
/// assert_eq!(quota.burst(), 10);
/// assert_eq!(quota.interval(), Duration::from_secs(1));
/// assert_eq!(quota.policy(), r#""search";q=10;w=10"#);
/// assert_eq!(quota.bucket_label(), "minute");
///
/// assert_eq!(Quota::per_minute(0), Err(QuotaError::Zero));
/// # Ok::<(), QuotaError>(())
/// ```
///
/// In configuration, `per` is a word or a span of time, and only `limit` and `per` are required:
///
/// ```
/// use keyward::rate_limit::Quota;
///
/// let quota: Quota = serde_json::from_str(r#"{"limit": 60, "per": "minute", "burst": 10}"#)?;
/// assert_eq!(quota, Quota::per_minute(60).unwrap().with_burst(10).unwrap());
/// let quota: Quota = serde_json::from_str(r#"{"limit": 5, "per": "1m 30s"}"#)?;
/// assert_eq!(quota.interval().as_secs(), 18);
/// assert!(serde_json::from_str::<Quota>(r#"{"limit": 0, "per": "day"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "QuotaText", into = "QuotaText")]
pub struct Quota(Arc<Described>);

#[derive(Clone, Eq, PartialEq)]
pub(super) struct Described {
    pub(super) bucket: Bucket,
    bucket_id: u64,
    label: Box<str>,
    limit: u32,
    name: Box<str>,
    period: i64,
    policy: Box<str>,
}

impl Quota {
    /// Returns `limit` a second.
    ///
    /// # Errors
    ///
    /// As [`Quota::per`].
    pub fn per_second(limit: u32) -> Result<Self, QuotaError> {
        Self::per(limit, Duration::from_secs(1))
    }

    /// Returns `limit` a minute.
    ///
    /// # Errors
    ///
    /// As [`Quota::per`].
    pub fn per_minute(limit: u32) -> Result<Self, QuotaError> {
        Self::per(limit, Duration::from_secs(60))
    }

    /// Returns `limit` an hour.
    ///
    /// # Errors
    ///
    /// As [`Quota::per`].
    pub fn per_hour(limit: u32) -> Result<Self, QuotaError> {
        Self::per(limit, Duration::from_secs(3600))
    }

    /// Returns `limit` a day of 24 hours, which has nothing to do with midnight anywhere.
    ///
    /// # Errors
    ///
    /// As [`Quota::per`].
    pub fn per_day(limit: u32) -> Result<Self, QuotaError> {
        Self::per(limit, Duration::from_secs(86_400))
    }

    /// Returns `limit` tokens a `period`, with a burst of `limit`, named after the period.
    ///
    /// A token's time is the period divided by the limit, rounded down to whole microseconds, so the bucket is full again
    /// after the period and not a moment later.
    ///
    /// # Errors
    ///
    /// * [`QuotaError::Zero`]: `limit` or `period` is zero.
    /// * [`QuotaError::Imprecise`]: rounding would change the rate by more than 0.1 %.
    /// * [`QuotaError::TooLong`]: the period is longer than [`MAX_SPAN_MICROS`].
    pub fn per(limit: u32, period: Duration) -> Result<Self, QuotaError> {
        let period = i64::try_from(period.as_micros()).map_err(|_| QuotaError::TooLong)?;
        let name = period_label(period);
        Self::assemble(limit, period, limit, name.clone(), name)
    }

    /// Sets how many tokens a full bucket holds, leaving the rate as it is.
    ///
    /// # Errors
    ///
    /// * [`QuotaError::Zero`]: `burst` is zero.
    /// * [`QuotaError::TooLong`]: the bucket would take longer than [`MAX_SPAN_MICROS`] to fill.
    pub fn with_burst(self, burst: u32) -> Result<Self, QuotaError> {
        let Described {
            limit,
            period,
            ref name,
            ref label,
            ..
        } = *self.0;
        Self::assemble(limit, period, burst, name.clone(), label.clone())
    }

    /// Sets the name shown in headers: up to [`MAX_NAME_LEN`] printable ASCII characters without `"` and `\`, which is
    /// what an RFC 9651 string holds without escapes.
    ///
    /// # Errors
    ///
    /// [`QuotaError::InvalidName`].
    pub fn named(self, name: &str) -> Result<Self, QuotaError> {
        if !is_name(name) {
            return Err(QuotaError::InvalidName);
        }
        let mut described = Arc::unwrap_or_clone(self.0);
        described.name = name.into();
        described.policy = described.policy();
        Ok(Self(Arc::new(described)))
    }

    /// Sets the label of the bucket that counts: up to [`MAX_NAME_LEN`] of `A-Z a-z 0-9 _ . -`.
    ///
    /// Needed where one tier has two quotas of the same period, or where two quotas must not share their count.
    ///
    /// # Errors
    ///
    /// [`QuotaError::InvalidName`].
    pub fn in_bucket(self, label: &str) -> Result<Self, QuotaError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !is_name(label) || !label.bytes().all(allowed) {
            return Err(QuotaError::InvalidName);
        }
        let mut described = Arc::unwrap_or_clone(self.0);
        described.label = label.into();
        described.bucket_id = bucket_id(label);
        Ok(Self(Arc::new(described)))
    }

    /// Returns the bucket's size and speed, for backends.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.0.bucket
    }

    /// Returns the label of the bucket that counts.
    #[must_use]
    pub fn bucket_label(&self) -> &str {
        &self.0.label
    }

    /// Returns how many tokens a full bucket holds.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.0.bucket.burst()
    }

    /// Returns the time in which one token comes back.
    #[must_use]
    pub fn interval(&self) -> Duration {
        span(self.0.bucket.interval())
    }

    /// Returns how many tokens come back a period.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.0.limit
    }

    /// Returns the name shown in headers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the period.
    #[must_use]
    pub fn period(&self) -> Duration {
        span(self.0.period)
    }

    /// Returns this quota's member of the `RateLimit-Policy` field.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.0.policy
    }

    pub(super) fn bucket_id(&self) -> u64 {
        self.0.bucket_id
    }

    fn assemble(
        limit: u32,
        period: i64,
        burst: u32,
        name: Box<str>,
        label: Box<str>,
    ) -> Result<Self, QuotaError> {
        let bucket = Bucket::new(interval(limit, period)?, burst);
        let bucket = bucket.ok_or(if burst == 0 {
            QuotaError::Zero
        } else {
            QuotaError::TooLong
        })?;
        let mut described = Described {
            bucket,
            bucket_id: bucket_id(&label),
            label,
            limit,
            name,
            period,
            policy: Box::default(),
        };
        described.policy = described.policy();
        Ok(Self(Arc::new(described)))
    }
}

impl Described {
    fn policy(&self) -> Box<str> {
        let (quantity, window) = advertised(self.bucket, self.limit, self.period);
        policy_member(&self.name, quantity, window).into()
    }
}

/// The time of a token in whole microseconds, rounded down.
fn interval(limit: u32, period: i64) -> Result<i64, QuotaError> {
    if limit == 0 || period == 0 {
        return Err(QuotaError::Zero);
    }
    if period > MAX_SPAN_MICROS {
        return Err(QuotaError::TooLong);
    }
    let limit = i64::from(limit);
    let interval = period.checked_div(limit).unwrap_or(0);
    let lost = period.saturating_sub(interval.saturating_mul(limit));
    if interval == 0 || lost.saturating_mul(MAX_ROUNDING) > period {
        return Err(QuotaError::Imprecise);
    }
    Ok(interval)
}

/// What `q` and `w` of the policy field say: a count that `r` never exceeds, and whole seconds that make the rate true.
///
/// That is the burst and the time to fill it where that time is whole, else the limit and its period. Where neither is
/// whole (or the burst is above the limit, so that `r` could exceed it) the time to fill is rounded up, which understates
/// the rate by less than a second in `w`.
pub(super) fn advertised(bucket: Bucket, limit: u32, period: i64) -> (u32, i64) {
    const SECOND: i64 = 1_000_000;
    let (burst, capacity) = (bucket.burst(), bucket.capacity());
    if capacity % SECOND != 0 && burst <= limit && period % SECOND == 0 {
        return (limit, period / SECOND);
    }
    (burst, seconds_up(capacity))
}

pub(super) fn policy_member(name: &str, quantity: u32, window: i64) -> String {
    format!("\"{name}\";q={quantity};w={window}")
}

/// Microseconds as whole seconds, rounded up; nothing below zero.
pub(super) fn seconds_up(micros: i64) -> i64 {
    micros.max(0).saturating_add(999_999) / 1_000_000
}

pub(super) fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Printable ASCII without the two characters that would need an escape (RFC 9651, section 3.3.3).
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    !name.is_empty() && name.len() <= MAX_NAME_LEN && name.bytes().all(plain)
}

fn period_label(micros: i64) -> Box<str> {
    match micros {
        1_000_000 => "second".into(),
        60_000_000 => "minute".into(),
        3_600_000_000 => "hour".into(),
        86_400_000_000 => "day".into(),
        _ if micros % 1_000_000 == 0 => format!("{}s", micros / 1_000_000).into(),
        _ => format!("{micros}us").into(),
    }
}

/// FNV-1a, 64 bit (Fowler, Noll, Vo): labels come from the operator, so nobody is there to make them collide.
fn bucket_id(label: &str) -> u64 {
    label.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, period) = (self.limit(), self.period());
        write!(f, "Quota({limit} per {period:?}")?;
        if self.burst() != limit {
            write!(f, ", burst {}", self.burst())?;
        }
        write!(f, ", named {:?}", self.name())?;
        if self.bucket_label() != self.name() {
            write!(f, ", in bucket {:?}", self.bucket_label())?;
        }
        f.write_char(')')
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;

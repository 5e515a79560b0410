//! How a quota is written in configuration.

use std::borrow::Cow;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Quota, QuotaError};

/// The words for `per`, with their seconds.
const WORDS: [(&str, u64); 4] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
];

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaText {
    limit: u32,
    per: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
}

/// Why a quota in configuration was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuotaTextError {
    #[error("`per` is neither second, minute, hour, day nor a span of time such as 90s")]
    Period,
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

impl TryFrom<QuotaText> for Quota {
    type Error = QuotaTextError;

    fn try_from(text: QuotaText) -> Result<Self, Self::Error> {
        let mut quota = Self::per(text.limit, period(&text.per)?)?;
        if let Some(burst) = text.burst {
            quota = quota.with_burst(burst)?;
        }
        if let Some(name) = text.name {
            quota = quota.named(&name)?;
        }
        if let Some(label) = text.bucket {
            quota = quota.in_bucket(&label)?;
        }
        Ok(quota)
    }
}

impl From<Quota> for QuotaText {
    fn from(quota: Quota) -> Self {
        let plain = Quota::per(quota.limit(), quota.period()).ok();
        let unless_default = |text: &str, default: fn(&Quota) -> &str| {
            let same = plain.as_ref().is_some_and(|plain| default(plain) == text);
            (!same).then(|| text.to_owned())
        };
        Self {
            limit: quota.limit(),
            per: written(quota.period()),
            burst: (quota.burst() != quota.limit()).then(|| quota.burst()),
            name: unless_default(quota.name(), Quota::name),
            bucket: unless_default(quota.bucket_label(), Quota::bucket_label),
        }
    }
}

fn period(text: &str) -> Result<Duration, QuotaTextError> {
    if let Some((_, seconds)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(Duration::from_secs(*seconds));
    }
    let span: SignedDuration = text.parse().map_err(|_| QuotaTextError::Period)?;
    Duration::try_from(span).map_err(|_| QuotaTextError::Period)
}

fn written(period: Duration) -> Cow<'static, str> {
    WORDS
        .iter()
        .find(|(_, seconds)| Duration::from_secs(*seconds) == period)
        .map_or_else(
            || {
                let span = SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
                format!("{span:#}").into()
            },
            |(word, _)| (*word).into(),
        )
}

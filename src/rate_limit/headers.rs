//! The header fields that tell a client about its limits.
//!
//! Names and values only: nothing here knows a web framework.

use std::fmt::Write as _;

use super::quota::{advertised, policy_member};
use super::{QuotaState, RateDecision};

/// Which revision of the `RateLimit` fields is sent.
///
/// The fields are an Internet draft and have changed their members before, so a revision is pinned by name and an upgrade
/// of the crate does not change what clients see.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HeaderProfile {
    /// draft-ietf-httpapi-ratelimit-headers-11 (May 2026): `q` and `w` in the policy, `r` and `t` in the state.
    #[default]
    Draft11,
}

/// How `X-RateLimit-Reset` counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResetStyle {
    /// Seconds from now.
    Delta,
    /// Seconds since 1970, as most large services send it.
    #[default]
    Epoch,
}

/// Which rate-limit fields a response carries.
///
/// ```
/// use keyward::rate_limit::{Answer, Cell, Charge, Quota, RateDecision, RateHeaders, Subject};
/// use keyward::time::Timestamp;
///
/// let quota = Quota::per_minute(60)?.named("starter")?;
/// let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota)];
/// let answer = Answer::new([Cell::new(1_000_000, 0)])?;
/// let decision = RateDecision::new(&charges, &answer, Timestamp::from_secs(1_700_000_000))?;
///
/// assert_eq!(
///     RateHeaders::default().fields(&decision),
///     [
///         ("ratelimit-policy", r#""starter";q=60;w=60"#.to_string()),
///         ("ratelimit", r#""starter";r=59;t=1"#.to_string()),
///         ("x-ratelimit-limit", "60".to_string()),
///         ("x-ratelimit-remaining", "59".to_string()),
///         ("x-ratelimit-reset", "1700000001".to_string()),
///     ],
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateHeaders {
    draft: Option<HeaderProfile>,
    legacy: Option<ResetStyle>,
}

/// Sends all of them: [`RateHeaders::ALL`].
impl Default for RateHeaders {
    fn default() -> Self {
        Self::ALL
    }
}

impl RateHeaders {
    /// Draft 11, and the `X-RateLimit` fields with an epoch reset.
    pub const ALL: Self = Self {
        draft: Some(HeaderProfile::Draft11),
        legacy: Some(ResetStyle::Epoch),
    };
    /// The names of all fields that [`RateHeaders::fields`] can produce, in lower case.
    pub const NAMES: [&'static str; 6] = [
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "retry-after",
    ];

    /// Chooses the revision of `RateLimit-Policy` and `RateLimit`, or leaves both out.
    #[must_use]
    pub const fn with_draft(self, profile: Option<HeaderProfile>) -> Self {
        Self {
            draft: profile,
            ..self
        }
    }

    /// Chooses how `X-RateLimit-Reset` counts, or leaves all three `X-RateLimit` fields out.
    #[must_use]
    pub const fn with_legacy(self, reset: Option<ResetStyle>) -> Self {
        Self {
            legacy: reset,
            ..self
        }
    }

    /// Returns the fields for a response, name in lower case and value, in a fixed order.
    ///
    /// `RateLimit-Policy` and `RateLimit` list every quota. The `X-RateLimit` fields hold one: that of
    /// [`RateDecision::tightest`]. `Retry-After` is there exactly on a denial that a wait can help. All numbers of seconds
    /// are rounded up, so a client that keeps to them is never early.
    #[must_use]
    pub fn fields(&self, decision: &RateDecision) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(Self::NAMES.len());
        let limited = decision.states().next().is_some();
        if limited && let Some(HeaderProfile::Draft11) = self.draft {
            fields.push(("ratelimit-policy", list(decision, policy)));
            fields.push(("ratelimit", list(decision, state)));
        }
        if let (Some(style), Some(tightest)) = (self.legacy, decision.tightest()) {
            let reset = match style {
                ResetStyle::Delta => tightest.full_secs(),
                ResetStyle::Epoch => tightest.reset_secs(),
            };
            fields.push(("x-ratelimit-limit", tightest.limit().to_string()));
            fields.push(("x-ratelimit-remaining", tightest.remaining().to_string()));
            fields.push(("x-ratelimit-reset", reset.to_string()));
        }
        if let Some(seconds) = decision.retry_after() {
            fields.push(("retry-after", seconds.to_string()));
        }
        fields
    }
}

fn list(decision: &RateDecision, member: fn(&mut String, &QuotaState)) -> String {
    let mut text = String::with_capacity(64);
    for state in decision.states() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        member(&mut text, state);
    }
    text
}

fn policy(text: &mut String, state: &QuotaState) {
    if state.share().get() == 1 {
        return text.push_str(state.quota().policy());
    }
    let bucket = state.bucket();
    let (quantity, window) = advertised(bucket, bucket.burst(), bucket.capacity());
    text.push_str(&policy_member(state.name(), quantity, window));
}

/// `t` is the time until there is more than `r`; a full bucket never gets more, so it has none.
fn state(text: &mut String, state: &QuotaState) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\"{}\";r={}", state.name(), state.remaining());
    let next = state.next_token_secs();
    if next > 0 {
        let _ = write!(text, ";t={next}");
    }
}

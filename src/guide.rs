//! The pages of `docs/`, as part of the documentation and of the doctests.

/// The decisions that shape the crate, and the reasons.
///
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

/// What a key looks like.
///
#[doc = include_str!("../docs/key-format.md")]
pub mod key_format {}

/// The numbered laws of access.
///
#[doc = include_str!("../docs/access-semantics.md")]
pub mod access_semantics {}

/// Quotas, tiers, buckets and headers.
///
#[doc = include_str!("../docs/rate-limiting.md")]
pub mod rate_limiting {}

/// Every default, with its reason.
///
#[doc = include_str!("../docs/defaults.md")]
pub mod defaults {}

/// Threats, what stops each, and what remains.
///
#[doc = include_str!("../docs/threat-model.md")]
pub mod threat_model {}

/// The HTTP layers: order, answers, proxies, https.
///
#[cfg(feature = "axum")]
#[doc = include_str!("../docs/http.md")]
pub mod http {}

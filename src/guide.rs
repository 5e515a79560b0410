//! The pages of `docs/`, as part of the documentation and of the doctests.

/// The decisions that shape the crate, and the reasons.
///
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

/// What a key looks like.
///
#[doc = include_str!("../docs/key-format.md")]
pub mod key_format {}

/// Keys that anybody may read.
///
#[doc = include_str!("../docs/publishable-keys.md")]
pub mod publishable_keys {}

/// Schemes, peppers, proofs and the pool.
///
#[doc = include_str!("../docs/hashing.md")]
pub mod hashing {}

/// Records that cannot be edited behind the service's back.
///
#[doc = include_str!("../docs/row-binding.md")]
pub mod row_binding {}

/// The numbered laws of access.
///
#[doc = include_str!("../docs/access-semantics.md")]
pub mod access_semantics {}

/// Quotas, tiers, buckets and headers.
///
#[doc = include_str!("../docs/rate-limiting.md")]
pub mod rate_limiting {}

/// What a store promises, and the ones that ship.
///
#[cfg(feature = "sqlite")]
#[doc = include_str!("../docs/store-contract.md")]
pub mod store_contract {}

/// Engines, settings, outages, backups, moving.
///
#[doc = include_str!("../docs/deployment.md")]
pub mod deployment {}

/// Events, the recorder, the file and the table.
///
#[doc = include_str!("../docs/audit.md")]
pub mod audit {}

/// Rules over the trail, what they see and what they do not.
///
#[cfg(feature = "time-zones")]
#[doc = include_str!("../docs/alerts.md")]
pub mod alerts {}

/// Which keys to look at, and telling their owners.
///
#[doc = include_str!("../docs/reviews.md")]
pub mod reviews {}

/// Recommended and enforced ages, warnings, planned changes.
///
#[cfg(all(feature = "axum", feature = "testing"))]
#[doc = include_str!("../docs/rotation.md")]
pub mod rotation {}

/// Second factors, recovery codes and issuing rules.
///
#[cfg(feature = "totp")]
#[doc = include_str!("../docs/second-factor.md")]
pub mod second_factor {}

/// Rules for secret scanners, what becomes of their finds, and keys taken out of logs.
///
#[doc = include_str!("../docs/secret-scanning.md")]
pub mod secret_scanning {}

/// Layers, statuses, headers, proxies.
///
#[cfg(all(feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../docs/http.md")]
pub mod http {}

/// Peppers, digests or records in Vault and OpenBao.
///
#[cfg(feature = "vault")]
#[doc = include_str!("../docs/vault.md")]
pub mod vault {}

/// Every default, with its reason.
///
#[doc = include_str!("../docs/defaults.md")]
pub mod defaults {}

/// Threats, what stops each, and what remains.
///
#[doc = include_str!("../docs/threat-model.md")]
pub mod threat_model {}

/// The front page.
///
#[cfg(all(feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
pub mod readme {}

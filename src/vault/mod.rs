//! HashiCorp Vault and OpenBao: where peppers are kept, digests are made, or records live.
//!
//! One [`VaultClient`] serves three uses, of which a service takes the one it needs:
//!
//! * [`VaultPeppers`] reads versioned peppers and keeps a [`PepperRing`](crate::hash::PepperRing) up to date with them.
//!   No request waits for Vault.
//! * [`TransitDigest`] is a scheme whose digests Vault computes: the key never leaves it.
//! * [`VaultStore`](crate::store::VaultStore) keeps the records themselves.
//!
//! `docs/vault.md` has the set-up, the policies, and what happens when Vault is sealed.

mod answer;
mod builder;
mod client;
mod error;
mod keeper;
mod kv;
mod log_in;
mod peppers;
mod place;
mod request;
mod session;
mod transit;

pub use self::builder::{DangerousVaultClientBuilder, VaultClientBuilder};
pub use self::client::{VaultClient, VaultClientStats};
pub use self::error::VaultError;
pub(crate) use self::kv::{Kv, MountConfig, Versioned};
pub use self::peppers::{PepperRefreshStats, VaultPeppers, VaultPeppersBuilder};
pub use self::transit::TransitDigest;

#![doc = include_str!("../docs/overview.md")]

pub mod access;
pub mod alert;
pub mod audit;
pub mod error;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod hash;
#[cfg(feature = "tower")]
pub mod http;
pub mod key;
mod kind;
mod networks;
pub mod notice;
#[cfg(any(feature = "vault", feature = "webhook"))]
mod outbound;
pub mod random;
pub mod rate_limit;
pub mod second_factor;
pub mod service;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
pub mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
#[cfg(feature = "vault")]
pub mod vault;

pub use async_trait::async_trait;
pub use error::BoxError;
pub use service::{Actor, IssueKey, KeyService, RequestContext, VerifiedKey};

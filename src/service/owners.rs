use std::fmt;

use async_trait::async_trait;

use crate::BoxError;
use crate::key::OwnerId;

/// Tells whether an owner is still welcome, so that a banned or deleted account's keys stop with it.
///
/// Asked on every request after the key was proved; keep it as fast as the store read beside it.
#[async_trait]
pub trait OwnerStatus: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the owner's keys may be used.
    ///
    /// # Errors
    ///
    /// Whatever kept the hook from finding out. The request is answered with an outage: neither allowed nor denied.
    async fn is_active(&self, owner: &OwnerId) -> Result<bool, BoxError>;
}

const _: Option<&dyn OwnerStatus> = None;

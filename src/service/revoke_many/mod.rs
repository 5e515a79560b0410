//! Ending many keys at one blow: all of an owner, a tenant or a role.

mod batch;
mod outcome;
mod run;

pub use outcome::{RevokeManyError, RevokedBatch, RevokedMany};

use crate::access::{RoleName, TenantId};
use crate::key::{Environment, OwnerId};
use crate::store::ListKeys;

/// Which keys are to be revoked, all of them, and why.
///
/// Whatever is not revoked yet is meant: also keys that are switched off, which could be switched on again, and keys that
/// have expired, whose expiry could be moved. Each further `with_…` narrows the order to keys that fit it as well.
///
/// ```
/// use keyward::service::RevokeMany;
///
/// let left = RevokeMany::of_owner("acme".parse()?, "contract ended");
/// let hacked = RevokeMany::of_role("admin".parse()?, "laptop stolen").with_tenant("north".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct RevokeMany {
    /// Newest first: whoever is at it now is met first, and a place in that order never moves.
    keys: ListKeys,
    reason: String,
}

impl RevokeMany {
    /// How many keys are read at a time, unless told otherwise.
    pub const DEFAULT_BATCH: u32 = ListKeys::DEFAULT_LIMIT;
    /// The largest batch.
    pub const MAX_BATCH: u32 = ListKeys::MAX_LIMIT;

    /// Orders the end of all keys of an owner, in all tenants and environments. The reason stands in each record and each
    /// event: one to 1024 bytes.
    pub fn of_owner(owner: OwnerId, reason: impl Into<String>) -> Self {
        Self::every_key(reason).with_owner(owner)
    }

    /// Orders the end of all keys that are bound to a tenant.
    pub fn of_tenant(tenant: TenantId, reason: impl Into<String>) -> Self {
        Self::every_key(reason).with_tenant(tenant)
    }

    /// Orders the end of all keys with a role, narrowed by scopes or not. The policy need not know the role (any more).
    pub fn of_role(role: RoleName, reason: impl Into<String>) -> Self {
        Self::every_key(reason).with_role(role)
    }

    /// Orders the end of **every key in the store**, whosoever it is. There is no way back: each client needs a new key.
    pub fn every_key(reason: impl Into<String>) -> Self {
        Self {
            keys: ListKeys::new(),
            reason: reason.into(),
        }
    }

    /// Only keys of this owner.
    pub fn with_owner(mut self, owner: OwnerId) -> Self {
        self.keys = self.keys.with_owner(owner);
        self
    }

    /// Only keys bound to this tenant.
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.keys = self.keys.with_tenant(tenant);
        self
    }

    /// Only keys with this role.
    pub fn with_role(mut self, role: RoleName) -> Self {
        self.keys = self.keys.with_role(role);
        self
    }

    /// Only keys of this environment.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.keys = self.keys.with_environment(environment);
        self
    }

    /// Reads so many keys at a time; 1 to [`Self::MAX_BATCH`], and what lies outside is taken as the nearer bound.
    pub fn with_batch(mut self, keys: u32) -> Self {
        self.keys = self.keys.with_limit(keys);
        self
    }

    /// Returns why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

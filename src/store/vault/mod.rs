//! Records in the KV engine, version 2, of Vault or OpenBao.
//!
//! One secret a record, written with check-and-set, so that each change is one step; and for each record an empty secret
//! by owner and creation, so that lists need not read everything. No step spans two secrets, so the order of the steps
//! decides what a crash can leave: `write` has it, `sweep` removes it.

mod body;
mod error;
mod list;
mod operations;
mod places;
mod sweep;

use std::fmt;

pub use self::sweep::Swept;
use crate::vault::{Kv, MountConfig, VaultClient, VaultError};

/// Records in a mount of the KV engine, version 2, that holds nothing else.
///
/// Every operation reads Vault: nothing is cached, so a revocation holds everywhere at once, and a sealed Vault stops
/// verification. A verification costs one read, and one more when its secret is not proven yet. For many verifications
/// a second keep the records in a database and the peppers in Vault.
///
/// It does without two capabilities. *Last uses* would be a new version of the whole record for each write, at the price
/// of a change. *Owner limits* need a count and a write in one step, and Vault has no step over two secrets.
///
/// `docs/vault.md` has the set-up, the policy, the layout, and what lists cost.
///
/// ```no_run
/// use keyward::service::KeyService;
/// use keyward::store::VaultStore;
/// use keyward::vault::VaultClient;
///
/// # async fn service(vault: VaultClient) -> Result<KeyService, Box<dyn std::error::Error>> {
/// let store = VaultStore::open(&vault, "keyward").await?;
/// Ok(KeyService::builder(store).build()?)
/// # }
/// ```
#[derive(Clone)]
pub struct VaultStore {
    kv: Kv,
}

impl VaultStore {
    /// Opens the mount, after reading that it is fit for records: it keeps one version, takes conditional writes only,
    /// and deletes nothing by itself.
    ///
    /// # Errors
    ///
    /// [`VaultError::Mount`] when it is not; [`VaultError::NotMounted`] when there is no such mount and
    /// [`VaultError::Absent`] when it is one of version 1; otherwise what the client met.
    pub async fn open(client: &VaultClient, mount: &str) -> Result<Self, VaultError> {
        let kv = Kv::new(client, mount)?;
        check(&kv.config().await?)?;
        Ok(Self { kv })
    }

    /// Sets the mount's configuration to what [`open`](Self::open) wants. Needs more than the service's own policy.
    ///
    /// Secrets that are there already lose their old versions when they are next written, so prepare a mount before
    /// anything is in it.
    ///
    /// # Errors
    ///
    /// [`VaultError::Setting`] for a mount that cannot be one; otherwise what the client met.
    ///
    /// ```no_run
    /// use keyward::store::VaultStore;
    /// use keyward::vault::VaultClient;
    ///
    /// # async fn set_up(admin: VaultClient) -> Result<(), keyward::vault::VaultError> {
    /// VaultStore::prepare(&admin, "keyward").await
    /// # }
    /// ```
    pub async fn prepare(client: &VaultClient, mount: &str) -> Result<(), VaultError> {
        let config = MountConfig {
            max_versions: 1,
            cas_required: true,
            delete_version_after: NEVER.to_owned(),
        };
        Kv::new(client, mount)?.configure(&config).await
    }
}

/// How Vault writes that it does not delete by itself.
const NEVER: &str = "0s";

fn check(config: &MountConfig) -> Result<(), VaultError> {
    let setting = if config.max_versions != 1 {
        // SECURITY: by default the digests of ten versions stay readable.
        "max_versions=1"
    } else if !config.cas_required {
        "cas_required=true"
    } else if config.delete_version_after != NEVER {
        "delete_version_after=0s"
    } else {
        return Ok(());
    };
    Err(VaultError::Mount { setting })
}

impl fmt::Debug for VaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultStore").field("kv", &self.kv).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(max_versions: u64, cas_required: bool, after: &str) -> Option<&'static str> {
        let config = MountConfig {
            max_versions,
            cas_required,
            delete_version_after: after.to_owned(),
        };
        match check(&config) {
            Err(VaultError::Mount { setting }) => Some(setting),
            _ => None,
        }
    }

    #[test]
    fn takes_a_mount_that_keeps_one_version_and_nothing_else() {
        assert_eq!(refused(1, true, "0s"), None);
        assert_eq!(refused(0, true, "0s"), Some("max_versions=1"));
        assert_eq!(refused(10, true, "0s"), Some("max_versions=1"));
        assert_eq!(refused(1, false, "0s"), Some("cas_required=true"));
        assert_eq!(
            refused(1, true, "720h0m0s"),
            Some("delete_version_after=0s")
        );
    }
}

//! Peppers that live in Vault: read at the start, read again from time to time.

mod builder;
mod layout;
mod refresh;

use std::fmt;
use std::sync::Arc;

use tokio::task::AbortHandle;

pub use self::builder::VaultPeppersBuilder;
use self::refresh::Shared;
use super::{VaultClient, VaultError};
use crate::hash::PepperRing;

/// A [`PepperRing`] whose peppers are kept in Vault, in one secret of a KV version 2 mount.
///
/// The ring is read when it is [loaded](VaultPeppersBuilder::load), then every five minutes, and soon after a stored
/// text named a version that the ring does not hold. Verification never waits for any of it: a Vault that is sealed or
/// gone stops changes of peppers and nothing else. What is read is taken over as a whole or not at all: see
/// [`PepperRing::take_over`] for what is refused.
///
/// The secret has a field for each version, `v1`, `v2` and so on, with 32 random bytes or more in base64, and `current`
/// with the number of the version for new digests. `docs/vault.md` has the commands.
///
/// Dropping it ends the refreshes; the ring stays as it is. Keep it for as long as the service runs.
///
/// ```no_run
/// use keyward::hash::Hashing;
/// use keyward::vault::{VaultClient, VaultPeppers};
///
/// # async fn load(vault: VaultClient) -> Result<(), Box<dyn std::error::Error>> {
/// let peppers = VaultPeppers::builder(&vault, "secret", "keyward/peppers").load().await?;
/// let hashing = Hashing::builder().peppers(peppers.ring()).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the refreshes"]
pub struct VaultPeppers {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What a [`VaultPeppers`] has done, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PepperRefreshStats {
    /// Refreshes that read the secret, whether it had changed or not.
    pub refreshed: u64,
    /// Refreshes that failed; the ring stayed as it was.
    pub failed: u64,
}

impl VaultPeppers {
    /// Returns the settings for the secret at `path` of a KV version 2 mount.
    pub fn builder(
        client: &VaultClient,
        mount: impl Into<String>,
        path: impl Into<String>,
    ) -> VaultPeppersBuilder {
        VaultPeppersBuilder::new(client.clone(), mount.into(), path.into())
    }

    /// Returns the ring, for [`HashingBuilder::peppers`](crate::hash::HashingBuilder::peppers) and
    /// [`KeyedDigest`](crate::hash::KeyedDigest).
    #[must_use]
    pub fn ring(&self) -> Arc<PepperRing> {
        Arc::clone(&self.shared.ring)
    }

    /// Reads the secret now. Returns whether the ring changed.
    ///
    /// # Errors
    ///
    /// [`VaultError::Absent`] when the secret is gone, [`VaultError::Peppers`] and [`VaultError::Answer`] when what it
    /// holds cannot be used; otherwise what the client met. The ring is as it was.
    pub async fn refresh(&self) -> Result<bool, VaultError> {
        self.shared.refresh().await
    }

    /// Returns what it has done.
    #[must_use]
    pub fn stats(&self) -> PepperRefreshStats {
        self.shared.stats()
    }
}

impl Drop for VaultPeppers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for VaultPeppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultPeppers")
            .field("ring", &self.shared.ring)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::refresh::{Report, Shared, keep};
use super::{VaultPeppers, layout};
use crate::vault::{Kv, VaultClient, VaultError, place};

/// How long the two steps of a change (add the pepper, make it current) must lie apart, and one read for each process
/// in that time.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// The settings of a [`VaultPeppers`].
///
/// ```no_run
/// use std::time::Duration;
/// use keyward::vault::{VaultClient, VaultPeppers};
///
/// # async fn load(vault: VaultClient) -> Result<(), keyward::vault::VaultError> {
/// let peppers = VaultPeppers::builder(&vault, "secret", "keyward/peppers")
///     .refresh_every(Duration::from_secs(60))
///     .report_failures(|error| eprintln!("the peppers were not refreshed: {error}"))
///     .load()
///     .await?;
/// assert_eq!(peppers.stats().failed, 0);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct VaultPeppersBuilder {
    client: VaultClient,
    mount: String,
    path: String,
    every: Duration,
    report: Option<Box<Report>>,
}

impl VaultPeppersBuilder {
    pub(super) fn new(client: VaultClient, mount: String, path: String) -> Self {
        Self {
            client,
            mount,
            path,
            every: EVERY,
            report: None,
        }
    }

    /// Sets how often the secret is read; every five minutes otherwise.
    pub const fn refresh_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Calls `report` with the error of each refresh that failed, those asked for by [`VaultPeppers::refresh`] included.
    pub fn report_failures(mut self, report: impl Fn(&VaultError) + Send + Sync + 'static) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Reads the secret, and starts the task that reads it again on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`VaultPeppers::refresh`], and [`VaultError::Setting`] for a mount, path or time that cannot be used. A service
    /// that has no peppers should not start.
    pub async fn load(self) -> Result<VaultPeppers, VaultError> {
        if self.every.is_zero() {
            return Err(VaultError::Setting {
                name: "refresh_every",
            });
        }
        let kv = Kv::new(&self.client, &self.mount)?;
        let path = place::checked("path", &self.path)?;
        let ring = Arc::new(layout::read(&kv, &path).await?);
        let missing = Arc::new(Notify::new());
        let told = Arc::clone(&missing);
        ring.on_missing(move || told.notify_one());
        let shared = Arc::new(Shared::new(kv, path, ring, self.report));
        let task = tokio::spawn(keep(Arc::clone(&shared), missing, self.every));
        Ok(VaultPeppers {
            shared,
            task: task.abort_handle(),
        })
    }
}

impl fmt::Debug for VaultPeppersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultPeppersBuilder")
            .field("client", &self.client)
            .field("mount", &self.mount)
            .field("path", &self.path)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

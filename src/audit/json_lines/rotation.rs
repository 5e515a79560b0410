use std::io;
use std::num::NonZeroU64;
use std::path::Path;

use super::chain::Batch;

/// When a new file is begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rotation {
    pub(super) size: Option<NonZeroU64>,
    pub(super) daily: bool,
}

impl Rotation {
    /// Refuses what cannot be done safely.
    pub(super) fn check(self, path: &Path) -> io::Result<()> {
        let wanted = self.daily || self.size.is_some();
        // Elsewhere a writer cannot see that another one has renamed the file it holds open.
        if wanted && !cfg!(unix) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // Renaming would move the link and purging remove it; the file would stay for ever.
        if wanted && path.is_symlink() {
            let why = "a trail that rotates must not be a symbolic link";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(())
    }

    /// Says whether the batch belongs into a new file. `day` is that of the first line in the present one.
    pub(super) fn is_due(self, length: u64, day: Option<i64>, batch: &Batch) -> bool {
        if length == 0 {
            return false;
        }
        let added = u64::try_from(batch.chained_len()).unwrap_or(u64::MAX);
        let full = self
            .size
            .is_some_and(|size| length.saturating_add(added) > size.get());
        // Later only: events of different requests do not come quite in the order of their times.
        let over = self.daily && day.zip(batch.day).is_some_and(|(old, new)| new > old);
        full || over
    }
}

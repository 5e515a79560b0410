use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{rotated, sync_folder};
use super::{failed, tail};
use crate::audit::AuditError;
use crate::time::Timestamp;

/// How long a trail is kept unless something else is required: 90 days, long enough to look into what was noticed late
/// and what many rules ask for as the part that is at hand.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What [`purge`] removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
#[must_use = "write down that there was a purge: the chain alone cannot tell it from files that were stolen"]
pub struct Purged {
    /// The files, oldest first.
    pub files: Vec<PathBuf>,
    /// Sequence of the last line removed, if it had one.
    pub last_sequence: Option<u64>,
}

/// Removes the rotated files of a trail whose last event is older than `retention`, oldest first, and returns which.
///
/// It leaves no trace: [`AuditRecorder::purge`](crate::audit::AuditRecorder::purge) with
/// [`TrailFiles`](crate::audit::TrailFiles) writes down what it removes, and can export it first.
///
/// Only whole files go, from the front: the first line of what remains still names the file, the sequence and the
/// hash before it, and [`verify_chain`](super::verify_chain) accepts that and says so. The file that is being written
/// stays, and so does the newest rotated one while the present one is empty. It stops at the first file that is young
/// enough or whose last line cannot be read. Run it from one place; it blocks. Writers need not stop. Pieces of lines
/// in the `.torn` file are left to you.
///
/// # Errors
///
/// * [`AuditError::Backend`] or [`AuditError::Unavailable`]: a file or the folder cannot be read or removed. Files
///   before it are gone, and the remainder can be verified.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, DEFAULT_RETENTION, purge};
/// use keyward::time::{Clock, SystemClock};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.jsonl");
/// let now = SystemClock::new().now();
/// let purged = purge(&path, DEFAULT_RETENTION, now)?;
/// // For the recorder: the purge is part of the trail.
/// let event = AuditEvent::new(AuditKind::AuditPurged, now)
///     .with_detail("files", i64::try_from(purged.files.len())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn purge(
    path: impl AsRef<Path>,
    retention: Duration,
    now: Timestamp,
) -> Result<Purged, AuditError> {
    let path = path.as_ref();
    let mut purged = Purged::default();
    let removed = remove_older(path, now.saturating_sub(retention), &mut purged);
    let synced = if purged.files.is_empty() {
        Ok(())
    } else {
        sync_folder(path)
    };
    removed.and(synced).map_err(failed)?;
    Ok(purged)
}

fn remove_older(path: &Path, limit: Timestamp, purged: &mut Purged) -> io::Result<()> {
    for file in removable(path)? {
        let open = File::open(&file)?;
        let line = tail::last_line(&open)?.unwrap_or_default();
        let old = tail::time_of(&line).is_some_and(|time| time < limit);
        if !old {
            break;
        }
        fs::remove_file(&file)?;
        purged.last_sequence = tail::sequence_of(&line);
        purged.files.push(file);
    }
    Ok(())
}

/// All rotated files that a line follows.
pub(super) fn removable(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = rotated(path)?.into_iter().map(|(_, file)| file).collect();
    // Looked at second: whatever was rotated since then follows all that is listed.
    let followed = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        present => tail::last_line(&present?)?.is_some(),
    };
    if !followed {
        files.pop();
    }
    Ok(files)
}

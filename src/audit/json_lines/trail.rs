use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{NAME, failed, tail};
use crate::audit::{AuditError, AuditEvent};

/// The open file, and what its writer has to remember. All methods but [`Trail::lines`] may block.
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    file: File,
    /// Where our last line ended. If the file is not that long, something else happened to it.
    length: u64,
    last_sequence: Option<u64>,
}

impl Trail {
    pub(super) fn open(path: PathBuf) -> Result<Self, AuditError> {
        let file = open_private(&path).map_err(failed)?;
        let (length, last_sequence) = {
            let _lock = Lock::take(&file).map_err(failed)?;
            // Looked at before anything is changed: it may be some other file.
            let last = tail::last_sequence(&file).map_err(failed)?;
            let last = last.ok_or(AuditError::unreadable(NAME))?;
            (tail::mend(&file, &path).map_err(failed)?, last)
        };
        if length == 0 {
            sync_folder(&path).map_err(failed)?;
        }
        Ok(Self {
            path,
            file,
            length,
            last_sequence,
        })
    }

    /// Returns the lines of a batch. The one place where lines are made, in the order in which they are written.
    pub(super) fn lines(&mut self, events: &[AuditEvent]) -> Result<Vec<u8>, AuditError> {
        let mut lines = Vec::with_capacity(events.len().saturating_mul(512));
        for event in events {
            event.write_line(&mut lines)?;
            lines.push(b'\n');
            self.last_sequence = self.last_sequence.max(event.sequence());
        }
        Ok(lines)
    }

    /// Writes whole lines at the end of the file.
    pub(super) fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        let _lock = Lock::take(&self.file)?;
        if self.file.metadata()?.len() != self.length {
            tail::mend(&self.file, &self.path)?;
        }
        (&self.file).write_all(lines)?;
        self.length = self.file.metadata()?.len();
        if sync { self.sync() } else { Ok(()) }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) const fn last_sequence(&self) -> Option<u64> {
        self.last_sequence
    }
}

/// Opens a file for reading and appending; a new one belongs to its owner alone.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the name of a new file as safe as its content.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Keeps other writers out until dropped. The operating system lifts it when the process ends.
struct Lock<'a>(&'a File);

impl<'a> Lock<'a> {
    /// File systems without locks are used without.
    fn take(file: &'a File) -> io::Result<Self> {
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Self(file)),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a failure; closing the file lifts the lock in any case.
        let _ = self.0.unlock();
    }
}

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::{After, Batch, Head, LineHash};
use super::files::{is_at, numbered, open_private, rotated, sync_folder};
use super::rotation::Rotation;
#[cfg(feature = "audit-seal")]
use super::seal::{Outbox, Sealer, Sealing};
use super::{NAME, failed, tail};
use crate::audit::AuditError;

/// The open file, and what its writer has to remember. All methods may block but [`Trail::last_sequence`].
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    file: Arc<File>,
    rotation: Rotation,
    /// Where our last line ended. If the file is not that long, something else happened to it. `None` until the file
    /// was looked at.
    length: Option<u64>,
    /// What the next line is tied to.
    head: Head,
    /// The UTC day of the first line in the file.
    day: Option<i64>,
    last_sequence: Option<u64>,
    #[cfg(feature = "audit-seal")]
    sealer: Option<Sealer>,
}

impl Trail {
    pub(super) fn open(path: PathBuf, rotation: Rotation) -> Result<Self, AuditError> {
        rotation.check(&path).map_err(failed)?;
        // The path is asked again before each batch, and the process may move to another folder.
        let path = std::path::absolute(path).map_err(failed)?;
        let mut trail = Self {
            file: Arc::new(open_private(&path).map_err(failed)?),
            path,
            rotation,
            length: None,
            head: Head::START,
            day: None,
            last_sequence: None,
            #[cfg(feature = "audit-seal")]
            sealer: None,
        };
        let lock = trail.lock().map_err(failed)?;
        // Looked at before anything is changed: it may be some other file.
        let last = tail::last_sequence(&trail.file).map_err(failed)?;
        trail.last_sequence = last.ok_or(AuditError::unreadable(NAME))?;
        trail.look().map_err(failed)?;
        drop(lock);
        Ok(trail)
    }

    /// Writes the batch at the end of the file, or at the beginning of the next one.
    pub(super) fn append(&mut self, batch: &Batch, sync: bool) -> io::Result<()> {
        let mut lock = self.lock()?;
        let mut length = self.look()?;
        if self.rotation.is_due(length, self.day, batch) {
            #[cfg(feature = "audit-seal")]
            let sealed = self.seal_full_file(length)?;
            self.rotate()?;
            drop(lock);
            lock = self.lock()?;
            length = self.look()?;
            #[cfg(feature = "audit-seal")]
            self.begin_sealed_file(sealed, length);
        }
        self.last_sequence = self.last_sequence.max(batch.last_sequence);
        let mut head = self.head.clone();
        let lines = head.link(batch)?;
        (&*self.file).write_all(&lines)?;
        if length == 0 {
            self.day = batch.day;
        }
        self.head = head;
        let end = self.file.metadata()?.len();
        self.length = Some(end);
        #[cfg(feature = "audit-seal")]
        if let Some(sealer) = &mut self.sealer {
            sealer.wrote(length, &lines, end);
        }
        drop(lock);
        if sync { self.sync() } else { Ok(()) }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) const fn last_sequence(&self) -> Option<u64> {
        self.last_sequence
    }

    /// Locks the file that has the trail's name now: another process may have rotated the one that is open.
    fn lock(&mut self) -> io::Result<Lock> {
        loop {
            let lock = Lock::take(&self.file)?;
            if is_at(&self.file, &self.path)? {
                return Ok(lock);
            }
            drop(lock);
            self.file = Arc::new(open_private(&self.path)?);
            self.length = None;
            #[cfg(feature = "audit-seal")]
            if let Some(sealer) = &mut self.sealer {
                sealer.moved();
            }
        }
    }

    /// Finds out where the file ends and what its next line is tied to, unless that is known. Returns its length.
    fn look(&mut self) -> io::Result<u64> {
        let length = self.file.metadata()?.len();
        if self.length == Some(length) {
            return Ok(length);
        }
        let length = tail::mend(&self.file, &self.path)?;
        self.head = match tail::last_line(&self.file)? {
            Some(line) => Head::line(LineHash::of(&line)),
            None => self.head_of_an_empty_file()?,
        };
        if self.rotation.daily {
            self.day = tail::first_day(&self.file)?;
        }
        if length == 0 {
            sync_folder(&self.path)?;
        }
        self.length = Some(length);
        Ok(length)
    }

    /// A new file goes on after the newest rotated one, whoever rotated it, and also if a crash came before its first
    /// line. A file that was emptied under us goes on after the last line known.
    fn head_of_an_empty_file(&mut self) -> io::Result<Head> {
        if self.length.is_none()
            && let Some(head) = self.head_after_rotation()?
        {
            return Ok(head);
        }
        let hash = self.head.hash;
        let known = hash != LineHash::START;
        let after = known.then_some(After {
            file: None,
            sequence: self.last_sequence,
        });
        Ok(Head { hash, after })
    }

    fn head_after_rotation(&mut self) -> io::Result<Option<Head>> {
        let Some((_, path)) = rotated(&self.path)?.pop() else {
            return Ok(None);
        };
        let file = File::open(&path)?;
        let Some(line) = tail::last_line(&file)? else {
            return Ok(None);
        };
        let highest = tail::last_sequence(&file)?.flatten();
        self.last_sequence = self.last_sequence.max(highest);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Some(Head {
            hash: LineHash::of(&line),
            after: Some(After {
                file: Some(name.into_owned()),
                sequence: tail::sequence_of(&line),
            }),
        }))
    }

    /// Gives the file its number. What follows a crash here is an empty file or none, which is how a new file begins.
    fn rotate(&self) -> io::Result<()> {
        self.file.sync_data()?;
        fs::rename(&self.path, self.next_name()?)?;
        sync_folder(&self.path)
    }

    /// One more than the highest number there is. The first line knows the number before its own, so that none comes
    /// back after a purge.
    fn next_name(&self) -> io::Result<PathBuf> {
        let highest = rotated(&self.path)?.pop().map(|(number, _)| number);
        let before = tail::number_before(&self.file)?;
        let number = highest.max(before).unwrap_or(0).saturating_add(1);
        let name = numbered(&self.path, number);
        // Renaming would replace it. Only a number at the end of the range can lead here.
        if name.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(name)
    }
}

/// What sealing adds.
#[cfg(feature = "audit-seal")]
impl Trail {
    /// Seals from now on, beginning after the last checkpoint.
    pub(super) fn seal_with(
        &mut self,
        sealing: Arc<Sealing>,
        outbox: Arc<Outbox>,
    ) -> Result<(), AuditError> {
        let lock = self.lock().map_err(failed)?;
        let length = self.look().map_err(failed)?;
        let mut sealer = Sealer::resume(sealing, outbox, &self.path)?;
        self.sync().map_err(failed)?;
        sealer.begin(&self.file, &self.path, length)?;
        self.sealer = Some(sealer);
        drop(lock);
        Ok(())
    }

    /// Forces the file to the disk, and makes a checkpoint if there are new lines.
    pub(super) fn seal(&mut self) -> Result<(), AuditError> {
        let lock = self.lock().map_err(failed)?;
        let length = self.look().map_err(failed)?;
        self.sync().map_err(failed)?;
        if let Some(sealer) = &mut self.sealer {
            sealer.seal(&self.file, &self.path, length)?;
        }
        drop(lock);
        Ok(())
    }

    /// Makes a checkpoint at the end of a file, so that the files after it can be verified without it. A failure is counted,
    /// and keeps no event from being written. Says whether the tree holds all lines of the file.
    fn seal_full_file(&mut self, length: u64) -> io::Result<bool> {
        let Some(sealer) = &mut self.sealer else {
            return Ok(false);
        };
        self.file.sync_data()?;
        let _ = sealer.seal(&self.file, &self.path, length);
        Ok(sealer.is_at(length))
    }

    fn begin_sealed_file(&mut self, sealed: bool, length: u64) {
        if let Some(sealer) = &mut self.sealer {
            sealer.rotated(sealed, length);
        }
    }
}

/// Keeps other writers out until dropped. The operating system lifts it when the process ends.
struct Lock(Arc<File>);

impl Lock {
    /// File systems without locks are used without.
    fn take(file: &Arc<File>) -> io::Result<Self> {
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Self(Arc::clone(file))),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nothing can be done about a failure; closing the file lifts the lock in any case.
        let _ = self.0.unlock();
    }
}

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::notes_file::{NotesFile, checkpoints_file};
use super::outbox::{CAPACITY, Outbox};
use super::progress::Progress;
use super::settings::ExistingTrail;
use super::{Checkpoint, CheckpointFault, Sealing};
use crate::audit::AuditError;

use super::super::{NAME, failed};

/// Why no checkpoint could be made.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum SealFailure {
    #[error("the trail or its checkpoints cannot be read or written")]
    Io(#[from] io::Error),

    #[error("the last checkpoint beside the trail {0}")]
    NotOurs(CheckpointFault),

    #[error(
        "the trail has lines and no checkpoint beside it: somebody may have removed the checkpoints and changed the lines. Put \
         the file of checkpoints back, or verify the trail with one kept elsewhere and move it away; if it was never sealed, \
         say `Sealing::begin_on_existing_trail` once"
    )]
    NoCheckpoint,

    #[error(
        "the newest checkpoint written is not in the file beside the trail any more: it was removed or cut off"
    )]
    Removed,

    #[error("the line that was sealed last is not in the trail any more")]
    Lost,

    #[error("a checkpoint beside the trail contradicts its lines")]
    Forked,
}

impl From<SealFailure> for AuditError {
    fn from(failure: SealFailure) -> Self {
        match failure {
            SealFailure::Io(error) => failed(error),
            other => Self::backend(NAME, other),
        }
    }
}

/// Makes the checkpoints of one trail. Everything is done under the lock of the trail, and may block.
#[derive(Debug)]
pub(in super::super) struct Sealer {
    sealing: Arc<Sealing>,
    notes: PathBuf,
    progress: Progress,
    /// Lines covered by the newest checkpoint that was made.
    signed: u64,
    /// Lines covered by the newest note that is known to be in the file. `None` while none is.
    present: Option<u64>,
    /// Checkpoints that could not be written yet.
    unwritten: VecDeque<Checkpoint>,
    outbox: Arc<Outbox>,
}

impl Sealer {
    /// Goes on from the last checkpoint beside the trail.
    pub(in super::super) fn resume(
        sealing: Arc<Sealing>,
        outbox: Arc<Outbox>,
        trail: &Path,
    ) -> Result<Self, SealFailure> {
        sealing.check()?;
        let mut sealer = Self {
            sealing,
            notes: checkpoints_file(trail),
            progress: Progress::new(),
            signed: 0,
            present: None,
            unwritten: VecDeque::new(),
            outbox,
        };
        if let Some(last) = sealer.last(&NotesFile::open(&sealer.notes)?)? {
            sealer.progress = Progress::of(&last);
            sealer.signed = last.size();
            sealer.present = Some(last.size());
        }
        Ok(sealer)
    }

    /// Reads the lines after the last checkpoint. Where there is none, begins with one before the first line; if there are lines
    /// already it refuses, unless it was told to seal them as they are.
    pub(in super::super) fn begin(
        &mut self,
        file: &File,
        trail: &Path,
        length: u64,
    ) -> Result<(), SealFailure> {
        self.catch_up(file, trail, length)?;
        if self.present.is_some() {
            return Ok(());
        }
        if self.progress.is_empty() {
            let beginning = Checkpoint::beginning(&self.sealing.key);
            self.unwritten.push_back(beginning);
        } else if self.sealing.existing == ExistingTrail::Refuse {
            // SECURITY: whoever removes the checkpoints must not get what they changed signed.
            return Err(SealFailure::NoCheckpoint);
        }
        // As later: a full disk is counted, made up for, and keeps no event from being written.
        let _ = self.seal(file, trail, length);
        Ok(())
    }

    /// Reads the lines after the last checkpoint, so that later changes to them contradict the next one.
    pub(in super::super) fn catch_up(
        &mut self,
        file: &File,
        trail: &Path,
        length: u64,
    ) -> Result<(), SealFailure> {
        if self.progress.catch_up(file, trail, length)? {
            Ok(())
        } else {
            Err(SealFailure::Lost)
        }
    }

    pub(in super::super) fn wrote(&mut self, before: u64, lines: &[u8], after: u64) {
        self.progress.wrote(before, lines, after);
    }

    /// Says whether the tree holds all lines of the trail, whose open file is that long.
    pub(in super::super) fn is_at(&self, length: u64) -> bool {
        self.progress.is_at(length)
    }

    /// Another process has rotated the file.
    pub(in super::super) fn moved(&mut self) {
        self.progress.moved();
    }

    /// We have rotated the file, after it was sealed at that length; the new one is that long.
    pub(in super::super) fn rotated(&mut self, sealed: bool, length: u64) {
        if sealed && length == 0 {
            self.progress.moved_on();
        }
    }

    /// Makes a checkpoint if there are new lines, and writes those that could not be written before. The lines have to be
    /// on the disk already: a checkpoint of lines that a power cut takes away would accuse somebody.
    pub(in super::super) fn seal(
        &mut self,
        file: &File,
        trail: &Path,
        length: u64,
    ) -> Result<(), SealFailure> {
        let sealed = self.try_seal(file, trail, length);
        if sealed.is_err() {
            self.outbox.count_failed();
        }
        sealed
    }

    fn try_seal(&mut self, file: &File, trail: &Path, length: u64) -> Result<(), SealFailure> {
        self.catch_up(file, trail, length)?;
        if let Some((tree, from, to)) = self.progress.state()
            && tree.size() > self.signed
        {
            self.signed = tree.size();
            if self.unwritten.len() >= CAPACITY {
                self.unwritten.pop_front();
            }
            let checkpoint = Checkpoint::sign(&self.sealing.key, tree, from, to);
            self.unwritten.push_back(checkpoint);
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), SealFailure> {
        let notes = NotesFile::open(&self.notes)?;
        let last = self.last(&notes)?;
        let present = last.as_ref().map(Checkpoint::size);
        if present < self.present {
            return Err(SealFailure::Removed);
        }
        self.present = present;
        // Another process may have sealed the trail as well. Both have seen all lines.
        if let (Some(last), Some(newest)) = (last, self.unwritten.back()) {
            let same = last.size() == newest.size() && last.root() == newest.root();
            if last.size() >= newest.size() && !same {
                return Err(SealFailure::Forked);
            }
        }
        while let Some(checkpoint) = self.unwritten.front() {
            let size = Some(checkpoint.size());
            if size > present {
                notes.append(checkpoint)?;
                self.present = size;
                self.outbox.put(checkpoint.clone());
            }
            self.unwritten.pop_front();
        }
        Ok(())
    }

    fn last(&self, notes: &NotesFile) -> Result<Option<Checkpoint>, SealFailure> {
        let Some(note) = notes.last()? else {
            return Ok(None);
        };
        let checkpoint =
            Checkpoint::open(&note, &self.sealing.keys).map_err(SealFailure::NotOurs)?;
        Ok(Some(checkpoint))
    }
}

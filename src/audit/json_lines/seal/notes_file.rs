//! The file of checkpoints beside a trail: signed notes, an empty line after each.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::super::files::{open_private, sync_folder, with_suffix};
use super::super::tail;
use super::Checkpoint;
use super::note::MARK;

/// How far from its end the file is read for the last note: one has at most some 4 kB.
const WINDOW: u64 = 64 * 1024;

/// Returns the file that the checkpoints of a trail are written to: `audit.jsonl` has `audit.jsonl.checkpoints`.
///
/// ```
/// use std::path::Path;
///
/// use keyward::audit::checkpoints_file;
///
/// assert_eq!(checkpoints_file("log/audit.jsonl"), Path::new("log/audit.jsonl.checkpoints"));
/// ```
#[must_use]
pub fn checkpoints_file(path: impl AsRef<Path>) -> PathBuf {
    with_suffix(path.as_ref(), ".checkpoints")
}

/// Opened for each checkpoint: they are rare, and so it is seen that a file was moved away or put back.
pub(super) struct NotesFile {
    file: File,
    path: PathBuf,
}

impl NotesFile {
    /// Opens the file, and moves a note that a crash cut off to the `.torn` file beside.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let this = Self {
            file: open_private(path)?,
            path: path.to_owned(),
        };
        if this.file.metadata()?.len() == 0 {
            sync_folder(path)?;
        }
        this.mend()?;
        Ok(this)
    }

    /// Returns the last note. `None` if there is none.
    pub(super) fn last(&self) -> io::Result<Option<String>> {
        let bytes = self.tail()?;
        let Some(text) = bytes.strip_suffix(b"\n") else {
            return Ok(None);
        };
        let start = gaps(text).into_iter().rev().nth(1).unwrap_or(0);
        let note = text.get(start..).unwrap_or_default().to_vec();
        String::from_utf8(note).map(Some).map_err(io::Error::other)
    }

    pub(super) fn append(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let entry = format!("{}\n", checkpoint.note());
        (&self.file).write_all(entry.as_bytes())?;
        self.file.sync_data()
    }

    fn tail(&self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        tail::read_range(&self.file, length.saturating_sub(WINDOW), length)
    }

    fn mend(&self) -> io::Result<()> {
        let bytes = self.tail()?;
        let torn = bytes.len().saturating_sub(end_of_last_note(&bytes));
        if torn == 0 {
            return Ok(());
        }
        let torn = u64::try_from(torn).unwrap_or(u64::MAX);
        let length = self.file.metadata()?.len();
        // No crash leaves that much: it is some other file.
        if torn >= WINDOW {
            return Err(io::ErrorKind::InvalidData.into());
        }
        tail::move_away(&self.file, &self.path, length.saturating_sub(torn))
    }
}

/// The notes of a file, and how many bytes come after the last whole one.
pub(super) fn split(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (whole, rest) = bytes
        .split_at_checked(end_of_last_note(bytes))
        .unwrap_or((bytes, b""));
    let mut notes = Vec::new();
    let mut start = 0;
    for pair in gaps(whole).chunks(2) {
        let end = pair.last().copied().unwrap_or(whole.len());
        let note = whole.get(start..end).unwrap_or_default();
        notes.push(note.strip_suffix(b"\n").unwrap_or(note));
        start = end;
    }
    (notes, rest.len())
}

/// Positions after every empty line.
fn gaps(bytes: &[u8]) -> Vec<usize> {
    let pairs = bytes.windows(2).enumerate();
    let gaps = pairs.filter(|(_, pair)| *pair == b"\n\n");
    gaps.map(|(at, _)| at.saturating_add(2)).collect()
}

/// A whole note ends in a signature line and an empty one.
fn end_of_last_note(bytes: &[u8]) -> usize {
    let is_signature = |end: usize| {
        let line = bytes.get(..end.saturating_sub(2)).unwrap_or_default();
        let start = line
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at.saturating_add(1));
        line.get(start..)
            .unwrap_or_default()
            .starts_with(MARK.as_bytes())
    };
    let ends = gaps(bytes).into_iter().rev();
    ends.into_iter().find(|end| is_signature(*end)).unwrap_or(0)
}

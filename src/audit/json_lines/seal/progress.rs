//! How far the tree of a trail has grown, and growing on with the lines in its files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::super::files::trail_files;
use super::super::tail;
use super::Checkpoint;
use super::tree::Tree;
use crate::audit::LineHash;

/// Longest line that is read. Ours have at most some 45 kB.
const LONGEST: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Progress {
    tree: Tree,
    /// What the first line names as `prev`.
    from: LineHash,
    /// The last line in the tree. `None` while there is none.
    last: Option<LineHash>,
    /// Where that line ends in the file that is open. `None` if it is in another one, or not known.
    end: Option<u64>,
}

/// What the trail says comes before a line.
#[derive(Deserialize)]
struct Link {
    prev: Option<LineHash>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::default(),
            from: LineHash::START,
            last: None,
            end: None,
        }
    }

    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            tree: checkpoint.tree().clone(),
            from: checkpoint.from(),
            last: (!checkpoint.is_beginning()).then_some(checkpoint.last_hash()),
            end: None,
        }
    }

    /// Says whether there is no line in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Returns what a checkpoint says: the tree, and the hashes before its first line and of its last.
    pub(super) fn state(&self) -> Option<(Tree, LineHash, LineHash)> {
        Some((self.tree.clone(), self.from, self.last?))
    }

    /// Takes lines that were just written between two lengths of the file, if it knows all lines before.
    pub(super) fn wrote(&mut self, before: u64, lines: &[u8], after: u64) {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let grew = before.checked_add(length) == Some(after);
        if self.end != Some(before) || !grew {
            return;
        }
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            self.push(line);
        }
        self.end = Some(after);
    }

    /// Another file is open now.
    pub(super) fn moved(&mut self) {
        self.end = None;
    }

    /// The file that is open is empty, and its first line will follow the last one known.
    pub(super) fn moved_on(&mut self) {
        self.end = Some(0);
    }

    /// Says whether it knows all lines of a file of that length.
    pub(super) fn is_at(&self, length: u64) -> bool {
        self.end == Some(length)
    }

    /// Takes all lines that it does not know yet. `false` if the last one it knows is not there any more.
    pub(super) fn catch_up(&mut self, file: &File, path: &Path, length: u64) -> io::Result<bool> {
        if self.is_at(length) {
            return Ok(true);
        }
        // As after every orderly end: nothing to read.
        let newest = tail::last_line_before(file, length)?;
        if self.last.is_some() && newest.map(|line| LineHash::of(&line)) == self.last {
            self.end = Some(length);
            return Ok(true);
        }
        // A copy is changed: what fails half way is begun anew.
        let mut next = Self {
            tree: self.tree.clone(),
            ..*self
        };
        if !next.read_on(file, length)? && !next.read_trail(path)? {
            return Ok(false);
        }
        next.end = Some(length);
        *self = next;
        Ok(true)
    }

    /// Reads on in the open file. `false` if the last line is not where it was.
    fn read_on(&mut self, file: &File, length: u64) -> io::Result<bool> {
        let Some(end) = self.end.filter(|end| *end < length) else {
            return Ok(false);
        };
        // The file may have been emptied and filled again.
        let before = tail::last_line_before(file, end)?;
        if end > 0 && before.map(|line| LineHash::of(&line)) != self.last {
            return Ok(false);
        }
        Lines::new(file, end)?.try_each(|line, _| self.push(line))?;
        Ok(true)
    }

    /// Looks for the last line in the files, newest first, and reads on from there.
    fn read_trail(&mut self, path: &Path) -> io::Result<bool> {
        let files = trail_files(path)?;
        let mut start = None;
        for (index, name) in files.iter().enumerate().rev() {
            if let Some(offset) = self.position_in(&File::open(name)?)? {
                start = Some((index, offset));
                break;
            }
        }
        let (index, mut offset) = match (start, self.last) {
            (Some(start), _) => start,
            (None, None) => (0, 0),
            (None, Some(_)) => return Ok(false),
        };
        for name in files.iter().skip(index) {
            Lines::new(&File::open(name)?, offset)?.try_each(|line, _| self.push(line))?;
            offset = 0;
        }
        Ok(true)
    }

    /// Returns where in a file the line after the last known one begins.
    fn position_in(&self, file: &File) -> io::Result<Option<u64>> {
        let Some(last) = self.last else {
            return Ok(None);
        };
        let (mut first, mut found) = (true, None);
        Lines::new(file, 0)?.try_each(|line, end| {
            if first && prev(line) == last {
                found = Some(0);
            } else if found.is_none() && LineHash::of(line) == last {
                found = Some(end);
            }
            first = false;
        })?;
        Ok(found)
    }

    fn push(&mut self, line: &[u8]) {
        if self.last.is_none() {
            self.from = prev(line);
        }
        self.tree.push(line);
        self.last = Some(LineHash::of(line));
    }
}

/// Returns what a line names as the one before. A line from before there was a chain names nothing.
fn prev(line: &[u8]) -> LineHash {
    let link = serde_json::from_slice::<Link>(line).ok();
    link.and_then(|link| link.prev).unwrap_or(LineHash::START)
}

/// The whole lines of a file from some position on.
struct Lines<'f> {
    reader: BufReader<&'f File>,
    position: u64,
}

impl<'f> Lines<'f> {
    fn new(mut file: &'f File, position: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(position))?;
        let reader = BufReader::with_capacity(64 * 1024, file);
        Ok(Self { reader, position })
    }

    /// Calls with each line and the position after its line end.
    fn try_each(mut self, mut each: impl FnMut(&[u8], u64)) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = LONGEST.saturating_add(1);
            let read = (&mut self.reader)
                .take(limit)
                .read_until(b'\n', &mut line)?;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            self.position = self.position.saturating_add(read);
            match line.strip_suffix(b"\n") {
                Some(line) => each(line, self.position),
                None if read > LONGEST => return Err(io::ErrorKind::InvalidData.into()),
                None => return Ok(()),
            }
        }
    }
}

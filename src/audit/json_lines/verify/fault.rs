use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::super::chain::LineHash;
use super::lines::Line;

/// Why a trail was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A line does not fit. All lines before it do.
    #[error("line {line} of `{}` {fault}", file.display())]
    #[non_exhaustive]
    Broken {
        /// The file it stands in.
        file: PathBuf,
        /// Its number there, from 1.
        line: u64,
        /// What is wrong with it.
        fault: ChainFault,
    },

    /// A file could not be read.
    #[error("the audit file `{}` cannot be read", file.display())]
    #[non_exhaustive]
    Read {
        /// Which one.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ChainError {
    pub(super) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read {
            file: file.to_owned(),
            source,
        }
    }

    fn broken(line: &Line, fault: ChainFault) -> Self {
        Self::Broken {
            file: line.file.to_path_buf(),
            line: line.number,
            fault,
        }
    }
}

/// What is wrong with a line.
///
/// That the chain breaks at this line or beside it is certain. What was done is read from the neighbours and from the
/// sequences: somebody who changes more than one thing at once can make one look like another, and where nothing
/// follows the last line, its own `prev` and the line before cannot be told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChainFault {
    /// It is not the line that was written there.
    Altered,
    /// One or more lines before it are missing.
    Missing,
    /// It was put in; without it the lines around it fit. Also a line that stands there twice.
    Inserted,
    /// It and the next line have changed places.
    Swapped,
    /// It is not an event.
    Unreadable,
    /// It is the first of its file, and does not follow the last line of the file before: one of the two was
    /// changed or removed, or a file is missing or in the wrong place.
    NotLinked,
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Altered => "was altered",
            Self::Missing => "does not follow: lines before it are missing",
            Self::Inserted => "was inserted",
            Self::Swapped => "was swapped with the next one",
            Self::Unreadable => "is not an audit event",
            Self::NotLinked => "is not linked to the file before",
        })
    }
}

/// A line that does not follow the one before, and what stands around it.
#[derive(Debug)]
pub(super) struct Break<'a> {
    /// What the line before that one names.
    pub(super) earlier: LineHash,
    /// The line before, which follows what it names. `None` at the start.
    pub(super) before: Option<&'a Line>,
    /// The line that does not follow.
    pub(super) here: &'a Line,
    /// The next line, if there is one.
    pub(super) next: Option<&'a Line>,
}

impl Break<'_> {
    pub(super) fn explain(&self) -> ChainError {
        let (line, fault) = self.reading();
        ChainError::broken(line, fault)
    }

    fn reading(&self) -> (&Line, ChainFault) {
        let here = self.here;
        if here.link.is_none() {
            return (here, ChainFault::Unreadable);
        }
        let before_hash = self.before.map_or(LineHash::START, |line| line.hash);
        if self.before.is_some_and(|before| before.file != here.file) {
            return (here, ChainFault::NotLinked);
        }
        if here.hash == before_hash {
            return (here, ChainFault::Inserted);
        }
        let next_prev = self.next.and_then(Line::prev);
        if next_prev == Some(before_hash) {
            let swapped = self.next.map(|next| next.hash) == here.prev();
            let fault = if swapped {
                ChainFault::Swapped
            } else {
                ChainFault::Inserted
            };
            return (here, fault);
        }
        match self.before {
            // Without the line before, this one fits.
            Some(before) if here.prev() == Some(self.earlier) => (before, ChainFault::Inserted),
            // Fits neither what is before nor what comes after.
            _ if next_prev.is_some() && next_prev != Some(here.hash) => (here, ChainFault::Altered),
            Some(before) if !is_gap(before, here) => (before, ChainFault::Altered),
            _ => (here, ChainFault::Missing),
        }
    }
}

/// Says whether numbers were left out between two lines.
fn is_gap(before: &Line, here: &Line) -> bool {
    before
        .sequence()
        .zip(here.sequence())
        .is_some_and(|(before, here)| here > before.saturating_add(1))
}

//! Reading a trail line by line, in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::chain::{After, LineHash};
use super::ChainError;

/// Longest line that is read. Ours have at most some 45 kB.
const LONGEST: u64 = 1024 * 1024;

/// What the verifier looks at in a line.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "time")]
    _time: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    pub(super) sequence: Option<u64>,
    pub(super) prev: Option<LineHash>,
    pub(super) after: Option<After>,
}

/// A line, and where it stands.
#[derive(Debug)]
pub(in super::super) struct Line {
    pub(in super::super) file: Arc<Path>,
    /// Counted from 1 in its file.
    pub(in super::super) number: u64,
    /// Its exact bytes, without the line end.
    #[cfg_attr(
        not(feature = "audit-seal"),
        expect(dead_code, reason = "what is sealed")
    )]
    pub(in super::super) bytes: Vec<u8>,
    pub(in super::super) hash: LineHash,
    /// `None` if it is no line of a trail.
    pub(super) link: Option<Link>,
}

impl Line {
    pub(in super::super) fn prev(&self) -> Option<LineHash> {
        self.link.as_ref()?.prev
    }

    pub(super) fn sequence(&self) -> Option<u64> {
        self.link.as_ref()?.sequence
    }
}

/// The lines of several files, one after the other.
#[derive(Debug)]
pub(super) struct Lines {
    files: std::vec::IntoIter<PathBuf>,
    open: Option<Open>,
    /// Bytes after the last line end of the last file.
    pub(super) unfinished: u64,
}

#[derive(Debug)]
struct Open {
    path: Arc<Path>,
    /// No further than the file went when it was opened: it may be written to meanwhile.
    reader: BufReader<Take<File>>,
    number: u64,
}

impl Lines {
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files: files.into_iter(),
            open: None,
            unfinished: 0,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Line>, ChainError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(path) = self.files.next() else {
                    return Ok(None);
                };
                self.open = Some(Open::new(path)?);
                continue;
            };
            let bytes = open.read()?;
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let last_file = self.files.as_slice().is_empty();
            match bytes.strip_suffix(b"\n") {
                Some(_) => return Ok(Some(open.line(bytes))),
                None if bytes.is_empty() => self.open = None,
                None if last_file && read <= LONGEST => self.unfinished = read,
                None => return Ok(Some(open.unreadable())),
            }
        }
    }
}

impl Open {
    fn new(path: PathBuf) -> Result<Self, ChainError> {
        let open = || {
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            Ok(BufReader::new(file.take(length)))
        };
        let reader = open().map_err(|error| ChainError::read(&path, error))?;
        Ok(Self {
            path: path.into(),
            reader,
            number: 0,
        })
    }

    /// Returns the next bytes up to and with a line end, at the end of the file without one, or one more than the
    /// longest line has.
    fn read(&mut self) -> Result<Vec<u8>, ChainError> {
        let mut bytes = Vec::new();
        (&mut self.reader)
            .take(LONGEST.saturating_add(1))
            .read_until(b'\n', &mut bytes)
            .map_err(|error| ChainError::read(&self.path, error))?;
        self.number = self.number.saturating_add(1);
        Ok(bytes)
    }

    fn line(&self, mut bytes: Vec<u8>) -> Line {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Line {
            file: Arc::clone(&self.path),
            number: self.number,
            hash: LineHash::of(&bytes),
            link: serde_json::from_slice(&bytes).ok(),
            bytes,
        }
    }

    fn unreadable(&self) -> Line {
        Line {
            link: None,
            ..self.line(Vec::new())
        }
    }
}

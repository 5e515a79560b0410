//! Reading the events of a trail of JSON Lines files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use super::ExportError;
use crate::audit::AuditEvent;

/// Longest line that is read. Ours have at most some 45 kB.
const LONGEST: u64 = 1024 * 1024;

/// What [`export_trail`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
#[must_use = "compare the number of events with what was verified"]
pub struct Exported {
    /// Events that were handed on.
    pub events: u64,
    /// Bytes after the last line end: a line being written, or one that a crash cut off. Not exported.
    pub unfinished: u64,
}

/// Hands each event of a trail to `write`, in the order of the files and lines, and returns how many there were.
///
/// `files` are those of one trail, oldest first, as [`trail_files`](crate::audit::trail_files) lists them. The chain is
/// **not** verified: [`verify_chain`](crate::audit::verify_chain) does that. A closure that passes over events is how
/// to export a period or an owner. It blocks; memory does not grow with the trail.
///
/// # Errors
///
/// It stops at the first of these:
///
/// * [`ExportError::Line`]: a line is no event, or one of a kind that only a later version knows. To go on behind it,
///   use [`read_trail`].
/// * [`ExportError::Read`]: a file cannot be read.
/// * [`ExportError::Write`]: `write` failed.
///
/// ```
/// use keyward::audit::export::{CsvRecords, export_trail};
/// use keyward::audit::{AuditKind, trail_files};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.jsonl");
/// # std::fs::write(&path, concat!(
/// #     r#"{"schema":1,"time":"2023-11-14T22:13:20Z","kind":"key_created","outcome":"success"}"#, "\n",
/// #     r#"{"schema":1,"time":"2023-11-14T22:13:21Z","kind":"request_completed","outcome":"success"}"#, "\n",
/// # ))?;
/// let mut records = CsvRecords::new(Vec::new());
/// let exported = export_trail(trail_files(&path)?, |event| match event.kind() {
///     AuditKind::RequestCompleted => Ok(()),
///     _ => records.write(event),
/// })?;
/// assert_eq!((exported.events, exported.unfinished), (2, 0));
/// assert_eq!(String::from_utf8(records.finish()?)?.lines().count(), 2); // a header and a record
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export_trail<P: AsRef<Path>>(
    files: impl IntoIterator<Item = P>,
    mut write: impl FnMut(&AuditEvent) -> io::Result<()>,
) -> Result<Exported, ExportError> {
    let mut events = read_trail(files);
    let mut exported = Exported::default();
    for event in &mut events {
        write(&event?).map_err(ExportError::write)?;
        exported.events = exported.events.saturating_add(1);
    }
    exported.unfinished = events.unfinished();
    Ok(exported)
}

/// Returns the events of a trail's files, which are to be given oldest first.
///
/// A line that is no event is an error in its place, and the next line follows it. A file that cannot be read is an
/// error, and the next file follows it.
pub fn read_trail<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> TrailEvents {
    let files: Vec<_> = files
        .into_iter()
        .map(|file| file.as_ref().to_owned())
        .collect();
    TrailEvents {
        files: files.into_iter(),
        open: None,
        unfinished: 0,
    }
}

/// The events of a trail, from [`read_trail`]. Reading blocks.
#[derive(Debug)]
#[must_use = "nothing is read until it is asked for an event"]
pub struct TrailEvents {
    files: std::vec::IntoIter<PathBuf>,
    open: Option<Open>,
    unfinished: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    /// No further than the file went when it was opened: it may be written to meanwhile.
    reader: BufReader<Take<File>>,
    number: u64,
}

/// What stands next in a file.
enum Next {
    Event(Box<AuditEvent>),
    /// So many bytes without a line end.
    Unfinished(u64),
    End,
}

impl TrailEvents {
    /// Returns, once all events were read, how many bytes came after the last line end of the last file: a line being
    /// written, or one that a crash cut off.
    #[must_use]
    pub const fn unfinished(&self) -> u64 {
        self.unfinished
    }
}

impl Iterator for TrailEvents {
    type Item = Result<AuditEvent, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(open) = &mut self.open else {
                match Open::new(self.files.next()?) {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match open.next() {
                Ok(Next::Event(event)) => return Some(Ok(*event)),
                Ok(Next::End) => self.open = None,
                Ok(Next::Unfinished(bytes)) if self.files.as_slice().is_empty() => {
                    self.unfinished = bytes;
                    self.open = None;
                }
                Ok(Next::Unfinished(_)) => {
                    let error = open.broken("the line has no end");
                    self.open = None;
                    return Some(Err(error));
                }
                Err(error) => {
                    // What cannot be read is not tried again: an iterator has to end.
                    if matches!(error, ExportError::Read { .. }) {
                        self.open = None;
                    }
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Open {
    fn new(path: PathBuf) -> Result<Self, ExportError> {
        let open = || {
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            Ok(BufReader::new(file.take(length)))
        };
        let reader = open().map_err(|error| ExportError::read(&path, error))?;
        Ok(Self {
            path,
            reader,
            number: 0,
        })
    }

    fn next(&mut self) -> Result<Next, ExportError> {
        let bytes = self.read(LONGEST.saturating_add(1))?;
        if bytes.is_empty() {
            return Ok(Next::End);
        }
        self.number = self.number.saturating_add(1);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match bytes.strip_suffix(b"\n") {
            Some(line) => {
                let event = serde_json::from_slice(line).map_err(|error| self.broken(error))?;
                Ok(Next::Event(Box::new(event)))
            }
            None if length <= LONGEST => Ok(Next::Unfinished(length)),
            None => {
                self.skip_line()?;
                Err(self.broken("the line is longer than 1 MiB"))
            }
        }
    }

    /// Reads up to and with a line end, to the end of the file, or so many bytes.
    fn read(&mut self, most: u64) -> Result<Vec<u8>, ExportError> {
        let mut bytes = Vec::new();
        (&mut self.reader)
            .take(most)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| ExportError::read(&self.path, error))?;
        Ok(bytes)
    }

    /// Leaves out what is left of a line, a piece at a time.
    fn skip_line(&mut self) -> Result<(), ExportError> {
        loop {
            let piece = self.read(LONGEST)?;
            if piece.is_empty() || piece.ends_with(b"\n") {
                return Ok(());
            }
        }
    }

    fn broken(&self, reason: impl Into<crate::error::BoxError>) -> ExportError {
        ExportError::line(&self.path, self.number, reason)
    }
}

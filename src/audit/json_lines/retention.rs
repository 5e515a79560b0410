//! Purging a trail in files, with the trail's own account of it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::files::{sync_folder, with_suffix};
use super::purge::removable;
use super::{NAME, blocking, failed, tail};
use crate::audit::{
    AuditError, AuditEvent, AuditExporter, AuditRetention, PurgeError, RemovedPart,
};
use crate::time::Timestamp;

/// The longest line that is taken for an event: several times what an event can have.
const LONGEST_LINE: u64 = 256 * 1024;

/// The files of a trail, to be purged.
///
/// Whole numbered files go, from the front, when their last event is old; the file that is being written stays, as
/// [`purge`](super::purge()) has it, and writers need not stop. After them goes the `.torn` file, when nothing was added to it
/// since: what crashes cut off has to be kept no longer than what they left whole.
///
/// ```
/// use keyward::audit::{ActorRef, AuditPurge, AuditRecorder, JsonLinesSink, TrailFiles};
/// use keyward::time::{Clock, SystemClock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.jsonl");
/// let sink = JsonLinesSink::builder(&path).rotate_daily().open().await?;
/// let recorder = AuditRecorder::builder(sink).start()?;
/// let (nightly, now) = (ActorRef::system("nightly"), SystemClock::new().now());
/// let report = recorder.purge(&TrailFiles::at(&path), AuditPurge::new(), nightly, now).await?;
/// assert!(report.removed.files.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrailFiles {
    path: PathBuf,
}

/// Something old.
enum Old {
    File {
        path: PathBuf,
        sequence: Option<u64>,
    },
    Torn {
        path: PathBuf,
        bytes: u64,
    },
}

impl TrailFiles {
    /// Returns the files of the trail whose sink was given this path.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
        }
    }

    async fn oldest(&self, before: Timestamp) -> Result<Option<Old>, AuditError> {
        let path = self.path.clone();
        blocking(move || oldest(&path, before)).await?
    }

    async fn remove(&self, file: PathBuf) -> Result<(), AuditError> {
        let path = self.path.clone();
        let removed = blocking(move || fs::remove_file(&file).and_then(|()| sync_folder(&path)));
        removed.await?.map_err(failed)
    }

    async fn remove_torn(&self, torn: PathBuf, before: Timestamp) -> Result<bool, AuditError> {
        let path = self.path.clone();
        let removed = blocking(move || remove_torn(&path, &torn, before));
        removed.await?.map_err(failed)
    }
}

#[async_trait]
impl AuditRetention for TrailFiles {
    async fn is_due(&self, before: Timestamp) -> Result<bool, AuditError> {
        Ok(self.oldest(before).await?.is_some())
    }

    async fn remove_part(
        &self,
        before: Timestamp,
        most: usize,
        exporter: Option<&mut (dyn AuditExporter + '_)>,
    ) -> Result<Option<RemovedPart>, PurgeError> {
        let mut part = RemovedPart::default();
        match self.oldest(before).await? {
            None => return Ok(None),
            Some(Old::File { path, sequence }) => {
                part.events = hand_over(&path, most, exporter).await?;
                self.remove(path.clone()).await?;
                part.note(&name(&self.path), sequence);
                part.files.push(path);
            }
            Some(Old::Torn { path, bytes }) => {
                if !self.remove_torn(path, before).await? {
                    return Ok(None);
                }
                part.torn_bytes = bytes;
            }
        }
        Ok(Some(part))
    }
}

/// A file whose age cannot be told would end every purge before it, for ever and in silence.
fn oldest(path: &Path, before: Timestamp) -> Result<Option<Old>, AuditError> {
    if let Some(file) = removable(path).map_err(failed)?.into_iter().next() {
        let line = File::open(&file).and_then(|open| tail::last_line(&open));
        let line = line.map_err(failed)?.unwrap_or_default();
        let Some(time) = tail::time_of(&line) else {
            let place = format!("the last line of {}", name(&file));
            return Err(AuditError::unreadable_event(NAME, place));
        };
        if time < before {
            let sequence = tail::sequence_of(&line);
            return Ok(Some(Old::File {
                path: file,
                sequence,
            }));
        }
    }
    let torn = with_suffix(path, ".torn");
    let bytes = old_bytes(&torn, before).map_err(failed)?;
    Ok(bytes.map(|bytes| Old::Torn { path: torn, bytes }))
}

/// Returns the length of a file that is there and was not written to since.
fn old_bytes(file: &Path, before: Timestamp) -> io::Result<Option<u64>> {
    let there = match file.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there?,
    };
    let old = Timestamp::from(there.modified()?) < before;
    Ok(old.then_some(there.len()))
}

/// Pieces are moved there under the lock of the trail's file. Looked at again under it, so that none goes that was put
/// there just now.
fn remove_torn(path: &Path, torn: &Path, before: Timestamp) -> io::Result<bool> {
    let writers = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        open => Some(open?),
    };
    if let Some(writers) = &writers {
        match writers.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            Err(_) | Ok(()) => {}
        }
    }
    if old_bytes(torn, before)?.is_none() {
        return Ok(false);
    }
    fs::remove_file(torn)?;
    sync_folder(path)?;
    Ok(true)
}

/// Gives all events of a file to the exporter, and returns how many lines there are.
async fn hand_over(
    path: &Path,
    most: usize,
    mut exporter: Option<&mut (dyn AuditExporter + '_)>,
) -> Result<u64, PurgeError> {
    let file = path.to_owned();
    let opened = blocking(move || File::open(&file)).await?;
    let mut lines = Lines {
        name: name(path),
        read: 0,
        reader: BufReader::new(opened.map_err(failed)?),
    };
    loop {
        let parse = exporter.is_some();
        let (back, chunk) = blocking(move || {
            let chunk = lines.next_chunk(most.max(1), parse);
            (lines, chunk)
        })
        .await?;
        lines = back;
        let Some(events) = chunk? else {
            return Ok(lines.read);
        };
        if let Some(exporter) = &mut exporter {
            let exported = exporter.export(&events).await;
            exported.map_err(PurgeError::Export)?;
        }
    }
}

/// The lines of a file, read in portions.
struct Lines {
    name: String,
    read: u64,
    reader: BufReader<File>,
}

impl Lines {
    /// Reads up to `most` lines; `None` at the end. Their events only if asked for.
    fn next_chunk(
        &mut self,
        most: usize,
        parse: bool,
    ) -> Result<Option<Vec<AuditEvent>>, AuditError> {
        let (mut events, before) = (Vec::new(), self.read);
        for _ in 0..most {
            let Some(line) = self.next_line()? else { break };
            if parse {
                let event = line.strip_suffix(b"\n").map(serde_json::from_slice);
                events.push(
                    event
                        .and_then(Result::ok)
                        .ok_or_else(|| self.unreadable())?,
                );
            }
        }
        Ok((self.read > before).then_some(events))
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.reader).take(LONGEST_LINE);
        let length = bounded.read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            return Ok(None);
        }
        self.read = self.read.saturating_add(1);
        Ok(Some(line))
    }

    fn unreadable(&self) -> AuditError {
        AuditError::unreadable_event(NAME, format!("line {} of {}", self.read, self.name))
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

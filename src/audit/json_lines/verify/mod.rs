//! Verifying a trail.

mod fault;
mod lines;

use std::path::Path;

use self::fault::Break;
use self::lines::Lines;
use super::chain::LineHash;

pub use self::fault::{ChainError, ChainFault};
pub(super) use self::lines::Line;

/// What [`verify_chain`] found: every line follows the one before.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[must_use = "what was verified may be less than expected: compare it with what is known"]
pub struct ChainReport {
    /// Files that were read.
    pub files: u64,
    /// Lines in them, without an unfinished one.
    pub lines: u64,
    /// How many of the lines, at the beginning, are from before there was a chain. Nothing is known about them, but
    /// for the last one if chained lines follow it.
    pub unchained: u64,
    /// What came before the first line, if the trail does not begin with it.
    pub starts_after: Option<StartsAfter>,
    /// Sequence of the first line that has one.
    pub first_sequence: Option<u64>,
    /// Sequence of the last line that has one.
    pub last_sequence: Option<u64>,
    /// Hash of the last line, [`LineHash::START`] if there is none. Kept elsewhere, it proves the tail next time.
    pub last_hash: LineHash,
    /// Bytes after the last line end: a line being written, or one that a crash cut off.
    pub unfinished: u64,
}

/// What the first line of a trail says came before it, in a file that is not here: purged, or removed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StartsAfter {
    /// Name of the file. `None` if the trail's file was emptied in place.
    pub file: Option<String>,
    /// Sequence of its last line.
    pub sequence: Option<u64>,
    /// Hash of its last line.
    pub hash: LineHash,
}

/// Verifies the files of one trail, oldest first, as [`trail_files`](super::trail_files) lists them.
///
/// It blocks, and reads line by line: memory does not grow with the trail. Writers need not stop, but a rotation while
/// it runs can look like a file in the wrong place: if so, list and verify once more.
///
/// What it finds, and what a chain by itself does **not** prove:
///
/// * Found: a byte changed in any line but the last, lines removed, put in, repeated or put into another order, files
///   removed from the middle, put in or reordered.
/// * Not found: lines or files cut off at the end, and changes to the last line (but for its `prev`) while nothing
///   follows it. Compare [`last_hash`](ChainReport::last_hash) and [`last_sequence`](ChainReport::last_sequence)
///   with what was noted elsewhere.
/// * Not found: a trail rewritten from some line on to its end, by somebody who can write the files: hashes need no
///   secret. Again only a hash noted elsewhere tells.
/// * Only reported: whole files removed from the front, which is also what a purge does
///   ([`starts_after`](ChainReport::starts_after)), and lines without a chain ([`unchained`](ChainReport::unchained)).
///
/// # Errors
///
/// * [`ChainError::Broken`]: the first line that does not fit, and what is wrong with it.
/// * [`ChainError::Read`]: a file cannot be read.
///
/// ```
/// use keyward::audit::{AuditEvent, AuditKind, AuditSink, ChainError, ChainFault, JsonLinesSink, verify_chain};
/// use keyward::time::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.jsonl");
/// let sink = JsonLinesSink::open(&path).await?;
/// for sequence in 1..=3 {
///     sink.write(&[AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH).with_sequence(sequence)]).await?;
/// }
/// assert_eq!(verify_chain([&path])?.lines, 3);
///
/// let text = std::fs::read_to_string(&path)?;
/// std::fs::write(&path, text.replacen("key_created", "key_revoked", 1))?;
/// let error = verify_chain([&path]).unwrap_err();
/// assert!(matches!(error, ChainError::Broken { line: 1, fault: ChainFault::Altered, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_chain<P: AsRef<Path>>(
    files: impl IntoIterator<Item = P>,
) -> Result<ChainReport, ChainError> {
    walk(files, |_| Ok(()))
}

/// Verifies the files and shows each line that follows the one before.
pub(super) fn walk<P: AsRef<Path>, E: From<ChainError>>(
    files: impl IntoIterator<Item = P>,
    mut each: impl FnMut(&Line) -> Result<(), E>,
) -> Result<ChainReport, E> {
    let files: Vec<_> = files
        .into_iter()
        .map(|file| file.as_ref().to_owned())
        .collect();
    let mut report = ChainReport::of_files(files.len());
    let mut lines = Lines::new(files);
    let mut before: Option<Line> = None;
    let mut earlier = LineHash::START;
    while let Some(here) = lines.next()? {
        if !report.accepts(&here) {
            let next = lines.next()?.filter(|next| next.file == here.file);
            let broken = Break {
                earlier,
                before: before.as_ref(),
                here: &here,
                next: next.as_ref(),
            };
            return Err(broken.explain().into());
        }
        earlier = here.prev().unwrap_or(report.last_hash);
        report.count(&here);
        each(&here)?;
        before = Some(here);
    }
    report.unfinished = lines.unfinished;
    Ok(report)
}

impl ChainReport {
    fn of_files(files: usize) -> Self {
        Self {
            files: u64::try_from(files).unwrap_or(u64::MAX),
            lines: 0,
            unchained: 0,
            starts_after: None,
            first_sequence: None,
            last_sequence: None,
            last_hash: LineHash::START,
            unfinished: 0,
        }
    }

    /// Says whether the line follows what was counted so far.
    fn accepts(&self, line: &Line) -> bool {
        match &line.link {
            None => false,
            Some(link) => match link.prev {
                None => self.unchained == self.lines,
                Some(prev) if prev == self.last_hash => true,
                // A first line may say that others were before it; one that only names them has lost them.
                Some(_) => self.lines == 0 && link.after.is_some(),
            },
        }
    }

    fn count(&mut self, line: &Line) {
        let Some(link) = &line.link else { return };
        if let Some((hash, after)) = link.prev.zip(link.after.as_ref())
            && self.lines == 0
        {
            self.starts_after = Some(StartsAfter {
                file: after.file.clone(),
                sequence: after.sequence,
                hash,
            });
        }
        self.lines = self.lines.saturating_add(1);
        if link.prev.is_none() {
            self.unchained = self.unchained.saturating_add(1);
        }
        self.first_sequence = self.first_sequence.or(link.sequence);
        self.last_sequence = link.sequence.or(self.last_sequence);
        self.last_hash = line.hash;
    }
}

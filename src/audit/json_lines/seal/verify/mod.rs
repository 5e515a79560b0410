//! Verifying a sealed trail.

mod comparison;
mod error;

use std::fs;
use std::io;
use std::path::Path;

use self::comparison::Comparison;
use super::super::verify::walk;
use super::notes_file::split;
use super::{Checkpoint, CheckpointFault, VerifierKey};
use crate::audit::ChainReport;

pub use self::error::SealError;

/// What [`SealVerifier::verify`] found: the chain holds, and every checkpoint about the lines present fits.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[must_use = "what was verified may be less than expected: lines may be missing at the front, or not be sealed yet"]
pub struct SealReport {
    /// What the chain says.
    pub chain: ChainReport,
    /// Checkpoints in the file, all signed by a known key. The note that a new trail begins with is not counted: it covers no line.
    pub checkpoints: u64,
    /// Checkpoints, of the file or kept elsewhere, that were compared with the lines. The others are about lines that are
    /// missing at the front, and only their signatures were verified.
    pub compared: u64,
    /// Lines covered by the newest checkpoint, counted from the first line of the trail ever.
    pub sealed: u64,
    /// Lines after those: only the chain holds them.
    pub unsealed: u64,
    /// Lines that are missing at the front, as a checkpoint says. That they were as they had been cannot be verified any more;
    /// that the ones present follow them can.
    pub missing: u64,
    /// The key of the newest checkpoint.
    pub sealed_by: VerifierKey,
    /// Bytes after the last whole checkpoint: one being written, or one that a crash cut off.
    pub unfinished: u64,
}

/// Verifies sealed trails: the chain, the signatures, and that the lines are those that were sealed.
///
/// What it finds, given the right public key:
///
/// * everything that [`verify_chain`](crate::audit::verify_chain) finds, and names the line;
/// * lines or whole files cut off the end, down to the last checkpoint, and a trail rewritten with new hashes, as far as
///   there was a checkpoint of it. Lines after the last checkpoint have the chain alone ([`unsealed`](SealReport::unsealed));
/// * checkpoints that are forged, altered, of another key, of another trail or in another order;
/// * with a checkpoint that was [kept elsewhere](Self::kept): a trail and a checkpoints file that were set back together, or
///   replaced by new ones. Without one this is **not** found, and neither is anything that was done with the secret key.
///
/// When whole files are missing at the front, it starts from the checkpoint that was made where they end. That proves how many
/// lines came before, and that the ones present are those that followed; what the missing ones said is gone.
///
/// ```no_run
/// use keyward::audit::{SealVerifier, VerifierKey, checkpoints_file, trail_files};
///
/// # let (key, kept) = ("", "");
/// let key: VerifierKey = key.parse()?; // from where the trail cannot be written
/// let report = SealVerifier::new(key)
///     .kept(kept) // as it was published
///     .verify(trail_files("audit.jsonl")?, checkpoints_file("audit.jsonl"))?;
/// println!("{} lines are as they were sealed, {} not sealed yet", report.sealed, report.unsealed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SealVerifier {
    /// The newest first.
    keys: Vec<VerifierKey>,
    kept: Vec<String>,
}

impl SealVerifier {
    /// Returns a verifier of what this key signed.
    pub fn new(key: VerifierKey) -> Self {
        Self {
            keys: vec![key],
            kept: Vec::new(),
        }
    }

    /// Takes checkpoints of the key that was used before as well, up to the first of a later key: whoever has an old key cannot
    /// seal what comes after. The last one given is the oldest. A trail that an old key sealed to its end passes; ask
    /// [`SealReport::sealed_by`].
    pub fn earlier_key(mut self, key: VerifierKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Demands that the trail fits this checkpoint, too, a whole signed note that was kept elsewhere, and that it is in the file.
    pub fn kept(mut self, note: impl Into<String>) -> Self {
        self.kept.push(note.into());
        self
    }

    /// Verifies the files of one trail, oldest first, as [`trail_files`](crate::audit::trail_files) lists them, with the
    /// checkpoints in the file that [`checkpoints_file`](crate::audit::checkpoints_file) names.
    ///
    /// It blocks, and reads line by line. Writers need not stop, with the reservation that
    /// [`verify_chain`](crate::audit::verify_chain) makes.
    ///
    /// # Errors
    ///
    /// * [`SealError::Chain`], [`SealError::Rewritten`], [`SealError::Truncated`], [`SealError::Unconnected`]: the lines are
    ///   not those that were written;
    /// * [`SealError::Checkpoint`], [`SealError::Kept`], [`SealError::RolledBack`], [`SealError::NoCheckpoints`]: the
    ///   checkpoints are not those that were made;
    /// * [`SealError::Read`]: the checkpoints cannot be read.
    pub fn verify<P: AsRef<Path>>(
        &self,
        files: impl IntoIterator<Item = P>,
        checkpoints: impl AsRef<Path>,
    ) -> Result<SealReport, SealError> {
        let path = checkpoints.as_ref();
        let kept = self.open_kept()?;
        // Before the lines: what is written meanwhile is then more than was sealed and not less.
        let (beside, unfinished) = self.read(path)?;
        let Some(newest) = beside.last().or(kept.last()) else {
            let file = path.to_owned();
            return Err(SealError::NoCheckpoints { file });
        };
        let sealed_by = newest.key().clone();
        let mut comparison = Comparison::of(&beside, &kept);
        let chain = walk(files, |line| comparison.line(line))?;
        comparison.end(&chain)?;
        if let Some(missing) = kept
            .iter()
            .find(|one| !beside.iter().any(|other| is_same(one, other)))
        {
            let kept = missing.size();
            return Err(SealError::RolledBack { kept });
        }
        let sealed = comparison.sealed();
        let lines = comparison.lines();
        Ok(SealReport {
            checkpoints: count(beside.len()),
            compared: comparison.compared,
            sealed,
            unsealed: lines.saturating_sub(sealed),
            missing: comparison.missing,
            unfinished: count(unfinished),
            sealed_by,
            chain,
        })
    }

    fn open_kept(&self) -> Result<Vec<Checkpoint>, SealError> {
        let open = |note: &String| Checkpoint::open(note, &self.keys);
        let kept = self.kept.iter().map(open).collect::<Result<Vec<_>, _>>();
        let mut kept = kept.map_err(SealError::Kept)?;
        kept.retain(|checkpoint| !checkpoint.is_beginning());
        Ok(kept)
    }

    /// Returns how many of the keys are newer than the checkpoint's.
    fn age(&self, checkpoint: &Checkpoint) -> Option<usize> {
        self.keys.iter().position(|key| key == checkpoint.key())
    }

    /// Returns the checkpoints of the file, and how many bytes come after the last one.
    fn read(&self, file: &Path) -> Result<(Vec<Checkpoint>, usize), SealError> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| SealError::Read {
                file: file.to_owned(),
                source,
            })?,
        };
        let (notes, unfinished) = split(&bytes);
        let mut checkpoints: Vec<Checkpoint> = Vec::with_capacity(notes.len());
        for (index, note) in notes.into_iter().enumerate() {
            let last = checkpoints.last();
            let before = last.map_or(0, Checkpoint::size);
            let age = last.and_then(|last| self.age(last));
            // What is not text is changed by this, and so no checkpoint any more.
            let note = String::from_utf8_lossy(note);
            let opened = match Checkpoint::open(&note, &self.keys) {
                Ok(opened) if opened.size() < before => Err(CheckpointFault::OutOfOrder),
                Ok(opened) if age.is_some() && self.age(&opened) > age => {
                    Err(CheckpointFault::RetiredKey)
                }
                opened => opened,
            };
            let opened = opened.map_err(|fault| SealError::Checkpoint {
                file: file.to_owned(),
                number: count(index).saturating_add(1),
                fault,
            })?;
            if !opened.is_beginning() {
                checkpoints.push(opened);
            }
        }
        Ok((checkpoints, unfinished))
    }
}

/// The same lines, whatever key signed them.
fn is_same(one: &Checkpoint, other: &Checkpoint) -> bool {
    (one.size(), one.root()) == (other.size(), other.root())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

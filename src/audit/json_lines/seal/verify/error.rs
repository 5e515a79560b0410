use std::io;
use std::path::PathBuf;

use crate::audit::{ChainError, CheckpointFault};

/// Why a sealed trail was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The chain of the lines is broken: see [`verify_chain`](crate::audit::verify_chain).
    #[error("the chain of the trail is broken")]
    Chain(#[from] ChainError),

    /// The checkpoints cannot be read.
    #[error("the checkpoints `{}` cannot be read", file.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// There are none: the file is missing or empty.
    #[error("there are no checkpoints in `{}`", file.display())]
    #[non_exhaustive]
    NoCheckpoints {
        /// The file.
        file: PathBuf,
    },

    /// A checkpoint of the file cannot be relied on.
    #[error("checkpoint {number} of `{}` {fault}", file.display())]
    #[non_exhaustive]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// Which one of the file, from 1.
        number: u64,
        /// What is wrong with it.
        fault: CheckpointFault,
    },

    /// A checkpoint that was kept elsewhere cannot be relied on.
    #[error("the checkpoint that was kept elsewhere {0}")]
    Kept(CheckpointFault),

    /// Lines are missing at the end: they were cut off.
    #[error("the trail ends after line {present}, and {sealed} lines were sealed")]
    #[non_exhaustive]
    Truncated {
        /// Lines that the trail has, counted from its first one ever.
        present: u64,
        /// Lines that a checkpoint covers.
        sealed: u64,
    },

    /// The lines are not those that were sealed: history was rewritten.
    #[error(
        "the first {sealed} lines are not those that were sealed; the change is at or after line {line} of `{}`",
        file.display()
    )]
    #[non_exhaustive]
    Rewritten {
        /// The first checkpoint that does not fit covers so many lines.
        sealed: u64,
        /// File of the first line that no fitting checkpoint vouches for.
        file: PathBuf,
        /// Number of that line in its file, from 1.
        line: u64,
    },

    /// No checkpoint can be connected with the lines: those at the front are missing and none was made where they end, nor
    /// after it. Also when all that was sealed was replaced.
    #[error("no checkpoint is about any of the lines present")]
    Unconnected,

    /// A checkpoint that was kept elsewhere is not in the file: the file was set back, or another one was signed in its place.
    /// The lines are those that both kinds of checkpoints cover.
    #[error(
        "the checkpoint of {kept} lines that was kept elsewhere is not among the checkpoints beside the trail"
    )]
    #[non_exhaustive]
    RolledBack {
        /// Lines that the missing checkpoint covers.
        kept: u64,
    },
}

use std::io;
use std::path::{Path, PathBuf};

use crate::error::BoxError;

/// Why a trail was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A line is not an event that this version can read. All lines before it were exported.
    #[error("line {line} of `{}` is not an audit event", file.display())]
    #[non_exhaustive]
    Line {
        /// The file it stands in.
        file: PathBuf,
        /// Its number there, from 1.
        line: u64,
        /// What is wrong with it.
        source: BoxError,
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

    /// What was made of an event could not be written. What came before it may be written or not.
    #[error("the export cannot be written")]
    #[non_exhaustive]
    Write {
        /// What the writer said.
        source: io::Error,
    },
}

impl ExportError {
    pub(super) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read {
            file: file.to_owned(),
            source,
        }
    }

    pub(super) fn line(file: &Path, line: u64, source: impl Into<BoxError>) -> Self {
        Self::Line {
            file: file.to_owned(),
            line,
            source: source.into(),
        }
    }

    pub(super) const fn write(source: io::Error) -> Self {
        Self::Write { source }
    }
}

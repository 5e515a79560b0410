//! How a line is tied to the line before it.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::audit::event::write_json;
use crate::audit::{AuditError, AuditEvent};
use crate::hash::encoding::{from_hex, hex_into};
use crate::time::Timestamp;

/// Digits of a SHA-256 in hex.
const DIGITS: usize = 64;
/// What `,"prev":"…"` adds to a line, in bytes.
const LINK: usize = 9 + DIGITS + 1;

/// The SHA-256 of a line's exact bytes, without its line end. Shown as 64 lower-case hex digits.
///
/// ```
/// use keyward::audit::LineHash;
///
/// assert!(LineHash::of(b"abc").to_string().starts_with("ba7816bf"));
/// assert_eq!(LineHash::START.to_string(), "0".repeat(64));
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line of a trail carries as `prev`: zeros, the hash of no line.
    pub const START: Self = Self([0; 32]);

    /// Returns the hash of a line, given without its line end.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    #[cfg(feature = "audit-seal")]
    pub(super) const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn digits(&self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        hex_into(&self.0, &mut digits);
        digits
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits()
            .iter()
            .try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineHash({self})")
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // One spelling only: in capitals it would be another line.
        from_hex(&text)
            .map(Self)
            .filter(|hash| hash.digits() == text.as_bytes())
            .ok_or_else(|| D::Error::custom("not a SHA-256 in lower-case hex"))
    }
}

/// Where the lines before the first line of a file are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct After {
    /// The name of the file before. Absent when the file was emptied in place by some other tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// The sequence of the last line there; of an emptied file, the highest that its writer knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<u64>,
}

/// What the next line has to name.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) hash: LineHash,
    /// Set while the next line is the first of a file that is not the first.
    pub(super) after: Option<After>,
}

impl Head {
    pub(super) const START: Self = Self {
        hash: LineHash::START,
        after: None,
    };

    pub(super) const fn line(hash: LineHash) -> Self {
        Self { hash, after: None }
    }

    /// Returns the batch as it goes into the file, and moves on to its last line.
    pub(super) fn link(&mut self, batch: &Batch) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(batch.chained_len());
        for object in batch.objects() {
            let start = out.len();
            out.extend_from_slice(object.strip_suffix(b"}").unwrap_or(object));
            out.extend_from_slice(b",\"prev\":\"");
            out.extend_from_slice(&self.hash.digits());
            out.push(b'"');
            if let Some(after) = &self.after {
                out.extend_from_slice(b",\"after\":");
                write_json(after, &mut out)?;
            }
            out.push(b'}');
            *self = Self::line(LineHash::of(out.get(start..).unwrap_or_default()));
            out.push(b'\n');
        }
        Ok(out)
    }
}

/// The events of one write, as lines that are not chained yet: to what, is known only under the file's lock.
#[derive(Debug)]
pub(super) struct Batch {
    lines: Vec<u8>,
    count: usize,
    pub(super) last_sequence: Option<u64>,
    /// The UTC day of the first event.
    pub(super) day: Option<i64>,
}

impl Batch {
    /// The one place where lines are made, in the order in which they are written.
    pub(super) fn of(events: &[AuditEvent]) -> Result<Self, AuditError> {
        let mut lines = Vec::with_capacity(events.len().saturating_mul(512));
        for event in events {
            event.write_line(&mut lines)?;
            lines.push(b'\n');
        }
        Ok(Self {
            lines,
            count: events.len(),
            last_sequence: events.iter().filter_map(AuditEvent::sequence).max(),
            day: events.first().map(|event| day(event.time())),
        })
    }

    /// How many bytes the batch adds to a file that has lines.
    pub(super) const fn chained_len(&self) -> usize {
        self.lines
            .len()
            .saturating_add(self.count.saturating_mul(LINK))
    }

    fn objects(&self) -> impl Iterator<Item = &[u8]> {
        self.lines
            .split(|byte| *byte == b'\n')
            .filter(|object| !object.is_empty())
    }
}

/// Returns the UTC day as a number.
pub(super) const fn day(time: Timestamp) -> i64 {
    time.as_secs().div_euclid(86_400)
}

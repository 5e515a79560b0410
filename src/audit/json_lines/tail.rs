//! The ends of a file: finding the last whole line, moving away what comes after it, and reading the first one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::chain::{After, day};
use super::files::{number_in, open_private, with_suffix};
use crate::audit::event::rfc3339;
use crate::time::Timestamp;

/// How much is read at once on the way back to the last line end.
const CHUNK: u64 = 8 * 1024;
/// How far from its end or its beginning a file is read for an event. A line has at most some 45 kB: its texts are
/// bounded, and escaping makes a byte into six.
const WINDOW: u64 = 256 * 1024;

/// What makes a line an event, and the one field that a writer goes on from.
#[derive(Deserialize)]
struct Numbered {
    #[serde(rename = "time")]
    _time: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    sequence: Option<u64>,
}

/// The first line of a file, or the last, as far as names and ages of files need it.
#[derive(Deserialize)]
struct Dated {
    #[serde(with = "rfc3339")]
    time: Timestamp,
    after: Option<After>,
}

/// Moves an incomplete last line to the `.torn` file beside, and returns the length that remains.
pub(super) fn mend(file: &File, path: &Path) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let end = end_of_last_line(file, length)?;
    if end < length {
        move_away(file, path, end)?;
    }
    Ok(end)
}

/// Returns the highest sequence among the last events. The outer `None` means that there are whole
/// lines and none of the last ones is an event.
#[expect(
    clippy::option_option,
    reason = "no event yet and no trail at all are different answers"
)]
pub(super) fn last_sequence(file: &File) -> io::Result<Option<Option<u64>>> {
    let end = end_of_last_line(file, file.metadata()?.len())?;
    if end == 0 {
        return Ok(Some(None));
    }
    let window = read_range(file, end.saturating_sub(WINDOW), end)?;
    let events = window.rsplit(|byte| *byte == b'\n').filter_map(|line| {
        let event: Numbered = serde_json::from_slice(line).ok()?;
        Some(event.sequence)
    });
    Ok(events.max())
}

/// Returns the last whole line, without its line end.
pub(super) fn last_line(file: &File) -> io::Result<Option<Vec<u8>>> {
    let end = end_of_last_line(file, file.metadata()?.len())?;
    last_line_before(file, end)
}

/// Returns the line that ends at that position. `None` at the start, and if no line ends there.
pub(super) fn last_line_before(file: &File, end: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(before) = end.checked_sub(1) else {
        return Ok(None);
    };
    if read_range(file, before, end)? != b"\n" {
        return Ok(None);
    }
    let start = end_of_last_line(file, before)?;
    read_range(file, start, before).map(Some)
}

pub(super) fn sequence_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(line).ok()?.sequence
}

pub(super) fn time_of(line: &[u8]) -> Option<Timestamp> {
    Some(serde_json::from_slice::<Dated>(line).ok()?.time)
}

/// Returns the UTC day of the first line.
pub(super) fn first_day(file: &File) -> io::Result<Option<i64>> {
    Ok(first_line(file)?.map(|line| day(line.time)))
}

/// Returns the number of the file that the first line follows.
pub(super) fn number_before(file: &File) -> io::Result<Option<u64>> {
    let name = first_line(file)?
        .and_then(|line| line.after)
        .and_then(|after| after.file);
    Ok(name.and_then(|name| number_in(&name)))
}

fn first_line(mut file: &File) -> io::Result<Option<Dated>> {
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    BufReader::new(file.take(WINDOW)).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).ok())
}

/// Returns the position after the last line end before `length`, 0 if there is none.
fn end_of_last_line(file: &File, length: u64) -> io::Result<u64> {
    let mut upper = length;
    while upper > 0 {
        let lower = upper.saturating_sub(CHUNK);
        let chunk = read_range(file, lower, upper)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            let after = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
            return Ok(lower.saturating_add(after));
        }
        upper = lower;
    }
    Ok(0)
}

/// The copy is on the disk before the original is cut off.
pub(super) fn move_away(mut file: &File, path: &Path, from: u64) -> io::Result<()> {
    let mut torn = open_private(&with_suffix(path, ".torn"))?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file, &mut torn)?;
    torn.write_all(b"\n")?;
    torn.sync_all()?;
    file.set_len(from)
}

/// The file is in append mode, so moving its cursor does not move where it writes.
pub(super) fn read_range(mut file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What cannot be sought in, such as a pipe, has no length and is never read.
    if from == to {
        return Ok(bytes);
    }
    file.seek(SeekFrom::Start(from))?;
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

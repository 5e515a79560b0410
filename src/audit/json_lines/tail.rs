//! The end of the file: finding the last whole line, and moving away what comes after it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::trail::open_private;

/// How much is read at once on the way back to the last line end.
const CHUNK: u64 = 8 * 1024;
/// How far back an event is looked for. A line has at most some 45 kB: its texts are bounded, and escaping makes a
/// byte into six.
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
fn move_away(mut file: &File, path: &Path, from: u64) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let mut torn = open_private(Path::new(&name))?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file, &mut torn)?;
    torn.write_all(b"\n")?;
    torn.sync_all()?;
    file.set_len(from)
}

/// The file is in append mode, so moving its cursor does not move where it writes.
fn read_range(mut file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

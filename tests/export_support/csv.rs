//! CSV, as Python's `csv` module reads it.

use std::io::Write;
use std::process::{Command, Stdio};

use keyward::audit::export::csv_header;

/// Reads CSV from the standard input and writes the rows as JSON. Nothing but the default dialect, and no help with
/// line ends: the records come as they were written.
const READER: &str = r#"
import csv, io, json, sys
csv.field_size_limit(1 << 24)
text = sys.stdin.buffer.read().decode("utf-8")
json.dump(list(csv.reader(io.StringIO(text, newline=""), strict=True)), sys.stdout)
"#;

/// The rows as Python finds them, with the header.
pub(crate) fn python(csv: &[u8]) -> Vec<Vec<String>> {
    let mut child = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let csv = csv.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&csv).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The text that a cell was made of, as the page says to get it back.
pub(crate) fn text_of(cell: &str) -> String {
    let escaped = cell.strip_prefix('\'').unwrap_or(cell);
    serde_json::from_str(&format!("\"{escaped}\"")).unwrap()
}

pub(crate) fn column(name: &str) -> usize {
    csv_header()
        .split(',')
        .position(|column| column == name)
        .unwrap()
}

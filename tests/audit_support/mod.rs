//! Trails for tests, and the damage done to them.

use std::path::{Path, PathBuf};

use keyward::audit::{AuditEvent, AuditKind, AuditSink, ChainError, ChainFault, JsonLinesSink};
use keyward::time::Timestamp;
use tempfile::TempDir;

/// 2023-11-14, a little before midnight in UTC is 6400 seconds later.
pub(crate) const START: i64 = 1_700_000_000;

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    (folder, path)
}

pub(crate) fn event_at(sequence: u64, secs: i64) -> AuditEvent {
    AuditEvent::new(AuditKind::KeyCreated, Timestamp::from_secs(secs))
        .with_sequence(sequence)
        .with_owner("acme")
}

pub(crate) async fn write(sink: &JsonLinesSink, sequences: impl IntoIterator<Item = u64>) {
    let events: Vec<_> = sequences.into_iter().map(|n| event_at(n, START)).collect();
    sink.write(&events).await.unwrap();
}

/// A trail of one file with lines 1 to `lines`.
pub(crate) async fn trail(path: &Path, lines: u64) {
    write(&JsonLinesSink::open(path).await.unwrap(), 1..=lines).await;
}

pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// Where a chain breaks, and how.
pub(crate) fn broken(error: ChainError) -> (PathBuf, u64, ChainFault) {
    match error {
        ChainError::Broken {
            file, line, fault, ..
        } => (file, line, fault),
        other => panic!("{other}"),
    }
}

/// Every kind of damage that a chain must show, done to the middle of a trail of at least six lines, with the line
/// that is named and why.
pub(crate) fn damages(whole: &[String]) -> Vec<(&'static str, Vec<String>, u64, ChainFault)> {
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.to_vec();
        change(&mut lines);
        lines
    };
    let forged = whole[2].replace("acme", "evil");
    vec![
        (
            "altered",
            changed(&|lines| lines[2] = forged.clone()),
            3,
            ChainFault::Altered,
        ),
        (
            "deleted",
            changed(&|lines| drop(lines.remove(2))),
            3,
            ChainFault::Missing,
        ),
        (
            "first deleted",
            changed(&|lines| drop(lines.remove(0))),
            1,
            ChainFault::Missing,
        ),
        (
            "swapped",
            changed(&|lines| lines.swap(2, 3)),
            3,
            ChainFault::Swapped,
        ),
        (
            "first swapped",
            changed(&|lines| lines.swap(0, 1)),
            1,
            ChainFault::Swapped,
        ),
        (
            "inserted",
            changed(&|lines| lines.insert(3, forged.clone())),
            4,
            ChainFault::Inserted,
        ),
        (
            "inserted first",
            changed(&|lines| lines.insert(0, forged.clone())),
            1,
            ChainFault::Inserted,
        ),
        (
            "inserted with the right link",
            changed(&|lines| lines.insert(2, forged.clone())),
            3,
            ChainFault::Inserted,
        ),
        (
            "inserted without a link",
            changed(&|lines| lines.insert(2, unchained(&forged))),
            3,
            ChainFault::Inserted,
        ),
        (
            "duplicated",
            changed(&|lines| lines.insert(3, whole[2].clone())),
            4,
            ChainFault::Inserted,
        ),
        (
            "no event",
            changed(&|lines| lines.insert(2, "# a note\n".to_owned())),
            3,
            ChainFault::Unreadable,
        ),
    ]
}

/// A line as it was before there was a chain.
pub(crate) fn unchained(line: &str) -> String {
    let (event, _) = line.split_once(",\"prev\":").unwrap();
    format!("{event}}}\n")
}

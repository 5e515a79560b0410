//! Trails of JSON Lines files, exported.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io;
use std::num::NonZeroU64;
use std::path::Path;

use keyward::audit::export::{
    CsvRecords, ExportError, Exported, OcsfLines, Product, export_trail, read_trail,
};
use keyward::audit::{AuditEvent, AuditSink, JsonLinesSink, Outcome, trail_files, verify_chain};
use serde_json::Value;

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;
#[expect(dead_code, reason = "other tests use the rest")]
mod export_support;

use audit_support::{event_at, folder, lines, trail, write};
use export_support::{full, hostile};

fn sequences(path: &Path) -> (Vec<Option<u64>>, Exported) {
    let mut sequences = Vec::new();
    let exported = export_trail(trail_files(path).unwrap(), |event| {
        sequences.push(event.sequence());
        Ok(())
    });
    (sequences, exported.unwrap())
}

#[tokio::test]
async fn a_trail_comes_back_event_by_event() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    let events: Vec<AuditEvent> = hostile()
        .iter()
        .map(|text| {
            full(
                keyward::audit::AuditKind::KeyRevoked,
                Outcome::Success,
                text,
            )
        })
        .collect();
    sink.write(&events).await.unwrap();
    let read: Vec<_> = read_trail([&path]).map(Result::unwrap).collect();
    assert_eq!(read, events);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_exported_in_their_order() {
    let (_folder, path) = folder();
    let builder = JsonLinesSink::builder(&path).rotate_at(NonZeroU64::MIN);
    let sink = builder.open().await.unwrap();
    for n in 1..=4 {
        write(&sink, [n]).await;
    }
    assert_eq!(trail_files(&path).unwrap().len(), 4);
    let (sequences, exported) = sequences(&path);
    assert_eq!(sequences, [1, 2, 3, 4].map(Some));
    assert_eq!((exported.events, exported.unfinished), (4, 0));
    assert_eq!(
        verify_chain(trail_files(&path).unwrap()).unwrap().lines,
        exported.events
    );
}

#[tokio::test]
async fn a_trail_becomes_lines_of_ocsf_and_records_of_csv() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let mut ocsf = OcsfLines::new(Vec::new(), Product::new("billing-api"));
    let mut csv = CsvRecords::new(Vec::new());
    let exported = export_trail([&path], |event| {
        ocsf.write(event)?;
        csv.write(event)
    });
    assert_eq!(exported.unwrap().events, 3);
    let ocsf = String::from_utf8(ocsf.finish().unwrap()).unwrap();
    let numbers: Vec<_> = ocsf
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["metadata"]["sequence"].clone())
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
    let csv = String::from_utf8(csv.finish().unwrap()).unwrap();
    let firsts: Vec<_> = csv
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(firsts, ["sequence", "1", "2", "3"]);
}

/// The line, and what is wrong with it.
fn refused(path: &Path, damaged: &[String]) -> (u64, String) {
    std::fs::write(path, damaged.concat()).unwrap();
    let error = export_trail([path], |_| Ok(())).unwrap_err();
    let ExportError::Line {
        file, line, source, ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(file, path);
    (line, source.to_string())
}

#[tokio::test]
async fn a_line_that_is_no_event_is_named() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let whole = lines(&path);
    let with_second = |second: &str| [whole[0].clone(), second.to_owned(), whole[2].clone()];
    for second in [
        "# a note\n".to_owned(),
        "\n".to_owned(),
        "{}\n".to_owned(),
        whole[1].replace("key_created", "key_melted"),
        whole[1].replace("acme", r"\ud800"),
        whole[1].replace("acme", "\u{1}"),
        whole[1].replace("\"kind\"", "\"kind\":\"key_created\",\"kind\""),
        format!("{}\n", "x".repeat(1 << 20)),
    ] {
        assert_eq!(
            refused(&path, &with_second(&second)).0,
            2,
            "{}",
            second.chars().take(200).collect::<String>()
        );
    }
    std::fs::write(&path, b"\xff\n").unwrap();
    let error = export_trail([&path], |_| Ok(())).unwrap_err();
    let said = error.to_string();
    assert_eq!(
        said,
        format!("line 1 of `{}` is not an audit event", path.display())
    );
}

#[tokio::test]
async fn reading_goes_on_behind_a_line_that_is_no_event() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let whole = lines(&path);
    // Two lines that are too long: one by a byte, one by several pieces.
    let long = [(1 << 20) + 1, 3 << 20].map(|length| format!("{}\n", "x".repeat(length)));
    let damaged = [&whole[0], &long[0], &whole[1], &long[1], &whole[2]];
    std::fs::write(&path, damaged.map(String::as_str).concat()).unwrap();
    let found: Vec<_> = read_trail([&path])
        .map(|event| event.ok().and_then(|event| event.sequence()))
        .collect();
    assert_eq!(found, [Some(1), None, Some(2), None, Some(3)]);
}

/// Whoever can write the file cannot fill the memory of who exports it.
#[tokio::test]
async fn an_event_of_a_mebibyte_is_read_and_a_longer_one_is_not() {
    let (_folder, path) = folder();
    trail(&path, 1).await;
    let line = lines(&path)[0].trim_end().to_owned();
    let of_length = |length: usize| {
        let padding = "x".repeat(length - line.len() - r#""pad":"","#.len());
        let padded = line.replacen('{', &format!(r#"{{"pad":"{padding}","#), 1);
        assert_eq!(padded.len(), length);
        format!("{padded}\n")
    };
    std::fs::write(&path, of_length(1 << 20)).unwrap();
    assert_eq!(sequences(&path).0, [Some(1)]);
    let (number, reason) = refused(&path, &[of_length((1 << 20) + 1)]);
    assert_eq!(
        (number, reason.as_str()),
        (1, "the line is longer than 1 MiB")
    );
}

#[tokio::test]
async fn a_line_that_is_being_written_is_counted_and_not_exported() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let text = std::fs::read_to_string(&path).unwrap();
    // Whole, but for the line end: more of it may come.
    std::fs::write(&path, text.trim_end()).unwrap();
    let (numbers, exported) = sequences(&path);
    assert_eq!(numbers, [Some(1), Some(2)]);
    let rest = text.trim_end().rsplit('\n').next().unwrap().len();
    assert_eq!(exported.unfinished, u64::try_from(rest).unwrap());
}

#[tokio::test]
async fn an_unfinished_line_in_the_middle_of_a_trail_is_an_error() {
    let (folder, path) = folder();
    trail(&path, 2).await;
    let cut = folder.path().join("audit.jsonl.000001");
    std::fs::write(&cut, format!("{}{{\"schema\":1", lines(&path)[0])).unwrap();
    let mut seen = 0;
    let error = export_trail(trail_files(&path).unwrap(), |_| {
        seen += 1;
        Ok(())
    });
    let Err(ExportError::Line { file, line, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((file, line, seen), (cut, 2, 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_next_one_is_read() {
    let (folder, path) = folder();
    trail(&path, 1).await;
    let absent = folder.path().join("absent.jsonl");
    let mut events = read_trail([&absent, &path]);
    let first = events.next().unwrap().unwrap_err();
    assert!(
        matches!(&first, ExportError::Read { file, .. } if *file == absent),
        "{first:?}"
    );
    assert_eq!(
        events.next().unwrap().unwrap(),
        event_at(1, audit_support::START)
    );
    assert!(events.next().is_none());
    assert!(events.next().is_none());
}

#[test]
fn a_folder_in_the_place_of_a_file_ends() {
    let folder = tempfile::tempdir().unwrap();
    let errors = read_trail([folder.path()]).take(3).filter(Result::is_err);
    assert!(errors.count() <= 1);
}

/// A writer on a disk that is full.
#[derive(Debug)]
struct Full;

impl io::Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[tokio::test]
async fn a_writer_that_fails_ends_the_export() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let mut ocsf = OcsfLines::new(Full, Product::new("x"));
    let mut calls = 0;
    let error = export_trail([&path], |event| {
        calls += 1;
        ocsf.write(event)
    });
    let Err(ExportError::Write { source, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((source.kind(), calls), (io::ErrorKind::StorageFull, 1));
    assert!(
        CsvRecords::new(Full).write(&event_at(1, 0)).is_err(),
        "the header"
    );
}

#[test]
fn what_is_buffered_and_lost_is_not_passed_over() {
    let event = event_at(1, 0);
    let mut csv = CsvRecords::new(io::BufWriter::new(Full));
    csv.write(&event).unwrap();
    assert!(csv.finish().is_err());
    let mut ocsf = OcsfLines::new(io::BufWriter::new(Full), Product::new("x"));
    ocsf.write(&event).unwrap();
    assert!(ocsf.finish().is_err());
}

//! A JSON Lines trail of several files: rotation, crashes in it, and purging.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyward::audit::{
    AuditEvent, AuditSink, ChainFault, DEFAULT_RETENTION, JsonLinesSink, SyncPolicy, purge,
    trail_files, verify_chain,
};
use keyward::time::Timestamp;

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;

use audit_support::{START, broken, event_at, folder, lines, write};

const DAY: i64 = 86_400;

fn rotated(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("jsonl.{number:06}"))
}

async fn open(path: &Path, bytes: u64) -> JsonLinesSink {
    let builder = JsonLinesSink::builder(path).sync(SyncPolicy::Never);
    let builder = builder.rotate_at(NonZeroU64::new(bytes).unwrap());
    builder.open().await.unwrap()
}

/// One line a file.
async fn write_files(path: &Path, sequences: impl IntoIterator<Item = u64>) {
    let sink = open(path, 1).await;
    for n in sequences {
        write(&sink, [n]).await;
    }
}

fn sequences(path: &Path) -> Vec<u64> {
    let files = trail_files(path).unwrap();
    let lines = files.iter().flat_map(|file| lines(file));
    lines
        .map(|line| serde_json::from_str::<AuditEvent>(&line).unwrap())
        .map(|event| event.sequence().unwrap())
        .collect()
}

#[tokio::test]
async fn stays_in_one_file_unless_told_otherwise() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    sink.write(&[event_at(1, START), event_at(2, START + 9 * DAY)])
        .await
        .unwrap();
    sink.write(&[event_at(3, START + 99 * DAY)]).await.unwrap();
    assert_eq!(trail_files(&path).unwrap(), [path]);
}

#[tokio::test]
async fn fills_a_file_to_the_byte_and_not_beyond() {
    let (_folder, path) = folder();
    write(&JsonLinesSink::open(&path).await.unwrap(), [1, 2]).await;
    let two = std::fs::metadata(&path).unwrap().len();
    for (bytes, files) in [(two, 1), (two - 1, 2)] {
        let (_folder, path) = folder();
        let sink = open(&path, bytes).await;
        write(&sink, [1]).await;
        write(&sink, [2]).await;
        assert_eq!(trail_files(&path).unwrap().len(), files, "{bytes} bytes");
    }
}

#[tokio::test]
async fn links_the_first_line_of_a_file_to_the_last_of_the_file_before() {
    let (_folder, path) = folder();
    write_files(&path, 1..=3).await;
    let files = [rotated(&path, 1), rotated(&path, 2), path.clone()];
    assert_eq!(trail_files(&path).unwrap(), files);
    let first: serde_json::Value = serde_json::from_str(&lines(&path)[0]).unwrap();
    assert_eq!(
        first["after"],
        serde_json::json!({"file": "audit.jsonl.000002", "sequence": 2})
    );
    let before = verify_chain(&files[..2]).unwrap();
    assert_eq!(first["prev"], before.last_hash.to_string());

    let report = verify_chain(&files).unwrap();
    assert_eq!((report.files, report.lines), (3, 3));
    assert_eq!(report.starts_after, None);
}

#[tokio::test]
async fn begins_a_file_with_the_first_batch_of_a_later_day() {
    let (_folder, path) = folder();
    let midnight = (START / DAY + 1) * DAY;
    let days: &[(&[i64], usize)] = &[
        (&[START], 1),
        (&[midnight - 1, midnight], 1),
        (&[midnight], 2),
        (&[midnight - 1], 2),
        (&[midnight + DAY - 1], 2),
        (&[midnight + 3 * DAY], 3),
    ];
    for (times, files) in days {
        // Opened each time: the day is in the file, not in memory.
        let builder = JsonLinesSink::builder(&path).rotate_daily();
        let sink = builder.open().await.unwrap();
        let batch: Vec<_> = times.iter().map(|secs| event_at(1, *secs)).collect();
        sink.write(&batch).await.unwrap();
        assert_eq!(trail_files(&path).unwrap().len(), *files, "{times:?}");
    }
    assert_eq!(verify_chain(trail_files(&path).unwrap()).unwrap().lines, 7);
}

#[tokio::test]
async fn goes_on_after_a_crash_between_the_renaming_and_the_first_line() {
    for made in [false, true] {
        let (_folder, path) = folder();
        write_files(&path, 1..=2).await;
        std::fs::rename(&path, rotated(&path, 2)).unwrap();
        if made {
            std::fs::write(&path, "").unwrap();
        }
        let files = trail_files(&path).unwrap();
        assert_eq!(verify_chain(files).unwrap().lines, 2);

        let sink = open(&path, 1).await;
        assert_eq!(sink.last_sequence().await.unwrap(), Some(2));
        write(&sink, [3]).await;
        assert_eq!(verify_chain(trail_files(&path).unwrap()).unwrap().lines, 3);
    }
}

#[tokio::test]
async fn mends_the_first_line_of_a_new_file_and_links_it_again() {
    let (_folder, path) = folder();
    write_files(&path, 1..=2).await;
    let line = lines(&path).concat();
    std::fs::write(&path, &line.as_bytes()[..line.len() - 9]).unwrap();
    write(&open(&path, 1).await, [2]).await;
    let report = verify_chain(trail_files(&path).unwrap()).unwrap();
    assert_eq!((report.files, report.lines), (2, 2));
}

#[tokio::test]
async fn follows_a_rotation_by_another_writer() {
    let (_folder, path) = folder();
    let plain = JsonLinesSink::open(&path).await.unwrap();
    let rotating = open(&path, 1).await;
    for n in 0..4 {
        write(&rotating, [2 * n]).await;
        write(&plain, [2 * n + 1]).await;
    }
    let report = verify_chain(trail_files(&path).unwrap()).unwrap();
    assert_eq!((report.files, report.lines), (4, 8));
}

#[tokio::test]
async fn finds_a_file_that_is_missing_swapped_or_cut() {
    let (_folder, path) = folder();
    write_files(&path, 1..=4).await;
    let files = trail_files(&path).unwrap();
    let not_linked = |files: &[PathBuf]| broken(verify_chain(files).unwrap_err());
    let [one, two, three, four] = files.as_slice() else {
        panic!("{files:?}");
    };
    let missing = [one.clone(), three.clone(), four.clone()];
    let at_three = (three.clone(), 1, ChainFault::NotLinked);
    assert_eq!(not_linked(&missing), at_three);
    let swapped = [one.clone(), three.clone(), two.clone(), four.clone()];
    assert_eq!(not_linked(&swapped), at_three);
    std::fs::write(two, "").unwrap();
    assert_eq!(not_linked(&files), at_three);
}

#[tokio::test]
async fn does_not_rotate_a_symbolic_link() {
    let (folder, path) = folder();
    std::os::unix::fs::symlink(folder.path().join("elsewhere.jsonl"), &path).unwrap();
    assert!(
        JsonLinesSink::builder(&path)
            .rotate_daily()
            .open()
            .await
            .is_err()
    );
    assert!(JsonLinesSink::open(&path).await.is_ok());
}

#[tokio::test]
async fn follows_a_file_that_another_tool_renamed() {
    let (folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    write(&sink, [1]).await;
    let renamed = folder.path().join("audit.jsonl.1");
    std::fs::rename(&path, &renamed).unwrap();
    write(&sink, [2]).await;
    assert_eq!(verify_chain([&renamed, &path]).unwrap().lines, 2);
    let after = verify_chain([&path]).unwrap().starts_after.unwrap();
    assert_eq!((after.file, after.sequence), (None, Some(1)));
}

#[tokio::test]
async fn keeps_files_of_other_tools_and_trails_apart() {
    let (folder, path) = folder();
    for name in [
        "audit.jsonl.1",
        "audit.jsonl.torn",
        "audit.jsonl.00000x",
        "b.jsonl.000009",
    ] {
        std::fs::write(folder.path().join(name), "{\"other\":1}\n").unwrap();
    }
    write_files(&path, 1..=2).await;
    assert_eq!(trail_files(&path).unwrap(), [rotated(&path, 1), path]);
}

mod purging {
    use super::*;

    /// Three files, their events ten days apart.
    async fn three(path: &Path) {
        let sink = open(path, 1).await;
        for n in 0..3 {
            let event = event_at(n + 1, START + 10 * DAY * i64::try_from(n).unwrap());
            sink.write(&[event]).await.unwrap();
        }
    }

    fn at(days: i64) -> Timestamp {
        Timestamp::from_secs(START + days * DAY)
    }

    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    #[tokio::test]
    async fn removes_whole_files_that_are_old_and_leaves_the_rest_verifiable() {
        let (_folder, path) = folder();
        three(&path).await;
        assert!(purge(&path, WEEK, at(7)).unwrap().files.is_empty());
        let purged = purge(&path, WEEK, at(8)).unwrap();
        assert_eq!(purged.files, [rotated(&path, 1)]);
        assert_eq!(purged.last_sequence, Some(1));

        let report = verify_chain(trail_files(&path).unwrap()).unwrap();
        assert_eq!((report.files, report.lines), (2, 2));
        let after = report.starts_after.unwrap();
        assert_eq!(after.file.as_deref(), Some("audit.jsonl.000001"));
        assert_eq!(after.sequence, Some(1));
    }

    #[tokio::test]
    async fn keeps_ninety_days_by_default() {
        let (_folder, path) = folder();
        three(&path).await;
        assert!(
            purge(&path, DEFAULT_RETENTION, at(90))
                .unwrap()
                .files
                .is_empty()
        );
        let purged = purge(&path, DEFAULT_RETENTION, at(91)).unwrap();
        assert_eq!(purged.files.len(), 1);
    }

    #[tokio::test]
    async fn keeps_the_file_in_use_however_old_and_gives_no_number_twice() {
        let (_folder, path) = folder();
        three(&path).await;
        let purged = purge(&path, WEEK, at(1000)).unwrap();
        assert_eq!(purged.files, [rotated(&path, 1), rotated(&path, 2)]);
        write_files(&path, [4]).await;
        assert_eq!(
            trail_files(&path).unwrap(),
            [rotated(&path, 3), path.clone()]
        );
        assert_eq!(verify_chain(trail_files(&path).unwrap()).unwrap().lines, 2);
    }

    #[tokio::test]
    async fn keeps_the_newest_lines_when_a_crash_left_the_file_in_use_empty() {
        let (_folder, path) = folder();
        three(&path).await;
        std::fs::rename(&path, rotated(&path, 3)).unwrap();
        let purged = purge(&path, WEEK, at(1000)).unwrap();
        assert_eq!(purged.files.len(), 2);
        write_files(&path, [4]).await;
        let report = verify_chain(trail_files(&path).unwrap()).unwrap();
        assert_eq!(report.lines, 2);
    }

    #[tokio::test]
    async fn stops_at_a_file_that_it_cannot_read() {
        let (_folder, path) = folder();
        three(&path).await;
        std::fs::write(rotated(&path, 1), "# not an event\n").unwrap();
        assert!(purge(&path, WEEK, at(1000)).unwrap().files.is_empty());
    }
}

/// Processes on one trail: this file's own program, started again.
mod processes {
    use super::*;

    const PATH: &str = "KEYWARD_TEST_ROTATED_TRAIL";
    const FIRST: &str = "KEYWARD_TEST_FIRST";
    const LINES: u64 = 200;

    /// Does nothing as a test of its own; as the child it writes.
    #[tokio::test]
    async fn child() {
        let Some(path) = std::env::var_os(PATH) else {
            return;
        };
        let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
        let sink = open(Path::new(&path), 2000).await;
        for n in first..first + LINES {
            write(&sink, [n]).await;
        }
    }

    fn start(path: &Path, first: u64) -> std::process::Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child"])
            .env(PATH, path)
            .env(FIRST, first.to_string())
            .spawn()
            .unwrap()
    }

    #[test]
    fn several_rotate_one_trail_and_lose_nothing() {
        let (_folder, path) = folder();
        let children = [0, LINES, 2 * LINES].map(|first| start(&path, first));
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let files = trail_files(&path).unwrap();
        assert!(files.len() > 50, "{} files", files.len());
        assert_eq!(verify_chain(&files).unwrap().lines, 3 * LINES);
        let mut found = sequences(&path);
        found.sort_unstable();
        assert_eq!(found, (0..3 * LINES).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_killed_at_any_moment_leaves_a_trail_that_goes_on() {
        let (_folder, path) = folder();
        for round in 1..=8 {
            let mut child = start(&path, 0);
            let before = trail_files(&path).unwrap().len();
            while trail_files(&path).unwrap().len() < before + 3 {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            write(&open(&path, 2000).await, [round]).await;
            let lines = verify_chain(trail_files(&path).unwrap()).unwrap().lines;
            assert!(lines > 0);
        }
    }
}

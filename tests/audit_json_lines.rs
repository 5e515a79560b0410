//! The JSON Lines file: what it promises on disk, and what it does after a crash.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward::audit::{
    AuditError, AuditEvent, AuditKind, AuditRecorder, AuditSink, JsonLinesSink, SyncPolicy,
};
use keyward::time::Timestamp;
use tempfile::TempDir;

fn event(sequence: u64) -> AuditEvent {
    AuditEvent::new(AuditKind::KeyCreated, Timestamp::from_secs(1_700_000_000))
        .with_sequence(sequence)
        .with_owner("acme")
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    (folder, path)
}

fn torn(path: &Path) -> PathBuf {
    path.with_extension("jsonl.torn")
}

/// Reads the file; fails if any line is not an event.
fn sequences(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    events
        .map(|event: AuditEvent| event.sequence().unwrap())
        .collect()
}

async fn write(sink: &JsonLinesSink, sequences: impl IntoIterator<Item = u64>) {
    let events: Vec<_> = sequences.into_iter().map(event).collect();
    sink.write(&events).await.unwrap();
}

#[tokio::test]
async fn goes_on_where_an_earlier_sink_ended() {
    let (_folder, path) = folder();
    write(&JsonLinesSink::open(&path).await.unwrap(), [1, 2]).await;
    let again = JsonLinesSink::open(&path).await.unwrap();
    assert_eq!(again.last_sequence().await.unwrap(), Some(2));
    let recorder = AuditRecorder::builder(again).start().unwrap();
    recorder.record(event(0)).await.unwrap();
    recorder.shutdown().await.unwrap();
    assert_eq!(sequences(&path), [1, 2, 3]);
}

#[tokio::test]
async fn keeps_what_is_whole_wherever_a_crash_cut_the_file() {
    let (_folder, path) = folder();
    write(&JsonLinesSink::open(&path).await.unwrap(), [1, 2, 3]).await;
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (1..=whole.len())
        .filter(|at| whole[at - 1] == b'\n')
        .collect();
    for cut in ends[0]..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let _ = std::fs::remove_file(torn(&path));
        let complete = ends.iter().filter(|end| **end <= cut).count();

        let sink = JsonLinesSink::open(&path).await.unwrap();
        let last = sink.last_sequence().await.unwrap();
        assert_eq!(last, Some(complete as u64), "cut at {cut}");
        write(&sink, [9]).await;
        let expected: Vec<u64> = (1..=complete as u64).chain([9]).collect();
        assert_eq!(sequences(&path), expected, "cut at {cut}");

        let rest = &whole[ends[complete - 1]..cut];
        let moved = std::fs::read(torn(&path)).unwrap_or_default();
        assert_eq!(
            moved.strip_suffix(b"\n").unwrap_or_default(),
            rest,
            "cut at {cut}"
        );
    }
}

#[tokio::test]
async fn keeps_every_torn_line_beside_the_file() {
    let (_folder, path) = folder();
    for torn_line in ["{\"a", "{\"b"] {
        std::fs::write(&path, torn_line).unwrap();
        let sink = JsonLinesSink::open(&path).await.unwrap();
        assert_eq!(sink.last_sequence().await.unwrap(), None);
    }
    assert_eq!(
        std::fs::read_to_string(torn(&path)).unwrap(),
        "{\"a\n{\"b\n"
    );
}

#[tokio::test]
async fn mends_a_line_that_another_process_tore_while_it_was_open() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    write(&sink, [1]).await;
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"schema\":1,\"ti");
    std::fs::write(&path, text).unwrap();
    write(&sink, [2]).await;
    assert_eq!(sequences(&path), [1, 2]);
    assert_eq!(
        std::fs::read_to_string(torn(&path)).unwrap(),
        "{\"schema\":1,\"ti\n"
    );
}

#[tokio::test]
async fn moves_a_torn_line_longer_than_one_read() {
    let (_folder, path) = folder();
    write(&JsonLinesSink::open(&path).await.unwrap(), [1]).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(vec![0; 100_000]);
    std::fs::write(&path, bytes).unwrap();
    write(&JsonLinesSink::open(&path).await.unwrap(), [2]).await;
    assert_eq!(sequences(&path), [1, 2]);
    assert_eq!(std::fs::read(torn(&path)).unwrap().len(), 100_001);
}

#[tokio::test]
async fn goes_on_in_a_file_that_was_emptied_under_it() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    write(&sink, [1]).await;
    std::fs::write(&path, "").unwrap();
    write(&sink, [2]).await;
    assert_eq!(sequences(&path), [2]);
}

#[tokio::test]
async fn refuses_a_file_that_is_no_trail_and_leaves_it_alone() {
    let (_folder, path) = folder();
    for content in ["root:x:0:0\n", "{\"level\":\"info\"}\n"] {
        std::fs::write(&path, content).unwrap();
        let opened = JsonLinesSink::open(&path).await;
        assert!(matches!(
            opened,
            Err(AuditError::Unreadable {
                sink: "json_lines",
                ..
            })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn refuses_a_file_that_is_no_trail_even_if_its_last_line_has_no_end() {
    let (_folder, path) = folder();
    std::fs::write(&path, "root:x:0:0\nbin:x").unwrap();
    assert!(JsonLinesSink::open(&path).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "root:x:0:0\nbin:x");
}

#[tokio::test]
async fn goes_on_after_a_stray_line() {
    let (_folder, path) = folder();
    write(&JsonLinesSink::open(&path).await.unwrap(), [7]).await;
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("# a note\n");
    std::fs::write(&path, text).unwrap();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    assert_eq!(sink.last_sequence().await.unwrap(), Some(7));
}

#[tokio::test]
async fn says_what_is_wrong_when_the_folder_is_missing() {
    let (folder, _) = folder();
    let opened = JsonLinesSink::open(folder.path().join("none/audit.jsonl")).await;
    assert!(matches!(
        opened,
        Err(AuditError::Backend {
            sink: "json_lines",
            ..
        })
    ));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn calls_a_full_disk_unavailable() {
    let sink = JsonLinesSink::open("/dev/full").await.unwrap();
    let written = sink.write(&[event(1)]).await;
    assert!(matches!(
        written,
        Err(AuditError::Unavailable {
            sink: "json_lines",
            ..
        })
    ));
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn lets_only_the_owner_read_what_it_makes() {
        let (_folder, path) = folder();
        JsonLinesSink::open(&path).await.unwrap();
        std::fs::write(&path, "{\"torn").unwrap();
        JsonLinesSink::open(&path).await.unwrap();
        assert_eq!((mode(&path), mode(&torn(&path))), (0o600, 0o600));
    }

    #[tokio::test]
    async fn leaves_the_mode_of_a_file_that_is_there() {
        let (_folder, path) = folder();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        JsonLinesSink::open(&path).await.unwrap();
        assert_eq!(mode(&path), 0o640);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_mixes_the_lines_of_two_sinks_on_one_file() {
    const EACH: u64 = 50;
    let (_folder, path) = folder();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u64 {
        let sink = JsonLinesSink::builder(&path)
            .sync(SyncPolicy::Never)
            .open()
            .await
            .unwrap();
        writers.spawn(async move {
            for n in 0..EACH {
                let first = (writer * EACH + n) * 3;
                write(&sink, first..first + 3).await;
            }
        });
    }
    writers.join_all().await;
    let found = sequences(&path);
    assert_eq!(found.len() as u64, 4 * EACH * 3);
    for batch in found.chunks(3) {
        assert_eq!(batch, (batch[0]..batch[0] + 3).collect::<Vec<_>>());
    }
}

#[test]
fn needs_a_runtime() {
    let (_folder, path) = folder();
    let mut opening = pin!(JsonLinesSink::open(path));
    let polled = opening
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(AuditError::NoRuntime))));
}

#[tokio::test]
async fn flushes_under_every_policy() {
    for sync in [SyncPolicy::Always, SyncPolicy::LifeCycle, SyncPolicy::Never] {
        let (_folder, path) = folder();
        let sink = JsonLinesSink::builder(&path)
            .sync(sync)
            .open()
            .await
            .unwrap();
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        assert_eq!(sequences(&path), [1]);
    }
}

/// A process that is killed while it writes: this file's own program, started again.
#[cfg(unix)]
mod killed {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    const PATH: &str = "KEYWARD_TEST_TRAIL";

    /// Does nothing as a test of its own; as the child it records until it is killed.
    #[tokio::test]
    async fn child() {
        let Some(path) = std::env::var_os(PATH) else {
            return;
        };
        let sink = JsonLinesSink::open(PathBuf::from(path)).await.unwrap();
        let recorder = AuditRecorder::builder(sink).start().unwrap();
        for n in 1_u64.. {
            recorder.enqueue(event(0));
            recorder.record(event(0)).await.unwrap();
            println!("\nrecorded {}", 2 * n);
        }
    }

    #[tokio::test]
    async fn loses_nothing_that_record_confirmed() {
        let (_folder, path) = folder();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let confirmed = lines.map_while(Result::ok).filter_map(|line| {
            let number: u64 = line.strip_prefix("recorded ")?.parse().ok()?;
            Some(number)
        });
        let mut last = 0;
        for number in confirmed {
            if number == 100 {
                child.kill().unwrap();
            }
            last = number;
        }
        child.wait().unwrap();

        write(&JsonLinesSink::open(&path).await.unwrap(), [u64::MAX]).await;
        let mut found = sequences(&path);
        assert_eq!(found.pop(), Some(u64::MAX));
        assert!(found.len() as u64 >= last && last >= 100);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
    }
}

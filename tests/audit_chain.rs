//! The chain of a JSON Lines trail: what is written, and which damage is found.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use keyward::audit::{
    AuditEvent, ChainError, ChainFault, JsonLinesSink, LineHash, SyncPolicy, verify_chain,
};

mod audit_support;

use audit_support::{broken, damages, folder, lines, trail, unchained, write};

fn prev(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["prev"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn names_the_hash_of_the_line_before() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let lines = lines(&path);
    assert_eq!(prev(&lines[0]), "0".repeat(64));
    for pair in lines.windows(2) {
        let hash = LineHash::of(pair[0].trim_end().as_bytes());
        assert_eq!(prev(&pair[1]), hash.to_string());
    }
}

#[tokio::test]
async fn leaves_the_event_in_a_line_as_it_was() {
    let (_folder, path) = folder();
    trail(&path, 1).await;
    let line = &lines(&path)[0];
    let event: AuditEvent = serde_json::from_str(line).unwrap();
    assert_eq!(event, audit_support::event_at(1, audit_support::START));
    assert_eq!(format!("{}\n", event.to_line().unwrap()), unchained(line));
}

#[tokio::test]
async fn reports_what_was_verified() {
    let (_folder, path) = folder();
    let empty = JsonLinesSink::open(&path).await.unwrap();
    let report = verify_chain([&path]).unwrap();
    assert_eq!((report.files, report.lines), (1, 0));
    assert_eq!(report.last_hash, LineHash::START);

    write(&empty, 5..=9).await;
    let report = verify_chain([&path]).unwrap();
    assert_eq!((report.files, report.lines, report.unchained), (1, 5, 0));
    assert_eq!(
        report.first_sequence.zip(report.last_sequence),
        Some((5, 9))
    );
    assert_eq!(report.starts_after, None);
    let last = LineHash::of(lines(&path)[4].trim_end().as_bytes());
    assert_eq!((report.last_hash, report.unfinished), (last, 0));
}

#[tokio::test]
async fn names_the_first_line_that_does_not_fit_and_why() {
    let (_folder, path) = folder();
    trail(&path, 6).await;
    for (name, damaged, line, fault) in damages(&lines(&path)) {
        std::fs::write(&path, damaged.concat()).unwrap();
        let found = broken(verify_chain([&path]).unwrap_err());
        assert_eq!(found, (path.clone(), line, fault), "{name}");
    }
}

#[tokio::test]
async fn finds_a_changed_byte_wherever_it_stands_but_in_the_last_line() {
    let (_folder, path) = folder();
    trail(&path, 4).await;
    let whole = std::fs::read(&path).unwrap();
    let last = whole.len() - lines(&path)[3].len();
    for at in 0..last {
        let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        for mask in [0x01, 0x20, 0x80, b'\n' ^ whole[at]] {
            if mask == 0 {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            std::fs::write(&path, damaged).unwrap();
            let (_, named, fault) = broken(verify_chain([&path]).unwrap_err());
            // With another number in it, a line looks like one after which others are missing.
            let beside = named == line + 1 && fault == ChainFault::Missing;
            assert!(
                named == line || beside,
                "byte {at} ^ {mask}: {named}, {fault}"
            );
        }
    }
}

#[tokio::test]
async fn does_not_find_a_change_in_the_last_line_or_a_cut_tail() {
    let (_folder, path) = folder();
    trail(&path, 4).await;
    let noted = verify_chain([&path]).unwrap();
    let mut kept = lines(&path);
    kept[3] = kept[3].replace("acme", "evil");
    std::fs::write(&path, kept.concat()).unwrap();
    let report = verify_chain([&path]).unwrap();
    assert_ne!(report.last_hash, noted.last_hash, "a noted hash tells");

    kept.truncate(2);
    std::fs::write(&path, kept.concat()).unwrap();
    let report = verify_chain([&path]).unwrap();
    assert_eq!(report.last_sequence, Some(2), "a noted sequence tells");
}

#[tokio::test]
async fn finds_a_wrong_link_in_the_last_line() {
    let (_folder, path) = folder();
    trail(&path, 2).await;
    let mut damaged = lines(&path);
    let hash = prev(&damaged[1]);
    damaged[1] = damaged[1].replace(&hash, &hash.to_uppercase());
    std::fs::write(&path, damaged.concat()).unwrap();
    let (_, line, fault) = broken(verify_chain([&path]).unwrap_err());
    assert_eq!((line, fault), (2, ChainFault::Unreadable));
}

#[tokio::test]
async fn goes_on_after_a_restart() {
    let (_folder, path) = folder();
    for n in 1..=3 {
        write(&JsonLinesSink::open(&path).await.unwrap(), [n]).await;
    }
    assert_eq!(verify_chain([&path]).unwrap().lines, 3);
}

#[tokio::test]
async fn goes_on_after_a_torn_line() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let whole = std::fs::read(&path).unwrap();
    for missing in [1, 40, 80] {
        std::fs::write(&path, &whole[..whole.len() - missing]).unwrap();
        let report = verify_chain([&path]).unwrap();
        assert_eq!(report.lines, 2);
        assert!(report.unfinished > 0);
        write(&JsonLinesSink::open(&path).await.unwrap(), [3, 4]).await;
        let report = verify_chain([&path]).unwrap();
        assert_eq!((report.lines, report.unfinished), (4, 0));
    }
}

#[tokio::test]
async fn goes_on_after_a_line_that_was_torn_while_the_file_was_open() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    write(&sink, [1, 2]).await;
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    write(&sink, [2]).await;
    assert_eq!(verify_chain([&path]).unwrap().lines, 2);
}

#[tokio::test]
async fn continues_a_file_from_before_there_was_a_chain() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let old: Vec<_> = lines(&path).iter().map(|line| unchained(line)).collect();
    std::fs::write(&path, old.concat()).unwrap();
    let report = verify_chain([&path]).unwrap();
    assert_eq!((report.lines, report.unchained), (3, 3));

    write(&JsonLinesSink::open(&path).await.unwrap(), [4, 5]).await;
    let report = verify_chain([&path]).unwrap();
    assert_eq!((report.lines, report.unchained), (5, 3));

    let mut damaged = lines(&path);
    damaged[2] = damaged[2].replace("acme", "evil");
    std::fs::write(&path, damaged.concat()).unwrap();
    let (_, line, fault) = broken(verify_chain([&path]).unwrap_err());
    assert_eq!((line, fault), (3, ChainFault::Altered));
}

#[tokio::test]
async fn refuses_lines_that_lost_their_links() {
    let (_folder, path) = folder();
    trail(&path, 4).await;
    let mut damaged = lines(&path);
    damaged[0] = unchained(&damaged[0]);
    std::fs::write(&path, damaged.concat()).unwrap();
    assert_eq!(broken(verify_chain([&path]).unwrap_err()).1, 1);
}

#[tokio::test]
async fn chains_lines_of_writers_that_take_turns() {
    let (_folder, path) = folder();
    let one = JsonLinesSink::open(&path).await.unwrap();
    let two = JsonLinesSink::open(&path).await.unwrap();
    for n in 0..5 {
        write(&one, [2 * n]).await;
        write(&two, [2 * n + 1]).await;
    }
    assert_eq!(verify_chain([&path]).unwrap().lines, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chains_lines_of_writers_at_work_at_the_same_time() {
    let (_folder, path) = folder();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u64 {
        let builder = JsonLinesSink::builder(&path).sync(SyncPolicy::Never);
        let sink = builder.open().await.unwrap();
        writers.spawn(async move {
            for n in 0..50 {
                let first = (writer * 50 + n) * 3;
                write(&sink, first..first + 3).await;
            }
        });
    }
    writers.join_all().await;
    assert_eq!(verify_chain([&path]).unwrap().lines, 600);
}

#[tokio::test]
async fn says_what_a_file_went_on_after_that_was_emptied_under_it() {
    let (_folder, path) = folder();
    let sink = JsonLinesSink::open(&path).await.unwrap();
    write(&sink, [1, 2]).await;
    let copy = path.with_extension("copy");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::write(&path, "").unwrap();
    write(&sink, [3]).await;
    let after = verify_chain([&path]).unwrap().starts_after.unwrap();
    assert_eq!((after.file, after.sequence), (None, Some(2)));
    assert_eq!(verify_chain([&copy, &path]).unwrap().lines, 3);
}

#[test]
fn says_which_file_cannot_be_read() {
    let (_folder, path) = folder();
    let error = verify_chain([&path]).unwrap_err();
    assert!(matches!(error, ChainError::Read { ref file, .. } if *file == path));
}

#[test]
fn reads_no_line_longer_than_a_megabyte() {
    let (_folder, path) = folder();
    for end in ["", "\n"] {
        let long = " ".repeat(3 * 1024 * 1024) + end;
        std::fs::write(&path, long).unwrap();
        let found = broken(verify_chain([&path]).unwrap_err());
        assert_eq!((found.1, found.2), (1, ChainFault::Unreadable));
    }
}

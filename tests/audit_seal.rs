//! When a trail is sealed, how it goes on after restarts and failures, and what is published.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use keyward::audit::{
    AuditError, AuditRecorder, AuditSink, JsonLinesSink, SealCounters, SealVerifier, Sealing,
    checkpoints_file, purge, trail_files, verify_chain,
};
use keyward::time::Timestamp;

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;
mod seal_support;

use audit_support::{START, event_at, folder, write};
use seal_support::{
    Elsewhere, all_notes, key, notes, notes_text, open, public, sealing, sizes, verifier, verify,
    verify_with,
};

/// What the end of the chain of causes says.
fn cause(error: &AuditError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

async fn refused(path: &Path, sealing: Sealing) -> String {
    let opened = JsonLinesSink::builder(path).seal(sealing).open().await;
    cause(&opened.unwrap_err())
}

mod when {
    use super::*;

    #[tokio::test]
    async fn a_flush_seals_what_was_written() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, 1..=3).await;
        assert!(notes(&path).is_empty());
        sink.flush().await.unwrap();
        let report = verify(&path).unwrap();
        assert_eq!((report.sealed, report.unsealed, report.missing), (3, 0, 0));
        assert_eq!((report.checkpoints, report.compared), (1, 1));

        write(&sink, [4]).await;
        let report = verify(&path).unwrap();
        assert_eq!((report.sealed, report.unsealed), (3, 1));
    }

    #[tokio::test]
    async fn nothing_new_needs_no_checkpoint() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        sink.flush().await.unwrap();
        assert!(notes(&path).is_empty());
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        sink.flush().await.unwrap();
        assert_eq!(sizes(&path), [1]);
    }

    #[tokio::test]
    async fn a_full_file_is_sealed_at_its_end() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), Some(1)).await;
        for batch in [1..=2, 3..=3, 4..=6, 7..=7] {
            write(&sink, batch).await;
        }
        assert_eq!(sizes(&path), [2, 3, 6]);
        sink.flush().await.unwrap();
        let report = verify(&path).unwrap();
        assert_eq!(
            (report.chain.files, report.sealed, report.compared),
            (4, 7, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn time_seals_new_lines_and_nothing_else() {
        let (_folder, path) = folder();
        let every = Duration::from_secs(300);
        let sink = open(&path, Sealing::new(key(1)).every(every), None).await;
        tokio::time::sleep(every * 3).await;
        write(&sink, [1]).await;
        tokio::time::sleep(every * 3).await;
        assert_eq!(sizes(&path), [1]);
        write(&sink, [2, 3]).await;
        tokio::time::sleep(every * 3).await;
        assert_eq!(sizes(&path), [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_seals_every_five_minutes_by_default() {
        let (_folder, path) = folder();
        let sink = open(&path, Sealing::new(key(1)), None).await;
        write(&sink, [1]).await;
        tokio::time::sleep(Duration::from_secs(299)).await;
        assert!(notes(&path).is_empty());
        tokio::time::sleep(Duration::from_secs(2)).await;
        while notes(&path).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(sizes(&path), [1]);
    }

    #[tokio::test]
    async fn the_shutdown_of_the_recorder_seals_the_last_line() {
        let (_folder, path) = folder();
        let recorder = AuditRecorder::builder(open(&path, sealing(1), None).await);
        let recorder = recorder.start().unwrap();
        recorder.record(event_at(1, START)).await.unwrap();
        let _ = recorder.enqueue(event_at(2, START));
        recorder.shutdown().await.unwrap();
        assert_eq!(verify(&path).unwrap().sealed, 2);
    }

    #[tokio::test]
    async fn a_trail_that_is_not_sealed_has_no_checkpoints() {
        let (_folder, path) = folder();
        let sink = JsonLinesSink::open(&path).await.unwrap();
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        assert!(!checkpoints_file(&path).exists());
        assert_eq!(sink.seal_counters(), SealCounters::default());
    }

    #[tokio::test]
    async fn the_file_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        let mode = fs::metadata(checkpoints_file(&path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

mod restarts {
    use super::*;

    #[tokio::test]
    async fn go_on_counting_after_an_orderly_end() {
        let (_folder, path) = folder();
        for n in 1..=4 {
            let sink = open(&path, sealing(1), Some(500)).await;
            write(&sink, [2 * n, 2 * n + 1]).await;
            sink.flush().await.unwrap();
        }
        let report = verify(&path).unwrap();
        assert_eq!((report.sealed, report.compared), (8, report.checkpoints));
    }

    #[tokio::test]
    async fn seal_what_a_crash_left_unsealed() {
        let (_folder, path) = folder();
        for n in 1..=4 {
            let sink = open(&path, sealing(1), None).await;
            write(&sink, [n]).await;
            if n == 2 {
                sink.flush().await.unwrap();
            }
        }
        let sink = open(&path, sealing(1), None).await;
        sink.flush().await.unwrap();
        assert_eq!(sizes(&path), [2, 4]);
        assert_eq!(verify(&path).unwrap().compared, 2);
    }

    #[tokio::test]
    async fn read_on_through_files_that_nobody_sealed() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), Some(1)).await;
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        drop(sink);
        let plain = JsonLinesSink::builder(&path).rotate_at(std::num::NonZeroU64::MIN);
        let plain = plain.open().await.unwrap();
        for n in 2..=5 {
            write(&plain, [n, n]).await;
        }
        let sink = open(&path, sealing(1), Some(1)).await;
        sink.flush().await.unwrap();
        assert_eq!(sizes(&path), [1, 9]);
        assert_eq!(verify(&path).unwrap().compared, 2);
    }

    #[tokio::test]
    async fn go_on_when_the_files_before_are_gone() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), Some(1)).await;
        for n in 1..=5 {
            write(&sink, [n]).await;
        }
        drop(sink);
        let now = Timestamp::from_secs(START + 1_000_000);
        assert_eq!(
            purge(&path, Duration::from_secs(60), now)
                .unwrap()
                .files
                .len(),
            4
        );
        let sink = open(&path, sealing(1), Some(1)).await;
        write(&sink, [6]).await;
        sink.flush().await.unwrap();
        assert_eq!(sizes(&path), [1, 2, 3, 4, 5, 6]);
        let report = verify(&path).unwrap();
        assert_eq!((report.missing, report.compared, report.sealed), (4, 2, 6));
    }

    #[tokio::test]
    async fn begin_at_the_first_line_that_is_left() {
        let (_folder, path) = folder();
        let plain = JsonLinesSink::builder(&path).rotate_at(std::num::NonZeroU64::MIN);
        let plain = plain.open().await.unwrap();
        for n in 1..=4 {
            write(&plain, [n]).await;
        }
        fs::remove_file(path.with_extension("jsonl.000001")).unwrap();
        let kept = fs::read(path.with_extension("jsonl.000002")).unwrap();
        let sink = open(&path, sealing(1).begin_on_existing_trail(), None).await;
        assert_eq!(sizes(&path), [3]);
        assert_eq!(verify(&path).unwrap().compared, 1);
        // Later the first of them goes as well, with no checkpoint at its end.
        write(&sink, [5]).await;
        sink.flush().await.unwrap();
        fs::remove_file(path.with_extension("jsonl.000002")).unwrap();
        let report = verify(&path).unwrap();
        assert_eq!((report.missing, report.compared, report.sealed), (1, 2, 4));
        fs::write(path.with_extension("jsonl.000002"), kept).unwrap();
        assert_eq!(verify(&path).unwrap().missing, 0);
    }

    #[tokio::test]
    async fn are_refused_when_what_was_sealed_is_gone() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, [1]).await;
        write(&sink, [2]).await;
        sink.flush().await.unwrap();
        drop(sink);
        let text = fs::read_to_string(&path).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        fs::write(&path, first).unwrap();
        let why = refused(&path, sealing(1)).await;
        assert_eq!(
            why,
            "the line that was sealed last is not in the trail any more"
        );
        fs::write(&path, text).unwrap();
        let _ = open(&path, sealing(1), None).await;
    }

    #[tokio::test]
    async fn change_keys_when_told_which_came_before() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, [1]).await;
        sink.flush().await.unwrap();
        drop(sink);
        let why = refused(&path, sealing(2)).await;
        assert_eq!(
            why,
            "the last checkpoint beside the trail is not signed by a known key"
        );

        let sink = open(&path, sealing(2).after(public(1)), None).await;
        write(&sink, [2]).await;
        sink.flush().await.unwrap();
        drop(sink);
        assert_eq!(
            verify_with(&SealVerifier::new(public(2)).earlier_key(public(1)), &path)
                .unwrap()
                .compared,
            2
        );
        assert!(verify(&path).is_err());
        // Once it has signed, the new key needs the old one no more.
        let _ = open(&path, sealing(2), None).await;
    }

    #[tokio::test]
    async fn refuse_settings_that_make_no_sense() {
        let (_folder, path) = folder();
        let why = refused(&path, Sealing::new(key(1)).every(Duration::ZERO)).await;
        assert_eq!(why, "the interval between checkpoints must not be zero");
        let other = keyward::audit::SealKey::from_seed("example.com/other", &[2; 32]).unwrap();
        let why = refused(&path, sealing(1).after(other.verifier().clone())).await;
        assert_eq!(why, "an earlier key of a trail must have the same name");
    }

    #[tokio::test]
    async fn mend_a_checkpoint_that_a_crash_cut_off() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        for n in 1..=2 {
            write(&sink, [n]).await;
            sink.flush().await.unwrap();
        }
        drop(sink);
        let whole = notes_text(&path);
        let first = whole.len() - notes(&path)[1].len() - 1;
        for cut in first..whole.len() {
            fs::write(checkpoints_file(&path), &whole.as_bytes()[..cut]).unwrap();
            let report = verify(&path).unwrap();
            assert_eq!(report.checkpoints, 1, "{cut}");
            assert_eq!(report.unfinished, u64::try_from(cut - first).unwrap());
            let sink = open(&path, sealing(1), None).await;
            sink.flush().await.unwrap();
            assert_eq!(notes_text(&path), whole, "{cut}");
        }
        assert!(path.with_extension("jsonl.checkpoints.torn").exists());
    }

    #[tokio::test]
    async fn do_not_touch_a_file_that_holds_something_else() {
        let (_folder, path) = folder();
        let other = "something else\n".repeat(10_000);
        fs::write(checkpoints_file(&path), &other).unwrap();
        let _ = refused(&path, sealing(1)).await;
        assert_eq!(notes_text(&path), other);
    }
}

mod without_checkpoints {
    use super::*;

    const REFUSED: &str = "the trail has lines and no checkpoint beside it";

    /// Two sealed lines, and a third that is not sealed.
    async fn sealed() -> (tempfile::TempDir, PathBuf, JsonLinesSink) {
        let (folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, 1..=2).await;
        sink.flush().await.unwrap();
        write(&sink, [3]).await;
        (folder, path, sink)
    }

    #[tokio::test]
    async fn a_trail_with_lines_is_not_opened() {
        let (_folder, path, sink) = sealed().await;
        drop(sink);
        let notes = notes_text(&path);
        fs::remove_file(checkpoints_file(&path)).unwrap();
        for _ in 0..2 {
            let why = refused(&path, sealing(1)).await;
            assert!(why.starts_with(REFUSED), "{why}");
            assert!(why.contains("begin_on_existing_trail"), "{why}");
            // Nothing was signed, and an empty file is none.
            assert_eq!(notes_text(&path), "");
        }
        // Half a note is none either.
        fs::write(checkpoints_file(&path), &notes.as_bytes()[..100]).unwrap();
        assert!(refused(&path, sealing(1)).await.starts_with(REFUSED));
        fs::write(checkpoints_file(&path), notes).unwrap();
        let _ = open(&path, sealing(1), None).await;
    }

    #[tokio::test]
    async fn a_trail_whose_lines_are_all_in_full_files_is_not_opened() {
        let (_folder, path) = folder();
        let plain = JsonLinesSink::open(&path).await.unwrap();
        write(&plain, [1]).await;
        drop(plain);
        fs::rename(&path, path.with_extension("jsonl.000001")).unwrap();
        assert!(refused(&path, sealing(1)).await.starts_with(REFUSED));
    }

    #[tokio::test]
    async fn a_trail_that_was_never_sealed_begins_when_told_to() {
        let (_folder, path) = folder();
        let plain = JsonLinesSink::open(&path).await.unwrap();
        write(&plain, 1..=3).await;
        drop(plain);
        assert!(refused(&path, sealing(1)).await.starts_with(REFUSED));
        drop(open(&path, sealing(1).begin_on_existing_trail(), None).await);
        // At once, so that the next start needs no word, whatever ends this one.
        assert_eq!(sizes(&path), [3]);
        let sink = open(&path, sealing(1), None).await;
        write(&sink, [4]).await;
        sink.flush().await.unwrap();
        assert_eq!(verify(&path).unwrap().compared, 2);
    }

    #[tokio::test]
    async fn the_word_does_not_begin_a_sealed_trail_anew() {
        let (_folder, path, sink) = sealed().await;
        drop(sink);
        fs::write(&path, "").unwrap();
        write(&JsonLinesSink::open(&path).await.unwrap(), [7]).await;
        let why = refused(&path, sealing(1).begin_on_existing_trail()).await;
        assert_eq!(
            why,
            "the line that was sealed last is not in the trail any more"
        );
    }

    #[tokio::test]
    async fn a_new_trail_begins_by_itself_and_survives_a_crash_before_its_first_checkpoint() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        assert_eq!(all_notes(&path).len(), 1);
        write(&sink, [1]).await;
        drop(sink);
        let sink = open(&path, sealing(1), None).await;
        sink.flush().await.unwrap();
        assert_eq!((all_notes(&path).len(), sizes(&path)), (2, vec![1]));
        assert_eq!(sink.seal_counters().written, 1);
        assert_eq!(verify(&path).unwrap().checkpoints, 1);
    }

    #[tokio::test]
    async fn an_empty_trail_begins_by_itself() {
        let (_folder, path) = folder();
        drop(JsonLinesSink::open(&path).await.unwrap());
        let _ = open(&path, sealing(1), None).await;
        assert_eq!(all_notes(&path).len(), 1);
    }

    #[tokio::test]
    async fn the_note_of_the_beginning_alone_verifies_nothing() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        let sink = open(&path, sealing(1).publish_to(elsewhere.clone()), None).await;
        write(&sink, [1]).await;
        let none = |error| matches!(error, keyward::audit::SealError::NoCheckpoints { .. });
        assert!(none(verify(&path).unwrap_err()));
        let kept = verifier().kept(&all_notes(&path)[0]);
        assert!(none(verify_with(&kept, &path).unwrap_err()));
        sink.flush().await.unwrap();
        assert_eq!(verify_with(&kept, &path).unwrap().compared, 1);
        assert_eq!(elsewhere.sizes(), [1]);
    }

    #[tokio::test]
    async fn a_running_process_notices_that_the_file_was_removed_emptied_or_cut() {
        let (_folder, path, sink) = sealed().await;
        let whole = notes_text(&path);
        let beginning = format!("{}\n", all_notes(&path)[0]);
        let mut failed = 0;
        for left in [None, Some(""), Some(beginning.as_str())] {
            match left {
                None => fs::remove_file(checkpoints_file(&path)).unwrap(),
                Some(left) => fs::write(checkpoints_file(&path), left).unwrap(),
            }
            let why = cause(&sink.flush().await.unwrap_err());
            assert!(why.contains("removed or cut off"), "{why}");
            failed += 1;
            assert_eq!(sink.seal_counters().failed, failed);
            assert!(notes(&path).is_empty(), "nothing is signed anew");
            write(&sink, [4]).await;
        }
        fs::write(checkpoints_file(&path), whole).unwrap();
        sink.flush().await.unwrap();
        assert_eq!(verify(&path).unwrap().sealed, 6);
    }

    #[tokio::test]
    async fn a_shutdown_notices_it_as_well_with_nothing_new_to_seal() {
        let (_folder, path) = folder();
        let recorder = AuditRecorder::builder(open(&path, sealing(1), None).await);
        let recorder = recorder.start().unwrap();
        recorder.record(event_at(1, START)).await.unwrap();
        recorder.flush().await.unwrap();
        fs::remove_file(checkpoints_file(&path)).unwrap();
        assert!(recorder.shutdown().await.is_err());
        assert_eq!(recorder.counters().written, 1);
    }
}

mod writers {
    use super::*;

    #[tokio::test]
    async fn several_seal_one_trail() {
        let (_folder, path) = folder();
        let one = open(&path, sealing(1), Some(900)).await;
        let two = open(&path, sealing(1), Some(900)).await;
        let plain = JsonLinesSink::open(&path).await.unwrap();
        for n in 0..20 {
            write(&one, [n]).await;
            write(&plain, [n, n]).await;
            write(&two, [n]).await;
            if n % 3 == 0 {
                two.flush().await.unwrap();
                one.flush().await.unwrap();
            }
        }
        one.flush().await.unwrap();
        let sizes = sizes(&path);
        assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
        let report = verify(&path).unwrap();
        assert_eq!((report.sealed, report.compared), (80, report.checkpoints));
    }

    #[tokio::test]
    async fn a_line_changed_before_it_was_sealed_contradicts_the_checkpoint() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, 1..=2).await;
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replacen("acme", "evil", 2);
        fs::write(&path, changed.replacen("evil", "acme", 1)).unwrap();
        assert!(verify_chain([&path]).is_ok(), "the last line");
        sink.flush().await.unwrap();
        assert!(verify(&path).is_err());
    }

    #[tokio::test]
    async fn none_signs_what_contradicts_a_checkpoint() {
        let (_folder, path) = folder();
        let (_other, other) = folder();
        let there = open(&other, sealing(1), None).await;
        write(&there, [7, 8]).await;
        there.flush().await.unwrap();

        let here = open(&path, sealing(1), None).await;
        write(&here, [1]).await;
        here.flush().await.unwrap();
        write(&here, [2]).await;
        fs::copy(checkpoints_file(&other), checkpoints_file(&path)).unwrap();
        for _ in 0..2 {
            let error = here.flush().await.unwrap_err();
            assert_eq!(
                cause(&error),
                "a checkpoint beside the trail contradicts its lines"
            );
        }
        assert_eq!(notes(&path), notes(&other));
        write(&here, [3]).await;
        assert_eq!(here.seal_counters().failed, 2);
    }

    #[tokio::test]
    async fn lines_taken_away_stop_the_sealing_and_not_the_writing() {
        let (_folder, path) = folder();
        let sink = open(&path, sealing(1), None).await;
        write(&sink, 1..=2).await;
        sink.flush().await.unwrap();
        fs::write(&path, "").unwrap();
        write(&sink, [3]).await;
        // The first line names the last one sealed: that is how the trail goes on after other tools emptied the file.
        sink.flush().await.unwrap();
        fs::write(&path, "").unwrap();
        write(&sink, 4..=9).await;
        let text = fs::read_to_string(&path).unwrap();
        let rest: Vec<_> = text.split_inclusive('\n').skip(1).collect();
        fs::write(&path, rest.concat()).unwrap();
        write(&sink, [10]).await;
        assert!(sink.flush().await.is_err());
        assert_eq!(sizes(&path), [2, 3]);
        assert_eq!(sink.seal_counters().failed, 1);
    }
}

mod failures {
    use super::*;

    /// A place where nothing can be written: every disk is full there.
    fn fill(path: &Path) {
        std::os::unix::fs::symlink("/dev/full", checkpoints_file(path)).unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_costs_no_event_and_is_made_up_for() {
        let (_folder, path) = folder();
        fill(&path);
        let sink = open(&path, sealing(1), Some(1)).await;
        for n in 1..=3 {
            write(&sink, [n]).await;
        }
        let error = sink.flush().await.unwrap_err();
        assert!(matches!(error, AuditError::Unavailable { .. }), "{error:?}");
        let counters = sink.seal_counters();
        // The note of the beginning, two full files, and the flush.
        assert_eq!((counters.failed, counters.written), (4, 0));
        assert_eq!(verify_chain(trail_files(&path).unwrap()).unwrap().lines, 3);

        fs::remove_file(checkpoints_file(&path)).unwrap();
        sink.flush().await.unwrap();
        // The beginning and the ends of the files, too.
        assert_eq!(all_notes(&path).len(), 4);
        assert_eq!(sizes(&path), [1, 2, 3]);
        let counters = sink.seal_counters();
        assert_eq!((counters.written, counters.sealed_lines), (3, 3));
    }

    #[tokio::test]
    async fn a_full_disk_keeps_no_life_cycle_operation_from_being_recorded() {
        let (_folder, path) = folder();
        fill(&path);
        let recorder = AuditRecorder::builder(open(&path, sealing(1), Some(1)).await);
        let recorder = recorder.start().unwrap();
        for n in 1..=3 {
            recorder.record(event_at(n, START)).await.unwrap();
        }
        assert!(recorder.shutdown().await.is_err());
        assert_eq!(recorder.counters().written, 3);
    }

    #[tokio::test]
    async fn what_was_not_published_comes_with_the_next_checkpoint() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        let sink = open(&path, sealing(1).publish_to(elsewhere.clone()), None).await;
        elsewhere.failing.store(1_000, Ordering::SeqCst);
        write(&sink, [1]).await;
        let error = sink.flush().await.unwrap_err();
        assert_eq!(cause(&error), "not now");
        assert_eq!(sizes(&path), [1]);
        let counters = sink.seal_counters();
        assert!(counters.failed_publications > 0);
        assert_eq!((counters.waiting, counters.published), (1, 0));

        elsewhere.failing.store(0, Ordering::SeqCst);
        write(&sink, [2]).await;
        sink.flush().await.unwrap();
        assert_eq!(elsewhere.sizes(), [1, 2]);
        let counters = sink.seal_counters();
        assert_eq!((counters.waiting, counters.published), (0, 2));
    }

    #[tokio::test]
    async fn a_sink_that_panics_is_one_that_failed() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        let sink = open(&path, sealing(1).publish_to(elsewhere.clone()), None).await;
        elsewhere.panicking.store(1_000, Ordering::SeqCst);
        write(&sink, [1]).await;
        assert!(sink.flush().await.is_err());
        elsewhere.panicking.store(0, Ordering::SeqCst);
        sink.flush().await.unwrap();
        assert_eq!(elsewhere.sizes(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_hangs_is_given_ten_seconds_and_holds_up_no_event() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        let sink = open(&path, sealing(1).publish_to(elsewhere.clone()), Some(1)).await;
        elsewhere.hanging.store(1, Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        for n in 1..=3 {
            write(&sink, [n]).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sink.flush().await.unwrap();
        assert!(
            begun.elapsed() <= Duration::from_secs(11),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(elsewhere.sizes(), [1, 2, 3]);
        assert_eq!(sink.seal_counters().failed_publications, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_given_up_when_too_many_wait() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        elsewhere.failing.store(1_000_000, Ordering::SeqCst);
        let sink = open(&path, sealing(1).publish_to(elsewhere.clone()), None).await;
        for n in 1..=258 {
            write(&sink, [n]).await;
            assert!(sink.flush().await.is_err());
        }
        let counters = sink.seal_counters();
        assert_eq!((counters.waiting, counters.given_up), (256, 2));
        elsewhere.failing.store(0, Ordering::SeqCst);
        sink.flush().await.unwrap();
        assert_eq!(elsewhere.sizes(), (3..=258).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_file_and_the_timer_publish_by_themselves() {
        let (_folder, path) = folder();
        let elsewhere = Elsewhere::default();
        let every = Duration::from_secs(60);
        let sealing = Sealing::new(key(1))
            .every(every)
            .publish_to(elsewhere.clone());
        let sink = open(&path, sealing, Some(1)).await;
        write(&sink, [1]).await;
        write(&sink, [2]).await;
        tokio::time::sleep(every / 2).await;
        assert_eq!(elsewhere.sizes(), [1]);
        tokio::time::sleep(every * 2).await;
        assert_eq!(elsewhere.sizes(), [1, 2]);
        let kept = elsewhere.kept.lock().unwrap()[1].note().to_owned();
        assert_eq!(kept, notes(&path)[1]);
    }
}

/// Processes on one trail: this file's own program, started again.
mod processes {
    use std::process::{Child, Command};

    use super::*;

    const PATH: &str = "KEYWARD_TEST_SEALED_TRAIL";
    const LINES: &str = "KEYWARD_TEST_LINES";

    /// Does nothing as a test of its own; as the child it writes and seals.
    #[tokio::test]
    async fn child() {
        let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else {
            return;
        };
        let lines: u64 = std::env::var(LINES).unwrap().parse().unwrap();
        let sink = open(&path, sealing(1), Some(3000)).await;
        for n in 0..lines {
            write(&sink, [n]).await;
            if n % 5 == 0 {
                sink.flush().await.unwrap();
            }
        }
        sink.flush().await.unwrap();
    }

    fn start(path: &Path, lines: u64) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child"])
            .env(PATH, path)
            .env(LINES, lines.to_string())
            .spawn()
            .unwrap()
    }

    #[test]
    fn several_seal_one_trail() {
        let (_folder, path) = folder();
        let children = [100, 100, 100].map(|lines| start(&path, lines));
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let report = verify(&path).unwrap();
        assert_eq!((report.sealed, report.unsealed), (300, 0));
        assert_eq!(report.compared, report.checkpoints);
    }

    #[tokio::test]
    async fn one_killed_at_any_moment_leaves_a_trail_that_goes_on() {
        let (_folder, path) = folder();
        let mut sealed = 0;
        for round in 1..=8 {
            let mut child = start(&path, u64::MAX);
            while fs::metadata(checkpoints_file(&path)).map_or(0, |it| it.len()) < sealed + 4000 {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(verify(&path).unwrap().checkpoints > 0);
            let sink = open(&path, sealing(1), Some(3000)).await;
            write(&sink, [round]).await;
            sink.flush().await.unwrap();
            let report = verify(&path).unwrap();
            assert_eq!(report.unsealed, 0);
            sealed = fs::metadata(checkpoints_file(&path)).unwrap().len();
        }
    }
}

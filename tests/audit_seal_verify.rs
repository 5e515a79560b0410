//! What verifying a sealed trail finds that a chain alone does not, and what it says.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

use keyward::audit::{
    AuditSink, ChainError, ChainFault, CheckpointFault, JsonLinesSink, SealError, SealKey,
    SealVerifier, checkpoints_file, trail_files, verify_chain,
};
use tempfile::TempDir;

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;
#[expect(dead_code, reason = "other tests use the rest")]
mod seal_support;

use audit_support::{folder, lines, write};
use seal_support::{NAME, notes, notes_text, open, public, sealing, verifier, verify, verify_with};

/// One file, sealed after lines 2, 4 and 6, and a line that is not sealed.
async fn sealed() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let sink = open(&path, sealing(1), None).await;
    for n in [1, 3, 5] {
        write(&sink, n..=n + 1).await;
        sink.flush().await.unwrap();
    }
    write(&sink, [7]).await;
    (folder, path)
}

/// Files of one line each, sealed at their ends and at last.
async fn files(count: u64) -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let sink = open(&path, sealing(1), Some(1)).await;
    for n in 1..=count {
        write(&sink, [n]).await;
    }
    sink.flush().await.unwrap();
    (folder, path)
}

/// Another history of as many lines, with a chain of its own.
async fn rewrite(path: &Path, count: u64) {
    fs::remove_file(path).unwrap();
    let sink = JsonLinesSink::open(path).await.unwrap();
    write(&sink, (1..=count).map(|n| n + 100)).await;
}

/// The chain is content; what do the checkpoints say?
fn found_by_the_seal_alone(path: &Path) -> SealError {
    let report = verify_chain(trail_files(path).unwrap()).unwrap();
    assert!(report.lines < 100);
    verify(path).unwrap_err()
}

fn rewritten(error: SealError) -> (u64, u64) {
    match error {
        SealError::Rewritten { sealed, line, .. } => (sealed, line),
        other => panic!("{other:?}"),
    }
}

fn truncated(error: SealError) -> (u64, u64) {
    match error {
        SealError::Truncated {
            present, sealed, ..
        } => (present, sealed),
        other => panic!("{other:?}"),
    }
}

/// Number and fault of the checkpoint that cannot be relied on.
fn faulty(path: &Path) -> (u64, CheckpointFault) {
    match verify(path).unwrap_err() {
        SealError::Checkpoint { number, fault, .. } => (number, fault),
        other => panic!("{other:?}"),
    }
}

fn set_notes(path: &Path, notes: &[String]) {
    let entries: Vec<_> = notes.iter().map(|note| format!("{note}\n")).collect();
    fs::write(checkpoints_file(path), entries.concat()).unwrap();
}

mod lines_of_the_trail {
    use super::*;

    #[tokio::test]
    async fn cut_off_the_end() {
        let (_folder, path) = sealed().await;
        let all = lines(&path);
        for kept in (0..7).rev() {
            fs::write(&path, all[..kept].concat()).unwrap();
            let kept = u64::try_from(kept).unwrap();
            match kept {
                6 => assert_eq!(verify(&path).unwrap().unsealed, 0, "not sealed yet"),
                _ => assert_eq!(truncated(found_by_the_seal_alone(&path)), (kept, 6)),
            }
        }
    }

    #[tokio::test]
    async fn cut_off_file_by_file() {
        let (_folder, path) = files(3).await;
        fs::remove_file(&path).unwrap();
        assert_eq!(truncated(found_by_the_seal_alone(&path)), (2, 3));
        for file in trail_files(&path).unwrap() {
            fs::remove_file(file).unwrap();
        }
        assert_eq!(truncated(found_by_the_seal_alone(&path)), (0, 3));
    }

    #[tokio::test]
    async fn rewritten_from_the_beginning_with_a_chain_of_their_own() {
        let (_folder, path) = sealed().await;
        rewrite(&path, 7).await;
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (2, 1));
        // Fewer than were sealed, and as many as the first checkpoint covers.
        rewrite(&path, 1).await;
        assert_eq!(truncated(found_by_the_seal_alone(&path)), (1, 6));
    }

    #[tokio::test]
    async fn rewritten_from_some_line_on() {
        let (_folder, path) = sealed().await;
        let kept = lines(&path)[..3].concat();
        fs::write(&path, kept).unwrap();
        let sink = JsonLinesSink::open(&path).await.unwrap();
        write(&sink, 104..=107).await;
        // The first two are as they were sealed; line 3 is, too, and only a finer checkpoint could tell.
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (4, 3));
    }

    #[tokio::test]
    async fn altered_at_the_end_that_no_line_follows() {
        let (_folder, path) = sealed().await;
        let mut all = lines(&path);
        all.pop();
        all[5] = all[5].replacen("acme", "evil", 1);
        fs::write(&path, all.concat()).unwrap();
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (6, 5));
    }

    #[tokio::test]
    async fn with_one_byte_changed() {
        let (_folder, path) = sealed().await;
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("acme", "evil", 1)).unwrap();
        let error = verify(&path).unwrap_err();
        assert!(matches!(
            error,
            SealError::Chain(ChainError::Broken {
                line: 1,
                fault: ChainFault::Altered,
                ..
            })
        ));
    }

    #[tokio::test]
    async fn missing_at_the_front() {
        let (_folder, path) = files(5).await;
        let all = trail_files(&path).unwrap();
        for (gone, file) in (1..5).zip(&all) {
            fs::remove_file(file).unwrap();
            let report = verify(&path).unwrap();
            assert_eq!((report.missing, report.sealed), (gone, 5));
            assert_eq!((report.compared, report.checkpoints), (5 - gone, 5));
        }
        // Files may be missing; the lines that are left may not be others.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("acme", "evil", 1)).unwrap();
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (5, 1));
    }

    #[tokio::test]
    async fn missing_up_to_where_no_checkpoint_was_made() {
        let (_folder, path) = files(4).await;
        let notes = notes(&path);
        let all = trail_files(&path).unwrap();
        fs::remove_file(&all[0]).unwrap();
        // The end of line 3 is sealed, and the chain ties line 2 to it.
        set_notes(&path, &notes[2..]);
        let report = verify(&path).unwrap();
        assert_eq!(
            (report.missing, report.compared, report.unsealed),
            (1, 2, 0)
        );
        // One that says otherwise of line 2 is not passed over.
        let (_other, other) = folder();
        let sink = open(&other, sealing(1), None).await;
        write(&sink, [1, 102]).await;
        sink.flush().await.unwrap();
        let fork = super::notes(&other).remove(0);
        set_notes(&path, &[fork, notes[2].clone(), notes[3].clone()]);
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (2, 1));

        set_notes(&path, &notes[..1]);
        fs::remove_file(&all[1]).unwrap();
        assert!(matches!(
            found_by_the_seal_alone(&path),
            SealError::Unconnected
        ));
    }
}

mod checkpoints {
    use super::*;

    #[tokio::test]
    async fn that_are_not_there() {
        let (_folder, path) = sealed().await;
        fs::write(checkpoints_file(&path), "").unwrap();
        let none = |error| matches!(error, SealError::NoCheckpoints { .. });
        assert!(none(verify(&path).unwrap_err()));
        fs::remove_file(checkpoints_file(&path)).unwrap();
        assert!(none(verify(&path).unwrap_err()));
        fs::create_dir(checkpoints_file(&path)).unwrap();
        assert!(matches!(verify(&path).unwrap_err(), SealError::Read { .. }));
    }

    #[tokio::test]
    async fn signed_by_somebody_else() {
        let (_folder, path) = sealed().await;
        let (_other, other) = folder();
        let sink = open(&other, sealing(2), None).await;
        write(&sink, 1..=8).await;
        sink.flush().await.unwrap();
        let mut all = notes(&path);
        all.push(notes(&other)[0].clone());
        set_notes(&path, &all);
        assert_eq!(faulty(&path), (4, CheckpointFault::UnknownKey));
        // In our key's name and with its hash.
        let ours = all[0].lines().last().unwrap().to_owned();
        let (name, signature) = ours.rsplit_once(' ').unwrap();
        let theirs = all[3].lines().last().unwrap().rsplit_once(' ').unwrap().1;
        let forged = format!("{name} {}{}", signature.split_at(6).0, theirs.split_at(6).1);
        all[3] = all[3].replace(&format!("{name} {theirs}"), &forged);
        set_notes(&path, &all);
        assert_eq!(faulty(&path), (4, CheckpointFault::BadSignature));
    }

    #[tokio::test]
    async fn altered() {
        let (_folder, path) = sealed().await;
        let all = notes(&path);
        let mut changed = all.clone();
        changed[1] = changed[1].replacen("\n4\n", "\n5\n", 1);
        set_notes(&path, &changed);
        assert_eq!(faulty(&path), (2, CheckpointFault::BadSignature));
        changed[1] = all[1].replacen("to ", "to\t", 1);
        set_notes(&path, &changed);
        assert_eq!(faulty(&path), (2, CheckpointFault::Malformed));
    }

    #[tokio::test]
    async fn in_another_order() {
        let (_folder, path) = sealed().await;
        let mut all = notes(&path);
        all.swap(1, 2);
        set_notes(&path, &all);
        assert_eq!(faulty(&path), (3, CheckpointFault::OutOfOrder));
    }

    #[tokio::test]
    async fn of_another_trail_of_the_same_key() {
        let (_folder, path) = sealed().await;
        let (_other, other) = folder();
        let sink = open(&other, sealing(1), None).await;
        write(&sink, [1, 9]).await;
        sink.flush().await.unwrap();
        fs::copy(checkpoints_file(&other), checkpoints_file(&path)).unwrap();
        assert_eq!(rewritten(found_by_the_seal_alone(&path)), (2, 1));
    }

    #[tokio::test]
    async fn of_two_keys_need_both() {
        let (_folder, path) = sealed().await;
        let sink = open(&path, sealing(2).after(public(1)), None).await;
        write(&sink, [8]).await;
        sink.flush().await.unwrap();
        assert_eq!(faulty(&path), (5, CheckpointFault::UnknownKey));
        let both = SealVerifier::new(public(2)).earlier_key(public(1));
        let report = verify_with(&both, &path).unwrap();
        assert_eq!((report.compared, report.sealed_by), (4, public(2)));
    }

    #[tokio::test]
    async fn of_a_key_that_was_replaced_are_none_any_more() {
        let (_folder, path) = sealed().await;
        for keys in [sealing(2).after(public(1)), sealing(1).after(public(2))] {
            let sink = open(&path, keys, None).await;
            write(&sink, [8]).await;
            sink.flush().await.unwrap();
        }
        let verifier = SealVerifier::new(public(2)).earlier_key(public(1));
        let error = verify_with(&verifier, &path).unwrap_err();
        let SealError::Checkpoint { number, fault, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((number, fault), (6, CheckpointFault::RetiredKey));
    }
}

mod kept_elsewhere {
    use super::*;

    /// Trail and checkpoints as they were after the first two lines.
    fn set_back(path: &Path) {
        fs::write(path, lines(path)[..2].concat()).unwrap();
        set_notes(path, &notes(path)[..1]);
    }

    #[tokio::test]
    async fn a_checkpoint_shows_that_everything_was_set_back() {
        let (_folder, path) = sealed().await;
        let kept = notes(&path)[2].clone();
        set_back(&path);
        assert_eq!(verify(&path).unwrap().sealed, 2, "nothing here can tell");
        let error = verify_with(&verifier().kept(&kept), &path).unwrap_err();
        assert_eq!(truncated(error), (2, 6));
        // And still when it was written to, and sealed, since.
        let sink = open(&path, sealing(1), None).await;
        write(&sink, 103..=109).await;
        sink.flush().await.unwrap();
        assert_eq!(verify(&path).unwrap().sealed, 9);
        let error = verify_with(&verifier().kept(&kept), &path).unwrap_err();
        assert_eq!(rewritten(error), (6, 3));
    }

    #[tokio::test]
    async fn a_checkpoint_shows_that_the_others_were_set_back() {
        let (_folder, path) = sealed().await;
        let kept = notes(&path)[2].clone();
        set_notes(&path, &notes(&path)[..2]);
        let error = verify_with(&verifier().kept(&kept), &path).unwrap_err();
        assert!(
            matches!(error, SealError::RolledBack { kept: 6, .. }),
            "{error:?}"
        );
        fs::remove_file(checkpoints_file(&path)).unwrap();
        let error = verify_with(&verifier().kept(&kept), &path).unwrap_err();
        assert!(
            matches!(error, SealError::RolledBack { kept: 6, .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn one_that_fits_changes_nothing() {
        let (_folder, path) = sealed().await;
        let with = notes(&path)
            .into_iter()
            .fold(verifier(), SealVerifier::kept);
        let report = verify_with(&with, &path).unwrap();
        assert_eq!((report.checkpoints, report.compared), (3, 6));
    }

    #[tokio::test]
    async fn one_that_is_no_good_is_no_proof() {
        let (_folder, path) = sealed().await;
        for (kept, fault) in [
            (String::new(), CheckpointFault::Malformed),
            (notes_text(&path), CheckpointFault::Malformed),
            (
                notes(&path)[0].replacen("\n2\n", "\n1\n", 1),
                CheckpointFault::BadSignature,
            ),
        ] {
            let error = verify_with(&verifier().kept(&kept), &path).unwrap_err();
            assert!(
                matches!(error, SealError::Kept(found) if found == fault),
                "{kept} {error:?}"
            );
        }
    }
}

#[test]
fn the_secret_key_does_not_show() {
    let key = SealKey::from_seed(NAME, b"canary-canary-canary-canary-cana").unwrap();
    let secret = key.expose().rsplit_once('+').unwrap().1.to_owned();
    let shown = format!("{key:?} {:?}", sealing(1));
    assert!(shown.contains(NAME), "{shown}");
    for part in [secret.split_at(16).0, "canary", &format!("{:?}", b"canary")] {
        assert!(!shown.contains(part), "{shown}");
    }
    // Nor in what is said about a text that is none.
    let error = format!("PRIVATE+KEY+other+00000000+{secret}")
        .parse::<SealKey>()
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret.split_at(16).0));
}

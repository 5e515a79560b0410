//! Laws of sealed trails: whatever is done to one in the ordinary way, it verifies; whatever else is done, it does not.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::audit::{
    AuditSink, JsonLinesSink, SealVerifier, checkpoints_file, purge, trail_files,
};
use keyward::time::Timestamp;
use proptest::prelude::*;

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;
#[expect(dead_code, reason = "other tests use the rest")]
mod seal_support;

use audit_support::{START, event_at, folder};
use seal_support::{notes, open, public, sealing, sizes, verify_with};

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Seal,
    /// An orderly one makes a checkpoint; the other one is a crash.
    Restart {
        orderly: bool,
    },
    /// A writer that does not seal, and rotates.
    Stranger(u64),
    ChangeKeys,
    Purge,
    /// A crash cuts the last line and the last checkpoint off.
    Tear(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5_u64).prop_map(Step::Append),
        2 => Just(Step::Seal),
        2 => any::<bool>().prop_map(|orderly| Step::Restart { orderly }),
        1 => (1..4_u64).prop_map(Step::Stranger),
        1 => Just(Step::ChangeKeys),
        1 => Just(Step::Purge),
        1 => (1..40_u64).prop_map(Step::Tear),
    ]
}

/// A trail that time goes by in: one line a second.
struct World {
    path: PathBuf,
    bytes: u64,
    sink: Option<JsonLinesSink>,
    written: u64,
    keys: u8,
}

impl World {
    async fn new(path: PathBuf, bytes: u64) -> Self {
        let mut world = Self {
            path,
            bytes,
            sink: None,
            written: 0,
            keys: 1,
        };
        world.restart().await;
        world
    }

    async fn restart(&mut self) {
        drop(self.sink.take());
        let known = (1..self.keys).fold(sealing(self.keys), |known, old| known.after(public(old)));
        self.sink = Some(open(&self.path, known, Some(self.bytes)).await);
    }

    async fn append(&mut self, sink: Option<&JsonLinesSink>, lines: u64) {
        let first = self.written + 1;
        self.written += lines;
        let at = |n: u64| event_at(n, START + i64::try_from(n).unwrap());
        let events: Vec<_> = (first..=self.written).map(at).collect();
        let sink = sink.or(self.sink.as_ref()).unwrap();
        sink.write(&events).await.unwrap();
    }

    async fn seal(&self) {
        self.sink.as_ref().unwrap().flush().await.unwrap();
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(lines) => self.append(None, lines).await,
            Step::Seal => self.seal().await,
            Step::Restart { orderly } => {
                if orderly {
                    self.seal().await;
                }
                self.restart().await;
            }
            Step::Stranger(lines) => {
                let bytes = std::num::NonZeroU64::MIN;
                let builder = JsonLinesSink::builder(&self.path).rotate_at(bytes);
                let stranger = builder.open().await.unwrap();
                self.append(Some(&stranger), lines).await;
            }
            Step::ChangeKeys => {
                self.keys += 1;
                self.restart().await;
            }
            Step::Purge => {
                // Old files go when what they hold was sealed.
                self.seal().await;
                let now = Timestamp::from_secs(START + i64::try_from(self.written).unwrap());
                let _ = purge(&self.path, Duration::from_secs(6), now).unwrap();
            }
            Step::Tear(bytes) => {
                drop(self.sink.take());
                append_piece(
                    &self.path,
                    bytes,
                    b"{\"schema\":1,\"sequence\":99,\"id\":\"01892f7d",
                );
                append_piece(
                    &checkpoints_file(&self.path),
                    bytes,
                    "example.com/audit\n9\n\n— example.com/".as_bytes(),
                );
                self.restart().await;
            }
        }
    }

    fn verifier(&self) -> SealVerifier {
        let newest = SealVerifier::new(public(self.keys));
        let earlier = (1..self.keys).rev();
        earlier.fold(newest, |known, key| known.earlier_key(public(key)))
    }
}

fn append_piece(path: &Path, bytes: u64, piece: &[u8]) {
    let mut text = fs::read(path).unwrap_or_default();
    let bytes = usize::try_from(bytes).unwrap().min(piece.len());
    text.extend_from_slice(&piece[..bytes]);
    fs::write(path, text).unwrap();
}

/// Where in the trail and its checkpoints, and what is done there.
#[derive(Clone, Debug)]
enum Damage {
    Flip { bit: u8 },
    Remove,
    Double,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..8_u8).prop_map(|bit| Damage::Flip { bit }),
        Just(Damage::Remove),
        Just(Damage::Double),
    ]
}

fn damaged(bytes: &[u8], at: usize, damage: &Damage) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match damage {
        Damage::Flip { bit } => bytes[at] ^= 1 << bit,
        Damage::Remove => drop(bytes.remove(at)),
        Damage::Double => bytes.insert(at, bytes[at]),
    }
    bytes
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn ordinary_use_verifies_and_covers_every_line(
        steps in prop::collection::vec(step(), 1..24),
        bytes in 1..3000_u64,
    ) {
        run(async {
            let (_folder, path) = folder();
            let mut world = World::new(path.clone(), bytes).await;
            world.append(None, 1).await;
            for step in steps {
                world.step(step).await;
            }
            world.seal().await;
            let report = verify_with(&world.verifier(), &path).unwrap();
            assert_eq!((report.sealed, report.unsealed), (world.written, 0));
            assert_eq!(report.missing + report.chain.lines, world.written);
            let about = |size: &&u64| **size > report.missing;
            let sizes = sizes(&path);
            assert_eq!(report.compared, u64::try_from(sizes.iter().filter(about).count()).unwrap());
            assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");

            // Every checkpoint that was ever made still holds.
            let kept = notes(&path).into_iter().fold(world.verifier(), SealVerifier::kept);
            assert!(verify_with(&kept, &path).is_ok());
        });
    }

    #[test]
    fn any_damage_to_a_line_or_a_checkpoint_is_found(
        lines in 1..12_u64,
        bytes in 1..2000_u64,
        place in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        run(async {
            let (_folder, path) = folder();
            let mut world = World::new(path.clone(), bytes).await;
            for _ in 0..lines {
                world.append(None, 1).await;
            }
            world.seal().await;
            let mut files = trail_files(&path).unwrap();
            files.push(checkpoints_file(&path));
            let file = file.get(&files);
            let whole = fs::read(file).unwrap();
            // The very last byte ends what is whole: without it the last one is unfinished, and reported as that.
            let at = place.index(whole.len() - 1);
            let changed = damaged(&whole, at, &damage);
            prop_assume!(changed != whole);
            fs::write(file, changed).unwrap();
            let kept = notes_of(&whole, file, &path);
            let verifier = kept.into_iter().fold(world.verifier(), SealVerifier::kept);
            let found = verify_with(&verifier, &path);
            prop_assert!(found.is_err(), "{found:?}");
            Ok(())
        })?;
    }

    #[test]
    fn any_number_of_sealed_lines_cut_off_is_found(
        batches in prop::collection::vec(1..4_u64, 1..8),
        bytes in 1..2000_u64,
        cut in any::<prop::sample::Index>(),
    ) {
        run(async {
            let (_folder, path) = folder();
            let mut world = World::new(path.clone(), bytes).await;
            for lines in batches {
                world.append(None, lines).await;
            }
            world.seal().await;
            let kept = cut.index(usize::try_from(world.written).unwrap());
            keep_lines(&path, kept);
            let found = verify_with(&world.verifier(), &path);
            prop_assert!(found.is_err(), "{found:?}");
            Ok(())
        })?;
    }
}

/// The newest checkpoint as it was, if it is the checkpoints that were damaged: a damaged end looks like a torn one.
fn notes_of(whole: &[u8], file: &Path, path: &Path) -> Option<String> {
    let text = std::str::from_utf8(whole).unwrap();
    let start = text
        .trim_end()
        .rfind("\n\nexample.com")
        .map_or(0, |at| at + 2);
    (file == checkpoints_file(path)).then(|| text.get(start..text.len() - 1).unwrap().to_owned())
}

fn keep_lines(path: &Path, mut kept: usize) {
    for file in trail_files(path).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        let some: Vec<_> = text.split_inclusive('\n').take(kept).collect();
        kept -= some.len();
        if some.is_empty() {
            fs::remove_file(file).unwrap();
        } else {
            fs::write(file, some.concat()).unwrap();
        }
    }
}

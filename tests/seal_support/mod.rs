//! Sealed trails for tests.
#![allow(
    clippy::unwrap_in_result,
    reason = "the error is what a test looks at; the rest fails"
)]

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::async_trait;
use keyward::audit::{
    Checkpoint, CheckpointSink, JsonLinesSink, SealError, SealKey, SealReport, SealVerifier,
    Sealing, VerifierKey, checkpoints_file, trail_files,
};
use keyward::error::BoxError;

pub(crate) const NAME: &str = "example.com/audit";

pub(crate) fn key(seed: u8) -> SealKey {
    SealKey::from_seed(NAME, &[seed; 32]).unwrap()
}

pub(crate) fn public(seed: u8) -> VerifierKey {
    key(seed).verifier().clone()
}

/// Sealed with key 1, and in files of one batch each if asked for.
pub(crate) async fn open(path: &Path, sealing: Sealing, bytes: Option<u64>) -> JsonLinesSink {
    let mut builder = JsonLinesSink::builder(path).seal(sealing);
    if let Some(bytes) = bytes.and_then(NonZeroU64::new) {
        builder = builder.rotate_at(bytes);
    }
    builder.open().await.unwrap()
}

/// With the timer out of the way.
pub(crate) fn sealing(seed: u8) -> Sealing {
    Sealing::new(key(seed)).every(Duration::from_secs(1_000_000))
}

pub(crate) fn verifier() -> SealVerifier {
    SealVerifier::new(public(1))
}

pub(crate) fn verify_with(verifier: &SealVerifier, path: &Path) -> Result<SealReport, SealError> {
    verifier.verify(trail_files(path).unwrap(), checkpoints_file(path))
}

pub(crate) fn verify(path: &Path) -> Result<SealReport, SealError> {
    verify_with(&verifier(), path)
}

pub(crate) fn notes_text(path: &Path) -> String {
    std::fs::read_to_string(checkpoints_file(path)).unwrap()
}

/// The checkpoints of the file that cover lines, each as it was signed.
pub(crate) fn notes(path: &Path) -> Vec<String> {
    let mut notes = all_notes(path);
    notes.retain(|note| !note.starts_with(&format!("{NAME}\n0\n")));
    notes
}

/// The notes of the file, with the one that a new trail begins with.
pub(crate) fn all_notes(path: &Path) -> Vec<String> {
    let text = notes_text(path);
    let parts: Vec<_> = text.split("\n\n").collect();
    let pairs = parts.chunks_exact(2);
    pairs
        .map(|pair| format!("{}\n\n{}\n", pair[0], pair[1]))
        .collect()
}

/// The sizes that the checkpoints of the file are about.
pub(crate) fn sizes(path: &Path) -> Vec<u64> {
    let size = |note: &String| note.lines().nth(1).unwrap().parse().unwrap();
    notes(path).iter().map(size).collect()
}

/// Keeps what is published, and fails, panics or hangs when told to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere {
    pub(crate) kept: Arc<Mutex<Vec<Checkpoint>>>,
    pub(crate) failing: Arc<AtomicU32>,
    pub(crate) panicking: Arc<AtomicU32>,
    pub(crate) hanging: Arc<AtomicU32>,
}

impl Elsewhere {
    pub(crate) fn sizes(&self) -> Vec<u64> {
        self.kept
            .lock()
            .unwrap()
            .iter()
            .map(Checkpoint::size)
            .collect()
    }
}

fn take(fault: &AtomicU32) -> bool {
    let left = |left: u32| left.checked_sub(1);
    fault
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
        .is_ok()
}

#[async_trait]
impl CheckpointSink for Elsewhere {
    async fn publish(&self, checkpoint: &Checkpoint) -> Result<(), BoxError> {
        assert!(!take(&self.panicking), "as told");
        if take(&self.hanging) {
            std::future::pending::<()>().await;
        }
        if take(&self.failing) {
            return Err("not now".into());
        }
        self.kept.lock().unwrap().push(checkpoint.clone());
        Ok(())
    }
}

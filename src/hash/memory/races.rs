//! Interleavings; `tests/hash_memory.rs` has what one thread can see.

use std::sync::Arc;

use super::*;
use crate::hash::explore::explore;
use crate::sync::thread;

#[derive(Debug)]
struct Zeroes;

impl SecureRandom for Zeroes {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Ok(())
    }
}

fn memory(capacity: usize) -> Arc<ProofMemory> {
    Arc::new(ProofMemory::with_capacity(capacity, &Zeroes).unwrap())
}

fn keep(memory: &ProofMemory, id: &str, generation: u32) -> Remembered {
    let tag = memory.tag(id, &DigestText::new("$x$"), b"secret");
    memory.remember(id, generation, &tag, SecretOrigin::Generated)
}

fn knows(memory: &ProofMemory, id: &str, generation: u32) -> bool {
    memory.remembers(
        id,
        generation,
        &memory.tag(id, &DigestText::new("$x$"), b"secret"),
    )
}

fn spawn<R: Send + 'static>(
    memory: &Arc<ProofMemory>,
    work: impl FnOnce(&ProofMemory) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let memory = Arc::clone(memory);
    thread::spawn(move || work(&memory))
}

#[test]
fn never_exceeds_its_capacity() {
    explore(2_000, || {
        let memory = memory(2);
        let threads = ["a", "b", "c", "d"].map(|id| spawn(&memory, move |it| keep(it, id, 1)));
        let answers = threads.map(|thread| thread.join().unwrap());
        let kept = answers.iter().filter(|it| **it == Remembered::Kept).count();
        assert_eq!((kept, memory.len()), (2, 2));
        let known = ["a", "b", "c", "d"].map(|id| knows(&memory, id, 1));
        assert_eq!(known.iter().filter(|it| **it).count(), 2);
    });
}

#[test]
fn counts_right_while_keys_come_and_go() {
    explore(500, || {
        let memory = memory(4);
        let come = spawn(&memory, |it| (keep(it, "a", 1), keep(it, "b", 1)));
        let go = spawn(&memory, |it| it.forget("a"));
        let sweep = spawn(&memory, |it| it.forget_idle());
        come.join().unwrap();
        go.join().unwrap();
        sweep.join().unwrap();
        let known = ["a", "b"].map(|id| knows(&memory, id, 1));
        assert_eq!(memory.len(), known.iter().filter(|it| **it).count());
    });
}

#[test]
fn keeps_both_generations_whoever_comes_first() {
    explore(2_000, || {
        let memory = memory(1);
        let threads = [1, 2].map(|generation| spawn(&memory, move |it| keep(it, "a", generation)));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Remembered::Kept);
        }
        assert!(knows(&memory, "a", 1) && knows(&memory, "a", 2));
        assert_eq!(memory.len(), 1);
    });
}

#[test]
fn is_empty_after_everything_was_forgotten() {
    explore(500, || {
        let memory = memory(2);
        let come = spawn(&memory, |it| keep(it, "a", 1));
        let clear = spawn(&memory, ProofMemory::forget_all);
        assert_eq!(come.join().unwrap(), Remembered::Kept);
        clear.join().unwrap();
        assert_eq!(memory.is_empty(), !knows(&memory, "a", 1));
        memory.forget_all();
        assert!(memory.is_empty() && !knows(&memory, "a", 1));
    });
}

//! The rules that keep the proof memory sound.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use keyward::hash::{DigestText, ProofMemory, Remembered, SecretOrigin};
use keyward::random::{RandomError, SecureRandom};
use keyward::testing::SeededRandom;
use proptest::prelude::*;

const GENERATED: SecretOrigin = SecretOrigin::Generated;

fn memory(capacity: usize) -> ProofMemory {
    ProofMemory::with_capacity(capacity, &SeededRandom::new(1)).unwrap()
}

fn digest() -> DigestText {
    DigestText::new("$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC")
}

fn keep(memory: &ProofMemory, id: &str, generation: u32, secret: &[u8]) -> Remembered {
    let tag = memory.tag(id, &digest(), secret);
    memory.remember(id, generation, &tag, GENERATED)
}

fn knows(memory: &ProofMemory, id: &str, generation: u32, secret: &[u8]) -> bool {
    memory.remembers(id, generation, &memory.tag(id, &digest(), secret))
}

#[test]
fn recognises_what_it_was_told_and_nothing_else() {
    let memory = memory(8);
    assert!(!knows(&memory, "id", 1, b"secret"));
    assert_eq!(keep(&memory, "id", 1, b"secret"), Remembered::Kept);
    assert!(knows(&memory, "id", 1, b"secret"));
    assert!(!knows(&memory, "id", 1, b"Secret"), "another secret");
    assert!(!knows(&memory, "id", 2, b"secret"), "another generation");
    assert!(!knows(&memory, "di", 1, b"secret"), "another id");
    let upgraded = DigestText::new("$2b$13$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC");
    let tag = memory.tag("id", &upgraded, b"secret");
    assert!(!memory.remembers("id", 1, &tag), "another digest");
}

/// A proof that lies under another key's id is worthless there.
#[test]
fn refuses_a_tag_of_another_id() {
    let memory = memory(8);
    let tag = memory.tag("alice", &digest(), b"secret");
    assert_eq!(
        memory.remember("mallory", 1, &tag, GENERATED),
        Remembered::Kept
    );
    assert!(!knows(&memory, "mallory", 1, b"secret"));
    assert!(!knows(&memory, "alice", 1, b"secret"));
}

#[test]
fn does_not_recognise_what_another_memory_kept() {
    let (one, other) = (
        memory(8),
        ProofMemory::with_capacity(8, &SeededRandom::new(2)).unwrap(),
    );
    let tag = one.tag("id", &digest(), b"secret");
    assert_eq!(other.remember("id", 1, &tag, GENERATED), Remembered::Kept);
    assert!(!knows(&other, "id", 1, b"secret"));
}

#[test]
fn never_keeps_an_imported_secret() {
    let memory = memory(8);
    let tag = memory.tag("id", &digest(), b"hunter2");
    let answer = memory.remember("id", 1, &tag, SecretOrigin::Imported);
    assert_eq!(answer, Remembered::Refused);
    assert!(!memory.remembers("id", 1, &tag));
    assert!(memory.is_empty());
}

#[test]
fn is_left_unchanged_by_ten_thousand_wrong_secrets() {
    let memory = memory(2);
    assert_eq!(keep(&memory, "one", 1, b"secret"), Remembered::Kept);
    assert_eq!(keep(&memory, "two", 1, b"secret"), Remembered::Kept);
    for wrong in 0..10_000 {
        let wrong = format!("wrong {wrong}");
        assert!(!knows(&memory, "one", 1, wrong.as_bytes()));
        assert!(!knows(&memory, &wrong, 1, b"secret"));
    }
    assert!(knows(&memory, "one", 1, b"secret"));
    assert!(knows(&memory, "two", 1, b"secret"));
    let stats = memory.stats();
    assert_eq!((stats.len, stats.kept, stats.full), (2, 2, 0));
    assert_eq!((stats.hits, stats.misses), (2, 20_000));
}

#[test]
fn refuses_newcomers_when_full_and_keeps_the_others() {
    let memory = memory(100);
    for key in 0..100 {
        assert_eq!(
            keep(&memory, &key.to_string(), 1, b"secret"),
            Remembered::Kept
        );
    }
    for key in 100..200 {
        assert_eq!(
            keep(&memory, &key.to_string(), 1, b"secret"),
            Remembered::Full
        );
    }
    for key in 0..200 {
        assert_eq!(knows(&memory, &key.to_string(), 1, b"secret"), key < 100);
    }
    assert_eq!((memory.len(), memory.stats().full), (100, 100));
    // A key that is in may rotate even so.
    assert_eq!(keep(&memory, "7", 2, b"rotated"), Remembered::Kept);
    assert!(knows(&memory, "7", 2, b"rotated"));
    memory.forget("7");
    assert_eq!(keep(&memory, "107", 1, b"secret"), Remembered::Kept);
}

#[test]
fn keeps_nothing_at_capacity_zero() {
    let memory = memory(0);
    assert_eq!(keep(&memory, "id", 1, b"secret"), Remembered::Full);
    assert!(!knows(&memory, "id", 1, b"secret"));
}

#[test]
fn holds_the_two_latest_generations() {
    let memory = memory(8);
    for generation in [3, 5] {
        assert_eq!(keep(&memory, "id", generation, b"s"), Remembered::Kept);
    }
    assert!(knows(&memory, "id", 3, b"s") && knows(&memory, "id", 5, b"s"));
    assert_eq!(keep(&memory, "id", 2, b"s"), Remembered::Refused);
    assert!(!knows(&memory, "id", 2, b"s"));
    assert_eq!(keep(&memory, "id", 4, b"s"), Remembered::Kept);
    assert!(!knows(&memory, "id", 3, b"s"));
    assert!(knows(&memory, "id", 4, b"s") && knows(&memory, "id", 5, b"s"));
    assert_eq!(keep(&memory, "id", 6, b"s"), Remembered::Kept);
    assert!(!knows(&memory, "id", 4, b"s"));
    assert!(knows(&memory, "id", 5, b"s") && knows(&memory, "id", 6, b"s"));
    assert_eq!(memory.len(), 1);
}

#[test]
fn replaces_the_proof_of_a_generation() {
    let memory = memory(8);
    for generation in [1, 2] {
        assert_eq!(keep(&memory, "id", generation, b"old"), Remembered::Kept);
        assert_eq!(keep(&memory, "id", generation, b"new"), Remembered::Kept);
        assert!(!knows(&memory, "id", generation, b"old"));
        assert!(knows(&memory, "id", generation, b"new"));
    }
    assert_eq!(keep(&memory, "id", 1, b"newest"), Remembered::Kept);
    assert!(knows(&memory, "id", 1, b"newest") && knows(&memory, "id", 2, b"new"));
}

#[test]
fn forgets_one_key_or_all() {
    let memory = memory(8);
    for id in ["one", "two", "three"] {
        assert_eq!(keep(&memory, id, 1, b"secret"), Remembered::Kept);
    }
    memory.forget("one");
    memory.forget("one");
    memory.forget("never there");
    assert!(!knows(&memory, "one", 1, b"secret"));
    assert!(knows(&memory, "two", 1, b"secret"));
    assert_eq!(memory.len(), 2);
    memory.forget_all();
    assert!(!knows(&memory, "two", 1, b"secret"));
    assert!(memory.is_empty());
}

#[test]
fn forgets_what_nobody_used_since_the_last_sweep() {
    let memory = memory(8);
    for id in ["used", "idle", "attacked"] {
        assert_eq!(keep(&memory, id, 1, b"secret"), Remembered::Kept);
    }
    assert_eq!(memory.forget_idle(), 0, "new ones are spared once");
    assert!(knows(&memory, "used", 1, b"secret"));
    assert!(!knows(&memory, "attacked", 1, b"wrong"));
    assert_eq!(memory.forget_idle(), 2);
    assert!(knows(&memory, "used", 1, b"secret"));
    assert_eq!(memory.len(), 1);
}

#[test]
fn says_whether_a_key_has_proved_itself() {
    let memory = memory(8);
    assert!(!memory.knows("id"));
    assert_eq!(keep(&memory, "id", 1, b"secret"), Remembered::Kept);
    assert!(memory.knows("id") && !memory.knows("other"));
    memory.forget("id");
    assert!(!memory.knows("id"));
}

#[test]
fn tells_long_ids_apart() {
    let memory = memory(64);
    let ids = [
        "a".repeat(14),
        "a".repeat(15),
        "a".repeat(16),
        "a".repeat(17),
        "a".repeat(200),
        String::new(),
    ];
    for id in &ids {
        assert!(!knows(&memory, id, 1, b"secret"));
        assert_eq!(keep(&memory, id, 1, b"secret"), Remembered::Kept);
    }
    assert_eq!(memory.len(), ids.len());
    for id in &ids {
        assert!(knows(&memory, id, 1, b"secret"));
    }
}

#[test]
fn needs_randomness_for_its_key() {
    #[derive(Debug)]
    struct Dry;
    impl SecureRandom for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError::new())
        }
    }
    assert!(ProofMemory::new(&Dry).is_err());
}

proptest! {
    /// No byte can move from the id to the digest to the secret.
    #[test]
    fn tags_differ_wherever_the_fields_are_cut(joined in "[a-z]{0,300}", cuts in prop::array::uniform4(0..300_usize)) {
        let memory = memory(8);
        let [a, b, c, d] = cuts.map(|cut| cut.min(joined.len()));
        let (one, other) = ((a.min(b), a.max(b)), (c.min(d), c.max(d)));
        prop_assume!(one != other);
        let tag = |(from, to): (usize, usize)| {
            let (head, secret) = joined.split_at(to);
            let (id, digest) = head.split_at(from);
            memory.tag(id, &DigestText::new(digest), secret.as_bytes())
        };
        assert_eq!(memory.remember("id", 1, &tag(one), GENERATED), Remembered::Kept);
        prop_assert!(memory.remembers("id", 1, &tag(one)));
        prop_assert!(!memory.remembers("id", 1, &tag(other)));
    }

    /// Against the obvious model: two latest generations of each of at most three keys.
    #[test]
    fn behaves_like_its_model(steps in prop::collection::vec((0..5_u8, 0..5_u32, 0..3_u8, 0..8_u8), 0..80)) {
        let memory = memory(3);
        let mut model: std::collections::BTreeMap<u8, std::collections::BTreeMap<u32, u8>> = Default::default();
        for (id, generation, secret, action) in steps {
            let name = id.to_string();
            if action == 0 {
                memory.forget(&name);
                model.remove(&id);
                continue;
            }
            let expected = if !model.contains_key(&id) && model.len() == 3 {
                Remembered::Full
            } else {
                let known = model.entry(id).or_default();
                let lowest = known.keys().next().copied();
                if known.contains_key(&generation) || known.len() < 2 || lowest < Some(generation) {
                    known.insert(generation, secret);
                    if known.len() > 2 {
                        known.pop_first();
                    }
                    Remembered::Kept
                } else {
                    Remembered::Refused
                }
            };
            prop_assert_eq!(keep(&memory, &name, generation, &[secret]), expected);
            for id in 0..5 {
                for generation in 0..5 {
                    for secret in 0..3 {
                        let modelled = model.get(&id).and_then(|it| it.get(&generation)) == Some(&secret);
                        prop_assert_eq!(knows(&memory, &id.to_string(), generation, &[secret]), modelled);
                    }
                }
            }
        }
        prop_assert_eq!(memory.len(), model.len());
    }
}

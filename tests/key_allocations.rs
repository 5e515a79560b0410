//! Reading a key touches no heap; making one touches it once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may say what it expects"
)]

use std::hint::black_box;

use keyward::key::{KeyFormat, KeyKind, KeyStyle, TagKey, TagPolicy, TagRing};
use keyward::testing::SeededRandom;

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

fn formats() -> [KeyFormat; 3] {
    let ring =
        TagRing::new(TagKey::new(&[3; 32]).unwrap()).with_retired(TagKey::new(&[2; 32]).unwrap());
    [
        KeyFormat::builder(),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
    ]
    .map(|builder| builder.build().unwrap())
}

#[test]
fn counts_what_it_should() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn reading_a_key_allocates_nothing() {
    let random = SeededRandom::new(1);
    for format in formats() {
        let key = format.generate(&random).unwrap();
        let text = key.plaintext().expose().as_bytes();
        let count = allocations(|| {
            let parsed = format.parse(black_box(text)).unwrap();
            black_box((parsed.id(), parsed.secret(), parsed.hint_tail()));
        });
        assert_eq!(count, 0);
    }
}

#[test]
fn reading_and_refusing_publishable_keys_allocates_nothing() {
    let format = KeyFormat::builder().publishable().build().unwrap();
    let random = SeededRandom::new(1);
    let mut key = None;
    let made = allocations(|| key = format.generate_kind(KeyKind::Publishable, &random).ok());
    let key = key.unwrap();
    let text = key.plaintext().expose();
    let foreign = text.replace("live", "test");
    let silent = KeyFormat::default();
    let count = allocations(|| {
        let parsed = format.parse(black_box(text.as_bytes())).unwrap();
        black_box((parsed.id(), parsed.kind()));
        assert!(format.parse(black_box(foreign.as_bytes())).is_err());
        assert!(silent.parse(black_box(text.as_bytes())).is_err());
    });
    assert_eq!((made, count), (1, 0));
}

#[test]
fn refusing_a_key_allocates_nothing() {
    let other = KeyFormat::builder()
        .tags(TagPolicy::Required(TagRing::new(
            TagKey::new(&[8; 32]).unwrap(),
        )))
        .build()
        .unwrap();
    let key = other.generate(&SeededRandom::new(1)).unwrap();
    let forged = key.plaintext().expose().as_bytes();
    let mut mistyped = forged.to_vec();
    mistyped[20] ^= 1;
    let foreign = [b"pm_test_", &forged[8..]].concat();
    for format in formats() {
        let count = allocations(|| {
            for presented in [forged, &mistyped, &foreign, b"", &[0xff; 4096]] {
                assert!(format.parse(black_box(presented)).is_err());
            }
        });
        assert_eq!(count, 0);
    }
}

#[test]
fn making_a_key_allocates_its_text_once() {
    let random = SeededRandom::new(1);
    for format in formats() {
        let mut key = None;
        let count = allocations(|| key = format.generate(&random).ok());
        assert!(key.is_some());
        assert_eq!(count, 1);
    }
}

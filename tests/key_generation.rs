//! Where new keys come from, and what a bad source of randomness leads to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may say what it expects"
)]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use keyward::key::{GenerateError, KeyFormat, KeyId, KeyStyle, TagKey, TagPolicy, TagRing};
use keyward::random::{OsRandom, RandomError, SecureRandom};
use keyward::testing::SeededRandom;

/// Works so many times, then fails.
#[derive(Debug)]
struct Dying(AtomicU32);

impl SecureRandom for Dying {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .map_err(|_| RandomError::new())?;
        SeededRandom::new(u64::from(left)).fill(buffer)
    }
}

/// Says yes and writes the same byte everywhere.
#[derive(Debug)]
struct Constant(u8);

impl SecureRandom for Constant {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        buffer.fill(self.0);
        Ok(())
    }
}

fn compact() -> KeyFormat {
    KeyFormat::builder()
        .style(KeyStyle::Compact)
        .build()
        .unwrap()
}

/// Pearson's statistic against the uniform distribution over 62 symbols.
fn chi_square(symbols: &[u8]) -> f64 {
    let mut counts: BTreeMap<u8, f64> = BTreeMap::new();
    for symbol in symbols {
        *counts.entry(*symbol).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    let expected = total / 62.0;
    let absent = 62.0 - f64::from(u32::try_from(counts.len()).unwrap());
    let present: f64 = counts
        .values()
        .map(|count| (count - expected).powi(2) / expected)
        .sum();
    absent.mul_add(expected, present)
}

#[test]
fn draws_symbols_uniformly() {
    let random = SeededRandom::new(2024);
    for format in [KeyFormat::default(), compact()] {
        let mut symbols = Vec::new();
        for _ in 0..500 {
            let key = format.generate(&random).unwrap();
            symbols.extend_from_slice(key.id().as_str().as_bytes());
            symbols.extend_from_slice(key.secret().expose());
        }
        // 61 degrees of freedom: a fair source stays below 129 but once in a million. Folding bytes gives about 200.
        let statistic = chi_square(&symbols);
        assert!(statistic < 129.0, "{statistic}");
    }
}

#[test]
fn would_notice_folded_bytes() {
    let mut bytes = [0; 500 * 55];
    SeededRandom::new(2024).fill(&mut bytes).unwrap();
    let folded = bytes.map(|byte| byte % 62);
    assert!(chi_square(&folded) > 129.0);
}

#[test]
fn draws_tags_uniformly() {
    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    let format = KeyFormat::builder()
        .tags(TagPolicy::Required(ring))
        .build()
        .unwrap();
    let random = SeededRandom::new(1);
    let mut symbols = Vec::new();
    for _ in 0..2000 {
        let key = format.generate(&random).unwrap().into_plaintext();
        symbols.extend_from_slice(&key.expose().as_bytes()[63..69]);
    }
    let statistic = chi_square(&symbols);
    assert!(statistic < 129.0, "{statistic}");
}

#[test]
fn has_the_promised_lengths() {
    let random = SeededRandom::new(5);
    let standard = KeyFormat::default().generate(&random).unwrap();
    assert_eq!(standard.plaintext().expose().len(), 69);
    assert_eq!(standard.secret().expose().len(), 43);

    let compact = compact().generate(&random).unwrap();
    assert_eq!(compact.plaintext().expose().len(), 40);
    assert_eq!(compact.secret().expose().len(), 24);

    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    for policy in [TagPolicy::Required(ring.clone()), TagPolicy::Optional(ring)] {
        let format = KeyFormat::builder().tags(policy).build().unwrap();
        let tagged = format.generate(&random).unwrap();
        assert_eq!(tagged.plaintext().expose().len(), 75);
        assert_eq!(tagged.secret().expose().len(), 43);
    }

    let ignoring = KeyFormat::builder()
        .tags(TagPolicy::Ignored)
        .build()
        .unwrap();
    let untagged = ignoring.generate(&random).unwrap();
    assert_eq!(untagged.plaintext().expose().len(), 69);
}

#[test]
fn never_makes_the_same_key_twice() {
    for random in [&SeededRandom::new(1) as &dyn SecureRandom, &OsRandom::new()] {
        let mut ids = HashSet::new();
        let mut secrets = HashSet::new();
        for _ in 0..200 {
            let key = KeyFormat::default().generate(random).unwrap();
            assert!(ids.insert(key.id()));
            assert!(secrets.insert(key.secret().expose().to_vec()));
        }
    }
}

#[test]
fn makes_no_key_without_randomness() {
    for fills in [0, 1] {
        let random = Dying(AtomicU32::new(fills));
        let result = KeyFormat::default().generate(&random);
        assert_eq!(
            result.err(),
            Some(GenerateError::Random(RandomError::new()))
        );
    }
    let enough = Dying(AtomicU32::new(2));
    assert!(KeyFormat::default().generate(&enough).is_ok());
}

#[test]
fn makes_no_key_from_a_source_that_repeats_itself() {
    for byte in [0, 1, b'A', 247, 248, 255] {
        let result = KeyFormat::default().generate(&Constant(byte));
        assert_eq!(result.err(), Some(GenerateError::StuckRandom), "{byte}");
    }
}

#[test]
fn renews_the_secret_of_an_id() {
    let random = SeededRandom::new(8);
    let both = KeyFormat::builder()
        .also_accept(KeyStyle::Compact)
        .build()
        .unwrap();
    for (id, len) in [("0123456789AB", 69), ("01234567", 40)] {
        let id: KeyId = id.parse().unwrap();
        let first = both.generate_for(id, &random).unwrap();
        let second = both.generate_for(id, &random).unwrap();
        assert_eq!(first.id(), id);
        assert_eq!(second.id(), id);
        assert_ne!(first.secret().expose(), second.secret().expose());
        let text = second.plaintext().expose();
        assert_eq!(text.len(), len);
        assert_eq!(both.parse(text.as_bytes()).unwrap().id(), id);
    }
}

#[test]
fn renews_nothing_that_it_would_refuse() {
    let id: KeyId = "01234567".parse().unwrap();
    let result = KeyFormat::default().generate_for(id, &OsRandom::new());
    assert_eq!(result.err(), Some(GenerateError::Style));
    assert!(compact().generate_for(id, &OsRandom::new()).is_ok());
}

#[test]
fn shows_prefix_environment_and_four_characters() {
    let key = KeyFormat::default()
        .generate(&SeededRandom::new(3))
        .unwrap();
    let secret = key.secret().expose();
    let tail = str::from_utf8(&secret[39..]).unwrap();
    assert_eq!(key.hint(), format!("pm_live_…{tail}"));
    assert_eq!(key.hint_tail().as_str(), tail);
}

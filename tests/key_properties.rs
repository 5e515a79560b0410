//! What holds for every key and for every text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may say what it expects"
)]

use keyward::key::{
    Environment, GeneratedKey, KeyFormat, KeyKind, KeyStyle, ParsedKey, Prefix, TagKey, TagPolicy,
    TagRing,
};
use keyward::testing::SeededRandom;
use proptest::prelude::*;

fn tags() -> impl Strategy<Value = TagPolicy> {
    let ring = || TagRing::new(TagKey::new(&[9; 32]).unwrap());
    prop_oneof![
        Just(TagPolicy::Off),
        Just(TagPolicy::Optional(ring())),
        Just(TagPolicy::Required(ring())),
        Just(TagPolicy::Ignored),
    ]
}

fn formats() -> impl Strategy<Value = KeyFormat> {
    let style = prop_oneof![Just(KeyStyle::Standard), Just(KeyStyle::Compact)];
    let prefix = "[0-9A-Za-z]{1,8}(_[0-9A-Za-z]{1,7}){0,3}";
    let parts = (
        prefix,
        "[a-z0-9]{1,16}",
        style.clone(),
        style,
        tags(),
        any::<bool>(),
    );
    parts.prop_filter_map(
        "compact keys carry no tag",
        |(prefix, name, new, also, tags, publishable)| {
            let builder = if publishable {
                KeyFormat::builder().publishable()
            } else {
                KeyFormat::builder()
            };
            builder
                .prefix(Prefix::new(&prefix).unwrap())
                .environment(Environment::custom(&name).unwrap())
                .style(new)
                .also_accept(also)
                .tags(tags)
                .build()
                .ok()
        },
    )
}

fn key(kind: KeyKind, format: &KeyFormat, seed: u64) -> GeneratedKey {
    format
        .generate_kind(kind, &SeededRandom::new(seed))
        .unwrap()
}

/// Of a kind that the format makes.
fn kinds(format: &KeyFormat) -> impl Iterator<Item = KeyKind> {
    let kinds = [KeyKind::Secret, KeyKind::Publishable];
    kinds.into_iter().filter(|kind| format.accepts_kind(*kind))
}

fn is_same(parsed: &ParsedKey<'_>, key: &GeneratedKey) -> bool {
    parsed.id() == key.id() && parsed.secret().expose() == key.secret().expose()
}

/// Three formats that cover the three shapes, and a key of each; and a key of the other kind.
fn samples() -> [(KeyFormat, GeneratedKey); 4] {
    let ring = TagRing::new(TagKey::new(&[9; 32]).unwrap());
    [
        KeyFormat::builder(),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().publishable(),
    ]
    .map(|builder| {
        let format = builder.build().unwrap();
        let kind = kinds(&format).last().unwrap();
        let key = key(kind, &format, 42);
        (format, key)
    })
}

/// A key with a checksum is refused; one without may be well formed, but is another key.
fn assert_is_not(format: &KeyFormat, key: &GeneratedKey, mutant: &[u8]) {
    if mutant == key.plaintext().expose().as_bytes() {
        return;
    }
    match format.parse(mutant) {
        Err(_) => {}
        Ok(parsed) => {
            assert_eq!(key.style(), KeyStyle::Compact, "{mutant:?}");
            assert!(!is_same(&parsed, key), "{mutant:?}");
        }
    }
}

#[test]
fn no_substitution_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        for place in 0..original.len() {
            for byte in 0..=u8::MAX {
                let mut mutant = original.to_vec();
                mutant[place] = byte;
                assert_is_not(&format, &key, &mutant);
            }
        }
    }
}

#[test]
fn no_insertion_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        for place in 0..=original.len() {
            for byte in 0..=u8::MAX {
                let mut mutant = original.to_vec();
                mutant.insert(place, byte);
                assert!(format.parse(&mutant).is_err());
            }
        }
    }
}

#[test]
fn no_deletion_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        for place in 0..original.len() {
            let mut mutant = original.to_vec();
            mutant.remove(place);
            assert!(format.parse(&mutant).is_err());
        }
    }
}

#[test]
fn no_truncation_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        for len in 0..original.len() {
            assert!(format.parse(&original[..len]).is_err());
            assert!(format.parse(&original[original.len() - len..]).is_err());
        }
    }
}

#[test]
fn no_swap_of_two_characters_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        for left in 0..original.len() {
            for right in left + 1..original.len() {
                let mut mutant = original.to_vec();
                mutant.swap(left, right);
                assert_is_not(&format, &key, &mutant);
            }
        }
    }
}

#[test]
fn no_change_of_case_passes() {
    for (format, key) in samples() {
        let original = key.plaintext().expose().as_bytes();
        assert_is_not(&format, &key, &original.to_ascii_lowercase());
        assert_is_not(&format, &key, &original.to_ascii_uppercase());
        for place in 0..original.len() {
            let mut mutant = original.to_vec();
            mutant[place] ^= 0x20;
            assert_is_not(&format, &key, &mutant);
        }
    }
}

proptest! {
    #[test]
    fn what_is_made_is_read_back(format in formats(), seed: u64) {
        for kind in kinds(&format) {
            let key = key(kind, &format, seed);
            let text = key.plaintext().expose();
            let parsed = format.parse(text.as_bytes()).expect("its own key");

            prop_assert!(is_same(&parsed, &key));
            prop_assert_eq!(parsed.kind(), kind);
            prop_assert_eq!(parsed.whole(), text.as_bytes());
            prop_assert_eq!(parsed.style(), format.style());
            prop_assert_eq!(parsed.hint_tail(), key.hint_tail());
            prop_assert_eq!(format.hint_of(kind, parsed.hint_tail()), key.hint());
            prop_assert!(text.len() <= KeyFormat::MAX_LEN);
        }
    }

    #[test]
    fn no_key_belongs_to_two_formats(
        one in formats(),
        other in formats(),
        seed: u64,
    ) {
        prop_assume!(one.prefix() != other.prefix() || one.environment() != other.environment());
        // Two applications must not be called `x` and `x_pub`: see `docs/key-format.md`.
        prop_assume!(other.prefix().as_str() != format!("{}_pub", one.prefix()));
        for kind in kinds(&one) {
            let key = key(kind, &one, seed);
            prop_assert!(other.parse(key.plaintext().expose().as_bytes()).is_err());
        }
    }

    #[test]
    fn a_key_is_of_one_kind_to_every_format_of_its_name(format in formats(), seed: u64) {
        let again = || KeyFormat::builder().prefix(*format.prefix()).environment(format.environment());
        let styles = |builder: keyward::key::KeyFormatBuilder| {
            builder.style(format.style()).also_accept(KeyStyle::Standard).tags(TagPolicy::Ignored)
        };
        let (silent, told) = (styles(again()).build(), styles(again()).publishable().build());
        for kind in kinds(&format) {
            let key = key(kind, &format, seed);
            for other in [&silent, &told].into_iter().flatten() {
                if let Ok(parsed) = other.parse(key.plaintext().expose().as_bytes()) {
                    prop_assert_eq!(parsed.kind(), kind);
                }
            }
        }
    }

    #[test]
    fn another_beginning_makes_no_key_of_the_other_kind(seed: u64) {
        let format = KeyFormat::builder().publishable().build().unwrap();
        let leads = ["pm_live_", "pm_pub_live_"];
        for (kind, [own, other]) in [
            (KeyKind::Secret, leads),
            (KeyKind::Publishable, [leads[1], leads[0]]),
        ] {
            let key = key(kind, &format, seed);
            let rewritten = key.plaintext().expose().replacen(own, other, 1);
            prop_assert!(format.parse(rewritten.as_bytes()).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(format in formats(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = format.parse(&bytes);
    }

    #[test]
    fn no_text_behind_the_prefix_makes_it_panic(format in formats(), text in "\\PC{0,80}") {
        let lead = format!("{}_{}_", format.prefix(), format.environment());
        let _ = format.parse(text.as_bytes());
        let _ = format.parse(format!("{lead}{text}").as_bytes());
        let _ = format.parse(format!("{}_{text}", format.prefix()).as_bytes());
    }

    #[test]
    fn an_invented_body_does_not_pass(body in "[0-9A-Za-z]{61}|[0-9A-Za-z]{67}") {
        // Once in 2^32 it does, by its checksum; and never with a tag.
        let text = format!("pm_live_{body}");
        prop_assert!(KeyFormat::default().parse(text.as_bytes()).is_err());
    }
}

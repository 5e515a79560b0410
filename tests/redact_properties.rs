//! Whatever stands around a key, however it is encoded and cut up: no piece of its secret is left, and nothing else is touched.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io::Write;

use keyward::audit::Redactor;
use keyward::key::{KeyFormat, KeyKind, KeyStyle, TagKey, TagPolicy, TagRing};
use keyward::random::OsRandom;
use proptest::collection::vec;
use proptest::prelude::*;

/// Shorter pieces turn up by chance.
const WINDOW: usize = 8;

fn formats() -> [KeyFormat; 4] {
    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    [
        KeyFormat::builder().also_accept(KeyStyle::Compact),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().publishable(),
    ]
    .map(|builder| builder.build().unwrap())
}

/// A key and its secret, tag and checksum.
fn key(format: &KeyFormat) -> (String, String) {
    let key = format.generate(&OsRandom::new()).unwrap();
    let text = key.plaintext().expose().to_owned();
    let secret = "pm_live_".len() + format.style().id_len();
    (text.clone(), text[secret..].to_owned())
}

/// Decodes what is encoded, as often as it can be.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..4 {
        let (mut next, mut rest) = (Vec::new(), text.as_slice());
        while let Some((&first, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|two| str::from_utf8(two).ok());
            let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            match byte.filter(|_| first == b'%') {
                Some(byte) => {
                    next.push(byte);
                    rest = &after[2..];
                }
                None => {
                    next.push(first);
                    rest = after;
                }
            }
        }
        text = next;
    }
    text
}

fn assert_gone(secret: &str, text: &[u8]) {
    for shown in [text.to_vec(), decoded(text)] {
        for window in secret.as_bytes().windows(WINDOW) {
            let seen = shown.windows(WINDOW).any(|piece| piece == window);
            assert!(!seen, "{}", String::from_utf8_lossy(text));
        }
    }
}

/// Encodes each character as often as its number says, in capitals or not.
fn encode(text: &str, layers: &[u8]) -> String {
    let mut layers = layers.iter().cycle();
    text.bytes()
        .map(|byte| {
            let how = layers.next().unwrap();
            (0..how % 3).fold(char::from(byte).to_string(), |text, layer| {
                text.bytes()
                    .enumerate()
                    .map(
                        |(at, byte)| match how.wrapping_add(u8::try_from(at).unwrap()) % 4 {
                            0 if byte != b'%' && layer > 0 => char::from(byte).to_string(),
                            1 => format!("%{byte:02x}"),
                            _ => format!("%{byte:02X}"),
                        },
                    )
                    .collect()
            })
        })
        .collect()
}

/// Text with the pieces that could confuse: what keys and escapes are made of.
fn surroundings() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,6}",
        "[a-z0-9]{0,12}",
        "[%_pmlive0-9A-F]{0,12}",
        Just("pm_live_".to_owned()),
        Just("pm_pub_".to_owned()),
        Just("pm_pub_live_".to_owned()),
        Just("pm_".to_owned()),
        Just("%25".to_owned()),
        Just("\n".to_owned()),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Writes the text in pieces of these lengths; a piece of even length is flushed.
fn written(redactor: &Redactor, text: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut log = Vec::new();
    let mut writer = redactor.writer(&mut log);
    let (mut rest, mut lengths) = (text, lengths.iter().cycle());
    while !rest.is_empty() {
        let length = *lengths.next().unwrap();
        let (piece, after) = rest.split_at(length.min(rest.len()));
        writer.write_all(piece).unwrap();
        if length % 2 == 0 {
            writer.flush().unwrap();
        }
        rest = after;
    }
    drop(writer);
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_piece_of_a_secret_is_left(
        around in vec(surroundings(), 3),
        layers in vec(any::<u8>(), 1..80),
        lengths in vec(1_usize..40, 1..8),
        which in 0_usize..4,
    ) {
        let format = &formats()[which];
        let redactor = Redactor::new(format);
        let (one, two) = (key(format), key(format));
        let (encoded, other) = (encode(&one.0, &layers), encode(&two.0, &layers[layers.len() / 2..]));
        let text = [&around[0], &encoded, &around[1], &other, &around[2]].map(String::as_str).concat();
        let clean = redactor.redact(&text).into_owned();
        let pieces = written(&redactor, text.as_bytes(), &lengths);
        for secret in [&one.1, &two.1] {
            assert_gone(secret, clean.as_bytes());
            assert_gone(secret, &pieces);
        }
        prop_assert_eq!(redactor.redact(&clean), clean.as_str());
        prop_assert_eq!(String::from_utf8(pieces).unwrap(), clean);
    }

    #[test]
    fn a_key_that_was_cut_off_or_mistyped_leaves_nothing(
        around in vec("[ -~]{0,8}", 2),
        cut in 0_usize..60,
        // A percent sign can make an escape of the two characters after it, and then three are wrong.
        typed in "[!-$&-~]",
        which in 0_usize..2,
    ) {
        let format = &formats()[which];
        let (whole, secret) = key(format);
        let redactor = Redactor::new(format);
        let (before, after) = whole.split_at("pm_live_".len() + cut);
        let typed = typed.as_str();
        for text in [
            format!("{} {before}", around[0]),
            format!("{} {before}{typed}{}<{}", around[0], &after[1..], around[1]),
            format!("{} {before}{typed}{after}<{}", around[0], around[1]),
        ] {
            assert_gone(&secret, redactor.redact(&text).as_bytes());
        }
    }

    #[test]
    fn a_publishable_key_stays_as_it_is_in_whole_text_and_in_pieces(
        around in vec("[ -$&-^`-~\\n]{0,8}", 2),
        layers in vec(any::<u8>(), 1..80),
        lengths in vec(1_usize..40, 1..8),
    ) {
        let format = &formats()[3];
        let key = format.generate_kind(KeyKind::Publishable, &OsRandom::new()).unwrap();
        let encoded = encode(key.plaintext().expose(), &layers);
        let text = format!("{}<{encoded}>{}", around[0], around[1]);
        let redactor = Redactor::new(format);
        prop_assert_eq!(&*redactor.redact(&text), text.as_str());
        prop_assert_eq!(written(&redactor, text.as_bytes(), &lengths), text.as_bytes());
    }

    #[test]
    fn text_without_keys_is_unchanged_byte_for_byte(
        text in vec(surroundings(), 0..4),
        bytes in vec(any::<u8>(), 0..64),
        lengths in vec(1_usize..40, 1..8),
    ) {
        // A key has two underscores, one right before the body.
        let text = text.concat().replace("live_", "live").replace("%5", "%4");
        let text = [text.replace('_', "-").as_bytes(), &bytes].concat();
        prop_assume!(!decoded(&text).windows(3).any(|piece| piece == b"pm_"));
        let redactor = Redactor::new(&KeyFormat::default());
        prop_assert_eq!(&*redactor.redact_bytes(&text), text.as_slice());
        prop_assert_eq!(written(&redactor, &text, &lengths), text);
    }
}

//! Keys spelled out, computed by another program, and everything that is not quite a key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may say what it expects"
)]

use keyward::key::{
    Environment, GenerateError, KeyFormat, KeyFormatBuilder, KeyFormatError, KeyKind,
    KeyParseError, KeyStyle, Prefix, TagKey, TagPolicy, TagRing, TagStatus,
};

const ID: &str = "0123456789AB";
const SECRET: &str = "CDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs";

const LIVE: &str = "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT";
const TEST: &str = "pm_test_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs4NtWTN";
const STAGING: &str =
    "acme_api_staging1_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs0tAdmc";
const PUBLIC: &str = "pm_pub_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs3P5tdl";
const PUBLIC_TEST: &str =
    "pm_pub_test_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs0x23st";
const PUBLIC_STAGING: &str =
    "acme_api_pub_staging1_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs3RRXlk";
const PUBLIC_COMPACT: &str = "pm_pub_live_0123456789ABCDEFGHIJKLMNOPQRSTUV";

const COMPACT: &str = "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// Signed with 32 bytes of 7.
const PUBLIC_TAGGED: &str =
    "pm_pub_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsCmTpzp1no7lA";

/// Signed with 32 bytes of 7, of 6, and of 2. The last one's MAC begins with a byte that draws no symbol.
const TAGGED_7: &str =
    "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsvGL12z2AJTDg";
const TAGGED_6: &str =
    "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs9GvYYD0PXg23";
const TAGGED_2: &str =
    "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrsTiwYUM3FBWeR";

fn named(prefix: &str, environment: &str) -> KeyFormatBuilder {
    KeyFormat::builder()
        .prefix(Prefix::new(prefix).unwrap())
        .environment(Environment::custom(environment).unwrap())
}

fn format(prefix: &str, environment: &str) -> KeyFormat {
    named(prefix, environment).build().unwrap()
}

fn publishing(prefix: &str, environment: &str) -> KeyFormat {
    named(prefix, environment).publishable().build().unwrap()
}

fn tagged(policy: TagPolicy) -> KeyFormat {
    KeyFormat::builder().tags(policy).build().unwrap()
}

fn ring(byte: u8) -> TagRing {
    TagRing::new(TagKey::new(&[byte; 32]).unwrap())
}

fn refusal(format: &KeyFormat, presented: &[u8]) -> KeyParseError {
    format.parse(presented).expect_err("should be refused")
}

#[test]
fn reads_standard_keys() {
    let cases = [
        (format("pm", "live"), LIVE),
        (format("pm", "test"), TEST),
        (format("acme_api", "staging1"), STAGING),
    ];
    for (format, key) in cases {
        let parsed = format.parse(key.as_bytes()).unwrap();
        assert_eq!(parsed.id().as_str(), ID);
        assert_eq!(parsed.secret().expose(), SECRET.as_bytes());
        assert_eq!(parsed.style(), KeyStyle::Standard);
        assert_eq!(parsed.hint_tail().as_str(), "pqrs");
        assert_eq!(parsed.tag(), TagStatus::Absent);
        assert_eq!(parsed.whole(), key.as_bytes());
    }
}

#[test]
fn reads_checksums_that_begin_with_zeros() {
    let key = "pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno00D600cRux";
    assert!(KeyFormat::default().parse(key.as_bytes()).is_ok());
    let highest = "pm_live_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz3sp5Qj";
    assert!(KeyFormat::default().parse(highest.as_bytes()).is_ok());
}

#[test]
fn reads_compact_keys() {
    let format = KeyFormat::builder()
        .style(KeyStyle::Compact)
        .build()
        .unwrap();
    let parsed = format.parse(COMPACT.as_bytes()).unwrap();
    assert_eq!(parsed.id().as_str(), "01234567");
    assert_eq!(parsed.secret().expose(), b"89ABCDEFGHIJKLMNOPQRSTUV");
    assert_eq!(parsed.style(), KeyStyle::Compact);
    assert_eq!(parsed.hint_tail().as_str(), "STUV");
    assert_eq!(parsed.tag(), TagStatus::Absent);
}

#[test]
fn reads_both_styles_side_by_side() {
    let format = KeyFormat::builder()
        .also_accept(KeyStyle::Compact)
        .build()
        .unwrap();
    assert_eq!(
        format.parse(LIVE.as_bytes()).unwrap().style(),
        KeyStyle::Standard
    );
    assert_eq!(
        format.parse(COMPACT.as_bytes()).unwrap().style(),
        KeyStyle::Compact
    );
}

#[test]
fn refuses_a_style_it_was_not_told_to_accept() {
    let standard = KeyFormat::default();
    assert_eq!(refusal(&standard, COMPACT.as_bytes()), KeyParseError::Style);
    let compact = KeyFormat::builder()
        .style(KeyStyle::Compact)
        .build()
        .unwrap();
    assert_eq!(refusal(&compact, LIVE.as_bytes()), KeyParseError::Style);
}

#[test]
fn keeps_environments_apart() {
    let live = format("pm", "live");
    let test = format("pm", "test");
    assert_eq!(
        refusal(&live, TEST.as_bytes()),
        KeyParseError::WrongEnvironment
    );
    assert_eq!(
        refusal(&test, LIVE.as_bytes()),
        KeyParseError::WrongEnvironment
    );
    let other_length = format("acme_api", "eu");
    assert_eq!(
        refusal(&other_length, STAGING.as_bytes()),
        KeyParseError::WrongEnvironment
    );
}

#[test]
fn calls_only_a_well_formed_key_one_of_another_environment() {
    let body = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
    let key = |environment: &str, body: &str| format!("pm_{environment}_{body}");
    let others = ["test", "t", "a234567890123456", "0"];
    for environment in others {
        assert_eq!(
            refusal(&KeyFormat::default(), key(environment, body).as_bytes()),
            KeyParseError::WrongEnvironment,
            "{environment}"
        );
    }
    for environment in ["", "Test", "a2345678901234567", "eu_test", "te-st"] {
        assert_eq!(
            refusal(&KeyFormat::default(), key(environment, body).as_bytes()),
            KeyParseError::Prefix,
            "{environment}"
        );
    }
    for body in [&body[1..], &body.replace('A', "-")] {
        assert_eq!(
            refusal(&KeyFormat::default(), key("test", body).as_bytes()),
            KeyParseError::Prefix,
            "{body}"
        );
    }
}

#[test]
fn keeps_prefixes_apart() {
    for prefix in ["ak", "p", "pmx", "pm_live", "PM"] {
        assert_eq!(
            refusal(&format(prefix, "live"), LIVE.as_bytes()),
            KeyParseError::Prefix,
            "{prefix}"
        );
    }
    let longer = LIVE.replacen("pm_", "pmx_", 1);
    assert_eq!(
        refusal(&format("pm", "live"), longer.as_bytes()),
        KeyParseError::Prefix
    );
}

#[test]
fn accepts_a_tag_of_the_current_or_a_retired_key() {
    let ring = ring(7).with_retired(TagKey::new(&[6; 32]).unwrap());
    for policy in [TagPolicy::Required(ring.clone()), TagPolicy::Optional(ring)] {
        let format = tagged(policy);
        let current = format.parse(TAGGED_7.as_bytes()).unwrap();
        assert_eq!(current.tag(), TagStatus::Current);
        assert_eq!(current.secret().expose(), SECRET.as_bytes());
        assert_eq!(current.hint_tail().as_str(), "pqrs");
        let retired = format.parse(TAGGED_6.as_bytes()).unwrap();
        assert_eq!(retired.tag(), TagStatus::Retired);
    }
}

#[test]
fn skips_bytes_of_the_mac_that_draw_no_symbol() {
    let format = tagged(TagPolicy::Required(ring(2)));
    assert!(format.parse(TAGGED_2.as_bytes()).is_ok());
}

#[test]
fn refuses_a_tag_of_a_key_outside_the_ring() {
    for policy in [TagPolicy::Required(ring(7)), TagPolicy::Optional(ring(7))] {
        assert_eq!(
            refusal(&tagged(policy), TAGGED_6.as_bytes()),
            KeyParseError::Tag
        );
    }
}

#[test]
fn demands_a_tag_only_where_it_is_required() {
    let required = tagged(TagPolicy::Required(ring(7)));
    assert_eq!(
        refusal(&required, LIVE.as_bytes()),
        KeyParseError::TagMissing
    );
    let optional = tagged(TagPolicy::Optional(ring(7)));
    let parsed = optional.parse(LIVE.as_bytes()).unwrap();
    assert_eq!(parsed.tag(), TagStatus::Absent);
}

#[test]
fn refuses_tags_unless_told_about_them() {
    let off = tagged(TagPolicy::Off);
    assert_eq!(
        refusal(&off, TAGGED_7.as_bytes()),
        KeyParseError::TagUnexpected
    );
    let ignored = tagged(TagPolicy::Ignored);
    let parsed = ignored.parse(TAGGED_7.as_bytes()).unwrap();
    assert_eq!(parsed.tag(), TagStatus::Unchecked);
    assert!(ignored.parse(LIVE.as_bytes()).is_ok());
}

#[test]
fn looks_at_the_checksum_before_the_tag() {
    let wrong_sum = TAGGED_6.replace("0PXg23", "0PXg24");
    assert_eq!(
        refusal(&tagged(TagPolicy::Required(ring(7))), wrong_sum.as_bytes()),
        KeyParseError::Checksum
    );
}

#[test]
fn covers_the_tag_with_the_checksum() {
    let wrong_tag = TAGGED_7.replace("vGL12z", "vGL120");
    assert_eq!(
        refusal(&tagged(TagPolicy::Ignored), wrong_tag.as_bytes()),
        KeyParseError::Checksum
    );
}

#[test]
fn names_the_first_thing_that_is_wrong() {
    let short_id = LIVE.replace("live_0", "live_");
    let cases: [(&[u8], KeyParseError); 12] = [
        (b"", KeyParseError::Length),
        (&[b'a'; 35], KeyParseError::Length),
        (&[b'a'; 36], KeyParseError::Prefix),
        (&[b'a'; 121], KeyParseError::Prefix),
        (&[b'a'; 122], KeyParseError::Length),
        (&[b'a'; 1 << 20], KeyParseError::Length),
        (&[b'a'; 69], KeyParseError::Prefix),
        (
            b"pm_live__________________________________",
            KeyParseError::Length,
        ),
        (short_id.as_bytes(), KeyParseError::Length),
        (
            &LIVE.replace('s', "-").into_bytes(),
            KeyParseError::Character,
        ),
        (
            &LIVE.replace('s', "t").into_bytes(),
            KeyParseError::Checksum,
        ),
        (
            b"pm_Live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT",
            KeyParseError::Prefix,
        ),
    ];
    for (presented, error) in cases {
        assert_eq!(refusal(&KeyFormat::default(), presented), error);
    }
}

#[test]
fn refuses_what_others_have_let_through() {
    let both = KeyFormat::builder()
        .also_accept(KeyStyle::Compact)
        .build()
        .unwrap();
    let separator_more = LIVE.replace("live_", "live__");
    let separator_inside = LIVE.replace("AB", "A_");
    let upper = LIVE.to_uppercase();
    let lower = LIVE.to_lowercase();
    let cases = [
        "",
        "|",
        "test",
        "|test",
        "1ABC|test",
        "1ABC|",
        "1,2|test",
        "invalid-key",
        "foo.bar",
        "abcd",
        "pm_live_",
        "pm",
        "pmlive",
        "_",
        "__",
        "___",
        "pm__",
        "pm_live_abc_def",
        &separator_more,
        &separator_inside,
        &upper,
        &lower,
        // Digits and letters of other alphabets.
        "pm_live_٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥",
        "pm_live_ABCDEFGHIJKLMNOPQRSTUVWXYZ01234é",
    ];
    for presented in cases {
        assert!(both.parse(presented.as_bytes()).is_err(), "{presented:?}");
    }
}

#[test]
fn trims_and_forgives_nothing() {
    for key in [LIVE, COMPACT] {
        let format = KeyFormat::builder()
            .also_accept(KeyStyle::Compact)
            .build()
            .unwrap();
        assert!(format.parse(key.as_bytes()).is_ok());
        for extra in [
            "x", "xx", "xxx", " ", "\n", "\r\n", "\0", "\t", "=", "\u{feff}", "\"",
        ] {
            let behind = format!("{key}{extra}");
            let before = format!("{extra}{key}");
            assert!(format.parse(behind.as_bytes()).is_err(), "{behind:?}");
            assert!(format.parse(before.as_bytes()).is_err(), "{before:?}");
        }
    }
}

#[test]
fn refuses_control_characters_and_broken_encodings_inside() {
    for byte in [
        0, b' ', 0x1f, 0x7f, 0x80, 0xc3, 0xff, b'+', b'/', b'-', b'_',
    ] {
        let mut key = LIVE.as_bytes().to_vec();
        key[30] = byte;
        assert_eq!(
            refusal(&KeyFormat::default(), &key),
            KeyParseError::Character,
            "{byte:#x}"
        );
    }
}

#[test]
fn will_not_let_compact_keys_walk_around_a_required_tag() {
    let builder = || KeyFormat::builder().tags(TagPolicy::Required(ring(7)));
    assert!(builder().build().is_ok());
    assert!(builder().also_accept(KeyStyle::Compact).build().is_err());
    assert!(builder().style(KeyStyle::Compact).build().is_err());
    let optional = KeyFormat::builder().tags(TagPolicy::Optional(ring(7)));
    assert!(optional.also_accept(KeyStyle::Compact).build().is_ok());
}

#[test]
fn reads_the_longest_and_the_shortest_key() {
    let longest = KeyFormat::builder()
        .prefix(Prefix::new(&"a".repeat(32)).unwrap())
        .environment(Environment::custom("b234567890123456").unwrap())
        .tags(TagPolicy::Required(ring(1)))
        .publishable()
        .build()
        .unwrap();
    let shortest = KeyFormat::builder()
        .prefix(Prefix::new("a").unwrap())
        .environment(Environment::custom("b").unwrap())
        .style(KeyStyle::Compact)
        .build()
        .unwrap();
    for (format, kind, len) in [
        (longest, KeyKind::Publishable, KeyFormat::MAX_LEN),
        (shortest, KeyKind::Secret, 36),
    ] {
        let random = keyward::random::OsRandom::new();
        let key = format.generate_kind(kind, &random).unwrap();
        let text = key.plaintext().expose();
        assert_eq!(text.len(), len);
        assert!(format.parse(text.as_bytes()).is_ok());
    }
    assert_eq!(KeyFormat::MAX_LEN, 121);
}

#[test]
fn reads_publishable_keys_beside_secret_ones() {
    let live = publishing("pm", "live");
    let cases = [
        (&live, PUBLIC, KeyKind::Publishable),
        (&live, LIVE, KeyKind::Secret),
        (&publishing("pm", "test"), PUBLIC_TEST, KeyKind::Publishable),
        (
            &publishing("acme_api", "staging1"),
            PUBLIC_STAGING,
            KeyKind::Publishable,
        ),
        (
            &publishing("acme_api", "staging1"),
            STAGING,
            KeyKind::Secret,
        ),
    ];
    for (format, key, kind) in cases {
        let parsed = format.parse(key.as_bytes()).unwrap();
        assert_eq!(parsed.kind(), kind);
        assert_eq!(parsed.id().as_str(), ID);
        assert_eq!(parsed.secret().expose(), SECRET.as_bytes());
        assert_eq!(parsed.whole(), key.as_bytes());
    }
}

#[test]
fn reads_publishable_keys_of_every_shape() {
    let builder = || KeyFormat::builder().publishable();
    let tags = builder()
        .tags(TagPolicy::Required(ring(7)))
        .build()
        .unwrap();
    let parsed = tags.parse(PUBLIC_TAGGED.as_bytes()).unwrap();
    assert_eq!(
        (parsed.kind(), parsed.tag()),
        (KeyKind::Publishable, TagStatus::Current)
    );
    let compact = builder().style(KeyStyle::Compact).build().unwrap();
    let parsed = compact.parse(PUBLIC_COMPACT.as_bytes()).unwrap();
    assert_eq!(
        (parsed.kind(), parsed.id().as_str()),
        (KeyKind::Publishable, "01234567")
    );
}

#[test]
fn knows_no_publishable_keys_unless_told() {
    let (silent, told) = (KeyFormat::default(), publishing("pm", "live"));
    for key in [PUBLIC, PUBLIC_TEST, PUBLIC_COMPACT] {
        assert_eq!(refusal(&silent, key.as_bytes()), KeyParseError::Prefix);
    }
    assert!(!silent.accepts_kind(KeyKind::Publishable) && told.accepts_kind(KeyKind::Publishable));
    assert!(silent.accepts_kind(KeyKind::Secret) && told.accepts_kind(KeyKind::Secret));
    let random = keyward::random::OsRandom::new();
    let made = silent.generate_kind(KeyKind::Publishable, &random);
    assert_eq!(made.unwrap_err(), GenerateError::Kind);
    let id = ID.parse().unwrap();
    let made = silent.generate_kind_for(KeyKind::Publishable, id, &random);
    assert_eq!(made.unwrap_err(), GenerateError::Kind);
}

#[test]
fn keeps_environments_of_publishable_keys_apart() {
    let (live, test) = (publishing("pm", "live"), publishing("pm", "test"));
    for (format, others) in [(&live, [PUBLIC_TEST, TEST]), (&test, [PUBLIC, LIVE])] {
        for key in others {
            let refusal = refusal(format, key.as_bytes());
            assert_eq!(refusal, KeyParseError::WrongEnvironment, "{key}");
        }
    }
}

#[test]
fn covers_the_kind_with_checksum_and_tag() {
    let live = publishing("pm", "live");
    let rewritten = LIVE.replace("pm_live_", "pm_pub_live_");
    assert_eq!(
        refusal(&live, rewritten.as_bytes()),
        KeyParseError::Checksum
    );
    let rewritten = PUBLIC.replace("pm_pub_live_", "pm_live_");
    assert_eq!(
        refusal(&live, rewritten.as_bytes()),
        KeyParseError::Checksum
    );
    // The checksum anybody can compute again. The tag not.
    let tags = TagPolicy::Required(ring(7));
    let tags = KeyFormat::builder()
        .publishable()
        .tags(tags)
        .build()
        .unwrap();
    let body = &TAGGED_7["pm_live_".len()..TAGGED_7.len() - 6];
    let text = format!("pm_pub_live_{body}");
    let forged = format!("{text}{}", checksum(&text));
    assert_eq!(refusal(&tags, forged.as_bytes()), KeyParseError::Tag);
}

/// Six base62 characters of the CRC-32.
fn checksum(text: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let sum = crc32fast::hash(text.as_bytes());
    let place = |power: u32| DIGITS[(sum / 62_u32.pow(power) % 62) as usize];
    (0..6).rev().map(|power| char::from(place(power))).collect()
}

#[test]
fn will_not_have_a_secret_key_say_that_it_is_publishable() {
    let build = |prefix, environment| named(prefix, environment).publishable().build();
    for (prefix, environment) in [("pm_pub", "live"), ("pub", "live"), ("pm", "pub")] {
        let refused = build(prefix, environment).unwrap_err();
        assert_eq!(
            refused,
            KeyFormatError::PublishableWord,
            "{prefix} {environment}"
        );
        assert!(named(prefix, environment).build().is_ok());
    }
    for (prefix, environment) in [
        ("pub_pm", "live"),
        ("pmpub", "live"),
        ("pm_PUB", "live"),
        ("pm", "pub1"),
    ] {
        assert!(build(prefix, environment).is_ok(), "{prefix} {environment}");
    }
}

#[test]
fn shows_the_kind_in_a_hint() {
    let format = publishing("pm", "live");
    let tail = "a1B2".parse().unwrap();
    assert_eq!(format.hint(tail), "pm_live_…a1B2");
    assert_eq!(format.hint_of(KeyKind::Secret, tail), "pm_live_…a1B2");
    assert_eq!(
        format.hint_of(KeyKind::Publishable, tail),
        "pm_pub_live_…a1B2"
    );
}

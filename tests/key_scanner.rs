//! The rule given to secret scanners finds every key and hardly anything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

use keyward::key::{KeyFormat, KeyKind, KeyStyle, Prefix, TagKey, TagPolicy, TagRing};
use keyward::random::OsRandom;
use regex::Regex;

const CONTEXTS: [(&str, &str); 10] = [
    ("", ""),
    ("API_KEY=", "\n"),
    ("{\"key\":\"", "\"}"),
    ("curl -H 'X-API-Key: ", "' https://api.example.com"),
    ("https://api.example.com/v1?api_key=", "&page=2"),
    ("Authorization: Bearer ", "\r\n"),
    ("key: `", "`,"),
    ("<key>", "</key>"),
    ("see (", ")."),
    ("--key=", "\\n"),
];

fn formats() -> [KeyFormat; 4] {
    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    [
        KeyFormat::builder(),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder()
            .prefix(Prefix::new("acme_api").unwrap())
            .also_accept(KeyStyle::Compact),
    ]
    .map(|builder| builder.build().unwrap())
}

#[test]
fn finds_the_whole_key_wherever_it_stands() {
    for format in formats() {
        let rule = Regex::new(&format.scanner_pattern()).unwrap();
        for (before, after) in CONTEXTS {
            let key = format.generate(&OsRandom::new()).unwrap();
            let text = format!("{before}{}{after}", key.plaintext().expose());
            let found = rule.find(&text).expect("should be found");
            assert_eq!(found.as_str(), key.plaintext().expose());
        }
    }
}

#[test]
fn finds_tagged_keys_even_where_no_tags_are_made() {
    let [plain, tagged, ..] = formats();
    let key = tagged.generate(&OsRandom::new()).unwrap();
    let rule = Regex::new(&plain.scanner_pattern()).unwrap();
    assert!(rule.is_match(key.plaintext().expose()));
}

#[test]
fn passes_over_publishable_keys_wherever_they_stand() {
    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    let formats = [
        KeyFormat::builder(),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().prefix(Prefix::new("pub_acme").unwrap()),
    ];
    for builder in formats {
        let format = builder.publishable().build().unwrap();
        let rule = Regex::new(&format.scanner_pattern()).unwrap();
        for (before, after) in CONTEXTS {
            let [public, secret] = [KeyKind::Publishable, KeyKind::Secret].map(|kind| {
                let key = format.generate_kind(kind, &OsRandom::new()).unwrap();
                format!("{before}{}{after}", key.plaintext().expose())
            });
            assert!(!rule.is_match(&public), "{public}");
            assert!(rule.is_match(&secret));
        }
    }
}

#[test]
fn passes_over_what_only_looks_like_a_key() {
    let body = "a".repeat(61);
    let decoys = [
        "pm_live_".to_owned(),
        "pm_live_…a1B2".to_owned(),
        format!("pm_live_{}", "a".repeat(60)),
        format!("pm_live_{}", "a".repeat(62)),
        format!("pm_live_{}", "a".repeat(68)),
        format!("pm_test_{body}"),
        format!("xpm_live_{body}"),
        format!("pm_live_{body}_"),
        format!("PM_LIVE_{body}"),
        format!("pm_live_{}-{}", "a".repeat(30), "a".repeat(30)),
        body,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
    ];
    let rule = Regex::new(&KeyFormat::default().scanner_pattern()).unwrap();
    for decoy in decoys {
        assert!(!rule.is_match(&decoy), "{decoy}");
    }
}

#[test]
fn is_the_rule_that_the_documentation_shows() {
    let page = include_str!("../docs/key-format.md");
    let compact = KeyFormat::builder()
        .style(KeyStyle::Compact)
        .build()
        .unwrap();
    for format in [KeyFormat::default(), compact] {
        let line = format!("\n{}\n", format.scanner_pattern());
        assert!(page.contains(&line), "{line}");
    }
}

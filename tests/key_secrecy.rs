//! No secret gets out by any door but `expose`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may say what it expects"
)]

use std::fmt::{Debug, Display};

use keyward::key::{
    GenerateError, KeyFormat, KeyStyle, ParsedKey, PresentedSecret, SecretKey, TagKey, TagPolicy,
    TagRing,
};
use keyward::random::{RandomError, SecureRandom};
use keyward::testing::SeededRandom;

/// Does not compile when the type has one of the traits: two blanket impls would then be in question.
macro_rules! assert_has_none_of {
    ($type:ty: $($bound:path),+ $(,)?) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn probe() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            $({
                struct Has;
                impl<T: ?Sized + $bound> Ambiguous<Has> for T {}
            })+
            let _ = <$type as Ambiguous<_>>::probe;
        };
    };
}

assert_has_none_of!(SecretKey: Clone, Copy, Display, PartialEq, serde::Serialize, AsRef<str>, std::ops::Deref);
assert_has_none_of!(PresentedSecret<'static>: Display, PartialEq, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
assert_has_none_of!(ParsedKey<'static>: Display, PartialEq, serde::Serialize);
assert_has_none_of!(TagKey: Clone, Display, PartialEq, serde::Serialize);

const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<KeyFormat>();
    shared::<SecretKey>();
    shared::<TagRing>();
};

/// A prepared tag key is two states of this hash. Should the hash lose its `zeroize` feature, this does not compile.
const _: fn() = || {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<sha2::Sha256>();
};

fn assert_keeps(secret: &str, shown: &str) {
    for start in 0..=secret.len() - 8 {
        let part = &secret[start..start + 8];
        assert!(!shown.contains(part), "{shown}");
    }
}

fn faces(value: &(impl Debug + ?Sized)) -> [String; 2] {
    [format!("{value:?}"), format!("{value:#?}")]
}

fn formats() -> [KeyFormat; 3] {
    let ring = TagRing::new(TagKey::new(&[3; 32]).unwrap());
    [
        KeyFormat::builder(),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().tags(TagPolicy::Required(ring)),
    ]
    .map(|builder| builder.build().unwrap())
}

#[test]
fn debug_shows_no_secret() {
    for format in formats() {
        let key = format.generate(&SeededRandom::new(4)).unwrap();
        let secret = str::from_utf8(key.secret().expose()).unwrap();
        let parsed = format.parse(key.plaintext().expose().as_bytes()).unwrap();

        let shown = [
            faces(&key),
            faces(key.plaintext()),
            faces(&key.secret()),
            faces(&parsed),
            faces(&parsed.secret()),
        ];
        for text in shown.iter().flatten().chain([&key.hint()]) {
            assert_keeps(secret, text);
        }
        assert!(format!("{parsed:?}").contains(key.id().as_str()));
    }
}

#[test]
fn debug_shows_no_tag_key() {
    let material = *b"correct horse battery staple, 32";
    let ring = TagRing::new(TagKey::new(&material).unwrap());
    let shown = format!("{ring:?}");
    assert!(shown.contains("TagKey([redacted])"));
    assert!(!shown.contains("horse"));
    assert!(!shown.contains("104, 111, 114, 115, 101"));
}

#[test]
fn a_refusal_repeats_nothing_that_was_presented() {
    for format in formats() {
        let key = format.generate(&SeededRandom::new(4)).unwrap();
        let original = key.plaintext().expose();
        for place in 0..original.len() {
            let mut mutant = original.as_bytes().to_vec();
            mutant[place] = b'-';
            let error = format.parse(&mutant).expect_err("should be refused");
            assert_keeps(&original[8..], &error.to_string());
            assert_keeps(&original[8..], &format!("{error:?}"));
        }
    }
}

#[test]
fn serde_errors_repeat_nothing() {
    let text = "\"0123456789ABCDEFGHIJ\"";
    let errors = [
        serde_json::from_str::<keyward::key::KeyId>(text).unwrap_err(),
        serde_json::from_str::<keyward::key::HintTail>(text).unwrap_err(),
        serde_json::from_str::<keyward::key::Environment>(text).unwrap_err(),
    ];
    for error in errors {
        assert_keeps("0123456789ABCDEFGHIJ", &error.to_string());
    }
}

#[test]
fn errors_speak_in_one_lower_case_line() {
    #[derive(Debug)]
    struct Dead;
    impl SecureRandom for Dead {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError::new())
        }
    }

    let failed = KeyFormat::default().generate(&Dead).unwrap_err();
    assert!(matches!(failed, GenerateError::Random(_)));
    let refused = KeyFormat::default().parse(b"").unwrap_err();
    for text in [failed.to_string(), refused.to_string()] {
        assert!(text.starts_with(char::is_lowercase), "{text}");
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    }
}

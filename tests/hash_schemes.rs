//! Each scheme against vectors from elsewhere, malformed texts, bounds, and the schemes side by side.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::sync::Arc;

use keyward::hash::{
    Argon2id, Bcrypt, DigestText, HashBuildError, HashError, HashInput, Hashing, KeyHasher,
    KeyedDigest, PepperRing, Plan, SecretOrigin,
};
use keyward::random::{RandomError, SecureRandom};
use keyward::testing::{CountingHasher, SeededRandom};

const ID: &str = "A1b2C3d4E5f6";
const SECRET: &[u8] = b"correct horse battery staple, 43 characters";
const WHOLE: &[u8] = b"pm_live_A1b2C3d4E5f6correct horse battery staple, 43 characters";
const PEPPER: [u8; 32] = *b"pT3n9-thirty-two-random-bytes-Kd";

/// Made with crypt(3) from `WHOLE` and from `SECRET`.
const WHOLE_2A: &str = "$2a$10$abcdefghijklmnopqrstuuZaRAMyZZ7ZPBAkAZ9/shN/DNqQbn5SW";
const SECRET_2Y: &str = "$2y$10$abcdefghijklmnopqrstuuArdwR0vVn2iljDvk7WYRHnMVfj9a/R6";

fn bcrypt() -> Bcrypt {
    Bcrypt::builder().dangerous().low_cost(4).build().unwrap()
}

fn argon2id() -> Argon2id {
    Argon2id::builder()
        .dangerous()
        .low_cost(64)
        .build()
        .unwrap()
}

fn ring() -> Arc<PepperRing> {
    Arc::new(PepperRing::builder().pepper(3, PEPPER).build().unwrap())
}

fn cheap() -> Hashing {
    Hashing::builder()
        .prefer(bcrypt())
        .accept(argon2id())
        .build()
        .unwrap()
}

fn digest(hashing: &Hashing, secret: &[u8]) -> Result<DigestText, HashError> {
    hashing.digest(ID, secret, SecretOrigin::Generated, &SeededRandom::new(1))
}

fn verify(hashing: &Hashing, secret: &[u8], digest: &DigestText) -> bool {
    hashing.verify(ID, secret, WHOLE, digest).unwrap()
}

#[test]
fn agrees_with_other_implementations_of_bcrypt() {
    let a71 = "$2b$04$abcdefghijklmnopqrstuuMCu.k1vM/ywQwiONaEn3oEMlZoCVBd6";
    let a72 = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
    let cases: [(&[u8], &str); 6] = [
        (&[b'a'; 71], a71),
        (&[b'a'; 72], a72),
        (SECRET, SECRET_2Y),
        (WHOLE, WHOLE_2A),
        // jBCrypt's test vectors.
        (
            b"abc",
            "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
        ),
        (
            b"a",
            "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        ),
    ];
    for (secret, text) in cases {
        assert!(
            bcrypt().verify(HashInput::new(ID, secret), text).unwrap(),
            "{text}"
        );
        assert!(
            !bcrypt().verify(HashInput::new(ID, b"b"), text).unwrap(),
            "{text}"
        );
    }
}

/// The reference implementation's test suite: password "password", salt "somesalt".
#[test]
fn agrees_with_the_reference_implementation_of_argon2() {
    let texts = [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    ];
    let argon2id = argon2id();
    for text in texts {
        let input = |secret| HashInput::new(ID, secret);
        assert!(argon2id.verify(input(b"password"), text).unwrap(), "{text}");
        assert!(
            !argon2id.verify(input(b"passwore"), text).unwrap(),
            "{text}"
        );
    }
}

#[test]
fn makes_bcrypt_12_by_default() {
    let hashing = Hashing::default();
    let digest = digest(&hashing, SECRET).unwrap();
    assert!(digest.as_str().starts_with("$2b$12$"));
    assert_eq!(digest.as_str().len(), 60);
    assert!(verify(&hashing, SECRET, &digest));
    assert!(!hashing.needs_upgrade(&digest, SecretOrigin::Generated));
}

#[test]
fn salts_every_slow_digest() {
    let random = SeededRandom::new(1);
    for hasher in [&bcrypt() as &dyn KeyHasher, &argon2id()] {
        let one = hasher.hash(HashInput::new(ID, SECRET), &random).unwrap();
        let two = hasher.hash(HashInput::new(ID, SECRET), &random).unwrap();
        assert_ne!(one, two);
        for text in [one, two] {
            let input = HashInput::new(ID, SECRET);
            assert!(hasher.verify(input, text.as_str()).unwrap());
        }
    }
}

#[test]
fn makes_nothing_without_randomness() {
    #[derive(Debug)]
    struct Dry;
    impl SecureRandom for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError::new())
        }
    }
    for hasher in [&bcrypt() as &dyn KeyHasher, &argon2id()] {
        let error = hasher.hash(HashInput::new(ID, SECRET), &Dry).unwrap_err();
        assert!(matches!(error, HashError::Random(_)));
        assert!(!error.is_digest_fault());
    }
}

#[test]
fn never_lets_bcrypt_cut_a_secret_off() {
    let hashing = cheap();
    let (longest, beyond) = ([b'x'; 72], [b'x'; 73]);
    let error = digest(&hashing, &beyond).unwrap_err();
    assert!(matches!(error, HashError::UnsuitableSecret));
    assert!(
        !error
            .to_string()
            .contains('x'.to_string().repeat(8).as_str())
    );

    let stored = digest(&hashing, &longest).unwrap();
    assert!(verify(&hashing, &longest, &stored));
    assert!(!verify(&hashing, &beyond, &stored), "byte 73 counts");
    assert!(!verify(&hashing, &longest[..71], &stored), "byte 72 counts");
}

/// crypt(3) and most libraries would have dropped what follows byte 72 when the digest was made.
#[test]
fn refuses_an_imported_digest_of_a_cut_off_key() {
    let a72 = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
    let imported = DigestText::import_whole(a72).unwrap();
    let hashing = cheap();
    assert!(hashing.verify(ID, b"", &[b'a'; 72], &imported).unwrap());
    assert!(!hashing.verify(ID, b"", &[b'a'; 73], &imported).unwrap());
}

#[test]
fn tells_secrets_apart_after_a_zero_byte() {
    let hashing = Hashing::builder().prefer(argon2id()).build().unwrap();
    let stored = digest(&hashing, b"same\0one").unwrap();
    assert!(verify(&hashing, b"same\0one", &stored));
    assert!(!verify(&hashing, b"same\0two", &stored));
    assert!(!verify(&hashing, b"same", &stored));
}

/// bcrypt repeats its input after a zero byte: `ab` and `ab\0ab` have one digest.
#[test]
fn keeps_zero_bytes_away_from_bcrypt() {
    let hashing = cheap();
    assert!(matches!(
        digest(&hashing, b"ab\0ab"),
        Err(HashError::UnsuitableSecret)
    ));
    let stored = digest(&hashing, b"ab").unwrap();
    assert!(!verify(&hashing, b"ab\0ab", &stored));
    assert!(!verify(&hashing, b"ab\0", &stored));
    assert!(verify(&hashing, b"ab", &stored));
}

#[test]
fn takes_long_secrets_and_zero_bytes_under_a_pepper() {
    let hashing = Hashing::builder()
        .prefer(bcrypt())
        .peppers(ring())
        .build()
        .unwrap();
    let long = [b'x'; 1000];
    let stored = digest(&hashing, &long).unwrap();
    assert!(verify(&hashing, &long, &stored));
    assert!(!verify(&hashing, &long[..999], &stored));
    let stored = digest(&hashing, b"ab").unwrap();
    assert!(!verify(&hashing, b"ab\0ab", &stored));
}

#[test]
fn refuses_empty_secrets_everywhere() {
    let keyed = Hashing::builder()
        .prefer(KeyedDigest::new(ring()))
        .peppers(ring())
        .build()
        .unwrap();
    let peppered = Hashing::builder()
        .prefer(bcrypt())
        .peppers(ring())
        .build()
        .unwrap();
    let argon2id = Hashing::builder().prefer(argon2id()).build().unwrap();
    for hashing in [cheap(), keyed, peppered, argon2id] {
        assert!(matches!(
            digest(&hashing, b""),
            Err(HashError::UnsuitableSecret)
        ));
        let stored = digest(&hashing, SECRET).unwrap();
        assert!(!verify(&hashing, b"", &stored));
    }
    // SHA-256 of nothing.
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for imported in [
        DigestText::import_sha256_whole(nothing).unwrap(),
        DigestText::import_sha256_secret(nothing).unwrap(),
    ] {
        assert!(!cheap().verify(ID, b"", b"", &imported).unwrap());
    }
}

#[derive(Debug)]
enum Refusal {
    Cost,
    Malformed,
    Pepper,
    Unknown,
}

fn fits(refusal: &Refusal, error: &HashError) -> bool {
    matches!(
        (refusal, error),
        (Refusal::Cost, HashError::CostOutOfBounds)
            | (Refusal::Malformed, HashError::Malformed)
            | (Refusal::Pepper, HashError::PepperMissing { .. })
            | (Refusal::Unknown, HashError::UnknownScheme)
    )
}

#[test]
fn refuses_stored_texts_without_computing_them() {
    const TAIL: &str = "$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";
    const SHORT: &str = "$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCD";
    const SALT: &str = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let bcrypt = |start: &str| format!("{start}{TAIL}");
    let argon = |settings: &str| format!("$argon2id$v=19${settings}{SALT}");
    let hmac = |start: &str| format!("$hmac-sha256${start}${}", "A".repeat(43));
    let cases = [
        (Refusal::Malformed, String::new()),
        (Refusal::Malformed, "invalid_bcrypt_hash".into()),
        (Refusal::Unknown, bcrypt("$3b$12")),
        (Refusal::Unknown, bcrypt("$2x$12")),
        (Refusal::Unknown, bcrypt("$2$12")),
        (Refusal::Unknown, bcrypt("$5$rounds=5000")),
        (Refusal::Cost, bcrypt("$2b$03")),
        (Refusal::Cost, bcrypt("$2b$09")),
        (Refusal::Cost, bcrypt("$2b$15")),
        (Refusal::Cost, bcrypt("$2b$17")),
        (Refusal::Cost, bcrypt("$2b$31")),
        (Refusal::Cost, bcrypt("$2b$32")),
        (Refusal::Cost, bcrypt("$2b$99")),
        (Refusal::Malformed, bcrypt("$2b$4")),
        (Refusal::Malformed, bcrypt("$2b$+9")),
        (Refusal::Malformed, bcrypt("$2b$1x")),
        (Refusal::Malformed, bcrypt("$2b$12$")),
        (Refusal::Malformed, format!("$2b$12{SHORT}")),
        (Refusal::Malformed, format!("$2b$12{TAIL}F")),
        (Refusal::Malformed, format!("$2b$12{SHORT}!")),
        (Refusal::Malformed, "$2b$".into()),
        (Refusal::Malformed, "$2b$12$".into()),
        (Refusal::Cost, argon("m=7167,t=2,p=1")),
        (Refusal::Cost, argon("m=131073,t=2,p=1")),
        (Refusal::Cost, argon("m=4294967295,t=2,p=1")),
        (Refusal::Cost, argon("m=19456,t=9,p=1")),
        (Refusal::Cost, argon("m=19456,t=4294967295,p=1")),
        (Refusal::Cost, argon("m=19456,t=2,p=5")),
        (Refusal::Malformed, argon("m=19456,t=0,p=1")),
        (Refusal::Malformed, argon("m=4294967296,t=2,p=1")),
        (Refusal::Malformed, argon("m=19456,t=2")),
        (Refusal::Malformed, argon("t=2,m=19456,p=1")),
        (Refusal::Malformed, argon("m=019456,t=2,p=1")),
        (Refusal::Malformed, argon("m=19456,t=2,p=1,keyid=AA")),
        (
            Refusal::Malformed,
            format!("$argon2id$v=16$m=19456,t=2,p=1{SALT}"),
        ),
        (
            Refusal::Malformed,
            format!("$argon2id$m=19456,t=2,p=1{SALT}"),
        ),
        (Refusal::Malformed, format!("{}$", argon("m=19456,t=2,p=1"))),
        (Refusal::Malformed, format!("{}A", argon("m=19456,t=2,p=1"))),
        (
            Refusal::Malformed,
            argon("m=19456,t=2,p=1").replace("c29t", "c2=t"),
        ),
        (
            Refusal::Malformed,
            argon("m=19456,t=2,p=1").replace("c29tZXNhbHQ", "c29t"),
        ),
        (Refusal::Malformed, "$argon2id$".into()),
        (
            Refusal::Unknown,
            argon("m=19456,t=2,p=1").replace("2id", "2i"),
        ),
        (
            Refusal::Unknown,
            argon("m=19456,t=2,p=1").replace("2id", "2d"),
        ),
        (Refusal::Pepper, bcrypt("$pepper$v=4$2b$12")),
        (Refusal::Malformed, bcrypt("$pepper$v=0$2b$12")),
        (Refusal::Cost, bcrypt("$pepper$v=3$2b$31")),
        (Refusal::Malformed, format!("$pepper$v=3{}", hmac("v=3"))),
        (Refusal::Pepper, hmac("v=4")),
        (Refusal::Malformed, hmac("v=0")),
        (Refusal::Malformed, hmac("3")),
        (Refusal::Malformed, format!("{}A", hmac("v=3"))),
        (Refusal::Cost, bcrypt("$import-whole$2b$31")),
        (Refusal::Malformed, format!("$import-whole{}", hmac("v=3"))),
        (Refusal::Malformed, "$import-sha256$00".into()),
    ];

    let (slow, memory_hard) = (
        CountingHasher::new(Bcrypt::default()),
        CountingHasher::new(Argon2id::default()),
    );
    let hashing = Hashing::builder()
        .prefer(slow.clone())
        .accept(memory_hard.clone())
        .accept(KeyedDigest::new(ring()))
        .peppers(ring())
        .build()
        .unwrap();
    for (refusal, text) in cases {
        let stored = DigestText::new(text.as_str());
        for error in [
            hashing.plan(&stored).unwrap_err(),
            hashing.verify(ID, SECRET, WHOLE, &stored).unwrap_err(),
        ] {
            assert!(fits(&refusal, &error), "{text}: {error:?}, not {refusal:?}");
            assert_eq!(
                error.is_digest_fault(),
                !matches!(refusal, Refusal::Pepper),
                "{text}"
            );
        }
        assert!(
            !hashing.needs_upgrade(&stored, SecretOrigin::Generated),
            "{text}"
        );
    }
    assert_eq!((slow.verifications(), memory_hard.verifications()), (0, 0));
}

/// A stored work factor of 31 would take two days: that this test ends shows that it was not computed.
#[test]
fn never_computes_a_stored_cost_out_of_bounds() {
    for cost in ["31", "17"] {
        let tail = "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";
        let text = format!("$2b${cost}${tail}");
        let answer = Bcrypt::default().verify(HashInput::new(ID, SECRET), &text);
        assert!(matches!(answer, Err(HashError::CostOutOfBounds)));
    }
}

#[test]
fn accepts_the_costs_at_the_edge_of_the_bounds() {
    let tail = "$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";
    let salt = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for text in [
        format!("$2b$10{tail}"),
        format!("$2b$14{tail}"),
        format!("$2a$12{tail}"),
        format!("$2y$12{tail}"),
        format!("$argon2id$v=19$m=7168,t=1,p=1{salt}"),
        format!("$argon2id$v=19$m=131072,t=8,p=4{salt}"),
    ] {
        let plan = Hashing::default().plan(&DigestText::new(text.as_str()));
        assert_eq!(plan.unwrap(), Plan::Slow, "{text}");
    }
}

#[test]
fn bounds_what_can_be_configured() {
    let cost = |cost| Bcrypt::builder().cost(cost).build().map(|_| ());
    for refused in [0, 3, 4, 10, 11, 15, 31, 32] {
        assert_eq!(
            cost(refused),
            Err(HashBuildError::CostUnusable),
            "{refused}"
        );
    }
    for accepted in [12, 13, 14] {
        assert_eq!(cost(accepted), Ok(()), "{accepted}");
    }
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "an empty range is one of the mistakes"
    )]
    let ranges = [
        (3..=14, false),
        (4..=14, true),
        (10..=16, true),
        (10..=17, false),
        (14..=12, false),
    ];
    for (range, usable) in ranges {
        let built = Bcrypt::builder().accepted(range.clone()).build();
        assert_eq!(built.is_ok(), usable, "{range:?}");
    }
    let low = |cost| Bcrypt::builder().dangerous().low_cost(cost).build().is_ok();
    assert!(!low(3) && low(4) && low(16) && !low(17) && !low(31) && !low(32));

    let argon = |memory, passes| {
        Argon2id::builder()
            .memory_kib(memory)
            .passes(passes)
            .build()
            .is_ok()
    };
    assert!(argon(19_456, 2) && argon(47_104, 1) && argon(131_072, 8));
    assert!(!argon(19_455, 2) && !argon(47_103, 1) && !argon(19_456, 0));
    assert!(!argon(131_073, 2) && !argon(19_456, 9));
    let lowest = |memory| {
        Argon2id::builder()
            .dangerous()
            .low_cost(memory)
            .build()
            .is_ok()
    };
    assert!(lowest(8) && !lowest(7) && !lowest(0));
    let most = |memory| {
        Argon2id::builder()
            .accepted_memory_kib(7_168..=memory)
            .build()
            .is_ok()
    };
    assert!(most(1_048_576) && !most(1_048_577));
}

#[test]
fn verifies_what_an_earlier_configuration_made() {
    let keyed = KeyedDigest::new(ring());
    let before = [
        Hashing::builder().prefer(bcrypt()).build().unwrap(),
        Hashing::builder().prefer(argon2id()).build().unwrap(),
        Hashing::builder().prefer(keyed.clone()).build().unwrap(),
        Hashing::builder()
            .prefer(bcrypt())
            .peppers(ring())
            .build()
            .unwrap(),
        Hashing::builder()
            .prefer(argon2id())
            .peppers(ring())
            .build()
            .unwrap(),
    ];
    let now = Hashing::builder()
        .prefer(argon2id())
        .accept(bcrypt())
        .accept(keyed)
        .peppers(ring())
        .build()
        .unwrap();
    for (at, earlier) in before.iter().enumerate() {
        let stored = digest(earlier, SECRET).unwrap();
        assert!(verify(&now, SECRET, &stored), "{at}");
        assert!(!verify(&now, b"other", &stored), "{at}");
        let upgrade = now.needs_upgrade(&stored, SecretOrigin::Generated);
        assert_eq!(upgrade, at != 4, "{at}");
    }
}

#[test]
fn upgrades_what_would_be_made_otherwise_today() {
    let costs = |cost| {
        let bcrypt = Bcrypt::builder().dangerous().low_cost(4);
        Hashing::builder()
            .prefer(bcrypt.cost(cost).build().unwrap())
            .accept(argon2id())
            .build()
            .unwrap()
    };
    let (four, five) = (costs(4), costs(5));
    let generated = SecretOrigin::Generated;
    let stored = digest(&four, SECRET).unwrap();
    assert!(!four.needs_upgrade(&stored, generated));
    assert!(five.needs_upgrade(&stored, generated), "more work");
    let stored = digest(&five, SECRET).unwrap();
    assert!(!four.needs_upgrade(&stored, generated), "never downwards");
    let foreign = DigestText::new(stored.as_str().replace("$2b$", "$2y$"));
    assert!(five.needs_upgrade(&foreign, generated), "another name");

    let argon = Hashing::builder().prefer(argon2id()).build().unwrap();
    let stored = digest(&argon, SECRET).unwrap();
    assert!(!argon.needs_upgrade(&stored, generated));
    assert!(four.needs_upgrade(&stored, generated), "another scheme");
    let more = Hashing::builder().prefer(
        Argon2id::builder()
            .dangerous()
            .low_cost(64)
            .passes(2)
            .build()
            .unwrap(),
    );
    assert!(
        more.build().unwrap().needs_upgrade(&stored, generated),
        "more passes"
    );
}

#[test]
fn verifies_imported_digests_and_wants_them_replaced() {
    let hashing = Hashing::default();
    let sha_whole = "01605d469720ee22dc12ee1c8faf35df88eda13deee247c41af2d8826a6b6be8";
    let sha_secret = "baa527beebbe9197c5f9bb1c3959f430a7bf084056c6f9a0a64af6477306a8ed";
    let cases = [
        (DigestText::import_whole(WHOLE_2A).unwrap(), Plan::Slow),
        (
            DigestText::import_sha256_whole(sha_whole).unwrap(),
            Plan::Fast,
        ),
        (
            DigestText::import_sha256_secret(sha_secret).unwrap(),
            Plan::Fast,
        ),
        (
            DigestText::import_sha256_secret(&sha_secret.to_uppercase()).unwrap(),
            Plan::Fast,
        ),
        (DigestText::new(SECRET_2Y), Plan::Slow),
    ];
    for (stored, plan) in cases {
        assert_eq!(hashing.plan(&stored).unwrap(), plan);
        assert!(hashing.verify(ID, SECRET, WHOLE, &stored).unwrap());
        assert!(!hashing.verify(ID, b"x", b"x", &stored).unwrap());
        for origin in [SecretOrigin::Imported, SecretOrigin::Generated] {
            assert!(hashing.needs_upgrade(&stored, origin));
        }
    }
}

#[test]
fn judges_each_imported_form_over_its_own_input() {
    let hashing = Hashing::default();
    let sha_secret = "baa527beebbe9197c5f9bb1c3959f430a7bf084056c6f9a0a64af6477306a8ed";
    let whole = DigestText::import_sha256_whole(sha_secret).unwrap();
    assert!(!hashing.verify(ID, SECRET, WHOLE, &whole).unwrap());
    let whole = DigestText::import_whole(SECRET_2Y).unwrap();
    assert!(!hashing.verify(ID, SECRET, WHOLE, &whole).unwrap());
    assert!(
        !hashing
            .verify(ID, SECRET, WHOLE, &DigestText::new(WHOLE_2A))
            .unwrap()
    );
}

#[test]
fn can_refuse_imported_digests_altogether() {
    let hashing = Hashing::builder().refuse_imports().build().unwrap();
    let stored = [
        DigestText::import_whole(WHOLE_2A).unwrap(),
        DigestText::import_sha256_whole(&"0".repeat(64)).unwrap(),
        DigestText::import_sha256_secret(&"0".repeat(64)).unwrap(),
    ];
    for stored in stored {
        assert!(matches!(
            hashing.plan(&stored),
            Err(HashError::UnknownScheme)
        ));
        let answer = hashing.verify(ID, SECRET, WHOLE, &stored);
        assert!(matches!(answer, Err(HashError::UnknownScheme)));
    }
}

#[test]
fn never_puts_an_imported_secret_under_a_fast_scheme() {
    let hashing = Hashing::builder()
        .accept(bcrypt())
        .prefer(KeyedDigest::new(ring()))
        .peppers(ring())
        .build()
        .unwrap();
    let make = |origin| {
        hashing
            .digest(ID, SECRET, origin, &SeededRandom::new(1))
            .unwrap()
    };
    let generated = make(SecretOrigin::Generated);
    assert_eq!(hashing.plan(&generated).unwrap(), Plan::Fast);
    let imported = make(SecretOrigin::Imported);
    assert!(imported.as_str().starts_with("$pepper$v=3$2b$04$"));
    assert!(verify(&hashing, SECRET, &imported));
    assert!(!hashing.needs_upgrade(&imported, SecretOrigin::Imported));
    assert!(hashing.needs_upgrade(&imported, SecretOrigin::Generated));
}

#[test]
fn says_false_not_error_for_a_digest_of_another_kind() {
    let hashing = cheap();
    let sha = DigestText::import_sha256_secret(&"00".repeat(32)).unwrap();
    assert!(!verify(&hashing, SECRET, &sha));
    let stored = digest(&hashing, &[0x41; 32]).unwrap();
    assert!(!verify(&hashing, SECRET, &stored));
}

#[test]
fn takes_schemes_from_outside() {
    #[derive(Debug)]
    struct Reversed(&'static str);
    impl KeyHasher for Reversed {
        fn scheme(&self) -> &str {
            self.0
        }
        fn cost(&self) -> Plan {
            Plan::Fast
        }
        fn accepts(&self, text: &str) -> Result<(), HashError> {
            text.strip_prefix("$reversed$")
                .map(|_| ())
                .ok_or(HashError::UnknownScheme)
        }
        fn is_current(&self, _: &str) -> bool {
            true
        }
        fn hash(&self, it: HashInput<'_>, _: &dyn SecureRandom) -> Result<DigestText, HashError> {
            let text: String = it.secret().iter().rev().map(|b| char::from(*b)).collect();
            Ok(DigestText::new(format!("$reversed${text}")))
        }
        fn verify(&self, it: HashInput<'_>, text: &str) -> Result<bool, HashError> {
            let made = self.hash(it, &SeededRandom::new(0))?;
            Ok(made.as_str() == text)
        }
    }
    let hashing = Hashing::builder()
        .prefer(Reversed("reversed"))
        .build()
        .unwrap();
    let stored = digest(&hashing, b"abc").unwrap();
    assert_eq!(stored.as_str(), "$reversed$cba");
    assert!(verify(&hashing, b"abc", &stored));
    for name in ["", "Reversed", "a$b", "pepper", "importer", "a b"] {
        let built = Hashing::builder().accept(Reversed(name)).build();
        assert_eq!(built.unwrap_err(), HashBuildError::SchemeName, "{name}");
    }
}

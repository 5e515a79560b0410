use super::builder::PepperRingBuilder;
use super::{Pepper, PepperRing};
use crate::hash::{HashBuildError, HashError, encoding};

const A: [u8; 32] = *b"pT3n9-thirty-two-random-bytes-Kd";
const B: [u8; 32] = *b"0y4Q-an0ther-32-byte-key-xzv87Lq";

#[test]
fn takes_the_highest_version_as_current_unless_told() {
    let ring = || PepperRing::builder().pepper(7, A).pepper(2, B);
    assert_eq!(ring().build().unwrap().current(), 7);
    assert_eq!(ring().current(2).build().unwrap().current(), 2);
}

#[test]
fn refuses_versions_that_make_no_ring() {
    let cases = [
        (PepperRing::builder(), HashBuildError::NoPepper),
        (
            PepperRing::builder().pepper(0, A),
            HashBuildError::ZeroVersion,
        ),
        (
            PepperRing::builder().pepper(1, A).current(2),
            HashBuildError::CurrentPepperMissing { version: 2 },
        ),
        (
            PepperRing::builder().pepper(1, A).pepper(1, B),
            HashBuildError::DuplicatePepper { version: 1 },
        ),
        (
            PepperRing::builder().pepper(1, A).pepper(2, A),
            HashBuildError::DuplicatePepper { version: 2 },
        ),
    ];
    for (builder, error) in cases {
        assert_eq!(builder.build().unwrap_err(), error);
    }
}

#[test]
fn refuses_weak_peppers_and_takes_their_strong_neighbours() {
    let weak: [&[u8]; 6] = [
        b"",
        &[0; 64],
        &A[..31],
        b"aabbccddeeffaabbccddeeffggaabbcc",
        b"passwordpasswordpasswordpassword",
        b"sixteen-letters-sixteen-letters-",
    ];
    for secret in weak {
        assert_eq!(
            PepperRing::builder().pepper(1, secret).build().unwrap_err(),
            HashBuildError::WeakPepper { version: 1 },
        );
    }
    let strong: [&[u8]; 3] = [
        b"8f14e45fceea167a5a36dedd4bea2543",
        b"aabbccddeeffaabbccddeeffgghhaabb",
        b"sixteen-letters-sixteen-letters!",
    ];
    for secret in strong {
        assert!(PepperRing::builder().pepper(1, secret).build().is_ok());
    }
}

#[test]
fn takes_over_versions_and_current_version() {
    let build = |ring: PepperRingBuilder| ring.build().unwrap();
    let ring = build(PepperRing::builder().pepper(1, A));
    let both = || PepperRing::builder().pepper(1, A).pepper(2, B);
    assert!(ring.take_over(build(both().current(1))).unwrap());
    assert!(!ring.take_over(build(both().current(1))).unwrap());
    assert_eq!(ring.versions().collect::<Vec<_>>(), [1, 2]);
    assert!(ring.take_over(build(both())).unwrap());
    assert_eq!(ring.with_newest(Pepper::version).unwrap(), 2);
    assert!(
        ring.take_over(build(PepperRing::builder().pepper(2, B)))
            .unwrap()
    );
    assert!(matches!(
        ring.check(1),
        Err(HashError::PepperMissing { version: 1 })
    ));
}

#[test]
fn refuses_a_version_that_became_another_pepper_even_after_it_went_away() {
    let build = |ring: PepperRingBuilder| ring.build().unwrap();
    let ring = build(PepperRing::builder().pepper(1, A));
    let shown = |ring: &PepperRing| ring.with(1, |it| *it.slow_input("id", b"secret"));
    let before = shown(&ring).unwrap();
    let changed = build(PepperRing::builder().pepper(1, B));
    let refused = HashBuildError::PepperChanged { version: 1 };
    assert_eq!(ring.take_over(changed).unwrap_err(), refused);
    assert_eq!(shown(&ring).unwrap(), before);

    ring.take_over(build(PepperRing::builder().pepper(2, B)))
        .unwrap();
    let back = build(PepperRing::builder().pepper(1, [b"x", &A[1..]].concat()));
    assert_eq!(ring.take_over(back).unwrap_err(), refused);
    assert_eq!(ring.current(), 2);
}

#[test]
fn gives_every_purpose_and_version_its_own_key() {
    let ring = PepperRing::builder()
        .pepper(1, A)
        .pepper(2, B)
        .build()
        .unwrap();
    let mut seen = Vec::new();
    for version in ring.versions() {
        let mut keys = |pepper: &Pepper| {
            let mut hex = [0; 64];
            encoding::hex_into(&pepper.keyed_digest("id", b"secret"), &mut hex);
            seen.push(hex);
            seen.push(*pepper.slow_input("id", b"secret"));
            encoding::hex_into(&pepper.stored_proof("id", "", b"secret"), &mut hex);
            seen.push(hex);
            encoding::hex_into(&pepper.short_check.over([b"id", b"secret"]), &mut hex);
            seen.push(hex);
            encoding::hex_into(&pepper.fingerprint, &mut hex);
            seen.push(hex);
        };
        ring.with(version, &mut keys).unwrap();
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn always_hands_64_hex_digits_to_the_slow_hash() {
    let ring = PepperRing::builder().pepper(1, A).build().unwrap();
    for length in [1, 72, 1000] {
        let secret = vec![b'x'; length];
        let input = ring.with_newest(|it| it.slow_input("id", &secret)).unwrap();
        assert!(input.iter().all(u8::is_ascii_hexdigit));
    }
}

#[cfg(feature = "vault")]
#[test]
fn tells_of_a_version_that_it_lacks_and_of_no_damaged_text() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    let ring = PepperRing::builder().pepper(1, A).build().unwrap();
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    ring.on_missing(move || _ = count.fetch_add(1, Ordering::SeqCst));
    assert!(ring.check(1).is_ok());
    assert!(ring.check(0).is_err());
    assert_eq!(told.load(Ordering::SeqCst), 0);
    assert!(ring.check(2).is_err());
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

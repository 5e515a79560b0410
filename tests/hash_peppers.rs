//! What a pepper adds: keyed inputs, stored proofs and short checks, and how peppers are changed.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::sync::Arc;

use keyward::hash::{
    Bcrypt, DigestText, HashError, Hashing, KeyedDigest, PepperRing, SecretOrigin, ShortCheck,
    StoredProof,
};
use keyward::testing::SeededRandom;
use proptest::prelude::*;

const ID: &str = "A1b2C3d4E5f6";
const SECRET: &[u8] = b"correct horse battery staple, 43 characters";
const OLD: [u8; 32] = *b"pT3n9-thirty-two-random-bytes-Kd";
const NEW: [u8; 32] = *b"0y4Q-an0ther-32-byte-key-xzv87Lq";
const GENERATED: SecretOrigin = SecretOrigin::Generated;

fn old() -> Arc<PepperRing> {
    Arc::new(PepperRing::builder().pepper(3, OLD).build().unwrap())
}

fn both() -> Arc<PepperRing> {
    let ring = PepperRing::builder().pepper(3, OLD).pepper(4, NEW);
    Arc::new(ring.build().unwrap())
}

fn new() -> Arc<PepperRing> {
    Arc::new(PepperRing::builder().pepper(4, NEW).build().unwrap())
}

fn slow(ring: Arc<PepperRing>) -> Hashing {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    Hashing::builder()
        .prefer(bcrypt)
        .accept(KeyedDigest::new(Arc::clone(&ring)))
        .peppers(ring)
        .build()
        .unwrap()
}

fn keyed(ring: Arc<PepperRing>) -> Hashing {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    Hashing::builder()
        .accept(bcrypt)
        .prefer(KeyedDigest::new(Arc::clone(&ring)))
        .peppers(ring)
        .build()
        .unwrap()
}

fn digest(hashing: &Hashing, id: &str, secret: &[u8]) -> DigestText {
    hashing
        .digest(id, secret, GENERATED, &SeededRandom::new(1))
        .unwrap()
}

/// All of these were computed apart, with Python's `hmac` and crypt(3).
#[test]
fn agrees_with_an_independent_computation() {
    let hashing = slow(old());
    let peppered =
        DigestText::new("$pepper$v=3$2b$04$abcdefghijklmnopqrstuugIOK0rwgexMIWN.Rvjx6zebGSapj40K");
    assert!(hashing.verify(ID, SECRET, b"", &peppered).unwrap());
    let stored = digest(&keyed(old()), ID, SECRET);
    assert_eq!(
        stored.as_str(),
        "$hmac-sha256$v=3$JiFDafGcZxgovSjEMKXvHDwzI4zT+KYDzZU+R0lJ3ws"
    );
    let short = hashing.short_check(ID, SECRET, GENERATED).unwrap();
    assert_eq!(short.to_text(), "v=3$0b2f1d57");
    let text = DigestText::new("$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC");
    let proof = hashing.stored_proof(ID, &text, SECRET, GENERATED).unwrap();
    assert_eq!(
        proof.to_text(),
        "v=3$BKv5fOwObQqhRbs609U21dtUzbDlaOiULhm7b5h/CBM"
    );
}

#[test]
fn refuses_a_digest_that_was_moved_to_another_id() {
    for hashing in [slow(old()), keyed(old())] {
        let stored = digest(&hashing, ID, SECRET);
        assert!(hashing.verify(ID, SECRET, b"", &stored).unwrap());
        assert!(
            !hashing
                .verify("A1b2C3d4E5f7", SECRET, b"", &stored)
                .unwrap()
        );
    }
}

#[test]
fn verifies_under_the_old_pepper_while_it_is_in_the_ring() {
    for scheme in [slow, keyed] {
        let stored = digest(&scheme(old()), ID, SECRET);
        let changing = scheme(both());
        assert!(changing.verify(ID, SECRET, b"", &stored).unwrap());
        assert!(!changing.verify(ID, b"other", b"", &stored).unwrap());
        assert!(changing.needs_upgrade(&stored, GENERATED));

        let upgraded = digest(&changing, ID, SECRET);
        assert!(!changing.needs_upgrade(&upgraded, GENERATED));
        let changed = scheme(new());
        assert!(changed.verify(ID, SECRET, b"", &upgraded).unwrap());
        assert!(matches!(
            changed.verify(ID, SECRET, b"", &stored),
            Err(HashError::PepperMissing { version: 3 })
        ));
        assert!(!changed.needs_upgrade(&stored, GENERATED));
    }
}

#[test]
fn does_not_call_a_key_invalid_because_a_pepper_is_missing() {
    let stored = digest(&slow(old()), ID, SECRET);
    for hashing in [slow(new()), Hashing::default()] {
        let error = hashing.plan(&stored).unwrap_err();
        assert!(matches!(error, HashError::PepperMissing { version: 3 }));
        assert!(!error.is_digest_fault());
    }
}

#[test]
fn verifies_digests_from_before_the_first_pepper() {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    let before = Hashing::builder().prefer(bcrypt).build().unwrap();
    let stored = digest(&before, ID, SECRET);
    let after = slow(old());
    assert!(after.verify(ID, SECRET, b"", &stored).unwrap());
    assert!(after.needs_upgrade(&stored, GENERATED));
}

#[test]
fn proves_one_secret_for_one_digest_of_one_key() {
    let hashing = slow(old());
    let stored = digest(&hashing, ID, SECRET);
    let again = hashing
        .digest(ID, SECRET, GENERATED, &SeededRandom::new(2))
        .unwrap();
    let proof = hashing
        .stored_proof(ID, &stored, SECRET, GENERATED)
        .unwrap();
    let check = |id, digest, secret| hashing.check_stored_proof(id, digest, secret, &proof);
    assert_eq!(check(ID, &stored, SECRET), Some(true));
    assert_eq!(check(ID, &stored, b"other"), Some(false));
    assert_eq!(check("other", &stored, SECRET), Some(false));
    assert_eq!(
        check(ID, &again, SECRET),
        Some(false),
        "a new digest voids it"
    );
}

#[test]
fn judges_no_proof_without_its_pepper() {
    let stored = digest(&slow(old()), ID, SECRET);
    let proof = slow(old())
        .stored_proof(ID, &stored, SECRET, GENERATED)
        .unwrap();
    let check = |hashing: Hashing, proof: &StoredProof| {
        hashing.check_stored_proof(ID, &stored, SECRET, proof)
    };
    assert_eq!(check(slow(both()), &proof), Some(true));
    assert_eq!(check(slow(new()), &proof), None);
    assert_eq!(check(Hashing::default(), &proof), None);
    let renamed = StoredProof::from_text(&proof.to_text().replace("v=3", "v=4"));
    assert_eq!(check(slow(both()), &renamed), Some(false));
    assert_eq!(
        check(slow(both()), &StoredProof::from_text("damaged")),
        None
    );
}

#[test]
fn makes_no_proof_without_a_pepper_or_for_what_may_be_guessed() {
    let hashing = slow(old());
    let stored = digest(&hashing, ID, SECRET);
    let imported = SecretOrigin::Imported;
    assert!(
        Hashing::default()
            .stored_proof(ID, &stored, SECRET, GENERATED)
            .is_none()
    );
    assert!(
        hashing
            .stored_proof(ID, &stored, SECRET, imported)
            .is_none()
    );
    let sha = DigestText::import_sha256_secret(&"0".repeat(64)).unwrap();
    assert!(hashing.stored_proof(ID, &sha, SECRET, GENERATED).is_none());
    let broken = DigestText::new("broken");
    assert!(
        hashing
            .stored_proof(ID, &broken, SECRET, GENERATED)
            .is_none()
    );

    assert!(
        Hashing::default()
            .short_check(ID, SECRET, GENERATED)
            .is_none()
    );
    assert!(hashing.short_check(ID, SECRET, imported).is_none());
    assert!(hashing.short_check(ID, SECRET, GENERATED).is_some());
}

#[test]
fn tells_wrong_secrets_by_the_short_check() {
    let hashing = slow(old());
    let check = hashing.short_check(ID, SECRET, GENERATED).unwrap();
    assert_eq!(hashing.check_short(ID, SECRET, check), Some(true));
    assert_eq!(hashing.check_short(ID, b"other", check), Some(false));
    assert_eq!(hashing.check_short("other", SECRET, check), Some(false));
    assert_eq!(slow(both()).check_short(ID, SECRET, check), Some(true));
    assert_eq!(slow(new()).check_short(ID, SECRET, check), None);
    let damaged = ShortCheck::from_text("");
    assert_eq!(hashing.check_short(ID, SECRET, damaged), None);
}

/// What is stored in three columns must not be of use in another of them.
#[test]
fn keeps_the_uses_of_a_pepper_apart() {
    let hashing = slow(old());
    let stored = digest(&hashing, ID, SECRET);
    let keyed = digest(&keyed(old()), ID, SECRET);
    let proof = hashing
        .stored_proof(ID, &stored, SECRET, GENERATED)
        .unwrap();
    let short = hashing.short_check(ID, SECRET, GENERATED).unwrap();
    let tail = |text: String| text.rsplit('$').next().unwrap().to_owned();
    let forged = DigestText::new(format!("$hmac-sha256$v=3${}", tail(proof.to_text())));
    assert!(!hashing.verify(ID, SECRET, b"", &forged).unwrap());
    let forged = StoredProof::from_text(&format!("v=3${}", tail(keyed.as_str().to_owned())));
    assert_eq!(
        hashing.check_stored_proof(ID, &stored, SECRET, &forged),
        Some(false)
    );
    assert!(
        !hashing
            .check_short(ID, SECRET, ShortCheck::from_text("v=3$26214369"))
            .unwrap()
    );
    assert_ne!(
        short.to_text(),
        "v=3$26214369",
        "the keyed digest's first bytes"
    );
}

#[test]
fn lets_a_ring_be_extended_before_it_is_switched() {
    let prepared = PepperRing::builder()
        .pepper(3, OLD)
        .pepper(4, NEW)
        .current(3);
    let prepared = slow(Arc::new(prepared.build().unwrap()));
    let stored = digest(&prepared, ID, SECRET);
    assert!(stored.as_str().starts_with("$pepper$v=3$"));
    assert!(slow(old()).verify(ID, SECRET, b"", &stored).unwrap());
    let ahead = digest(&slow(both()), ID, SECRET);
    assert!(prepared.verify(ID, SECRET, b"", &ahead).unwrap());
}

proptest! {
    #[test]
    fn never_panics_on_any_stored_text(text in "\\PC{0,80}", wrap in 0..5_usize) {
        let text = ["", "$pepper$v=3", "$import-whole", "$import-sha256$", "$2b$12$"][wrap].to_owned() + &text;
        let hashing = slow(old());
        let _ = hashing.plan(&DigestText::new(text.as_str()));
        let _ = hashing.needs_upgrade(&DigestText::new(text.as_str()), GENERATED);
        let _ = StoredProof::from_text(&text);
        let _ = ShortCheck::from_text(&text);
    }

    #[test]
    fn no_byte_moves_between_id_and_secret(joined in "[a-z]{2,60}", a in 1..60_usize, b in 1..60_usize) {
        let (a, b) = (a.min(joined.len() - 1), b.min(joined.len() - 1));
        prop_assume!(a != b);
        let hashing = keyed(old());
        let (id, secret) = joined.split_at(a);
        let stored = digest(&hashing, id, secret.as_bytes());
        prop_assert!(hashing.verify(id, secret.as_bytes(), b"", &stored).unwrap());
        let (id, secret) = joined.split_at(b);
        prop_assert!(!hashing.verify(id, secret.as_bytes(), b"", &stored).unwrap());
    }
}

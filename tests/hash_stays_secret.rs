//! No `Debug` and no message of the module shows a secret, a digest or a pepper.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

use std::fmt::{Debug, Write};
use std::sync::Arc;

use keyward::hash::{
    Argon2id, Bcrypt, DigestText, HashBuildError, HashError, HashInput, HashPool, Hashing,
    KeyedDigest, Lane, PepperRing, ProofMemory, SecretOrigin, SingleFlight,
};
use keyward::random::RandomError;
use keyward::testing::{CountingHasher, SeededRandom};

const SECRET: &str = "CanaryCanaryCanary-secret";
const PEPPER: &str = "canary-pepper-0123456789-abcdefghijklmn";
const SHORT: &str = "canary-pepper-0123456789-abcdef";

fn show(all: &mut String, it: &dyn Debug) {
    writeln!(all, "{it:?}\n{it:#?}").unwrap();
}

/// What must not appear: the text itself, or its bytes as `Debug` prints a byte slice.
fn assert_absent(all: &str, secret: &str) {
    assert!(!all.contains(secret), "{all}");
    let bytes: Vec<_> = secret.bytes().take(6).map(|it| it.to_string()).collect();
    for gap in [", ", ",\n    ", ",\n        "] {
        assert!(!all.contains(&bytes.join(gap)), "{all}");
    }
}

#[tokio::test]
async fn shows_no_secret_digest_or_pepper() {
    let mut all = String::new();
    let ring = PepperRing::builder().pepper(3, PEPPER);
    show(&mut all, &ring);
    let ring = Arc::new(ring.build().unwrap());
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    let builder = Hashing::builder()
        .accept(CountingHasher::new(Argon2id::default()))
        .prefer(bcrypt)
        .accept(KeyedDigest::new(Arc::clone(&ring)))
        .peppers(ring);
    show(&mut all, &builder);
    let hashing = builder.build().unwrap();
    show(&mut all, &hashing);

    let origin = SecretOrigin::Generated;
    let secret = SECRET.as_bytes();
    show(&mut all, &HashInput::new("id", secret));
    let digest = hashing
        .digest("id", secret, origin, &SeededRandom::new(1))
        .unwrap();
    let proof = hashing.stored_proof("id", &digest, secret, origin).unwrap();
    let short = hashing.short_check("id", secret, origin).unwrap();
    show(&mut all, &(&digest, proof, short));

    let memory = ProofMemory::with_capacity(8, &SeededRandom::new(1)).unwrap();
    let tag = memory.tag("id", &digest, secret);
    let kept = memory.remember("id", 1, &tag, origin);
    show(&mut all, &(&memory, &tag, kept, memory.stats()));

    let pool = HashPool::builder().build().unwrap();
    let flights = SingleFlight::new();
    let job = flights
        .submit(&pool, &tag, Lane::Trusted, || SECRET)
        .unwrap();
    show(
        &mut all,
        &(&pool, &flights, &job, pool.exclusive("id").unwrap()),
    );
    assert_eq!(job.await, Ok(SECRET));

    for secret in [SECRET, PEPPER, digest.as_str()] {
        assert_absent(&all, secret);
    }
    let tail = |text: &str| text.rsplit('$').next().unwrap().to_owned();
    for text in [
        tail(digest.as_str()),
        tail(&proof.to_text()),
        tail(&short.to_text()),
    ] {
        assert_absent(&all, &text);
    }
}

#[test]
fn speaks_of_errors_without_their_material() {
    let hashing = Hashing::default();
    let mut all = String::new();
    for text in [
        SECRET.to_owned(),
        format!("$2b$12${SECRET}"),
        format!("$pepper$v=9$2b${SECRET}"),
    ] {
        let error = hashing
            .verify("id", SECRET.as_bytes(), b"", &DigestText::new(text))
            .unwrap_err();
        writeln!(all, "{error} {error:?}").unwrap();
    }
    let long = SECRET.repeat(3);
    let error = hashing
        .digest(
            "id",
            long.as_bytes(),
            SecretOrigin::Generated,
            &SeededRandom::new(1),
        )
        .unwrap_err();
    writeln!(all, "{error} {error:?}").unwrap();
    let weak = PepperRing::builder().pepper(1, SHORT).build().unwrap_err();
    writeln!(all, "{weak} {weak:?}").unwrap();
    assert_absent(&all, SECRET);
    assert_absent(&all, SHORT);
}

#[test]
fn keeps_the_cause_out_of_the_message() {
    let error = HashError::hasher("the disk is on fire");
    assert!(!error.to_string().contains("fire"));
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the disk is on fire");
    let error = HashError::from(RandomError::new());
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn writes_messages_in_one_manner() {
    let messages = [
        HashError::CostOutOfBounds.to_string(),
        HashError::Malformed.to_string(),
        HashError::OutOfMemory.to_string(),
        HashError::PepperMissing { version: 3 }.to_string(),
        HashError::SlowSchemeNeeded.to_string(),
        HashError::UnknownScheme.to_string(),
        HashError::UnsuitableSecret.to_string(),
        HashBuildError::WeakPepper { version: 3 }.to_string(),
    ];
    for message in messages {
        let first = message.chars().next().unwrap();
        assert!(first.is_lowercase() && !message.ends_with('.'), "{message}");
    }
}

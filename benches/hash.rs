//! What the hashing costs, beside the primitives it is made of: `cargo bench --bench hash`.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may fail where it stands; criterion's macros write undocumented items"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use keyward::hash::{
    Argon2id, Bcrypt, DigestText, HashPool, Hashing, KeyedDigest, Lane, PepperRing, ProofMemory,
    SecretOrigin,
};
use keyward::random::OsRandom;
use sha2::Sha256;

const ID: &str = "A1b2C3d4E5f6";
const SECRET: &[u8] = b"0123456789abcdefghijABCDEFGHIJ0123456789abc";
const GENERATED: SecretOrigin = SecretOrigin::Generated;

fn ring() -> Arc<PepperRing> {
    let ring = PepperRing::builder().pepper(1, *b"pT3n9-thirty-two-random-bytes-Kd");
    Arc::new(ring.build().unwrap())
}

fn bcrypt_12() -> DigestText {
    DigestText::new("$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC")
}

/// The fast path and the bare HMAC beside it.
fn fast(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash_fast");
    let bare = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    group.bench_function("hmac_115_bytes_prepared", |b| {
        b.iter(|| {
            let mut mac = bare.clone();
            mac.update(black_box(&[b'x'; 115]));
            mac.finalize().into_bytes()
        });
    });
    let (memory, digest) = (ProofMemory::new(&OsRandom::new()).unwrap(), bcrypt_12());
    let ids: Vec<_> = (0..1024).map(|it| format!("A1b2C3d4{it:04}")).collect();
    for id in &ids {
        let tag = memory.tag(id, &digest, SECRET);
        let _ = memory.remember(id, 1, &tag, GENERATED);
    }
    group.bench_function("proof_tag", |b| {
        b.iter(|| memory.tag(black_box(ID), &digest, black_box(SECRET)));
    });
    let tags: Vec<_> = ids
        .iter()
        .map(|id| (id, memory.tag(id, &digest, SECRET)))
        .collect();
    let mut turn = tags.iter().cycle();
    group.bench_function("proof_look_up_of_1024", |b| {
        b.iter(|| {
            let (id, tag) = turn.next().unwrap();
            memory.remembers(black_box(id), 1, tag)
        });
    });
    let hashing = Hashing::builder()
        .prefer(KeyedDigest::new(ring()))
        .peppers(ring())
        .build()
        .unwrap();
    let check = hashing.short_check(ID, SECRET, GENERATED).unwrap();
    group.bench_function("short_check", |b| {
        b.iter(|| hashing.check_short(black_box(ID), black_box(SECRET), check));
    });
    let keyed = hashing
        .digest(ID, SECRET, GENERATED, &OsRandom::new())
        .unwrap();
    group.bench_function("keyed_digest", |b| {
        b.iter(|| {
            hashing
                .verify(black_box(ID), black_box(SECRET), b"", &keyed)
                .unwrap()
        });
    });
    let proof = hashing
        .stored_proof(ID, &digest, SECRET, GENERATED)
        .unwrap();
    group.bench_function("stored_proof", |b| {
        b.iter(|| hashing.check_stored_proof(black_box(ID), &digest, SECRET, &proof));
    });
    group.bench_function("plan_bcrypt", |b| {
        b.iter(|| hashing.plan(black_box(&digest)));
    });
    group.finish();
}

/// The slow schemes beside the crates that compute them, and the way through the pool.
fn slow(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash_slow");
    group.sample_size(10);
    let random = OsRandom::new();
    let bcrypt = Hashing::builder()
        .prefer(Bcrypt::builder().accepted(10..=14).build().unwrap())
        .build()
        .unwrap();
    let digest = bcrypt.digest(ID, SECRET, GENERATED, &random).unwrap();
    group.bench_function("bcrypt_12_crate_alone", |b| {
        b.iter(|| bcrypt::verify(black_box(SECRET), digest.as_str()).unwrap());
    });
    group.bench_function("bcrypt_12", |b| {
        b.iter(|| bcrypt.verify(ID, black_box(SECRET), b"", &digest).unwrap());
    });
    let pool = HashPool::builder().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    group.bench_function("bcrypt_12_through_the_pool", |b| {
        b.iter(|| {
            let (hashing, digest) = (bcrypt.clone(), digest.clone());
            let job = move || hashing.verify(ID, SECRET, b"", &digest).unwrap();
            runtime
                .block_on(pool.submit(Lane::Trusted, job).unwrap())
                .unwrap()
        });
    });
    let argon2id = Hashing::builder()
        .prefer(Argon2id::default())
        .build()
        .unwrap();
    let digest = argon2id.digest(ID, SECRET, GENERATED, &random).unwrap();
    group.bench_function("argon2id_crate_alone", |b| {
        let mut out = [0; 32];
        let argon2 = argon2::Argon2::default();
        b.iter(|| {
            argon2
                .hash_password_into(SECRET, b"sixteen bytes ok", &mut out)
                .unwrap();
        });
    });
    group.bench_function("argon2id", |b| {
        b.iter(|| {
            argon2id
                .verify(ID, black_box(SECRET), b"", &digest)
                .unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, fast, slow);
criterion_main!(benches);

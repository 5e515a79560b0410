//! What sealing adds to a trail: `cargo bench --bench seal --features audit-seal`.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark may fail where it stands; criterion's macros write undocumented items"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signer, SigningKey};
use keyward::audit::{
    AuditEvent, AuditKind, AuditSink, JsonLinesSink, SealKey, SealVerifier, Sealing, SyncPolicy,
    checkpoints_file, trail_files, verify_chain,
};
use keyward::time::Timestamp;
use tokio::runtime::Runtime;

/// Full batches, as a recorder under load writes them.
const BATCH: u64 = 256;

fn events() -> Vec<AuditEvent> {
    let event = |sequence| {
        AuditEvent::new(
            AuditKind::RequestCompleted,
            Timestamp::from_secs(1_700_000_000),
        )
        .with_sequence(sequence)
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_route("/v1/messages/{id}")
        .with_user_agent("acme-client/4.2 (linux; x86_64) http/1.1")
    };
    (1..=BATCH).map(event).collect()
}

fn sealing() -> Sealing {
    let key = SealKey::from_seed("example.com/audit", &[7; 32]).unwrap();
    Sealing::new(key).every(Duration::from_secs(1_000_000))
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal_write");
    group.throughput(Throughput::Elements(BATCH));
    let (runtime, events) = (Runtime::new().unwrap(), events());
    for (name, sealed) in [("batch_plain", false), ("batch_sealed", true)] {
        let folder = tempfile::tempdir().unwrap();
        let builder = JsonLinesSink::builder(folder.path().join("audit.jsonl"));
        let builder = builder.sync(SyncPolicy::Never);
        let builder = if sealed {
            builder.seal(sealing())
        } else {
            builder
        };
        let sink = runtime.block_on(builder.open()).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(sink.write(black_box(&events))).unwrap());
        });
    }
}

/// A checkpoint of a million lines has some 700 bytes.
fn sign(c: &mut Criterion) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let text = [b'x'; 700];
    c.bench_function("seal_sign_700_bytes", |b| {
        b.iter(|| key.sign(black_box(&text)));
    });
}

/// One line, its sync, the signature and the checkpoint's sync, beside the line and its sync.
fn checkpoint(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal_checkpoint");
    let (runtime, mut one) = (Runtime::new().unwrap(), events());
    one.truncate(1);
    for (name, sealed) in [("line_flushed_plain", false), ("line_flushed_sealed", true)] {
        let folder = tempfile::tempdir().unwrap();
        let builder = JsonLinesSink::builder(folder.path().join("audit.jsonl"));
        let builder = builder.sync(SyncPolicy::Never);
        let builder = if sealed {
            builder.seal(sealing())
        } else {
            builder
        };
        let sink = runtime.block_on(builder.open()).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    sink.write(&one).await.unwrap();
                    sink.flush().await.unwrap();
                });
            });
        });
    }
}

fn verify(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal_verify");
    let (runtime, events) = (Runtime::new().unwrap(), events());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let key = SealKey::from_seed("example.com/audit", &[7; 32]).unwrap();
    runtime.block_on(async {
        let sink = JsonLinesSink::builder(&path)
            .seal(sealing())
            .open()
            .await
            .unwrap();
        for _ in 0..20 {
            sink.write(&events).await.unwrap();
            sink.flush().await.unwrap();
        }
    });
    group.throughput(Throughput::Elements(20 * BATCH));
    group.bench_function("chain", |b| {
        b.iter(|| verify_chain(trail_files(&path).unwrap()).unwrap());
    });
    let verifier = SealVerifier::new(key.verifier().clone());
    group.bench_function("chain_and_20_checkpoints", |b| {
        b.iter(|| {
            let files = trail_files(&path).unwrap();
            verifier.verify(files, checkpoints_file(&path)).unwrap()
        });
    });
}

criterion_group!(benches, write, sign, checkpoint, verify);
criterion_main!(benches);

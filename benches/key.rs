//! What it costs to read, refuse and make a key.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "criterion's macros document nothing; a bench may say what it expects"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use keyward::key::{KeyFormat, KeyStyle, TagKey, TagPolicy, TagRing};
use keyward::random::OsRandom;

fn tagged(byte: u8) -> KeyFormat {
    let ring = TagRing::new(TagKey::new(&[byte; 32]).unwrap());
    KeyFormat::builder()
        .tags(TagPolicy::Required(ring))
        .build()
        .unwrap()
}

fn compact() -> KeyFormat {
    KeyFormat::builder()
        .style(KeyStyle::Compact)
        .build()
        .unwrap()
}

fn key(format: &KeyFormat) -> Vec<u8> {
    let key = format.generate(&OsRandom::new()).unwrap();
    key.plaintext().expose().as_bytes().to_vec()
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (name, format) in [
        ("standard", KeyFormat::default()),
        ("tagged", tagged(1)),
        ("compact", compact()),
    ] {
        let presented = key(&format);
        group.bench_function(name, |b| {
            b.iter(|| format.parse(black_box(&presented)).is_ok());
        });
    }
    group.finish();
}

fn refuse(c: &mut Criterion) {
    let standard = KeyFormat::default();
    let genuine = key(&standard);
    let changed = |place: usize, byte: u8| {
        let mut presented = genuine.clone();
        presented[place] = byte;
        presented
    };
    let mut group = c.benchmark_group("refuse");
    for (name, presented) in [
        ("too_long", vec![b'a'; 8192]),
        ("cut_off", genuine[..60].to_vec()),
        ("prefix", changed(0, b'x')),
        ("environment", [b"pm_test_", &genuine[8..]].concat()),
        ("character", changed(40, b'-')),
        (
            "checksum",
            changed(40, if genuine[40] == b'a' { b'b' } else { b'a' }),
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| standard.parse(black_box(&presented)).is_err());
        });
    }
    let (format, forged) = (tagged(1), key(&tagged(2)));
    group.bench_function("forged_tag", |b| {
        b.iter(|| format.parse(black_box(&forged)).is_err());
    });
    group.finish();
}

fn generate(c: &mut Criterion) {
    let mut group = c.benchmark_group("generate");
    for (name, format) in [("standard", KeyFormat::default()), ("tagged", tagged(1))] {
        group.bench_function(name, |b| {
            b.iter(|| format.generate(&OsRandom::new()).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, parse, refuse, generate);
criterion_main!(benches);

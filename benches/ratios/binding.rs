//! What row binding adds to a warmed verification.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use keyward::RequestContext;
use keyward::hash::{Hashing, PepperRing};
use keyward::key::SecretKey;
use keyward::service::{KeyService, RowBindingMode};
use keyward::store::MemoryStore;
use tokio::runtime::Runtime;

use crate::measure::{Row, interleave};
use crate::world;

/// Fewer than the audit queue holds.
const BATCH: usize = 4000;
const ROUNDS: usize = 51;

pub(crate) fn run() {
    let runtime = world::runtime();
    let (plain, plain_key) = service(&runtime, None);
    let (bound, bound_key) = service(&runtime, Some(RowBindingMode::Required));
    let medians = interleave(
        ROUNDS,
        &mut [&mut || verify(&runtime, &bound, &bound_key), &mut || {
            verify(&runtime, &plain, &plain_key)
        }],
    );
    Row {
        name: "row binding: a warmed verification with it / without, in memory",
        ours: medians[0],
        reference: medians[1],
        target: 2.0,
        unit: "ns",
    }
    .print();
}

fn service(runtime: &Runtime, mode: Option<RowBindingMode>) -> (KeyService, SecretKey) {
    runtime.block_on(async {
        let pepper = PepperRing::builder().pepper(1, *b"0y4Q-an0ther-32-byte-key-xzv87Lq");
        let hashing = Hashing::builder().peppers(pepper.build().unwrap());
        let builder =
            world::builder(Arc::new(MemoryStore::new())).hashing(hashing.build().unwrap());
        let builder = match mode {
            Some(mode) => builder.row_binding(mode),
            None => builder,
        };
        let service = builder.build().unwrap();
        let key = world::issue(&service).await.into_key();
        (service, key)
    })
}

fn verify(runtime: &Runtime, service: &KeyService, key: &SecretKey) -> f64 {
    let (presented, context) = (key.expose().as_bytes(), RequestContext::new());
    runtime.block_on(async {
        service.recorder().flush().await.unwrap();
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(
                service
                    .verify(black_box(presented), &context)
                    .await
                    .unwrap(),
            );
        }
        start.elapsed().as_nanos() as f64 / BATCH as f64
    })
}

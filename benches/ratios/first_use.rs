//! The first verification of a key beside the bcrypt crate alone.

use std::sync::Arc;
use std::time::Instant;

use keyward::RequestContext;
use keyward::store::MemoryStore;

use crate::measure::{Row, interleave};
use crate::world;

const ROUNDS: usize = 9;

pub(crate) fn run() {
    let runtime = world::runtime();
    let service = runtime.block_on(async {
        world::builder(Arc::new(MemoryStore::new()))
            .build()
            .unwrap()
    });
    let hash = bcrypt::hash_with_result("0123456789012345678901234567890123456789abc", 12)
        .unwrap()
        .to_string();
    let medians = interleave(
        ROUNDS,
        &mut [
            &mut || {
                runtime.block_on(async {
                    let key = world::issue(&service).await.into_key();
                    let start = Instant::now();
                    service
                        .verify(key.expose().as_bytes(), &RequestContext::new())
                        .await
                        .unwrap();
                    start.elapsed().as_secs_f64() * 1e3
                })
            },
            &mut || {
                let start = Instant::now();
                assert!(
                    bcrypt::verify("0123456789012345678901234567890123456789abc", &hash).unwrap()
                );
                start.elapsed().as_secs_f64() * 1e3
            },
        ],
    );
    Row {
        name: "first verification of a key / the bcrypt crate alone",
        ours: medians[0],
        reference: medians[1],
        target: 1.02,
        unit: "ms",
    }
    .print();
}

//! What must not touch the heap.

use std::hint::black_box;
use std::sync::Arc;

use keyward::RequestContext;
use keyward::access::{Requirement, Target};
use keyward::key::KeyFormat;
use keyward::random::OsRandom;
use keyward::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Quota, RateDecision, RateLimiter as _, Subject,
};
use keyward::store::MemoryStore;
use keyward::time::{Clock as _, SystemClock};

use crate::measure::Row;
use crate::world;

pub(crate) fn run() {
    let format = KeyFormat::default();
    let key = format.generate(&OsRandom::new()).unwrap();
    let presented = key.plaintext().expose().as_bytes();
    let parse = count(|| {
        black_box(format.parse(black_box(presented)).unwrap());
    });
    Row::print_bound("allocations to parse", parse, 0.0, "");

    let limiter = MemoryRateLimiter::new();
    let quota = Quota::per_minute(60).unwrap();
    let charges = [Charge::new(Subject::key("000000000000"), &quota)];
    let now = SystemClock::new().now();
    let limit = count(|| {
        let answer = limiter
            .apply(&charges, Mode::Consume, now)
            .try_ready()
            .unwrap()
            .unwrap();
        let _ = black_box(RateDecision::new(&charges, &answer, now).unwrap());
    });
    Row::print_bound("allocations to limit", limit, 0.0, "");

    let runtime = world::runtime();
    let verified = runtime.block_on(async {
        let service = world::builder(Arc::new(MemoryStore::new()))
            .build()
            .unwrap();
        let key = world::issue(&service).await.into_key();
        let verified = service
            .verify(key.expose().as_bytes(), &RequestContext::new())
            .await
            .unwrap();
        (service, verified)
    });
    let wanted: Requirement = "send_email".parse().unwrap();
    let (service, key) = verified;
    let evaluate = count(|| {
        let _ = black_box(service.policy().evaluate(
            &key.record().subject(),
            &wanted,
            &Target::Service,
        ));
    });
    Row::print_bound("allocations to evaluate", evaluate, 0.0, "");
}

fn count(operation: impl FnOnce()) -> f64 {
    allocation_counter::measure(operation).count_total as f64
}

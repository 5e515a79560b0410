//! The in-memory limiter beside governor's, and beside itself.

use std::hint::black_box;
use std::num::NonZeroU32;

use governor::{Quota as GovernorQuota, RateLimiter as Governor};
use keyward::rate_limit::{Charge, MemoryRateLimiter, Mode, Quota, RateLimiter as _, Subject};
use keyward::time::{Clock as _, SystemClock};

use crate::measure::{Row, interleave, nanos};

const OPERATIONS: usize = 200_000;
const ROUNDS: usize = 7;

pub(crate) fn run() {
    let mut product = 1.0;
    let mut cases = 0;
    for (subjects, zipf) in [
        (1_000, false),
        (1_000, true),
        (100_000, false),
        (100_000, true),
        (1_000_000, false),
        (1_000_000, true),
    ] {
        let ratio = against_governor(subjects, zipf);
        eprintln!(
            "# limiter / governor, {subjects} subjects, {}: {ratio:.2}",
            if zipf { "zipf" } else { "uniform" }
        );
        product *= ratio;
        cases += 1;
    }
    let mean = f64::powf(product, 1.0 / f64::from(cases));
    Row {
        name: "in-memory limiter / governor keyed, geometric mean",
        ours: mean,
        reference: 1.0,
        target: 0.75,
        unit: "x",
    }
    .print();
    three_against_one();
    let table = MemoryRateLimiter::new();
    Row::print_bound(
        "in-memory limiter, bytes a slot",
        table.table_bytes() as f64 / table.slots() as f64,
        34.0,
        "B",
    );
}

fn against_governor(subjects: usize, zipf: bool) -> f64 {
    let ids: Vec<String> = (0..subjects).map(|n| format!("{n:012}")).collect();
    let order = order(subjects, zipf);
    let ours = MemoryRateLimiter::builder().slots(subjects * 4 / 3).build();
    let quota = Quota::per_second(1_000_000).unwrap();
    let theirs = Governor::keyed(GovernorQuota::per_second(
        NonZeroU32::new(1_000_000).unwrap(),
    ));
    let clock = SystemClock::new();
    let mut place = 0;
    let mut next = || {
        place = (place + 1) % order.len();
        order[place]
    };
    let mut other = 0;
    let mut next_other = || {
        other = (other + 1) % order.len();
        order[other]
    };
    let medians = interleave(
        ROUNDS,
        &mut [
            &mut || {
                nanos(OPERATIONS, || {
                    let charges = [Charge::new(Subject::key(&ids[next()]), &quota)];
                    black_box(
                        ours.apply(&charges, Mode::Consume, clock.now())
                            .try_ready()
                            .unwrap()
                            .unwrap(),
                    );
                })
            },
            &mut || {
                nanos(OPERATIONS, || {
                    // governor keeps the key it is given; twelve bytes are what a key id is.
                    let key: [u8; 12] = ids[next_other()].as_bytes().try_into().unwrap();
                    let _ = black_box(theirs.check_key(&key));
                })
            },
        ],
    );
    medians[0] / medians[1]
}

fn three_against_one() {
    let limiter = MemoryRateLimiter::new();
    let quota = Quota::per_second(1_000_000).unwrap();
    let now = SystemClock::new().now();
    let three = [
        Charge::new(Subject::key("000000000000"), &quota),
        Charge::new(Subject::tenant("t1"), &quota),
        Charge::new(Subject::owner("acme"), &quota),
    ];
    let medians = interleave(
        ROUNDS * 3,
        &mut [
            &mut || {
                nanos(OPERATIONS, || {
                    black_box(
                        limiter
                            .apply(&three, Mode::Peek, now)
                            .try_ready()
                            .unwrap()
                            .unwrap(),
                    );
                    black_box(
                        limiter
                            .apply(&three, Mode::Consume, now)
                            .try_ready()
                            .unwrap()
                            .unwrap(),
                    );
                })
            },
            &mut || {
                nanos(OPERATIONS, || {
                    black_box(
                        limiter
                            .apply(&three[..1], Mode::Peek, now)
                            .try_ready()
                            .unwrap()
                            .unwrap(),
                    );
                    black_box(
                        limiter
                            .apply(&three[..1], Mode::Consume, now)
                            .try_ready()
                            .unwrap()
                            .unwrap(),
                    );
                })
            },
        ],
    );
    Row {
        name: "three limits, all or none / one",
        ours: medians[0],
        reference: medians[1],
        target: 2.0,
        unit: "ns",
    }
    .print();
}

/// A million draws, uniform or by Zipf's law with exponent 1, from a fixed seed.
fn order(subjects: usize, zipf: bool) -> Vec<usize> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let top = (subjects as f64).ln_1p();
    (0..1_000_000)
        .map(|_| {
            let draw = uniform();
            let rank = if zipf {
                (draw * top).exp() - 1.0
            } else {
                draw * subjects as f64
            };
            // Spread the ranks, so that hot subjects are not neighbours in memory.
            (rank as usize).min(subjects - 1).wrapping_mul(7919) % subjects
        })
        .collect()
}

//! The in-memory limiter beside governor's, and beside itself.

use std::hint::black_box;
use std::num::NonZeroU32;

use governor::clock::{Clock as GovernorClock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota as GovernorQuota, RateLimiter as Governor};
use keyward::rate_limit::{Charge, MemoryRateLimiter, Mode, Quota, RateLimiter as _, Subject};
use keyward::time::{Clock as _, SystemClock};

use crate::measure::{Row, interleave, nanos};

const OPERATIONS: usize = 200_000;
const ROUNDS: usize = 7;

/// `governor`'s keyed limiter under a clock of one's choice.
type Clocked<C> = Governor<
    String,
    DefaultKeyedStateStore<String>,
    C,
    NoOpMiddleware<<C as GovernorClock>::Instant>,
>;

pub(crate) fn run() {
    let cases = [1_000, 100_000, 1_000_000]
        .into_iter()
        .flat_map(|n| [(n, false), (n, true)]);
    let measured: Vec<_> = cases
        .map(|(subjects, zipf)| against_governor(subjects, zipf))
        .collect();
    for (name, column) in [
        (
            "in-memory limiter / governor keyed, both on the system's clock, geometric mean",
            1,
        ),
        (
            "in-memory limiter / governor keyed on its own clock, geometric mean (for comparison)",
            2,
        ),
    ] {
        let mean = |column: usize| {
            let logs: f64 = measured.iter().map(|medians| medians[column].ln()).sum();
            (logs / measured.len() as f64).exp()
        };
        Row {
            name,
            ours: mean(0),
            reference: mean(column),
            target: 0.75,
            unit: "ns",
        }
        .print();
    }
    three_against_one();
    let table = MemoryRateLimiter::new();
    Row::print_bound(
        "in-memory limiter, bytes a slot",
        table.table_bytes() as f64 / table.slots() as f64,
        34.0,
        "B",
    );
}

/// Medians of ours, of governor on the system's clock, and of governor as it comes.
fn against_governor(subjects: usize, zipf: bool) -> Vec<f64> {
    let ids: Vec<String> = (0..subjects).map(|n| format!("{n:012}")).collect();
    let order = order(subjects, zipf);
    let ours = MemoryRateLimiter::builder().slots(subjects * 4 / 3).build();
    let quota = Quota::per_second(1_000_000).unwrap();
    let theirs = GovernorQuota::per_second(NonZeroU32::new(1_000_000).unwrap());
    let same: Clocked<MonotonicClock> =
        Governor::new(theirs, DefaultKeyedStateStore::default(), MonotonicClock);
    let own = Governor::keyed(theirs);
    let clock = SystemClock::new();
    let (mut a, mut b, mut c) = (walk(&ids, &order), walk(&ids, &order), walk(&ids, &order));
    interleave(
        ROUNDS,
        &mut [
            &mut || {
                nanos(OPERATIONS, || {
                    let charges = [Charge::new(Subject::key(a()), &quota)];
                    let reply = ours.apply(&charges, Mode::Consume, clock.now());
                    assert!(black_box(reply.as_ready()).is_some());
                })
            },
            &mut || nanos(OPERATIONS, || assert!(same.check_key(b()).is_ok())),
            &mut || nanos(OPERATIONS, || assert!(own.check_key(c()).is_ok())),
        ],
    )
}

fn walk<'a>(ids: &'a [String], order: &'a [usize]) -> impl FnMut() -> &'a String {
    let mut place = 0;
    move || {
        place = (place + 1) % order.len();
        &ids[order[place]]
    }
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

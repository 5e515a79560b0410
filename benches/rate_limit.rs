//! The limiter in memory beside `governor`'s keyed limiter.
//!
//! What counts are ratios on one machine: in each round every candidate runs once, in turn, and the table shows medians of
//! rounds. Both take the same keys from the same place and always allow, which is the path that writes. A "step" is the
//! limiter alone, under a clock that costs nothing. Otherwise each call reads a clock once: `governor` its own (the
//! processor's counter) or the system's, keyward the system's, which a service reads once a request anyway.
//!
//! Run with `cargo bench --bench rate_limit -- [rounds]`.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and prints"
)]

use std::hash::Hash;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Instant;

use governor::clock::{Clock as GovernorClock, FakeRelativeClock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{DefaultKeyedRateLimiter, Quota as GovernorQuota, RateLimiter as Governor};
use keyward::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Quota, RateDecision, RateLimiter, Subject,
};
use keyward::time::{Clock, SystemClock, Timestamp};

const CALLS: usize = 200_000;

/// `governor`'s keyed limiter under a clock of one's choice.
type Clocked<K, C> =
    Governor<K, DefaultKeyedStateStore<K>, C, NoOpMiddleware<<C as GovernorClock>::Instant>>;

struct Bench {
    ids: Vec<String>,
    order: Vec<u32>,
    governor: DefaultKeyedRateLimiter<String>,
    governor_ip: DefaultKeyedRateLimiter<IpAddr>,
    governor_step: Clocked<String, FakeRelativeClock>,
    governor_step_ip: Clocked<IpAddr, FakeRelativeClock>,
    governor_same: Clocked<String, MonotonicClock>,
    governor_same_ip: Clocked<IpAddr, MonotonicClock>,
    keys: MemoryRateLimiter,
    addresses: MemoryRateLimiter,
    three: MemoryRateLimiter,
    quota: Quota,
    wide: Quota,
    clock: SystemClock,
    now: Timestamp,
}

impl Bench {
    fn new(subjects: usize, zipf: bool) -> Self {
        let rate = GovernorQuota::per_second(NonZeroU32::new(1_000_000).unwrap());
        let quota = Quota::per_second(1_000_000).unwrap();
        let limiter = |buckets: usize| MemoryRateLimiter::builder().slots(buckets * 3 / 2).build();
        let id = |id| format!("{:012x}", scramble(id as u64) >> 16);
        Self {
            ids: (0..subjects).map(id).collect(),
            order: order(subjects, zipf),
            governor: Governor::keyed(rate),
            governor_ip: Governor::keyed(rate),
            governor_step: clocked(rate),
            governor_step_ip: clocked(rate),
            governor_same: clocked(rate),
            governor_same_ip: clocked(rate),
            keys: limiter(subjects),
            addresses: limiter(subjects),
            three: limiter(3 * subjects),
            wide: quota.clone().in_bucket("wide").unwrap(),
            quota,
            clock: SystemClock::new(),
            now: SystemClock::new().now(),
        }
    }

    fn id(&self, index: u32) -> Charge<'_> {
        Charge::new(Subject::key(&self.ids[index as usize]), &self.quota)
    }

    fn ip(&self, index: u32) -> Charge<'_> {
        Charge::new(Subject::ip(self.address(index)), &self.quota)
    }

    fn take_three(&self, index: u32, now: Timestamp) {
        let id = &self.ids[index as usize];
        let charges = [
            Charge::new(Subject::key(id), &self.quota),
            Charge::new(Subject::key(id), &self.wide),
            Charge::new(Subject::tenant(id), &self.quota),
        ];
        take(&self.three, &charges, now);
    }

    fn address(&self, index: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(scramble(u64::from(index)) as u32))
    }

    /// Nanoseconds a call.
    fn time(&self, call: impl Fn(&Self, u32)) -> f64 {
        let start = Instant::now();
        for index in &self.order {
            call(self, *index);
        }
        start.elapsed().as_nanos() as f64 / self.order.len() as f64
    }
}

fn clocked<K: Clone + Eq + Hash, C: GovernorClock + Default>(rate: GovernorQuota) -> Clocked<K, C> {
    Governor::new(rate, DefaultKeyedStateStore::default(), C::default())
}

fn take(limiter: &MemoryRateLimiter, charges: &[Charge<'_>], now: Timestamp) {
    let reply = limiter.apply(charges, Mode::Consume, now);
    let answer = reply.as_ready().unwrap().as_ref();
    black_box(answer.unwrap().is_denied());
}

/// `SplitMix64`'s output function: spreads consecutive numbers.
fn scramble(index: u64) -> u64 {
    let mut z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which subject each call is about: uniform, or by Zipf's law with exponent one (by inversion of its integral).
fn order(subjects: usize, zipf: bool) -> Vec<u32> {
    let draw = |call: usize| {
        let unit = (scramble(call as u64 + 1) >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = if zipf {
            (subjects as f64).powf(unit) - 1.0
        } else {
            unit * subjects as f64
        };
        (rank as usize).min(subjects - 1) as u32
    };
    (0..CALLS.max(2 * subjects)).map(draw).collect()
}

type Call = fn(&Bench, u32);

const CANDIDATES: [(&str, Call); 14] = [
    ("step: governor, id", |bench, index| {
        let _ = black_box(bench.governor_step.check_key(&bench.ids[index as usize]));
    }),
    ("step: keyward, id", |bench, index| {
        take(&bench.keys, &[bench.id(index)], bench.now);
    }),
    ("step: governor, ip", |bench, index| {
        let _ = black_box(bench.governor_step_ip.check_key(&bench.address(index)));
    }),
    ("step: keyward, ip", |bench, index| {
        take(&bench.addresses, &[bench.ip(index)], bench.now);
    }),
    ("step: keyward, three limits", |bench, index| {
        bench.take_three(index, bench.now);
    }),
    ("governor, id", |bench, index| {
        let _ = black_box(bench.governor.check_key(&bench.ids[index as usize]));
    }),
    ("keyward, id", |bench, index| {
        take(&bench.keys, &[bench.id(index)], bench.clock.now());
    }),
    ("governor, ip", |bench, index| {
        let _ = black_box(bench.governor_ip.check_key(&bench.address(index)));
    }),
    ("keyward, ip", |bench, index| {
        take(&bench.addresses, &[bench.ip(index)], bench.clock.now());
    }),
    ("keyward, three limits", |bench, index| {
        bench.take_three(index, bench.clock.now());
    }),
    ("keyward, id and decision", |bench, index| {
        let (charges, now) = ([bench.id(index)], bench.clock.now());
        let reply = bench.keys.apply(&charges, Mode::Consume, now);
        let answer = reply.as_ready().unwrap().as_ref();
        let decision = RateDecision::new(&charges, answer.unwrap(), now);
        black_box(decision.unwrap().is_allowed());
    }),
    ("governor, id, system's clock", |bench, index| {
        let _ = black_box(bench.governor_same.check_key(&bench.ids[index as usize]));
    }),
    ("governor, ip, system's clock", |bench, index| {
        let _ = black_box(bench.governor_same_ip.check_key(&bench.address(index)));
    }),
    ("clock", |bench, _| {
        black_box(bench.clock.now());
    }),
];

/// What is compared: a name, and two places among the candidates.
const RATIOS: [(&str, usize, usize); 8] = [
    ("step id", 1, 0),
    ("step ip", 3, 2),
    ("step three/one", 4, 1),
    ("id, same clock", 6, 11),
    ("ip, same clock", 8, 12),
    ("id", 6, 5),
    ("ip", 8, 7),
    ("three/one", 9, 6),
];

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse().ok());
    let rounds = numbers.next().unwrap_or(9);
    let mut ratios = Vec::new();
    for subjects in [1_000, 10_000, 100_000, 1_000_000] {
        for law in ["uniform", "zipf"] {
            let bench = Bench::new(subjects, law == "zipf");
            let medians = measure(&bench, rounds);
            println!("{subjects} subjects, {law}");
            for ((name, _), ns) in CANDIDATES.iter().zip(medians) {
                println!("  {name:30}{ns:8.1} ns");
            }
            let row = RATIOS.map(|(_, one, other)| medians[one] / medians[other]);
            print_ratios(&row);
            ratios.push(row);
        }
    }
    let mean = |column: usize| {
        let logs: f64 = ratios.iter().map(|row| row[column].ln()).sum();
        (logs / ratios.len() as f64).exp()
    };
    println!("geometric means");
    print_ratios(&[0, 1, 2, 3, 4, 5, 6, 7].map(mean));
}

fn measure(bench: &Bench, rounds: usize) -> [f64; CANDIDATES.len()] {
    let mut times = [(); CANDIDATES.len()].map(|()| Vec::new());
    for _ in 0..=rounds {
        for (times, (_, call)) in times.iter_mut().zip(CANDIDATES) {
            times.push(bench.time(call));
        }
    }
    // The first round fills the tables.
    times.map(|mut times| median(&mut times[1..]))
}

fn print_ratios(row: &[f64; RATIOS.len()]) {
    for ((name, ..), ratio) in RATIOS.iter().zip(row) {
        print!("  {name} {ratio:.2};");
    }
    println!();
}

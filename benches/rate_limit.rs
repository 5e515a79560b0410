//! The limiter in memory beside `governor`'s keyed limiter.
//!
//! What counts are ratios on one machine: in each round every candidate runs once, in turn, and the table shows medians of
//! rounds. Both take the same keys from the same place, read their own clock, and always allow, which is the path that
//! writes. Run with `cargo bench --bench rate_limit [rounds]`.
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

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Instant;

use governor::{DefaultKeyedRateLimiter, Quota as GovernorQuota, RateLimiter as Governor};
use keyward::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Quota, RateDecision, RateLimiter, Subject,
};
use keyward::time::{Clock, SystemClock};

const CALLS: usize = 200_000;

struct Bench {
    ids: Vec<String>,
    order: Vec<u32>,
    governor: DefaultKeyedRateLimiter<String>,
    governor_ip: DefaultKeyedRateLimiter<IpAddr>,
    limiter: MemoryRateLimiter,
    quota: Quota,
    wide: Quota,
    clock: SystemClock,
}

impl Bench {
    fn new(subjects: usize, zipf: bool) -> Self {
        let rate = GovernorQuota::per_second(NonZeroU32::new(1_000_000).unwrap());
        let quota = Quota::per_second(1_000_000).unwrap();
        Self {
            ids: (0..subjects)
                .map(|id| format!("{:012x}", scramble(id as u64) >> 16))
                .collect(),
            order: order(subjects, zipf),
            governor: Governor::keyed(rate),
            governor_ip: Governor::keyed(rate),
            limiter: MemoryRateLimiter::builder().slots(2 * subjects).build(),
            wide: quota.clone().in_bucket("wide").unwrap(),
            quota,
            clock: SystemClock::new(),
        }
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

    fn ask(&self, charges: &[Charge<'_>]) {
        let now = self.clock.now();
        let reply = self.limiter.apply(charges, Mode::Consume, now);
        black_box(reply.try_ready().unwrap().unwrap().is_denied());
    }
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

const CANDIDATES: [(&str, Call); 7] = [
    ("governor, id", |bench, index| {
        let _ = black_box(bench.governor.check_key(&bench.ids[index as usize]));
    }),
    ("keyward, id", |bench, index| {
        let subject = Subject::key(&bench.ids[index as usize]);
        bench.ask(&[Charge::new(subject, &bench.quota)]);
    }),
    ("keyward, id, decision", |bench, index| {
        let subject = Subject::key(&bench.ids[index as usize]);
        let charges = [Charge::new(subject, &bench.quota)];
        let now = bench.clock.now();
        let answer = bench
            .limiter
            .apply(&charges, Mode::Consume, now)
            .try_ready();
        let decision = RateDecision::new(&charges, &answer.unwrap().unwrap(), now);
        black_box(decision.unwrap().is_allowed());
    }),
    ("keyward, three limits", |bench, index| {
        let id = &bench.ids[index as usize];
        let charges = [
            Charge::new(Subject::key(id), &bench.quota),
            Charge::new(Subject::key(id), &bench.wide),
            Charge::new(Subject::tenant(id), &bench.quota),
        ];
        bench.ask(&charges);
    }),
    ("governor, ip", |bench, index| {
        let _ = black_box(bench.governor_ip.check_key(&bench.address(index)));
    }),
    ("keyward, ip", |bench, index| {
        let subject = Subject::ip(bench.address(index));
        bench.ask(&[Charge::new(subject, &bench.quota)]);
    }),
    ("clock", |bench, _| {
        black_box(bench.clock.now());
    }),
];

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rounds = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next()
        .unwrap_or(9);
    let mut ratios = Vec::new();
    for subjects in [1_000, 10_000, 100_000, 1_000_000] {
        for zipf in [false, true] {
            let bench = Bench::new(subjects, zipf);
            let mut times = [(); CANDIDATES.len()].map(|()| Vec::new());
            for _ in 0..=rounds {
                for (times, (_, call)) in times.iter_mut().zip(CANDIDATES) {
                    times.push(bench.time(call));
                }
            }
            println!(
                "{subjects} subjects, {}",
                if zipf { "zipf" } else { "uniform" }
            );
            // The first round fills the tables.
            let medians = times.map(|mut times| median(&mut times[1..]));
            for ((name, _), ns) in CANDIDATES.iter().zip(medians) {
                println!("  {name:24}{ns:8.1} ns");
            }
            let [governor, one, _, three, governor_ip, ip, _] = medians;
            println!(
                "  id {:.2}  ip {:.2}  three/one {:.2}",
                one / governor,
                ip / governor_ip,
                three / one
            );
            ratios.push([one / governor, ip / governor_ip, three / one]);
        }
    }
    let mean = |column: usize| {
        let logs: f64 = ratios.iter().map(|row| row[column].ln()).sum();
        (logs / ratios.len() as f64).exp()
    };
    println!(
        "geometric means: id {:.2}  ip {:.2}  three/one {:.2}",
        mean(0),
        mean(1),
        mean(2)
    );
}

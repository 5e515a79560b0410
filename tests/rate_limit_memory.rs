//! The limiter in memory stays exact and bounded under floods, and allocates nothing.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use keyward::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Quota, RateDecision, RateLimiter, Subject, Tiers,
};
use keyward::time::Timestamp;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn minute(limit: u32) -> Quota {
    Quota::per_minute(limit).unwrap()
}

fn allows(limiter: &MemoryRateLimiter, charges: &[Charge<'_>], mode: Mode, now: Timestamp) -> bool {
    let reply = limiter.apply(charges, mode, now).try_ready().unwrap();
    !reply.unwrap().is_denied()
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number))
}

fn millis(millis: u64) -> Timestamp {
    START.saturating_add(Duration::from_millis(millis))
}

/// Empties the buckets of `subjects`, then lets `strangers` new addresses arrive over ten seconds while the subjects keep
/// trying, and returns how many tries of theirs passed.
fn flood(limiter: &MemoryRateLimiter, subjects: &[Subject<'_>], strangers: u32) -> u64 {
    let quota = minute(60);
    for subject in subjects {
        let all = Charge::new(*subject, &quota).with_cost(60);
        assert!(allows(limiter, &[all], Mode::Consume, START));
    }
    let mut passed = 0;
    for stranger in 0..strangers {
        let now = millis(u64::from(stranger) * 10_000 / u64::from(strangers));
        let one = Charge::new(Subject::ip(address(stranger)), &quota);
        assert!(allows(limiter, &[one], Mode::Consume, now));
        if stranger % 100 == 0 {
            let subject = subjects[(stranger / 100) as usize % subjects.len()];
            let charge = Charge::new(subject, &quota);
            passed += u64::from(allows(limiter, &[charge], Mode::Consume, now));
        }
    }
    passed
}

#[test]
fn exhausted_addresses_stay_exhausted_under_a_million_strangers() {
    let limiter = MemoryRateLimiter::builder().slots(10_000).build();
    let throttled: Vec<_> = (0..100)
        .map(|host| Subject::ip(address(u32::MAX - host)))
        .collect();
    let passed = flood(&limiter, &throttled, 1_000_000);
    // Each earns ten tokens in ten seconds and tries a hundred times.
    assert!(
        (900..=1000).contains(&passed),
        "{passed} of 10 000 tries passed"
    );
    assert!(
        limiter.live_evictions() > 100_000,
        "the strangers pushed each other out"
    );
}

#[test]
fn exhausted_keys_stay_exhausted_under_a_million_strangers() {
    let limiter = MemoryRateLimiter::builder().slots(10_000).build();
    let ids: Vec<_> = (0..100).map(|id| format!("key{id}")).collect();
    let throttled: Vec<_> = ids.iter().map(|id| Subject::key(id)).collect();
    let passed = flood(&limiter, &throttled, 1_000_000);
    assert!(
        (900..=1000).contains(&passed),
        "{passed} of 10 000 tries passed"
    );
}

#[test]
fn known_subjects_beyond_the_table_are_not_forgotten() {
    let limiter = MemoryRateLimiter::builder().slots(700).build();
    let quota = minute(60);
    let ids: Vec<_> = (0..5000).map(|id| format!("key{id}")).collect();
    for id in &ids {
        let some = Charge::new(Subject::key(id), &quota).with_cost(7);
        assert!(allows(&limiter, &[some], Mode::Consume, START));
    }
    for id in &ids {
        let rest = |cost| Charge::new(Subject::key(id), &quota).with_cost(cost);
        assert!(!allows(&limiter, &[rest(54)], Mode::Peek, START), "{id}");
        assert!(allows(&limiter, &[rest(53)], Mode::Consume, START), "{id}");
    }
    assert_eq!(limiter.live_evictions(), 0);
    assert_eq!(limiter.overflowing(), 5000 - limiter.slots());
}

#[test]
fn the_overflow_has_a_bound() {
    let limiter = MemoryRateLimiter::builder()
        .slots(700)
        .overflow(100)
        .build();
    let quota = minute(60);
    let count = limiter.slots() + 500;
    for id in 0..count {
        let id = format!("key{id}");
        let one = Charge::new(Subject::key(&id), &quota);
        assert!(allows(&limiter, &[one], Mode::Consume, START));
    }
    assert_eq!(limiter.overflowing(), 100);
    assert!(limiter.live_evictions() >= 400);
}

#[test]
fn the_overflow_empties_itself_when_debts_are_paid() {
    let limiter = MemoryRateLimiter::builder().slots(7).build();
    let quota = minute(60);
    for (second, prefix) in [(0, "early"), (3600, "late")] {
        for id in 0..30 {
            let id = format!("{prefix}{id}");
            let one = Charge::new(Subject::key(&id), &quota);
            assert!(allows(
                &limiter,
                &[one],
                Mode::Consume,
                millis(second * 1000)
            ));
        }
    }
    assert_eq!(
        limiter.overflowing(),
        23,
        "30 late ones in 7 slots, and no early one"
    );
}

#[test]
fn a_slot_takes_no_more_than_34_bytes() {
    let limiter = MemoryRateLimiter::new();
    assert_eq!(limiter.slots(), 114_688);
    assert!(limiter.table_bytes() <= 34 * limiter.slots());
    assert_eq!(limiter.table_bytes(), 2 * 1024 * 1024);
}

#[test]
fn the_table_is_as_large_as_asked_or_larger() {
    for slots in [0, 1, 7, 8, 1000, 100_000] {
        let limiter = MemoryRateLimiter::builder().slots(slots).build();
        assert!(limiter.slots() >= slots && limiter.slots() < 2 * slots + 14);
    }
}

/// One address, one key with two quotas, and one tenant: checked, decided, and looked at.
fn whole_request(limiter: &MemoryRateLimiter, tiers: &Tiers, day: &Quota, now: Timestamp) -> u32 {
    let quota = |tier: &str| &tiers.get(tier).unwrap().quotas()[0];
    let address = Subject::ip(address(7));
    let gate = [Charge::new(address, quota("enterprise"))];
    let charges = [
        Charge::new(Subject::key("3Fq9xT0bLm2A"), quota("pro")),
        Charge::new(Subject::key("3Fq9xT0bLm2A"), day),
        Charge::new(Subject::tenant("acme"), quota("enterprise")),
    ];
    let decide = |charges: &[Charge<'_>]| {
        let answer = limiter
            .apply(charges, Mode::Consume, now)
            .try_ready()
            .unwrap();
        RateDecision::new(charges, &answer.unwrap(), now).unwrap()
    };
    let decision = decide(&gate).join(decide(&charges));
    let tightest = decision.tightest().unwrap();
    tightest.remaining() + u32::from(decision.is_allowed())
}

#[test]
fn a_request_allocates_nothing() {
    let limiter = MemoryRateLimiter::new();
    let (tiers, day) = (Tiers::standard(), Quota::per_day(10_000).unwrap());
    let counted = allocation_counter::measure(|| {
        for request in 0..1000 {
            let now = millis(request);
            std::hint::black_box(whole_request(&limiter, &tiers, &day, now));
        }
    });
    assert_eq!(counted.count_total, 0);
}

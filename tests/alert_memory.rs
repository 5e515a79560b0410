//! What the rules remember is bounded, whoever floods them.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::num::NonZeroUsize;

use alert_support::{HOUR, MINUTE, counts, limit_hit, of_nobody, request, watching};
use allocation_counter::measure;
use keyward::alert::Alerts;
use keyward::alert::rules::{ErrorRate, LimitHits};
use keyward::audit::{AuditEvent, AuditKind};

/// Ids as long as the real ones.
fn id(number: usize) -> String {
    format!("key{number:09}")
}

/// The bytes that are held in addition after the events were shown.
fn held(alerts: &Alerts, events: impl Iterator<Item = AuditEvent>) -> i64 {
    let info = measure(|| {
        counts(alerts, events);
    });
    info.bytes_current
}

/// Fills the engine with twice as many keys as there is room for, and returns the bytes for each of those there is room for;
/// then shows that further ones cost nothing.
fn flooded(alerts: &Alerts, room: usize) -> i64 {
    let hits = |keys: std::ops::Range<usize>| keys.map(|key| limit_hit(&id(key), MINUTE));
    let all = held(alerts, hits(0..room * 2));
    let more = held(alerts, hits(room * 2..room * 3));
    assert!(more <= all / 100, "{more} after {all}");
    all / i64::try_from(room).unwrap()
}

fn small_error_rate(keys: usize) -> Alerts {
    let capacity = NonZeroUsize::new(keys).unwrap();
    watching(ErrorRate::builder().capacity(capacity).build().unwrap())
}

#[test]
fn a_flood_of_keys_costs_no_more_than_the_keys_there_is_room_for() {
    let per_key = flooded(&watching(LimitHits::default()), 100_000);
    println!("limit hits: {per_key} bytes a key");
    assert!(per_key <= 350, "{per_key}");
}

#[test]
fn a_key_in_use_survives_a_flood_of_others() {
    let alerts = watching(LimitHits::default());
    assert_eq!(counts(&alerts, [limit_hit("a", MINUTE)]), [0]);
    counts(&alerts, (0..99_000).map(|key| limit_hit(&id(key), MINUTE)));
    assert_eq!(counts(&alerts, [limit_hit("a", HOUR)]), [0]);
    counts(
        &alerts,
        (99_000..198_000).map(|key| limit_hit(&id(key), HOUR)),
    );
    assert_eq!(counts(&alerts, [limit_hit("a", HOUR * 2)]), [1]);
}

#[test]
fn made_up_keys_cost_nothing() {
    let alerts = Alerts::builder().standard_rules().start().unwrap();
    let kinds = AuditKind::ALL;
    let flood = (0..50_000)
        .map(|key| of_nobody(kinds[key % kinds.len()], &id(key), MINUTE).with_status(500));
    // The one alert that exposed keys share.
    assert!(held(&alerts, flood) < 10_000);
}

#[test]
fn a_busy_key_costs_a_few_kilobytes_and_a_quiet_one_less_than_one() {
    let per_key = |requests: usize, keys: usize| {
        let alerts = small_error_rate(1000);
        let events = (0..requests).flat_map(|request| (0..keys).map(move |key| (request, key)));
        let step = HOUR / u32::try_from(requests + 1).unwrap();
        let event = |(number, key)| request(&id(key), 200, step * u32::try_from(number).unwrap());
        held(&alerts, events.map(event)) / i64::try_from(keys).unwrap()
    };
    let [quiet, busy, busiest] =
        [(20, 1000), (256, 100), (20_000, 10)].map(|(n, keys)| per_key(n, keys));
    println!("error rate: {quiet} bytes with 20 requests, {busy} with 256, {busiest} with 20 000");
    assert!(quiet <= 1000, "{quiet}");
    assert!(busy <= 6000, "{busy}");
    assert!(busiest <= 12_000, "{busiest}");
}

#[test]
fn what_was_raised_is_remembered_of_a_bounded_number_of_keys() {
    let room = NonZeroUsize::new(10_000).unwrap();
    let rule = LimitHits::builder()
        .times(1)
        .capacity(room)
        .build()
        .unwrap();
    let builder = Alerts::builder().rule(rule).capacity(room);
    let per_key = flooded(&builder.start().unwrap(), 10_000);
    println!("limit hits and their alerts: {per_key} bytes a key");
    assert!(per_key <= 700, "{per_key}");
}

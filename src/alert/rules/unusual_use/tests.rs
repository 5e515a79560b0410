use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::*;
use crate::audit::Detail;

const DAY: i64 = 24;
/// 2024-01-01 00:00, a Monday.
const START: i64 = 473_352;

fn event(hour: i64, minute: i64, from: &str) -> AuditEvent {
    let time = Timestamp::from_secs(hour.saturating_mul(3600).saturating_add(60 * minute));
    AuditEvent::new(AuditKind::AuthenticationSucceeded, time)
        .with_key_id("a1B2c3D4e5F6")
        .with_client_ip(from.parse::<IpAddr>().unwrap())
}

fn show(rule: &mut UnusualUse, event: &AuditEvent) -> Vec<Finding> {
    let mut findings = Vec::new();
    rule.look(event, &mut findings);
    findings
}

/// Shows it so many requests of an hour, and returns what it found.
fn requests(rule: &mut UnusualUse, hour: i64, count: i64, from: &str) -> Vec<Finding> {
    (0..count)
        .flat_map(|_| show(rule, &event(hour, 30, from)))
        .collect()
}

const HOME: &str = "192.0.2.1";

/// A rule that knows a key of ten requests an hour, from nine to five on all days.
fn learnt(days: i64) -> UnusualUse {
    let mut rule = UnusualUse::default();
    for day in 0..days {
        for hour in 9..17 {
            let found = requests(&mut rule, START + day * DAY + hour, 10, HOME);
            assert!(found.is_empty(), "day {day}: {found:?}");
        }
    }
    rule
}

fn kinds(findings: &[Finding]) -> Vec<AlertKind> {
    let mut kinds: Vec<_> = findings.iter().map(Finding::kind).collect();
    kinds.dedup();
    kinds
}

#[test]
fn four_times_the_usual_is_unusual_and_one_less_is_not() {
    let hour = START + 28 * DAY + 10;
    assert!(requests(&mut learnt(28), hour, 39, HOME).is_empty());
    let found = requests(&mut learnt(28), hour, 40, HOME);
    assert_eq!(kinds(&found), [AlertKind::UnusualRate]);
    assert_eq!(found[0].count(), 40);
    let details: Vec<_> = found[0]
        .details
        .iter()
        .map(|(name, it)| (name.as_str(), it))
        .collect();
    assert_eq!(
        details,
        [
            ("usual", &Detail::Number(10)),
            ("limit", &Detail::Number(40))
        ]
    );
}

#[test]
fn a_key_is_learnt_on_fourteen_days_of_use() {
    for (days, found) in [(14, 0), (15, 1)] {
        let hour = START + days * DAY + 10;
        let kinds = kinds(&requests(&mut learnt(days), hour, 400, HOME)).len();
        assert_eq!(kinds, found, "{days}");
    }
}

#[test]
fn fewer_than_twenty_requests_are_never_unusual() {
    let mut rule = UnusualUse::default();
    for day in 0..28 {
        requests(&mut rule, START + day * DAY + 10, 1, HOME);
    }
    let hour = START + 28 * DAY + 10;
    assert!(requests(&mut rule, hour, 19, HOME).is_empty());
    assert!(!requests(&mut rule, hour, 1, HOME).is_empty());
}

#[test]
fn usual_requests_at_an_unusual_hour_are_no_alarm() {
    let night = START + 28 * DAY + 3;
    assert!(requests(&mut learnt(28), night, 10, HOME).is_empty());
    assert!(!requests(&mut learnt(28), night, 40, HOME).is_empty());
}

#[test]
fn a_flood_is_not_usual_on_the_next_day() {
    let mut rule = learnt(28);
    for day in 28..33 {
        for hour in 9..17 {
            let found = requests(&mut rule, START + day * DAY + hour, 400, HOME);
            assert!(!found.is_empty(), "day {day}, {hour}:00");
        }
    }
}

#[test]
fn a_slow_rise_becomes_usual() {
    let mut rule = learnt(28);
    // Three per cent a day: ten times as much after eleven weeks.
    let mut level = 10.0;
    for day in 28..108 {
        level *= 1.03;
        for hour in 9..17 {
            let found = requests(&mut rule, START + day * DAY + hour, whole_of(level), HOME);
            assert!(found.is_empty(), "day {day}");
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below a hundred or so")]
fn whole_of(level: f64) -> i64 {
    level as i64
}

#[test]
fn a_holiday_is_not_learnt() {
    let mut rule = learnt(28);
    let back = START + 56 * DAY;
    for hour in 9..17 {
        assert!(requests(&mut rule, back + hour, 20, HOME).is_empty());
    }
}

#[test]
fn a_new_network_is_found_once() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    let found = requests(&mut rule, hour, 3, "198.51.100.1");
    assert_eq!(kinds(&found), [AlertKind::NewNetwork]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].details,
        [("network".into(), Detail::from("198.51.100.0/24"))]
    );
}

#[test]
fn an_address_of_the_same_network_is_no_news() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    for address in ["192.0.2.200", "::ffff:192.0.2.9"] {
        assert!(
            requests(&mut rule, hour, 1, address).is_empty(),
            "{address}"
        );
    }
    let found = requests(&mut rule, hour, 1, "2001:db8:1:2::1");
    assert_eq!(
        found[0].details,
        [("network".into(), Detail::from("2001:db8:1::/48"))]
    );
    assert!(requests(&mut rule, hour, 1, "2001:db8:1:ffff::1").is_empty());
}

#[test]
fn a_key_that_travels_raises_no_alarm_for_its_networks() {
    let mut rule = UnusualUse::default();
    for day in 0..60 {
        let from = format!("198.51.{}.1", day / 3);
        let found = requests(&mut rule, START + day * DAY + 10, 5, &from);
        assert!(found.is_empty(), "day {day}");
    }
}

#[test]
fn a_network_that_was_left_for_a_quarter_is_new_again() {
    let mut rule = learnt(28);
    let office = "203.0.113.1";
    let hour = START + 28 * DAY + 10;
    assert_eq!(requests(&mut rule, hour, 1, office).len(), 1);
    for day in 29..119 {
        requests(&mut rule, START + day * DAY + 10, 1, HOME);
    }
    assert_eq!(
        requests(&mut rule, START + 119 * DAY + 10, 1, office).len(),
        1
    );
}

#[test]
fn many_new_networks_do_not_push_out_where_a_key_is_at_home() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    for network in 0..200 {
        requests(&mut rule, hour, 1, &format!("198.51.{network}.1"));
    }
    let found = kinds(&requests(&mut rule, hour, 1, HOME));
    assert!(!found.contains(&AlertKind::NewNetwork));
    let profile = rule.keys.open(&Text::from_static("a1B2c3D4e5F6"));
    assert_eq!(profile.networks.len(), 16);
}

#[test]
fn one_request_counts_once_though_it_is_two_events() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    for _ in 0..30 {
        assert!(show(&mut rule, &event(hour, 1, HOME)).is_empty());
        let completed = AuditEvent::new(
            AuditKind::RequestCompleted,
            Timestamp::from_secs(hour * 3600),
        )
        .with_key_id("a1B2c3D4e5F6");
        assert!(show(&mut rule, &completed).is_empty());
    }
}

#[test]
fn completed_requests_count_where_accepted_keys_are_not_written() {
    let mut rule = UnusualUse::default();
    let mut found = Vec::new();
    for day in 0..29 {
        for _ in 0..if day == 28 { 400 } else { 10 } {
            let time = Timestamp::from_secs((START + day * DAY + 10) * 3600);
            let completed = AuditEvent::new(AuditKind::RequestCompleted, time);
            rule.look(&completed.with_key_id("a1B2c3D4e5F6"), &mut found);
        }
    }
    assert_eq!(kinds(&found), [AlertKind::UnusualRate]);
}

#[test]
fn keys_that_fail_and_events_without_a_key_are_not_learnt() {
    let mut rule = UnusualUse::default();
    let failed = AuditEvent::new(AuditKind::AuthenticationFailed, Timestamp::EPOCH);
    show(&mut rule, &failed.with_key_id("invented"));
    assert!(!rule.keys.knows("invented"));
    let nobody = AuditEvent::new(AuditKind::RequestCompleted, Timestamp::EPOCH);
    assert!(show(&mut rule, &nobody).is_empty());
}

#[test]
fn a_clock_that_jumps_neither_panics_nor_blinds() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    for time in [
        Timestamp::MAX,
        Timestamp::MIN,
        Timestamp::EPOCH,
        Timestamp::MAX,
    ] {
        let event = AuditEvent::new(AuditKind::AuthenticationSucceeded, time);
        show(&mut rule, &event.with_key_id("a1B2c3D4e5F6"));
    }
    // A week of silence was learnt each time it went forward, no more.
    assert!(requests(&mut rule, hour, 15, HOME).is_empty());
    assert!(!requests(&mut rule, hour, 400, HOME).is_empty());
}

#[test]
fn threads_may_write_a_little_out_of_order() {
    let mut rule = learnt(28);
    let hour = START + 28 * DAY + 10;
    requests(&mut rule, hour, 20, HOME);
    for _ in 0..10 {
        show(&mut rule, &event(hour - 1, 59, HOME));
        show(&mut rule, &event(hour, 59, HOME));
    }
    // All forty of one hour, though they came in turns.
    let found = requests(&mut rule, hour, 1, HOME);
    assert_eq!(found[0].count(), 41);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let usual = UnusualUse::builder;
    for bad in [
        usual().learning_days(7),
        usual().learning_days(366),
        usual().false_alarms_a_year(0.0),
        usual().false_alarms_a_year(f64::NAN),
        usual().false_alarms_a_year(12.1),
        usual().least_ratio(1.0),
        usual().least_ratio(f64::INFINITY),
        usual().least_requests(0),
        usual().networks(NonZeroUsize::new(257).unwrap()),
        usual().networks_kept(Duration::from_secs(86_399)),
    ] {
        assert!(bad.clone().build().is_err(), "{bad:?}");
    }
    let edges = usual()
        .learning_days(8)
        .false_alarms_a_year(12.0)
        .least_requests(1);
    assert!(edges.build().is_ok());
}

/// As `docs/alerts.md` says.
#[test]
fn a_key_takes_no_more_than_a_kilobyte() {
    let mut networks = UnusualUse::default();
    let keys = 1000_u64;
    let names: Vec<_> = (0..keys)
        .map(|it| Text::from(format!("key{it:09}")))
        .collect();
    let memory = allocation_counter::measure(|| {
        for name in &names {
            for network in 0..16 {
                let time = Timestamp::from_secs(START * 3600);
                let event = AuditEvent::new(AuditKind::AuthenticationSucceeded, time)
                    .with_key_id(name.clone())
                    .with_client_ip([198, 51, network, 1].into());
                networks.look(&event, &mut Vec::new());
            }
        }
    });
    let each = memory.bytes_current / i64::try_from(keys).unwrap();
    assert!((200..1000).contains(&each), "{each}");
}

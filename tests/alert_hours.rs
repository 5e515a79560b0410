//! Business hours by the clock on the wall, summer time included.
#![cfg(feature = "time-zones")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use alert_support::{counts, shown, text, watching};
use keyward::alert::rules::{BusinessHours, BusinessHoursBuilder, OutsideBusinessHours, Weekday};
use keyward::audit::{AuditEvent, AuditKind};
use keyward::time::Timestamp;

/// A moment in UTC, as `yyyy-mm-ddThh:mm:ssZ`.
fn utc(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(time.as_microsecond())
}

fn berlin() -> BusinessHoursBuilder {
    BusinessHours::builder("Europe/Berlin")
}

fn is_open(hours: BusinessHoursBuilder, at: &str) -> bool {
    hours.build().unwrap().is_open(utc(at)).unwrap()
}

fn used(key: &str, at: &str) -> AuditEvent {
    AuditEvent::new(AuditKind::AuthenticationSucceeded, utc(at))
        .with_key_id(key.to_owned())
        .with_owner("acme")
}

#[test]
fn are_open_from_the_first_moment_to_the_one_before_the_last() {
    // A Wednesday in winter: Berlin is an hour ahead.
    assert!(!is_open(berlin(), "2026-01-14T06:59:59.999999Z"));
    assert!(is_open(berlin(), "2026-01-14T07:00:00Z"));
    assert!(is_open(berlin(), "2026-01-14T16:59:59.999999Z"));
    assert!(!is_open(berlin(), "2026-01-14T17:00:00Z"));
}

#[test]
fn are_closed_at_weekends_by_the_local_day() {
    assert!(is_open(berlin(), "2026-01-16T12:00:00Z"));
    assert!(!is_open(berlin(), "2026-01-17T12:00:00Z"));
    assert!(!is_open(berlin(), "2026-01-18T12:00:00Z"));
    // Monday morning in Auckland is Sunday evening in UTC.
    let auckland = BusinessHours::builder("Pacific/Auckland");
    assert!(is_open(auckland, "2026-01-18T20:00:00Z"));
}

#[test]
fn follow_the_clock_when_summer_begins() {
    // Friday in winter, Monday in summer time: the clocks changed on 2026-03-29 at 01:00 UTC.
    assert!(!is_open(berlin(), "2026-03-27T06:59:59Z"));
    assert!(is_open(berlin(), "2026-03-27T07:00:00Z"));
    assert!(!is_open(berlin(), "2026-03-30T05:59:59Z"));
    assert!(is_open(berlin(), "2026-03-30T06:00:00Z"));
    // The hour from two to three does not exist.
    let night = || berlin().days([Weekday::Sunday]).open("02:30", "04:00");
    assert!(!is_open(night(), "2026-03-29T00:59:59Z"));
    assert!(is_open(night(), "2026-03-29T01:00:00Z"));
    assert!(!is_open(night(), "2026-03-29T02:00:00Z"));
}

#[test]
fn follow_the_clock_when_summer_ends() {
    // The clocks changed on 2026-10-25 at 01:00 UTC.
    assert!(is_open(berlin(), "2026-10-23T06:00:00Z"));
    assert!(!is_open(berlin(), "2026-10-26T06:59:59Z"));
    assert!(is_open(berlin(), "2026-10-26T07:00:00Z"));
    // The hour from two to three is there twice.
    let night = || berlin().days([Weekday::Sunday]).open("02:00", "03:00");
    assert!(!is_open(night(), "2026-10-24T23:59:59Z"));
    assert!(is_open(night(), "2026-10-25T00:00:00Z"));
    assert!(is_open(night(), "2026-10-25T01:59:59Z"));
    assert!(!is_open(night(), "2026-10-25T02:00:00Z"));
}

#[test]
fn that_go_through_the_night_belong_to_the_day_they_open() {
    let friday_night = || berlin().days([Weekday::Friday]).open("22:00", "06:00");
    assert!(!is_open(friday_night(), "2026-01-16T04:00:00Z"));
    assert!(!is_open(friday_night(), "2026-01-16T20:59:59Z"));
    assert!(is_open(friday_night(), "2026-01-16T21:00:00Z"));
    assert!(is_open(friday_night(), "2026-01-17T04:59:59Z"));
    assert!(!is_open(friday_night(), "2026-01-17T05:00:00Z"));
    assert!(!is_open(friday_night(), "2026-01-17T22:00:00Z"));
}

#[test]
fn may_last_until_midnight() {
    let late = || berlin().open("00:00", "24:00");
    assert!(is_open(late(), "2026-01-16T22:59:59Z"));
    assert!(!is_open(late(), "2026-01-16T23:00:00Z"));
}

#[test]
fn are_closed_on_holidays() {
    let holidays = || berlin().closed_on("2026-12-25");
    assert!(is_open(holidays(), "2026-12-24T12:00:00Z"));
    assert!(!is_open(holidays(), "2026-12-25T12:00:00Z"));
}

#[test]
fn that_cannot_be_are_refused() {
    for zone in [
        "",
        "Berlin",
        "Europe/Atlantis",
        "../../etc/passwd",
        "+25:00",
    ] {
        assert!(BusinessHours::builder(zone).build().is_err(), "{zone}");
    }
    for (opens, closes) in [
        ("8:00", "18:00"),
        ("08:60", "18:00"),
        ("08:00", "24:01"),
        ("24:00", "08:00"),
        ("08:00", "08:00"),
        ("08-00", "18:00"),
        ("-1:00", "18:00"),
        ("ä8:0", "18:00"),
    ] {
        assert!(
            berlin().open(opens, closes).build().is_err(),
            "{opens} {closes}"
        );
    }
    assert!(berlin().days([]).build().is_err());
    assert!(berlin().closed_on("25.12.2026").build().is_err());
    assert!(OutsideBusinessHours::builder().build().is_err());
    assert!(
        OutsideBusinessHours::builder()
            .exempt_key("a")
            .build()
            .is_err()
    );
}

#[test]
fn a_moment_that_no_calendar_reaches_is_neither_inside_nor_outside() {
    let hours = berlin().build().unwrap();
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(hours.is_open(end), None);
        let rule = OutsideBusinessHours::builder().hours(hours.clone()).build();
        let event = AuditEvent::new(AuditKind::AuthenticationSucceeded, end).with_key_id("a");
        assert_eq!(counts(&watching(rule.unwrap()), [event]), [0]);
    }
    // A Tuesday.
    assert_eq!(hours.is_open(utc("9999-01-05T12:00:00Z")), Some(true));
    assert_eq!(hours.is_open(Timestamp::EPOCH), Some(false));
}

#[test]
fn a_key_that_is_used_outside_them_raises_an_alert_with_the_local_time() {
    let rule = OutsideBusinessHours::builder().hours(berlin().build().unwrap());
    let alerts = watching(rule.build().unwrap());
    assert_eq!(counts(&alerts, [used("a", "2026-07-15T15:59:59Z")]), [0]);
    let raised = shown(&alerts, &used("a", "2026-07-15T16:00:00Z"));
    assert_eq!(raised[0].reason(), Some("outside_business_hours"));
    assert_eq!(text(&raised[0], "local_time"), Some("2026-07-15T18:00"));
}

#[test]
fn those_of_a_key_count_before_its_owners_its_tenants_and_those_of_all() {
    let always = || {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let week = [
            Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday,
        ];
        berlin().days(week).open("00:00", "24:00").build().unwrap()
    };
    let never = || {
        berlin()
            .days([Weekday::Monday])
            .open("00:00", "00:01")
            .build()
            .unwrap()
    };
    let rule = OutsideBusinessHours::builder()
        .hours(never())
        .hours_of_tenant("t", always())
        .hours_of_owner("o", never())
        .hours_of_key("k", always())
        .exempt_key("batch")
        .build();
    let alerts = watching(rule.unwrap());
    let found = |key: &str, owner: &str, tenant: &str| {
        let event = used(key, "2026-07-15T12:00:00Z").with_owner(owner.to_owned());
        counts(&alerts, [event.with_tenant(tenant.to_owned())])
    };
    assert_eq!(found("k", "o", "t"), [0]);
    assert_eq!(found("l", "o", "t"), [1]);
    assert_eq!(found("m", "p", "t"), [0]);
    assert_eq!(found("n", "p", "u"), [1]);
    assert_eq!(found("batch", "o", "u"), [0]);
}

use super::*;

#[test]
fn rounds_a_token_down_to_whole_microseconds() {
    assert_eq!(
        Quota::per_minute(7).unwrap().interval(),
        Duration::from_micros(8_571_428)
    );
}

#[test]
fn refuses_zeros() {
    assert_eq!(Quota::per_minute(0), Err(QuotaError::Zero));
    assert_eq!(Quota::per(1, Duration::ZERO), Err(QuotaError::Zero));
    assert_eq!(
        Quota::per(1, Duration::from_nanos(999)),
        Err(QuotaError::Zero)
    );
    assert_eq!(
        Quota::per_minute(1).unwrap().with_burst(0),
        Err(QuotaError::Zero)
    );
    assert!(Quota::per(1, Duration::from_micros(1)).is_ok());
}

#[test]
fn refuses_rates_that_whole_microseconds_cannot_keep() {
    for limit in [1001, 1501, 1_000_000] {
        assert!(Quota::per_second(limit).is_ok(), "{limit}");
    }
    // 142 us a token would make it 7042 a second.
    for limit in [7001, 1_000_001, u32::MAX] {
        let quota = Quota::per_second(limit);
        assert_eq!(quota, Err(QuotaError::Imprecise), "{limit}");
    }
    assert!(Quota::per_minute(7_001).is_ok());
}

#[test]
fn the_bound_on_rounding_is_exactly_a_thousandth() {
    let three_in = |micros| Quota::per(3, Duration::from_micros(micros));
    assert!(three_in(2000).is_ok(), "loses 2 of 2000");
    assert_eq!(
        three_in(1997),
        Err(QuotaError::Imprecise),
        "loses 2 of 1997"
    );
}

#[test]
fn refuses_buckets_that_take_more_than_ten_years() {
    let longest = Duration::from_micros(MAX_SPAN_MICROS.unsigned_abs());
    assert!(Quota::per(1, longest).is_ok());
    assert_eq!(
        Quota::per(1, longest + Duration::from_micros(1)),
        Err(QuotaError::TooLong)
    );
    assert_eq!(Quota::per(1, Duration::MAX), Err(QuotaError::TooLong));
    assert_eq!(
        Quota::per_day(1).unwrap().with_burst(3661),
        Err(QuotaError::TooLong)
    );
    assert!(Quota::per_day(1).unwrap().with_burst(3660).is_ok());
}

#[test]
fn refuses_names_that_a_header_string_would_have_to_escape() {
    let quota = Quota::per_minute(60).unwrap();
    for name in ["", "a\"b", "a\\b", "a\nb", "é", "\u{7f}", &"x".repeat(65)] {
        assert_eq!(
            quota.clone().named(name),
            Err(QuotaError::InvalidName),
            "{name:?}"
        );
    }
    for name in ["a", "free plan (2026)", &"x".repeat(64)] {
        assert!(quota.clone().named(name).is_ok(), "{name:?}");
    }
}

#[test]
fn refuses_bucket_labels_that_a_key_in_a_backend_might_not_hold() {
    let quota = Quota::per_minute(60).unwrap();
    for label in ["", "a b", "a:b", "{a}", "a*"] {
        assert_eq!(
            quota.clone().in_bucket(label),
            Err(QuotaError::InvalidName),
            "{label:?}"
        );
    }
    assert!(quota.in_bucket("search_v2.eu-west").is_ok());
}

#[test]
fn names_and_buckets_follow_the_period_until_they_are_set() {
    let labels = [
        (Duration::from_secs(1), "second"),
        (Duration::from_secs(60), "minute"),
        (Duration::from_secs(3600), "hour"),
        (Duration::from_secs(86_400), "day"),
        (Duration::from_secs(90), "90s"),
        (Duration::from_millis(1500), "1500000us"),
    ];
    for (period, label) in labels {
        let quota = Quota::per(1, period).unwrap();
        assert_eq!((quota.name(), quota.bucket_label()), (label, label));
    }
    let named = Quota::per_minute(60).unwrap().named("starter").unwrap();
    assert_eq!((named.name(), named.bucket_label()), ("starter", "minute"));
    let kept = named.with_burst(5).unwrap();
    assert_eq!((kept.name(), kept.bucket_label()), ("starter", "minute"));
}

#[test]
fn advertises_a_true_rate_and_a_ceiling_in_whole_seconds() {
    let of = |limit, secs, burst| {
        let quota = Quota::per(limit, Duration::from_secs(secs)).unwrap();
        quota.with_burst(burst).unwrap().policy().to_owned()
    };
    assert_eq!(of(60, 60, 60), r#""minute";q=60;w=60"#);
    assert_eq!(of(60, 60, 10), r#""minute";q=10;w=10"#);
    // A token every 8.571428 s: no burst fills in whole seconds, so the limit itself is shown.
    assert_eq!(of(7, 60, 7), r#""minute";q=7;w=60"#);
    assert_eq!(of(7, 60, 3), r#""minute";q=7;w=60"#);
    // Above the limit that would be no ceiling.
    assert_eq!(of(7, 60, 14), r#""minute";q=14;w=120"#);
    let fast = Quota::per(3, Duration::from_millis(250)).unwrap();
    assert_eq!(fast.policy(), r#""250000us";q=3;w=1"#);
}

#[test]
fn survives_configuration_text() {
    let day = Quota::per_day(10_000).unwrap();
    let search = Quota::per(5, Duration::from_secs(90)).unwrap();
    let search = search.named("search").unwrap().in_bucket("s1").unwrap();
    for quota in [day, search.with_burst(2).unwrap()] {
        let text = serde_json::to_string(&quota).unwrap();
        assert_eq!(
            serde_json::from_str::<Quota>(&text).unwrap(),
            quota,
            "{text}"
        );
    }
}

#[test]
fn writes_configuration_as_people_do() {
    let json = |quota: Quota| serde_json::to_string(&quota).unwrap();
    assert_eq!(
        json(Quota::per_day(10_000).unwrap()),
        r#"{"limit":10000,"per":"day"}"#
    );
    assert_eq!(
        json(Quota::per(5, Duration::from_secs(90)).unwrap()),
        r#"{"limit":5,"per":"1m 30s"}"#
    );
}

#[test]
fn refuses_configuration_it_does_not_understand() {
    for text in [
        r#"{"limit":1,"per":"fortnight"}"#,
        r#"{"limit":1,"per":"-5s"}"#,
        r#"{"limit":1,"per":"0s"}"#,
        r#"{"limit":1,"per":"minute","bust":3}"#,
        r#"{"limit":1,"per":"minute","burst":0}"#,
        r#"{"limit":-1,"per":"minute"}"#,
        r#"{"limit":1,"per":"minute","name":"\""}"#,
        r#"{"limit":1}"#,
    ] {
        assert!(serde_json::from_str::<Quota>(text).is_err(), "{text}");
    }
}

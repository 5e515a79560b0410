//! Rules that go by one event.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use alert_support::{
    DAY, HOUR, counts, event, is_of_platform, number, of_nobody, shown, text, use_of, watching,
};
use keyward::alert::rules::{
    AdminKeyCreated, DormantKey, EditedRecord, KeyExposed, SupersededSecret, UnexpectedCountry,
};
use keyward::alert::{AlertKind, Country, CountryResolver, Severity};
use keyward::audit::{AuditEvent, AuditKind, Outcome};

fn idle(seconds: u64) -> AuditEvent {
    use_of("a", HOUR).with_detail("idle_s", seconds)
}

#[test]
fn a_key_is_dormant_after_ninety_days_to_the_second() {
    let days = 90 * DAY.as_secs();
    assert_eq!(
        counts(&watching(DormantKey::default()), [idle(days - 1)]),
        [0]
    );
    let raised = shown(&watching(DormantKey::default()), &idle(days));
    assert_eq!(raised[0].reason(), Some("dormant_key_active"));
    assert_eq!(number(&raised[0], "idle_days"), Some(90));
}

#[test]
fn a_key_of_which_nothing_is_said_is_not_dormant() {
    let alerts = watching(DormantKey::default());
    let lies = use_of("a", HOUR).with_detail("idle_s", "long");
    let negative = use_of("a", HOUR).with_detail("idle_s", i64::MIN);
    assert_eq!(counts(&alerts, [use_of("a", HOUR), lies, negative]), [0; 3]);
    let refused = event(AuditKind::AuthenticationFailed, "a", HOUR).with_detail("idle_s", u64::MAX);
    assert_eq!(counts(&alerts, [refused]), [0]);
}

#[test]
fn less_than_a_day_is_not_dormant() {
    assert!(DormantKey::unused_for(DAY - Duration::from_secs(1)).is_err());
    let alerts = watching(DormantKey::unused_for(DAY).unwrap());
    assert_eq!(counts(&alerts, [idle(DAY.as_secs())]), [1]);
}

#[test]
fn an_admin_key_is_one_that_gained_the_permission() {
    let alerts = watching(AdminKeyCreated::new());
    let made =
        |kind, key, how: &str| event(kind, key, HOUR).with_detail("manages_keys", how.to_owned());
    let found = [
        made(AuditKind::KeyCreated, "a", "gained"),
        made(AuditKind::KeyImported, "b", "gained"),
        made(AuditKind::KeyUpdated, "c", "gained"),
    ];
    assert_eq!(counts(&alerts, found), [1, 1, 1]);
    let not_found = [
        event(AuditKind::KeyCreated, "d", HOUR),
        made(AuditKind::KeyUpdated, "e", "kept"),
        made(AuditKind::KeyRotated, "f", "gained"),
        made(AuditKind::KeyCreated, "g", "gained").with_outcome(Outcome::Failure),
    ];
    assert_eq!(counts(&alerts, not_found), [0; 4]);
}

#[test]
fn a_secret_that_a_rotation_ended_is_told_from_other_failures() {
    let alerts = watching(SupersededSecret::new());
    let failed = |key, reason: &'static str| {
        event(AuditKind::AuthenticationFailed, key, HOUR).with_failure(reason)
    };
    assert_eq!(counts(&alerts, [failed("a", "superseded")]), [1]);
    assert_eq!(counts(&alerts, [failed("b", "wrong_secret")]), [0]);
    let unknown = of_nobody(AuditKind::AuthenticationFailed, "c", HOUR).with_failure("superseded");
    assert_eq!(counts(&alerts, [unknown]), [0]);
}

/// Its tenant is what an edited record says, so none is told.
#[test]
fn an_edited_record_is_for_those_who_see_everything() {
    for reason in ["record_tampered", "record_unbound"] {
        for kind in [AuditKind::AuthenticationFailed, AuditKind::KeyUpdated] {
            let alerts = watching(EditedRecord::new());
            let refused = event(kind, "a", HOUR).with_failure(reason);
            let raised = shown(&alerts, &refused.with_tenant("north")).remove(0);
            assert_eq!((raised.tenant(), is_of_platform(&raised)), (None, true));
            assert_eq!(text(&raised, "reason"), Some(reason));
            assert_eq!(text(&raised, "subject"), Some("key:a"));
        }
    }
}

#[test]
fn other_refusals_and_answers_to_requests_are_no_edited_records() {
    let alerts = watching(EditedRecord::new());
    let failed = |kind, reason| event(kind, "a", HOUR).with_failure(reason);
    let others = [
        failed(AuditKind::AuthenticationFailed, "wrong_secret"),
        failed(AuditKind::RequestCompleted, "record_tampered"),
        event(AuditKind::AlertRaised, "a", HOUR).with_reason("record_tampered"),
    ];
    assert_eq!(counts(&alerts, others).iter().sum::<usize>(), 0);
}

fn exposed(key: &str) -> AuditEvent {
    of_nobody(AuditKind::KeyExposed, key, HOUR).with_failure("url")
}

#[test]
fn an_exposed_key_that_is_in_use_has_an_alert_of_its_own() {
    let alerts = watching(KeyExposed::default());
    counts(&alerts, ["a", "b"].map(|key| use_of(key, HOUR)));
    let raised = shown(&alerts, &exposed("a"));
    assert_eq!(
        (raised[0].key_id(), text(&raised[0], "place")),
        (Some("a"), Some("url"))
    );
    assert_eq!(
        text(&raised[0], "severity"),
        Some(Severity::Critical.code())
    );
    assert_eq!(counts(&alerts, [exposed("a"), exposed("b")]), [0, 1]);
}

#[test]
fn the_alert_of_an_exposed_key_says_what_became_of_it() {
    let alerts = watching(KeyExposed::default());
    let proved = |key| of_nobody(AuditKind::KeyExposed, key, HOUR).with_owner("acme");
    let grace = proved("a")
        .with_detail("place", "key_in_url")
        .with_detail("action", "grace")
        .with_detail("ends_at", "2026-01-01T00:00:00Z");
    let raised = shown(&alerts, &grace);
    assert_eq!(text(&raised[0], "place"), Some("key_in_url"));
    assert_eq!(text(&raised[0], "action"), Some("grace"));
    assert_eq!(text(&raised[0], "ends_at"), Some("2026-01-01T00:00:00Z"));
    let raised = shown(&alerts, &proved("b").with_detail("action", "revoked"));
    assert_eq!(text(&raised[0], "action"), Some("revoked"));
    assert_eq!(text(&raised[0], "ends_at"), None);
}

/// Whoever claims an id must not learn from the alert whether there is such a key in another tenant.
#[test]
fn an_exposed_key_that_nobody_proved_is_for_those_who_see_everything() {
    let alerts = watching(KeyExposed::default());
    counts(&alerts, [use_of("a", HOUR).with_tenant("north")]);
    let claimed = shown(&alerts, &exposed("a")).remove(0);
    assert_eq!((claimed.tenant(), is_of_platform(&claimed)), (None, true));
    let proved = exposed("a").with_owner("acme").with_tenant("north");
    let proved = shown(&alerts, &proved).remove(0);
    assert_eq!(
        (proved.tenant(), is_of_platform(&proved)),
        (Some("north"), false)
    );
}

#[test]
fn made_up_keys_share_one_alert_and_hide_no_real_one() {
    let alerts = watching(KeyExposed::with_capacity(NonZeroUsize::new(2).unwrap()));
    counts(&alerts, [use_of("real", HOUR)]);
    let raised = shown(&alerts, &exposed("made-up-0"));
    assert_eq!(
        (raised[0].key_id(), text(&raised[0], "subject")),
        (None, Some("service"))
    );
    assert_eq!(text(&raised[0], "claimed_key"), Some("made-up-0"));
    assert!(is_of_platform(&raised[0]));
    let flood = (1..10_000).map(|n| exposed(&format!("made-up-{n}")));
    assert_eq!(counts(&alerts, flood).iter().sum::<usize>(), 0);
    assert_eq!(counts(&alerts, [exposed("real")]), [1]);
}

/// 192.0.2.0/24 is in Germany, 198.51.100.0/24 in France, the rest is unknown.
#[derive(Debug)]
struct Atlas;

impl CountryResolver for Atlas {
    fn country(&self, address: IpAddr) -> Option<Country> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        match address.octets() {
            [192, 0, 2, _] => "DE".parse().ok(),
            [198, 51, 100, _] => "FR".parse().ok(),
            _ => None,
        }
    }
}

fn from(key: &str, address: &str) -> AuditEvent {
    use_of(key, HOUR).with_client_ip(address.parse().unwrap())
}

fn country(code: &str) -> [Country; 1] {
    [code.parse().unwrap()]
}

#[test]
fn a_country_that_is_known_and_not_expected_raises_an_alert() {
    let rule = UnexpectedCountry::builder(Atlas)
        .expect(country("DE"))
        .build();
    let alerts = watching(rule.unwrap());
    assert_eq!(counts(&alerts, [from("a", "192.0.2.1")]), [0]);
    let raised = shown(&alerts, &from("a", "198.51.100.1"));
    assert_eq!(
        raised[0].reason(),
        Some(AlertKind::UnexpectedCountry.code())
    );
    assert_eq!(text(&raised[0], "country"), Some("FR"));
}

#[test]
fn what_is_not_known_never_raises_an_alert() {
    let rule = UnexpectedCountry::builder(Atlas).expect([]).build();
    let alerts = watching(rule.unwrap());
    let unknown = [
        from("a", "203.0.113.1"),
        from("a", "2001:db8::1"),
        use_of("a", HOUR),
    ];
    assert_eq!(counts(&alerts, unknown), [0; 3]);
    assert_eq!(counts(&alerts, [from("a", "192.0.2.1")]), [1]);
}

#[test]
fn what_is_expected_of_a_key_counts_before_its_owner_its_tenant_and_all() {
    let rule = UnexpectedCountry::builder(Atlas)
        .expect(country("CH"))
        .expect_of_tenant("t", country("DE"))
        .expect_of_owner("o", country("FR"))
        .expect_of_key("k", country("DE"))
        .exempt_key("anywhere")
        .build();
    let alerts = watching(rule.unwrap());
    let used = |key, owner: &str, tenant: &str, address| {
        let event = from(key, address).with_owner(owner.to_owned());
        counts(&alerts, [event.with_tenant(tenant.to_owned())])
    };
    let (germany, france) = ("192.0.2.1", "198.51.100.1");
    assert_eq!(used("k", "o", "t", germany), [0]);
    assert_eq!(used("k", "o", "t", france), [1]);
    assert_eq!(used("l", "o", "t", france), [0]);
    assert_eq!(used("l", "o", "t", germany), [1]);
    assert_eq!(used("m", "p", "t", germany), [0]);
    assert_eq!(used("m", "p", "t", france), [1]);
    assert_eq!(used("n", "p", "u", germany), [1]);
    assert_eq!(used("anywhere", "o", "t", germany), [0]);
}

#[test]
fn of_whom_nothing_is_expected_nothing_is_found() {
    let builder = || UnexpectedCountry::builder(Atlas);
    assert!(builder().build().is_err());
    assert!(builder().exempt_key("a").build().is_err());
    let alerts = watching(
        builder()
            .expect_of_owner("other", country("DE"))
            .build()
            .unwrap(),
    );
    assert_eq!(counts(&alerts, [from("a", "198.51.100.1")]), [0]);
}

#[test]
fn a_country_is_two_capital_letters() {
    for wrong in ["", "D", "de", "DEU", "D1", "Ä", "D\0"] {
        assert!(wrong.parse::<Country>().is_err(), "{wrong:?}");
    }
    assert_eq!(country("DE")[0].to_string(), "DE");
}

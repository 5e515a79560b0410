//! Rules that count: each finds something at its threshold and not just below, and at both edges of its window.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::time::Duration;

use alert_support::{
    DAY, HOUR, MICRO, MINUTE, START, counts, creation, event, is_of_platform, limit_hit, number,
    of_nobody, of_platform, request, shown, watching,
};
use keyward::alert::rules::{BurstOfKeys, CountedPer, ErrorRate, LimitHits};
use keyward::audit::{ActorRef, AuditEvent, AuditKind, Outcome};

/// As many requests of one key a second apart, the failing ones last.
fn requests(right: usize, failing: usize) -> Vec<AuditEvent> {
    let statuses = std::iter::repeat_n(200, right).chain(std::iter::repeat_n(500, failing));
    let seconds = (0..).map(Duration::from_secs);
    let pairs = statuses.zip(seconds);
    pairs
        .map(|(status, after)| request("a", status, after))
        .collect()
}

fn error_rate_finds(events: Vec<AuditEvent>) -> usize {
    counts(&watching(ErrorRate::default()), events).iter().sum()
}

#[test]
fn one_error_in_ten_is_still_right_and_more_is_not() {
    assert_eq!(error_rate_finds(requests(18, 2)), 0);
    assert_eq!(error_rate_finds(requests(90, 10)), 0);
    assert_eq!(error_rate_finds(requests(90, 11)), 1);
    assert_eq!(error_rate_finds(requests(17, 3)), 1);
}

#[test]
fn errors_are_no_share_of_fewer_than_twenty_requests() {
    assert_eq!(error_rate_finds(requests(0, 19)), 0);
    assert_eq!(error_rate_finds(requests(0, 20)), 1);
}

#[test]
fn the_twentieth_request_may_be_a_good_one() {
    let mut events = requests(0, 3);
    events.extend((0..17).map(|_| request("a", 200, MINUTE)));
    assert_eq!(error_rate_finds(events), 1);
}

#[test]
fn a_request_as_old_as_the_window_counts_no_more() {
    let with_last_at = |after| {
        let mut events: Vec<_> = (0..3).map(|_| request("a", 500, Duration::ZERO)).collect();
        events.extend((0..16).map(|_| request("a", 200, MINUTE)));
        events.push(request("a", 200, after));
        error_rate_finds(events)
    };
    assert_eq!(with_last_at(HOUR - MICRO), 1);
    assert_eq!(with_last_at(HOUR), 0);
}

#[test]
fn errors_are_the_answers_from_400_on_and_429_is_one() {
    for (status, found) in [(200, 0), (302, 0), (399, 0), (400, 1), (429, 1), (503, 1)] {
        let events = (0..20).map(|_| request("a", status, MINUTE)).collect();
        assert_eq!(error_rate_finds(events), found, "{status}");
    }
}

#[test]
fn a_status_that_is_ignored_is_no_part_of_the_sample() {
    let rule = ErrorRate::builder().ignore(404).build().unwrap();
    let alerts = watching(rule);
    let mut events: Vec<_> = (0..30).map(|_| request("a", 404, MINUTE)).collect();
    events.extend((0..19).map(|_| request("a", 500, MINUTE)));
    assert_eq!(counts(&alerts, events).iter().sum::<usize>(), 0);
    assert_eq!(counts(&alerts, [request("a", 500, MINUTE)]), [1]);
}

#[test]
fn requests_of_other_keys_of_nobody_and_without_an_answer_do_not_count() {
    let mut events = requests(0, 19);
    events.push(request("b", 500, MINUTE));
    events.push(of_nobody(AuditKind::RequestCompleted, "a", MINUTE).with_status(500));
    events.push(event(AuditKind::RequestCompleted, "a", MINUTE));
    assert_eq!(error_rate_finds(events), 0);
}

#[test]
fn the_alert_on_errors_says_how_many_of_how_many() {
    let alerts = watching(ErrorRate::default());
    let raised: Vec<_> = requests(17, 3)
        .iter()
        .flat_map(|event| shown(&alerts, event))
        .collect();
    let alert = &raised[0];
    assert_eq!(alert.reason(), Some("error_rate"));
    assert_eq!((alert.key_id(), alert.owner()), (Some("a"), Some("acme")));
    assert_eq!(number(alert, "count"), Some(3));
    assert_eq!(number(alert, "requests"), Some(20));
    assert_eq!(number(alert, "window_s"), Some(3600));
}

#[test]
fn the_third_refusal_in_a_day_is_one_too_many() {
    let alerts = watching(LimitHits::default());
    let hits = [0, 1, 2].map(|hours| limit_hit("a", HOUR * hours));
    assert_eq!(counts(&alerts, hits), [0, 0, 1]);
}

#[test]
fn a_refusal_as_old_as_the_day_counts_no_more() {
    let with_last_at = |after| {
        let hits = [Duration::ZERO, HOUR, after].map(|after| limit_hit("a", after));
        counts(&watching(LimitHits::default()), hits)
    };
    assert_eq!(with_last_at(DAY - MICRO), [0, 0, 1]);
    assert_eq!(with_last_at(DAY), [0, 0, 0]);
}

#[test]
fn refusals_of_different_keys_and_of_nobody_are_not_added_up() {
    let alerts = watching(LimitHits::default());
    let hits = ["a", "b", "a", "b"].map(|key| limit_hit(key, HOUR));
    assert_eq!(counts(&alerts, hits), [0; 4]);
    let hits = [1, 2, 3].map(|_| of_nobody(AuditKind::LimitHit, "c", HOUR));
    assert_eq!(counts(&alerts, hits), [0; 3]);
}

#[test]
fn refusals_that_come_out_of_order_count() {
    let alerts = watching(LimitHits::default());
    let hits = [HOUR, HOUR + MINUTE, HOUR - MINUTE].map(|after| limit_hit("a", after));
    assert_eq!(counts(&alerts, hits), [0, 0, 1]);
}

#[test]
fn a_wrong_clock_neither_counts_nor_blinds() {
    let alerts = watching(LimitHits::default());
    let far = DAY * 365 * 8000;
    let wrong = [far, far + HOUR].map(|after| limit_hit("a", after));
    assert_eq!(counts(&alerts, wrong), [0, 0]);
    let right = [0, 1, 2].map(|hours| limit_hit("a", HOUR * hours));
    assert_eq!(counts(&alerts, right), [0, 0, 1]);
}

fn ana() -> ActorRef {
    ActorRef::user("ana")
}

#[test]
fn the_tenth_new_key_of_an_owner_in_an_hour_is_a_burst() {
    let with_last_at = |after| {
        let alerts = watching(BurstOfKeys::builder(CountedPer::Owner).build().unwrap());
        let mut keys: Vec<_> = (0..9)
            .map(|n| creation(&format!("key{n}"), "acme", ana(), MINUTE * n))
            .collect();
        keys.push(creation("last", "acme", ana(), after));
        counts(&alerts, keys)
    };
    assert_eq!(with_last_at(HOUR - MICRO), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(with_last_at(HOUR), [0; 10]);
}

#[test]
fn the_keys_of_a_burst_are_counted_for_who_made_them_or_for_whom() {
    let keys = || (0..10).map(|n| creation("key", &format!("owner{n}"), ana(), MINUTE));
    let per = |per| watching(BurstOfKeys::builder(per).build().unwrap());
    assert_eq!(counts(&per(CountedPer::Owner), keys()), [0; 10]);
    let alerts = per(CountedPer::Actor);
    let raised: Vec<_> = keys().flat_map(|key| shown(&alerts, &key)).collect();
    assert_eq!(raised.len(), 1);
    let subject = alert_support::text(&raised[0], "subject");
    assert_eq!(
        (subject, raised[0].key_id()),
        (Some("actor:user:ana"), None)
    );
}

/// Ten new keys, made in those tenants by turns; what alerts were raised.
fn burst(per: CountedPer, actor: &ActorRef, tenants: &[&str]) -> Vec<AuditEvent> {
    let alerts = watching(BurstOfKeys::builder(per).build().unwrap());
    let places = tenants.iter().cycle().take(10);
    let keys = places.map(|place| {
        let key = creation("key", "acme", actor.clone(), MINUTE);
        match *place {
            "" => key,
            "*" => of_platform(key),
            tenant => key.with_tenant(tenant),
        }
    });
    keys.flat_map(|key| shown(&alerts, &key)).collect()
}

#[test]
fn owners_of_one_name_in_two_tenants_are_two() {
    for two in [["north", "south"], ["north", ""], ["", "*"], ["*", "north"]] {
        assert!(burst(CountedPer::Owner, &ana(), &two).is_empty(), "{two:?}");
    }
}

#[test]
fn a_burst_of_one_owner_holds_none_of_its_namesake_back() {
    let alerts = watching(BurstOfKeys::builder(CountedPer::Owner).build().unwrap());
    let key = || creation("key", "acme", ana(), MINUTE);
    let made = |event: fn(AuditEvent) -> AuditEvent| {
        let keys = (0..10).map(|_| event(key()));
        let raised = keys
            .flat_map(|key| shown(&alerts, &key))
            .collect::<Vec<_>>();
        assert_eq!(raised.len(), 1);
        let alert = &raised[0];
        let subject = alert_support::text(alert, "subject").unwrap().to_owned();
        (
            subject,
            alert.tenant().map(str::to_owned),
            is_of_platform(alert),
        )
    };
    let told = |subject: &str, tenant: Option<&str>, of_platform| {
        (subject.to_owned(), tenant.map(str::to_owned), of_platform)
    };
    let north = told("tenant:north owner:acme", Some("north"), false);
    assert_eq!(made(|key| key.with_tenant("north")), north);
    let south = told("tenant:south owner:acme", Some("south"), false);
    assert_eq!(made(|key| key.with_tenant("south")), south);
    assert_eq!(made(|key| key), told("owner:acme", None, false));
    assert_eq!(made(of_platform), told("platform owner:acme", None, true));
}

#[test]
fn a_burst_by_a_key_is_of_the_only_tenant_in_which_it_makes_keys() {
    let key = ActorRef::key("a1B2c3D4e5F6");
    let of = |tenants: &[&str]| {
        let raised = burst(CountedPer::Actor, &key, tenants);
        assert_eq!(raised.len(), 1);
        (
            raised[0].tenant().map(str::to_owned),
            is_of_platform(&raised[0]),
        )
    };
    assert_eq!(of(&["north"]), (Some("north".to_owned()), false));
    assert_eq!(of(&[""]), (None, false));
    assert_eq!(of(&["*"]), (None, true));
    assert_eq!(of(&["north", "south"]), (None, true));
    assert_eq!(of(&["north", ""]), (None, true));
}

#[test]
fn a_burst_by_a_person_is_of_no_tenant() {
    let raised = burst(CountedPer::Actor, &ana(), &["north"]);
    assert_eq!(
        (raised[0].tenant(), is_of_platform(&raised[0])),
        (None, true)
    );
}

/// `suppressed` counts the bursts in between, wherever they were.
#[test]
fn a_key_that_made_keys_in_two_tenants_stays_one_of_no_tenant() {
    let rule = BurstOfKeys::builder(CountedPer::Actor).times(1);
    let alerts = watching(rule.build().unwrap());
    let made = |tenant: &str, after| {
        let key = ActorRef::key("a1B2c3D4e5F6");
        shown(
            &alerts,
            &creation("key", "acme", key, after).with_tenant(tenant),
        )
    };
    assert_eq!(made("north", HOUR)[0].tenant(), Some("north"));
    assert!(made("south", HOUR * 2).is_empty());
    let later = made("north", DAY * 2);
    assert_eq!(
        (later[0].tenant(), number(&later[0], "suppressed")),
        (None, Some(1))
    );
    assert!(is_of_platform(&later[0]));
}

#[test]
fn what_the_application_itself_makes_is_no_burst() {
    let alerts = watching(BurstOfKeys::builder(CountedPer::Actor).build().unwrap());
    let keys = (0..20).map(|_| creation("key", "acme", ActorRef::system("portal"), MINUTE));
    assert_eq!(counts(&alerts, keys), [0; 20]);
}

#[test]
fn keys_that_were_not_made_after_all_are_no_burst() {
    let alerts = watching(BurstOfKeys::builder(CountedPer::Owner).build().unwrap());
    let keys =
        (0..20).map(|_| creation("key", "acme", ana(), MINUTE).with_outcome(Outcome::Failure));
    assert_eq!(counts(&alerts, keys), [0; 20]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let hits = LimitHits::builder();
    assert!(hits.times(0).build().is_err() && hits.times(1001).build().is_err());
    assert!(hits.window(Duration::ZERO).build().is_err());
    assert!(hits.window(Duration::from_nanos(999)).build().is_err());
    let errors = ErrorRate::builder;
    assert!(errors().percent(100).build().is_err() && errors().percent(99).build().is_ok());
    assert!(errors().minimum_sample(0).build().is_err());
    assert!(errors().window(Duration::ZERO).build().is_err());
    let burst = BurstOfKeys::builder(CountedPer::Owner);
    assert!(burst.times(0).build().is_err() && burst.window(Duration::ZERO).build().is_err());
}

#[test]
fn every_rule_bears_the_ends_of_time() {
    use keyward::alert::Alerts;
    use keyward::time::Timestamp;
    let alerts = Alerts::builder().standard_rules().start().unwrap();
    for time in [
        Timestamp::MIN,
        Timestamp::MAX,
        Timestamp::EPOCH,
        START,
        Timestamp::MIN,
    ] {
        for kind in AuditKind::ALL {
            let event = AuditEvent::new(*kind, time)
                .with_key_id("a")
                .with_owner("acme")
                .with_actor(ana())
                .with_status(500);
            shown(&alerts, &event);
        }
    }
    assert_eq!(alerts.counters().rule_panics, 0);
}

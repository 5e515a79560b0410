//! One alert per subject, kind and period, and what it says.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::num::NonZeroUsize;

use alert_support::{
    DAY, HOUR, MICRO, MINUTE, START, counts, event, is_of_platform, number, of_platform, shown,
    text, watching,
};
use keyward::alert::{AlertKind, AlertRule, Alerts, Finding, MemoryAlertSink};
use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, EventId, MemorySink};

/// Finds something in every event of one kind.
#[derive(Clone, Copy, Debug)]
struct Every(AuditKind, AlertKind);

impl AlertRule for Every {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() == self.0 {
            findings.extend(Finding::of_key(self.1, event));
        }
    }
}

const REVOKED: Every = Every(AuditKind::KeyRevoked, AlertKind::Custom("revoked"));

fn revocation(key: &str, after: std::time::Duration) -> AuditEvent {
    event(AuditKind::KeyRevoked, key, after)
}

#[test]
fn there_is_one_alert_of_a_key_in_a_period() {
    let alerts = watching(REVOKED);
    let times = [MICRO, HOUR, DAY, DAY + MICRO].map(|after| revocation("a", after));
    assert_eq!(counts(&alerts, times), [1, 0, 0, 1]);
}

#[test]
fn the_next_one_says_how_often_the_rule_was_met_in_between() {
    let alerts = watching(REVOKED);
    let first = shown(&alerts, &revocation("a", MICRO));
    assert_eq!(number(&first[0], "suppressed"), Some(0));
    counts(
        &alerts,
        [HOUR, HOUR * 2].map(|after| revocation("a", after)),
    );
    let next = shown(&alerts, &revocation("a", DAY * 2));
    assert_eq!(number(&next[0], "suppressed"), Some(2));
    let last = shown(&alerts, &revocation("a", DAY * 4));
    assert_eq!(number(&last[0], "suppressed"), Some(0));
    let counters = alerts.counters();
    assert_eq!((counters.raised, counters.suppressed), (3, 2));
}

#[test]
fn keys_and_kinds_do_not_hold_each_other_back() {
    let other = Every(AuditKind::KeyRevoked, AlertKind::KeyExposed);
    let alerts = Alerts::builder().rule(REVOKED).rule(other).start().unwrap();
    let keys = ["a", "b", "a"].map(|key| revocation(key, HOUR));
    assert_eq!(counts(&alerts, keys), [2, 2, 0]);
}

#[test]
fn a_kind_may_have_a_period_of_its_own() {
    let other = Every(AuditKind::KeyRevoked, AlertKind::KeyExposed);
    let builder = Alerts::builder().rule(REVOKED).rule(other).period(HOUR);
    let alerts = builder
        .period_of(AlertKind::KeyExposed, MINUTE)
        .start()
        .unwrap();
    let times = [MICRO, MINUTE, HOUR, HOUR + MICRO].map(|after| revocation("a", after));
    assert_eq!(counts(&alerts, times), [2, 0, 1, 1]);
}

#[test]
fn an_event_that_comes_late_is_no_second_alert() {
    let alerts = watching(REVOKED);
    let times = [HOUR, HOUR - MINUTE, HOUR + MINUTE].map(|after| revocation("a", after));
    assert_eq!(counts(&alerts, times), [1, 0, 0]);
}

#[test]
fn a_clock_that_was_ahead_does_not_silence_a_key_until_then() {
    let alerts = watching(REVOKED);
    let times = [DAY * 3650, HOUR, HOUR * 2].map(|after| revocation("a", after));
    assert_eq!(counts(&alerts, times), [1, 1, 0]);
}

#[test]
fn an_event_that_is_shown_twice_counts_once() {
    let alerts = Alerts::builder()
        .rule(REVOKED)
        .period(std::time::Duration::ZERO)
        .start()
        .unwrap();
    let id = EventId::new(START, &[7; 10]);
    let twice = [(); 2].map(|()| revocation("a", HOUR).with_id(id));
    assert_eq!(counts(&alerts, twice), [1, 0]);
    let nameless = [(); 2].map(|()| revocation("a", HOUR));
    assert_eq!(counts(&alerts, nameless), [1, 1]);
    assert_eq!(alerts.counters().repeated_events, 1);
}

#[test]
fn alerts_raise_no_alerts() {
    let alerts = watching(Every(AuditKind::AlertRaised, AlertKind::Custom("echo")));
    assert_eq!(
        counts(&alerts, [event(AuditKind::AlertRaised, "a", HOUR)]),
        [0]
    );
}

#[test]
fn a_rule_that_panics_stops_no_other() {
    #[derive(Debug)]
    struct Broken;
    impl AlertRule for Broken {
        fn look(&mut self, _: &AuditEvent, _: &mut Vec<Finding>) {
            panic!("a rule with a mistake in it");
        }
    }
    let alerts = Alerts::builder()
        .rule(Broken)
        .rule(REVOKED)
        .start()
        .unwrap();
    assert_eq!(
        counts(&alerts, [revocation("a", HOUR), revocation("b", HOUR)]),
        [1, 1]
    );
    assert_eq!(alerts.counters().rule_panics, 2);
}

#[test]
fn beyond_its_capacity_it_forgets_the_key_that_was_quiet_longest() {
    let two = NonZeroUsize::new(2).unwrap();
    let alerts = Alerts::builder()
        .rule(REVOKED)
        .capacity(two)
        .start()
        .unwrap();
    let keys = ["a", "b", "a", "c", "a", "b"].map(|key| revocation(key, HOUR));
    assert_eq!(counts(&alerts, keys), [1, 1, 0, 1, 0, 1]);
}

#[test]
fn what_was_found_before_a_restart_is_not_raised_again() {
    let past = [revocation("a", HOUR), revocation("a", HOUR * 2)];
    let alerts = watching(REVOKED);
    alerts.replay(&past);
    assert_eq!(alerts.counters().raised, 0);
    assert_eq!(counts(&alerts, [revocation("a", HOUR * 3)]), [0]);
    let next = shown(&alerts, &revocation("a", DAY + HOUR));
    assert_eq!(number(&next[0], "suppressed"), Some(2));
}

#[test]
fn an_alert_in_the_trail_holds_back_the_next_also_without_its_cause() {
    let raised = shown(&watching(REVOKED), &revocation("a", HOUR));
    let alerts = watching(REVOKED);
    alerts.replay(&raised);
    assert_eq!(counts(&alerts, [revocation("a", DAY)]), [0]);
    assert_eq!(counts(&alerts, [revocation("a", DAY + HOUR)]), [1]);
}

#[test]
fn a_window_that_was_open_before_a_restart_is_open_again() {
    use keyward::alert::rules::LimitHits;
    let past = [1, 2].map(|hours| alert_support::limit_hit("a", HOUR * hours));
    let alerts = watching(LimitHits::default());
    alerts.replay(&past);
    assert_eq!(
        counts(&alerts, [alert_support::limit_hit("a", HOUR * 3)]),
        [1]
    );
}

#[tokio::test]
async fn the_trail_and_every_sink_get_the_same_alert_by_one_name() {
    let (first, second) = (memory(), memory());
    let builder = Alerts::builder().rule(REVOKED).sink("first", first.clone());
    let alerts = std::sync::Arc::new(builder.sink("second", second.clone()).start().unwrap());
    let trail = MemorySink::unbounded();
    let builder = AuditRecorder::builder(trail.clone());
    let recorder = builder
        .observer(std::sync::Arc::clone(&alerts))
        .start()
        .unwrap();
    recorder.record(revocation("a", HOUR)).await.unwrap();
    recorder.shutdown().await.unwrap();
    alerts.shutdown().await.unwrap();

    let written = trail.events();
    assert_eq!(written[1].kind(), AuditKind::AlertRaised);
    for sink in [first, second] {
        let sent = sink.alerts();
        assert_eq!(sent.len(), 1);
        assert_eq!(Some(sent[0].id()), written[1].id());
    }
}

fn memory() -> MemoryAlertSink {
    MemoryAlertSink::bounded(NonZeroUsize::new(1000).unwrap())
}

#[test]
fn the_same_alert_has_the_same_name_and_another_has_another() {
    let id = |key, after| shown(&watching(REVOKED), &revocation(key, after))[0].id();
    assert_eq!(id("a", HOUR), id("a", HOUR));
    assert_ne!(id("a", HOUR), id("b", HOUR));
    assert_ne!(id("a", HOUR), id("a", HOUR + MICRO));
}

#[test]
fn the_event_says_what_was_found_and_of_whom() {
    let event = revocation("a", HOUR)
        .with_tenant("north")
        .with_client_ip([192, 0, 2, 7].into());
    let raised = shown(&watching(REVOKED), &event);
    let alert = &raised[0];
    assert_eq!(alert.kind(), AuditKind::AlertRaised);
    assert_eq!(alert.reason(), Some("revoked"));
    assert_eq!(alert.time(), event.time());
    assert_eq!(
        (alert.key_id(), alert.owner(), alert.tenant()),
        (Some("a"), Some("acme"), Some("north"))
    );
    assert_eq!(alert.client_ip(), event.client_ip());
    assert_eq!(
        alert.actor().map(keyward::audit::ActorRef::as_str),
        Some("system:alerts")
    );
    assert_eq!(
        (text(alert, "subject"), text(alert, "severity")),
        (Some("key:a"), Some("warning"))
    );
    assert_eq!(
        (number(alert, "count"), number(alert, "period_s")),
        (Some(1), Some(86400))
    );
}

#[test]
fn an_alert_is_for_those_who_may_read_the_event_it_came_from() {
    let raised = |event| shown(&watching(REVOKED), &event).remove(0);
    let unbound = raised(revocation("a", HOUR));
    assert_eq!((unbound.tenant(), is_of_platform(&unbound)), (None, false));
    let platform = raised(of_platform(revocation("a", HOUR)));
    assert_eq!((platform.tenant(), is_of_platform(&platform)), (None, true));
    let north = raised(revocation("a", HOUR).with_tenant("north"));
    assert_eq!(
        (north.tenant(), is_of_platform(&north)),
        (Some("north"), false)
    );
}

/// Finds something about an actor and about the service, with more details than there is room for.
#[derive(Debug)]
struct Wide;

impl AlertRule for Wide {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let of_actor = Finding::of_actor(AlertKind::Custom("wide"), event).unwrap();
        for finding in [
            of_actor,
            Finding::of_service(AlertKind::Custom("wide"), event),
        ] {
            findings.push((0..20_u32).fold(finding, |finding, n| {
                finding.with_detail(format!("detail{n}"), n)
            }));
        }
    }
}

#[test]
fn what_is_of_no_single_tenant_is_for_those_who_see_everything() {
    let event = revocation("a", HOUR).with_tenant("north");
    let event = event.with_actor(keyward::audit::ActorRef::user("ana"));
    let raised = shown(&watching(Wide), &event);
    assert_eq!(raised.len(), 2);
    for alert in &raised {
        assert_eq!((alert.tenant(), is_of_platform(alert)), (None, true));
    }
}

/// Finds something with all there can be said of it.
#[derive(Debug)]
struct Talkative;

impl AlertRule for Talkative {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let finding = Finding::of_actor(AlertKind::BurstOfKeys, event).unwrap();
        let finding = finding.with_count(12).with_window(HOUR);
        findings.push(
            finding
                .with_detail("b", 1_u32)
                .with_detail("a", "line\nbreak"),
        );
    }
}

#[tokio::test]
async fn an_alert_is_one_line_of_json() {
    let sink = memory();
    let alerts = Alerts::builder()
        .rule(Talkative)
        .sink("memory", sink.clone())
        .start()
        .unwrap();
    let actor = keyward::audit::ActorRef::user("ana");
    let event = revocation("a", HOUR)
        .with_actor(actor)
        .with_client_ip([192, 0, 2, 7].into());
    shown(&alerts, &event);
    alerts.flush().await.unwrap();
    let json = sink.alerts()[0].to_json().unwrap();
    let id = sink.alerts()[0].id();
    let expected = format!(
        r#"{{"id":"{id}","kind":"burst_of_keys","severity":"warning","time":"2023-11-14T23:13:20.000000Z","#
    ) + r#""subject":"actor:user:ana","owner":"acme","actor":"user:ana","client_ip":"192.0.2.7","count":12,"#
        + r#""window_s":3600,"period_s":86400,"suppressed":0,"details":{"b":1,"a":"line\nbreak"}}"#;
    assert_eq!(json, expected);
}

//! A sink that is slow, fails, hangs or panics touches neither the trail nor another sink.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alert_support::{DAY, HOUR, event, shown};
use keyward::alert::rules::LimitHits;
use keyward::alert::{
    Alert, AlertError, AlertSink, Alerts, AlertsBuilder, MemoryAlertSink, SinkCounters,
};
use keyward::async_trait;
use keyward::audit::AuditKind;
use tokio::sync::Semaphore;

/// An engine that raises an alert for each limit hit.
fn engine() -> AlertsBuilder {
    let rule = LimitHits::builder().times(1).build().unwrap();
    Alerts::builder().rule(rule)
}

fn memory() -> MemoryAlertSink {
    MemoryAlertSink::bounded(NonZeroUsize::new(1000).unwrap())
}

/// Raises that many alerts.
fn raise(alerts: &Alerts, keys: usize) {
    for key in 0..keys {
        let raised = shown(
            alerts,
            &event(AuditKind::LimitHit, &format!("key{key}"), HOUR),
        );
        assert_eq!(raised.len(), 1);
    }
}

fn lost(result: Result<(), AlertError>) -> u64 {
    match result {
        Ok(()) => 0,
        Err(AlertError::Lost { alerts, .. }) => alerts,
        Err(other) => panic!("{other}"),
    }
}

/// What became of the alerts at the sink of that name: sent, failed, dropped, pending.
fn counters(alerts: &Alerts, name: &str) -> (u64, u64, u64, u64) {
    let sinks = alerts.counters().sinks;
    let SinkCounters {
        sent,
        failed,
        dropped,
        pending,
        ..
    } = sinks.into_iter().find(|it| it.name == name).unwrap();
    (sent, failed, dropped, pending)
}

/// Does to each alert what it is told to.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Fails,
    Panics,
    Hangs,
}

#[async_trait]
impl AlertSink for Bad {
    async fn send(&self, _: &Alert) -> Result<(), AlertError> {
        match self {
            Self::Fails => Err(AlertError::unavailable("bad", "no route")),
            Self::Panics => panic!("a sink with a mistake in it"),
            Self::Hangs => pending().await,
        }
    }
}

/// Takes as many alerts as it is given permits.
#[derive(Clone, Debug)]
struct Gated(Arc<Semaphore>);

impl Gated {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

#[async_trait]
impl AlertSink for Gated {
    async fn send(&self, _: &Alert) -> Result<(), AlertError> {
        self.0.acquire().await.unwrap().forget();
        Ok(())
    }
}

#[tokio::test]
async fn every_alert_reaches_every_sink_in_order() {
    let (first, second) = (memory(), memory());
    let builder = engine().sink("first", first.clone());
    let alerts = builder.sink("second", second.clone()).start().unwrap();
    raise(&alerts, 20);
    alerts.flush().await.unwrap();
    let keys = |sink: &MemoryAlertSink| -> Vec<_> {
        sink.alerts()
            .iter()
            .map(|it| it.key_id().map(str::to_owned))
            .collect()
    };
    let expected: Vec<_> = (0..20).map(|key| Some(format!("key{key}"))).collect();
    assert_eq!(keys(&first), expected);
    assert_eq!(keys(&second), expected);
    assert_eq!(counters(&alerts, "second"), (20, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_bad_sink_costs_its_own_alerts_and_no_others() {
    for bad in [Bad::Fails, Bad::Panics, Bad::Hangs] {
        let good = memory();
        let builder = engine().sink("bad", bad).sink("good", good.clone());
        let alerts = builder.start().unwrap();
        raise(&alerts, 3);
        assert_eq!(lost(alerts.flush().await), 3, "{bad:?}");
        assert_eq!(counters(&alerts, "bad"), (0, 3, 0, 0));
        assert_eq!(good.alerts().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_longer_than_the_patience_is_given_up() {
    let patience = Duration::from_secs(7);
    let alerts = engine()
        .patience(patience)
        .sink("bad", Bad::Hangs)
        .start()
        .unwrap();
    let start = tokio::time::Instant::now();
    raise(&alerts, 2);
    assert_eq!(lost(alerts.flush().await), 2);
    let taken = start.elapsed();
    assert!(
        (patience * 2..patience * 2 + Duration::from_secs(1)).contains(&taken),
        "{taken:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_does_not_hold_up_another() {
    let (slow, good) = (Gated::closed(), memory());
    let builder = engine()
        .sink("slow", slow.clone())
        .sink("good", good.clone());
    let alerts = builder.start().unwrap();
    raise(&alerts, 5);
    while good.alerts().len() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counters(&alerts, "slow"), (0, 0, 0, 5));
    slow.0.add_permits(5);
    alerts.flush().await.unwrap();
    assert_eq!(counters(&alerts, "slow"), (5, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_dropped_and_counted() {
    let slow = Gated::closed();
    let two = NonZeroUsize::new(2).unwrap();
    let alerts = engine()
        .queue(two)
        .sink("slow", slow.clone())
        .start()
        .unwrap();
    raise(&alerts, 10);
    assert_eq!(counters(&alerts, "slow"), (0, 0, 8, 2));
    slow.0.add_permits(10);
    assert_eq!(lost(alerts.flush().await), 8);
    assert_eq!(counters(&alerts, "slow"), (2, 0, 8, 0));
}

#[tokio::test]
async fn a_loss_is_reported_once_and_counted_for_good() {
    let alerts = engine().sink("bad", Bad::Fails).start().unwrap();
    raise(&alerts, 1);
    assert_eq!(lost(alerts.flush().await), 1);
    assert_eq!(lost(alerts.flush().await), 0);
    assert_eq!(counters(&alerts, "bad"), (0, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_hears_why_a_sink_failed() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let builder = engine().sink("bad", Bad::Fails).sink("slow", Bad::Hangs);
    let builder = builder.report_failures(move |sink, error| {
        hear.lock().unwrap().push(format!("{sink}: {error}"));
        panic!("a report with a mistake in it");
    });
    let alerts = builder.start().unwrap();
    raise(&alerts, 2);
    assert_eq!(lost(alerts.flush().await), 4);
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    let bad = "bad: the alert sink bad is not available";
    let slow = "slow: the alert sink slow is not available";
    assert_eq!(heard, [bad, bad, slow, slow]);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_was_handed_over() {
    let sink = memory();
    let alerts = engine().sink("memory", sink.clone()).start().unwrap();
    raise(&alerts, 50);
    alerts.shutdown().await.unwrap();
    assert_eq!(sink.alerts().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_no_longer_than_the_patience_and_counts_what_is_left() {
    let patience = Duration::from_secs(5);
    let good = memory();
    let builder = engine().patience(patience).sink("bad", Bad::Hangs);
    let alerts = builder.sink("good", good.clone()).start().unwrap();
    raise(&alerts, 10);
    let start = tokio::time::Instant::now();
    assert_eq!(lost(alerts.shutdown().await), 10);
    assert!(start.elapsed() < patience + Duration::from_secs(1));
    let (_, failed, dropped, pending) = counters(&alerts, "bad");
    assert_eq!((failed + dropped, pending), (10, 0));
    assert_eq!(good.alerts().len(), 10);
}

#[tokio::test]
async fn after_the_end_alerts_are_raised_and_no_sink_hears_of_them() {
    let sink = memory();
    let alerts = engine().sink("memory", sink.clone()).start().unwrap();
    alerts.shutdown().await.unwrap();
    raise(&alerts, 2);
    assert!(sink.alerts().is_empty());
    assert_eq!(counters(&alerts, "memory"), (0, 0, 2, 0));
    assert_eq!(lost(alerts.flush().await), 2);
    assert_eq!(lost(alerts.shutdown().await), 0);
}

#[tokio::test]
async fn a_flush_that_nobody_waits_for_hurts_nobody() {
    let slow = Gated::closed();
    let alerts = engine().sink("slow", slow.clone()).start().unwrap();
    raise(&alerts, 1);
    let given_up = tokio::time::timeout(Duration::ZERO, alerts.flush()).await;
    assert!(given_up.is_err());
    slow.0.add_permits(1);
    alerts.flush().await.unwrap();
    assert_eq!(counters(&alerts, "slow"), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_end_can_be_asked_for_again_when_the_first_call_was_given_up() {
    let alerts = engine().sink("bad", Bad::Hangs).start().unwrap();
    raise(&alerts, 3);
    let given_up = tokio::time::timeout(Duration::from_secs(1), alerts.shutdown()).await;
    assert!(given_up.is_err());
    assert_eq!(lost(alerts.shutdown().await), 3);
}

#[test]
fn sinks_need_a_runtime_and_rules_do_not() {
    assert!(matches!(
        engine().sink("memory", memory()).start(),
        Err(AlertError::NoRuntime)
    ));
    raise(&engine().start().unwrap(), 1);
}

#[tokio::test]
async fn a_memory_sink_keeps_the_newest() {
    let sink = MemoryAlertSink::bounded(NonZeroUsize::new(2).unwrap());
    let alerts = engine()
        .period(DAY)
        .sink("memory", sink.clone())
        .start()
        .unwrap();
    raise(&alerts, 3);
    alerts.flush().await.unwrap();
    let kept: Vec<_> = sink
        .alerts()
        .iter()
        .map(|it| it.subject().to_owned())
        .collect();
    assert_eq!(kept, ["key:key1", "key:key2"]);
}

//! Those who look on while the trail is written.
#![cfg(feature = "testing")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::{Arc, Mutex};

use keyward::KeyService;
use keyward::audit::{AuditEvent, AuditKind, AuditObserver, AuditRecorder, EventId, MemorySink};
use keyward::service::BuildError;
use keyward::store::MemoryStore;
use keyward::testing::FaultySink;
use keyward::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Keeps what it was shown, and adds an alert for each limit hit.
#[derive(Clone, Debug, Default)]
struct Watcher(Arc<Mutex<Vec<AuditEvent>>>);

impl Watcher {
    fn kinds(&self) -> Vec<AuditKind> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(AuditEvent::kind)
            .collect()
    }

    fn sequences(&self) -> Vec<Option<u64>> {
        let seen = self.0.lock().unwrap();
        seen.iter().map(AuditEvent::sequence).collect()
    }
}

impl AuditObserver for Watcher {
    fn observe(&self, event: &AuditEvent, follow_up: &mut Vec<AuditEvent>) {
        self.0.lock().unwrap().push(event.clone());
        if event.kind() == AuditKind::LimitHit {
            follow_up.push(alert());
        }
    }
}

/// Panics at whatever it is shown.
#[derive(Debug)]
struct Broken;

impl AuditObserver for Broken {
    fn observe(&self, _: &AuditEvent, _: &mut Vec<AuditEvent>) {
        panic!("a rule with a mistake in it");
    }
}

fn event(kind: AuditKind) -> AuditEvent {
    AuditEvent::new(kind, NOW)
}

fn alert() -> AuditEvent {
    event(AuditKind::AlertRaised)
}

fn kinds(sink: &MemorySink) -> Vec<AuditKind> {
    sink.events().iter().map(AuditEvent::kind).collect()
}

/// A recorder with one watcher, over memory that can be made to fail.
fn watched() -> (Watcher, MemorySink, FaultySink<MemorySink>, AuditRecorder) {
    let (watcher, memory) = (Watcher::default(), MemorySink::unbounded());
    let sink = FaultySink::new(memory.clone());
    let builder = AuditRecorder::builder(sink.clone()).observer(watcher.clone());
    let recorder = builder.start().unwrap();
    (watcher, memory, sink, recorder)
}

#[tokio::test]
async fn an_observer_sees_every_event_in_the_order_of_the_trail() {
    let (watcher, memory, _, recorder) = watched();
    recorder.enqueue(event(AuditKind::RequestCompleted));
    recorder.record(event(AuditKind::KeyCreated)).await.unwrap();
    recorder.enqueue(event(AuditKind::PermissionRefused));
    recorder.flush().await.unwrap();
    assert_eq!(watcher.kinds(), kinds(&memory));
    assert_eq!(watcher.sequences(), [Some(1), Some(2), Some(3)]);
    assert!(
        watcher
            .0
            .lock()
            .unwrap()
            .iter()
            .all(|event| event.id().is_some())
    );
}

#[tokio::test(start_paused = true)]
async fn requests_are_shown_when_the_sink_lost_them_and_operations_are_not() {
    let (watcher, memory, sink, recorder) = watched();
    sink.fail_next(u32::MAX);
    recorder.enqueue(event(AuditKind::LimitHit));
    recorder
        .record(event(AuditKind::KeyCreated))
        .await
        .unwrap_err();
    recorder.flush().await.unwrap_err();
    assert_eq!(watcher.kinds(), [AuditKind::LimitHit]);
    assert!(memory.events().is_empty());
}

#[tokio::test]
async fn what_an_observer_adds_is_written_next_and_shown_to_nobody() {
    let (watcher, memory, _, recorder) = watched();
    recorder.enqueue(event(AuditKind::LimitHit));
    recorder.flush().await.unwrap();
    recorder.record(event(AuditKind::KeyRevoked)).await.unwrap();
    let expected = [
        AuditKind::LimitHit,
        AuditKind::AlertRaised,
        AuditKind::KeyRevoked,
    ];
    assert_eq!(kinds(&memory), expected);
    assert_eq!(
        watcher.kinds(),
        [AuditKind::LimitHit, AuditKind::KeyRevoked]
    );
    assert_eq!(watcher.sequences(), [Some(1), Some(3)]);
}

#[tokio::test]
async fn what_is_added_to_the_last_events_is_written_before_the_end() {
    let (_, memory, _, recorder) = watched();
    recorder.enqueue(event(AuditKind::LimitHit));
    recorder.shutdown().await.unwrap();
    assert_eq!(
        kinds(&memory),
        [AuditKind::LimitHit, AuditKind::AlertRaised]
    );
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_added_is_a_loss() {
    let (_, _, sink, recorder) = watched();
    sink.fail_next(u32::MAX);
    recorder.enqueue(event(AuditKind::LimitHit));
    recorder.flush().await.unwrap_err();
    let counters = recorder.counters();
    assert_eq!(
        (counters.queued, counters.lost, counters.pending),
        (2, 2, 0)
    );
}

#[tokio::test]
async fn a_panic_is_counted_and_stops_nobody() {
    let (watcher, memory) = (Watcher::default(), MemorySink::unbounded());
    let builder = AuditRecorder::builder(memory.clone()).observer(Broken);
    let recorder = builder.observer(watcher.clone()).start().unwrap();
    recorder.record(event(AuditKind::KeyCreated)).await.unwrap();
    recorder.record(event(AuditKind::KeyRevoked)).await.unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(watcher.kinds(), kinds(&memory));
    assert_eq!(recorder.counters().observer_panics, 2);
}

#[tokio::test]
async fn an_event_that_is_kept_elsewhere_is_shown_as_it_is_and_not_written() {
    let (watcher, memory, _, recorder) = watched();
    let kept = event(AuditKind::KeyCreated)
        .with_id(EventId::new(NOW, &[7; 10]))
        .with_sequence(42);
    recorder.observe(kept);
    recorder.record(event(AuditKind::KeyRevoked)).await.unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(kinds(&memory), [AuditKind::KeyRevoked]);
    assert_eq!(watcher.sequences(), [Some(42), Some(1)]);
    let counters = recorder.counters();
    assert_eq!((counters.written, counters.pending), (2, 0));
}

#[tokio::test]
async fn what_is_kept_elsewhere_is_shown_in_its_place_among_the_others() {
    let (watcher, _, _, recorder) = watched();
    let kept = |sequence| event(AuditKind::KeyCreated).with_sequence(sequence);
    let _ = recorder.enqueue(event(AuditKind::LimitHit));
    recorder.observe(kept(42));
    recorder.observe(kept(43));
    let _ = recorder.enqueue(event(AuditKind::LimitHit));
    recorder.observe(kept(44));
    recorder.flush().await.unwrap();
    let expected = [1, 42, 43, 2, 44].map(Some);
    assert_eq!(watcher.sequences(), expected);
}

#[tokio::test]
async fn a_closed_recorder_drops_what_is_kept_elsewhere_and_counts_it() {
    let (_, _, _, recorder) = watched();
    recorder.shutdown().await.unwrap();
    recorder.observe(event(AuditKind::KeyCreated));
    assert_eq!(recorder.counters().dropped, 1);
}

#[tokio::test]
async fn a_service_shows_its_observers_what_happens() {
    let watcher = Watcher::default();
    let builder = KeyService::builder(MemoryStore::new()).observer(watcher.clone());
    let service = builder.build().unwrap();
    service
        .recorder()
        .record(event(AuditKind::KeyCreated))
        .await
        .unwrap();
    service.shutdown().await.unwrap();
    assert_eq!(watcher.kinds(), [AuditKind::KeyCreated]);
}

#[tokio::test]
async fn observers_besides_a_recorder_of_ones_own_are_refused() {
    let recorder = AuditRecorder::builder(MemorySink::unbounded())
        .start()
        .unwrap();
    let builder = KeyService::builder(MemoryStore::new()).recorder(recorder);
    let refused = builder.observer(Watcher::default()).build();
    assert!(matches!(refused, Err(BuildError::Observers)));
}

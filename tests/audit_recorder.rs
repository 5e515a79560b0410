//! The recorder: order, durability, overflow, failure and the end.
#![cfg(feature = "testing")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use keyward::audit::{
    AuditError, AuditEvent, AuditKind, AuditRecorder, AuditRecorderBuilder, AuditSink, Detail,
    Enqueued, FanOut, MemorySink, Overflow, Pending,
};
use keyward::random::{RandomError, SecureRandom};
use keyward::testing::{FaultySink, SeededRandom};
use keyward::time::Timestamp;
use tokio::task::{JoinSet, yield_now};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn request(number: u32) -> AuditEvent {
    AuditEvent::new(AuditKind::RequestCompleted, NOW).with_detail("n", number)
}

fn created(number: u32) -> AuditEvent {
    AuditEvent::new(AuditKind::KeyCreated, NOW).with_detail("n", number)
}

/// The number an event was made with.
fn number(event: &AuditEvent) -> u32 {
    match event.detail("n") {
        Some(Detail::Number(n)) => u32::try_from(*n).unwrap(),
        _ => panic!("an event of this file"),
    }
}

fn numbers(sink: &MemorySink) -> Vec<u32> {
    sink.events().iter().map(number).collect()
}

fn sequences(sink: &MemorySink) -> Vec<u64> {
    sink.events()
        .iter()
        .filter_map(AuditEvent::sequence)
        .collect()
}

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn times(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// Memory behind a sink with faults, and the settings of a recorder in front.
fn faulty() -> (MemorySink, FaultySink<MemorySink>, AuditRecorderBuilder) {
    let memory = MemorySink::unbounded();
    let sink = FaultySink::new(memory.clone());
    let builder = AuditRecorder::builder(sink.clone()).random(SeededRandom::new(1));
    (memory, sink, builder)
}

/// Lets the writer take `first` and keeps it in the sink, so that the queue behind it is in the test's hands.
async fn occupy(recorder: &AuditRecorder, sink: &FaultySink<MemorySink>) {
    sink.hold();
    recorder.enqueue(request(0));
    sink.wait_for_writes(1).await;
}

#[tokio::test(start_paused = true)]
async fn has_a_recorded_event_in_the_sink_when_record_returns() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    recorder.record(created(1)).await.unwrap();
    assert_eq!(numbers(&memory), [1]);
}

#[tokio::test(start_paused = true)]
async fn does_not_return_from_record_before_the_sink_does() {
    let (_, sink, builder) = faulty();
    let recorder = Arc::new(builder.start().unwrap());
    sink.hold();
    let same = Arc::clone(&recorder);
    let record = tokio::spawn(async move { same.record(created(1)).await });
    sink.wait_for_writes(1).await;
    assert!(!record.is_finished());
    sink.release();
    record.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn does_not_linger_before_a_recorded_event() {
    let (_, _, builder) = faulty();
    let recorder = builder.linger(Duration::from_secs(3600)).start().unwrap();
    let before = tokio::time::Instant::now();
    recorder.enqueue(request(0));
    recorder.record(created(1)).await.unwrap();
    recorder.enqueue(request(2));
    recorder.flush().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn keeps_recorded_and_queued_events_in_one_order() {
    let (memory, _, builder) = faulty();
    let recorder = builder.batch_size(size(3)).start().unwrap();
    for n in 0..20 {
        if n % 5 == 4 {
            recorder.record(created(n)).await.unwrap();
        } else {
            recorder.enqueue(request(n));
        }
    }
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), (0..20).collect::<Vec<_>>());
    assert_eq!(sequences(&memory), (1..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_each_callers_order_and_counts_without_gaps_when_many_call() {
    const CALLERS: u32 = 8;
    const EACH: u32 = 200;
    let memory = MemorySink::unbounded();
    let recorder = AuditRecorder::builder(memory.clone()).overflow(Overflow::Wait);
    let recorder = Arc::new(recorder.capacity(size(64)).start().unwrap());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let recorder = Arc::clone(&recorder);
        callers.spawn(async move {
            for n in 0..EACH {
                let event = request(caller * EACH + n);
                if n % 10 == 0 {
                    recorder.record(event).await.unwrap();
                } else {
                    assert_eq!(recorder.enqueue_or_wait(event).await, Enqueued::Queued);
                }
            }
        });
    }
    callers.join_all().await;
    recorder.shutdown().await.unwrap();

    assert_eq!(
        sequences(&memory),
        (1..=u64::from(CALLERS * EACH)).collect::<Vec<_>>()
    );
    let numbers = numbers(&memory);
    for caller in 0..CALLERS {
        let own: Vec<_> = numbers
            .iter()
            .copied()
            .filter(|n| n / EACH == caller)
            .collect();
        assert_eq!(
            own,
            (caller * EACH..(caller + 1) * EACH).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn drops_exactly_what_does_not_fit_and_counts_it() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.capacity(size(4)).start().unwrap();
    occupy(&recorder, &sink).await;
    let taken: Vec<_> = (1..=7).map(|n| recorder.enqueue(request(n))).collect();
    assert_eq!(
        taken,
        [[Enqueued::Queued; 4].as_slice(), &[Enqueued::Dropped; 3]].concat()
    );
    sink.release();
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), [0, 1, 2, 3, 4]);
    let counters = recorder.counters();
    assert_eq!(
        (counters.queued, counters.dropped, counters.written),
        (5, 3, 5)
    );
}

#[tokio::test(start_paused = true)]
async fn drops_when_full_also_where_waiting_is_possible_unless_told_to_wait() {
    let (_, sink, builder) = faulty();
    let recorder = builder.capacity(size(1)).start().unwrap();
    occupy(&recorder, &sink).await;
    assert_eq!(recorder.enqueue_or_wait(request(1)).await, Enqueued::Queued);
    assert_eq!(
        recorder.enqueue_or_wait(request(2)).await,
        Enqueued::Dropped
    );
    assert_eq!(recorder.counters().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn waits_for_room_when_told_to() {
    let (memory, sink, builder) = faulty();
    let recorder = builder
        .capacity(size(1))
        .overflow(Overflow::Wait)
        .start()
        .unwrap();
    occupy(&recorder, &sink).await;
    assert_eq!(recorder.enqueue_or_wait(request(1)).await, Enqueued::Queued);

    let recorder = Arc::new(recorder);
    let same = Arc::clone(&recorder);
    let waiting = tokio::spawn(async move { same.enqueue_or_wait(request(2)).await });
    yield_now().await;
    assert!(!waiting.is_finished());
    sink.release();
    assert_eq!(waiting.await.unwrap(), Enqueued::Queued);
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), [0, 1, 2]);
    assert_eq!(recorder.counters().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn lets_go_of_those_who_wait_for_room_when_it_closes() {
    let (_, sink, builder) = faulty();
    let recorder = builder.capacity(size(1)).overflow(Overflow::Wait);
    let recorder = Arc::new(recorder.start().unwrap());
    occupy(&recorder, &sink).await;
    recorder.enqueue(request(1));
    let same = Arc::clone(&recorder);
    let waiting = tokio::spawn(async move { same.enqueue_or_wait(request(2)).await });
    yield_now().await;
    let same = Arc::clone(&recorder);
    let end = tokio::spawn(async move { same.shutdown().await });
    assert_eq!(waiting.await.unwrap(), Enqueued::Dropped);
    sink.release();
    end.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn takes_recorded_events_however_full_the_queue_is() {
    let (memory, sink, builder) = faulty();
    let recorder = Arc::new(builder.capacity(size(1)).start().unwrap());
    occupy(&recorder, &sink).await;
    recorder.enqueue(request(1));
    let same = Arc::clone(&recorder);
    let record = tokio::spawn(async move { same.record(created(2)).await });
    yield_now().await;
    assert_eq!(recorder.enqueue(request(3)), Enqueued::Dropped);
    sink.release();
    record.await.unwrap().unwrap();
    assert_eq!(numbers(&memory), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn never_holds_up_enqueue_because_the_sink_is_slow() {
    let (_, sink, builder) = faulty();
    let recorder = builder.start().unwrap();
    occupy(&recorder, &sink).await;
    for n in 1..=1000 {
        assert_eq!(recorder.enqueue(request(n)), Enqueued::Queued);
    }
    assert_eq!(recorder.counters().pending, 1001);
    assert_eq!(sink.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_many_queued_events_at_once() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.batch_size(size(100)).start().unwrap();
    for n in 0..250 {
        recorder.enqueue(request(n));
    }
    recorder.flush().await.unwrap();
    assert_eq!(memory.events().len(), 250);
    assert_eq!(sink.begun(), 3);
}

#[tokio::test(start_paused = true)]
async fn writes_queued_events_after_the_linger_without_being_asked() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.linger(Duration::from_millis(20)).start().unwrap();
    let before = tokio::time::Instant::now();
    recorder.enqueue(request(0));
    recorder.enqueue(request(1));
    sink.wait_for_writes(1).await;
    assert_eq!(before.elapsed(), Duration::from_millis(20));
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), [0, 1]);
    assert_eq!(sink.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_linger_when_there_is_a_full_batch() {
    let (_, sink, builder) = faulty();
    let builder = builder
        .linger(Duration::from_secs(3600))
        .batch_size(size(3));
    let recorder = builder.start().unwrap();
    recorder.enqueue(request(0));
    yield_now().await;
    let before = tokio::time::Instant::now();
    recorder.enqueue(request(1));
    recorder.enqueue(request(2));
    sink.wait_for_writes(1).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn writes_half_a_full_queue_even_if_that_is_no_batch() {
    let (_, sink, builder) = faulty();
    let builder = builder.linger(Duration::from_secs(3600)).capacity(size(4));
    let recorder = builder.start().unwrap();
    let before = tokio::time::Instant::now();
    recorder.enqueue(request(0));
    yield_now().await;
    recorder.enqueue(request(1));
    sink.wait_for_writes(1).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn builds_a_deferred_event_in_the_writer() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    let caller = tokio::task::try_id();
    let (tell, told) = std::sync::mpsc::channel();
    recorder.enqueue(Pending::deferred(move || {
        tell.send(tokio::task::try_id()).unwrap();
        request(7)
    }));
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), [7]);
    assert_ne!(told.recv().unwrap(), caller);
}

#[tokio::test(start_paused = true)]
async fn counts_a_deferred_event_that_panics_as_lost_and_goes_on() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    recorder.enqueue(request(0));
    recorder.enqueue(Pending::deferred(|| panic!("cannot be built")));
    recorder.enqueue(request(2));
    assert!(matches!(
        recorder.flush().await,
        Err(AuditError::Lost { events: 1, .. })
    ));
    assert_eq!(numbers(&memory), [0, 2]);
    assert_eq!(recorder.counters().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn tries_a_failed_write_again_and_writes_each_event_once() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.attempts(times(3)).start().unwrap();
    sink.fail_next(2);
    recorder.enqueue(request(0));
    recorder.record(created(1)).await.unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(numbers(&memory), [0, 1]);
    assert_eq!(sequences(&memory), [1, 2]);
    assert_eq!(recorder.counters().failed_writes, 2);
}

#[tokio::test(start_paused = true)]
async fn waits_twice_as_long_before_each_further_attempt() {
    let (_, sink, builder) = faulty();
    let builder = builder
        .attempts(times(4))
        .retry_delay(Duration::from_millis(10));
    let recorder = builder.start().unwrap();
    sink.fail_next(3);
    let before = tokio::time::Instant::now();
    recorder.record(created(1)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_millis(10 + 20 + 40));
}

#[tokio::test(start_paused = true)]
async fn gives_a_batch_up_after_the_last_attempt_and_says_so() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.attempts(times(3)).start().unwrap();
    sink.fail_next(3);
    recorder.enqueue(request(0));
    recorder.enqueue(request(1));
    let refused = recorder.record(created(2)).await;
    assert!(matches!(
        refused,
        Err(AuditError::Unavailable { sink: "faulty", .. })
    ));
    let counters = recorder.counters();
    assert_eq!(
        (counters.lost, counters.failed, counters.failed_writes),
        (2, 1, 3)
    );

    recorder.record(created(3)).await.unwrap();
    assert_eq!(numbers(&memory), [3]);
    assert_eq!(sequences(&memory), [4], "the gap shows the loss");
}

#[tokio::test(start_paused = true)]
async fn reports_a_loss_at_the_next_flush_and_only_there() {
    let (_, sink, builder) = faulty();
    let recorder = builder.attempts(times(1)).start().unwrap();
    sink.fail_next(1);
    recorder.enqueue(request(0));
    assert!(matches!(
        recorder.flush().await,
        Err(AuditError::Lost { events: 1, .. })
    ));
    recorder.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn survives_a_sink_that_panics() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.attempts(times(1)).start().unwrap();
    sink.panic_next(1);
    assert!(matches!(
        recorder.record(created(0)).await,
        Err(AuditError::Panicked)
    ));
    recorder.record(created(1)).await.unwrap();
    assert_eq!(numbers(&memory), [1]);
}

#[tokio::test(start_paused = true)]
async fn goes_on_where_the_sinks_sequence_ended() {
    let memory = MemorySink::unbounded();
    memory.write(&[created(0).with_sequence(41)]).await.unwrap();
    let recorder = AuditRecorder::builder(memory.clone()).start().unwrap();
    recorder.record(created(1)).await.unwrap();
    assert_eq!(sequences(&memory), [41, 42]);
}

#[tokio::test(start_paused = true)]
async fn replaces_a_sequence_that_the_caller_set() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    recorder.record(created(0).with_sequence(99)).await.unwrap();
    assert_eq!(sequences(&memory), [1]);
}

#[tokio::test(start_paused = true)]
async fn gives_every_event_an_id_of_its_own_with_the_events_time() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    recorder.enqueue(request(0));
    recorder.record(created(1)).await.unwrap();
    let ids: Vec<_> = memory
        .events()
        .iter()
        .map(|event| event.id().unwrap())
        .collect();
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert!(id.to_string().starts_with("018bcfe5-6800-7"), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_an_id_that_the_caller_set() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    let id = "018bcfe5-6800-7000-8000-000000000001".parse().unwrap();
    recorder.record(created(0).with_id(id)).await.unwrap();
    assert_eq!(memory.events()[0].id(), Some(id));
}

#[derive(Debug)]
struct NoRandom;

impl SecureRandom for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError::new())
    }
}

#[tokio::test(start_paused = true)]
async fn records_nothing_without_randomness_for_the_id() {
    let memory = MemorySink::unbounded();
    let builder = AuditRecorder::builder(memory.clone()).random(NoRandom);
    let recorder = builder.start().unwrap();
    assert!(matches!(
        recorder.record(created(0)).await,
        Err(AuditError::Random(_))
    ));
    assert!(memory.events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn writes_everything_before_shutdown_returns() {
    let (memory, _, builder) = faulty();
    let recorder = builder.batch_size(size(7)).start().unwrap();
    for n in 0..100 {
        recorder.enqueue(request(n));
    }
    recorder.shutdown().await.unwrap();
    assert_eq!(numbers(&memory), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn takes_nothing_after_shutdown() {
    let (memory, _, builder) = faulty();
    let recorder = builder.start().unwrap();
    recorder.shutdown().await.unwrap();
    assert!(matches!(
        recorder.record(created(0)).await,
        Err(AuditError::Closed)
    ));
    assert!(matches!(recorder.flush().await, Err(AuditError::Closed)));
    assert_eq!(recorder.enqueue(request(1)), Enqueued::Dropped);
    assert_eq!(
        recorder.enqueue_or_wait(request(2)).await,
        Enqueued::Dropped
    );
    assert_eq!(recorder.counters().dropped, 2);
    assert!(memory.events().is_empty());
    recorder.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shuts_down_although_the_caller_stopped_waiting() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.start().unwrap();
    occupy(&recorder, &sink).await;
    recorder.enqueue(request(1));
    let impatient = tokio::time::timeout(Duration::from_millis(1), recorder.shutdown()).await;
    assert!(impatient.is_err());
    sink.release();
    recorder.shutdown().await.unwrap();
    assert_eq!(numbers(&memory), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn goes_on_when_a_caller_of_record_stopped_waiting() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.start().unwrap();
    sink.hold();
    let impatient =
        tokio::time::timeout(Duration::from_millis(1), recorder.record(created(0))).await;
    assert!(impatient.is_err());
    sink.release();
    recorder.record(created(1)).await.unwrap();
    assert_eq!(numbers(&memory), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn writes_what_it_has_when_it_is_dropped() {
    let (memory, sink, builder) = faulty();
    let recorder = builder.linger(Duration::from_secs(3600)).start().unwrap();
    let before = tokio::time::Instant::now();
    recorder.enqueue(request(0));
    drop(recorder);
    sink.wait_for_writes(1).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(numbers(&memory), [0]);
}

#[test]
fn answers_closed_and_counts_the_loss_when_the_runtime_ends() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let recorder = first.block_on(async { faulty().2.start().unwrap() });
    recorder.enqueue(request(0));
    drop(first);
    let recorded = runtime().block_on(recorder.record(created(1)));
    assert!(matches!(recorded, Err(AuditError::Closed)));
    let counters = recorder.counters();
    assert_eq!((counters.lost, counters.pending), (1, 0));
}

#[test]
fn does_not_start_without_a_runtime() {
    let started = AuditRecorder::builder(MemorySink::unbounded()).start();
    assert!(matches!(started, Err(AuditError::NoRuntime)));
}

#[tokio::test(start_paused = true)]
async fn repeats_a_batch_only_for_the_sink_that_lacks_it() {
    let (first, second, extra) = (
        MemorySink::unbounded(),
        MemorySink::unbounded(),
        MemorySink::unbounded(),
    );
    let failing = FaultySink::new(second.clone());
    failing.fail_next(2);
    let sink = FanOut::new(first.clone())
        .required(failing)
        .best_effort("extra", extra.clone());
    let recorder = AuditRecorder::builder(sink).start().unwrap();
    recorder.enqueue(request(0));
    recorder.record(created(1)).await.unwrap();
    assert_eq!(numbers(&first), [0, 1]);
    assert_eq!(numbers(&second), [0, 1]);
    assert_eq!(numbers(&extra), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn fails_when_a_required_sink_fails_and_not_when_another_does() {
    let broken = FaultySink::new(MemorySink::unbounded());
    broken.fail_next(u32::MAX);
    let event = [created(0)];
    let required = FanOut::new(MemorySink::unbounded()).required(broken.clone());
    assert!(required.write(&event).await.is_err());
    let optional = FanOut::new(MemorySink::unbounded()).best_effort("broken", broken);
    assert!(optional.write(&event).await.is_ok());
    assert_eq!(optional.failures("broken"), Some(1));
    assert_eq!(optional.failures("unknown"), None);
}

#[tokio::test(start_paused = true)]
async fn balances_its_counters_whatever_happens() {
    let (_, sink, builder) = faulty();
    let recorder = builder
        .capacity(size(3))
        .attempts(times(1))
        .start()
        .unwrap();
    for round in 0..50_u32 {
        sink.fail_next(u32::from(round % 3 == 0));
        for n in 0..(round % 7) {
            recorder.enqueue(request(n));
        }
        if round % 4 == 0 {
            let _ = recorder.record(created(round)).await;
        }
        let now = recorder.counters();
        assert_eq!(
            now.queued + now.recorded,
            now.written + now.lost + now.failed + now.pending
        );
    }
    let _ = recorder.shutdown().await;
    let end = recorder.counters();
    assert_eq!(end.pending, 0);
    assert_eq!(
        end.queued + end.recorded,
        end.written + end.lost + end.failed
    );
    assert!(end.dropped > 0 && end.lost > 0 && end.failed > 0);
}

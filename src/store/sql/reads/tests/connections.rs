//! What becomes of a line's connection.

use std::sync::atomic::Ordering;

use super::fake::{Fake, found, id};
use super::*;

#[tokio::test]
async fn a_lost_connection_is_replaced_and_the_read_goes_again() {
    let fake = Fake::new();
    fake.insert(id(1));
    let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
    fake.0.faults.lock().unwrap().extend([lost(), lost()]);
    fake.allow(3);
    assert_eq!(found(&fake.reads().find(&id(1)).await), Some(id(1)));
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 2);
    // Another that nobody has heard of since may be gone as well.
    let asked = fake.0.asked.lock().unwrap().clone();
    assert_eq!(asked, [Health::Assumed, Health::Tested, Health::Tested]);
    fake.0
        .faults
        .lock()
        .unwrap()
        .extend([lost(), lost(), lost()]);
    fake.allow(3);
    assert!(fake.reads().find(&id(1)).await.unwrap_err().is_outage());
}

#[tokio::test(start_paused = true)]
async fn connections_are_not_taken_on_trust_for_a_while_after_one_has_failed() {
    let fake = Fake::with_connections(2);
    let reads = fake.reads();
    assert!(reads.find(&id(1)).await.is_err());
    fake.allow(10);
    reads.find(&id(1)).await.unwrap();
    tokio::time::sleep(DISTRUST).await;
    reads.find(&id(1)).await.unwrap();
    let asked = fake.0.asked.lock().unwrap().clone();
    assert_eq!(asked, [Health::Assumed, Health::Tested, Health::Assumed]);
}

#[tokio::test]
async fn an_engine_that_says_no_keeps_its_connection() {
    let fake = Fake::new();
    let reads = fake.reads();
    let refusal = sqlx::Error::Database(Box::new(Refusal));
    fake.0.faults.lock().unwrap().push(refusal);
    fake.allow(2);
    assert!(reads.find(&id(1)).await.is_err());
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.0.asked.lock().unwrap().len(), 1);
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_line_keeps_nothing_while_others_wait_for_connections() {
    let fake = Fake::new();
    fake.allow(2);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 1);
    fake.0.crowded.store(true, Ordering::SeqCst);
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_in_time_is_unavailable_and_its_connection_is_ended() {
    let fake = Fake::new();
    let error = fake.reads().find(&id(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(fake.0.discarded.load(Ordering::SeqCst), 1);
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_keeps_its_connection_while_it_is_used_and_not_long_after() {
    let fake = Fake::new();
    fake.allow(1000);
    let reads = fake.reads();
    for _ in 0..10 {
        reads.find(&id(1)).await.unwrap();
        assert_eq!(fake.connections(), 1);
        tokio::time::sleep(IDLE / 2).await;
    }
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(fake.connections(), 0);
    // And again: somebody looks after the line each time.
    reads.find(&id(1)).await.unwrap();
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(fake.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_constant_use_goes_back_to_the_pool_now_and_then() {
    let fake = Fake::new();
    fake.allow(1000);
    let reads = fake.reads();
    let mut gone = 0;
    for _ in 0..130 {
        reads.find(&id(1)).await.unwrap();
        gone += usize::from(fake.connections() == 0);
        tokio::time::sleep(IDLE / 2).await;
    }
    assert_eq!(gone, 1);
}

#[tokio::test]
async fn a_pool_too_small_to_keep_connections_from_gets_each_back() {
    let fake = Fake::with_connections(2);
    fake.allow(1);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    assert_eq!(fake.connections(), 0);
}

#[tokio::test]
async fn a_closed_pool_is_not_read_from_even_on_a_kept_connection() {
    let fake = Fake::new();
    fake.allow(2);
    let reads = fake.reads();
    reads.find(&id(1)).await.unwrap();
    fake.0.closed.store(true, Ordering::SeqCst);
    assert!(reads.find(&id(1)).await.unwrap_err().is_outage());
    assert_eq!(fake.connections(), 0);
}

/// A runtime that ends drops the tasks it has; the lines come back nevertheless, and the next runtime reads.
#[test]
fn lines_survive_the_runtime_that_had_them() {
    let fake = Fake::new();
    fake.insert(id(1));
    let reads = fake.reads();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        for number in 1..=5 {
            drop(fake.start(&reads, number).await);
        }
    });
    drop(first);
    reads.release();
    fake.allow(10);
    assert_eq!(found(&runtime().block_on(reads.find(&id(1)))), Some(id(1)));
}

/// Whoever looked after the lines is gone with its runtime; the next runtime has another.
#[test]
fn connections_are_given_back_in_the_next_runtime_too() {
    let fake = Fake::new();
    fake.allow(10);
    let reads = fake.reads();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    runtime().block_on(reads.find(&id(1))).unwrap();
    runtime().block_on(async {
        reads.find(&id(1)).await.unwrap();
        tokio::time::sleep(IDLE * 3).await;
    });
    assert_eq!(fake.connections(), 0);
}

/// What an engine says whose table is missing.
#[derive(Debug)]
struct Refusal;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no such table")
    }
}

impl std::error::Error for Refusal {}

impl sqlx::error::DatabaseError for Refusal {
    fn message(&self) -> &str {
        "no such table"
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}

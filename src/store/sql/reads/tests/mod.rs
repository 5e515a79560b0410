//! Who travels with whom, and when.

mod connections;
mod fake;

use std::sync::atomic::Ordering;

use self::fake::{Fake, found, id, settle};
use super::*;

#[tokio::test]
async fn a_read_alone_goes_at_once_and_alone() {
    let fake = Fake::new();
    fake.insert(id(1));
    fake.allow(2);
    let reads = fake.reads();
    assert_eq!(found(&reads.find(&id(1)).await), Some(id(1)));
    assert_eq!(found(&reads.find(&id(2)).await), None);
    assert_eq!(fake.statements(), [[id(1)], [id(2)]]);
}

#[tokio::test]
async fn those_who_wait_leave_together_with_the_first_line_that_is_back() {
    let fake = Fake::new();
    (1..=6).for_each(|number| fake.insert(id(number)));
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in [1, 2, 3, 4, 5, 4, 99] {
        tasks.push(fake.start(&reads, number).await);
    }
    assert_eq!(fake.statements(), [[id(1)], [id(2)]]);
    fake.allow(1);
    settle().await;
    let together = fake.statements().pop().unwrap();
    assert_eq!(together, [id(3), id(4), id(5), id(99)]);
    fake.allow(2);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(found(&task.await.unwrap()));
    }
    let expected = [1, 2, 3, 4, 5, 4].map(|number| Some(id(number)));
    assert_eq!(answers[..6], expected);
    assert_eq!(answers[6], None);
    assert_eq!(fake.statements().len(), 3);
}

/// The record changes while a statement is under way: who asked after the change sees the change.
#[tokio::test]
async fn no_read_is_answered_by_a_statement_that_began_before_it() {
    let fake = Fake::new();
    fake.insert(id(1));
    let reads = fake.reads();
    let early = [fake.start(&reads, 1).await, fake.start(&reads, 1).await];
    fake.0.rows.lock().unwrap().remove(&id(1));
    let late = fake.start(&reads, 1).await;
    fake.allow(3);
    for task in early {
        assert_eq!(found(&task.await.unwrap()), Some(id(1)));
    }
    assert_eq!(found(&late.await.unwrap()), None);
}

#[tokio::test]
async fn a_damaged_row_is_its_own_readers_trouble() {
    let fake = Fake::new();
    (13..=14).for_each(|number| fake.insert(id(number)));
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in [1, 2, 13, 14, 13] {
        tasks.push(fake.start(&reads, number).await);
    }
    fake.allow(3);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(matches!(
        answers[2],
        Err(StoreError::Corrupt { field: "owner", .. })
    ));
    assert!(matches!(
        answers[4],
        Err(StoreError::Corrupt { field: "owner", .. })
    ));
    assert_eq!(found(&answers[3]), Some(id(14)));
}

#[tokio::test]
async fn a_failed_statement_is_told_to_all_who_waited_for_it_with_its_cause() {
    let fake = Fake::new();
    let reads = fake.reads();
    let mut tasks = Vec::new();
    for number in 1..=4 {
        tasks.push(fake.start(&reads, number).await);
    }
    fake.allow(2);
    settle().await;
    fake.0
        .faults
        .lock()
        .unwrap()
        .push(sqlx::Error::PoolTimedOut);
    fake.allow(1);
    let last = tasks.split_off(2);
    for task in last {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(
            error,
            StoreError::Unavailable { store: "fake", .. }
        ));
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), sqlx::Error::PoolTimedOut.to_string());
    }
}

#[tokio::test]
async fn whoever_gave_up_waiting_costs_nothing_and_holds_up_nobody() {
    let fake = Fake::new();
    fake.insert(id(5));
    let reads = fake.reads();
    let (first, second) = (fake.start(&reads, 1).await, fake.start(&reads, 2).await);
    let gone = [fake.start(&reads, 3).await, fake.start(&reads, 4).await];
    let stays = fake.start(&reads, 5).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    // A line whose reader is gone is there for the others all the same.
    first.abort();
    settle().await;
    assert_eq!(fake.statements().pop().unwrap(), [id(5)]);
    fake.allow(2);
    assert_eq!(found(&stays.await.unwrap()), Some(id(5)));
    assert_eq!(found(&second.await.unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn stuck_lines_hold_up_nobody_for_long() {
    let fake = Fake::new();
    (3..=9).for_each(|number| fake.insert(id(number)));
    let reads = Reads::new(fake.clone(), Some(Duration::from_secs(3600)));
    let stuck = [fake.start(&reads, 1).await, fake.start(&reads, 2).await];
    let mut late = Vec::new();
    for number in 3..=9 {
        late.push(fake.start(&reads, number).await);
    }
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    settle().await;
    // All of them, on one extra line.
    let together: Vec<_> = (3..=9).map(id).collect();
    assert_eq!(fake.statements(), [vec![id(1)], vec![id(2)], together]);
    // The semaphore is fair, so the stuck ones are let go first.
    fake.allow(3);
    for (number, task) in (3..=9).zip(late) {
        assert_eq!(found(&task.await.unwrap()), Some(id(number)));
    }
    for task in stuck {
        assert_eq!(found(&task.await.unwrap()), None);
    }
}

/// An engine that takes longer than anybody's patience is asked no more often for it.
#[tokio::test(start_paused = true)]
async fn a_slow_engine_is_asked_few_questions_for_many() {
    const READERS: std::ops::Range<u32> = 100..500;
    let fake = Fake::new();
    READERS.for_each(|number| fake.insert(id(number)));
    let reads = Reads::new(fake.clone(), Some(Duration::from_secs(10)));
    let mut tasks = Vec::new();
    for number in READERS {
        tasks.push(fake.start(&reads, number).await);
    }
    // Each statement takes twice the patience.
    for _ in 0..8 {
        tokio::time::sleep(PATIENCE * 2).await;
        let under_way = fake.0.connections.load(Ordering::SeqCst);
        assert!(under_way <= LINES + EXTRA_LINES, "{under_way} at one time");
        fake.allow(under_way);
        settle().await;
    }
    for (number, task) in READERS.zip(tasks) {
        assert_eq!(found(&task.await.unwrap()), Some(id(number)));
    }
    assert!(fake.statements().len() <= 8, "{}", fake.statements().len());
}

#[tokio::test]
async fn many_more_than_fit_into_one_statement_are_all_answered() {
    let fake = Fake::new();
    let reads = fake.reads();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            fake.insert(id(number + 100));
            let reads = Arc::clone(&reads);
            tokio::spawn(async move { (number, reads.find(&id(number + 100)).await) })
        })
        .collect();
    settle().await;
    fake.allow(1000);
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        assert_eq!(found(&outcome), Some(id(number + 100)));
    }
    assert!(
        fake.statements()
            .iter()
            .all(|ids| ids.len() <= MOST_TOGETHER)
    );
    assert_eq!(
        fake.statements().len(),
        2 + 998_usize.div_ceil(MOST_TOGETHER)
    );
}

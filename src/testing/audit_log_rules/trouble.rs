//! Rules of trails that grow, or are damaged, while they are read.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::{LogProbe, event, numbers, page, write_plain};
use crate::audit::{AuditError, AuditQuery};

const WRITERS: u64 = 6;
const BATCHES: u64 = 12;

/// A reader that goes on from page to page while several write sees every event once.
pub async fn loses_and_repeats_nothing_while_others_write(probe: &dyn LogProbe) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let sink = probe.sink();
        writers.spawn(async move {
            for nth in 0..BATCHES {
                let first = (writer * BATCHES + nth) * 2;
                let events = [event(first), event(first + 1)];
                sink.write(&events).await.expect("the sink writes");
                tokio::task::yield_now().await;
            }
        });
    }
    let (mut query, mut found) = (AuditQuery::new().with_page_size(3), Vec::new());
    loop {
        // Asked before the page is read: whatever was written by then must be on it or after it.
        while writers.try_join_next().is_some() {}
        let written = writers.is_empty();
        let page = page(probe, &query).await;
        found.extend(numbers(&page));
        match page.events.last() {
            Some(last) => query = query.with_after(last.cursor),
            None if written => break,
            None => tokio::task::yield_now().await,
        }
    }
    let expected: BTreeSet<_> = (0..WRITERS * BATCHES * 2).collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// A damaged event is an error that says where it stands; events before it can be read.
pub async fn names_an_event_that_cannot_be_read(probe: &dyn LogProbe) {
    write_plain(probe, 3).await;
    let all = page(probe, &AuditQuery::new()).await;
    let position = all.events.last().expect("three events").cursor.position();
    if !probe.damage_the_newest().await {
        return;
    }
    let first_two = AuditQuery::new().with_page_size(1);
    assert_eq!(numbers(&page(probe, &first_two).await), [1]);
    let read = probe.log().page(&AuditQuery::new()).await;
    let error = read.expect_err("the damage is noticed");
    assert!(
        matches!(error, AuditError::UnreadableEvent { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&position.to_string()), "{error}");
}

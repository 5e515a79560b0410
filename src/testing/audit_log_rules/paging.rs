//! Rules of pages.

use super::filters::varied;
use super::{LogProbe, event, numbers, page, walk, write, write_plain};
use crate::audit::{AuditCursor, AuditPage, AuditQuery};

/// An empty trail is an empty page without a next one.
pub async fn has_nothing_to_read_at_first(probe: &dyn LogProbe) {
    assert_eq!(page(probe, &AuditQuery::new()).await, AuditPage::default());
}

/// What was written is read, every field of it.
pub async fn reads_events_as_they_were_written(probe: &dyn LogProbe) {
    let written = varied();
    write(probe, &written).await;
    let page = page(probe, &AuditQuery::new().with_page_size(1000)).await;
    let read: Vec<_> = page.events.into_iter().map(|found| found.event).collect();
    assert_eq!(read, written);
}

/// Whatever the page size, all events are read, each once, in the order of writing.
pub async fn pages_hold_every_event_once(probe: &dyn LogProbe) {
    write_plain(probe, 30).await;
    for size in [1, 2, 7, 29, 30, 31] {
        let query = AuditQuery::new().with_page_size(size);
        assert_eq!(walk(probe, query).await, (1..=30).collect::<Vec<_>>());
    }
}

/// A page that ends with the last event is the last, also when it is full.
pub async fn has_no_next_page_after_the_last_event(probe: &dyn LogProbe) {
    write_plain(probe, 6).await;
    let query = AuditQuery::new().with_page_size(3);
    let first = page(probe, &query).await;
    let next = first.next.expect("a next page");
    let second = page(probe, &query.with_after(next)).await;
    assert_eq!((numbers(&second), second.next), (vec![4, 5, 6], None));
}

/// A page has 100 events unless told otherwise, at least one and at most 1000.
pub async fn keeps_pages_within_their_bounds(probe: &dyn LogProbe) {
    write_plain(probe, 1001).await;
    let query = AuditQuery::new();
    assert_eq!(page(probe, &query).await.events.len(), 100);
    for (asked, found) in [(0, 1), (1, 1), (1000, 1000), (1001, 1000), (u32::MAX, 1000)] {
        let query = query.clone().with_page_size(asked);
        assert_eq!(page(probe, &query).await.events.len(), found);
    }
}

/// Every event's cursor leads to the event after it, also by way of its text.
pub async fn goes_on_behind_any_event(probe: &dyn LogProbe) {
    write_plain(probe, 5).await;
    let all = page(probe, &AuditQuery::new()).await;
    for (found, number) in all.events.iter().zip(1..) {
        let cursor: AuditCursor = found.cursor.to_string().parse().expect("a cursor");
        let rest = walk(probe, AuditQuery::new().with_after(cursor)).await;
        assert_eq!(rest, (number + 1..=5).collect::<Vec<_>>());
    }
    let beyond = AuditQuery::new().with_after(AuditCursor::new(u64::MAX));
    assert!(walk(probe, beyond).await.is_empty());
}

/// Who kept the cursor of the last event reads what was written since.
pub async fn reads_on_where_it_once_ended(probe: &dyn LogProbe) {
    write_plain(probe, 2).await;
    let first = page(probe, &AuditQuery::new()).await;
    let end = first.events.last().expect("two events").cursor;
    let query = AuditQuery::new().with_after(end);
    assert_eq!(page(probe, &query).await, AuditPage::default());
    write(probe, &[event(3), event(4)]).await;
    assert_eq!(walk(probe, query).await, [3, 4]);
}

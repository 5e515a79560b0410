//! The rules every [`AuditLog`] keeps, one function each.
//!
//! A trail says how it is written to by implementing [`LogProbe`]; [`audit_log_conformance!`](crate::audit_log_conformance)
//! then makes one named test of every rule. The rules panic when they are broken, as tests do.
//!
//! ```
//! use std::sync::Arc;
//! use keyward::async_trait;
//! use keyward::audit::{AuditLog, AuditSink, MemorySink};
//! use keyward::testing::audit_log_rules::LogProbe;
//!
//! struct Memory(MemorySink);
//!
//! #[async_trait]
//! impl LogProbe for Memory {
//!     fn log(&self) -> Arc<dyn AuditLog> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     fn sink(&self) -> Arc<dyn AuditSink> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn damage_the_newest(&self) -> bool {
//!         false
//!     }
//! }
//!
//! async fn memory() -> Memory {
//!     Memory(MemorySink::unbounded())
//! }
//!
//! // In a test file:
//! keyward::audit_log_conformance!(memory_log, super::memory);
//! # fn main() {}
//! ```
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken rule panics, like any test; the module's page says so once"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::audit::{
    ActorRef, AuditCursor, AuditError, AuditEvent, AuditKind, AuditLog, AuditPage, AuditQuery,
    AuditSink, EventId, Outcome,
};
use crate::time::Timestamp;

/// A fresh trail, and how to write to it.
#[async_trait]
pub trait LogProbe: Send + Sync {
    /// Returns the trail.
    fn log(&self) -> Arc<dyn AuditLog>;

    /// Returns the sink that writes to it.
    fn sink(&self) -> Arc<dyn AuditSink>;

    /// Makes the newest event one that cannot be read; `false` where that cannot be.
    async fn damage_the_newest(&self) -> bool;
}

/// The table from which the tests and [`RULES`] are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __audit_log_rules {
    ($callback:path $(, $argument:tt)*) => {
        $callback! { ($($argument),*)
            has_nothing_to_read_at_first
            reads_events_as_they_were_written
            pages_hold_every_event_once
            has_no_next_page_after_the_last_event
            keeps_pages_within_their_bounds
            goes_on_behind_any_event
            reads_on_where_it_once_ended
            filters_as_the_query_means_it
            pages_through_what_a_filter_leaves
            takes_the_first_moment_and_not_the_last
            takes_moments_at_the_ends_of_time
            reads_nothing_of_no_kind
            keeps_to_events_without_a_tenant
            compares_hostile_texts_byte_for_byte
            knows_no_wildcards
            finds_what_was_cut
            loses_and_repeats_nothing_while_others_write
            names_an_event_that_cannot_be_read
        }
    };
}

/// Makes one test of every rule, in a module of the given name.
///
/// The second argument is a path, as seen from inside that module, to an `async fn() -> impl LogProbe` that returns a
/// fresh, empty trail. The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! audit_log_conformance {
    ($module:ident, $factory:path) => {
        mod $module {
            $crate::__audit_log_rules!($crate::__rule_tests, audit_log_rules, { $factory().await });
        }
    };
}

__audit_log_rules!(super::suite::rule_names);

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn event(number: u64) -> AuditEvent {
    let [.., a, b] = number.to_be_bytes();
    AuditEvent::new(AuditKind::RequestCompleted, START)
        .with_sequence(number)
        .with_id(EventId::new(START, &[0, 0, 0, 0, 0, 0, 0, 0, a, b]))
}

async fn write(probe: &dyn LogProbe, events: &[AuditEvent]) {
    probe.sink().write(events).await.expect("the sink writes");
}

async fn write_plain(probe: &dyn LogProbe, count: u64) {
    write(probe, &(1..=count).map(event).collect::<Vec<_>>()).await;
}

async fn page(probe: &dyn LogProbe, query: &AuditQuery) -> AuditPage {
    let page = probe.log().page(query).await.expect("the trail is read");
    assert!(page.events.len() <= query.page_size(), "an over-full page");
    assert!(page.events.is_sorted_by_key(|found| found.cursor));
    page
}

fn numbers(page: &AuditPage) -> Vec<u64> {
    let events = page.events.iter();
    events.filter_map(|found| found.event.sequence()).collect()
}

/// Reads page after page until there is no next one.
async fn walk(probe: &dyn LogProbe, mut query: AuditQuery) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = page(probe, &query).await;
        found.extend(numbers(&page));
        let Some(next) = page.next else { return found };
        assert_eq!(page.events.last().map(|last| last.cursor), Some(next));
        query = query.with_after(next);
    }
}

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

/// Events that differ in everything a query asks for.
fn varied() -> Vec<AuditEvent> {
    let kinds = [
        AuditKind::KeyCreated,
        AuditKind::KeyRevoked,
        AuditKind::LimitHit,
    ];
    let (keys, owners) = (["a1", "b2", "c3"], ["acme", "evil"]);
    let (tenants, actors) = (["north", "south", "west"], ["ana", "bob"]);
    let any = |n: u64, of: usize| usize::try_from(n).unwrap_or_default() % of;
    let one = |n: u64| {
        let seconds = i64::try_from(n % 17).unwrap_or_default();
        let time = Timestamp::from_secs(START.as_secs() + seconds);
        let kind = kinds
            .get(any(n, 3))
            .copied()
            .unwrap_or(AuditKind::AuditRead);
        let mut event = AuditEvent::new(kind, time)
            .with_sequence(n)
            .with_id(EventId::new(time, &[any(n, 251).to_le_bytes()[0]; 10]));
        if n.is_multiple_of(5) {
            event = event.with_failure("refused");
        }
        if let Some(key) = keys.get(any(n, 4)) {
            event = event.with_key_id(*key);
        }
        if let Some(owner) = owners.get(any(n / 2, 3)) {
            event = event.with_owner(*owner);
        }
        if let Some(tenant) = tenants.get(any(n / 3, 5)) {
            event = event.with_tenant(*tenant);
        } else if n.is_multiple_of(2) {
            event = event.with_detail("tenant_binding", "platform");
        }
        if let Some(actor) = actors.get(any(n, 3)) {
            event = event.with_actor(ActorRef::user(actor));
        }
        event
    };
    (1..=120).map(one).collect()
}

/// Questions that use each filter alone and with others.
fn questions() -> Vec<AuditQuery> {
    let at = |seconds| Timestamp::from_secs(START.as_secs() + seconds);
    let all = AuditQuery::new;
    vec![
        all(),
        all().with_key_id("a1"),
        all().with_key_id("nobody"),
        all().with_owner("acme"),
        all().with_tenant("north"),
        all().without_tenant(),
        all().with_actor(ActorRef::user("ana")),
        all().with_kinds([AuditKind::LimitHit]),
        all().with_kinds([AuditKind::KeyRevoked, AuditKind::KeyCreated]),
        all().with_outcome(Outcome::Failure),
        all().with_outcome(Outcome::Success),
        all().with_from(at(5)),
        all().with_until(at(5)),
        all().with_from(at(3)).with_until(at(9)),
        all().with_from(at(9)).with_until(at(3)),
        all().with_key_id("a1").with_from(at(4)),
        all().with_owner("acme").with_tenant("south"),
        all().with_owner("acme").without_tenant(),
        all().with_owner("evil").with_until(at(12)),
        all().with_tenant("north").with_outcome(Outcome::Failure),
        all().with_tenant("west").with_from(at(2)).with_until(at(8)),
        all().without_tenant().with_from(at(2)),
        all()
            .with_key_id("b2")
            .with_owner("acme")
            .with_tenant("north"),
        all()
            .with_kinds([AuditKind::KeyCreated])
            .with_actor(ActorRef::user("bob"))
            .with_until(at(15)),
    ]
}

/// Each filter, and several together, leave exactly the events that [`AuditQuery::matches`] says.
pub async fn filters_as_the_query_means_it(probe: &dyn LogProbe) {
    let written = varied();
    write(probe, &written).await;
    for query in questions() {
        let fitting = written.iter().filter(|event| query.matches(event));
        let expected: Vec<_> = fitting.filter_map(AuditEvent::sequence).collect();
        let found = walk(probe, query.clone().with_page_size(1000)).await;
        assert_eq!(found, expected, "{query:?}");
    }
}

/// Pages of a filtered trail go on from each other like those of all of it.
pub async fn pages_through_what_a_filter_leaves(probe: &dyn LogProbe) {
    let written = varied();
    write(probe, &written).await;
    for query in questions() {
        let fitting = written.iter().filter(|event| query.matches(event));
        let expected: Vec<_> = fitting.filter_map(AuditEvent::sequence).collect();
        let found = walk(probe, query.clone().with_page_size(3)).await;
        assert_eq!(found, expected, "{query:?}");
    }
}

/// A span holds its first moment and not its last, to the microsecond.
pub async fn takes_the_first_moment_and_not_the_last(probe: &dyn LogProbe) {
    let at = |number: u64| Timestamp::from_micros(i64::try_from(number).unwrap_or_default());
    let events: Vec<_> = (1..=4)
        .map(|n| AuditEvent::new(AuditKind::KeyCreated, at(n)).with_sequence(n))
        .collect();
    write(probe, &events).await;
    let query = AuditQuery::new().with_from(at(2)).with_until(at(4));
    assert_eq!(walk(probe, query).await, [2, 3]);
    let nothing = AuditQuery::new().with_from(at(2)).with_until(at(2));
    assert!(walk(probe, nothing).await.is_empty());
}

/// The ends of time can be stored and asked for.
pub async fn takes_moments_at_the_ends_of_time(probe: &dyn LogProbe) {
    let times = [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX];
    let events: Vec<_> = times
        .iter()
        .zip(1..)
        .map(|(time, n)| AuditEvent::new(AuditKind::KeyCreated, *time).with_sequence(n))
        .collect();
    write(probe, &events).await;
    let all = AuditQuery::new;
    assert_eq!(
        walk(probe, all().with_from(Timestamp::MIN)).await,
        [1, 2, 3]
    );
    assert_eq!(walk(probe, all().with_from(Timestamp::MAX)).await, [3]);
    assert_eq!(walk(probe, all().with_until(Timestamp::MAX)).await, [1, 2]);
    assert!(
        walk(probe, all().with_until(Timestamp::MIN))
            .await
            .is_empty()
    );
}

/// A list of no kinds leaves nothing.
pub async fn reads_nothing_of_no_kind(probe: &dyn LogProbe) {
    write_plain(probe, 2).await;
    let query = AuditQuery::new().with_kinds([]);
    assert_eq!(page(probe, &query).await, AuditPage::default());
}

/// Events without a tenant are those that have none and are not of the platform, whatever their texts pretend.
pub async fn keeps_to_events_without_a_tenant(probe: &dyn LogProbe) {
    let pretended = r#"{"tenant_binding":"platform"}"#;
    let events = [
        event(1),
        event(2).with_tenant("north"),
        event(3).with_detail("tenant_binding", "platform"),
        event(4).with_user_agent(pretended),
        event(5).with_detail("why", pretended),
        event(6).with_detail("tenant_binding", "none"),
        event(7).with_tenant(""),
        event(8).with_owner("\"tenant_binding\":\"platform\""),
        event(9).with_reason("tenant_binding"),
        event(10).with_detail("tenant_binding", "platform x"),
    ];
    write(probe, &events).await;
    let unbound = walk(probe, AuditQuery::new().without_tenant()).await;
    assert_eq!(unbound, [1, 4, 5, 6, 8, 9, 10]);
}

/// Texts that mean something to a database, a terminal or a pattern.
const HOSTILE: &[&str] = &[
    "",
    "'",
    "\"",
    "' OR '1'='1",
    "'; DROP TABLE keyward.audit; --",
    "$1",
    "?",
    "%",
    "_",
    "a%",
    "\\",
    "\\u0000",
    "nul\0nul",
    "\0",
    "a\r\nb",
    "\u{202e}gpj.exe\u{2066}",
    "a\u{2028}b",
    "a\u{2029}b",
    "\u{85}",
    "é",
    "e\u{301}",
    "acme",
    "Acme",
    "acme ",
    " acme",
    "\u{feff}acme",
    "\u{10ffff}",
];

fn named(number: u64, text: &str) -> AuditEvent {
    event(number)
        .with_key_id(text)
        .with_owner(text)
        .with_tenant(text)
        .with_actor(ActorRef::user(text))
}

/// The four filters that take a text.
fn asking_for(text: &str) -> [AuditQuery; 4] {
    let all = AuditQuery::new;
    [
        all().with_key_id(text),
        all().with_owner(text),
        all().with_tenant(text),
        all().with_actor(ActorRef::user(text)),
    ]
}

/// Every text finds the events that hold it, byte for byte, and no others.
pub async fn compares_hostile_texts_byte_for_byte(probe: &dyn LogProbe) {
    let events: Vec<_> = HOSTILE
        .iter()
        .zip(1..)
        .map(|(text, n)| named(n, text))
        .collect();
    write(probe, &events).await;
    for (text, number) in HOSTILE.iter().zip(1..) {
        for query in asking_for(text) {
            assert_eq!(walk(probe, query).await, [number], "{text:?}");
        }
    }
}

/// No character of a filter stands for others.
pub async fn knows_no_wildcards(probe: &dyn LogProbe) {
    write(probe, &[named(1, "abc")]).await;
    for text in [
        "%", "a%", "a_c", "___", "*", "a*", "ABC", "[a]bc", ".*", "ab",
    ] {
        for query in asking_for(text) {
            assert!(walk(probe, query).await.is_empty(), "{text}");
        }
    }
}

/// A text of 10 kB is cut in the event, and asking for it finds the event.
pub async fn finds_what_was_cut(probe: &dyn LogProbe) {
    let (long, other) = ("x".repeat(10_000), "y".repeat(10_000));
    write(probe, &[named(1, &long), named(2, &other)]).await;
    for query in asking_for(&long) {
        assert_eq!(walk(probe, query).await, [1]);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_rule_there_is() {
        let written: BTreeSet<_> = include_str!("audit_log_rules.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split('(').next())
            .collect();
        assert_eq!(RULES.iter().copied().collect::<BTreeSet<_>>(), written);
    }
}

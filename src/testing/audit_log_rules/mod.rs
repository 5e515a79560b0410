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

mod filters;
mod paging;
mod texts;
mod trouble;

use std::sync::Arc;

use async_trait::async_trait;

pub use filters::{
    filters_as_the_query_means_it, keeps_to_events_without_a_tenant,
    pages_through_what_a_filter_leaves, reads_nothing_of_no_kind,
    takes_moments_at_the_ends_of_time, takes_the_first_moment_and_not_the_last,
};
pub use paging::{
    goes_on_behind_any_event, has_no_next_page_after_the_last_event, has_nothing_to_read_at_first,
    keeps_pages_within_their_bounds, pages_hold_every_event_once,
    reads_events_as_they_were_written, reads_on_where_it_once_ended,
};
pub use texts::{compares_hostile_texts_byte_for_byte, finds_what_was_cut, knows_no_wildcards};
pub use trouble::{
    loses_and_repeats_nothing_while_others_write, names_an_event_that_cannot_be_read,
};

use crate::audit::{AuditEvent, AuditKind, AuditLog, AuditPage, AuditQuery, AuditSink, EventId};
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::RULES;

    #[test]
    fn lists_every_rule_there_is() {
        let files = [
            include_str!("filters.rs"),
            include_str!("paging.rs"),
            include_str!("texts.rs"),
            include_str!("trouble.rs"),
        ];
        let written: BTreeSet<_> = files
            .iter()
            .flat_map(|file| file.lines())
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split('(').next())
            .collect();
        assert_eq!(RULES.iter().copied().collect::<BTreeSet<_>>(), written);
    }
}

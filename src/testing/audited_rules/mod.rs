//! The rules of [`AuditedStore`] beyond those of a store, one function each.
//!
//! A store says how its trail is read back by implementing [`AuditedProbe`];
//! [`audited_store_conformance!`](crate::audited_store_conformance) then makes one named test of every rule. Run
//! [`key_store_conformance!`](crate::key_store_conformance) on it too: it is a store as any other.
#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    reason = "a rule that does not hold says so by a panic, as any assertion does"
)]

mod alone;
mod failed;
mod raced;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

pub use alone::{
    a_change_and_its_event_are_made, events_keep_everything_but_their_sequence,
    other_events_end_in_the_same_trail,
};
pub use failed::{
    a_known_event_id_leaves_no_change, a_refused_delete_leaves_no_event,
    a_refused_insert_leaves_no_event, a_refused_update_leaves_no_event,
};
pub use raced::{
    a_dropped_call_leaves_both_or_neither, a_reader_sees_the_trail_grow_at_its_end,
    an_owner_limit_that_is_raced_leaves_no_further_event,
    racing_changes_of_one_key_leave_an_event_each, sequences_have_no_gaps_when_raced,
};

use super::store_rules::sample::{NOW, find};
use crate::audit::{AuditEvent, AuditKind, EventId};
use crate::key::{KeyId, KeyRecord};
use crate::random::{OsRandom, SecureRandom as _};
use crate::store::{AuditedStore, InsertKey};

/// A fresh store, and how to read its trail.
#[async_trait]
pub trait AuditedProbe: Send + Sync {
    /// Returns the store, and perhaps further handles over the same data, as other processes have them.
    fn stores(&self) -> Vec<Arc<dyn AuditedStore>>;

    /// Returns the trail in its order, each event with the name under which its sequence was counted.
    async fn read(&self) -> Vec<(String, AuditEvent)>;
}

/// The table from which the tests and [`RULES`] are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __audited_store_rules {
    ($callback:path $(, $argument:tt)*) => {
        $callback! { ($($argument),*)
            a_change_and_its_event_are_made
            a_dropped_call_leaves_both_or_neither
            a_known_event_id_leaves_no_change
            a_reader_sees_the_trail_grow_at_its_end
            a_refused_delete_leaves_no_event
            a_refused_insert_leaves_no_event
            a_refused_update_leaves_no_event
            an_owner_limit_that_is_raced_leaves_no_further_event
            events_keep_everything_but_their_sequence
            other_events_end_in_the_same_trail
            racing_changes_of_one_key_leave_an_event_each
            sequences_have_no_gaps_when_raced
        }
    };
}

/// Makes one test of every rule, in a module of the given name.
///
/// The second argument is a path, as seen from inside that module, to an `async fn() -> impl AuditedProbe` that returns a
/// fresh, empty store. The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! audited_store_conformance {
    ($module:ident, $factory:path) => {
        mod $module {
            $crate::__audited_store_rules!($crate::__rule_tests, audited_rules, {
                $factory().await
            });
        }
    };
}

__audited_store_rules!(super::suite::rule_names);

fn store(probe: &dyn AuditedProbe) -> Arc<dyn AuditedStore> {
    probe.stores().into_iter().next().expect("a store")
}

/// An event that nobody else has.
fn event(kind: AuditKind, id: &KeyId) -> AuditEvent {
    let mut random = [0; EventId::RANDOM_BYTES];
    OsRandom::new().fill(&mut random).expect("randomness");
    AuditEvent::new(kind, NOW)
        .with_id(EventId::new(NOW, &random))
        .with_key_id(id.as_str())
}

/// Inserts with an event, which is returned.
async fn create(store: &dyn AuditedStore, record: &KeyRecord) -> AuditEvent {
    let event = event(AuditKind::KeyCreated, &record.id);
    let created = store.insert_with_event(InsertKey::new(record.clone()), &event);
    created.await.expect("an insert of a new id succeeds");
    event
}

async fn events(probe: &dyn AuditedProbe) -> Vec<AuditEvent> {
    let trail = probe.read().await;
    trail.into_iter().map(|(_, event)| event).collect()
}

async fn ids(probe: &dyn AuditedProbe) -> Vec<Option<EventId>> {
    events(probe).await.iter().map(AuditEvent::id).collect()
}

/// Each recorder counts from one, without a gap, in the order of the trail.
async fn assert_gapless(probe: &dyn AuditedProbe) {
    let mut recorders: BTreeMap<String, u64> = BTreeMap::new();
    for (recorder, event) in probe.read().await {
        let last = recorders.entry(recorder).or_default();
        *last += 1;
        assert_eq!(event.sequence(), Some(*last));
    }
}

/// A key is there if its creation is in the trail and its deletion is not, and as many updates are in the trail as were
/// made.
async fn assert_agree(probe: &dyn AuditedProbe, id: &KeyId) {
    let trail = events(probe).await;
    let of = |kind| {
        let of_key =
            |event: &&AuditEvent| event.kind() == kind && event.key_id() == Some(id.as_str());
        u64::try_from(trail.iter().filter(of_key).count()).expect("a small number")
    };
    let found = find(&*store(probe), id).await;
    let (created, deleted) = (of(AuditKind::KeyCreated), of(AuditKind::KeyDeleted));
    assert!(created <= 1 && deleted <= created);
    assert_eq!(u64::from(found.is_some()), created - deleted);
    if let Some(record) = found {
        assert_eq!(record.revision.number() - 1, of(AuditKind::KeyUpdated));
    }
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_stands_in_the_table() {
        let sources = [
            include_str!("alone.rs"),
            include_str!("failed.rs"),
            include_str!("raced.rs"),
        ];
        let mut written: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        written.sort_unstable();
        assert_eq!(RULES, written);
    }
}

//! The contract of [`FactorStore`] as code: one function for each rule.
//!
//! [`factor_store_conformance!`](crate::factor_store_conformance) makes a named test of each.
#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a rule that does not hold says so by a panic, as any assertion does"
)]

mod handles;
mod macros;
mod races;
mod rows;

use crate::key::ActorRef;
use crate::second_factor::{FactorRevision, FactorStore, FactorStoreError, StoredFactor};

pub use self::handles::FactorHandles;
pub use self::races::{
    of_racing_first_writes_one_succeeds, of_racing_removals_one_succeeds,
    of_racing_writes_one_succeeds,
};
pub use self::rows::{
    a_first_write_needs_an_empty_place, a_removal_needs_the_revision_that_is_kept,
    a_row_made_anew_is_not_the_one_before_it, a_write_needs_the_revision_that_is_kept,
    actors_are_compared_by_their_bytes, find_answers_none_for_an_unknown_actor,
    long_actors_and_states_come_back_unchanged, what_is_written_comes_back,
    writes_are_seen_from_every_handle,
};

crate::__factor_store_rules!(super::suite::rule_names);

fn actor(name: &str) -> ActorRef {
    name.parse().expect("it is an actor's name")
}

fn row(revision: i64, state: &str) -> StoredFactor {
    StoredFactor::new(FactorRevision::from_number(revision), state)
}

async fn found(store: &dyn FactorStore, actor: &ActorRef) -> Option<StoredFactor> {
    store.find(actor).await.expect("a read succeeds")
}

async fn first(store: &dyn FactorStore, actor: &ActorRef, row: &StoredFactor) {
    let written = store.write(actor, None, row).await;
    written.expect("nothing is there yet");
}

fn is_conflict<T>(outcome: &Result<T, FactorStoreError>) -> bool {
    matches!(outcome, Err(FactorStoreError::Conflict))
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_stands_in_the_table() {
        let sources = [include_str!("races.rs"), include_str!("rows.rs")];
        let mut written: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        let mut listed = RULES.to_vec();
        written.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, written);
    }
}

//! The contract of [`KeyStore`](crate::store::KeyStore) as code: one function for each rule.
//!
//! [`key_store_conformance!`](crate::key_store_conformance) makes a named test of each; `docs/store-contract.md` tells
//! how to run them on a store of your own.
#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    reason = "a rule that does not hold says so by a panic, as any assertion does"
)]

mod delete;
mod fleet;
mod handles;
mod insert;
mod list;
mod macros;
mod owner_limit;
pub(super) mod sample;
mod update;
mod usage;

pub use delete::{
    delete_answers_not_found_for_an_unknown_id, delete_refuses_a_stale_revision,
    delete_removes_the_record,
};
pub use fleet::{
    a_revocation_holds_for_the_next_request_of_every_service,
    a_verification_under_way_during_a_revocation_opens_nothing,
    racing_rotations_leave_one_successor,
};
pub use handles::Handles;
pub use insert::{
    find_answers_none_for_an_unknown_id, ids_are_compared_by_their_bytes,
    insert_refuses_an_existing_id, owners_are_compared_by_their_bytes, records_come_back_unchanged,
    writes_are_seen_from_every_handle,
};
pub use list::{
    list_combines_filters, list_filters_by_creation, list_filters_by_environment,
    list_filters_by_expiry, list_filters_by_exposure, list_filters_by_owner, list_filters_by_role,
    list_filters_by_rotation, list_filters_by_status, list_filters_by_tenant,
    list_filters_by_usage, list_is_newest_first, list_orders_by_age_of_the_secret,
    list_orders_by_expiry, pages_are_complete_while_keys_are_inserted,
    pages_are_of_the_size_asked_for,
};
pub use owner_limit::{
    owner_limit_counts_active_keys_only, owner_limit_counts_one_owner_only,
    owner_limit_holds_when_raced, undeclared_owner_limits_are_refused,
};
pub use update::{
    racing_updates_lose_nothing, update_answers_not_found_for_an_unknown_id,
    update_keeps_what_never_changes, update_refuses_a_stale_revision,
    update_replaces_what_may_change,
};
pub use usage::{
    records_come_back_with_their_usage, undeclared_usage_is_accepted_and_dropped,
    update_leaves_usage_alone, usage_follows_its_generation_through_a_rotation,
    usage_leaves_the_revision, usage_moves_forwards_only, usage_never_brings_back_a_deleted_key,
    usage_never_creates_a_record, usage_never_undoes_a_change,
    usage_of_an_unknown_generation_counts_for_the_key,
};

/// The names of all rules, as [`key_store_conformance!`](crate::key_store_conformance) runs them.
pub const RULES: &[&str] = crate::key_store_conformance!(@table names ());

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_stands_in_the_table() {
        let sources = [
            include_str!("delete.rs"),
            include_str!("fleet.rs"),
            include_str!("insert.rs"),
            include_str!("list.rs"),
            include_str!("owner_limit.rs"),
            include_str!("update.rs"),
            include_str!("usage.rs"),
        ];
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

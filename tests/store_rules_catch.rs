//! The rules themselves: each mistake that a store could make fails the rule that is meant to catch it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

mod store_broken;

use keyward::testing::store_rules::{self, Handles};
use store_broken::{Broken, Defect};

/// Runs one rule against a store with one defect.
macro_rules! catches {
    ($($test:ident: $rule:ident catches $defect:ident;)*) => {$(
        // On one thread, where the order of racing tasks is fixed.
        #[tokio::test]
        async fn $test() {
            let sound = Handles::new(Broken::new(Defect::Nothing));
            store_rules::$rule(&sound).await;
            let broken = tokio::spawn(async {
                store_rules::$rule(&Handles::new(Broken::new(Defect::$defect))).await;
            });
            assert!(broken.await.is_err_and(|error| error.is_panic()));
        }
    )*};
}

catches! {
    catches_a_cache_that_outlives_a_revocation: a_revocation_holds_for_the_next_request_of_every_service
        catches CachesReads;
    catches_a_cache_between_two_reads: a_verification_under_way_during_a_revocation_opens_nothing catches CachesReads;
    catches_rotations_that_overwrite_each_other: racing_rotations_leave_one_successor catches TakesAnyRevision;
    catches_a_cache: writes_are_seen_from_every_handle catches CachesReads;
    catches_a_limit_over_all_keys: owner_limit_counts_active_keys_only catches CountsAllKeysAgainstTheLimit;
    catches_a_limit_checked_beforehand: owner_limit_holds_when_raced catches CountsThenInserts;
    catches_a_limit_forgotten: owner_limit_counts_one_owner_only catches IgnoresTheLimit;
    catches_pages_that_skip: pages_are_complete_while_keys_are_inserted catches CutsPagesWithoutTheId;
    catches_pages_that_end_early: pages_are_of_the_size_asked_for catches SaysNoMore;
    catches_a_delete_of_any_revision: delete_refuses_a_stale_revision catches DeletesAnyRevision;
    catches_a_delete_of_nothing: delete_answers_not_found_for_an_unknown_id catches DeletesUnknownKeys;
    catches_folded_ids: ids_are_compared_by_their_bytes catches FoldsCaseOfIds;
    catches_folded_owners: owners_are_compared_by_their_bytes catches FoldsCaseOfOwners;
    catches_an_overwriting_insert: insert_refuses_an_existing_id catches InsertsOverOthers;
    catches_the_wrong_order: list_is_newest_first catches ListsOldestFirst;
    catches_an_order_ignored: list_orders_by_expiry catches IgnoresTheOrder;
    catches_an_update_in_two_steps: racing_updates_lose_nothing catches ReadsThenUpdates;
    catches_rounded_moments: records_come_back_unchanged catches RoundsToMilliseconds;
    catches_an_update_of_any_revision: update_refuses_a_stale_revision catches TakesAnyRevision;
    catches_a_creating_update: update_answers_not_found_for_an_unknown_id catches UpdatesCreate;
    catches_a_moved_owner: update_keeps_what_never_changes catches UpdatesMoveOwners;
    catches_an_update_of_usage: update_leaves_usage_alone catches UpdatesWriteUsage;
    catches_a_resurrection: usage_never_brings_back_a_deleted_key catches UsageBringsBack;
    catches_usage_going_back: usage_moves_forwards_only catches UsageGoesBackwards;
    catches_usage_that_counts_as_a_change: usage_leaves_the_revision catches UsageIsAChange;
    catches_usage_on_the_wrong_secret: usage_follows_its_generation_through_a_rotation
        catches UsageStaysWithTheCurrentSecret;
    catches_usage_in_two_steps: usage_never_undoes_a_change catches UsageWritesTheWholeRecord;
}

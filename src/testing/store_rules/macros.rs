/// Makes a module of tests, one for each rule of the [`KeyStore`](crate::store::KeyStore) contract.
///
/// The second argument is a future that opens a fresh, empty store; it is written out once for each test. It may give
/// any store, or [`Handles`](crate::testing::store_rules::Handles) when the store can be opened twice. A store that
/// does without a capability says so: its rules then show as ignored, another rule holds the store to how it must
/// refuse, and a declaration that does not agree with
/// [`capabilities`](crate::store::KeyStore::capabilities) fails.
///
/// The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
///
/// ```
/// use keyward::store::MemoryStore;
///
/// keyward::key_store_conformance!(memory, async { MemoryStore::new() });
/// # mod without {
/// # use keyward::store::MemoryStore;
/// // For a store that keeps no last uses:
/// keyward::key_store_conformance!(memory, async { MemoryStore::new() }, without [usage]);
/// # }
/// ```
#[macro_export]
macro_rules! key_store_conformance {
    ($module:ident, $factory:expr $(,)?) => {
        $crate::key_store_conformance!(@table module ($module, $factory, declared, declared));
    };
    ($module:ident, $factory:expr, without [usage] $(,)?) => {
        $crate::key_store_conformance!(@table module ($module, $factory, undeclared, declared));
    };
    ($module:ident, $factory:expr, without [owner_limit] $(,)?) => {
        $crate::key_store_conformance!(@table module ($module, $factory, declared, undeclared));
    };
    ($module:ident, $factory:expr, without [usage, owner_limit] $(,)?) => {
        $crate::key_store_conformance!(@table module ($module, $factory, undeclared, undeclared));
    };

    // The one table of rules.
    (@table $then:ident $arguments:tt) => {
        $crate::key_store_conformance! { @$then $arguments
            core [
                a_revocation_holds_for_the_next_request_of_every_service
                a_verification_under_way_during_a_revocation_opens_nothing
                delete_answers_not_found_for_an_unknown_id
                delete_refuses_a_stale_revision
                delete_removes_the_record
                find_answers_none_for_an_unknown_id
                ids_are_compared_by_their_bytes
                insert_refuses_an_existing_id
                list_combines_filters
                list_filters_by_creation
                list_filters_by_environment
                list_filters_by_expiry
                list_filters_by_exposure
                list_filters_by_owner
                list_filters_by_role
                list_filters_by_rotation
                list_filters_by_status
                list_filters_by_tenant
                list_is_newest_first
                list_orders_by_age_of_the_secret
                list_orders_by_expiry
                owners_are_compared_by_their_bytes
                pages_are_complete_while_keys_are_inserted
                pages_are_of_the_size_asked_for
                racing_rotations_leave_one_successor
                racing_updates_lose_nothing
                records_come_back_unchanged
                update_answers_not_found_for_an_unknown_id
                update_keeps_what_never_changes
                update_refuses_a_stale_revision
                update_replaces_what_may_change
                writes_are_seen_from_every_handle
            ]
            usage [
                list_filters_by_usage
                records_come_back_with_their_usage
                update_leaves_usage_alone
                usage_follows_its_generation_through_a_rotation
                usage_leaves_the_revision
                usage_moves_forwards_only
                usage_never_brings_back_a_deleted_key
                usage_never_creates_a_record
                usage_never_undoes_a_change
                usage_of_an_unknown_generation_counts_for_the_key
            ] else [
                undeclared_usage_is_accepted_and_dropped
            ]
            owner_limit [
                owner_limit_counts_active_keys_only
                owner_limit_counts_one_owner_only
                owner_limit_holds_when_raced
            ] else [
                undeclared_owner_limits_are_refused
            ]
        }
    };

    (@names ()
        core [$($core:ident)*]
        usage [$($usage:ident)*] else [$($no_usage:ident)*]
        owner_limit [$($limit:ident)*] else [$($no_limit:ident)*]
    ) => {
        &[$(stringify!($core),)* $(stringify!($usage),)* $(stringify!($no_usage),)*
          $(stringify!($limit),)* $(stringify!($no_limit),)*]
    };

    (@module ($module:ident, $factory:expr, $has_usage:ident, $has_limit:ident)
        core $core:tt
        usage $usage:tt else $no_usage:tt
        owner_limit $limit:tt else $no_limit:tt
    ) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            #[::tokio::test]
            async fn declares_what_it_can() {
                let handles = $crate::testing::store_rules::Handles::from(($factory).await);
                let capabilities = handles.store().capabilities();
                assert_eq!(stringify!($has_usage) == "declared", capabilities.usage);
                assert_eq!(stringify!($has_limit) == "declared", capabilities.owner_limit);
            }

            $crate::key_store_conformance!(@tests declared $factory, $core);
            $crate::key_store_conformance!(@tests $has_usage $factory, $usage else $no_usage);
            $crate::key_store_conformance!(@tests $has_limit $factory, $limit else $no_limit);
        }
    };

    (@tests declared $factory:expr, [$($rule:ident)*] $(else $unused:tt)?) => {
        $crate::__rule_tests! {
            (store_rules, $crate::testing::store_rules::Handles::from(($factory).await))
            $($rule)*
        }
    };
    (@tests undeclared $factory:expr, [$($rule:ident)*] else $instead:tt) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "the store does not declare the capability"]
            async fn $rule() {
                let handles = $crate::testing::store_rules::Handles::from(($factory).await);
                $crate::testing::store_rules::$rule(&handles).await;
            }
        )*
        $crate::key_store_conformance!(@tests declared $factory, $instead);
    };
}

/// Makes a module of tests, one for each rule of the [`FactorStore`](crate::second_factor::FactorStore) contract.
///
/// The second argument is a future that opens a fresh, empty store; it is written out once for each test. It may give
/// any store, or [`FactorHandles`](crate::testing::factor_rules::FactorHandles) when the store can be opened twice.
///
/// The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
///
/// ```
/// use keyward::second_factor::MemoryFactorStore;
///
/// keyward::factor_store_conformance!(memory, async { MemoryFactorStore::new() });
/// ```
#[macro_export]
macro_rules! factor_store_conformance {
    ($module:ident, $factory:expr $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::__factor_store_rules!($crate::__rule_tests, factor_rules, {
                $crate::testing::factor_rules::FactorHandles::from(($factory).await)
            });
        }
    };
}

/// The table from which the tests and [`RULES`](crate::testing::factor_rules::RULES) are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __factor_store_rules {
    ($callback:path $(, $argument:tt)*) => {
        $callback! { ($($argument),*)
            a_first_write_needs_an_empty_place
            a_removal_needs_the_revision_that_is_kept
            a_row_made_anew_is_not_the_one_before_it
            a_write_needs_the_revision_that_is_kept
            actors_are_compared_by_their_bytes
            find_answers_none_for_an_unknown_actor
            long_actors_and_states_come_back_unchanged
            of_racing_first_writes_one_succeeds
            of_racing_removals_one_succeeds
            of_racing_writes_one_succeeds
            what_is_written_comes_back
            writes_are_seen_from_every_handle
        }
    };
}

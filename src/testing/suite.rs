//! What the conformance suites share: from a table of rules to tests, and to a list of names.
//!
//! A suite's table is a macro that hands its rules to another one, with the arguments it was given.

/// Makes one test of every rule. `$subject` is what the rules of the module `testing::$suite` look at, made anew for each.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule_tests {
    (($suite:ident, $subject:expr) $($rule:ident)*) => {$(
        #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $rule() {
            let subject = $subject;
            $crate::testing::$suite::$rule(&subject).await;
        }
    )*};
}

/// Makes the list of names.
macro_rules! rule_names {
    (() $($rule:ident)*) => {
        /// The names of all rules.
        pub const RULES: &[&str] = &[$(stringify!($rule),)*];
    };
}

pub(super) use rule_names;

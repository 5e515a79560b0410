//! The rules every [`NoticeLog`] keeps, one function each.
//!
//! [`notice_log_conformance!`](crate::notice_log_conformance) makes one named test of every rule. The rules panic when they
//! are broken, as tests do.
//!
//! ```
//! use keyward::notice::MemoryNoticeLog;
//! use keyward::testing::notice_rules::LogHandles;
//!
//! async fn memory() -> LogHandles {
//!     let log = MemoryNoticeLog::new();
//!     LogHandles::new(log.clone(), log)
//! }
//!
//! // In a test file:
//! keyward::notice_log_conformance!(memory_log, super::memory);
//! # fn main() {}
//! ```
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken rule panics, like any test; the module's page says so once"
)]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::key::KeyId;
use crate::notice::{Claim, NoticeId, NoticeLog};
use crate::time::Timestamp;

/// A fresh, empty log, opened twice, as by two processes.
#[derive(Debug)]
pub struct LogHandles {
    log: Arc<dyn NoticeLog>,
    other: Arc<dyn NoticeLog>,
    kept: Box<dyn Kept>,
}

/// Something that only has to live as long as the handles.
trait Kept: Debug + Send + Sync {}

impl<T: Debug + Send + Sync> Kept for T {}

impl LogHandles {
    /// Returns two handles of one log.
    pub fn new(log: impl NoticeLog, other: impl NoticeLog) -> Self {
        Self {
            log: Arc::new(log),
            other: Arc::new(other),
            kept: Box::new(()),
        }
    }

    /// Keeps something until the test is over, such as the folder that the log lies in.
    #[must_use]
    pub fn keeping(mut self, thing: impl Debug + Send + Sync + 'static) -> Self {
        self.kept = Box::new(thing);
        self
    }
}

/// The table from which the tests and [`RULES`] are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __notice_log_rules {
    ($callback:path $(, $argument:tt)*) => {
        $callback! { ($($argument),*)
            a_claim_closes_a_notice_until_the_moment_it_ends
            a_claim_that_ended_is_taken_over
            a_deferred_notice_is_open_at_its_moment_and_counted
            a_holder_defers_no_claim_but_its_own
            forgets_what_is_older_and_nothing_else
            of_twenty_that_claim_at_once_one_has_it
            opens_in_the_order_of_the_question
            tells_notices_apart_by_every_byte
            what_nobody_claimed_can_be_sent
            what_nobody_knows_is_open
            what_was_sent_stays_sent
        }
    };
}

/// Makes one test of every rule, in a module of the given name.
///
/// The second argument is a path, as seen from inside that module, to an `async fn() -> LogHandles` that gives a fresh, empty
/// log. The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! notice_log_conformance {
    ($module:ident, $factory:path) => {
        mod $module {
            $crate::__notice_log_rules!($crate::__rule_tests, notice_rules, { $factory().await });
        }
    };
}

__notice_log_rules!(super::suite::rule_names);

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const LEASE: Duration = Duration::from_secs(60);
const MICRO: Duration = Duration::from_micros(1);

fn id(number: u32, topic: &str) -> NoticeId {
    let key: KeyId = format!("{number:012}").parse().expect("twelve digits");
    NoticeId::new(key, topic)
}

fn at(span: Duration) -> Timestamp {
    NOW.saturating_add(span)
}

async fn claim(log: &dyn NoticeLog, id: &NoticeId, holder: &str, now: Timestamp) -> Option<u32> {
    let claim = Claim::new(holder, now, now.saturating_add(LEASE));
    log.claim(id, &claim).await.expect("the log answers")
}

async fn is_open(log: &dyn NoticeLog, id: &NoticeId, now: Timestamp) -> bool {
    let open = log.open(std::slice::from_ref(id), now).await;
    open.expect("the log answers") == [true]
}

async fn sent(log: &dyn NoticeLog, id: &NoticeId, moment: Timestamp) {
    log.sent(id, moment).await.expect("the log answers");
}

async fn defer(log: &dyn NoticeLog, id: &NoticeId, holder: &str, until: Timestamp) {
    log.defer(id, holder, until).await.expect("the log answers");
}

/// A notice that was never mentioned is open, and no question is no answer.
pub async fn what_nobody_knows_is_open(handles: &LogHandles) {
    let log = &*handles.log;
    assert!(is_open(log, &id(1, "a"), NOW).await);
    let none = log.open(&[], NOW).await.expect("the log answers");
    assert!(none.is_empty());
}

/// As long as a claim lasts nobody else has the notice, whoever asks; from its end on it is open.
pub async fn a_claim_closes_a_notice_until_the_moment_it_ends(handles: &LogHandles) {
    let (log, other, id) = (&*handles.log, &*handles.other, id(1, "a"));
    assert_eq!(claim(log, &id, "one", NOW).await, Some(0));
    for log in [log, other] {
        assert!(!is_open(log, &id, NOW).await);
        assert!(!is_open(log, &id, at(LEASE - MICRO)).await);
        assert!(is_open(log, &id, at(LEASE)).await);
    }
    assert_eq!(claim(other, &id, "two", at(LEASE - MICRO)).await, None);
    assert_eq!(claim(log, &id, "one", at(LEASE - MICRO)).await, None);
}

/// The claim of a sender that ended is another's, and then that one's only.
pub async fn a_claim_that_ended_is_taken_over(handles: &LogHandles) {
    let (log, other, id) = (&*handles.log, &*handles.other, id(1, "a"));
    assert_eq!(claim(log, &id, "one", NOW).await, Some(0));
    assert_eq!(claim(other, &id, "two", at(LEASE)).await, Some(0));
    assert_eq!(claim(log, &id, "one", at(LEASE)).await, None);
}

/// Twenty senders, of two processes, claim one notice at the same time.
pub async fn of_twenty_that_claim_at_once_one_has_it(handles: &LogHandles) {
    for round in 0..5 {
        let mut senders = JoinSet::new();
        for number in 0..20 {
            let handle = if number % 2 == 0 {
                &handles.log
            } else {
                &handles.other
            };
            let log = Arc::clone(handle);
            senders.spawn(async move {
                claim(&*log, &id(round, "a"), &format!("sender {number}"), NOW).await
            });
        }
        let outcomes = senders.join_all().await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_some());
        assert_eq!(winners.count(), 1, "round {round}: {outcomes:?}");
    }
}

/// Once sent, a notice is never open again, however it is asked for, and being sent twice changes nothing.
pub async fn what_was_sent_stays_sent(handles: &LogHandles) {
    let (log, other, id) = (&*handles.log, &*handles.other, id(1, "a"));
    assert_eq!(claim(log, &id, "one", NOW).await, Some(0));
    sent(log, &id, NOW).await;
    defer(log, &id, "one", NOW).await;
    sent(other, &id, at(LEASE)).await;
    let later = Timestamp::MAX;
    for log in [log, other] {
        assert!(!is_open(log, &id, later).await);
        assert_eq!(claim(log, &id, "two", later).await, None);
    }
}

/// A notice that need not be sent is noted without a claim.
pub async fn what_nobody_claimed_can_be_sent(handles: &LogHandles) {
    let (log, id) = (&*handles.log, id(1, "a"));
    sent(log, &id, NOW).await;
    assert!(!is_open(&*handles.other, &id, Timestamp::MAX).await);
    assert_eq!(claim(log, &id, "one", Timestamp::MAX).await, None);
}

/// A deferred notice is closed until its moment, and whoever claims it then learns how often it was deferred.
pub async fn a_deferred_notice_is_open_at_its_moment_and_counted(handles: &LogHandles) {
    let (log, other, id) = (&*handles.log, &*handles.other, id(1, "a"));
    let mut now = NOW;
    for deferred in 0..4 {
        assert_eq!(claim(other, &id, "one", now).await, Some(deferred));
        let until = now.saturating_add(LEASE * 10);
        defer(log, &id, "one", until).await;
        assert!(!is_open(other, &id, until.saturating_sub(MICRO)).await);
        assert!(is_open(other, &id, until).await);
        now = until;
    }
    assert_eq!(claim(log, &id, "one", now).await, Some(4));
    defer(log, &id, "one", NOW).await;
    assert!(is_open(log, &id, now).await, "it can be given back at once");
}

/// A sender whose claim has become another's changes nothing of that.
pub async fn a_holder_defers_no_claim_but_its_own(handles: &LogHandles) {
    let (log, other, id) = (&*handles.log, &*handles.other, id(1, "a"));
    assert_eq!(claim(log, &id, "one", NOW).await, Some(0));
    assert_eq!(claim(other, &id, "two", at(LEASE)).await, Some(0));
    defer(log, &id, "one", NOW).await;
    assert!(!is_open(log, &id, at(LEASE)).await);
    assert_eq!(claim(log, &id, "three", at(LEASE * 2)).await, Some(0));
}

/// Key and topic, both, to the last byte.
pub async fn tells_notices_apart_by_every_byte(handles: &LogHandles) {
    let log = &*handles.log;
    sent(log, &id(1, "topic/1"), NOW).await;
    for other in [
        "topic/2",
        "Topic/1",
        "topic/1 ",
        "topic/",
        "",
        "' OR 1=1 --",
        "tópic/1",
    ] {
        assert!(is_open(log, &id(1, other), NOW).await, "{other}");
        assert_eq!(
            claim(log, &id(1, other), "one", NOW).await,
            Some(0),
            "{other}"
        );
    }
    assert!(is_open(log, &id(2, "topic/1"), NOW).await);
    assert!(!is_open(log, &id(1, "topic/1"), NOW).await);
}

/// A long question gets one answer for each of its notices, in their order.
pub async fn opens_in_the_order_of_the_question(handles: &LogHandles) {
    let log = &*handles.log;
    for number in (0..500).step_by(50) {
        sent(log, &id(number, "a"), NOW).await;
    }
    let mut ids: Vec<_> = (0..500).rev().map(|number| id(number, "a")).collect();
    ids.push(id(50, "b"));
    ids.push(id(50, "a"));
    let open = log.open(&ids, NOW).await.expect("the log answers");
    let mut expected: Vec<_> = (0..500).rev().map(|number| number % 50 != 0).collect();
    expected.extend([true, false]);
    assert_eq!(open, expected);
}

/// What was sent or tried before the moment is forgotten; what is younger, or claimed, is kept.
pub async fn forgets_what_is_older_and_nothing_else(handles: &LogHandles) {
    let log = &*handles.log;
    let (old, young, tried, claimed) = (id(1, "a"), id(2, "a"), id(3, "a"), id(4, "a"));
    sent(log, &old, NOW).await;
    sent(log, &young, at(MICRO)).await;
    assert_eq!(
        claim(log, &tried, "one", NOW.saturating_sub(LEASE)).await,
        Some(0)
    );
    assert_eq!(claim(log, &claimed, "one", NOW).await, Some(0));
    let forgotten = log.forget_before(at(MICRO)).await.expect("the log answers");
    assert_eq!(forgotten, 2);
    assert!(is_open(log, &old, NOW).await && is_open(log, &tried, NOW).await);
    assert!(!is_open(log, &young, NOW).await && !is_open(log, &claimed, NOW).await);
}

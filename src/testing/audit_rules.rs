//! The rules every [`AuditSink`] keeps, one function each.
//!
//! A sink says how it is read back by implementing [`SinkProbe`]; [`audit_sink_conformance!`](crate::audit_sink_conformance)
//! then makes one named test of every rule. The rules panic when they are broken, as tests do.
//!
//! ```
//! use std::sync::Arc;
//! use keyward::async_trait;
//! use keyward::audit::{AuditEvent, AuditSink, MemorySink};
//! use keyward::testing::audit_rules::{self, SinkProbe};
//!
//! struct Memory(MemorySink);
//!
//! #[async_trait]
//! impl SinkProbe for Memory {
//!     fn sink(&self) -> Arc<dyn AuditSink> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn read(&self) -> Vec<AuditEvent> {
//!         self.0.events()
//!     }
//!
//!     async fn text(&self) -> Option<String> {
//!         None
//!     }
//! }
//!
//! async fn memory() -> Memory {
//!     Memory(MemorySink::unbounded())
//! }
//!
//! // In a test file:
//! keyward::audit_sink_conformance!(memory_sink, super::memory);
//! # fn main() {}
//! ```
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken rule panics, like any test; the module's page says so once"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::audit::{ActorRef, AuditEvent, AuditKind, AuditSink, EventId};
use crate::time::Timestamp;

/// A fresh sink, and how to read back what was written to it.
#[async_trait]
pub trait SinkProbe: Send + Sync {
    /// Returns the sink.
    fn sink(&self) -> Arc<dyn AuditSink>;

    /// Returns every event in the sink, in the sink's order.
    async fn read(&self) -> Vec<AuditEvent>;

    /// Returns what the sink wrote as text, one event a line, if it writes text.
    async fn text(&self) -> Option<String>;
}

/// The table from which the tests and [`RULES`] are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __audit_sink_rules {
    ($callback:path $(, $argument:tt)*) => {
        $callback! { ($($argument),*)
            keeps_the_order
            has_the_batch_when_write_returned
            accepts_an_empty_batch
            accepts_a_large_batch
            keeps_every_field
            keeps_an_event_without_optional_fields
            keeps_hostile_text_on_one_line
            loses_nothing_between_concurrent_writers
            keeps_batches_apart
            has_everything_after_a_flush
            flushes_an_empty_sink
            remembers_the_last_sequence
            works_on_after_a_dropped_call
        }
    };
}

/// Makes one test of every rule, in a module of the given name.
///
/// The second argument is a path, as seen from inside that module, to an `async fn() -> impl SinkProbe` that returns a
/// fresh, empty sink. The crate that uses it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! audit_sink_conformance {
    ($module:ident, $factory:path) => {
        mod $module {
            $crate::__audit_sink_rules!($crate::__rule_tests, audit_rules, { $factory().await });
        }
    };
}

__audit_sink_rules!(super::suite::rule_names);

fn event(sequence: u64) -> AuditEvent {
    let [.., a, b] = sequence.to_be_bytes();
    let time = Timestamp::from_secs(1_700_000_000);
    AuditEvent::new(AuditKind::RequestCompleted, time)
        .with_sequence(sequence)
        .with_id(EventId::new(time, &[0, 0, 0, 0, 0, 0, 0, 0, a, b]))
}

fn batch(sequences: impl IntoIterator<Item = u64>) -> Vec<AuditEvent> {
    sequences.into_iter().map(event).collect()
}

async fn write(probe: &dyn SinkProbe, events: &[AuditEvent]) {
    probe.sink().write(events).await.expect("the sink writes");
}

async fn sequences(probe: &dyn SinkProbe) -> Vec<u64> {
    let events = probe.read().await;
    events.iter().filter_map(AuditEvent::sequence).collect()
}

/// Events come back in the order of the calls, and within a call in the order given.
pub async fn keeps_the_order(probe: &dyn SinkProbe) {
    for first in [1, 4, 7] {
        write(probe, &batch(first..first + 3)).await;
    }
    assert_eq!(sequences(probe).await, (1..=9).collect::<Vec<_>>());
}

/// A batch can be read as soon as `write` returned, without a flush.
pub async fn has_the_batch_when_write_returned(probe: &dyn SinkProbe) {
    let written = batch(1..=2);
    write(probe, &written).await;
    assert_eq!(probe.read().await, written);
}

/// An empty batch is written without effect.
pub async fn accepts_an_empty_batch(probe: &dyn SinkProbe) {
    write(probe, &[]).await;
    write(probe, &batch([1])).await;
    write(probe, &[]).await;
    assert_eq!(sequences(probe).await, [1]);
}

/// A thousand events in one call are all kept.
pub async fn accepts_a_large_batch(probe: &dyn SinkProbe) {
    let written = batch(1..=1000);
    write(probe, &written).await;
    assert_eq!(probe.read().await, written);
}

/// Every field comes back as it was.
pub async fn keeps_every_field(probe: &dyn SinkProbe) {
    let full = event(1)
        .with_failure("refused")
        .with_actor(ActorRef::user("ana"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_tenant("north")
        .with_role("reader")
        .with_client_ip([192, 0, 2, 1].into())
        .with_peer_ip([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into())
        .with_user_agent("curl/8.0 (ä€😀)")
        .with_request_id("r-1")
        .with_method("GET")
        .with_route("/users/{id}")
        .with_status(403)
        .with_duration(Duration::from_micros(1500))
        .with_detail("limit", i64::MIN)
        .with_detail("quota", "minute");
    write(probe, std::slice::from_ref(&full)).await;
    assert_eq!(probe.read().await, [full]);
}

/// What was not set comes back as not set.
pub async fn keeps_an_event_without_optional_fields(probe: &dyn SinkProbe) {
    let bare = event(1);
    write(probe, std::slice::from_ref(&bare)).await;
    assert_eq!(probe.read().await, [bare]);
}

/// No text can end its line, and each comes back as it was, but for the cut at its bound.
pub async fn keeps_hostile_text_on_one_line(probe: &dyn SinkProbe) {
    let written: Vec<_> = HOSTILE
        .iter()
        .zip(1..)
        .map(|(text, n)| hostile(n, text))
        .collect();
    write(probe, &written).await;
    assert_eq!(probe.read().await, written);
    if let Some(text) = probe.text().await {
        assert_eq!(text.lines().count(), written.len());
        let leaves_the_line = |c: &char| c.is_control() || BREAKING.contains(c);
        let found = text.chars().filter(|c| *c != '\n').find(leaves_the_line);
        assert_eq!(found, None, "stands unescaped in a line");
    }
}

/// Texts that have broken logs: line ends, escape sequences, direction changes, quotes, and sheer length.
const HOSTILE: &[&str] = &[
    "a\r\n{\"kind\":\"key_created\"}",
    "a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f",
    "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}",
    "\u{202e}gpj.exe\u{202c}\u{2066}x\u{2069}\u{200f}",
    "nul\0nul",
    "\"},{\"\\u000a\\",
    "",
    "\u{feff}\u{fffd}\u{10ffff}",
];

const BREAKING: &[char] = &[
    '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

fn hostile(sequence: u64, text: &str) -> AuditEvent {
    event(sequence)
        .with_actor(ActorRef::new(text, text))
        .with_key_id(text)
        .with_owner(text)
        .with_tenant(text)
        .with_role(text)
        .with_reason(text)
        .with_request_id(text)
        .with_method(text)
        .with_route(text)
        .with_user_agent(&text.repeat(1 << 14))
        .with_detail(text, text)
}

const WRITERS: u64 = 8;
const BATCHES: u64 = 16;
const BATCH: u64 = 4;

/// Starts several tasks that write batches of their own at the same time; the sequences of a batch follow each other.
async fn write_concurrently(probe: &dyn SinkProbe) {
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let sink = probe.sink();
        tasks.spawn(async move {
            for nth in 0..BATCHES {
                let first = (writer * BATCHES + nth) * BATCH;
                let events = batch(first..first + BATCH);
                sink.write(&events).await.expect("the sink writes");
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the task ends");
    }
}

/// Events of writers at work at the same time all arrive, once.
pub async fn loses_nothing_between_concurrent_writers(probe: &dyn SinkProbe) {
    write_concurrently(probe).await;
    let arrived = sequences(probe).await;
    let expected: BTreeSet<_> = (0..WRITERS * BATCHES * BATCH).collect();
    assert_eq!(arrived.len(), expected.len());
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Events of one call stay together when others write at the same time.
pub async fn keeps_batches_apart(probe: &dyn SinkProbe) {
    write_concurrently(probe).await;
    let arrived = sequences(probe).await;
    for found in arrived.chunks(4) {
        let first = found.first().copied().unwrap_or_default();
        assert_eq!(first % BATCH, 0);
        assert_eq!(found, (first..first + BATCH).collect::<Vec<_>>());
    }
}

/// A flush changes nothing that was written.
pub async fn has_everything_after_a_flush(probe: &dyn SinkProbe) {
    write(probe, &batch(1..=3)).await;
    probe.sink().flush().await.expect("the sink flushes");
    write(probe, &batch([4])).await;
    probe.sink().flush().await.expect("the sink flushes again");
    assert_eq!(sequences(probe).await, [1, 2, 3, 4]);
}

/// A flush with nothing to do succeeds.
pub async fn flushes_an_empty_sink(probe: &dyn SinkProbe) {
    probe.sink().flush().await.expect("the sink flushes");
    assert!(probe.read().await.is_empty());
}

/// `last_sequence` is nothing for an empty sink, and then the highest one. A sink that can be read back must know.
pub async fn remembers_the_last_sequence(probe: &dyn SinkProbe) {
    let last = async || {
        probe
            .sink()
            .last_sequence()
            .await
            .expect("the sink answers")
    };
    assert_eq!(last().await, None);
    write(probe, &batch(5..=7)).await;
    assert_eq!(last().await, Some(7));
    write(probe, &batch([9])).await;
    assert_eq!(last().await, Some(9));
}

/// After a call whose future was dropped at its first wait, later calls work and what is there can be read.
pub async fn works_on_after_a_dropped_call(probe: &dyn SinkProbe) {
    let sink = probe.sink();
    let dropped = batch(1..=3);
    let first_poll = std::future::poll_fn(|context| {
        let mut call = sink.write(&dropped);
        std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
    });
    first_poll.await;
    write(probe, &batch([4])).await;
    let arrived = sequences(probe).await;
    let (last, before) = arrived.split_last().expect("the later call is there");
    assert_eq!(*last, 4);
    assert!(
        before.is_empty() || before == [1, 2, 3],
        "half a batch: {before:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_rule_there_is() {
        let written: BTreeSet<_> = include_str!("audit_rules.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split('(').next())
            .collect();
        assert_eq!(RULES.iter().copied().collect::<BTreeSet<_>>(), written);
    }
}

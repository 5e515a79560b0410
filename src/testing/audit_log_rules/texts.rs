//! Rules of texts that somebody else has chosen.

use super::{LogProbe, event, walk, write};
use crate::audit::{ActorRef, AuditEvent, AuditQuery};

/// Texts that mean something to a database, a terminal or a pattern.
const HOSTILE: &[&str] = &[
    "",
    "'",
    "\"",
    "' OR '1'='1",
    "'; DROP TABLE keyward.audit; --",
    "$1",
    "?",
    "%",
    "_",
    "a%",
    "\\",
    "\\u0000",
    "nul\0nul",
    "\0",
    "a\r\nb",
    "\u{202e}gpj.exe\u{2066}",
    "a\u{2028}b",
    "a\u{2029}b",
    "\u{85}",
    "é",
    "e\u{301}",
    "acme",
    "Acme",
    "acme ",
    " acme",
    "\u{feff}acme",
    "\u{10ffff}",
];

fn named(number: u64, text: &str) -> AuditEvent {
    event(number)
        .with_key_id(text)
        .with_owner(text)
        .with_tenant(text)
        .with_actor(ActorRef::user(text))
}

/// The four filters that take a text.
fn asking_for(text: &str) -> [AuditQuery; 4] {
    let all = AuditQuery::new;
    [
        all().with_key_id(text),
        all().with_owner(text),
        all().with_tenant(text),
        all().with_actor(ActorRef::user(text)),
    ]
}

/// Every text finds the events that hold it, byte for byte, and no others.
pub async fn compares_hostile_texts_byte_for_byte(probe: &dyn LogProbe) {
    let events: Vec<_> = HOSTILE
        .iter()
        .zip(1..)
        .map(|(text, n)| named(n, text))
        .collect();
    write(probe, &events).await;
    for (text, number) in HOSTILE.iter().zip(1..) {
        for query in asking_for(text) {
            assert_eq!(walk(probe, query).await, [number], "{text:?}");
        }
    }
}

/// No character of a filter stands for others.
pub async fn knows_no_wildcards(probe: &dyn LogProbe) {
    write(probe, &[named(1, "abc")]).await;
    for text in [
        "%", "a%", "a_c", "___", "*", "a*", "ABC", "[a]bc", ".*", "ab",
    ] {
        for query in asking_for(text) {
            assert!(walk(probe, query).await.is_empty(), "{text}");
        }
    }
}

/// A text of 10 kB is cut in the event, and asking for it finds the event.
pub async fn finds_what_was_cut(probe: &dyn LogProbe) {
    let (long, other) = ("x".repeat(10_000), "y".repeat(10_000));
    write(probe, &[named(1, &long), named(2, &other)]).await;
    for query in asking_for(&long) {
        assert_eq!(walk(probe, query).await, [1]);
    }
}

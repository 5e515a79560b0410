//! Rules for one caller whose calls succeed.

use super::{AuditedProbe, assert_gapless, create, event, events, store};
use crate::audit::{ActorRef, AuditEvent, AuditKind, EventId};
use crate::key::Revision;
use crate::store::KeyStore as _;
use crate::testing::store_rules::sample::{NOW, find, full, id, plain, stored};

/// Each of the three does what it does without an event, and the events follow each other in the trail.
pub async fn a_change_and_its_event_are_made(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let record = full(1);
    let created = create(&*store, &record).await;
    assert_eq!(stored(&*store, &id(1)).await, record);

    let mut next = record.clone();
    next.name = "renamed".into();
    let updated = event(AuditKind::KeyUpdated, &id(1));
    next.revision = store
        .update_with_event(&next, &updated)
        .await
        .expect("the revision is the stored one");
    assert_eq!(next.revision, record.revision.next());
    assert_eq!(stored(&*store, &id(1)).await, next);

    let deleted = event(AuditKind::KeyDeleted, &id(1));
    let gone = store
        .delete_with_event(&id(1), next.revision, &deleted)
        .await;
    gone.expect("the revision is the stored one");
    assert!(find(&*store, &id(1)).await.is_none());

    let expected = [created, updated, deleted].map(|event| event.id());
    assert_eq!(super::ids(probe).await, expected);
    assert_gapless(probe).await;
}

/// Whatever an event holds comes back, and its line stays one line; its sequence is the store's to give.
pub async fn events_keep_everything_but_their_sequence(probe: &dyn AuditedProbe) {
    const TEXTS: [&str; 4] = [
        "a\r\n{\"kind\":\"key_created\",\"sequence\":7}",
        "nul\0 \u{1b}[2J \u{202e}gpj.exe \u{2028} \"quoted\" \\",
        "'; DROP TABLE keys; -- $1 {} %",
        "\u{feff}\u{10ffff} ä€😀",
    ];
    let store = store(probe);
    let mut expected = Vec::new();
    for (text, number) in TEXTS.into_iter().zip(1..) {
        let hostile = hostile(text, number);
        let inserted = crate::store::InsertKey::new(plain(number, "acme"));
        let inserted = store.insert_with_event(inserted, &hostile).await;
        inserted.expect("no event is refused for what it holds");
        expected.push(hostile.with_sequence(number.into()));
    }
    assert_eq!(events(probe).await, expected);
}

fn hostile(text: &str, number: u32) -> AuditEvent {
    let [a, b, c, d] = number.to_be_bytes();
    AuditEvent::new(AuditKind::KeyCreated, NOW)
        .with_id(EventId::new(NOW, &[a, b, c, d, 0, 0, 0, 0, 0, 0]))
        .with_sequence(u64::MAX)
        .with_failure(text)
        .with_actor(ActorRef::new(text, text))
        .with_key_id(text)
        .with_owner(text)
        .with_tenant(text)
        .with_role(text)
        .with_user_agent(&text.repeat(100))
        .with_request_id(text)
        .with_detail(text, text)
}

/// What is given to the store's sink stands in the trail too, in the order of the calls.
pub async fn other_events_end_in_the_same_trail(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let first = create(&*store, &plain(1, "acme")).await;
    let other = event(AuditKind::AuthenticationFailed, &id(1)).with_sequence(1);
    let sink = store.sink();
    let written = sink.write(std::slice::from_ref(&other)).await;
    written.expect("the sink writes");
    let last = create(&*store, &plain(2, "acme")).await;
    let expected = [first, other, last].map(|event| event.id());
    assert_eq!(super::ids(probe).await, expected);
    assert_gapless(probe).await;
    let left = store.find(&id(2)).await.expect("a find succeeds");
    assert_eq!(left.map(|record| record.revision), Some(Revision::new(1)));
}

use std::sync::Arc;

use super::Handles;
use super::sample::{
    DAY, NOW, edges, find, full, id, insert, plain, read, refused, rotated, stored, used,
};
use crate::key::{Generation, KeyId, KeyRecord, LastUse, Revision, Revocation};
use crate::store::{KeyStore, StoreError, Usage};
use crate::time::Timestamp;

const FIRST: Generation = Generation::FIRST;

async fn record(store: &dyn KeyStore, usage: &[Usage]) {
    let written = store.record_usage(usage).await;
    written.expect("usage can be written");
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

/// The usage that a record was inserted with comes back unchanged.
pub async fn records_come_back_with_their_usage(handles: &Handles) {
    let store = handles.store();
    let mut records: Vec<KeyRecord> = edges().into_iter().map(used).collect();
    records.push(used(full(7)));
    for record in &records {
        insert(store, record).await;
    }
    for record in &records {
        assert_eq!(stored(store, &record.id).await, *record);
    }
}

/// A use older than the stored one changes nothing, a newer one replaces moment and address.
pub async fn usage_moves_forwards_only(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    let (near, far) = (Some(read("192.0.2.1")), Some(read("2001:db8::1")));
    for (use_at, from, expected) in [
        (at(10), near, LastUse::new(at(10), near)),
        (at(9), far, LastUse::new(at(10), near)),
        (at(10), far, LastUse::new(at(10), near)),
        (at(11), None, LastUse::new(at(11), None)),
    ] {
        record(store, &[Usage::new(id(1), FIRST, use_at, from)]).await;
        let found = stored(store, &id(1)).await;
        assert_eq!(found.last_used, Some(expected));
        assert_eq!(found.current.last_used_at, Some(expected.at));
    }
    let batch = [at(40), at(20), at(30)].map(|moment| Usage::new(id(1), FIRST, moment, near));
    record(store, &batch).await;
    assert_eq!(
        stored(store, &id(1)).await.last_used,
        Some(LastUse::new(at(40), near))
    );
}

/// Usage of an unknown key is skipped, and the rest of its batch is written.
pub async fn usage_never_creates_a_record(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(2, "acme")).await;
    let batch = [1, 2, 3].map(|number| Usage::new(id(number), FIRST, at(0), None));
    record(store, &batch).await;
    record(store, &[]).await;
    assert!(find(store, &id(1)).await.is_none());
    assert!(find(store, &id(3)).await.is_none());
    assert_eq!(
        stored(store, &id(2)).await.last_used,
        Some(LastUse::new(at(0), None))
    );
}

/// Usage that arrives after a delete leaves the key deleted.
pub async fn usage_never_brings_back_a_deleted_key(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    store
        .delete(&id(1), Revision::FIRST)
        .await
        .expect("the revision is the stored one");
    record(handles.other(), &[Usage::new(id(1), FIRST, at(0), None)]).await;
    assert!(find(store, &id(1)).await.is_none());
}

/// Usage written while others disable, revoke and enable undoes none of it and is not lost itself.
pub async fn usage_never_undoes_a_change(handles: &Handles) {
    const USES: i64 = 40;
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    let tasks: Vec<_> = (0..)
        .zip(handles.shared(4))
        .map(|(task, store)| tokio::spawn(use_often(store, id(1), task, USES)))
        .collect();
    for round in 0..10 {
        // Where neither store nor runtime would interleave the tasks by themselves.
        tokio::task::yield_now().await;
        let mut next = stored(store, &id(1)).await;
        assert_eq!(next.disabled, round % 2 == 1, "round {round}");
        next.disabled = !next.disabled;
        store
            .update(&next)
            .await
            .expect("usage does not count as a change");
    }
    let mut next = stored(store, &id(1)).await;
    next.revocation = Some(Revocation::new(NOW, read("user:ana"), "over".into()));
    store
        .update(&next)
        .await
        .expect("usage does not count as a change");
    for task in tasks {
        task.await.expect("a task succeeds");
    }
    let last = stored(store, &id(1)).await;
    assert!(last.revocation.is_some());
    assert_eq!(last.last_used.map(|last| last.at), Some(at(4 * USES - 1)));
}

async fn use_often(store: Arc<dyn KeyStore>, id: KeyId, task: i64, uses: i64) {
    for number in 0..uses {
        record(
            &*store,
            &[Usage::new(id, FIRST, at(4 * number + task), None)],
        )
        .await;
    }
}

/// When a key is rotated, the last use of its old secret goes with it, and later uses reach the secret they name.
pub async fn usage_follows_its_generation_through_a_rotation(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    record(store, &[Usage::new(id(1), FIRST, at(1), None)]).await;
    let read_before = stored(store, &id(1)).await;
    record(store, &[Usage::new(id(1), FIRST, at(2), None)]).await;
    store
        .update(&rotated(&read_before))
        .await
        .expect("usage does not count as a change");
    assert_eq!(last_uses(store).await, (None, Some(at(2))));

    record(store, &[Usage::new(id(1), FIRST, at(4), None)]).await;
    record(store, &[Usage::new(id(1), FIRST.next(), at(3), None)]).await;
    assert_eq!(last_uses(store).await, (Some(at(3)), Some(at(4))));

    let again = rotated(&stored(store, &id(1)).await);
    store
        .update(&again)
        .await
        .expect("the revision is the stored one");
    assert_eq!(last_uses(store).await, (None, Some(at(3))));
    assert_eq!(
        stored(store, &id(1)).await.last_used.map(|last| last.at),
        Some(at(4))
    );
}

async fn last_uses(store: &dyn KeyStore) -> (Option<Timestamp>, Option<Timestamp>) {
    let record = stored(store, &id(1)).await;
    let previous = record.previous.and_then(|previous| previous.last_used_at);
    (record.current.last_used_at, previous)
}

/// Usage is no change: a record read before it can be updated after it.
pub async fn usage_leaves_the_revision(handles: &Handles) {
    let store = handles.store();
    let before = plain(1, "acme");
    insert(store, &before).await;
    record(store, &[Usage::new(id(1), FIRST, at(0), None)]).await;
    assert_eq!(stored(store, &id(1)).await.revision, before.revision);
    store
        .update(&before)
        .await
        .expect("the revision is the stored one");
    refused!(store.update(&before).await, StoreError::Conflict);
}

/// A use of a secret that is gone by now still counts as a use of the key.
pub async fn usage_of_an_unknown_generation_counts_for_the_key(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    record(store, &[Usage::new(id(1), Generation::new(9), at(0), None)]).await;
    let found = stored(store, &id(1)).await;
    assert_eq!(found.last_used, Some(LastUse::new(at(0), None)));
    assert_eq!(found.current.last_used_at, None);
}

/// An update made from an older read neither loses nor invents a use.
pub async fn update_leaves_usage_alone(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    let before = stored(store, &id(1)).await;
    record(
        store,
        &[Usage::new(id(1), FIRST, at(5), Some(read("192.0.2.1")))],
    )
    .await;
    store
        .update(&before)
        .await
        .expect("usage does not count as a change");
    let mut claim = stored(store, &id(1)).await;
    let expected = claim.clone();
    assert_eq!(
        expected.last_used,
        Some(LastUse::new(at(5), Some(read("192.0.2.1"))))
    );
    assert_eq!(expected.current.last_used_at, Some(at(5)));

    claim.last_used = Some(LastUse::new(at(5).saturating_add(DAY), None));
    claim.current.last_used_at = None;
    store
        .update(&claim)
        .await
        .expect("the revision is the stored one");
    let found = stored(store, &id(1)).await;
    assert_eq!(
        (found.last_used, found.current),
        (expected.last_used, expected.current)
    );
}

/// A store that keeps no usage takes it without an error and leaves the record as it is.
pub async fn undeclared_usage_is_accepted_and_dropped(handles: &Handles) {
    let store = handles.store();
    let before = plain(1, "acme");
    insert(store, &before).await;
    record(store, &[Usage::new(id(1), FIRST, at(0), None)]).await;
    assert_eq!(stored(store, &id(1)).await, before);
}

use std::sync::Arc;

use serde_json::json;

use super::Handles;
use super::sample::{DAY, NOW, find, full, id, insert, metadata, plain, read, refused, stored};
use crate::key::{Environment, KeyId, KeyKind, Revision};
use crate::store::{KeyStore, StoreError};

/// An update replaces settings, state and credentials, and its answer is the stored revision, one higher.
pub async fn update_replaces_what_may_change(handles: &Handles) {
    let store = handles.store();
    let before = plain(1, "acme");
    insert(store, &before).await;
    let mut next = full(1);
    (next.environment, next.kind) = (before.environment, before.kind);
    next.owner = before.owner.clone();
    (next.created_at, next.created_by) = (before.created_at, before.created_by);
    next.revision = before.revision;
    next.revision = store
        .update(&next)
        .await
        .expect("the revision is the stored one");
    assert_eq!(next.revision, before.revision.next());
    assert_eq!(stored(store, &id(1)).await, next);

    let mut bare = plain(1, "acme");
    bare.revision = next.revision;
    bare.revision = store
        .update(&bare)
        .await
        .expect("the revision is the stored one");
    assert_eq!(stored(store, &id(1)).await, bare);
}

/// Of two updates that were made from one revision the second is refused and changes nothing.
pub async fn update_refuses_a_stale_revision(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    let read = stored(store, &id(1)).await;
    let mut first = read.clone();
    first.disabled = true;
    store
        .update(&first)
        .await
        .expect("the revision is the stored one");
    refused!(store.update(&read).await, StoreError::Conflict);
    let mut ahead = read.clone();
    ahead.revision = Revision::new(7);
    refused!(store.update(&ahead).await, StoreError::Conflict);
    assert!(stored(store, &id(1)).await.disabled);
}

/// An update of a key that is not there is refused and creates nothing.
pub async fn update_answers_not_found_for_an_unknown_id(handles: &Handles) {
    let store = handles.store();
    refused!(store.update(&plain(1, "acme")).await, StoreError::NotFound);
    assert!(find(store, &id(1)).await.is_none());
}

/// Environment, kind, owner and creation stay as they were inserted, whatever an update says.
pub async fn update_keeps_what_never_changes(handles: &Handles) {
    let store = handles.store();
    let before = plain(1, "acme");
    insert(store, &before).await;
    let mut changed = before.clone();
    changed.environment = Environment::test();
    changed.kind = KeyKind::Publishable;
    changed.owner = read("mallory");
    changed.created_at = NOW.saturating_sub(DAY);
    changed.created_by = read("user:mallory");
    changed.name = "renamed".into();
    store
        .update(&changed)
        .await
        .expect("the revision is the stored one");

    let mut expected = before.clone();
    expected.name = "renamed".into();
    expected.revision = before.revision.next();
    assert_eq!(stored(store, &id(1)).await, expected);
}

/// Eight writers that read, change and update one record in a loop lose none of their changes.
pub async fn racing_updates_lose_nothing(handles: &Handles) {
    const WRITERS: usize = 8;
    const EACH: u64 = 5;
    let store = handles.store();
    let mut record = plain(1, "acme");
    record.metadata = metadata(json!({"count": 0}));
    insert(store, &record).await;
    let tasks: Vec<_> = handles
        .shared(WRITERS)
        .map(|store| tokio::spawn(count_up(store, id(1), EACH)))
        .collect();
    for task in tasks {
        task.await.expect("a writer succeeds");
    }
    let total = 8 * EACH;
    let record = stored(store, &id(1)).await;
    assert_eq!(record.metadata, metadata(json!({"count": total})));
    assert_eq!(record.revision.number(), 1 + total);
}

async fn count_up(store: Arc<dyn KeyStore>, id: KeyId, times: u64) {
    let mut left = times;
    while left > 0 {
        let mut record = stored(&*store, &id).await;
        let count = record
            .metadata
            .as_map()
            .get("count")
            .and_then(serde_json::Value::as_u64);
        record.metadata = metadata(json!({"count": count.unwrap_or(0) + 1}));
        match store.update(&record).await {
            Ok(_) => left -= 1,
            Err(StoreError::Conflict) => tokio::task::yield_now().await,
            Err(other) => panic!("a lost race is a conflict, not {other:?}"),
        }
    }
}

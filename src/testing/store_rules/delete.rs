use super::Handles;
use super::sample::{find, id, insert, plain, refused, stored};
use crate::key::Revision;
use crate::store::{ListKeys, StoreError};

/// A deleted record is neither found nor listed, and its neighbours stay.
pub async fn delete_removes_the_record(handles: &Handles) {
    let store = handles.store();
    insert(store, &plain(1, "acme")).await;
    insert(store, &plain(2, "acme")).await;
    store
        .delete(&id(1), Revision::FIRST)
        .await
        .expect("the revision is the stored one");
    assert!(find(store, &id(1)).await.is_none());
    let page = store.list(&ListKeys::new()).await.expect("a list succeeds");
    let ids: Vec<_> = page.records.iter().map(|record| record.id).collect();
    assert_eq!(ids, [id(2)]);
}

/// A delete that was decided on an older revision is refused and removes nothing.
pub async fn delete_refuses_a_stale_revision(handles: &Handles) {
    let store = handles.store();
    let record = plain(1, "acme");
    insert(store, &record).await;
    let now = store
        .update(&record)
        .await
        .expect("the revision is the stored one");
    refused!(
        store.delete(&id(1), Revision::FIRST).await,
        StoreError::Conflict
    );
    assert_eq!(stored(store, &id(1)).await.revision, now);
    store
        .delete(&id(1), now)
        .await
        .expect("the revision is the stored one");
}

/// A delete of a key that is not there says so, the second time too.
pub async fn delete_answers_not_found_for_an_unknown_id(handles: &Handles) {
    let store = handles.store();
    refused!(
        store.delete(&id(1), Revision::FIRST).await,
        StoreError::NotFound
    );
    insert(store, &plain(1, "acme")).await;
    store
        .delete(&id(1), Revision::FIRST)
        .await
        .expect("the revision is the stored one");
    refused!(
        store.delete(&id(1), Revision::FIRST).await,
        StoreError::NotFound
    );
}

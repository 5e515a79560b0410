use super::Handles;
use super::sample::{DAY, NOW, Outcome, find, id, insert, plain, read, refused};
use crate::key::{KeyRecord, Revocation};
use crate::store::{InsertKey, KeyStore, ListKeys, StoreError};

async fn insert_within(store: &dyn KeyStore, record: KeyRecord, limit: u32) -> Outcome<()> {
    let insert = InsertKey::new(record).with_owner_limit(limit);
    store.insert(insert).await
}

/// Revoked, disabled and expired keys do not count against an owner's limit; a refused insert stores nothing.
pub async fn owner_limit_counts_active_keys_only(handles: &Handles) {
    let store = handles.store();
    let mut revoked = plain(1, "acme");
    revoked.revocation = Some(Revocation::new(NOW, read("user:ana"), "over".into()));
    let mut disabled = plain(2, "acme");
    disabled.disabled = true;
    let mut expired = plain(3, "acme");
    expired.expires_at = Some(NOW);
    let mut expiring = plain(4, "acme");
    expiring.expires_at = Some(NOW.saturating_add(DAY));
    for record in [revoked, disabled, expired, expiring] {
        insert(store, &record).await;
    }
    refused!(
        insert_within(store, plain(5, "acme"), 1).await,
        StoreError::OwnerLimit { limit: 1 }
    );
    assert!(find(store, &id(5)).await.is_none());
    insert_within(store, plain(5, "acme"), 2)
        .await
        .expect("one of four is active");
    refused!(
        insert_within(store, plain(6, "acme"), 2).await,
        StoreError::OwnerLimit { limit: 2 }
    );
    insert(store, &plain(6, "acme")).await;
}

/// Keys of other owners do not count, and an id in use is still refused.
pub async fn owner_limit_counts_one_owner_only(handles: &Handles) {
    let store = handles.store();
    for (owner, number) in ["Acme", "acme ", "%", "acm_"].into_iter().zip(1..) {
        insert(store, &plain(number, owner)).await;
    }
    insert_within(store, plain(5, "acme"), 1)
        .await
        .expect("it is the owner's first");
    refused!(
        insert_within(store, plain(5, "acme"), 9).await,
        StoreError::AlreadyExists
    );
    refused!(
        insert_within(store, plain(6, "acme"), 0).await,
        StoreError::OwnerLimit { limit: 0 }
    );
}

/// Of twenty inserts that race for three places exactly three succeed.
pub async fn owner_limit_holds_when_raced(handles: &Handles) {
    let racers = (1..).zip(handles.shared(20)).map(|(number, store)| {
        tokio::spawn(async move { insert_within(&*store, plain(number, "acme"), 3).await })
    });
    let racers: Vec<_> = racers.collect();
    let mut accepted = 0;
    for racer in racers {
        match racer.await.expect("a task does not panic") {
            Ok(()) => accepted += 1,
            other => refused!(other, StoreError::OwnerLimit { limit: 3 }),
        }
    }
    assert_eq!(accepted, 3);
    let page = handles.store().list(&ListKeys::new()).await;
    assert_eq!(page.expect("a list succeeds").records.len(), 3);
}

/// A store that cannot hold an owner to a limit refuses the insert rather than forget the limit.
pub async fn undeclared_owner_limits_are_refused(handles: &Handles) {
    let store = handles.store();
    refused!(
        insert_within(store, plain(1, "acme"), 9).await,
        StoreError::Unsupported { .. }
    );
    assert!(find(store, &id(1)).await.is_none());
    insert(store, &plain(1, "acme")).await;
}

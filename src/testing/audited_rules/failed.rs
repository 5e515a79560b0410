//! Rules for calls that fail: neither change nor event.

use super::{AuditedProbe, assert_agree, create, event, ids, store};
use crate::audit::AuditKind;
use crate::key::Revision;
use crate::store::{AuditedError, InsertKey, KeyStore as _, StoreError};
use crate::testing::store_rules::sample::{find, id, plain, refused, stored};

/// An insert of an id in use is refused, and so is one beyond the owner's limit. Neither leaves anything.
pub async fn a_refused_insert_leaves_no_event(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let created = create(&*store, &plain(1, "acme")).await;
    let mut second = plain(1, "mallory");
    second.name = "second".into();
    let again = store
        .insert_with_event(
            InsertKey::new(second),
            &event(AuditKind::KeyCreated, &id(1)),
        )
        .await;
    refused!(again, AuditedError::Store(StoreError::AlreadyExists));
    assert_eq!(stored(&*store, &id(1)).await.name, "key 1");
    if store.capabilities().owner_limit {
        let mut within = InsertKey::new(plain(2, "acme"));
        within.owner_limit = Some(1);
        let beyond = event(AuditKind::KeyCreated, &id(2));
        let beyond = store.insert_with_event(within, &beyond).await;
        refused!(
            beyond,
            AuditedError::Store(StoreError::OwnerLimit { limit: 1 })
        );
        assert!(find(&*store, &id(2)).await.is_none());
    }
    assert_eq!(ids(probe).await, [created.id()]);
}

/// An update of a stale revision, or of a key that is not there, leaves nothing.
pub async fn a_refused_update_leaves_no_event(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let created = create(&*store, &plain(1, "acme")).await;
    let mut stale = plain(1, "acme");
    stale.disabled = true;
    stale.revision = Revision::new(7);
    let updated = event(AuditKind::KeyUpdated, &id(1));
    refused!(
        store.update_with_event(&stale, &updated).await,
        AuditedError::Store(StoreError::Conflict)
    );
    refused!(
        store.update_with_event(&plain(2, "acme"), &updated).await,
        AuditedError::Store(StoreError::NotFound)
    );
    assert!(!stored(&*store, &id(1)).await.disabled);
    assert_eq!(ids(probe).await, [created.id()]);
}

/// A delete of a stale revision, or of a key that is not there, leaves nothing.
pub async fn a_refused_delete_leaves_no_event(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let created = create(&*store, &plain(1, "acme")).await;
    let deleted = event(AuditKind::KeyDeleted, &id(1));
    let stale = store
        .delete_with_event(&id(1), Revision::new(7), &deleted)
        .await;
    refused!(stale, AuditedError::Store(StoreError::Conflict));
    let unknown = store
        .delete_with_event(&id(2), Revision::new(1), &deleted)
        .await;
    refused!(unknown, AuditedError::Store(StoreError::NotFound));
    assert!(find(&*store, &id(1)).await.is_some());
    assert_eq!(ids(probe).await, [created.id()]);
}

/// An event that cannot be written, because another has its id, leaves no change; and the plain change works at once.
pub async fn a_known_event_id_leaves_no_change(probe: &dyn AuditedProbe) {
    let store = store(probe);
    let known = create(&*store, &plain(1, "acme")).await;
    let inserted = store.insert_with_event(InsertKey::new(plain(2, "acme")), &known);
    refused!(inserted.await, AuditedError::Audit(_));
    assert!(find(&*store, &id(2)).await.is_none());

    let mut next = plain(1, "acme");
    next.disabled = true;
    refused!(
        store.update_with_event(&next, &known).await,
        AuditedError::Audit(_)
    );
    let deleted = store.delete_with_event(&id(1), next.revision, &known).await;
    refused!(deleted, AuditedError::Audit(_));
    assert!(!stored(&*store, &id(1)).await.disabled);
    assert_eq!(ids(probe).await, [known.id()]);

    let plainly = store.update(&next).await;
    plainly.expect("nothing of the failed step stands in its way");
    create(&*store, &plain(2, "acme")).await;
    assert_agree(probe, &id(2)).await;
}

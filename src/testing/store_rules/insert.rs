use super::Handles;
use super::sample::{edges, find, full, id, insert, plain, read, refused, stored};
use crate::key::KeyRecord;
use crate::store::{InsertKey, ListKeys, StoreError};

/// An insert of an id in use is refused and leaves the stored record as it is.
pub async fn insert_refuses_an_existing_id(handles: &Handles) {
    let store = handles.store();
    let first = plain(1, "acme");
    insert(store, &first).await;
    let mut second = plain(1, "other");
    second.name = "impostor".into();
    refused!(
        store.insert(InsertKey::new(second)).await,
        StoreError::AlreadyExists
    );
    assert_eq!(stored(store, &id(1)).await, first);
}

/// A read of an id that nobody inserted finds nothing.
pub async fn find_answers_none_for_an_unknown_id(handles: &Handles) {
    let store = handles.store();
    assert!(find(store, &id(1)).await.is_none());
    insert(store, &plain(1, "acme")).await;
    assert!(find(store, &id(1)).await.is_some());
    assert!(find(store, &id(2)).await.is_none());
}

/// Ids that differ in case or length only are different ids.
pub async fn ids_are_compared_by_their_bytes(handles: &Handles) {
    let store = handles.store();
    let ids = [
        "abcdefgh",
        "ABCDEFGH",
        "aBcDeFgH",
        "abcdefghijkl",
        "ABCDEFGHIJKL",
    ];
    for (text, number) in ids.into_iter().zip(1..) {
        let mut record = plain(number, "acme");
        record.id = read(text);
        insert(store, &record).await;
    }
    for (text, number) in ids.into_iter().zip(1..) {
        let name = stored(store, &read(text)).await.name;
        assert_eq!(name, format!("key {number}"), "{text}");
    }
    assert!(find(store, &read("AbCdEfGh")).await.is_none());
}

/// Owners that differ in case, blanks or accents are different owners, and no character in an owner is a pattern.
pub async fn owners_are_compared_by_their_bytes(handles: &Handles) {
    let store = handles.store();
    let owners = [
        "acme", "Acme", "acme ", "a%", "a_me", "%", "é", "e\u{301}", "0", "00",
    ];
    for (owner, number) in owners.into_iter().zip(1..) {
        insert(store, &plain(number, owner)).await;
    }
    for owner in owners {
        let page = store.list(&ListKeys::new().with_owner(read(owner))).await;
        let found: Vec<_> = page
            .expect("a list succeeds")
            .records
            .iter()
            .map(|record| record.owner.to_string())
            .collect();
        assert_eq!(found, [owner]);
    }
}

/// What was inserted comes back the same in every field, to the byte and the microsecond.
pub async fn records_come_back_unchanged(handles: &Handles) {
    let store = handles.store();
    let mut records = edges();
    records.push(full(7));
    for record in &records {
        insert(store, record).await;
    }
    for record in &records {
        let found = stored(store, &record.id).await;
        assert_eq!(found, *record);
        assert!(
            bytes(&found) == bytes(record),
            "the texts of {} differ",
            record.id
        );
    }
}

/// Equality of some fields is looser than sameness, that of floating-point zeros for instance.
fn bytes(record: &KeyRecord) -> String {
    serde_json::to_string(record).expect("a record has a JSON form")
}

/// A read that begins after a write has returned sees it, through whichever handle.
pub async fn writes_are_seen_from_every_handle(handles: &Handles) {
    let (here, there) = (handles.store(), handles.other());
    assert!(find(there, &id(1)).await.is_none());
    insert(here, &plain(1, "acme")).await;
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 {
            (here, there)
        } else {
            (there, here)
        };
        let mut record = stored(reader, &id(1)).await;
        record.name = format!("round {round}");
        let revision = writer.update(&record).await.expect("nobody else writes");
        let seen = stored(reader, &id(1)).await;
        assert_eq!((seen.name, seen.revision), (record.name, revision));
    }
    let last = stored(here, &id(1)).await;
    there
        .delete(&id(1), last.revision)
        .await
        .expect("nobody else writes");
    assert!(find(here, &id(1)).await.is_none());
}

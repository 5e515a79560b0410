//! Records in Vault: what a mount must be, what stays readable, what a crash leaves.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod servers;
mod vault_support;

use std::time::Duration;

use keyward::access::Grant;
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, KeyId, KeyRecord, Revision};
use keyward::store::{InsertKey, KeyStore as _, ListKeys, StoreError, Swept, VaultStore};
use keyward::time::Timestamp;
use keyward::vault::VaultError;
use serde_json::{Value, json};
use servers::OpenBao;
use vault_support::{client, json as call, mount};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn record(id: &str, owner: &str) -> KeyRecord {
    let digest = DigestText::new("$2b$12$canary-of-the-first-digest");
    KeyRecord::new(
        id.parse().unwrap(),
        Environment::live(),
        owner.parse().unwrap(),
        "export",
        Grant::Scopes(Vec::new()),
        Credential::new(digest, SecretOrigin::Generated, NOW),
        NOW,
        "user:ana".parse().unwrap(),
    )
}

const ID: &str = "0aZ9bY8cX7dW";

fn id() -> KeyId {
    ID.parse().unwrap()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

struct Place {
    bao: &'static OpenBao,
    mount: String,
    store: VaultStore,
}

impl Place {
    async fn new() -> Self {
        let bao = OpenBao::shared();
        let mount = mount(bao).await;
        let store = VaultStore::open(&client(bao).await, &mount).await.unwrap();
        Self { bao, mount, store }
    }

    async fn insert(&self, record: &KeyRecord) {
        let insert = InsertKey::new(record.clone());
        self.store.insert(insert).await.unwrap();
    }

    async fn listed(&self) -> Vec<String> {
        let page = self.store.list(&ListKeys::new()).await.unwrap();
        page.records.iter().map(|it| it.id.to_string()).collect()
    }

    fn at(&self, what: &str) -> String {
        format!("{}/{what}/records/{}", self.mount, hex(ID))
    }

    /// Puts something else in the place of the record, as an operator could.
    fn overwrite(&self, data: &Value) {
        let read = call(self.bao, "GET", &self.at("metadata"), "");
        let cas = read["data"]["current_version"].as_u64().unwrap();
        let body = json!({"data": data, "options": {"cas": cas}});
        self.bao.call("POST", &self.at("data"), &body.to_string());
    }

    fn stored(&self) -> Value {
        call(self.bao, "GET", &self.at("data"), "")["data"]["data"].take()
    }

    /// The paths of all index entries.
    fn entries(&self) -> Vec<String> {
        let names = |folder: &str| -> Vec<String> {
            let path = format!("{}/metadata/{folder}?list=true", self.mount);
            let (status, body) = self.bao.try_call("GET", &path, "");
            let body: Value = serde_json::from_str(&body).unwrap();
            let keys = body["data"]["keys"].as_array().cloned().unwrap_or_default();
            assert!(status == 200 || keys.is_empty());
            let full =
                |key: Value| format!("{folder}/{}", key.as_str().unwrap().trim_end_matches('/'));
            keys.into_iter().map(full).collect()
        };
        names("by-owner").iter().flat_map(|it| names(it)).collect()
    }

    fn remove(&self, path: &str) {
        self.bao
            .call("DELETE", &format!("{}/metadata/{path}", self.mount), "");
    }
}

#[tokio::test]
async fn a_mount_that_keeps_old_versions_is_refused_until_it_is_prepared() {
    let bao = OpenBao::shared();
    let (vault, mount) = (client(bao).await, bao.mount("kv-v2"));
    let opened = VaultStore::open(&vault, &mount).await;
    assert!(matches!(
        opened.unwrap_err(),
        VaultError::Mount {
            setting: "max_versions=1"
        }
    ));
    bao.call("POST", &format!("{mount}/config"), r#"{"max_versions":1}"#);
    let opened = VaultStore::open(&vault, &mount).await;
    assert!(matches!(
        opened.unwrap_err(),
        VaultError::Mount {
            setting: "cas_required=true"
        }
    ));
    bao.call(
        "POST",
        &format!("{mount}/config"),
        r#"{"cas_required":true,"delete_version_after":"1h"}"#,
    );
    let opened = VaultStore::open(&vault, &mount).await;
    assert!(matches!(
        opened.unwrap_err(),
        VaultError::Mount {
            setting: "delete_version_after=0s"
        }
    ));
    VaultStore::prepare(&vault, &mount).await.unwrap();
    VaultStore::open(&vault, &mount).await.unwrap();
}

#[tokio::test]
async fn a_mount_that_is_not_there_or_of_version_1_is_refused() {
    let bao = OpenBao::shared();
    let vault = client(bao).await;
    let first = bao.mount("kv");
    let opened = VaultStore::open(&vault, "nowhere").await;
    assert!(matches!(opened.unwrap_err(), VaultError::NotMounted));
    let opened = VaultStore::open(&vault, &first).await;
    assert!(matches!(opened.unwrap_err(), VaultError::Absent));
    let opened = VaultStore::open(&vault, "a//b").await;
    assert!(matches!(
        opened.unwrap_err(),
        VaultError::Setting { name: "mount" }
    ));
}

/// Otherwise every key would be refused as invalid, and clients throw keys away for that.
#[tokio::test]
async fn a_mount_that_is_gone_is_an_outage_and_no_store_without_keys() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    place
        .bao
        .call("DELETE", &format!("sys/mounts/{}", place.mount), "");
    let (store, all) = (&place.store, ListKeys::new());
    let errors = [
        store.find(&id()).await.map(drop).unwrap_err(),
        store.list(&all).await.map(drop).unwrap_err(),
        store
            .update(&record(ID, "acme"))
            .await
            .map(drop)
            .unwrap_err(),
        store.delete(&id(), Revision::FIRST).await.unwrap_err(),
        store
            .insert(InsertKey::new(record(ID, "acme")))
            .await
            .unwrap_err(),
        store.sweep(HOUR).await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_outage(), "{error:?}");
    }
}

#[tokio::test]
async fn no_old_digest_stays_readable_after_an_update() {
    let place = Place::new().await;
    let mut record = record(ID, "acme");
    place.insert(&record).await;
    record.current.digest = DigestText::new("$2b$12$the-second-digest");
    place.store.update(&record).await.unwrap();

    let old = place
        .bao
        .try_call("GET", &format!("{}?version=1", place.at("data")), "");
    assert_eq!(old.0, 404);
    let history = place.bao.call("GET", &place.at("metadata"), "");
    let history: Value = serde_json::from_str(&history).unwrap();
    let versions = history["data"]["versions"].as_object().unwrap();
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["2"]);
    for version in 0..4 {
        let path = format!("{}?version={version}", place.at("data"));
        let (_, body) = place.bao.try_call("GET", &path, "");
        assert!(!body.contains("canary"), "{version}: {body}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_record() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    assert_eq!(place.entries().len(), 1);
    place.store.delete(&id(), Revision::FIRST).await.unwrap();
    for what in ["data", "metadata"] {
        assert_eq!(place.bao.try_call("GET", &place.at(what), "").0, 404);
        let old = format!("{}?version=1", place.at(what));
        assert_eq!(place.bao.try_call("GET", &old, "").0, 404);
    }
    assert!(place.entries().is_empty());
    place.insert(&record(ID, "acme")).await;
}

/// The crash is simulated by doing the first half only.
#[tokio::test]
async fn a_delete_that_stopped_half_way_has_deleted_and_is_finished_by_a_sweep() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    place.overwrite(&json!({"keyward": 1, "deleted": true}));

    let (store, record) = (&place.store, record(ID, "acme"));
    assert!(store.find(&id()).await.unwrap().is_none());
    assert!(place.listed().await.is_empty());
    let outcome = store.update(&record).await;
    assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
    let outcome = store.delete(&id(), Revision::FIRST).await;
    assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
    let outcome = store.insert(InsertKey::new(record.clone())).await;
    assert!(
        matches!(outcome, Err(StoreError::AlreadyExists)),
        "{outcome:?}"
    );

    assert_eq!(store.sweep(HOUR).await.unwrap(), Swept::default());
    let swept = store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!((swept.deletions_finished, swept.entries_removed), (1, 1));
    assert_eq!(place.bao.try_call("GET", &place.at("metadata"), "").0, 404);
    assert!(place.entries().is_empty());
    place.insert(&record).await;
}

#[tokio::test]
async fn what_a_delete_leaves_half_way_holds_nothing_of_the_record() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    // Somebody who may write records and not remove them.
    let rules = format!(
        r#"path "{0}/*" {{ capabilities = ["create", "read", "update", "list"] }}"#,
        place.mount
    );
    let policy = vault_support::policy(place.bao, &rules);
    let token = vault_support::token(place.bao, &policy, json!({}));
    let weak = vault_support::builder(place.bao.url())
        .token(token)
        .connect();
    let weak = weak.await.unwrap();
    let weak = VaultStore::open(&weak, &place.mount).await.unwrap();
    weak.delete(&id(), Revision::FIRST).await.unwrap();

    assert_eq!(place.stored(), json!({"keyward": 1, "deleted": true}));
    assert!(place.store.find(&id()).await.unwrap().is_none());
    let old = format!("{}?version=1", place.at("data"));
    assert_eq!(place.bao.try_call("GET", &old, "").0, 404);
}

#[tokio::test]
async fn an_insert_that_stopped_half_way_shows_nowhere_and_is_removed_by_a_sweep() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    place.insert(&record("000000000000", "acme")).await;
    place.remove(&format!("records/{}", hex(ID)));

    assert!(place.store.find(&id()).await.unwrap().is_none());
    assert_eq!(place.listed().await, ["000000000000"]);
    assert_eq!(place.store.sweep(HOUR).await.unwrap(), Swept::default());
    assert_eq!(place.entries().len(), 2);
    let swept = place.store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!((swept.deletions_finished, swept.entries_removed), (0, 1));
    assert_eq!(place.listed().await, ["000000000000"]);
    assert_eq!(place.entries().len(), 1);
}

#[tokio::test]
async fn an_insert_can_be_tried_again_over_its_own_first_half() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    place.remove(&format!("records/{}", hex(ID)));
    place.insert(&record(ID, "acme")).await;
    assert_eq!(place.listed().await, [ID]);
}

#[tokio::test]
async fn a_key_whose_index_entry_is_gone_is_brought_back_into_lists_by_a_sweep() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    for entry in place.entries() {
        place.remove(&entry);
    }
    assert!(place.listed().await.is_empty());
    let swept = place.store.sweep(HOUR).await.unwrap();
    assert_eq!(swept.entries_restored, 1);
    assert_eq!(place.listed().await, [ID]);
}

#[tokio::test]
async fn the_entry_of_another_owner_lists_nothing() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    let outcome = place
        .store
        .insert(InsertKey::new(record(ID, "other")))
        .await;
    assert!(matches!(outcome, Err(StoreError::AlreadyExists)));
    assert_eq!(place.entries().len(), 2);
    assert_eq!(place.listed().await, [ID]);
    let of_other = ListKeys::new().with_owner("other".parse().unwrap());
    assert!(
        place
            .store
            .list(&of_other)
            .await
            .unwrap()
            .records
            .is_empty()
    );
    let swept = place.store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(swept.entries_removed, 1);
    assert_eq!(place.listed().await, [ID]);
}

#[tokio::test]
async fn a_record_that_was_deleted_by_hand_is_absent_and_can_be_brought_back_by_hand() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    place.bao.call("DELETE", &place.at("data"), "");
    assert!(place.store.find(&id()).await.unwrap().is_none());
    assert!(place.listed().await.is_empty());
    let swept = place.store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(swept, Swept::default());
    place
        .bao
        .call("POST", &place.at("undelete"), r#"{"versions":[1]}"#);
    assert_eq!(place.listed().await, [ID]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_corrupt_and_never_absent() {
    let place = Place::new().await;
    let good = record(ID, "acme");
    place.insert(&good).await;
    let text = place.stored()["record"].as_str().unwrap().to_owned();
    let broken = [
        json!({}),
        json!({"keyward": 1}),
        json!({"keyward": 2, "record": text}),
        json!({"keyward": 1, "record": text, "deleted": true}),
        json!({"keyward": 1, "record": "canary"}),
        json!({"keyward": 1, "record": text.replace("user:ana", "")}),
        json!({"keyward": 1, "record": text.replace(ID, "0aZ9bY8cX7dX")}),
        json!({"keyward": "canary", "record": text}),
    ];
    for data in broken {
        place.overwrite(&data);
        let (store, all) = (&place.store, ListKeys::new());
        let errors = [
            store.find(&id()).await.map(drop).unwrap_err(),
            store.update(&good).await.map(drop).unwrap_err(),
            store.delete(&id(), Revision::FIRST).await.unwrap_err(),
            store.list(&all).await.map(drop).unwrap_err(),
            store.sweep(Duration::ZERO).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(
                matches!(error, StoreError::Corrupt { .. }),
                "{data}: {error:?}"
            );
            let source = std::error::Error::source(&error).unwrap();
            let shown = format!("{error} {error:?} {source} {source:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_list_ends_before_a_record_that_cannot_be_read_and_names_its_place() {
    let place = Place::new().await;
    let (mut newer, mut older) = (
        record("0aZ9bY8cX7dX", "acme"),
        record("0aZ9bY8cX7dV", "acme"),
    );
    let second = Duration::from_secs(1);
    newer.created_at = newer.created_at.saturating_add(second);
    older.created_at = older.created_at.saturating_sub(second);
    for record in [&newer, &record(ID, "acme"), &older] {
        place.insert(record).await;
    }
    place.overwrite(&json!({}));
    let page = place.store.list(&ListKeys::new()).await.unwrap();
    assert_eq!(page.records.len(), 1);
    let rest = ListKeys::new().with_after(page.next.unwrap());
    let broken = match place.store.list(&rest).await {
        Err(StoreError::Corrupt { place, .. }) => place.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(broken.id(), id());
    let behind = ListKeys::new().with_after(broken);
    let behind = place.store.list(&behind).await.unwrap();
    assert_eq!((behind.records[0].id, behind.next), (older.id, None));
}

#[tokio::test]
async fn a_list_that_may_lack_a_key_fails() {
    let place = Place::new().await;
    place.insert(&record(ID, "acme")).await;
    let entry = place.entries().remove(0);
    let folder = entry.rsplit_once('/').unwrap().0;
    for foreign in [format!("{folder}/notes"), "by-owner/notes".to_owned()] {
        let path = format!("{}/data/{foreign}", place.mount);
        let body = json!({"data": {}, "options": {"cas": 0}}).to_string();
        place.bao.call("POST", &path, &body);
        let outcome = place.store.list(&ListKeys::new()).await;
        assert!(
            matches!(outcome, Err(StoreError::Corrupt { .. })),
            "{outcome:?}"
        );
        place.remove(&foreign);
    }
    assert_eq!(place.listed().await, [ID]);
}

#[tokio::test]
async fn hostile_owners_keep_their_keys_apart() {
    let place = Place::new().await;
    let long = "o".repeat(255);
    let owners = [
        "a",
        "A",
        "a/b",
        "a//b",
        "a/",
        "/a",
        ".",
        "..",
        "../a",
        "a/../b",
        "%2e%2e",
        "a%2Fb",
        "a?list=true",
        "a#b",
        "a b",
        " ",
        "+",
        "*",
        "\\",
        "é",
        "e\u{301}",
        "\u{202e}a",
        &long,
    ];
    for (owner, number) in owners.iter().zip(0..) {
        place.insert(&record(&format!("{number:012}"), owner)).await;
    }
    for (owner, number) in owners.iter().zip(0..) {
        let query = ListKeys::new().with_owner(owner.parse().unwrap());
        let page = place.store.list(&query).await.unwrap();
        let found: Vec<_> = page.records.iter().map(|it| it.id.to_string()).collect();
        assert_eq!(found, [format!("{number:012}")], "{owner:?}");
    }
    assert_eq!(place.listed().await.len(), owners.len());
}

#[tokio::test]
async fn of_a_delete_and_an_update_at_one_time_one_wins() {
    let place = Place::new().await;
    for number in 0..10 {
        let mut record = record(&format!("{number:012}"), "acme");
        place.insert(&record).await;
        record.disabled = true;
        let (updated, deleted) = tokio::join!(
            place.store.update(&record),
            place.store.delete(&record.id, Revision::FIRST)
        );
        let found = place.store.find(&record.id).await.unwrap();
        match (updated, deleted) {
            (Ok(revision), Err(StoreError::Conflict)) => {
                assert_eq!(found.unwrap().revision, revision);
            }
            (Err(StoreError::Conflict | StoreError::NotFound), Ok(())) => assert!(found.is_none()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn of_inserts_of_one_id_at_one_time_one_wins() {
    let place = Place::new().await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (store, record) = (place.store.clone(), record(ID, &format!("owner-{number}")));
            tokio::spawn(async move { store.insert(InsertKey::new(record)).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(StoreError::AlreadyExists) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(place.listed().await, [ID]);
}

//! The commands of `docs/vault.md`, run as they stand there, and whether its policies allow what is needed and no more.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail where it stands"
)]

mod common;
mod servers;
mod vault_support;

use std::time::Duration;

use common::{admin, pool, quick_bcrypt, request};
use keyward::hash::{HashInput, Hashing, KeyHasher as _};
use keyward::service::{KeyService, RequestContext, Rotation};
use keyward::store::{ListKeys, VaultStore};
use keyward::testing::SeededRandom;
use keyward::vault::{TransitDigest, VaultClient, VaultError, VaultPeppers};
use serde_json::json;
use servers::OpenBao;
use vault_support::{builder, token};

/// The blocks for a shell, in order.
fn commands() -> Vec<&'static str> {
    let page = include_str!("../docs/vault.md");
    let blocks = page.split("\n```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect()
}

fn run(bao: &OpenBao, command: &str) {
    bao.shell(command);
    if command.contains("-path=keyward") {
        bao.wait_for("keyward");
    }
}

/// A server that was set up by the page, up to and with the first block that holds `last`.
fn set_up(last: &str) -> OpenBao {
    let bao = OpenBao::private();
    for command in commands() {
        run(&bao, command);
        if command.contains(last) {
            return bao;
        }
    }
    panic!("no block holds {last}");
}

async fn under(bao: &OpenBao, policy: &str) -> VaultClient {
    let token = token(bao, policy, json!({}));
    builder(bao.url()).token(token).connect().await.unwrap()
}

/// What a token of this policy is answered.
fn status(bao: &OpenBao, policy: &str, call: &str) -> String {
    let token = token(bao, policy, json!({}));
    let lines = format!(
        "export BAO_TOKEN={token}; if bao {call} >/dev/null 2>&1; then echo done; else echo refused; fi"
    );
    bao.shell(&lines).trim().to_owned()
}

#[tokio::test]
async fn the_role_of_the_page_reads_peppers_and_follows_each_step_of_a_change() {
    let bao = OpenBao::private();
    let blocks = commands();
    let mut peppers = None;
    let mut seen = Vec::new();
    for command in &blocks {
        run(&bao, command);
        if command.contains("policy write keyward-peppers") {
            // What the page's first block prints.
            let read = |call: &str| bao.shell(&format!("bao {call}")).trim().to_owned();
            let role_id = read("read -field=role_id auth/approle/role/keyward/role-id");
            let secret_id = read("write -field=secret_id -f auth/approle/role/keyward/secret-id");
            let vault = builder(bao.url()).app_role(role_id, secret_id).connect();
            let vault = vault.await.unwrap();
            let load = VaultPeppers::builder(&vault, "secret", "keyward/peppers");
            peppers = Some(load.load().await.unwrap());
        }
        if let Some(peppers) = &peppers {
            peppers.refresh().await.unwrap();
            let ring = peppers.ring();
            seen.push((ring.current(), ring.versions().collect::<Vec<_>>()));
        }
    }
    seen.dedup();
    let steps = [(1, vec![1]), (1, vec![1, 2]), (2, vec![1, 2]), (2, vec![2])];
    assert_eq!(seen, steps);

    for call in [
        "kv put -mount=secret keyward/peppers current=1",
        "kv delete -mount=secret keyward/peppers",
        "kv metadata get -mount=secret keyward/peppers",
        "kv list -mount=secret keyward",
        "kv get -mount=secret keyward/other",
        "write transit/hmac/keyward input=AAAA",
    ] {
        assert_eq!(status(&bao, "keyward-peppers", call), "refused", "{call}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_for_transit_allows_digests_and_nothing_else() {
    let bao = set_up("policy write keyward-transit");
    let vault = under(&bao, "keyward-transit").await;
    let transit = TransitDigest::connect(&vault, "transit", "keyward")
        .await
        .unwrap();
    let held = tokio::task::spawn_blocking(move || {
        let input = HashInput::new("id", b"secret");
        let text = transit.hash(input, &SeededRandom::new(1)).unwrap();
        transit.verify(input, text.as_str()).unwrap()
    });
    assert!(held.await.unwrap());
    for call in [
        "read transit/keys/keyward",
        "read transit/export/hmac-key/keyward",
        "write -f transit/keys/keyward/rotate",
        "write transit/keys/keyward/config deletion_allowed=true",
        "write transit/sign/keyward input=AAAA",
        "kv get -mount=secret keyward/peppers",
    ] {
        assert_eq!(status(&bao, "keyward-transit", call), "refused", "{call}");
    }
}

#[tokio::test]
async fn the_policy_for_records_allows_the_whole_life_of_a_key_and_a_sweep() {
    let bao = set_up("policy write keyward-store");
    let vault = under(&bao, "keyward-store").await;
    let store = VaultStore::open(&vault, "keyward").await.unwrap();
    let service = KeyService::builder(store.clone())
        .hashing(Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap())
        .hash_pool(pool(1, 8))
        .build()
        .unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    let rotated = service
        .rotate(&admin(), &id, Rotation::AtOnce)
        .await
        .unwrap();
    let context = RequestContext::new();
    let key = rotated.key().expose().as_bytes();
    service.verify(key, &context).await.unwrap();
    assert_eq!(
        service
            .list(&admin(), ListKeys::new())
            .await
            .unwrap()
            .records
            .len(),
        1
    );
    drop(service.revoke(&admin(), &id, "gone").await.unwrap());
    service.delete(&admin(), &id).await.unwrap();
    store.sweep(Duration::ZERO).await.unwrap();
    assert!(
        service
            .list(&admin(), ListKeys::new())
            .await
            .unwrap()
            .records
            .is_empty()
    );

    for call in [
        "write keyward/config max_versions=10",
        "kv metadata put -mount=keyward -max-versions=10 records/x",
        "kv metadata get -mount=keyward records/x",
        "kv delete -mount=keyward records/x",
        "kv put -mount=keyward -cas=0 other x=1",
        "kv get -mount=secret keyward/peppers",
    ] {
        assert_eq!(status(&bao, "keyward-store", call), "refused", "{call}");
    }
    let prepared = VaultStore::prepare(&vault, "keyward").await;
    assert!(matches!(prepared.unwrap_err(), VaultError::Denied));
}

//! A whole service on records and peppers in Vault, in two processes.
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

use common::{admin, pool, quick_bcrypt, rejection, request};
use keyward::hash::Hashing;
use keyward::service::{
    KeyService, LifecycleError, Rejection, RequestContext, Rotation, VerifiedKey, VerifyError,
};
use keyward::store::{ListKeys, VaultStore};
use keyward::vault::VaultPeppers;
use serde_json::json;
use servers::OpenBao;
use vault_support::{client, mount, until};

const PEPPER: &str = "cFQzbjktdGhpcnR5LXR3by1yYW5kb20tYnl0ZXMtS2Q=";

struct Process {
    service: KeyService,
    _peppers: VaultPeppers,
}

struct Mounts {
    records: String,
    peppers: String,
}

async fn mounts(bao: &OpenBao) -> Mounts {
    let peppers = bao.mount("kv-v2");
    let body = json!({"data": {"current": "1", "v1": PEPPER}}).to_string();
    bao.call("POST", &format!("{peppers}/data/peppers"), &body);
    Mounts {
        records: mount(bao).await,
        peppers,
    }
}

/// A process with a client of its own.
async fn process(bao: &OpenBao, mounts: &Mounts) -> Process {
    let vault = client(bao).await;
    let peppers = VaultPeppers::builder(&vault, &mounts.peppers, "peppers");
    let peppers = peppers.load().await.unwrap();
    let hashing = Hashing::builder()
        .prefer(quick_bcrypt(4))
        .peppers(peppers.ring());
    let store = VaultStore::open(&vault, &mounts.records).await.unwrap();
    let service = KeyService::builder(store)
        .hashing(hashing.build().unwrap())
        .hash_pool(pool(2, 64))
        .build()
        .unwrap();
    Process {
        service,
        _peppers: peppers,
    }
}

impl Process {
    async fn verify(&self, key: &str) -> Result<VerifiedKey, VerifyError> {
        let context = RequestContext::new();
        self.service.verify(key.as_bytes(), &context).await
    }
}

#[tokio::test]
async fn a_key_is_issued_verified_rotated_and_revoked_in_two_processes() {
    let bao = OpenBao::shared();
    let mounts = mounts(bao).await;
    let (one, two) = (process(bao, &mounts).await, process(bao, &mounts).await);
    let issued = one.service.issue(&admin(), request()).await.unwrap();
    let (id, first) = (issued.record().id, issued.key().expose());
    for process in [&one, &two] {
        process.verify(first).await.unwrap();
    }
    let rotated = two.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    let rotated = rotated.unwrap();
    let second = rotated.key().expose();
    for process in [&one, &two] {
        assert!(
            process
                .verify(first)
                .await
                .unwrap_err()
                .rejection()
                .is_some()
        );
        process.verify(second).await.unwrap();
        process.verify(second).await.unwrap();
    }
    let listed = two.service.list(&admin(), ListKeys::new()).await.unwrap();
    assert_eq!(listed.records.len(), 1);

    // The very next request, in the process that did not revoke and has proven the secret.
    drop(one.service.revoke(&admin(), &id, "gone").await.unwrap());
    assert_eq!(rejection(two.verify(second).await), Rejection::Revoked);
    assert_eq!(rejection(one.verify(second).await), Rejection::Revoked);
}

#[tokio::test]
async fn a_sealed_vault_is_503_for_everything_and_nothing_has_to_be_restarted() {
    let bao = OpenBao::private();
    let process = process(&bao, &mounts(&bao).await).await;
    let issued = process.service.issue(&admin(), request()).await.unwrap();
    let (id, key) = (issued.record().id, issued.key().expose());
    process.verify(key).await.unwrap();
    bao.seal();
    let error = process.verify(key).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
    assert!(error.rejection().is_none());
    let revoked = process.service.revoke(&admin(), &id, "gone").await;
    assert!(matches!(
        revoked.unwrap_err(),
        LifecycleError::Unavailable(_)
    ));
    bao.unseal();
    until("it verifies", async || process.verify(key).await.is_ok()).await;
    drop(process.service.revoke(&admin(), &id, "gone").await.unwrap());
    assert_eq!(rejection(process.verify(key).await), Rejection::Revoked);
}

/// What an end of the token in the middle of a day looks like to a caller: nothing.
#[tokio::test]
async fn requests_go_on_while_tokens_end_and_are_replaced() {
    let bao = OpenBao::shared();
    let records = mount(bao).await;
    let all = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list"] }"#;
    let short = json!({"token_ttl": "1s", "token_max_ttl": "2s"});
    let role = vault_support::app_role(bao, &vault_support::policy(bao, all), short);
    let vault = role.builder(bao.url()).connect().await.unwrap();
    let store = VaultStore::open(&vault, &records).await.unwrap();
    let service = KeyService::builder(store)
        .hashing(Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap())
        .hash_pool(pool(1, 8))
        .build()
        .unwrap();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let key = issued.key().expose().as_bytes();
    until("the token was replaced three times", async || {
        let context = RequestContext::new();
        service.verify(key, &context).await.unwrap();
        vault.stats().logins >= 3
    })
    .await;
}

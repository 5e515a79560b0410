//! Digests that Vault's transit engine computes.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "a test may fail where it stands"
)]

mod common;
mod servers;
mod vault_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{admin, pepper, pool, request, wrong_secret};
use keyward::hash::{
    DigestText, HashError, HashInput, Hashing, KeyHasher as _, Plan, SecretOrigin,
};
use keyward::service::{KeyService, Rejection, RequestContext, VerifyError};
use keyward::store::{KeyStore, MemoryStore};
use keyward::testing::{CountingHasher, SeededRandom};
use keyward::vault::{TransitDigest, VaultError};
use servers::OpenBao;
use vault_support::{builder, client, until};

const SECRET: &[u8] = b"correct horse battery staple, 43 characters";

/// A transit engine with one HMAC key.
fn mount(bao: &OpenBao) -> String {
    let mount = bao.mount("transit");
    let key = r#"{"type":"hmac","key_size":32}"#;
    bao.call("POST", &format!("{mount}/keys/keyward"), key);
    mount
}

async fn transit(bao: &OpenBao, mount: &str) -> TransitDigest {
    let vault = client(bao).await;
    TransitDigest::connect(&vault, mount, "keyward")
        .await
        .unwrap()
}

fn rotate(bao: &OpenBao, mount: &str) {
    bao.call("POST", &format!("{mount}/keys/keyward/rotate"), "");
}

/// Off the async threads, as the pool does it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn hash(transit: &TransitDigest, secret: &'static [u8]) -> Result<DigestText, HashError> {
    let transit = transit.clone();
    aside(move || transit.hash(HashInput::new("id", secret), &SeededRandom::new(1))).await
}

async fn judge(
    transit: &TransitDigest,
    id: &'static str,
    secret: &'static [u8],
    text: &DigestText,
) -> Result<bool, HashError> {
    let (transit, text) = (transit.clone(), text.clone());
    aside(move || transit.verify(HashInput::new(id, secret), text.as_str())).await
}

fn service(store: Arc<dyn KeyStore>, hasher: &CountingHasher) -> KeyService {
    KeyService::builder(store)
        .hashing(Hashing::builder().prefer(hasher.clone()).build().unwrap())
        .hash_pool(pool(2, 64))
        .build()
        .unwrap()
}

async fn verify(service: &KeyService, key: &str) -> Result<(), VerifyError> {
    let context = RequestContext::new();
    service.verify(key.as_bytes(), &context).await.map(drop)
}

#[tokio::test]
async fn a_digest_is_of_one_id_and_one_secret() {
    let bao = OpenBao::shared();
    let transit = transit(bao, &mount(bao)).await;
    let text = hash(&transit, SECRET).await.unwrap();
    let rest = text.as_str().strip_prefix("$vault-transit$v=1$").unwrap();
    assert_eq!(rest.len(), 43);
    assert_eq!(transit.cost(), Plan::Slow);
    assert!(transit.accepts(text.as_str()).is_ok() && transit.is_current(text.as_str()));
    assert!(judge(&transit, "id", SECRET, &text).await.unwrap());
    assert!(!judge(&transit, "id", b"other", &text).await.unwrap());
    assert!(!judge(&transit, "other", SECRET, &text).await.unwrap());
    assert!(!judge(&transit, "id", b"", &text).await.unwrap());
    let empty = hash(&transit, b"").await.unwrap_err();
    assert!(matches!(empty, HashError::UnsuitableSecret));
}

/// HMAC over a hash of framed id and secret: what the server computes for the same input by another way.
#[tokio::test]
async fn vault_is_sent_a_hash_and_its_answer_is_what_is_stored() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let bao = OpenBao::shared();
    let mount = mount(bao);
    let text = hash(&transit(bao, &mount).await, SECRET).await.unwrap();
    let mut hashed = Hmac::<sha2::Sha256>::new_from_slice(b"keyward/1/vault-transit").unwrap();
    hashed.update(b"\x02id\x2b");
    hashed.update(SECRET);
    let input = STANDARD.encode(hashed.finalize().into_bytes());
    let body = serde_json::json!({ "input": input }).to_string();
    let answer = vault_support::json(bao, "POST", &format!("{mount}/hmac/keyward"), &body);
    let mac = answer["data"]["hmac"].as_str().unwrap();
    let mac = mac.strip_prefix("vault:v1:").unwrap().trim_end_matches('=');
    assert_eq!(text.as_str(), format!("$vault-transit$v=1${mac}"));
}

#[tokio::test]
async fn a_rotated_key_verifies_old_digests_and_makes_new_ones() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let transit = transit(bao, &mount).await;
    let old = hash(&transit, SECRET).await.unwrap();
    rotate(bao, &mount);
    assert!(transit.is_current(old.as_str()), "nobody has told it");
    assert!(judge(&transit, "id", SECRET, &old).await.unwrap());
    assert!(!judge(&transit, "id", b"other", &old).await.unwrap());
    assert_eq!(transit.newest_version(), 2);
    assert!(!transit.is_current(old.as_str()));
    let new = hash(&transit, SECRET).await.unwrap();
    assert!(new.as_str().starts_with("$vault-transit$v=2$"));
    assert!(transit.is_current(new.as_str()));
    assert!(judge(&transit, "id", SECRET, &new).await.unwrap());
    let again = TransitDigest::connect(&client(bao).await, &mount, "keyward").await;
    assert_eq!(again.unwrap().newest_version(), 2);
}

#[tokio::test]
async fn a_key_version_that_was_taken_away_is_an_outage_and_no_wrong_secret() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let transit = transit(bao, &mount).await;
    let old = hash(&transit, SECRET).await.unwrap();
    rotate(bao, &mount);
    let config = format!("{mount}/keys/keyward/config");
    let least = r#"{"min_decryption_version":2,"min_encryption_version":2}"#;
    bao.call("POST", &config, least);
    let gone = judge(&transit, "id", SECRET, &old).await.unwrap_err();
    assert!(
        matches!(gone, HashError::PepperMissing { version: 1 }),
        "{gone:?}"
    );
    let ahead = DigestText::new(old.as_str().replace("v=1", "v=9"));
    let ahead = judge(&transit, "id", SECRET, &ahead).await.unwrap_err();
    assert!(
        matches!(ahead, HashError::PepperMissing { version: 9 }),
        "{ahead:?}"
    );
    assert!(!ahead.is_digest_fault());
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_when_connecting() {
    let bao = OpenBao::shared();
    let (vault, mount) = (client(bao).await, mount(bao));
    for (mount, key, setting) in [("a//b", "k", "mount"), (mount.as_str(), "../x", "key")] {
        let error = TransitDigest::connect(&vault, mount, key)
            .await
            .unwrap_err();
        assert!(matches!(error, VaultError::Setting { name } if name == setting));
    }
    for (mount, key) in [("nowhere", "keyward"), (mount.as_str(), "nothing")] {
        let error = TransitDigest::connect(&vault, mount, key)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                VaultError::NotMounted | VaultError::Refused { status: 400 }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_key_costs_one_call_in_each_process() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let counting = CountingHasher::new(transit(bao, &mount).await);
    let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
    let issuer = service(Arc::clone(&store), &counting);
    let issued = issuer.issue(&admin(), request()).await.unwrap();
    assert_eq!(counting.hashes(), 1);

    let counting = CountingHasher::new(transit(bao, &mount).await);
    let other = service(store, &counting);
    for _ in 0..10 {
        verify(&other, issued.key().expose()).await.unwrap();
    }
    assert_eq!(counting.verifications(), 1);
    let wrong = wrong_secret(issued.key().expose(), true);
    let refused = verify(&other, &wrong).await.unwrap_err();
    assert!(matches!(
        refused,
        VerifyError::Rejected(Rejection::WrongSecret)
    ));
}

#[tokio::test]
async fn a_service_upgrades_digests_after_a_rotation() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
    let counting = CountingHasher::new(transit(bao, &mount).await);
    let issuer = service(Arc::clone(&store), &counting);
    let issued = issuer.issue(&admin(), request()).await.unwrap();
    rotate(bao, &mount);
    let counting = CountingHasher::new(transit(bao, &mount).await);
    let other = service(Arc::clone(&store), &counting);
    verify(&other, issued.key().expose()).await.unwrap();
    let id = issued.record().id;
    until("the digest is upgraded", async || {
        let record = store.find(&id).await.unwrap().unwrap();
        record
            .current
            .digest
            .as_str()
            .starts_with("$vault-transit$v=2$")
    })
    .await;
    verify(&other, issued.key().expose()).await.unwrap();
}

#[tokio::test]
async fn a_sealed_vault_is_an_outage_for_keys_not_proven_here_and_passes() {
    let bao = OpenBao::private();
    let mount = mount(&bao);
    let counting = CountingHasher::new(transit(&bao, &mount).await);
    let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
    let service = service(store, &counting);
    let known = service.issue(&admin(), request()).await.unwrap();
    let new = service.issue(&admin(), request()).await.unwrap();
    verify(&service, known.key().expose()).await.unwrap();
    service.forget_proofs();
    verify(&service, known.key().expose()).await.unwrap();

    bao.seal();
    verify(&service, known.key().expose()).await.unwrap();
    let error = verify(&service, new.key().expose()).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
    assert!(service.issue(&admin(), request()).await.is_err());
    let transit = bao.try_call("GET", "sys/health", "").0;
    assert_eq!(transit, 503);

    bao.unseal();
    until("it verifies", async || {
        verify(&service, new.key().expose()).await.is_ok()
    })
    .await;
    bao.kill();
    service.forget_proofs();
    let error = verify(&service, new.key().expose()).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn it_lies_under_a_pepper_like_any_slow_scheme() {
    let bao = OpenBao::shared();
    let transit = transit(bao, &mount(bao)).await;
    let hashing = Hashing::builder().prefer(transit).peppers(pepper(3));
    let hashing = hashing.build().unwrap();
    let held = aside(move || {
        let random = SeededRandom::new(1);
        let text = hashing.digest("id", SECRET, SecretOrigin::Generated, &random);
        let text = text.unwrap();
        (hashing.verify("id", SECRET, b"", &text).unwrap(), text)
    });
    let (held, text) = held.await;
    assert!(held && text.as_str().starts_with("$pepper$v=3$vault-transit$v=1$"));
}

/// On the one thread that Vault's answer would have to come through.
#[tokio::test]
async fn on_the_only_async_thread_it_ends_in_an_error_and_no_deadlock() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let vault = builder(bao.url()).token(bao.token());
    let vault = vault
        .deadline(Duration::from_millis(500))
        .connect()
        .await
        .unwrap();
    let transit = TransitDigest::connect(&vault, &mount, "keyward")
        .await
        .unwrap();
    let begun = Instant::now();
    let input = HashInput::new("id", SECRET);
    let error = transit.hash(input, &SeededRandom::new(1)).unwrap_err();
    assert!(matches!(error, HashError::Hasher(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn after_its_runtime_was_shut_down_it_ends_in_an_error_and_no_panic() {
    let bao = OpenBao::shared();
    let mount = mount(bao);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let transit = runtime.block_on(transit(bao, &mount));
    let input = HashInput::new("id", SECRET);
    let text = transit.hash(input, &SeededRandom::new(1)).unwrap();
    drop(runtime);
    let error = transit.verify(input, text.as_str()).unwrap_err();
    assert!(matches!(error, HashError::Hasher(_)), "{error:?}");
}

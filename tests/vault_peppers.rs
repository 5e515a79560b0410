//! Peppers in Vault: how they come, change and go, and that no verification waits for them.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{admin, pool, quick_bcrypt, request};
use keyward::hash::{
    DigestText, HashBuildError, HashError, Hashing, KeyedDigest, PepperRing, SecretOrigin,
};
use keyward::service::{KeyService, RequestContext, VerifyError};
use keyward::store::{KeyStore, MemoryStore};
use keyward::testing::SeededRandom;
use keyward::vault::{VaultClient, VaultError, VaultPeppers};
use serde_json::{Value, json};
use servers::OpenBao;
use tokio::runtime::Handle;
use vault_support::{client, until};

/// 32 bytes each, in base64.
const ONE: &str = "cFQzbjktdGhpcnR5LXR3by1yYW5kb20tYnl0ZXMtS2Q=";
const TWO: &str = "MHk0US1hbjB0aGVyLTMyLWJ5dGUta2V5LXh6djg3THE=";
const SECRET: &[u8] = b"correct horse battery staple, 43 characters";
const GENERATED: SecretOrigin = SecretOrigin::Generated;

fn put(bao: &OpenBao, mount: &str, data: &Value) {
    let body = json!({ "data": data }).to_string();
    bao.call("POST", &format!("{mount}/data/keyward/peppers"), &body);
}

async fn load(client: &VaultClient, mount: &str) -> VaultPeppers {
    let peppers = VaultPeppers::builder(client, mount, "keyward/peppers");
    peppers.load().await.unwrap()
}

fn versions(ring: &PepperRing) -> Vec<u32> {
    ring.versions().collect()
}

fn hashing(ring: &Arc<PepperRing>) -> Hashing {
    Hashing::builder()
        .prefer(quick_bcrypt(4))
        .accept(KeyedDigest::new(Arc::clone(ring)))
        .peppers(Arc::clone(ring))
        .build()
        .unwrap()
}

fn digest(hashing: &Hashing) -> DigestText {
    let digest = hashing.digest("id", SECRET, GENERATED, &SeededRandom::new(1));
    digest.unwrap()
}

fn service(store: Arc<dyn KeyStore>, peppers: &VaultPeppers) -> KeyService {
    KeyService::builder(store)
        .hashing(hashing(&peppers.ring()))
        .hash_pool(pool(2, 64))
        .build()
        .unwrap()
}

async fn verify(service: &KeyService, key: &str) -> Result<(), VerifyError> {
    let context = RequestContext::new();
    service.verify(key.as_bytes(), &context).await.map(drop)
}

#[tokio::test]
async fn a_ring_is_read_and_follows_the_secret() {
    let bao = OpenBao::shared();
    let mount = bao.mount("kv-v2");
    put(bao, &mount, &json!({"current": "1", "v1": ONE}));
    let peppers = load(&client(bao).await, &mount).await;
    let ring = peppers.ring();
    assert_eq!((ring.current(), versions(&ring)), (1, vec![1]));
    let hashing = hashing(&ring);
    let old = digest(&hashing);
    assert!(old.as_str().starts_with("$pepper$v=1$"));
    assert!(!peppers.refresh().await.unwrap());

    put(bao, &mount, &json!({"current": "1", "v1": ONE, "v2": TWO}));
    assert!(peppers.refresh().await.unwrap());
    assert_eq!((ring.current(), versions(&ring)), (1, vec![1, 2]));
    assert!(!hashing.needs_upgrade(&old, GENERATED));

    put(bao, &mount, &json!({"current": 2, "v1": ONE, "v2": TWO}));
    assert!(peppers.refresh().await.unwrap());
    assert!(hashing.verify("id", SECRET, b"", &old).unwrap());
    assert!(hashing.needs_upgrade(&old, GENERATED));
    let new = digest(&hashing);
    assert!(new.as_str().starts_with("$pepper$v=2$"));

    put(bao, &mount, &json!({"current": "2", "v2": TWO}));
    assert!(peppers.refresh().await.unwrap());
    assert!(hashing.verify("id", SECRET, b"", &new).unwrap());
    let gone = hashing.verify("id", SECRET, b"", &old).unwrap_err();
    assert!(matches!(gone, HashError::PepperMissing { version: 1 }));
    assert!(!gone.is_digest_fault());
    assert_eq!(peppers.stats().refreshed, 4);
    assert_eq!(peppers.stats().failed, 0);
}

/// Bytes that change under one version would turn every key under it away as invalid.
#[tokio::test]
async fn what_makes_no_ring_is_refused_reported_and_counted_and_the_old_ring_stays() {
    let bao = OpenBao::shared();
    let mount = bao.mount("kv-v2");
    put(bao, &mount, &json!({"current": "1", "v1": ONE}));
    let reports = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&reports);
    let peppers = VaultPeppers::builder(&client(bao).await, &mount, "keyward/peppers")
        .report_failures(move |error| {
            assert!(!error.is_outage());
            told.fetch_add(1, Ordering::SeqCst);
        })
        .load()
        .await
        .unwrap();
    let hashing = hashing(&peppers.ring());
    let stored = digest(&hashing);
    let bad = [
        json!({"current": "1", "v1": TWO}),
        json!({"current": "2", "v1": TWO, "v2": ONE}),
        json!({"current": "2", "v1": ONE}),
        json!({"v1": ONE}),
        json!({"current": "1", "v1": "c2hvcnQ="}),
        json!({"current": "1", "v1": ONE, "v2": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
        json!({"current": "1", "v1": ONE, "note": "x"}),
        json!({"current": "1", "v1": [ONE]}),
        json!({}),
    ];
    let count = u64::try_from(bad.len()).unwrap();
    for data in bad {
        put(bao, &mount, &data);
        let error = peppers.refresh().await.unwrap_err();
        assert!(
            matches!(
                error,
                VaultError::Peppers { .. } | VaultError::Answer { .. }
            ),
            "{data}: {error:?}"
        );
        assert!(hashing.verify("id", SECRET, b"", &stored).unwrap());
        assert_eq!(versions(&peppers.ring()), [1]);
    }
    assert_eq!(reports.load(Ordering::SeqCst), count);
    assert_eq!(
        (peppers.stats().failed, peppers.stats().refreshed),
        (count, 0)
    );

    put(bao, &mount, &json!({"current": "1", "v1": TWO}));
    let changed = peppers.refresh().await.unwrap_err();
    assert!(matches!(
        changed,
        VaultError::Peppers {
            source: HashBuildError::PepperChanged { version: 1 }
        }
    ));
}

#[tokio::test]
async fn a_service_without_peppers_does_not_start() {
    let bao = OpenBao::shared();
    let (vault, mount) = (client(bao).await, bao.mount("kv-v2"));
    let load = || VaultPeppers::builder(&vault, mount.as_str(), "keyward/peppers");
    assert!(matches!(
        load().load().await.unwrap_err(),
        VaultError::Absent
    ));
    put(bao, &mount, &json!({"current": "1", "v1": "c2hvcnQ="}));
    let weak = load().load().await.unwrap_err();
    assert!(matches!(
        weak,
        VaultError::Peppers {
            source: HashBuildError::WeakPepper { version: 1 }
        }
    ));
    let never = load().refresh_every(Duration::ZERO).load().await;
    assert!(matches!(
        never.unwrap_err(),
        VaultError::Setting {
            name: "refresh_every"
        }
    ));
    let nowhere = VaultPeppers::builder(&vault, "nowhere", "keyward/peppers").load();
    assert!(matches!(nowhere.await.unwrap_err(), VaultError::NotMounted));
    let path = VaultPeppers::builder(&vault, mount.as_str(), "a//b").load();
    assert!(matches!(
        path.await.unwrap_err(),
        VaultError::Setting { name: "path" }
    ));
}

#[tokio::test]
async fn a_sealed_vault_stops_refreshes_and_no_verification() {
    let bao = OpenBao::private();
    let mount = bao.mount("kv-v2");
    put(&bao, &mount, &json!({"current": "1", "v1": ONE}));
    let peppers = load(&client(&bao).await, &mount).await;
    let service = service(Arc::new(MemoryStore::new()), &peppers);
    let issued = service.issue(&admin(), request()).await.unwrap();

    bao.seal();
    assert!(peppers.refresh().await.unwrap_err().is_outage());
    verify(&service, issued.key().expose()).await.unwrap();
    let new = service.issue(&admin(), request()).await.unwrap();
    verify(&service, new.key().expose()).await.unwrap();

    bao.unseal();
    put(&bao, &mount, &json!({"current": "2", "v1": ONE, "v2": TWO}));
    until("it refreshes", async || peppers.refresh().await.is_ok()).await;
    assert_eq!(peppers.ring().current(), 2);
    verify(&service, issued.key().expose()).await.unwrap();

    bao.kill();
    assert!(peppers.refresh().await.unwrap_err().is_outage());
    verify(&service, issued.key().expose()).await.unwrap();
}

#[tokio::test]
async fn the_secret_is_read_on_a_timer_until_the_peppers_are_dropped() {
    let bao = OpenBao::shared();
    let mount = bao.mount("kv-v2");
    put(bao, &mount, &json!({"current": "1", "v1": ONE}));
    let alive = || Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let vault = client(bao).await;
    let peppers = VaultPeppers::builder(&vault, &mount, "keyward/peppers")
        .refresh_every(Duration::from_millis(20))
        .load()
        .await
        .unwrap();
    let ring = peppers.ring();
    put(bao, &mount, &json!({"current": "2", "v1": ONE, "v2": TWO}));
    until("the ring follows", async || ring.current() == 2).await;
    drop(vault);
    drop(peppers);
    until("its tasks end", async || alive() == before).await;
    assert_eq!(versions(&ring), [1, 2]);
}

/// One process uses a pepper that the other has not read yet.
#[tokio::test]
async fn a_version_that_is_missing_is_an_outage_and_fetched() {
    let bao = OpenBao::shared();
    let mount = bao.mount("kv-v2");
    put(bao, &mount, &json!({"current": "1", "v1": ONE}));
    let vault = client(bao).await;
    let (ahead, behind) = (load(&vault, &mount).await, load(&vault, &mount).await);
    let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
    put(bao, &mount, &json!({"current": "2", "v1": ONE, "v2": TWO}));
    ahead.refresh().await.unwrap();
    let ahead = service(Arc::clone(&store), &ahead);
    let issued = ahead.issue(&admin(), request()).await.unwrap();

    let late = service(store, &behind);
    let missing = verify(&late, issued.key().expose()).await.unwrap_err();
    assert!(
        matches!(missing, VerifyError::Unavailable(_)),
        "{missing:?}"
    );
    // Nobody asks again meanwhile, and a hundred that did would cause no more reads.
    for _ in 0..100 {
        let _ = verify(&late, issued.key().expose()).await;
    }
    until("the version is fetched", async || {
        behind.ring().current() == 2
    })
    .await;
    verify(&late, issued.key().expose()).await.unwrap();
    assert_eq!(behind.stats().refreshed, 1);
}

#[tokio::test]
async fn keyed_digests_follow_the_ring_too() {
    let bao = OpenBao::shared();
    let mount = bao.mount("kv-v2");
    put(bao, &mount, &json!({"current": "1", "v1": ONE}));
    let peppers = load(&client(bao).await, &mount).await;
    let keyed = Hashing::builder().prefer(KeyedDigest::new(peppers.ring()));
    let keyed = keyed.build().unwrap();
    let old = digest(&keyed);
    put(bao, &mount, &json!({"current": "2", "v1": ONE, "v2": TWO}));
    peppers.refresh().await.unwrap();
    assert!(keyed.verify("id", SECRET, b"", &old).unwrap());
    assert!(keyed.needs_upgrade(&old, GENERATED));
    assert!(digest(&keyed).as_str().starts_with("$hmac-sha256$v=2$"));
}

/// Readers see the old ring or the new one, and each holds what it names as current.
#[test]
fn a_ring_changes_in_one_step() {
    let ring = |version: u32| {
        let pepper = format!("pepper {version} 0123456789 abcdefghijklmnop");
        PepperRing::builder()
            .pepper(version, pepper)
            .build()
            .unwrap()
    };
    let shared = Arc::new(ring(1));
    let hashing = hashing(&shared);
    let keyed = Hashing::builder().prefer(KeyedDigest::new(Arc::clone(&shared)));
    let keyed = keyed.build().unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let digest = digest(&keyed);
                        assert!(digest.as_str().starts_with("$hmac-sha256$v="));
                        assert!(hashing.short_check("id", SECRET, GENERATED).is_some());
                    }
                })
            })
            .collect();
        while readers.iter().any(|it| !it.is_finished()) {
            shared.take_over(ring(2)).unwrap();
            shared.take_over(ring(1)).unwrap();
        }
    });
}

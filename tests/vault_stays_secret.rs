//! No token, secret id, pepper, digest or key shows in any error, `Debug` output or log line, down to the last detail.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail where it stands"
)]

mod common;
mod servers;
mod vault_support;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{admin, pool, quick_bcrypt, request};
use keyward::hash::Hashing;
use keyward::service::{KeyService, RequestContext, Rotation};
use keyward::store::{KeyStore as _, ListKeys, VaultStore};
use keyward::vault::{TransitDigest, VaultPeppers};
use serde_json::json;
use servers::{OpenBao, Proxy};
use vault_support::{app_role, builder, client, mount, policy, token};

const PEPPER: &str = "cFQzbjktdGhpcnR5LXR3by1yYW5kb20tYnl0ZXMtS2Q=";
const RAW_PEPPER: &str = "pT3n9-thirty-two-random-bytes-Kd";
const CHANGED: &str = "MHk0US1hbjB0aGVyLTMyLWJ5dGUta2V5LXh6djg3THE=";

/// Shorter pieces turn up by chance.
const WINDOW: usize = 8;

#[derive(Default)]
struct Canaries(BTreeMap<String, &'static str>);

impl Canaries {
    fn add(&mut self, name: &'static str, secret: &str) {
        for window in secret.as_bytes().windows(WINDOW) {
            self.0
                .insert(String::from_utf8(window.to_vec()).unwrap(), name);
            let numbers: Vec<_> = window.iter().map(u8::to_string).collect();
            self.0.insert(numbers.join(", "), name);
        }
    }

    fn assert_absent(&self, shown: &str) {
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for (window, name) in &self.0 {
            if let Some(at) = flat.find(window.as_str()) {
                let near: String = flat
                    .chars()
                    .skip(at.saturating_sub(200))
                    .take(300)
                    .collect();
                panic!("a piece of the {name} shows near {near}");
            }
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Shown(String);

impl Shown {
    fn debug(&mut self, it: &dyn Debug) {
        writeln!(self.0, "{it:?}\n{it:#?}").unwrap();
    }

    fn error(&mut self, error: &dyn Error) {
        let mut error = Some(error);
        while let Some(it) = error {
            writeln!(self.0, "{it}\n{it:?}\n{it:#?}").unwrap();
            error = it.source();
        }
    }
}

fn put(bao: &OpenBao, mount: &str, pepper: &str) {
    let body = json!({"data": {"current": "1", "v1": pepper}}).to_string();
    bao.call("POST", &format!("{mount}/data/peppers"), &body);
}

/// The only test of its process, so that the log holds what it did and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_shows() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let (mut shown, mut canaries) = (Shown::default(), Canaries::default());
    canaries.add("pepper", PEPPER);
    canaries.add("pepper", RAW_PEPPER);
    canaries.add("changed pepper", CHANGED);

    let bao = OpenBao::private();
    let (records, kv, engine) = (mount(&bao).await, bao.mount("kv-v2"), bao.mount("transit"));
    let key = r#"{"type":"hmac","key_size":32}"#;
    bao.call("POST", &format!("{engine}/keys/keyward"), key);
    put(&bao, &kv, PEPPER);
    let all = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list"] }"#;
    let all = policy(&bao, all);
    let role = app_role(&bao, &all, json!({"token_ttl": "2s"}));
    canaries.add("secret id", &role.secret_id);
    canaries.add("role id", &role.role_id);
    let given = token(&bao, &all, json!({}));
    canaries.add("token", &given);

    let proxy = Proxy::to(bao.address());
    let settings = role.builder(format!("http://{}", proxy.address()));
    let settings = settings.deadline(Duration::from_secs(2));
    shown.debug(&settings);
    let vault = settings.connect().await.unwrap();
    shown.debug(&vault);
    let with_token = builder(bao.url()).token(given.clone());
    shown.debug(&with_token);
    let with_token = with_token.connect().await.unwrap();
    shown.debug(&with_token);
    shown.error(
        &builder(bao.url())
            .token(format!("{given}\n"))
            .connect()
            .await
            .unwrap_err(),
    );

    let store = VaultStore::open(&vault, &records).await.unwrap();
    let peppers = VaultPeppers::builder(&vault, &kv, "peppers");
    shown.debug(&peppers);
    let peppers = peppers.load().await.unwrap();
    shown.debug(&peppers);
    shown.debug(&peppers.ring());
    let transit = TransitDigest::connect(&with_token, &engine, "keyward")
        .await
        .unwrap();
    shown.debug(&transit);
    shown.debug(&store);

    for transit in [None, Some(transit)] {
        let hashing = Hashing::builder()
            .prefer(quick_bcrypt(4))
            .peppers(peppers.ring());
        let hashing = match transit {
            None => hashing,
            Some(transit) => hashing.prefer(transit),
        };
        let service = KeyService::builder(store.clone())
            .hashing(hashing.build().unwrap())
            .hash_pool(pool(2, 64))
            .build()
            .unwrap();
        shown.debug(&service);
        let issued = service.issue(&admin(), request()).await.unwrap();
        let id = issued.record().id;
        let rotated = service
            .rotate(&admin(), &id, Rotation::AtOnce)
            .await
            .unwrap();
        for (key, record) in [
            (issued.key(), issued.record()),
            (rotated.key(), rotated.record()),
        ] {
            let secret: String = key.expose().chars().skip(20).take(43).collect();
            canaries.add("key", &secret);
            // The scheme's name is no secret, and stands in the log.
            let digest = record.current.digest.as_str().rsplit('$').next().unwrap();
            canaries.add("digest", digest);
        }
        let context = RequestContext::new();
        for key in [&issued, &rotated] {
            if let Err(error) = service
                .verify(key.key().expose().as_bytes(), &context)
                .await
            {
                shown.error(&error);
            }
        }
        shown.debug(&store.find(&id).await.unwrap());
        shown.debug(&service.list(&admin(), ListKeys::new()).await.unwrap());

        bao.seal();
        let error = service
            .verify(rotated.key().expose().as_bytes(), &context)
            .await;
        shown.error(&error.unwrap_err());
        bao.unseal();
        vault_support::until("it answers", async || store.find(&id).await.is_ok()).await;
        let path = format!("sys/leases/revoke-prefix/auth/{}/login", role.mount);
        bao.call("PUT", &path, r#"{"sync":true}"#);
        let verified = service.verify(rotated.key().expose().as_bytes(), &context);
        shown.debug(&verified.await.unwrap());
    }

    put(&bao, &kv, CHANGED);
    shown.error(&peppers.refresh().await.unwrap_err());
    put(&bao, &kv, &format!("{CHANGED} "));
    shown.error(&peppers.refresh().await.unwrap_err());
    put(&bao, &kv, &format!("?{CHANGED}"));
    shown.error(&peppers.refresh().await.unwrap_err());
    proxy.stall();
    shown.error(&peppers.refresh().await.unwrap_err());
    proxy.cut();
    shown.error(&peppers.refresh().await.unwrap_err());
    proxy.flow();
    bao.call(
        "POST",
        "auth/token/revoke",
        &json!({"token": given}).to_string(),
    );
    shown.error(&VaultStore::open(&with_token, &records).await.unwrap_err());
    shown.debug(&vault.stats());
    drop(client(&bao).await);

    canaries.assert_absent(&shown.0);
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        logged.contains("by-owner"),
        "the HTTP layer's lines are in the log"
    );
    canaries.assert_absent(&logged);
    let leak = format!("{:?}", given.as_bytes());
    assert!(std::panic::catch_unwind(|| canaries.assert_absent(&leak)).is_err());
    assert!(std::panic::catch_unwind(|| canaries.assert_absent(&given)).is_err());
}

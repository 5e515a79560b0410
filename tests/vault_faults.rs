//! What the Vault client does when the server, the network or its token is out of order.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail where it stands"
)]

mod servers;
mod vault_support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use keyward::key::KeyId;
use keyward::store::{KeyStore as _, StoreError, VaultStore};
use keyward::vault::{VaultClient, VaultError};
use serde_json::json;
use servers::{OpenBao, Proxy};
use tokio::runtime::Handle;
use vault_support::{AppRole, app_role, builder, client, mount, policy, token, until};

const ALL: &str = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list"] }"#;

fn id() -> KeyId {
    "0aZ9bY8cX7dW".parse().unwrap()
}

async fn store(vault: &VaultClient, mount: &str) -> VaultStore {
    VaultStore::open(vault, mount).await.unwrap()
}

/// A role that may do everything, with tokens of these settings.
fn role(bao: &OpenBao, settings: serde_json::Value) -> AppRole {
    app_role(bao, &policy(bao, ALL), settings)
}

/// Ends all tokens of a role, as an operator or an expiry would.
fn revoke(bao: &OpenBao, role: &AppRole) {
    let path = format!("sys/leases/revoke-prefix/auth/{}/login", role.mount);
    bao.call("PUT", &path, r#"{"sync":true}"#);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let good = "http://127.0.0.1:1";
    for address in [
        "",
        "127.0.0.1:1",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:1/v1",
        "http://a:b@127.0.0.1:1",
        "http://127.0.0.1:1?x",
        "http://127.0.0.1:1#x",
        "unix:/run/vault.sock",
    ] {
        let error = builder(address).token("t").connect().await.unwrap_err();
        assert!(matches!(error, VaultError::Address), "{address}: {error:?}");
    }
    for address in [
        "http://vault.internal:8200",
        "http://192.0.2.1:1",
        "http://localhost.example:1",
    ] {
        let error = builder(address).token("t").connect().await.unwrap_err();
        assert!(
            matches!(error, VaultError::PlainHttp),
            "{address}: {error:?}"
        );
    }
    for address in ["http://localhost:1", "http://[::1]:1", "http://127.9.9.9:1"] {
        let error = builder(address).token("t").connect().await.unwrap_err();
        assert!(error.is_outage(), "{address}: {error:?}");
    }
    let allowed = builder("http://192.0.2.1:1")
        .token("t")
        .dangerous()
        .plain_http();
    let allowed = allowed.deadline(Duration::from_millis(50)).connect().await;
    assert!(allowed.unwrap_err().is_outage());
    let refused = async |builder: keyward::vault::VaultClientBuilder| match builder.connect().await
    {
        Err(VaultError::Setting { name }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(builder(good)).await, "token or app_role");
    for token in ["", "with a line break\n", "with blanks", "é"] {
        assert_eq!(refused(builder(good).token(token)).await, "token");
    }
    let sound = || builder(good).token("t");
    assert_eq!(refused(sound().namespace("a\r\nb")).await, "namespace");
    assert_eq!(refused(sound().namespace("")).await, "namespace");
    assert_eq!(refused(sound().deadline(Duration::ZERO)).await, "deadline");
    assert_eq!(refused(builder(good).app_role("", "s")).await, "role_id");
    assert_eq!(refused(builder(good).app_role("r", "")).await, "secret_id");
    let role = builder(good).app_role("r", "s").app_role_mount("../sys");
    assert_eq!(refused(role).await, "app_role_mount");
    for pem in ["", "no certificate"] {
        let error = builder("https://127.0.0.1:1")
            .token("t")
            .root_certificates(pem);
        let error = error.connect().await.unwrap_err();
        assert!(matches!(error, VaultError::Certificates), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_or_secret_id_is_refused_when_connecting() {
    let bao = OpenBao::shared();
    let error = builder(bao.url())
        .token("wrong")
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, VaultError::Denied), "{error:?}");

    let role = role(bao, json!({}));
    for (role_id, secret_id) in [
        (role.role_id.as_str(), "wrong"),
        ("wrong", role.secret_id.as_str()),
    ] {
        let client = builder(bao.url()).app_role(role_id, secret_id);
        let error = client
            .app_role_mount(&role.mount)
            .connect()
            .await
            .unwrap_err();
        assert!(matches!(error, VaultError::Login), "{error:?}");
        assert!(!error.is_outage());
    }
    let nowhere = role.builder(bao.url()).app_role_mount("nowhere");
    let error = nowhere.connect().await.unwrap_err();
    assert!(matches!(error, VaultError::Login), "{error:?}");
}

#[test]
fn a_client_outside_tokio_is_an_error_and_no_panic() {
    let connecting = std::pin::pin!(builder("http://127.0.0.1:1").token("t").connect());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match connecting.poll(&mut context) {
        std::task::Poll::Ready(Err(VaultError::NoRuntime)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_an_outage() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = builder(format!("http://{port}")).token("t").connect();
    let error = client.await.unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error:?}");
    assert!(error.is_outage());
}

#[tokio::test]
async fn a_sealed_vault_is_an_outage_and_is_used_again_once_it_is_unsealed() {
    let bao = OpenBao::private();
    let store = store(&client(&bao).await, &mount(&bao).await).await;
    bao.seal();
    let error = store.find(&id()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("sealed"));
    let error = builder(bao.url()).token(bao.token()).connect().await;
    assert!(matches!(error.unwrap_err(), VaultError::Sealed));
    bao.unseal();
    until("it answers again", async || store.find(&id()).await.is_ok()).await;
}

#[tokio::test]
async fn a_killed_vault_is_an_outage_for_every_operation() {
    let bao = OpenBao::private();
    let store = store(&client(&bao).await, &mount(&bao).await).await;
    bao.kill();
    let listed = store.list(&keyward::store::ListKeys::new()).await;
    for error in [
        store.find(&id()).await.map(drop).unwrap_err(),
        listed.map(drop).unwrap_err(),
        store
            .delete(&id(), keyward::key::Revision::FIRST)
            .await
            .unwrap_err(),
        store.sweep(Duration::ZERO).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_network_that_stands_still_holds_a_call_no_longer_than_the_deadline() {
    let bao = OpenBao::shared();
    let proxy = Proxy::to(bao.address());
    let deadline = Duration::from_secs(1);
    let vault = builder(format!("http://{}", proxy.address())).token(bao.token());
    let vault = vault.deadline(deadline).connect().await.unwrap();
    let store = store(&vault, &mount(bao).await).await;
    proxy.stall();
    let begun = Instant::now();
    let error = store.find(&id()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let took = begun.elapsed();
    assert!(took >= deadline && took < deadline * 10, "{took:?}");
    proxy.flow();
    assert!(store.find(&id()).await.is_ok());
    proxy.cut();
    let error = store.find(&id()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    proxy.flow();
    assert!(store.find(&id()).await.is_ok());
}

#[tokio::test]
async fn a_network_that_drips_keeps_the_deadline_too() {
    let bao = OpenBao::shared();
    let proxy = Proxy::to(bao.address());
    let vault = builder(format!("http://{}", proxy.address())).token(bao.token());
    let deadline = Duration::from_secs(1);
    let vault = vault.deadline(deadline).connect().await.unwrap();
    let store = store(&vault, &mount(bao).await).await;
    proxy.delay(Duration::from_millis(50));
    assert!(store.find(&id()).await.is_ok());
    proxy.delay(Duration::from_millis(1200));
    let begun = Instant::now();
    assert!(store.find(&id()).await.is_err());
    assert!(begun.elapsed() < deadline * 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_with_an_ended_token_log_in_once_and_succeed() {
    let bao = OpenBao::shared();
    let (role, mount) = (role(bao, json!({})), mount(bao).await);
    let vault = role.builder(bao.url()).connect().await.unwrap();
    let store = store(&vault, &mount).await;
    for round in 1..=3 {
        revoke(bao, &role);
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.find(&id()).await.map(drop) })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(vault.stats().logins, round);
    }
}

#[tokio::test]
async fn a_missing_permission_is_an_error_and_not_a_log_in_for_each_call() {
    let bao = OpenBao::shared();
    let (role, name) = (role(bao, json!({})), mount(bao).await);
    let rules = format!(r#"path "{name}/config" {{ capabilities = ["read"] }}"#);
    let narrow = app_role(bao, &policy(bao, &rules), json!({}));
    let vault = narrow.builder(bao.url()).connect().await.unwrap();
    let narrow = store(&vault, &name).await;
    for _ in 0..20 {
        let error = narrow.find(&id()).await.unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    }
    assert_eq!(vault.stats().logins, 1);
    // What is allowed goes on.
    VaultStore::open(&vault, &name).await.unwrap();
    drop(role);
}

#[tokio::test]
async fn a_token_that_was_given_and_has_ended_stays_denied() {
    let bao = OpenBao::shared();
    let given = token(bao, &policy(bao, ALL), json!({}));
    let vault = builder(bao.url())
        .token(given.clone())
        .connect()
        .await
        .unwrap();
    let store = store(&vault, &mount(bao).await).await;
    bao.call(
        "POST",
        "auth/token/revoke",
        &json!({"token": given}).to_string(),
    );
    let error = store.find(&id()).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    assert!(error.is_outage());
    assert_eq!(vault.stats().logins, 0);
}

#[tokio::test]
async fn a_token_of_an_app_role_is_renewed_and_replaced_before_it_ends() {
    let bao = OpenBao::shared();
    let settings = json!({"token_ttl": "2s", "token_max_ttl": "5s"});
    let vault = role(bao, settings)
        .builder(bao.url())
        .connect()
        .await
        .unwrap();
    let store = store(&vault, &mount(bao).await).await;
    // Nothing calls Vault meanwhile, so it is not a denied call that logs in.
    until("it renews", async || vault.stats().renewals > 0).await;
    until("it logs in again", async || vault.stats().logins > 0).await;
    store.find(&id()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_replaced_before_it_ends() {
    let bao = OpenBao::shared();
    let settings = json!({"token_ttl": "2s", "token_type": "batch"});
    let vault = role(bao, settings)
        .builder(bao.url())
        .connect()
        .await
        .unwrap();
    let store = store(&vault, &mount(bao).await).await;
    until("it logs in again", async || vault.stats().logins > 1).await;
    assert_eq!(vault.stats().renewals, 0);
    store.find(&id()).await.unwrap();
}

#[tokio::test]
async fn a_given_token_is_renewed_for_as_long_as_it_can_be() {
    let bao = OpenBao::shared();
    let given = token(bao, &policy(bao, ALL), json!({"period": "2s"}));
    let vault = builder(bao.url()).token(given).connect().await.unwrap();
    let store = store(&vault, &mount(bao).await).await;
    until("it renews", async || vault.stats().renewals > 2).await;
    store.find(&id()).await.unwrap();
}

#[tokio::test]
async fn a_renewal_that_meets_an_outage_is_tried_again() {
    let bao = OpenBao::shared();
    let proxy = Proxy::to(bao.address());
    let role = role(bao, json!({"token_ttl": "3s"}));
    let vault = role.builder(format!("http://{}", proxy.address()));
    let vault = vault.connect().await.unwrap();
    until("it renews", async || vault.stats().renewals > 0).await;
    proxy.cut();
    until("it fails", async || vault.stats().failed_renewals > 1).await;
    let before = vault.stats();
    proxy.flow();
    until("it goes on", async || {
        let now = vault.stats();
        now.renewals + now.logins > before.renewals + before.logins
    })
    .await;
}

#[tokio::test]
async fn the_task_that_renews_ends_with_the_last_clone() {
    let bao = OpenBao::shared();
    let role = role(bao, json!({"token_ttl": "1h"}));
    let alive = || Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let vault = role.builder(bao.url()).connect().await.unwrap();
    let other = vault.clone();
    drop(vault);
    assert!(alive() > before);
    drop(other);
    until("its tasks end", async || alive() == before).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_logs_in_leaves_that_to_the_next() {
    let bao = OpenBao::shared();
    let proxy = Proxy::to(bao.address());
    let role = role(bao, json!({}));
    let vault = role.builder(format!("http://{}", proxy.address()));
    let vault = vault.connect().await.unwrap();
    let store = store(&vault, &mount(bao).await).await;
    revoke(bao, &role);
    for wait in [1, 2, 4, 8, 16, 32] {
        proxy.delay(Duration::from_millis(5));
        let _ = tokio::time::timeout(Duration::from_millis(wait), store.find(&id())).await;
    }
    proxy.delay(Duration::ZERO);
    store.find(&id()).await.unwrap();
    assert_eq!(vault.stats().logins, 1);
}

/// A standby that does not forward, or somebody who wants the token.
#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let (first, second) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let address = first.local_addr().unwrap();
    let elsewhere = second.local_addr().unwrap();
    second.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        for mut stream in first.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{elsewhere}/v1/x\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
    });
    let error = builder(format!("http://{address}")).token("t").connect();
    let error = error.await.unwrap_err();
    assert!(
        matches!(error, VaultError::Refused { status: 307 }),
        "{error:?}"
    );
    assert!(second.accept().is_err(), "the redirect was followed");
}

/// Run once more by itself, in a process whose environment names a proxy that does not exist.
#[tokio::test]
async fn a_proxy_that_the_environment_names_does_not_get_the_token() {
    const CHILD: &str = "KEYWARD_TEST_BEHIND_A_PROXY";
    if std::env::var_os(CHILD).is_some() {
        drop(client(OpenBao::shared()).await);
        return;
    }
    // Started here, so that it does not take the child's environment.
    drop(client(OpenBao::shared()).await);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = format!("http://{nobody}");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_proxy_that_the_environment_names_does_not_get_the_token",
        ])
        .envs(["HTTP_PROXY", "http_proxy", "ALL_PROXY"].map(|name| (name, proxy.as_str())))
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
}

/// Something else at the address, or in between.
#[tokio::test]
async fn answers_that_are_not_vaults_are_errors_that_keep_the_body_to_themselves() {
    for (status, body) in [
        ("200 OK", "<html>canary</html>"),
        ("200 OK", r#"{"data":null,"canary":1}"#),
        ("200 OK", r#"{"data":{"ttl":"canary"}}"#),
        ("200 OK", ""),
        ("502 Bad Gateway", "canary"),
        ("500 Internal Server Error", r#"{"errors":["canary"]}"#),
        ("400 Bad Request", r#"{"errors":["canary"]}"#),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let client = builder(format!("http://{address}")).token("t").connect();
        let error = client.await.unwrap_err();
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

/// vaultrs would panic on it.
#[tokio::test]
async fn a_token_that_is_none_is_an_error_and_no_panic() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let body = r#"{"auth":{"client_token":"a\nb","lease_duration":60,"renewable":true}}"#;
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    let client = builder(format!("http://{address}")).app_role("r", "s");
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, VaultError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_namespace_is_a_vault_of_its_own() {
    let bao = OpenBao::shared();
    let namespace = servers::unique("team");
    bao.call("POST", &format!("sys/namespaces/{namespace}"), "{}");
    bao.call(
        "POST",
        &format!("{namespace}/sys/mounts/keys"),
        r#"{"type":"kv","options":{"version":"2"}}"#,
    );
    bao.wait_for(&format!("{namespace}/keys"));
    let vault = builder(bao.url()).token(bao.token()).namespace(&namespace);
    let vault = vault.connect().await.unwrap();
    VaultStore::prepare(&vault, "keys").await.unwrap();
    assert!(
        store(&vault, "keys")
            .await
            .find(&id())
            .await
            .unwrap()
            .is_none()
    );
    let outside = VaultStore::open(&client(bao).await, "keys").await;
    assert!(matches!(outside.unwrap_err(), VaultError::NotMounted));
}

//! Clients of a test server, and mounts that are set up for a use.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "each test takes what it needs of these helpers, and a helper may say what it expects"
)]

use keyward::store::VaultStore;
use keyward::vault::{VaultClient, VaultClientBuilder};
use serde_json::Value;

use crate::servers::OpenBao;

/// Settings for a client, in a process that has TLS to use.
pub(crate) fn builder(address: impl Into<String>) -> VaultClientBuilder {
    // Of the tests in one process the first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    VaultClient::builder(address)
}

/// A client that may do everything.
pub(crate) async fn client(bao: &OpenBao) -> VaultClient {
    let client = builder(bao.url()).token(bao.token()).connect();
    client.await.unwrap()
}

/// A mount that is fit for records.
pub(crate) async fn mount(bao: &OpenBao) -> String {
    let mount = bao.mount("kv-v2");
    VaultStore::prepare(&client(bao).await, &mount)
        .await
        .unwrap();
    mount
}

/// Calls the API as root and reads the answer.
pub(crate) fn json(bao: &OpenBao, method: &str, path: &str, body: &str) -> Value {
    serde_json::from_str(&bao.call(method, path, body)).unwrap_or(Value::Null)
}

/// A policy under a name of its own.
pub(crate) fn policy(bao: &OpenBao, rules: &str) -> String {
    let name = crate::servers::unique("policy");
    let body = serde_json::json!({ "policy": rules }).to_string();
    bao.call("PUT", &format!("sys/policies/acl/{name}"), &body);
    name
}

/// A token with that policy, and further settings.
pub(crate) fn token(bao: &OpenBao, policy: &str, settings: Value) -> String {
    let mut body = settings;
    body["policies"] = serde_json::json!([policy]);
    let answer = json(bao, "POST", "auth/token/create", &body.to_string());
    answer["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// An AppRole method of this test's own.
pub(crate) struct AppRole {
    pub(crate) mount: String,
    pub(crate) role_id: String,
    pub(crate) secret_id: String,
}

/// An AppRole with that policy, whose tokens have these settings.
pub(crate) fn app_role(bao: &OpenBao, policy: &str, settings: Value) -> AppRole {
    let mount = crate::servers::unique("approle");
    bao.call(
        "POST",
        &format!("sys/auth/{mount}"),
        r#"{"type":"approle"}"#,
    );
    let mut role = settings;
    role["token_policies"] = serde_json::json!([policy]);
    let place = format!("auth/{mount}/role/keyward");
    bao.call("POST", &place, &role.to_string());
    let role_id = json(bao, "GET", &format!("{place}/role-id"), "");
    let secret_id = json(bao, "POST", &format!("{place}/secret-id"), "{}");
    AppRole {
        mount,
        role_id: role_id["data"]["role_id"].as_str().unwrap().to_owned(),
        secret_id: secret_id["data"]["secret_id"].as_str().unwrap().to_owned(),
    }
}

impl AppRole {
    /// Settings for a client that logs in with it.
    pub(crate) fn builder(&self, address: impl Into<String>) -> VaultClientBuilder {
        builder(address)
            .app_role(self.role_id.clone(), self.secret_id.clone())
            .app_role_mount(self.mount.clone())
    }
}

/// Waits for what happens by itself.
pub(crate) async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !happened().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), waited);
    assert!(waited.await.is_ok(), "{what}");
}

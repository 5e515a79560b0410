//! Vault over https, with an authority of one's own.
#![cfg(all(feature = "vault", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod servers;
mod vault_support;

use std::net::TcpListener;

use keyward::store::{KeyStore as _, VaultStore};
use keyward::vault::VaultError;
use serde_json::json;
use servers::OpenBao;
use vault_support::{builder, json as call, mount};

struct Tls {
    bao: OpenBao,
    url: String,
    authority: String,
    _folder: tempfile::TempDir,
}

/// An authority that a Vault makes, and a server with a certificate of it.
fn server() -> Tls {
    let issuer = OpenBao::shared();
    let pki = issuer.mount("pki");
    let root = json!({"common_name": "keyward test authority"}).to_string();
    let root = call(
        issuer,
        "POST",
        &format!("{pki}/root/generate/internal"),
        &root,
    );
    let role = json!({"allow_any_name": true, "enforce_hostnames": false}).to_string();
    issuer.call("POST", &format!("{pki}/roles/server"), &role);
    let names =
        json!({"common_name": "vault.test", "ip_sans": "127.0.0.1", "ttl": "1h"}).to_string();
    let issued = call(issuer, "POST", &format!("{pki}/issue/server"), &names);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let text = |field: &str| issued["data"][field].as_str().unwrap().to_owned();
    write("cert.pem", &text("certificate"));
    write("key.pem", &text("private_key"));
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let settings = [
        ("address", free.to_string()),
        ("tls_cert_file", cert),
        ("tls_key_file", key),
    ];
    let settings = settings.map(|(name, value)| format!("{name} = \"{value}\"\n"));
    let listener = format!("listener \"tcp\" {{\n{}}}\n", settings.concat());
    write("tls.hcl", &listener);
    let bao = OpenBao::private_with(&[&format!("-config={}", path("tls.hcl"))]);
    Tls {
        bao,
        url: format!("https://{free}"),
        authority: root["data"]["certificate"].as_str().unwrap().to_owned(),
        _folder: folder,
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_by_no_other() {
    let tls = server();
    let mount = mount(&tls.bao).await;
    let trusting = builder(&tls.url).token(tls.bao.token());
    let vault = trusting.root_certificates(tls.authority.as_str()).connect();
    let store = VaultStore::open(&vault.await.unwrap(), &mount)
        .await
        .unwrap();
    let id = "0aZ9bY8cX7dW".parse().unwrap();
    assert!(store.find(&id).await.unwrap().is_none());

    let stranger = builder(&tls.url).token(tls.bao.token()).connect().await;
    let error = stranger.unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::Unreachable { .. } | VaultError::Certificates
        ),
        "{error:?}"
    );
    let named = tls.url.replace("127.0.0.1", "localhost");
    let misnamed = builder(named).token(tls.bao.token());
    let error = misnamed
        .root_certificates(tls.authority.as_str())
        .connect()
        .await;
    assert!(matches!(error.unwrap_err(), VaultError::Unreachable { .. }));
}

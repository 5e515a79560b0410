//! What a service takes on with the crate: the core brings no HTTP, no database and no TLS.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::collections::BTreeSet;
use std::process::Command;

/// The names of all crates that are linked with these features.
fn linked(features: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--offline", "--edges", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .args(["--no-default-features", "--features", features])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_core_brings_no_http_no_database_and_no_tls() {
    let core = linked("");
    for heavy in [
        "axum",
        "http",
        "hyper",
        "sqlx",
        "libsqlite3-sys",
        "rustls",
        "openssl",
        "tracing",
    ] {
        assert!(!core.contains(heavy), "{heavy} is in the core");
    }
    assert!(core.contains("bcrypt") && core.contains("argon2"));
    assert!(core.len() <= 50, "the core links {} crates", core.len());
}

#[test]
fn the_layers_bring_http_and_no_server() {
    let tower = linked("tower");
    assert!(tower.contains("http") && tower.contains("tower-service"));
    for heavy in ["axum", "hyper", "sqlx", "tower"] {
        assert!(
            !tower.contains(heavy),
            "{heavy} comes with the tower feature"
        );
    }
}

#[test]
fn the_database_comes_alone() {
    let sqlite = linked("sqlite");
    assert!(sqlite.contains("libsqlite3-sys"));
    for heavy in [
        "axum",
        "hyper",
        "rustls",
        "openssl",
        "sqlx-postgres",
        "sqlx-mysql",
    ] {
        assert!(
            !sqlite.contains(heavy),
            "{heavy} comes with the sqlite feature"
        );
    }
}

#[test]
fn sealing_brings_one_signature_and_no_second_hash() {
    let (core, seal) = (linked(""), linked("audit-seal"));
    assert!(seal.contains("ed25519-dalek"));
    assert!(seal.len() <= core.len() + 8, "{:?}", &seal - &core);
    for heavy in ["pkcs8", "rand", "rand_core", "sha3"] {
        let brought = seal.contains(heavy) && !core.contains(heavy);
        assert!(!brought, "{heavy} comes with the audit-seal feature");
    }
}

#[test]
fn the_limiter_on_redis_brings_no_tls() {
    let redis = linked("redis");
    assert!(redis.contains("redis"));
    for heavy in ["axum", "hyper", "rustls", "openssl", "native-tls", "sqlx"] {
        assert!(
            !redis.contains(heavy),
            "{heavy} comes with the redis feature"
        );
    }
}

#[test]
fn vault_brings_http_and_tls_and_no_crypto_in_c() {
    let vault = linked("vault");
    assert!(vault.contains("vaultrs") && vault.contains("rustls"));
    // Which crypto provider it is, is the application's choice.
    for heavy in [
        "axum",
        "sqlx",
        "redis",
        "ring",
        "aws-lc-rs",
        "aws-lc-sys",
        "openssl",
        "native-tls",
    ] {
        assert!(
            !vault.contains(heavy),
            "{heavy} comes with the vault feature"
        );
    }
    assert!(vault.len() <= 145, "vault links {} crates", vault.len());
}

#[test]
fn webhooks_bring_http_and_tls_and_no_crypto_in_c() {
    let webhook = linked("webhook");
    assert!(webhook.contains("reqwest") && webhook.contains("rustls"));
    for heavy in ["axum", "sqlx", "vaultrs", "ring", "aws-lc-rs", "openssl"] {
        assert!(
            !webhook.contains(heavy),
            "{heavy} comes with the webhook feature"
        );
    }
}

#[test]
fn countries_bring_a_reader_and_no_mapped_files() {
    let geoip = linked("geoip");
    assert!(geoip.contains("maxminddb"));
    for heavy in ["memmap2", "hyper", "rustls"] {
        assert!(
            !geoip.contains(heavy),
            "{heavy} comes with the geoip feature"
        );
    }
}

#[test]
fn postgresql_brings_no_c_and_no_tls() {
    let postgres = linked("postgres");
    assert!(postgres.contains("sqlx-postgres"));
    for heavy in [
        "axum",
        "hyper",
        "rustls",
        "openssl",
        "libsqlite3-sys",
        "redis",
    ] {
        assert!(
            !postgres.contains(heavy),
            "{heavy} comes with the postgres feature"
        );
    }
}

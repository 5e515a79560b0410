//! A service that ends TLS itself, with keys that are bound to client certificates. Everything it needs it makes at its
//! start: an authority, certificates, keys.
//!
//! ```sh
//! cargo run --release --example https_service --features axum
//! ```
//!
//! `examples/https_service/try_it.sh` starts it and shows with curl what it answers.
//!
//! | variable | default | what it is |
//! |---|---|---|
//! | `KEYWARD_HTTPS` | `127.0.0.1:8443` | where to listen; port 0 takes a free one |
//! | `KEYWARD_HTTP` | `127.0.0.1:8080` | where to listen in clear |
//! | `KEYWARD_CERTS` | `keyward-certs` | the folder that certificates and their private keys are written to |
#![allow(
    clippy::print_stdout,
    reason = "the keys are shown on the terminal, and nowhere else"
)]

mod api;
mod authority;
mod tls;

use std::error::Error;
use std::path::{Path, PathBuf};

use authority::{Authority, Identity, Validity};
use keyward::KeyService;
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::key::{OwnerId, Thumbprint};
use keyward::rate_limit::{Quota, Tier, Tiers};
use keyward::service::{Actor, IssueKey, LimitPlan};
use keyward::store::MemoryStore;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let folder = PathBuf::from(setting("KEYWARD_CERTS", "keyward-certs"));
    let https = TcpListener::bind(setting("KEYWARD_HTTPS", "127.0.0.1:8443")).await?;
    let http = TcpListener::bind(setting("KEYWARD_HTTP", "127.0.0.1:8080")).await?;

    let authority = Authority::new("keyward example authority")?;
    let bound = write_certificates(&authority, &folder)?;
    let server = authority.server(&["localhost", "127.0.0.1"])?;
    let config = tls::config(&authority, &server)?;

    let service = KeyService::builder(MemoryStore::new())
        .policy(roles()?)
        .limits(limits()?)
        .build()?;
    issue_keys(&service, bound).await?;

    let host = format!("localhost:{}", https.local_addr()?.port());
    let app = api::router(&service, &host)?;
    println!("certificates: {}", folder.display());
    println!("https: {}", https.local_addr()?);
    println!("http: {}", http.local_addr()?);
    tokio::select! {
        () = tls::serve(https, config, app.clone()) => {}
        () = tls::serve_plain(http, app) => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    service.shutdown().await?;
    Ok(())
}

/// Writes what clients need, and returns the thumbprint of the right certificate.
fn write_certificates(authority: &Authority, folder: &Path) -> Result<Thumbprint, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("authority.pem"), authority.pem())?;
    let client = authority.client("client", Validity::Now)?;
    let same_key = authority.renewed("client", &client)?;
    let new_key = authority.client("client", Validity::Now)?;
    let expired = authority.client("client", Validity::Over)?;
    let stranger = Authority::new("another authority")?.client("client", Validity::Now)?;
    let write = |name: &str, identity: &Identity| -> std::io::Result<()> {
        let thumbprint = identity.thumbprint().to_string();
        std::fs::write(folder.join(format!("{name}.thumbprint")), thumbprint)?;
        identity.write(&folder.join(format!("{name}.pem")))
    };
    write("client", &client)?;
    write("renewed-same-key", &same_key)?;
    write("renewed-new-key", &new_key)?;
    write("expired", &expired)?;
    write("stranger", &stranger)?;
    Ok(client.thumbprint())
}

/// Keys of the role `batch` are used by machines of one network only, whatever their own lists say.
fn roles() -> Result<AccessPolicy, Box<dyn Error>> {
    let batch = Role::new("batch", ["send_email"])?.with_networks("10.20.0.0/16".parse()?);
    let admin = Role::new("admin", ["send_email", "manage_keys"])?;
    Ok(AccessPolicy::builder().roles([batch, admin]).build()?)
}

fn limits() -> Result<LimitPlan, Box<dyn Error>> {
    let trial = Tier::new("trial", [Quota::per_minute(2)?.named("trial")?])?;
    Ok(LimitPlan::new(Tiers::standard().with(trial)?, "starter")?)
}

async fn issue_keys(service: &KeyService, bound: Thumbprint) -> Result<(), Box<dyn Error>> {
    let actor = Actor::system("example")?;
    let wanted = wanted_keys(bound)?;
    for request in wanted {
        let issued = service.issue(&actor, request).await?;
        let (name, id) = (&issued.record().name, issued.record().id);
        let key = issued.key().expose();
        println!("key {name}, id {id}, shown this once: {key}");
    }
    Ok(())
}

fn wanted_keys(bound: Thumbprint) -> Result<[IssueKey; 5], Box<dyn Error>> {
    let send = Grant::try_scopes(["send_email".parse()?])?;
    let owner: OwnerId = "acme".parse()?;
    let request = |name: &str, grant: &Grant| IssueKey::new(owner.clone(), name, grant.clone());
    Ok([
        request("plain", &send),
        request("bound", &send).with_certificate(bound),
        request("trial", &send).with_tier("trial"),
        request("batch", &Grant::Role("batch".parse()?)),
        request("admin", &Grant::Role("admin".parse()?))
            .with_justification("binds keys to certificates"),
    ])
}

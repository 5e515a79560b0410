//! A service whose routes are protected by keys, on SQLite, with nothing to set up. Made to be copied.
//!
//! ```sh
//! cargo run --release --example axum_service --features axum,sqlite
//! ```
//!
//! | variable | default | what it is |
//! |---|---|---|
//! | `KEYWARD_ADDR` | `127.0.0.1:8080` | where to listen; port 0 takes a free one |
//! | `KEYWARD_DB` | `keyward.sqlite` | the database; the audit trail stands beside it, as `.audit.jsonl` |
//! | `RUST_LOG` | `info` | what is logged to standard error |
#![allow(
    clippy::print_stdout,
    reason = "the admin key is shown on the terminal, and nowhere else"
)]

mod admin;
mod api;
mod policy;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward::access::{Grant, TenantBinding};
use keyward::audit::JsonLinesSink;
use keyward::service::{Actor, IssueKey, KeyService};
use keyward::store::{ListKeys, SqliteStore};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let database = PathBuf::from(setting("KEYWARD_DB", "keyward.sqlite"));
    let service = open(&database).await?;
    if let Some(key) = first_admin_key(&service).await? {
        println!("admin key, shown this once: {key}");
    }

    let listener = TcpListener::bind(setting("KEYWARD_ADDR", "127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = api::router(&service)?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(asked_to_end())
        .await?;

    // Last uses and audit events are written in batches; this writes the last ones.
    service.shutdown().await?;
    let (hashes, events) = (service.hash_stats().done, service.audit_counters());
    let (written, dropped) = (events.written, events.dropped);
    tracing::info!(
        "ended; slow hashes: {hashes}, audit events written: {written}, dropped: {dropped}"
    );
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

async fn open(database: &Path) -> Result<KeyService, Box<dyn Error>> {
    let store = SqliteStore::open(database).await?;
    let trail = JsonLinesSink::open(database.with_extension("audit.jsonl")).await?;
    Ok(KeyService::builder(store)
        .policy(policy::roles()?)
        .limits(policy::limits()?)
        .audit(trail)
        .build()?)
}

/// Issues an admin key if the database holds no key at all, and returns its plaintext to be shown once.
///
/// There is no default key and none is left behind: whoever loses this one stops the service and starts it on a database
/// without keys, or issues another with an actor of the application's own.
async fn first_admin_key(service: &KeyService) -> Result<Option<String>, Box<dyn Error>> {
    let bootstrap = Actor::system("bootstrap")?;
    let any = service
        .list(&bootstrap, ListKeys::new().with_limit(1))
        .await?;
    if !any.records.is_empty() {
        return Ok(None);
    }
    let request = IssueKey::new(
        "operator".parse()?,
        "first admin key",
        Grant::Role("admin".parse()?),
    )
    .with_tenant(TenantBinding::Platform)
    .with_tier("enterprise")
    .with_justification("made by the service at its first start");
    let issued = service.issue(&bootstrap, request).await?;
    Ok(Some(issued.key().expose().to_owned()))
}

/// Ends with Ctrl-C and, where there is one, SIGTERM.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}

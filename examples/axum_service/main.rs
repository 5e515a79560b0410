//! A service whose routes are protected by keys, on SQLite, with nothing to set up. Made to be copied.
//!
//! ```sh
//! cargo run --release --example axum_service --features axum,sqlite
//! ```
//!
//! | variable | default | what it is |
//! |---|---|---|
//! | `KEYWARD_ADDR` | `127.0.0.1:8080` | where to listen; port 0 takes a free one |
//! | `KEYWARD_DB` | `keyward.sqlite` | the database, which several processes may share |
//! | `KEYWARD_AUDIT` | beside the database, as `.audit.jsonl` | the audit trail; each process needs one of its own |
//! | `KEYWARD_NEW_ADMIN` | `0` | `1` prints another admin key, when the last one is lost |
//! | `RUST_LOG` | `info` | what is logged to standard error |
#![allow(
    clippy::print_stdout,
    reason = "the admin key is shown on the terminal, and nowhere else"
)]

mod admin;
mod api;
mod policy;

use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward::access::{Grant, TenantBinding};
use keyward::audit::JsonLinesSink;
use keyward::service::{Actor, IssueKey, KeyService, Review};
use keyward::store::{ListKeys, SqliteStore};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let database = PathBuf::from(setting("KEYWARD_DB", "keyward.sqlite"));
    let trail = std::env::var_os("KEYWARD_AUDIT").map(PathBuf::from);
    let trail = trail.unwrap_or_else(|| database.with_extension("audit.jsonl"));
    let address = setting("KEYWARD_ADDR", "127.0.0.1:8080");

    let listener = TcpListener::bind(&address)
        .await
        .map_err(at("cannot listen on", &address))?;
    let service = open(&database, &trail).await?;
    if let Some(key) = admin_key_if_needed(&service).await? {
        println!("admin key, shown this once: {key}");
    }
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

async fn open(database: &Path, trail: &Path) -> Result<KeyService, Box<dyn Error>> {
    let store = SqliteStore::open(database).await;
    let store = store.map_err(at("cannot open the database", database.display()))?;
    let sink = JsonLinesSink::open(trail).await;
    let sink = sink.map_err(at("cannot open the audit trail", trail.display()))?;
    Ok(KeyService::builder(store)
        .policy(policy::roles()?)
        .limits(policy::limits()?)
        .audit(sink)
        // Clients only hear "try later"; the operator must hear why.
        .report_outages(|operation, error| tracing::error!("{operation}: {}", with_causes(error)))
        .build()?)
}

/// Issues an admin key if no active key can manage others, or if one is asked for, and returns its plaintext to be shown
/// once.
///
/// There is no default key and none is left behind. Whoever can start the service with its database can read and write
/// that database anyway.
async fn admin_key_if_needed(service: &KeyService) -> Result<Option<String>, Box<dyn Error>> {
    let bootstrap = Actor::system("bootstrap")?;
    if setting("KEYWARD_NEW_ADMIN", "0") != "1" && has_admin(service, &bootstrap).await? {
        return Ok(None);
    }
    let request = IssueKey::new(
        "operator".parse()?,
        "admin key",
        Grant::Role("admin".parse()?),
    )
    .with_tenant(TenantBinding::Platform)
    .with_tier("enterprise")
    .with_justification("made by the service at its start");
    let issued = service.issue(&bootstrap, request).await?;
    Ok(Some(issued.key().expose().to_owned()))
}

async fn has_admin(service: &KeyService, actor: &Actor) -> Result<bool, Box<dyn Error>> {
    let mut query = ListKeys::new().with_limit(ListKeys::MAX_LIMIT);
    loop {
        let page = service
            .review(actor, &Review::AdminKeys, query.clone())
            .await?;
        match page.next {
            _ if !page.records.is_empty() => return Ok(true),
            Some(next) => query = query.with_after(next),
            None => return Ok(false),
        }
    }
}

/// Says what was being done, and to what.
fn at<E: Error>(what: &str, which: impl Display) -> impl FnOnce(E) -> Box<dyn Error> {
    move |error| format!("{what} `{which}`: {}", with_causes(&error)).into()
}

/// An error's own words, and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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

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
//! | `KEYWARD_AUDIT` | beside the database, as `.audit.jsonl` | the audit trail; each process needs one of its own. `none` keeps no trail, to measure what it costs |
//! | `KEYWARD_NEW_ADMIN` | `0` | `1` prints another admin key, when the last one is lost |
//! | `RUST_LOG` | `info` | what is logged to standard error |
#![allow(
    clippy::print_stdout,
    reason = "the admin key is shown on the terminal, and nowhere else"
)]

mod admin;
mod api;
mod policy;
mod revocations;
mod start;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward::audit::{AuditSink, JsonLinesSink, MemorySink};
use keyward::service::KeyService;
use keyward::store::SqliteStore;
use tokio::net::TcpListener;

use start::{at, setting, with_causes};

#[tokio::main]
async fn main() -> ExitCode {
    start::log_to_stderr();
    start::exit_code(run().await)
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
    start::serve(listener, &service).await
}

async fn open(database: &Path, trail: &Path) -> Result<KeyService, Box<dyn Error>> {
    let store = SqliteStore::open(database).await;
    let store = store.map_err(at("cannot open the database", database.display()))?;
    let sink = trail_at(trail).await?;
    Ok(KeyService::builder(store)
        .format(policy::format()?)
        .policy(policy::roles()?)
        .rotation_policy(policy::ages()?)
        .limits(policy::limits()?)
        .audit(sink)
        // Clients only hear "try later"; the operator must hear why.
        .report_outages(|operation, error| tracing::error!("{operation}: {}", with_causes(error)))
        .build()?)
}

async fn trail_at(path: &Path) -> Result<Box<dyn AuditSink>, Box<dyn Error>> {
    if path.as_os_str() == "none" {
        tracing::warn!("there is no audit trail");
        return Ok(Box::new(MemorySink::bounded(NonZeroUsize::MIN)));
    }
    let sink = JsonLinesSink::open(path).await;
    Ok(Box::new(sink.map_err(at(
        "cannot open the audit trail",
        path.display(),
    ))?))
}

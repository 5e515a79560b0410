//! The service of `axum_service` for any number of processes: keys and the audit trail in PostgreSQL, limits in Redis. Made
//! to be copied, together with the files of `axum_service` that it shares.
//!
//! ```sh
//! examples/fleet_service/two_processes.sh
//! ```
//!
//! starts a PostgreSQL, a Redis and two of these, and shows that they agree. By hand:
//!
//! ```sh
//! KEYWARD_POSTGRES=postgres://app@db.internal/app KEYWARD_REDIS=redis://cache.internal \
//!     cargo run --release --example fleet_service --features axum,postgres,redis
//! ```
//!
//! | variable | default | what it is |
//! |---|---|---|
//! | `KEYWARD_ADDR` | `127.0.0.1:8080` | where to listen; port 0 takes a free one |
//! | `KEYWARD_POSTGRES` | `postgres://localhost/keyward` | the database, where the schema `keyward` is made |
//! | `KEYWARD_REDIS` | `redis://127.0.0.1` | where requests are counted |
//! | `KEYWARD_PROCESSES` | `2` | how many processes share the limits: each keeps to its part while Redis is down |
//! | `KEYWARD_REDIS_DEADLINE_MS` | `25` | how long a request waits for Redis |
//! | `KEYWARD_NAME` | `fleet` | what this process is called in the audit trail |
//! | `KEYWARD_MIGRATE_ONLY` | `0` | `1` makes the tables and ends |
//! | `KEYWARD_NEW_ADMIN` | `0` | `1` prints another admin key, when the last one is lost |
//! | `RUST_LOG` | `info` | what is logged to standard error |
#![allow(
    clippy::print_stdout,
    reason = "the admin key is shown on the terminal, and nowhere else"
)]

#[path = "../axum_service/admin.rs"]
mod admin;
#[path = "../axum_service/api.rs"]
mod api;
#[path = "../axum_service/policy.rs"]
mod policy;
#[path = "../axum_service/revocations.rs"]
mod revocations;
#[path = "../axum_service/start.rs"]
mod start;

use std::error::Error;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyward::rate_limit::{GuardedRateLimiter, OutagePolicy, RedisConnection, RedisRateLimiter};
use keyward::service::KeyService;
use keyward::store::PostgresStore;
use tokio::net::TcpListener;

use start::{at, setting, with_causes};

#[tokio::main]
async fn main() -> ExitCode {
    start::log_to_stderr();
    start::exit_code(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let address = setting("KEYWARD_ADDR", "127.0.0.1:8080");
    let listener = TcpListener::bind(&address)
        .await
        .map_err(at("cannot listen on", &address))?;
    let service = open().await?;
    if setting("KEYWARD_MIGRATE_ONLY", "0") == "1" {
        // The tables are there now; whoever serves need not be able to make them.
        return Ok(service.shutdown().await?);
    }
    start::serve(listener, &service).await
}

async fn open() -> Result<KeyService, Box<dyn Error>> {
    let store =
        PostgresStore::connect(&setting("KEYWARD_POSTGRES", "postgres://localhost/keyward")).await;
    let store = store.map_err(at("cannot open", "the database"))?;
    // Events lie beside the keys, in a table that all processes write to: a change and its event are one transaction.
    let store = store.with_audit(&setting("KEYWARD_NAME", "fleet")).await;
    let store = store.map_err(at("cannot open", "the audit trail"))?;
    Ok(KeyService::builder_audited(store)
        .format(policy::format()?)
        .policy(policy::roles()?)
        .rotation_policy(policy::ages()?)
        .limits(policy::limits()?)
        .limiter(limiter()?)
        // Clients only hear "try later"; the operator must hear why.
        .report_outages(|operation, error| tracing::error!("{operation}: {}", with_causes(error)))
        .build()?)
}

/// Counts in Redis. While that is down, each process holds every key to its part of the limit: nobody is locked out by an
/// outage, and nobody gains much by one.
fn limiter() -> Result<Arc<GuardedRateLimiter>, Box<dyn Error>> {
    let connection = RedisConnection::open(&setting("KEYWARD_REDIS", "redis://127.0.0.1"))?;
    let processes: NonZeroU32 = setting("KEYWARD_PROCESSES", "2").parse()?;
    let deadline = setting("KEYWARD_REDIS_DEADLINE_MS", "25").parse()?;
    let limiter = RedisRateLimiter::new(connection)
        .guarded(OutagePolicy::Local)
        .with_deadline(Duration::from_millis(deadline))
        .with_nodes(processes);
    let limiter = Arc::new(limiter);
    tokio::spawn(tell_of_outages(Arc::clone(&limiter)));
    Ok(limiter)
}

/// Requests go on without Redis, so somebody has to be told that it is missing.
async fn tell_of_outages(limiter: Arc<GuardedRateLimiter>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let local = limiter.counts().local;
        if local > told {
            let more = local - told;
            tracing::error!(
                "limit: Redis did not answer; {more} requests were counted in this process"
            );
            told = local;
        }
    }
}

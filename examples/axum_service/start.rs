//! What a service does at its start and at its end, whatever it stands on.

use std::error::Error;
use std::fmt::Display;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use keyward::access::{Grant, TenantBinding};
use keyward::service::{Actor, IssueKey, KeyService, LifecycleError, Review};
use keyward::store::ListKeys;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::api;

/// How long requests that are under way may take at the end: less than a supervisor waits before it kills.
const LONGEST_END: Duration = Duration::from_secs(8);

pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

pub(crate) fn exit_code(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Serves until it is asked to end, and then writes what is still in memory.
pub(crate) async fn serve(
    listener: TcpListener,
    service: &KeyService,
) -> Result<(), Box<dyn Error>> {
    if let Some(key) = admin_key_if_needed(service).await? {
        println!("admin key, shown this once: {key}");
    }
    println!("listening on http://{}", listener.local_addr()?);
    let app = api::router(service)?.into_make_service_with_connect_info::<SocketAddr>();
    let (ending, ended) = oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        asked_to_end().await;
        tracing::info!("ending");
        let _ = ending.send(());
    });
    // A client that never finishes its request must not keep the last events from being written.
    let patience = async {
        let asked = ended.await;
        tokio::time::sleep(LONGEST_END).await;
        asked
    };
    tokio::select! {
        served = server => served?,
        _ = patience => tracing::warn!("ending although some requests are not done"),
    }

    // Last uses and audit events are written in batches; this writes the last ones.
    service.shutdown().await?;
    let (hashes, events) = (service.hash_stats().done, service.audit_counters());
    let (written, dropped) = (events.written, events.dropped);
    tracing::info!(
        "ended; slow hashes: {hashes}, audit events written: {written}, dropped: {dropped}"
    );
    Ok(())
}

/// Issues an admin key if no active key can manage others, or if one is asked for, and returns its plaintext to be shown
/// once.
///
/// There is no default key and none is left behind. Whoever can start the service with its database can read and write
/// that database anyway.
async fn admin_key_if_needed(service: &KeyService) -> Result<Option<String>, Box<dyn Error>> {
    let bootstrap = Actor::system("bootstrap")?;
    let wanted = setting("KEYWARD_NEW_ADMIN", "0") == "1";
    if !wanted && has_admin(service, &bootstrap).await? {
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
    // Of several processes that start together on an empty database, one makes the key.
    let first = request.clone().with_owner_limit(1);
    let issued = match service
        .issue(&bootstrap, if wanted { request.clone() } else { first })
        .await
    {
        Err(LifecycleError::OwnerLimit { .. }) if has_admin(service, &bootstrap).await? => {
            return Ok(None);
        }
        Err(LifecycleError::OwnerLimit { .. }) => service.issue(&bootstrap, request).await?,
        issued => issued?,
    };
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
pub(crate) fn at<E: Error>(what: &str, which: impl Display) -> impl FnOnce(E) -> Box<dyn Error> {
    move |error| format!("{what} `{which}`: {}", with_causes(&error)).into()
}

/// An error's own words, and those of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
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

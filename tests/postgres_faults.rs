//! What requests get while PostgreSQL or the network to it is out of order: the right answer or an outage, in time, and
//! never a verdict; and that the service recovers by itself.
#![cfg(all(feature = "postgres", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyward::RequestContext;
use keyward::access::Grant;
use keyward::audit::{AuditError, PostgresAuditSink};
use keyward::hash::{Bcrypt, Hashing};
use keyward::key::KeyId;
use keyward::service::{Actor, IssueKey, KeyService, LifecycleError, ShutdownError, VerifyError};
use keyward::store::sqlx::postgres::PgPoolOptions;
use keyward::store::sqlx::{self, PgPool};
use keyward::store::{PostgresStore, StoreError};

mod servers;

use servers::{Postgres, Proxy};

/// Long beside what an answer takes here, short beside what a test may take.
const DEADLINE: Duration = Duration::from_millis(500);

fn service(store: PostgresStore) -> KeyService {
    let trail = PostgresAuditSink::from_pool(store.pool().clone(), "test").unwrap();
    let quick = Bcrypt::builder().dangerous().low_cost(4).accepted(4..=12);
    let hashing = Hashing::builder()
        .prefer(quick.build().unwrap())
        .build()
        .unwrap();
    let service = KeyService::builder(store).hashing(hashing).audit(trail);
    // What is refused here is refused by the store, not for having been refused before.
    service
        .dangerous()
        .without_failure_budget()
        .build()
        .unwrap()
}

async fn connect(url: &str) -> KeyService {
    let builder = PostgresStore::builder(url).unwrap().deadline(DEADLINE);
    let store = builder.connect().await.unwrap();
    let trail = PostgresAuditSink::from_pool(store.pool().clone(), "migrates").unwrap();
    trail.migrate().await.unwrap();
    service(store)
}

fn actor() -> Actor {
    Actor::system("test").unwrap()
}

fn request() -> IssueKey {
    let grant = Grant::try_scopes(["leads:read".parse().unwrap()]).unwrap();
    IssueKey::new("acme".parse().unwrap(), "fault", grant)
}

async fn issue(service: &KeyService) -> (KeyId, Vec<u8>) {
    let issued = service.issue(&actor(), request()).await.unwrap();
    (
        issued.record().id,
        issued.key().expose().as_bytes().to_vec(),
    )
}

async fn revoke(service: &KeyService, id: &KeyId) {
    let revoked = service.revoke(&actor(), id, "over").await.unwrap();
    assert!(revoked.unaudited.is_none());
}

/// A key that was revoked: known, read, and refused.
async fn wrong(service: &KeyService) -> Vec<u8> {
    let (id, presented) = issue(service).await;
    revoke(service, &id).await;
    presented
}

async fn verify(service: &KeyService, presented: &[u8]) -> Result<(), VerifyError> {
    let verified = service.verify(presented, &RequestContext::new()).await;
    verified.map(|_| ())
}

fn is_outage(outcome: &Result<(), VerifyError>) -> bool {
    matches!(outcome, Err(VerifyError::Unavailable { .. }))
}

async fn until_served(service: &KeyService, presented: &[u8]) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match verify(service, presented).await {
            Ok(()) => return,
            outcome => assert!(is_outage(&outcome), "{outcome:?}"),
        }
        assert!(Instant::now() < end, "it does not recover");
        tokio::task::yield_now().await;
    }
}

/// What the load saw.
#[derive(Default)]
struct Seen {
    served: AtomicU64,
    refused: AtomicU64,
    outages: AtomicU64,
    changes: AtomicU64,
    failed_changes: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_and_restarted_under_load_every_request_gets_an_outage_or_the_right_answer() {
    let server = Postgres::private(&[]);
    let url = server.database();
    let service = connect(&url).await;
    let (_, good) = issue(&service).await;
    let bad = wrong(&service).await;
    verify(&service, &good).await.unwrap();

    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let mut load = Vec::new();
    for task in 0..12 {
        let (service, seen, stop) = (service.clone(), Arc::clone(&seen), Arc::clone(&stop));
        let (good, bad) = (good.clone(), bad.clone());
        load.push(tokio::spawn(async move {
            let mut made = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match task % 3 {
                    0 => match verify(&service, &good).await {
                        Ok(()) => seen.served.fetch_add(1, Ordering::Relaxed),
                        outcome => {
                            assert!(is_outage(&outcome), "a good key got {outcome:?}");
                            seen.outages.fetch_add(1, Ordering::Relaxed)
                        }
                    },
                    1 => match verify(&service, &bad).await {
                        Err(VerifyError::Rejected(_)) => {
                            seen.refused.fetch_add(1, Ordering::Relaxed)
                        }
                        outcome => {
                            assert!(is_outage(&outcome), "a revoked key got {outcome:?}");
                            seen.outages.fetch_add(1, Ordering::Relaxed)
                        }
                    },
                    _ => match service.issue(&actor(), request()).await {
                        Ok(issued) => {
                            made.push(issued.record().id);
                            seen.changes.fetch_add(1, Ordering::Relaxed)
                        }
                        Err(
                            LifecycleError::Unavailable { .. }
                            | LifecycleError::Audit { .. }
                            | LifecycleError::Overloaded { .. },
                        ) => seen.failed_changes.fetch_add(1, Ordering::Relaxed),
                        Err(other) => panic!("an outage of the store is one, not {other:?}"),
                    },
                };
                tokio::task::yield_now().await;
            }
            made
        }));
    }
    let reached = async |count: &AtomicU64, more: u64| {
        let (from, end) = (
            count.load(Ordering::Relaxed),
            Instant::now() + Duration::from_secs(30),
        );
        while count.load(Ordering::Relaxed) < from + more {
            assert!(Instant::now() < end, "the load stands still");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..2 {
        reached(&seen.served, 50).await;
        reached(&seen.changes, 3).await;
        server.kill();
        reached(&seen.outages, 20).await;
        server.restart();
        // By itself, and for every kind of request.
        reached(&seen.served, 50).await;
        reached(&seen.refused, 50).await;
        reached(&seen.changes, 3).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut made = Vec::new();
    for task in load {
        made.extend(task.await.unwrap().into_iter().map(|id| id.to_string()));
    }
    // Events of requests that waited out the outage in the queue may be lost, and then it says so.
    match service.shutdown().await {
        Ok(()) | Err(ShutdownError::Audit(AuditError::Lost { .. })) => {}
        Err(other) => panic!("{other:?}"),
    }

    let pool = PgPool::connect(&url).await.unwrap();
    let doubled = "SELECT count(*) FROM (SELECT key_id FROM keyward.audit WHERE kind = 'key_created' AND outcome = 'success' \
                   GROUP BY key_id HAVING count(*) > 1) AS doubled";
    let doubled: i64 = sqlx::query_scalar(doubled).fetch_one(&pool).await.unwrap();
    assert_eq!(doubled, 0, "life-cycle events stand there twice");
    let unwritten = "SELECT count(*) FROM keyward.keys WHERE id NOT IN \
                     (SELECT key_id FROM keyward.audit WHERE kind = 'key_created')";
    let unwritten: i64 = sqlx::query_scalar(unwritten)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(unwritten, 0, "keys without an event");
    let kept = "SELECT count(*) FROM keyward.keys WHERE id = ANY($1)";
    let kept: i64 = sqlx::query_scalar(kept)
        .bind(&made)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(
        usize::try_from(kept).unwrap(),
        made.len(),
        "keys that were issued are gone"
    );
    println!(
        "served {} refused {} outages {}; changes {} failed {}",
        seen.served.load(Ordering::Relaxed),
        seen.refused.load(Ordering::Relaxed),
        seen.outages.load(Ordering::Relaxed),
        seen.changes.load(Ordering::Relaxed),
        seen.failed_changes.load(Ordering::Relaxed),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_is_an_outage_in_time_and_passes_with_the_exhaustion() {
    let url = Postgres::shared().database();
    connect(&url).await.shutdown().await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(DEADLINE);
    let pool = pool.connect(&url).await.unwrap();
    let service = service(PostgresStore::from_pool(pool.clone()));
    let (_, good) = issue(&service).await;
    verify(&service, &good).await.unwrap();

    let hogs = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    let start = Instant::now();
    let outcome = verify(&service, &good).await;
    assert!(is_outage(&outcome), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(hogs);
    until_served(&service, &good).await;
}

fn through(proxy: &Proxy, url: &str) -> String {
    let database = url
        .strip_prefix("postgres:///")
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    format!(
        "postgres://postgres@{}/{database}?sslmode=disable",
        proxy.address()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_makes_answers_late_and_not_wrong() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let service = connect(&through(&proxy, &server.database())).await;
    let (id, good) = issue(&service).await;
    verify(&service, &good).await.unwrap();
    proxy.delay(Duration::from_millis(40));
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (service, good) = (service.clone(), good.clone());
            tokio::spawn(async move { verify(&service, &good).await })
        })
        .collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    revoke(&service, &id).await;
    let outcome = verify(&service, &good).await;
    assert!(
        matches!(outcome, Err(VerifyError::Rejected(_))),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stands_still_is_an_outage_in_time() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let service = connect(&through(&proxy, &server.database())).await;
    let (_, good) = issue(&service).await;
    verify(&service, &good).await.unwrap();
    proxy.stall();
    let start = Instant::now();
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (service, good) = (service.clone(), good.clone());
            tokio::spawn(async move { verify(&service, &good).await })
        })
        .collect();
    for request in requests {
        let outcome = request.await.unwrap();
        assert!(is_outage(&outcome), "{outcome:?}");
    }
    // Far below what the operating system takes to find out.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    proxy.flow();
    until_served(&service, &good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_network_forgot_are_replaced() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let service = connect(&through(&proxy, &server.database())).await;
    let (_, good) = issue(&service).await;
    for _ in 0..3 {
        let requests: Vec<_> = (0..20)
            .map(|_| {
                let (service, good) = (service.clone(), good.clone());
                tokio::spawn(async move { verify(&service, &good).await })
            })
            .collect();
        for request in requests {
            let outcome = request.await.unwrap();
            assert!(outcome.is_ok() || is_outage(&outcome), "{outcome:?}");
        }
        proxy.lose();
        until_served(&service, &good).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_cost_no_request_when_new_ones_work() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.socket());
    let service = connect(&through(&proxy, &server.database())).await;
    let (_, good) = issue(&service).await;
    for _ in 0..5 {
        verify(&service, &good).await.unwrap();
        proxy.cut();
        proxy.flow();
        // The connection that reads had kept is gone, and so are those in the pool; nobody has to know.
        verify(&service, &good).await.unwrap();
        issue(&service).await;
    }
}

/// A replica may lag, and a key that was revoked meanwhile would be alive there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_become_a_replica_is_not_read_from() {
    let server = Postgres::private(&[]);
    let url = server.database();
    let service = connect(&url).await;
    let (_, good) = issue(&service).await;
    verify(&service, &good).await.unwrap();
    server.demote();
    let outcome = verify(&service, &good).await;
    assert!(is_outage(&outcome), "{outcome:?}");
    assert!(PostgresStore::connect(&url).await.is_err());
    // A pool of the application's own is told when it migrates.
    let pool = PgPool::connect(&url).await.unwrap();
    let error = PostgresStore::from_pool(pool).migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

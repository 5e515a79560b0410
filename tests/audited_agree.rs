//! What happened to keys and what the trail says of it agree to the last change, whenever the process or the server dies.
#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::access::Grant;
use keyward::audit::{AuditEvent, AuditKind, Outcome};
use keyward::hash::{Bcrypt, Hashing};
use keyward::key::{KeyId, KeyRecord};
use keyward::service::{Actor, IssueKey, KeyService, LifecycleError, Rotation};
use keyward::store::sqlx::{self, PgPool, SqlitePool};
use keyward::store::{AuditedStore, KeyStore, ListKeys, PostgresStore, SqliteStore};

mod servers;

use servers::{Postgres, unique};

/// What a process that was started by a test works on: the address of a database, or the path of a file.
const PLACE: &str = "KEYWARD_TEST_CHILD_PLACE";
/// How often a process is killed.
const KILLS: usize = 8;

fn service(store: impl AuditedStore) -> KeyService {
    let quick = Bcrypt::builder().dangerous().low_cost(4).accepted(4..=12);
    let hashing = Hashing::builder().prefer(quick.build().unwrap());
    let builder = KeyService::builder_audited(store).hashing(hashing.build().unwrap());
    builder.build().unwrap()
}

async fn on_postgres(url: &str) -> KeyService {
    let store = PostgresStore::connect(url).await.unwrap();
    service(store.with_audit("agree").await.unwrap())
}

async fn on_sqlite(path: &str) -> KeyService {
    let store = SqliteStore::open(path).await.unwrap();
    service(store.with_audit("agree").await.unwrap())
}

fn actor() -> Actor {
    Actor::system("test").unwrap()
}

fn request() -> IssueKey {
    let grant = Grant::try_scopes(["leads:read".parse().unwrap()]).unwrap();
    IssueKey::new("acme".parse().unwrap(), "agree", grant)
}

/// Revocations that took effect and said that their event is missing.
type Unaudited = Mutex<HashSet<KeyId>>;

/// A whole life, or half of one.
async fn live(
    service: &KeyService,
    number: u64,
    unaudited: &Unaudited,
) -> Result<(), LifecycleError> {
    let id = service.issue(&actor(), request()).await?.record().id;
    service.disable(&actor(), &id).await?;
    drop(service.rotate(&actor(), &id, Rotation::AtOnce).await?);
    let revoked = service.revoke(&actor(), &id, "over").await?;
    if revoked.unaudited.is_some() {
        unaudited.lock().unwrap().insert(id);
    }
    if number.is_multiple_of(2) {
        service.delete(&actor(), &id).await?;
    }
    Ok(())
}

/// Not a test of its own: what a process that will be killed runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_will_be_killed() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let service = if place.starts_with("postgres:") {
        on_postgres(&place).await
    } else {
        on_sqlite(&place).await
    };
    println!("\nstarted");
    let worker = |_| {
        let service = service.clone();
        tokio::spawn(async move {
            let unaudited = Unaudited::default();
            for number in 0.. {
                live(&service, number, &unaudited).await.unwrap();
                assert!(unaudited.lock().unwrap().is_empty());
            }
        })
    };
    for worker in (0..3).map(worker).collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

fn start(place: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_will_be_killed", "--nocapture"]);
    command.env(PLACE, place).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.find(|line| line.as_ref().is_ok_and(|line| line == "started"));
    assert!(started.is_some(), "the process ended before it began");
    child
}

/// Kills processes in the middle of whatever they do.
fn kill_some(place: &str) {
    for _ in 0..KILLS {
        let mut child = start(place);
        // The last letter of a random name, a hexadecimal digit.
        let random = unique("x")
            .chars()
            .last()
            .and_then(|last| last.to_digit(16));
        std::thread::sleep(Duration::from_millis(20 + 15 * u64::from(random.unwrap())));
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_file_and_their_trail_agree_when_processes_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db").display().to_string();
    kill_some(&path);
    let store = SqliteStore::open(&path).await.unwrap();
    let pool = SqlitePool::connect(&format!("sqlite:{path}"))
        .await
        .unwrap();
    let lines = "SELECT event FROM keyward_audit ORDER BY position";
    let lines: Vec<String> = sqlx::query_scalar(lines).fetch_all(&pool).await.unwrap();
    assert_agree(&store, &lines, &HashSet::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_on_postgres_and_their_trail_agree_when_processes_are_killed() {
    let url = Postgres::shared().database();
    kill_some(&url);
    assert_agree_on_postgres(&url, &HashSet::new()).await;
}

/// Waits until the server is done with what killed clients left.
async fn assert_agree_on_postgres(url: &str, unaudited: &HashSet<KeyId>) {
    let pool = PgPool::connect(url).await.unwrap();
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND state <> 'idle'";
    let end = Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(busy)
        .fetch_one(&pool)
        .await
        .unwrap()
        > 0
    {
        assert!(Instant::now() < end, "somebody is still at work");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = "SELECT event FROM keyward.audit ORDER BY position";
    let lines: Vec<String> = sqlx::query_scalar(lines).fetch_all(&pool).await.unwrap();
    let store = PostgresStore::connect(url).await.unwrap();
    assert_agree(&store, &lines, unaudited).await;
}

/// Every change of every key is in the trail once, and nothing else is. Only those whose caller was told so may be missing.
async fn assert_agree(store: &dyn KeyStore, lines: &[String], unaudited: &HashSet<KeyId>) {
    let mut told: HashMap<KeyId, Vec<AuditKind>> = HashMap::new();
    for line in lines {
        let event: AuditEvent = serde_json::from_str(line).unwrap();
        if event.kind().is_life_cycle() && event.outcome() == Outcome::Success {
            let id = event.key_id().unwrap().parse().unwrap();
            told.entry(id).or_default().push(event.kind());
        }
    }
    let mut records = all(store).await;
    let (mut deleted, mut revoked) = (0, 0);
    for (id, kinds) in &told {
        let said = |kind| kinds.contains(&kind);
        let of_key = format!("{id}: {kinds:?}");
        assert_eq!(kinds.first(), Some(&AuditKind::KeyCreated), "{of_key}");
        if said(AuditKind::KeyDeleted) {
            assert!(!records.contains_key(id), "{of_key}");
            deleted += 1;
            continue;
        }
        let record = records.remove(id).expect(&of_key);
        assert_eq!(record.disabled, said(AuditKind::KeyDisabled), "{of_key}");
        let rotated = said(AuditKind::KeyRotated);
        assert_eq!(record.previous.is_some(), rotated, "{of_key}");
        let untold = u64::from(unaudited.contains(id) && !said(AuditKind::KeyRevoked));
        let is_revoked = said(AuditKind::KeyRevoked) || untold == 1;
        assert_eq!(record.revocation.is_some(), is_revoked, "{of_key}");
        let changes = u64::try_from(kinds.len()).unwrap() + untold;
        assert_eq!(record.revision.number(), changes, "{of_key}");
        revoked += u64::from(is_revoked);
    }
    assert!(records.is_empty(), "keys that nobody tells of: {records:?}");
    assert!(deleted > 0 && revoked > 0, "nothing much happened");
    let (keys, untold) = (told.len(), unaudited.len());
    println!("{keys} keys, {deleted} deleted, {revoked} revoked, {untold} of them untold");
}

async fn all(store: &dyn KeyStore) -> HashMap<KeyId, Arc<KeyRecord>> {
    let (mut records, mut query) = (HashMap::new(), ListKeys::new());
    loop {
        let page = store.list(&query).await.unwrap();
        records.extend(page.records.into_iter().map(|record| (record.id, record)));
        match page.next {
            Some(next) => query = query.with_after(next),
            None => return records,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_and_their_trail_agree_when_the_server_is_killed_and_restarted_under_load() {
    let server = Postgres::private(&[]);
    let url = server.database();
    let service = on_postgres(&url).await;
    let (lived, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let unaudited = Arc::new(Unaudited::default());
    let worker = |_| {
        let (service, stop) = (service.clone(), Arc::clone(&stop));
        let (lived, failed) = (Arc::clone(&lived), Arc::clone(&failed));
        let unaudited = Arc::clone(&unaudited);
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match live(&service, lived.load(Ordering::Relaxed), &unaudited).await {
                    Ok(()) => lived.fetch_add(1, Ordering::Relaxed),
                    Err(LifecycleError::Audit(_) | LifecycleError::Unavailable(_)) => {
                        failed.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(other) => panic!("an outage is one, not {other:?}"),
                };
                tokio::task::yield_now().await;
            }
        })
    };
    let load: Vec<_> = (0..6).map(worker).collect();
    let more = async |count: &AtomicU64| {
        let (from, end) = (
            count.load(Ordering::Relaxed),
            Instant::now() + Duration::from_secs(30),
        );
        while count.load(Ordering::Relaxed) < from + 10 {
            assert!(Instant::now() < end, "the load stands still");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..3 {
        more(&lived).await;
        server.kill();
        more(&failed).await;
        server.restart();
    }
    more(&lived).await;
    stop.store(true, Ordering::Relaxed);
    for worker in load {
        worker.await.unwrap();
    }
    // What was left to the queue is in the trail, or lost and counted.
    drop(service.shutdown().await);
    let unaudited = unaudited.lock().unwrap().clone();
    assert_agree_on_postgres(&url, &unaudited).await;
}

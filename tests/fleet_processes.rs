//! Ten real processes over one PostgreSQL: this test starts itself again, as often as it needs.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyward::access::Grant;
use keyward::audit::PostgresAuditSink;
use keyward::hash::{Bcrypt, Hashing};
use keyward::service::{Actor, IssueKey, KeyService, LifecycleError, RequestContext, Rotation};
use keyward::store::PostgresStore;
use keyward::store::sqlx::{self, PgPool};

mod servers;

use servers::Postgres;

const PROCESSES: i64 = 10;
/// What a process that was started by a test is to do: the database, and the key to rotate.
const DATABASE: &str = "KEYWARD_TEST_CHILD_DATABASE";
const KEY: &str = "KEYWARD_TEST_CHILD_KEY";

async fn service(url: &str) -> KeyService {
    // They will have to wait for each other.
    let builder = PostgresStore::builder(url)
        .unwrap()
        .deadline(Duration::from_secs(30));
    let store = builder.connect().await.unwrap();
    let trail = PostgresAuditSink::from_pool(store.pool().clone(), "child").unwrap();
    trail.migrate().await.unwrap();
    let quick = Bcrypt::builder().dangerous().low_cost(4).accepted(4..=12);
    let hashing = Hashing::builder().prefer(quick.build().unwrap());
    let service = KeyService::builder(store).hashing(hashing.build().unwrap());
    service.audit(trail).build().unwrap()
}

fn actor() -> Actor {
    Actor::system("test").unwrap()
}

/// Not a test of its own: what each of the processes runs.
#[tokio::test]
async fn a_process_of_the_fleet() {
    let (Ok(url), Ok(key)) = (std::env::var(DATABASE), std::env::var(KEY)) else {
        return;
    };
    let service = service(&url).await;
    if key.is_empty() {
        println!("\noutcome: started");
        return;
    }
    let rotated = service
        .rotate(&actor(), &key.parse().unwrap(), Rotation::AtOnce)
        .await;
    match rotated {
        Ok(rotated) => println!("\noutcome: {}", rotated.key().expose()),
        Err(LifecycleError::Contended) => println!("\noutcome: contended"),
        Err(other) => println!("\noutcome: {other:?}"),
    }
    service.shutdown().await.unwrap();
}

fn start(url: &str, key: &str) -> Vec<Child> {
    let child = |_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_process_of_the_fleet", "--nocapture"]);
        command
            .env(DATABASE, url)
            .env(KEY, key)
            .stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    (0..PROCESSES).map(child).collect()
}

/// What each of them had to say at its end.
fn outcomes(children: Vec<Child>) -> Vec<String> {
    let outcome = |mut child: Child| {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<_> = lines.map_while(Result::ok).collect();
        assert!(child.wait().unwrap().success(), "{lines:?}");
        let outcome = lines.iter().find_map(|line| line.strip_prefix("outcome: "));
        outcome.expect("it said how it ended").to_owned()
    };
    children.into_iter().map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_start_on_an_empty_database_make_its_tables_once() {
    let url = Postgres::shared().database();
    let outcomes = outcomes(start(&url, ""));
    assert!(
        outcomes.iter().all(|outcome| outcome == "started"),
        "{outcomes:?}"
    );
    let pool = PgPool::connect(&url).await.unwrap();
    let twice = "SELECT (SELECT count(*) - max(version) FROM keyward.key_migrations) \
         + (SELECT count(*) - max(version) FROM keyward.audit_migrations)";
    let twice: i64 = sqlx::query_scalar(twice).fetch_one(&pool).await.unwrap();
    assert_eq!(twice, 0, "steps are numbered from one and taken once");
}

/// All ten have read the key when the first of them may write it.
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_rotate_one_key_leave_one_successor() {
    let url = Postgres::shared().database();
    let service = service(&url).await;
    let grant = Grant::try_scopes(["leads:read".parse().unwrap()]).unwrap();
    let request = IssueKey::new("acme".parse().unwrap(), "raced", grant);
    let issued = service.issue(&actor(), request).await.unwrap();
    let id = issued.record().id;

    let pool = PgPool::connect(&url).await.unwrap();
    let mut door = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE keyward.keys IN EXCLUSIVE MODE")
        .execute(&mut *door)
        .await
        .unwrap();
    let children = start(&url, id.as_str());
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock' AND query LIKE 'UPDATE keyward.keys%'";
    let end = Instant::now() + Duration::from_secs(25);
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(&pool)
        .await
        .unwrap()
        < PROCESSES
    {
        assert!(Instant::now() < end, "they do not all come to write");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    door.commit().await.unwrap();

    let outcomes = outcomes(children);
    let (lost, won): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|it| it == "contended");
    assert_eq!((won.len(), lost.len()), (1, 9), "{won:?}");
    let record = service.get(&actor(), &id).await.unwrap();
    assert_eq!(
        record.current.generation,
        issued.record().current.generation.next()
    );
    let context = RequestContext::new();
    assert!(
        service
            .verify(won.first().unwrap().as_bytes(), &context)
            .await
            .is_ok()
    );
    assert!(
        service
            .verify(issued.key().expose().as_bytes(), &context)
            .await
            .is_err()
    );

    // Nine were written down as wanting to, and as not having done it.
    let rotated = "SELECT count(*) FILTER (WHERE outcome = 'success'), count(*) FILTER (WHERE outcome = 'failure') \
                   FROM keyward.audit WHERE kind = 'key_rotated'";
    let (meant, failed): (i64, i64) = sqlx::query_as(rotated).fetch_one(&pool).await.unwrap();
    assert_eq!((meant, failed), (PROCESSES, PROCESSES - 1));
}

//! Revoking many keys where it is hardest: rows that are damaged, keys that are issued meanwhile, a process that is killed
//! in the middle, ten thousand keys.
#![cfg(all(feature = "testing", feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::async_trait;
use keyward::audit::MemorySink;
use keyward::hash::Hashing;
use keyward::key::{KeyId, KeyRecord, Revision};
use keyward::service::{
    Actor, KeyService, LifecycleError, RevokeMany, RevokedMany, RowBindingMode,
};
use keyward::store::sqlx::{self, AssertSqlSafe, PgPool};
use keyward::store::{
    Capabilities, Cursor, InsertKey, KeyStore, ListKeys, ListOrder, Page, PostgresStore,
    SqliteStore, StoreError, Usage,
};

mod common;
mod servers;
mod three_stores;

use common::{admin, quick_bcrypt, request, request_with, tenant};
use servers::Postgres;
use three_stores::{Shared, service};

fn of_acme() -> RevokeMany {
    RevokeMany::of_owner("acme".parse().unwrap(), "taken over")
}

async fn end_all(service: &KeyService, order: &RevokeMany) -> RevokedMany {
    service.revoke_many(&admin(), order).await.unwrap()
}

// Damaged rows.

/// A store in which a row can be damaged by hand.
enum Damaged {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Damaged {
    async fn all() -> [Self; 2] {
        let url = Postgres::shared().database();
        [
            Self::Sqlite(SqliteStore::in_memory().await.unwrap()),
            Self::Postgres(PostgresStore::connect(&url).await.unwrap()),
        ]
    }

    fn store(&self) -> Arc<dyn KeyStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    async fn by_hand(&self, change: &str, id: &KeyId) {
        let update =
            |table| AssertSqlSafe(format!("UPDATE {table} SET {change} WHERE id = '{id}'"));
        match self {
            Self::Sqlite(store) => {
                let done = sqlx::query(update("keyward_keys"))
                    .execute(store.pool())
                    .await;
                assert_eq!(done.unwrap().rows_affected(), 1);
            }
            Self::Postgres(store) => {
                let done = sqlx::query(update("keyward.keys"))
                    .execute(store.pool())
                    .await;
                assert_eq!(done.unwrap().rows_affected(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_protects_no_other_key() {
    for damaged in Damaged::all().await {
        let service = service(&damaged.store(), &MemorySink::unbounded());
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.push(
                service
                    .issue(&admin(), request())
                    .await
                    .unwrap()
                    .record()
                    .id,
            );
        }
        let broken = [ids[0], ids[3], ids[4], ids[6]];
        for id in &broken {
            damaged.by_hand("denied = 'null'", id).await;
        }
        for size in [3, 1, 1000] {
            let done = end_all(&service, &of_acme().with_batch(size)).await;
            assert!(!done.is_complete());
            assert!(done.settled);
            let mut failed: Vec<_> = done.failed.iter().map(|(id, _)| *id).collect();
            failed.reverse();
            assert_eq!(failed, broken, "newest first");
            assert!(matches!(done.failed[0].1, LifecycleError::Unavailable(_)));
        }
        for id in [ids[1], ids[2], ids[5]] {
            let record = service.get(&admin(), &id).await.unwrap();
            assert!(record.revocation.is_some());
        }
        // Mended, they are as they were.
        for id in &broken {
            damaged.by_hand("denied = '[]'", id).await;
        }
        let done = end_all(&service, &of_acme()).await;
        assert_eq!((done.revoked, done.already_ended), (4, 3));
        assert!(done.is_complete());
    }
}

#[tokio::test]
async fn who_does_not_see_everything_is_told_of_no_row_that_cannot_be_read() {
    for damaged in Damaged::all().await {
        let service = service(&damaged.store(), &MemorySink::unbounded());
        let role = keyward::access::Grant::Role("keys".parse().unwrap());
        let asked = request_with(role).with_tenant(tenant("north"));
        let own = service.issue(&admin(), asked).await.unwrap();
        let presented = own.key().expose().as_bytes();
        let verified = service
            .verify(presented, &keyward::RequestContext::new())
            .await;
        let north = Actor::key(&verified.unwrap()).unwrap();
        let other = request().with_tenant(tenant("north"));
        let broken = service.issue(&admin(), other).await.unwrap().record().id;
        damaged.by_hand("denied = 'null'", &broken).await;
        let stopped = service.revoke_many(&north, &of_acme()).await.unwrap_err();
        assert!(matches!(stopped.cause, LifecycleError::Unavailable(_)));
        assert!(stopped.so_far.failed.is_empty());
        assert_eq!(stopped.so_far.failures, 0);
    }
}

#[tokio::test]
async fn a_list_ends_before_a_row_that_cannot_be_read_and_names_its_place() {
    for damaged in Damaged::all().await {
        let store = damaged.store();
        let service = service(&store, &MemorySink::unbounded());
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(
                service
                    .issue(&admin(), request())
                    .await
                    .unwrap()
                    .record()
                    .id,
            );
        }
        damaged.by_hand("role = 'no role'", &ids[1]).await;
        let page = store.list(&ListKeys::new()).await.unwrap();
        let met: Vec<_> = page.records.iter().map(|it| it.id).collect();
        assert_eq!(met, [ids[3], ids[2]]);
        let rest = ListKeys::new().with_after(page.next.expect("a page that is not the last"));
        let place = match store.list(&rest).await {
            Err(StoreError::Corrupt {
                field: "role",
                place,
                ..
            }) => place.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(place.id(), ids[1]);
        let behind = store
            .list(&ListKeys::new().with_after(place))
            .await
            .unwrap();
        assert_eq!(behind.records[0].id, ids[0]);
    }
}

// Meanwhile.

/// A store that notes when a pass over it begins.
#[derive(Debug)]
struct Watched {
    store: Arc<dyn KeyStore>,
    /// What had been issued, each time that a list was begun.
    issued: Arc<Mutex<Vec<KeyId>>>,
    at_begin: Mutex<Vec<KeyId>>,
    passes: AtomicU32,
    /// A place that each list fails at, wherever it begins.
    stuck: Option<Cursor>,
}

#[async_trait]
impl KeyStore for Watched {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.store.insert(insert).await
    }
    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.store.find(id).await
    }
    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.store.update(record).await
    }
    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(usage).await
    }
    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        if query.after.is_none() {
            let issued = self.issued.lock().unwrap().clone();
            *self.at_begin.lock().unwrap() = issued;
            self.passes.fetch_add(1, Ordering::SeqCst);
        }
        match self.stuck {
            Some(place) => Err(StoreError::corrupt("role", "stuck").with_place(place)),
            None => self.store.list(query).await,
        }
    }
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.store.delete(id, expected).await
    }
}

/// Three clients issue for as long as they can, in another process.
async fn whatever_was_issued_before_the_last_pass_began_has_ended(store: Shared) {
    let trail = MemorySink::unbounded();
    let issued = Arc::new(Mutex::new(Vec::new()));
    let watched = Arc::new(Watched {
        store: Arc::clone(&store.here),
        issued: Arc::clone(&issued),
        at_begin: Mutex::default(),
        passes: AtomicU32::new(0),
        stuck: None,
    });
    let as_store = Arc::clone(&watched) as Arc<dyn KeyStore>;
    let (here, there) = (service(&as_store, &trail), service(&store.there, &trail));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (there, issued) = (there.clone(), Arc::clone(&issued));
            tokio::spawn(async move {
                for _ in 0..25 {
                    let key = there.issue(&admin(), request()).await.unwrap();
                    issued.lock().unwrap().push(key.record().id);
                }
            })
        })
        .collect();
    while issued.lock().unwrap().len() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let done = end_all(&here, &of_acme().with_batch(4)).await;
    let before_the_last_pass = watched.at_begin.lock().unwrap().clone();
    assert_eq!(done.passes, watched.passes.load(Ordering::SeqCst));
    if done.settled {
        for id in &before_the_last_pass {
            let record = there.get(&admin(), id).await.unwrap();
            assert!(
                record.revocation.is_some(),
                "{id} slipped through: {done:?}"
            );
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    let rest = end_all(&here, &of_acme()).await;
    assert!(rest.is_complete());
    assert_eq!(done.revoked + rest.revoked, 75);
}

on_each_store!(whatever_was_issued_before_the_last_pass_began_has_ended);

#[tokio::test]
async fn a_store_that_names_one_place_for_ever_is_not_asked_for_ever() {
    let store = three_stores::memory().await.here;
    let trail = MemorySink::unbounded();
    let issued = service(&store, &trail).issue(&admin(), request()).await;
    let stuck = Watched {
        store,
        issued: Arc::default(),
        at_begin: Mutex::default(),
        passes: AtomicU32::new(0),
        stuck: Some(Cursor::of(issued.unwrap().record())),
    };
    let stuck: Arc<dyn KeyStore> = Arc::new(stuck);
    let service = service(&stuck, &trail);
    let (actor, order) = (admin(), of_acme());
    let running = service.revoke_many(&actor, &order);
    let stopped = tokio::time::timeout(Duration::from_secs(30), running).await;
    let stopped = stopped.unwrap().unwrap_err();
    assert!(matches!(stopped.cause, LifecycleError::Unavailable(_)));
    assert_eq!(stopped.so_far.failures, 1);
}

#[tokio::test]
async fn a_place_of_another_order_is_not_gone_on_behind() {
    let store = three_stores::memory().await.here;
    let trail = MemorySink::unbounded();
    let issued = service(&store, &trail).issue(&admin(), request()).await;
    let stuck: Arc<dyn KeyStore> = Arc::new(Watched {
        store,
        issued: Arc::default(),
        at_begin: Mutex::default(),
        passes: AtomicU32::new(0),
        stuck: Some(Cursor::of(issued.unwrap().record())),
    });
    let hashing = Hashing::builder()
        .prefer(quick_bcrypt(4))
        .peppers(common::pepper(1));
    let service = KeyService::builder(stuck)
        .hashing(hashing.build().unwrap())
        .row_binding(RowBindingMode::Required)
        .build()
        .unwrap();
    let check = async |order| {
        let query = ListKeys::new().with_order(order);
        service.check_bindings(&admin(), query).await
    };
    assert_eq!(check(ListOrder::NewestFirst).await.unwrap().faults.len(), 1);
    for order in [ListOrder::OldestSecret, ListOrder::SoonestExpiry] {
        let stopped = check(order).await.unwrap_err();
        assert!(matches!(stopped, LifecycleError::Unavailable(_)));
    }
}

/// Adds a key to every list that begins.
#[derive(Debug)]
struct NeverDone(Arc<dyn KeyStore>, AtomicU32, KeyRecord);

#[async_trait]
impl KeyStore for NeverDone {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.0.insert(insert).await
    }
    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.0.find(id).await
    }
    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.0.update(record).await
    }
    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.0.record_usage(usage).await
    }
    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let number = self.1.fetch_add(1, Ordering::SeqCst);
        let mut record = self.2.clone();
        record.id = format!("{number:0>12}").parse().unwrap();
        self.0.insert(InsertKey::new(record)).await?;
        self.0.list(query).await
    }
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.0.delete(id, expected).await
    }
}

#[tokio::test]
async fn whoever_issues_as_fast_as_keys_are_ended_is_reported() {
    let store = three_stores::memory().await.here;
    let trail = MemorySink::unbounded();
    let template = service(&store, &trail)
        .issue(&admin(), request())
        .await
        .unwrap();
    let template = (**template.record()).clone();
    let never_done: Arc<dyn KeyStore> = Arc::new(NeverDone(store, AtomicU32::new(0), template));
    let done = end_all(&service(&never_done, &trail), &of_acme()).await;
    assert_eq!((done.passes, done.revoked), (10, 11));
    assert!(!done.settled && !done.is_complete());
}

// A process that is killed.

const DATABASE: &str = "KEYWARD_TEST_CHILD_DATABASE";

async fn audited(url: &str) -> KeyService {
    let store = PostgresStore::connect(url).await.unwrap();
    let store = store.with_audit("revoker").await.unwrap();
    let hashing = Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap();
    let builder = KeyService::builder_audited(store).hashing(hashing);
    builder.build().unwrap()
}

/// Not a test of its own: what the process runs that is killed.
#[tokio::test]
async fn a_process_that_revokes() {
    let Ok(url) = std::env::var(DATABASE) else {
        return;
    };
    let service = audited(&url).await;
    let done = end_all(&service, &of_acme().with_batch(7)).await;
    println!("\nit came to its end: {done:?}");
}

async fn count(pool: &PgPool, what: &'static str) -> i64 {
    sqlx::query_scalar(what).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_process_is_killed_is_finished_by_the_next() {
    const KEYS: u32 = 300;
    const REVOKED: &str = "SELECT count(*) FROM keyward.keys WHERE revoked_at IS NOT NULL";
    const TOLD: &str = "SELECT count(DISTINCT key_id) FROM keyward.audit \
                        WHERE kind = 'key_revoked' AND outcome = 'success'";
    let url = Postgres::shared().database();
    let service = audited(&url).await;
    let pool = PgPool::connect(&url).await.unwrap();
    let first = service.issue(&admin(), request()).await.unwrap();
    copies(
        &PostgresStore::connect(&url).await.unwrap(),
        first.record(),
        KEYS - 1,
    )
    .await;

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_revokes", "--nocapture"])
        .env(DATABASE, &url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while count(&pool, REVOKED).await < 10 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let done = end_all(&service, &of_acme()).await;
    assert!(done.is_complete());
    assert!(done.revoked > 0 && done.already_ended > 0, "{done:?}");
    assert_eq!(done.revoked + done.already_ended, u64::from(KEYS));
    assert_eq!(count(&pool, REVOKED).await, i64::from(KEYS));
    assert_eq!(count(&pool, TOLD).await, i64::from(KEYS));
    const ALL: &str = "SELECT count(*) FROM keyward.audit WHERE kind = 'key_revoked'";
    assert_eq!(count(&pool, ALL).await, i64::from(KEYS), "each once");
}

/// So many more keys like this one.
async fn copies(store: &dyn KeyStore, template: &KeyRecord, count: u32) {
    for number in 0..count {
        let mut record = template.clone();
        record.id = format!("{number:0>12}").parse().unwrap();
        store.insert(InsertKey::new(record)).await.unwrap();
    }
}

// Many.

/// For the numbers in `docs/defaults.md`: `cargo test --release --all-features --test revoke_many_stores -- --ignored --nocapture`.
async fn ten_thousand_keys_of_an_owner(store: Shared) {
    const KEYS: u32 = 10_000;
    let service = service(&store.here, &MemorySink::unbounded());
    let first = service.issue(&admin(), request()).await.unwrap();
    copies(&*store.there, first.record(), KEYS - 1).await;
    let begun = Instant::now();
    let done = end_all(&service, &of_acme()).await;
    let took = begun.elapsed();
    assert!(done.is_complete());
    assert_eq!(done.revoked, u64::from(KEYS));
    println!("{KEYS} keys in {took:?}");
}

mod many {
    crate::on_each_store!(
        #[ignore = "takes a minute, and is for measuring"]
        ten_thousand_keys_of_an_owner,
    );
    use super::{ten_thousand_keys_of_an_owner, three_stores};
}

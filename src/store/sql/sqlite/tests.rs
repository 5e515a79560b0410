use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::*;
use crate::access::{Grant, Scope};
use crate::hash::{DigestText, SecretOrigin};
use crate::key::{Credential, Environment, KeyRecord};
use crate::store::{InsertKey, KeyStore as _};
use crate::time::Timestamp;

const DIGEST: &str = "$2b$12$canary-of-a-digest";

fn record() -> KeyRecord {
    let now = Timestamp::from_secs(1_700_000_000);
    KeyRecord::new(
        "0aZ9bY8cX7dW".parse().unwrap(),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(vec![Scope::from_stored("leads:read")]),
        Credential::new(DigestText::new(DIGEST), SecretOrigin::Generated, now),
        now,
        "user:ana".parse().unwrap(),
    )
}

async fn with_record() -> SqliteStore {
    let store = SqliteStore::in_memory().await.unwrap();
    store.insert(InsertKey::new(record())).await.unwrap();
    store
}

async fn run(store: &SqliteStore, statement: &'static str) {
    sqlx::query(statement).execute(store.pool()).await.unwrap();
}

/// Everything an error says, to its innermost cause, in both forms.
fn all_texts(error: &StoreError) -> String {
    let mut texts = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        texts.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    texts
}

async fn pragma(store: &SqliteStore, statement: &'static str) -> String {
    let row = sqlx::query(statement)
        .fetch_one(store.pool())
        .await
        .unwrap();
    row.try_get::<String, _>(0)
        .or_else(|_| row.try_get::<i64, _>(0).map(|number| number.to_string()))
        .unwrap()
}

#[tokio::test]
async fn answers_a_locked_database_as_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let other = SqliteStore::open(&path).await.unwrap();
    let hasty = SqliteStore::builder(&path).busy_timeout(Duration::from_millis(100));
    let store = hasty.open().await.unwrap();
    let lock = other.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = store.insert(InsertKey::new(record())).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(store.find(&record().id).await.unwrap().is_none());
    lock.rollback().await.unwrap();
    store.insert(InsertKey::new(record())).await.unwrap();
}

#[tokio::test]
async fn migrates_again_without_harm() {
    let store = with_record().await;
    store.migrate().await.unwrap();
    assert!(store.find(&record().id).await.unwrap().is_some());
}

#[tokio::test]
async fn migrates_once_when_many_start_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let openers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(SqliteStore::open(path.clone())))
        .collect();
    for opener in openers {
        let store = opener.await.unwrap().unwrap();
        let steps = pragma(&store, "SELECT count(*) FROM keyward_key_migrations").await;
        assert_eq!(steps, tables::SQLITE.steps.len().to_string());
    }
}

#[tokio::test]
async fn brings_tables_of_the_first_version_up_to_date_and_keeps_their_rows() {
    let store = SqliteStore::from_pool(sql::open::in_memory().await.unwrap());
    let first = sql::schema::Schema {
        steps: tables::SQLITE.steps.get(..1).unwrap(),
        ..tables::SQLITE
    };
    sql::sqlite::migrate(&store.pool, first).await.unwrap();
    run(
        &store,
        "INSERT INTO keyward_keys (id, environment, owner, created_at, created_by, platform, name, scopes, denied, \
         metadata, disabled, revision, current_generation, current_digest, current_origin, current_created_at, \
         current_end) VALUES ('0aZ9bY8cX7dW', 'live', 'acme', 1700000000000000, 'user:ana', 0, 'export', \
         '[\"leads:read\"]', '[]', '{}', 0, 1, 1, '$2b$12$canary-of-a-digest', 'generated', 1700000000000000, 'with_key')",
    )
    .await;
    store.migrate().await.unwrap();
    let found = store.find(&record().id).await.unwrap().unwrap();
    assert_eq!(*found, record());
}

#[tokio::test]
async fn refuses_tables_of_a_newer_version() {
    let store = with_record().await;
    run(
        &store,
        "INSERT INTO keyward_key_migrations VALUES (7, 'later', 0, TRUE, x'00', 0)",
    )
    .await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }));
    assert!(
        all_texts(&error).contains("made by a newer version: step 7"),
        "{error:?}"
    );
}

#[tokio::test]
async fn refuses_a_step_that_was_taken_differently() {
    let store = with_record().await;
    run(&store, "UPDATE keyward_key_migrations SET checksum = x'00'").await;
    let error = store.migrate().await.unwrap_err();
    assert!(all_texts(&error).contains("with another text"), "{error:?}");
}

#[tokio::test]
async fn leaves_the_applications_migrations_alone() {
    let store = SqliteStore::in_memory().await.unwrap();
    run(&store, "CREATE TABLE users (id INTEGER)").await;
    let tables = pragma(
        &store,
        "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)",
    );
    assert_eq!(tables.await, "keyward_key_migrations,keyward_keys,users");
}

#[tokio::test]
async fn takes_a_pool_of_the_application() {
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options);
    let store = SqliteStore::from_pool(pool.await.unwrap());
    assert!(store.find(&record().id).await.unwrap_err().is_outage());
    store.migrate().await.unwrap();
    store.insert(InsertKey::new(record())).await.unwrap();
    assert!(store.find(&record().id).await.unwrap().is_some());
}

/// A database in memory lives as long as its one connection.
#[tokio::test]
async fn a_failed_read_does_not_cost_a_database_in_memory() {
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options);
    let pool = pool.await.unwrap();
    let mine = sqlx::query("CREATE TABLE mine (x INTEGER)");
    mine.execute(&pool).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone());
    assert!(store.find(&record().id).await.is_err());
    let mine = sqlx::query("SELECT * FROM mine").fetch_all(&pool).await;
    assert!(mine.unwrap().is_empty());
}

#[tokio::test]
async fn a_read_that_is_dropped_does_not_cost_a_database_in_memory() {
    let store = with_record().await;
    for _ in 0..20 {
        let id = record().id;
        let mut read = store.find(&id);
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(read.as_mut().poll(context).is_ready())
        });
        polled.await;
        drop(read);
        assert!(store.find(&id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn opens_files_with_the_documented_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    for (durability, synchronous) in [(Durability::Full, "2"), (Durability::Normal, "1")] {
        let store = SqliteStore::builder(&path)
            .durability(durability)
            .open()
            .await
            .unwrap();
        assert_eq!(pragma(&store, "PRAGMA synchronous").await, synchronous);
        assert_eq!(pragma(&store, "PRAGMA journal_mode").await, "wal");
        assert_eq!(pragma(&store, "PRAGMA busy_timeout").await, "5000");
        assert_eq!(pragma(&store, "PRAGMA foreign_keys").await, "1");
        store.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn creates_files_for_their_owner_only_and_leaves_others_as_they_are() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let mode = |name: &str| {
        let file = fs::metadata(folder.path().join(name)).unwrap();
        file.permissions().mode() & 0o777
    };
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(InsertKey::new(record())).await.unwrap();
    assert_eq!(
        (mode("keys.db"), mode("keys.db-wal"), mode("keys.db-shm")),
        (0o600, 0o600, 0o600)
    );
    store.close().await;
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.find(&record().id).await.unwrap().is_some());
    assert_eq!(mode("keys.db"), 0o640);
}

#[tokio::test]
async fn takes_every_path_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "a b%20?.db"] {
        let path = folder.path().join(name);
        let store = SqliteStore::open(&path).await.unwrap();
        store.insert(InsertKey::new(record())).await.unwrap();
        store.close().await;
        assert!(path.exists(), "{name}");
    }
    // Relative paths are where SQLite would see a meaning of its own.
    let prepared = sql::open::prepare(Path::new(":memory:"));
    std::fs::remove_file(":memory:").unwrap();
    assert!(prepared.unwrap().is_absolute());
    let missing = SqliteStore::open(folder.path().join("no/such/folder")).await;
    assert!(matches!(missing, Err(StoreError::Unavailable { .. })));
    assert!(SqliteStore::open("").await.is_err());
}

#[tokio::test]
async fn finds_and_lists_by_an_index_and_never_sorts() {
    let store = SqliteStore::in_memory().await.unwrap();
    let plans = [
        (STATEMENTS.find, "sqlite_autoindex_keyward_keys_1"),
        (
            STATEMENTS.find_many,
            "sqlite_autoindex_keyward_keys_1 (id=?)",
        ),
        (STATEMENTS.list, "keyward_keys_by_creation"),
        (
            STATEMENTS.list_of_owner,
            "keyward_keys_by_owner (owner=? AND (created_at,id)<(?,?))",
        ),
        (
            STATEMENTS.list_of_tenant,
            "keyward_keys_by_tenant (tenant=? AND (created_at,id)<(?,?))",
        ),
        (
            STATEMENTS.list_by_expiry,
            "keyward_keys_by_expiry ((expires_at,id)>(?,?))",
        ),
        (
            STATEMENTS.list_by_secret,
            "keyward_keys_by_secret ((current_created_at,id)>(?,?))",
        ),
        (STATEMENTS.insert_within_limit, "keyward_keys_by_owner"),
    ];
    for (statement, index) in plans {
        let statement = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(statement)
            .fetch_all(store.pool())
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(index), "{plan}");
        assert!(
            !plan.contains("TEMP B-TREE") && !plan.contains("SCAN keyward_keys USING COVERING"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn writes_a_batch_of_usage_whole_or_not_at_all() {
    let store = with_record().await;
    run(
        &store,
        "CREATE TRIGGER deny BEFORE UPDATE ON keyward_keys WHEN new.last_used_at > 10 \
         BEGIN SELECT RAISE(ABORT, 'denied'); END",
    )
    .await;
    let usage = |micros| {
        let first = crate::key::Generation::FIRST;
        Usage::new(record().id, first, Timestamp::from_micros(micros), None)
    };
    assert!(store.record_usage(&[usage(5), usage(11)]).await.is_err());
    assert!(
        store
            .find(&record().id)
            .await
            .unwrap()
            .unwrap()
            .last_used
            .is_none()
    );
    store.record_usage(&[usage(5)]).await.unwrap();
    assert!(
        store
            .find(&record().id)
            .await
            .unwrap()
            .unwrap()
            .last_used
            .is_some()
    );
}

#[test]
fn is_dropped_outside_a_runtime_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(async {
        let store = SqliteStore::open(folder.path().join("keys.db"))
            .await
            .unwrap();
        assert!(store.find(&record().id).await.unwrap().is_none());
        store
    });
    drop(store);
    drop(runtime);
}

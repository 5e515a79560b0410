//! What is PostgreSQL's own about the store: migrations, roles, plans, locks, deadlines.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use keyward::access::{Grant, Scope};
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, Generation, KeyId, KeyRecord};
use keyward::store::sqlx::postgres::PgPoolOptions;
use keyward::store::sqlx::{self, AssertSqlSafe, PgPool};
use keyward::store::{InsertKey, KeyStore, ListKeys, ListOrder, PostgresStore, StoreError, Usage};
use keyward::time::Timestamp;

mod servers;

use servers::Postgres;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn id(number: u32) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

fn record(number: u32) -> KeyRecord {
    KeyRecord::new(
        id(number),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(vec![Scope::from_stored("leads:read")]),
        Credential::new(DigestText::new("$2b$12$x"), SecretOrigin::Generated, NOW),
        NOW,
        "user:ana".parse().unwrap(),
    )
}

fn use_of(number: u32, micros: i64) -> Usage {
    Usage::new(
        id(number),
        Generation::FIRST,
        Timestamp::from_micros(micros),
        None,
    )
}

async fn store() -> PostgresStore {
    PostgresStore::connect(&Postgres::shared().database())
        .await
        .unwrap()
}

async fn run(pool: &PgPool, statement: impl Into<String>) {
    let statement = AssertSqlSafe(statement.into());
    sqlx::raw_sql(statement).execute(pool).await.unwrap();
}

async fn number(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn migrates_once_when_ten_start_together() {
    let url = Postgres::shared().database();
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::connect(&url).await })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap().unwrap();
        let steps = number(store.pool(), "SELECT count(*) FROM keyward.key_migrations");
        assert_eq!(steps.await, 3);
        store.close().await;
    }
}

#[tokio::test]
async fn refuses_tables_of_a_newer_version_and_leaves_them() {
    let store = store().await;
    run(
        store.pool(),
        "INSERT INTO keyward.key_migrations VALUES (7, 'later', now(), TRUE, '\\x00', 0)",
    )
    .await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::Backend {
            store: "postgres",
            ..
        }
    ));
    let text = with_causes(&error);
    assert!(text.contains("made by a newer version: step 7"), "{text}");
    let steps = number(store.pool(), "SELECT count(*) FROM keyward.key_migrations");
    assert_eq!(steps.await, 4);
}

#[tokio::test]
async fn refuses_a_step_that_was_taken_differently() {
    let store = store().await;
    run(
        store.pool(),
        "UPDATE keyward.key_migrations SET checksum = '\\x00'",
    )
    .await;
    let text = with_causes(&store.migrate().await.unwrap_err());
    assert!(text.contains("with another text"), "{text}");
}

#[tokio::test]
async fn keeps_to_its_own_schema_whatever_the_search_path_is() {
    let store = store().await;
    run(
        store.pool(),
        "CREATE TABLE public.keys (id TEXT); CREATE TABLE public._sqlx_migrations (id TEXT)",
    )
    .await;
    store.migrate().await.unwrap();
    store.insert(InsertKey::new(record(1))).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') \
                  AND (schemaname, tablename) NOT IN (('keyward', 'keys'), ('keyward', 'key_migrations'))";
    assert_eq!(number(store.pool(), tables).await, 2);
    assert_eq!(
        number(store.pool(), "SELECT count(*) FROM public.keys").await,
        0
    );
}

/// The role that serves requests may read and write rows, and that is all it may.
#[tokio::test]
async fn serves_under_a_role_that_may_create_nothing() {
    let role = servers::unique("app");
    let url = Postgres::shared().database();
    let as_role = url.replace("user=postgres", &format!("user={role}"));
    let owner = PgPool::connect(&url).await.unwrap();
    run(&owner, format!("CREATE ROLE {role} LOGIN")).await;

    let refused = PostgresStore::connect(&as_role).await.unwrap_err();
    assert!(matches!(refused, StoreError::Backend { .. }), "{refused:?}");
    assert!(
        with_causes(&refused).contains("permission denied"),
        "{refused:?}"
    );

    PostgresStore::from_pool(owner.clone())
        .migrate()
        .await
        .unwrap();
    run(
        &owner,
        format!(
            "GRANT USAGE ON SCHEMA keyward TO {role}; GRANT SELECT ON keyward.key_migrations TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON keyward.keys TO {role}"
        ),
    )
    .await;
    let store = PostgresStore::connect(&as_role).await.unwrap();
    store
        .insert(InsertKey::new(record(1)).with_owner_limit(1))
        .await
        .unwrap();
    store.record_usage(&[use_of(1, 1)]).await.unwrap();
    assert!(
        store
            .find(&id(1))
            .await
            .unwrap()
            .unwrap()
            .last_used
            .is_some()
    );
}

/// The role that may create nothing is told the true reason, not that it may not create.
#[tokio::test]
async fn tells_a_role_without_rights_of_a_newer_version_too() {
    let role = servers::unique("app");
    let url = Postgres::shared().database();
    let owner = PostgresStore::connect(&url).await.unwrap();
    run(
        owner.pool(),
        format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA keyward TO {role}; \
             GRANT SELECT ON keyward.key_migrations TO {role}; \
             INSERT INTO keyward.key_migrations VALUES (7, 'later', now(), TRUE, '\\x00', 0)"
        ),
    )
    .await;
    let as_role = url.replace("user=postgres", &format!("user={role}"));
    let error = PostgresStore::connect(&as_role).await.unwrap_err();
    assert!(
        with_causes(&error).contains("made by a newer version: step 7"),
        "{error:?}"
    );
}

#[tokio::test]
async fn finds_and_lists_by_an_index_and_never_sorts() {
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&Postgres::shared().database()).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    // So few rows are scanned unless that is forbidden; what remains is whether an index can be used at all.
    run(
        &pool,
        "SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan",
    )
    .await;
    let (owner, tenant) = ("acme".parse().unwrap(), "t1".parse().unwrap());
    store.find(&id(1)).await.unwrap();
    for query in [
        ListKeys::new(),
        ListKeys::new().with_owner(owner),
        ListKeys::new().with_tenant(tenant),
        ListKeys::new().with_order(ListOrder::SoonestExpiry),
        ListKeys::new().with_order(ListOrder::OldestSecret),
    ] {
        store.list(&query).await.unwrap();
    }
    let prepared = "SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE 'SELECT id, environment%'";
    let prepared: Vec<(String, String)> = sqlx::query_as(prepared).fetch_all(&pool).await.unwrap();
    assert_eq!(prepared.len(), 6);
    let mut indexes = Vec::new();
    for (name, statement) in prepared {
        let highest = (1..=15)
            .rev()
            .find(|place| statement.contains(&format!("${place}")))
            .unwrap();
        let values = vec!["NULL"; highest].join(", ");
        let explain = format!("EXPLAIN EXECUTE \"{name}\"({values})");
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
            .fetch_all(&pool)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(
            !plan.contains("Seq Scan") && !plan.contains("Sort"),
            "{plan}"
        );
        let index = plan
            .split("using ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        indexes.push(index.unwrap().to_owned());
    }
    indexes.sort();
    assert_eq!(
        indexes,
        [
            "keys_pkey",
            "keyward_keys_by_creation",
            "keyward_keys_by_expiry",
            "keyward_keys_by_owner",
            "keyward_keys_by_secret",
            "keyward_keys_by_tenant"
        ]
    );
}

/// Inserts that take a while, so that all of them would count before any of them is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn holds_an_owner_to_its_limit_while_inserts_are_slow() {
    let store = store().await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'; \
                CREATE TRIGGER slow BEFORE INSERT ON keyward.keys FOR EACH ROW EXECUTE FUNCTION slow()";
    run(store.pool(), slow).await;
    let racers: Vec<_> = (1..=6)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let insert = InsertKey::new(record(number)).with_owner_limit(2);
                store.insert(insert).await
            })
        })
        .collect();
    let mut accepted = 0;
    for racer in racers {
        accepted += u32::from(racer.await.unwrap().is_ok());
    }
    assert_eq!(accepted, 2);
}

/// An application may have made another isolation level its default.
#[tokio::test]
async fn holds_an_owner_to_its_limit_under_any_default_isolation() {
    let url = Postgres::shared().database();
    PostgresStore::connect(&url).await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let level =
                    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE";
                sqlx::query(level).execute(connection).await.map(|_| ())
            })
        })
        .connect(&url)
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool);
    let racers: Vec<_> = (1..=20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .insert(InsertKey::new(record(number)).with_owner_limit(5))
                    .await
            })
        })
        .collect();
    let mut accepted = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => accepted += 1,
            Err(error) => assert!(
                matches!(error, StoreError::OwnerLimit { limit: 5 }),
                "{error:?}"
            ),
        }
    }
    assert_eq!(accepted, 5);
}

#[tokio::test]
async fn writes_thousands_of_uses_in_one_batch_each_key_its_latest() {
    let store = store().await;
    let make = "INSERT INTO keyward.keys SELECT (jsonb_populate_record(k, jsonb_build_object('id', lpad(n::text, 12, '0')))).* \
                FROM keyward.keys k, generate_series(2, 2500) n WHERE k.id = '000000000001'";
    store.insert(InsertKey::new(record(1))).await.unwrap();
    run(store.pool(), make).await;
    let twice = (1..=2500).flat_map(|number| {
        [
            use_of(number, 2_000 + i64::from(number)),
            use_of(number, 1_000),
        ]
    });
    store
        .record_usage(&twice.collect::<Vec<_>>())
        .await
        .unwrap();
    let right = "SELECT count(*) FROM keyward.keys WHERE last_used_at = 2000 + id::bigint \
                 AND current_last_used_at = last_used_at";
    assert_eq!(number(store.pool(), right).await, 2500);
}

#[tokio::test]
async fn batches_of_uses_that_cross_do_not_wait_for_each_other_for_ever() {
    let store = store().await;
    for number in 1..=50 {
        store.insert(InsertKey::new(record(number))).await.unwrap();
    }
    let writers: Vec<_> = (0..8_u32)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    let mut usage: Vec<_> = (1..=50).map(|number| use_of(number, round)).collect();
                    if writer % 2 == 0 {
                        usage.reverse();
                    }
                    store.record_usage(&usage).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(store.pool(), deadlocks).await, 0);
}

/// Somebody holds the row's lock and does not let go.
#[tokio::test]
async fn a_write_that_waits_too_long_is_unavailable_and_costs_no_connection() {
    let url = Postgres::shared().database();
    let hasty = PostgresStore::builder(&url)
        .unwrap()
        .connections(NonZeroU32::new(3).unwrap());
    let store = hasty
        .deadline(Duration::from_millis(500))
        .connect()
        .await
        .unwrap();
    let reader = PostgresStore::connect(&url).await.unwrap();
    reader.insert(InsertKey::new(record(1))).await.unwrap();
    let other = PgPool::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM keyward.keys FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    for _ in 0..5 {
        let error = store.update(&record(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        // Readers do not mind.
        assert!(reader.find(&id(1)).await.unwrap().is_some());
    }
    lock.rollback().await.unwrap();
    // Five were given up, on three connections, and the store writes again. One of them may still go through, and is then
    // the writer of this revision.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let stored = reader.find(&id(1)).await.unwrap().unwrap();
        match store.update(&stored).await {
            Ok(_) => break,
            Err(StoreError::Conflict | StoreError::Unavailable { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert!(Instant::now() < end, "it does not recover");
    }
}

#[tokio::test]
async fn one_connection_is_enough_for_everything() {
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&Postgres::shared().database()).await.unwrap();
    let store = PostgresStore::from_pool(pool);
    store.migrate().await.unwrap();
    store
        .insert(InsertKey::new(record(1)).with_owner_limit(3))
        .await
        .unwrap();
    for _ in 0..3 {
        let found = store.find(&id(1)).await.unwrap().unwrap();
        store.update(&found).await.unwrap();
        store.record_usage(&[use_of(1, 1)]).await.unwrap();
        assert_eq!(store.list(&ListKeys::new()).await.unwrap().records.len(), 1);
    }
    let reads: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find(&id(1)).await })
        })
        .collect();
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
}

#[tokio::test]
async fn an_unmigrated_database_is_an_outage() {
    let pool = PgPool::connect(&Postgres::shared().database())
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool);
    assert!(store.find(&id(1)).await.unwrap_err().is_outage());
    store.migrate().await.unwrap();
    assert!(store.find(&id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable_and_no_address_is_shown() {
    let address = "postgres://app:canary-password@127.0.0.1:9/app";
    let hasty = PostgresStore::builder(address)
        .unwrap()
        .deadline(Duration::from_millis(100));
    assert!(!format!("{hasty:?}").contains("canary"));
    let error = hasty.connect().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error:?} {}", with_causes(&error)).contains("canary"));
    for address in ["postgres://app:canary@[::1/", "mysql://canary@x", "canary"] {
        let error = PostgresStore::builder(address).unwrap_err();
        assert!(!format!("{error:?} {}", with_causes(&error)).contains("canary"));
    }
}

/// What the server counted: one statement for a read, the same prepared one each time.
#[tokio::test]
async fn a_read_is_one_statement_and_those_that_wait_share_one() {
    let server = Postgres::private(&["-c", "shared_preload_libraries=pg_stat_statements"]);
    let url = server.database();
    let patient = PostgresStore::builder(&url).unwrap();
    let patient = patient.deadline(Duration::from_secs(30));
    let store = patient.connect().await.unwrap();
    run(store.pool(), "CREATE EXTENSION pg_stat_statements").await;
    store.insert(InsertKey::new(record(1))).await.unwrap();
    let reset = "SELECT pg_stat_statements_reset()";
    let of = |what: &'static str| {
        let calls = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE query LIKE 'SELECT id, environment%WHERE id ' || $1";
        let pool = store.pool().clone();
        async move {
            let calls = sqlx::query_scalar::<_, i64>(calls).bind(what);
            calls.fetch_one(&pool).await.unwrap()
        }
    };
    run(store.pool(), reset).await;
    for _ in 0..20 {
        store.find(&id(1)).await.unwrap();
    }
    assert_eq!((of("= $1").await, of("= ANY($1)").await), (20, 0));

    // All of them are asked while the first two cannot go on.
    run(store.pool(), reset).await;
    let other = PgPool::connect(&url).await.unwrap();
    let mut door = other.begin().await.unwrap();
    let lock = "LOCK TABLE keyward.keys IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *door).await.unwrap();
    let reads: Vec<_> = (0..500)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find(&id(1)).await })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let end = Instant::now() + Duration::from_secs(20);
    while number(&other, waiting).await < 2 {
        assert!(
            Instant::now() < end,
            "the first two do not come to the lock"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    door.commit().await.unwrap();
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
    // Two alone, and 498 by up to 128, some perhaps on lines that lost patience.
    let trips = of("= $1").await + of("= ANY($1)").await;
    assert!(
        (2 + 4..=2 + 8).contains(&trips),
        "500 reads took {trips} statements"
    );
}

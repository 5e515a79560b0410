//! Reading audit tables: how the engine finds the events, and who is not held up by it.
#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;

use keyward::audit::{
    AuditError, AuditEvent, AuditKind, AuditLog, AuditQuery, AuditRetention, AuditSink,
    PostgresAuditSink,
};
use keyward::store::sqlx::{self, AssertSqlSafe, PgPool};
use keyward::time::Timestamp;

mod servers;

use servers::Postgres;

async fn table() -> (Arc<PostgresAuditSink>, PgPool, String) {
    let url = Postgres::shared().database();
    let pool = PgPool::connect(&url).await.unwrap();
    let sink = PostgresAuditSink::from_pool(pool.clone(), "test").unwrap();
    sink.migrate().await.unwrap();
    (Arc::new(sink), pool, url)
}

/// Twenty thousand events: 200 keys, 20 owners, 10 tenants, one a second.
const FILL: &str = "INSERT INTO keyward.audit (recorder, time, kind, outcome, key_id, owner, tenant, event) \
     SELECT 'r', n * 1000000::bigint, 'key_created', 'success', 'k' || n % 200, 'o' || n % 20, 't' || n % 10, \
     '{\"schema\":1,\"time\":\"1970-01-01T00:00:00.000000Z\",\"kind\":\"key_created\",\"outcome\":\"success\"}' \
     FROM generate_series(1, 20000) AS n";

/// Returns the text of the statement that `ask` waits with, while the table is held.
async fn statement<T: Send + 'static>(
    pool: &PgPool,
    ask: impl Future<Output = T> + Send + 'static,
) -> String {
    let mut holder = pool.begin().await.unwrap();
    let held = "LOCK TABLE keyward.audit IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(held).execute(&mut *holder).await.unwrap();
    let asking = tokio::spawn(ask);
    let waiting = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT position%'";
    let found = loop {
        let found: Option<String> = sqlx::query_scalar(waiting)
            // Not within the transaction, which would see the activity of its first look for ever.
            .fetch_optional(pool)
            .await
            .unwrap();
        if let Some(found) = found {
            break found;
        }
        tokio::task::yield_now().await;
    };
    holder.rollback().await.unwrap();
    asking.await.unwrap();
    found
}

/// The types of a question's values, as they are sent.
const TYPES: &str = "bigint, text, text, text, text, text[], text, bigint, bigint, boolean, bigint";

/// Returns the plan of a statement for these values, and the one that the engine makes for any values.
async fn plans(pool: &PgPool, statement: &str, types: &str, values: &str) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let name = servers::unique("p");
    let prepare = format!("PREPARE {name} ({types}) AS {statement}");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut plans = Vec::new();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = format!("SET plan_cache_mode = {mode}");
        sqlx::raw_sql(AssertSqlSafe(set))
            .execute(&mut *connection)
            .await
            .unwrap();
        let explain =
            sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN EXECUTE {name}({values})")));
        let plan: Vec<String> = explain.fetch_all(&mut *connection).await.unwrap();
        plans.push(plan.join("\n"));
    }
    plans
}

#[tokio::test]
async fn every_question_is_led_by_its_index() {
    let (sink, pool, _) = table().await;
    sqlx::raw_sql(FILL).execute(&pool).await.unwrap();
    sqlx::raw_sql("ANALYZE keyward.audit")
        .execute(&pool)
        .await
        .unwrap();
    let asked = AuditQuery::new;
    let second = Timestamp::from_secs;
    let questions = [
        (
            asked().with_key_id("k7"),
            "0, 'k7', NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, 101",
            "keyward_audit_by_key",
        ),
        (
            asked().with_owner("o7").with_from(second(9)),
            "0, NULL, 'o7', NULL, NULL, NULL, NULL, 9000000, 9223372036854775807, false, 101",
            "keyward_audit_by_owner",
        ),
        (
            asked().with_tenant("t7"),
            "0, NULL, NULL, 't7', NULL, NULL, NULL, NULL, NULL, false, 101",
            "keyward_audit_by_tenant",
        ),
        (
            asked().with_from(second(1000)).with_until(second(1060)),
            "0, NULL, NULL, NULL, NULL, NULL, NULL, 1000000000, 1059999999, false, 101",
            "keyward_audit_by_time",
        ),
        (
            asked(),
            "0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, 101",
            "audit_pkey",
        ),
    ];
    for (query, values, index) in questions {
        let sink = Arc::clone(&sink);
        let text = statement(&pool, async move { sink.page(&query).await.unwrap() });
        let text = text.await;
        for plan in plans(&pool, &text, TYPES, values).await {
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }
    let text = statement(&pool, async move {
        sink.remove_part(second(50), 10, None).await.unwrap()
    });
    for plan in plans(&pool, &text.await, "bigint, bigint", "50000000, 500").await {
        assert!(plan.contains("keyward_audit_by_time"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}

/// Whoever reads must not take the connections that keys are verified on.
#[tokio::test]
async fn reads_while_every_connection_of_the_pool_is_taken() {
    let (_, _, url) = table().await;
    let small = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let small = small.connect(&url).await.unwrap();
    let sink = PostgresAuditSink::from_pool(small.clone(), "test").unwrap();
    let taken = small.acquire().await.unwrap();
    let event = AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH);
    sink.write(&[event]).await.unwrap();
    let page = sink.page(&AuditQuery::new()).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert!(sink.is_due(Timestamp::MAX).await.unwrap());
    drop(taken);
}

/// Reading leaves no connection open behind it.
#[tokio::test]
async fn keeps_no_connection_between_two_pages() {
    let (sink, pool, _) = table().await;
    for _ in 0..3 {
        sink.page(&AuditQuery::new()).await.unwrap();
    }
    let others = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'SELECT position%'";
    loop {
        let left: i64 = sqlx::query_scalar(others).fetch_one(&pool).await.unwrap();
        if left == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_page_that_was_given_up_holds_up_nobody() {
    let (sink, pool, _) = table().await;
    let event = AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH);
    sink.write(std::slice::from_ref(&event)).await.unwrap();
    let query = AuditQuery::new();
    let polled = std::future::poll_fn(|context| {
        let mut page = sink.page(&query);
        std::task::Poll::Ready(page.as_mut().poll(context).is_ready())
    });
    assert!(!polled.await);
    let reading = Arc::clone(&sink);
    let given_up = tokio::spawn(async move { reading.page(&AuditQuery::new()).await });
    tokio::task::yield_now().await;
    given_up.abort();
    let page = sink.page(&query).await.unwrap();
    assert_eq!(page.events.len(), 1);
    drop(pool);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage() {
    let options = "postgres:///nothing?host=/nowhere&user=postgres";
    let pool = PgPool::connect_lazy(options).unwrap();
    let sink = PostgresAuditSink::from_pool(pool, "test").unwrap();
    let error = sink.page(&AuditQuery::new()).await.unwrap_err();
    assert!(matches!(error, AuditError::Unavailable { .. }), "{error:?}");
}

/// Several processes write, each over a connection of its own, and a reader goes on from page to page along an index.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_of_an_owner_are_whole_while_several_processes_write() {
    const WRITERS: usize = 4;
    const BATCHES: usize = 15;
    let (sink, pool, url) = table().await;
    // Some take their time between the position and the commit: whoever comes later must not be seen first.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_sleep(0.004 * (NEW.position / 3 % 4)); RETURN NEW; END'; \
         CREATE TRIGGER slow AFTER INSERT ON keyward.audit FOR EACH ROW EXECUTE FUNCTION slow()";
    sqlx::raw_sql(slow).execute(&pool).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let pool = PgPool::connect(&url).await.unwrap();
        let writer = PostgresAuditSink::from_pool(pool, "w").unwrap();
        writers.spawn(async move {
            let event = AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH);
            let batch = ["acme", "evil", "acme"].map(|owner| event.clone().with_owner(owner));
            for _ in 0..BATCHES {
                writer.write(&batch).await.unwrap();
            }
        });
    }
    let (mut query, mut found) = (AuditQuery::new().with_owner("acme"), 0);
    loop {
        while writers.try_join_next().is_some() {}
        let written = writers.is_empty();
        let page = sink.page(&query).await.unwrap();
        found += page.events.len();
        match page.events.last() {
            Some(last) => query = query.with_after(last.cursor),
            None if written => break,
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(found, WRITERS * BATCHES * 2);
}

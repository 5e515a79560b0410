//! Rows that somebody has damaged: on every SQL engine an unreadable row is an outage that names the column, never an
//! absent key and never a key that may more than it says.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use keyward::access::{Grant, Scope};
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, KeyRecord};
use keyward::store::sqlx::{self, AssertSqlSafe};
use keyward::store::{InsertKey, KeyStore, ListKeys, PostgresStore, SqliteStore, StoreError};
use keyward::time::Timestamp;

mod servers;

use servers::Postgres;

const CANARY: &str = "$2b$12$canary-of-a-digest";

/// What is done to the row, and the column at which reading it must stop.
const DAMAGES: [(&str, &str); 23] = [
    ("owner = ''", "owner"),
    ("environment = 'Live'", "environment"),
    ("kind = 'public'", "kind"),
    ("tenant = '*'", "tenant"),
    ("tenant = 't', platform = true", "platform"),
    ("override_tier = 'pro'", "override_until"),
    ("override_until = 1", "override_until"),
    ("scopes = NULL", "scopes"),
    ("scopes = '[1]'", "scopes"),
    ("role = 'no role'", "role"),
    ("denied = 'null'", "denied"),
    ("networks = '[\"nowhere\"]'", "networks"),
    ("certificate = 'AAAA'", "certificate"),
    ("metadata = '[]'", "metadata"),
    ("revoked_at = 1", "revoked_reason"),
    ("revoked_reason = 'x'", "revoked_reason"),
    ("current_generation = -1", "current_generation"),
    ("current_origin = ''", "current_origin"),
    ("current_hint = 'abc'", "current_hint"),
    ("current_end = 'at'", "current_end_at"),
    ("previous_generation = 1", "previous_digest"),
    ("last_used_from = '::1'", "last_used_from"),
    ("last_used_at = 1, last_used_from = 'x'", "last_used_from"),
];

fn record() -> KeyRecord {
    let now = Timestamp::from_secs(1_700_000_000);
    KeyRecord::new(
        "0aZ9bY8cX7dW".parse().unwrap(),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(vec![Scope::from_stored("leads:read")]),
        Credential::new(DigestText::new(CANARY), SecretOrigin::Generated, now),
        now,
        "user:ana".parse().unwrap(),
    )
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

/// Runs a statement by hand, as whoever damages a table does.
trait ByHand: KeyStore {
    const TABLE: &'static str;
    const ENGINE: &'static str;

    async fn by_hand(&self, statement: String);
}

impl ByHand for SqliteStore {
    const TABLE: &'static str = "keyward_keys";
    const ENGINE: &'static str = "sqlite";

    async fn by_hand(&self, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(self.pool())
            .await
            .unwrap();
    }
}

impl ByHand for PostgresStore {
    const TABLE: &'static str = "keyward.keys";
    const ENGINE: &'static str = "postgres";

    async fn by_hand(&self, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(self.pool())
            .await
            .unwrap();
    }
}

async fn names_the_damaged_column<S: ByHand>(store: S) {
    for (damage, column) in DAMAGES {
        let table = S::TABLE;
        store.by_hand(format!("DELETE FROM {table}")).await;
        store.insert(InsertKey::new(record())).await.unwrap();
        store.by_hand(format!("UPDATE {table} SET {damage}")).await;
        let found = store.find(&record().id).await.unwrap_err();
        let listed = store.list(&ListKeys::new()).await.unwrap_err();
        for error in [found, listed] {
            assert!(
                matches!(error, StoreError::Corrupt { field, .. } if field == column),
                "{damage}: {error}"
            );
            assert!(error.is_outage());
            assert!(!all_texts(&error).contains("canary"), "{damage}");
        }
    }
}

async fn reads_a_damaged_proof_as_void<S: ByHand>(store: S) {
    store.insert(InsertKey::new(record())).await.unwrap();
    let table = S::TABLE;
    store
        .by_hand(format!(
            "UPDATE {table} SET current_proof = 'x', current_check = 'y'"
        ))
        .await;
    let found = store.find(&record().id).await.unwrap().unwrap();
    assert_eq!(found.current.proof.unwrap().version(), 0);
    assert_eq!(found.current.check.unwrap().version(), 0);
}

/// Engines quote the failing row in some of their messages' fields, and with it the digest.
async fn keeps_digests_out_of_every_error<S: ByHand>(store: S, refuse_updates: &str) {
    store.insert(InsertKey::new(record())).await.unwrap();
    store.by_hand(refuse_updates.to_owned()).await;
    let refused = store.update(&record()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Backend { store, .. } if store == S::ENGINE));
    assert!(all_texts(&refused).contains("denied"), "{refused:?}");
    store.by_hand(format!("DROP TABLE {}", S::TABLE)).await;
    let errors = [
        refused,
        store.insert(InsertKey::new(record())).await.unwrap_err(),
        store.update(&record()).await.unwrap_err(),
        store.find(&record().id).await.unwrap_err(),
    ];
    for error in errors {
        assert!(!all_texts(&error).contains("canary"), "{error:?}");
        assert!(error.is_outage());
    }
}

async fn answers_a_closed_pool_as_unavailable<S: ByHand>(store: S, close: impl AsyncFn(&S)) {
    store.insert(InsertKey::new(record())).await.unwrap();
    // Reads keep a connection for a while; that one is closed as well.
    store.find(&record().id).await.unwrap();
    close(&store).await;
    let error = store.find(&record().id).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

/// The same tests on both engines.
macro_rules! on_each_engine {
    ($($engine:ident: $fresh:expr, $close:expr, refuses_updates: $refuse:literal;)*) => {$(
        mod $engine {
            use super::*;

            #[tokio::test]
            async fn names_the_damaged_column() {
                super::names_the_damaged_column($fresh.await).await;
            }

            #[tokio::test]
            async fn reads_a_damaged_proof_as_void() {
                super::reads_a_damaged_proof_as_void($fresh.await).await;
            }

            #[tokio::test]
            async fn keeps_digests_out_of_every_error() {
                super::keeps_digests_out_of_every_error($fresh.await, $refuse).await;
            }

            #[tokio::test]
            async fn answers_a_closed_pool_as_unavailable() {
                super::answers_a_closed_pool_as_unavailable($fresh.await, $close).await;
            }
        }
    )*};
}

on_each_engine! {
    sqlite: sqlite_store(), SqliteStore::close,
        refuses_updates: "CREATE TRIGGER deny BEFORE UPDATE ON keyward_keys BEGIN SELECT RAISE(ABORT, 'denied'); END";
    // A failed check is where PostgreSQL quotes the row.
    postgres: postgres_store(), PostgresStore::close,
        refuses_updates: "ALTER TABLE keyward.keys ADD CONSTRAINT denied CHECK (revision < 2)";
}

async fn sqlite_store() -> SqliteStore {
    SqliteStore::in_memory().await.unwrap()
}

async fn postgres_store() -> PostgresStore {
    PostgresStore::connect(&Postgres::shared().database())
        .await
        .unwrap()
}

/// Only SQLite can be made to store what is no text.
#[tokio::test]
async fn sqlite_refuses_a_text_that_is_no_unicode() {
    let store = sqlite_store().await;
    store.insert(InsertKey::new(record())).await.unwrap();
    store
        .by_hand("UPDATE keyward_keys SET name = CAST(x'ff' AS TEXT)".to_owned())
        .await;
    let error = store.find(&record().id).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { field: "name", .. }),
        "{error:?}"
    );
}

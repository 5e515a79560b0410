//! The rules of stores that keep the audit trail as well, on each that ships.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;

use keyward::async_trait;
use keyward::audit::AuditEvent;
use keyward::store::sqlx::{self, PgPool, SqlitePool};
use keyward::store::{AuditedStore, PostgresStore, SqliteStore};
use keyward::testing::audited_rules::AuditedProbe;
use keyward::testing::store_rules::Handles;

mod servers;

use servers::Postgres;

/// A store, opened twice, and a pool to read its trail with.
struct Probe<P> {
    stores: Vec<Arc<dyn AuditedStore>>,
    pool: P,
    _folder: Option<tempfile::TempDir>,
}

macro_rules! probe {
    ($pool:ty, $read:literal) => {
        #[async_trait]
        impl AuditedProbe for Probe<$pool> {
            fn stores(&self) -> Vec<Arc<dyn AuditedStore>> {
                self.stores.clone()
            }

            async fn read(&self) -> Vec<(String, AuditEvent)> {
                let rows = sqlx::query_as($read).fetch_all(&self.pool).await;
                let rows: Vec<(String, String)> = rows.unwrap();
                rows.into_iter()
                    .map(|(recorder, line)| {
                        assert_eq!(line.lines().count(), 1);
                        (recorder, serde_json::from_str(&line).unwrap())
                    })
                    .collect()
            }
        }
    };
}

probe!(
    PgPool,
    "SELECT recorder, event FROM keyward.audit ORDER BY position"
);
probe!(
    SqlitePool,
    "SELECT recorder, event FROM keyward_audit ORDER BY position"
);

async fn postgres() -> Probe<PgPool> {
    let url = Postgres::shared().database();
    let mut stores: Vec<Arc<dyn AuditedStore>> = Vec::new();
    for label in ["here", "there"] {
        let store = PostgresStore::connect(&url).await.unwrap();
        stores.push(Arc::new(store.with_audit(label).await.unwrap()));
    }
    Probe {
        stores,
        pool: PgPool::connect(&url).await.unwrap(),
        _folder: None,
    }
}

async fn sqlite() -> Probe<SqlitePool> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let mut stores: Vec<Arc<dyn AuditedStore>> = Vec::new();
    for label in ["here", "there"] {
        let store = SqliteStore::open(&path).await.unwrap();
        stores.push(Arc::new(store.with_audit(label).await.unwrap()));
    }
    let url = format!("sqlite:{}", path.display());
    Probe {
        stores,
        pool: SqlitePool::connect(&url).await.unwrap(),
        _folder: Some(folder),
    }
}

async fn sqlite_in_memory() -> Probe<SqlitePool> {
    let store = SqliteStore::in_memory().await.unwrap();
    let pool = store.pool().clone();
    let store = store.with_audit("memory").await.unwrap();
    Probe {
        stores: vec![Arc::new(store)],
        pool,
        _folder: None,
    }
}

/// Through pointers, boxed and shared.
async fn wrapped() -> Probe<SqlitePool> {
    let mut probe = sqlite().await;
    let wrap = |store| Arc::new(Box::new(store) as Box<dyn AuditedStore>) as Arc<dyn AuditedStore>;
    probe.stores = probe.stores.into_iter().map(wrap).collect();
    probe
}

keyward::audited_store_conformance!(on_postgres, super::postgres);
keyward::audited_store_conformance!(on_sqlite, super::sqlite);
keyward::audited_store_conformance!(on_sqlite_in_memory, super::sqlite_in_memory);
keyward::audited_store_conformance!(through_pointers, super::wrapped);

/// Whoever has a store that keeps the trail has a store.
fn handles(stores: &[Arc<dyn AuditedStore>]) -> Handles {
    let [here, there] = stores else {
        panic!("two handles");
    };
    Handles::new(Arc::clone(here)).with_other(Arc::clone(there))
}

keyward::key_store_conformance!(store_on_postgres, async {
    handles(&postgres().await.stores)
});
keyward::key_store_conformance!(store_on_sqlite, async {
    let probe = sqlite().await;
    handles(&probe.stores).keeping(probe)
});

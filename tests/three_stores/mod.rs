//! The stores that keep all of a key, each with two handles to it, as two processes have.
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::sync::Arc;

use keyward::audit::MemorySink;
use keyward::hash::Hashing;
use keyward::key::{Environment, KeyFormat};
use keyward::service::{KeyService, KeyServiceBuilder};
use keyward::store::{KeyStore, MemoryStore, PostgresStore, SqliteStore};
use tempfile::TempDir;

use crate::common::{policy, pool, quick_bcrypt, without_factors};
use crate::servers::Postgres;

/// One store, reached over two ways.
pub struct Shared {
    pub here: Arc<dyn KeyStore>,
    pub there: Arc<dyn KeyStore>,
    _folder: Option<TempDir>,
}

pub async fn memory() -> Shared {
    let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
    std::future::ready(Shared {
        here: Arc::clone(&store),
        there: store,
        _folder: None,
    })
    .await
}

pub async fn sqlite() -> Shared {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.sqlite");
    Shared {
        here: Arc::new(SqliteStore::open(&file).await.unwrap()),
        there: Arc::new(SqliteStore::open(&file).await.unwrap()),
        _folder: Some(folder),
    }
}

pub async fn postgres() -> Shared {
    let url = Postgres::shared().database();
    Shared {
        here: Arc::new(PostgresStore::connect(&url).await.unwrap()),
        there: Arc::new(PostgresStore::connect(&url).await.unwrap()),
        _folder: None,
    }
}

/// A process on such a store, with the roles of the common tests.
pub fn service(store: &Arc<dyn KeyStore>, trail: &MemorySink) -> KeyService {
    builder(store, trail).build().unwrap()
}

/// A process for keys of another environment on the same store.
pub fn service_in(
    environment: Environment,
    store: &Arc<dyn KeyStore>,
    trail: &MemorySink,
) -> KeyService {
    let format = KeyFormat::builder().environment(environment);
    let builder = builder(store, trail).format(format.build().unwrap());
    builder.build().unwrap()
}

pub fn builder(store: &Arc<dyn KeyStore>, trail: &MemorySink) -> KeyServiceBuilder {
    let hashing = Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap();
    KeyService::builder(Arc::clone(store))
        .policy(policy())
        .issue_policy(without_factors())
        .hashing(hashing)
        .hash_pool(pool(2, 1024))
        .audit(trail.clone())
        .audit_log(trail.clone())
}

/// The same tests on each of them.
#[macro_export]
macro_rules! on_each_store {
    ($($(#[$attribute:meta])* $test:ident),* $(,)?) => {
        $crate::on_each_store!(@store memory: $($(#[$attribute])* $test),*);
        $crate::on_each_store!(@store sqlite: $($(#[$attribute])* $test),*);
        $crate::on_each_store!(@store postgres: $($(#[$attribute])* $test),*);
    };
    (@store $store:ident: $($(#[$attribute:meta])* $test:ident),*) => {
        mod $store {
            $(
                $(#[$attribute])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    super::$test(super::three_stores::$store().await).await;
                }
            )*
        }
    };
}

//! The rules of the store contract, on every store and wrapper that ships.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

use std::sync::Arc;

use keyward::key_store_conformance;
use keyward::store::{KeyStore, MemoryStore};
use keyward::testing::FaultyStore;

#[cfg(any(feature = "postgres", feature = "vault"))]
mod servers;
mod store_without;

use store_without::Without;

key_store_conformance!(memory, async { MemoryStore::new() });
key_store_conformance!(shared, async {
    Arc::new(MemoryStore::new()) as Arc<dyn KeyStore>
});
key_store_conformance!(boxed, async {
    Box::new(MemoryStore::new()) as Box<dyn KeyStore>
});
key_store_conformance!(faultless, async { FaultyStore::new(MemoryStore::new()) });
key_store_conformance!(without_usage, async { Without::usage() }, without[usage]);
key_store_conformance!(
    without_limit,
    async { Without::owner_limit() },
    without[owner_limit]
);
key_store_conformance!(without_both, async { Without::both() }, without [usage, owner_limit]);

#[cfg(feature = "sqlite")]
mod sqlite {
    use keyward::key_store_conformance;
    use keyward::store::SqliteStore;
    use keyward::testing::store_rules::Handles;

    async fn on_a_file() -> Handles {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let other = SqliteStore::open(&path).await.unwrap();
        Handles::new(store).with_other(other).keeping(folder)
    }

    key_store_conformance!(in_memory, async { SqliteStore::in_memory().await.unwrap() });
    key_store_conformance!(file, on_a_file());
}

#[cfg(feature = "postgres")]
mod postgres {
    use keyward::key_store_conformance;
    use keyward::store::PostgresStore;
    use keyward::testing::store_rules::Handles;

    use super::servers::Postgres;

    /// A database of its own, and two pools, as two processes have.
    async fn fresh() -> Handles {
        let url = Postgres::shared().database();
        let store = PostgresStore::connect(&url).await.unwrap();
        let other = PostgresStore::connect(&url).await.unwrap();
        Handles::new(store).with_other(other)
    }

    key_store_conformance!(two_pools, fresh());
}

#[cfg(feature = "vault")]
mod vault_support;

#[cfg(feature = "vault")]
mod vault {
    use keyward::key_store_conformance;
    use keyward::store::VaultStore;
    use keyward::testing::store_rules::Handles;

    use super::servers::OpenBao;
    use super::vault_support::{client, mount};

    async fn on_a_mount() -> Handles {
        let bao = OpenBao::shared();
        let name = mount(bao).await;
        let store = VaultStore::open(&client(bao).await, &name).await.unwrap();
        let other = VaultStore::open(&client(bao).await, &name).await.unwrap();
        Handles::new(store).with_other(other)
    }

    key_store_conformance!(kv, on_a_mount(), without [usage, owner_limit]);
}

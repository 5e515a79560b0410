//! The rules of the factor store's contract, on every store and wrapper that ships.
#![allow(clippy::unwrap_used, reason = "a test may say what it expects")]

use std::sync::Arc;

use keyward::factor_store_conformance;
use keyward::second_factor::{FactorStore, MemoryFactorStore};

#[cfg(feature = "postgres")]
mod servers;

factor_store_conformance!(memory, async { MemoryFactorStore::new() });
factor_store_conformance!(shared, async {
    Arc::new(MemoryFactorStore::new()) as Arc<dyn FactorStore>
});
factor_store_conformance!(boxed, async {
    Box::new(MemoryFactorStore::new()) as Box<dyn FactorStore>
});

#[cfg(feature = "sqlite")]
mod sqlite {
    use keyward::factor_store_conformance;
    use keyward::second_factor::SqliteFactorStore;
    use keyward::store::SqliteStore;
    use keyward::testing::factor_rules::FactorHandles;

    async fn over(keys: SqliteStore) -> SqliteFactorStore {
        let factors = SqliteFactorStore::from_pool(keys.pool().clone());
        factors.migrate().await.unwrap();
        factors
    }

    async fn on_a_file() -> FactorHandles {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let store = over(SqliteStore::open(&path).await.unwrap()).await;
        let other = over(SqliteStore::open(&path).await.unwrap()).await;
        FactorHandles::new(store).with_other(other).keeping(folder)
    }

    factor_store_conformance!(in_memory, async {
        over(SqliteStore::in_memory().await.unwrap()).await
    });
    factor_store_conformance!(file, on_a_file());
}

#[cfg(feature = "postgres")]
mod postgres {
    use keyward::factor_store_conformance;
    use keyward::second_factor::PostgresFactorStore;
    use keyward::store::PostgresStore;
    use keyward::testing::factor_rules::FactorHandles;

    use super::servers::Postgres;

    async fn over(url: &str) -> PostgresFactorStore {
        let keys = PostgresStore::connect(url).await.unwrap();
        let factors = PostgresFactorStore::from_pool(keys.pool().clone());
        factors.migrate().await.unwrap();
        factors
    }

    /// A database of its own, and two pools, as two processes have.
    async fn fresh() -> FactorHandles {
        let url = Postgres::shared().database();
        let (store, other) = tokio::join!(over(&url), over(&url));
        FactorHandles::new(store).with_other(other)
    }

    factor_store_conformance!(two_pools, fresh());
}

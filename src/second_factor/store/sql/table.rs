//! The operations, for every engine.

use std::time::Duration;

use crate::second_factor::FactorStoreError;
use crate::sql::Dialect;
use crate::sql::fault::Fault;

/// How long one statement may take, the wait for a connection not counted, which may take as long again. Whoever types
/// a code waits for two of them.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn failed<D: Dialect>(error: sqlx::Error) -> FactorStoreError {
    fault::<D>(Fault::of::<D>(error))
}

pub(super) fn fault<D: Dialect>(fault: Fault) -> FactorStoreError {
    match fault {
        Fault::Unavailable(source) => FactorStoreError::unavailable(D::ENGINE, source),
        Fault::Backend(source) | Fault::Duplicate(source) => {
            FactorStoreError::backend(D::ENGINE, source)
        }
    }
}

/// Implements [`FactorStore`](crate::second_factor::FactorStore) for a store that keeps a `pool`.
///
/// A macro because sqlx ties values, rows and pools to the engine's types.
macro_rules! sql_factor_store {
    ($store:ident, $engine:ty, $table:literal) => {
        const FIND: &str = concat!("SELECT revision, state FROM ", $table, " WHERE actor = $1");
        const INSERT: &str = concat!(
            "INSERT INTO ",
            $table,
            " (actor, revision, state) VALUES ($1, $2, $3) ON CONFLICT (actor) DO NOTHING"
        );
        const UPDATE: &str = concat!(
            "UPDATE ",
            $table,
            " SET revision = $2, state = $3 WHERE actor = $1 AND revision = $4"
        );
        const DELETE: &str = concat!(
            "DELETE FROM ",
            $table,
            " WHERE actor = $1 AND revision = $2"
        );

        const _: () = {
            use $crate::key::ActorRef;
            use $crate::second_factor::store::sql::table::{DEADLINE, failed};
            use $crate::second_factor::{
                FactorRevision, FactorStore, FactorStoreError, StoredFactor,
            };
            use $crate::sql::Work;
            use $crate::sql::lent::{Health, Lent};

            type Query =
                sqlx::query::Query<'static, $engine, <$engine as sqlx::Database>::Arguments>;

            impl $store {
                /// On a connection that has just answered: a write on a dead one cannot be tried again.
                async fn using<T: Send>(
                    &self,
                    work: impl for<'c> FnOnce(
                        &'c mut <$engine as sqlx::Database>::Connection,
                    ) -> Work<'c, T>
                    + Send,
                ) -> Result<T, FactorStoreError> {
                    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                    let outcome = async {
                        let lend = Lent::of(&self.pool, Health::Tested);
                        let lent = tokio::time::timeout(DEADLINE, lend).await;
                        let mut lent = lent.map_err(late)??;
                        let done = tokio::time::timeout(DEADLINE, lent.using(work)).await;
                        done.map_err(late)?
                    };
                    outcome.await.map_err(failed::<$engine>)
                }

                async fn change(&self, query: Query) -> Result<(), FactorStoreError> {
                    let done = self.using(|connection| Box::pin(query.execute(connection)));
                    match done.await?.rows_affected() {
                        0 => Err(FactorStoreError::Conflict),
                        _ => Ok(()),
                    }
                }
            }

            #[async_trait::async_trait]
            impl FactorStore for $store {
                async fn find(
                    &self,
                    actor: &ActorRef,
                ) -> Result<Option<StoredFactor>, FactorStoreError> {
                    let query = sqlx::query_as::<$engine, (i64, String)>(FIND);
                    let query = query.bind(actor.as_str().to_owned());
                    let row = self.using(|connection| Box::pin(query.fetch_optional(connection)));
                    Ok(row.await?.map(|(revision, state)| {
                        StoredFactor::new(FactorRevision::from_number(revision), state)
                    }))
                }

                async fn write(
                    &self,
                    actor: &ActorRef,
                    expected: Option<FactorRevision>,
                    next: &StoredFactor,
                ) -> Result<(), FactorStoreError> {
                    let statement = if expected.is_some() { UPDATE } else { INSERT };
                    let query = sqlx::query::<$engine>(statement)
                        .bind(actor.as_str().to_owned())
                        .bind(next.revision().number())
                        .bind(next.state().to_owned());
                    self.change(match expected {
                        Some(expected) => query.bind(expected.number()),
                        None => query,
                    })
                    .await
                }

                async fn remove(
                    &self,
                    actor: &ActorRef,
                    expected: FactorRevision,
                ) -> Result<(), FactorStoreError> {
                    let query = sqlx::query::<$engine>(DELETE)
                        .bind(actor.as_str().to_owned())
                        .bind(expected.number());
                    self.change(query).await
                }
            }
        };

        impl std::fmt::Debug for $store {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($store)).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use sql_factor_store;

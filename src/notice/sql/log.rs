//! The log, for every engine.

use std::time::Duration;

use crate::notice::NoticeLogError;
use crate::sql::Dialect;
use crate::sql::fault::Fault;

/// How long one call may take, and as long again its wait for a connection. No request waits for it.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn fault<D: Dialect>(fault: Fault) -> NoticeLogError {
    match fault {
        Fault::Unavailable(source) => NoticeLogError::unavailable(D::ENGINE, source),
        Fault::Backend(source) | Fault::Duplicate(source) => {
            NoticeLogError::backend(D::ENGINE, source)
        }
    }
}

pub(super) fn failed<D: Dialect>(error: sqlx::Error) -> NoticeLogError {
    fault::<D>(Fault::of::<D>(error))
}

/// Implements [`NoticeLog`](crate::notice::NoticeLog) for one that has a `pool`. A macro because sqlx ties values and rows
/// to the engine's types.
macro_rules! sql_notice_log {
    ($log:ident, $engine:ty, $statements:path, many: $many:expr) => {
        const _: () = {
            use std::collections::HashSet;

            use sqlx::Row as _;

            use $crate::notice::sql::log::{DEADLINE, failed};
            use $crate::notice::sql::statements::Statements;
            use $crate::notice::{Claim, NoticeId, NoticeLog, NoticeLogError};
            use $crate::sql::Work;
            use $crate::sql::lent::{Health, Lent};
            use $crate::time::Timestamp;

            const STATEMENTS: &Statements = &$statements;

            impl $log {
                async fn using<T: Send>(
                    &self,
                    work: impl for<'c> FnOnce(
                        &'c mut <$engine as sqlx::Database>::Connection,
                    ) -> Work<'c, T>
                    + Send,
                ) -> Result<T, NoticeLogError> {
                    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                    let done = async {
                        let lend = Lent::of(&self.pool, Health::Tested);
                        let mut lent =
                            tokio::time::timeout(DEADLINE, lend).await.map_err(late)??;
                        let done = tokio::time::timeout(DEADLINE, lent.using(work)).await;
                        done.map_err(late)?
                    };
                    done.await.map_err(failed::<$engine>)
                }
            }

            #[async_trait::async_trait]
            impl NoticeLog for $log {
                async fn open(
                    &self,
                    ids: &[NoticeId],
                    now: Timestamp,
                ) -> Result<Vec<bool>, NoticeLogError> {
                    let keys: HashSet<_> = ids.iter().map(NoticeId::key).collect();
                    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                    let closed = $many(sqlx::query(STATEMENTS.closed), &keys).bind(now.as_micros());
                    let rows = self
                        .using(|connection| Box::pin(closed.fetch_all(connection)))
                        .await?;
                    let mut closed = HashSet::new();
                    for row in &rows {
                        let key: &str = row.try_get(0).map_err(failed::<$engine>)?;
                        let topic: &str = row.try_get(1).map_err(failed::<$engine>)?;
                        closed.insert((key, topic));
                    }
                    let is_open =
                        |id: &NoticeId| !closed.contains(&(id.key().as_str(), id.topic()));
                    Ok(ids.iter().map(is_open).collect())
                }

                async fn claim(
                    &self,
                    id: &NoticeId,
                    claim: &Claim,
                ) -> Result<Option<u32>, NoticeLogError> {
                    let query = sqlx::query_scalar::<_, i64>(STATEMENTS.claim)
                        .bind(id.key().to_string())
                        .bind(id.topic().to_owned())
                        .bind(claim.holder.clone())
                        .bind(claim.now.as_micros())
                        .bind(claim.until.as_micros());
                    let deferred = self
                        .using(|connection| Box::pin(query.fetch_optional(connection)))
                        .await?;
                    Ok(deferred.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
                }

                async fn sent(&self, id: &NoticeId, at: Timestamp) -> Result<(), NoticeLogError> {
                    let query = sqlx::query(STATEMENTS.sent)
                        .bind(id.key().to_string())
                        .bind(id.topic().to_owned())
                        .bind(at.as_micros());
                    self.using(|connection| Box::pin(query.execute(connection)))
                        .await
                        .map(|_| ())
                }

                async fn defer(
                    &self,
                    id: &NoticeId,
                    holder: &str,
                    until: Timestamp,
                ) -> Result<(), NoticeLogError> {
                    let query = sqlx::query(STATEMENTS.defer)
                        .bind(id.key().to_string())
                        .bind(id.topic().to_owned())
                        .bind(holder.to_owned())
                        .bind(until.as_micros());
                    self.using(|connection| Box::pin(query.execute(connection)))
                        .await
                        .map(|_| ())
                }

                async fn forget_before(&self, moment: Timestamp) -> Result<u64, NoticeLogError> {
                    let query = sqlx::query(STATEMENTS.forget).bind(moment.as_micros());
                    self.using(|connection| Box::pin(query.execute(connection)))
                        .await
                        .map(|done| done.rows_affected())
                }
            }

            impl std::fmt::Debug for $log {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($log)).finish_non_exhaustive()
                }
            }
        };
    };
}

pub(super) use sql_notice_log;

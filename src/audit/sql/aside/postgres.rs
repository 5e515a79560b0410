use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;

use crate::audit::PostgresAuditSink;
use crate::audit::sql::log::{self, Question, Readable, Statements, ask};
use crate::audit::sql::retention::{self, Old, Prunable};
use crate::sql::{self, Dialect as _, Work};

/// Ends a statement in the server too when it is given up here: a little less than [`READING`](log::READING).
/// For the transaction only: behind a pooler the session is somebody else's next.
const STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = '29s'";

/// Connections beside the pool, for what may take long: whoever reads or purges the trail takes none from those who verify
/// keys, and does not hold up the writer. There is one at a time, opened when it is needed.
pub(in crate::audit::sql) struct Side {
    options: Arc<PgConnectOptions>,
    turn: Mutex<()>,
}

impl Side {
    pub(in crate::audit::sql) fn new(pool: &PgPool) -> Self {
        Self {
            options: pool.connect_options(),
            turn: Mutex::default(),
        }
    }

    pub(in crate::audit::sql) async fn using<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send,
    ) -> Result<T, sqlx::Error> {
        let _turn = self.turn.lock().await;
        let mut connection = self.options.connect().await?;
        sql::postgres::refuse_replica(&mut connection).await?;
        let mut step = connection.begin_with(Postgres::BEGIN).await?;
        sqlx::query(STATEMENT_TIMEOUT).execute(&mut *step).await?;
        let done = work(&mut step).await?;
        step.commit().await?;
        // What was asked for is done; the server notices in any case that nobody is there any more.
        drop(connection.close().await);
        Ok(done)
    }
}

impl Readable for PostgresAuditSink {
    type Engine = Postgres;
    const STATEMENTS: Statements = log::POSTGRES;

    async fn rows(
        &self,
        statement: &'static str,
        question: Question,
    ) -> Result<Vec<(i64, String)>, sqlx::Error> {
        let rows = self.side.using(|connection| {
            Box::pin(async move {
                ask!(statement, question, question.kinds)
                    .fetch_all(connection)
                    .await
            })
        });
        rows.await
    }
}

impl Prunable for PostgresAuditSink {
    type Engine = Postgres;

    async fn may_remove(&self) -> Result<bool, sqlx::Error> {
        let asked = "SELECT has_table_privilege('keyward.audit', 'DELETE')";
        let asked = self.side.using(|connection| {
            Box::pin(async move { sqlx::query_scalar(asked).fetch_one(connection).await })
        });
        asked.await
    }

    async fn any_before(&self, micros: i64) -> Result<bool, sqlx::Error> {
        let asked = self.side.using(|connection| {
            let asked = sqlx::query_scalar(retention::POSTGRES.is_due).bind(micros);
            Box::pin(async move { asked.fetch_one(connection).await })
        });
        asked.await
    }

    async fn oldest_before(&self, micros: i64, rows: i64) -> Result<Vec<Old>, sqlx::Error> {
        let oldest = self.side.using(|connection| {
            let oldest = sqlx::query_as(retention::POSTGRES.oldest);
            let oldest = oldest.bind(micros).bind(rows);
            Box::pin(async move { oldest.fetch_all(connection).await })
        });
        oldest.await
    }

    async fn remove(&self, positions: Vec<i64>) -> Result<u64, sqlx::Error> {
        let removed = self.side.using(|connection| {
            let remove = sqlx::query(retention::POSTGRES.remove).bind(positions);
            Box::pin(async move { remove.execute(connection).await })
        });
        removed.await.map(|removed| removed.rows_affected())
    }
}

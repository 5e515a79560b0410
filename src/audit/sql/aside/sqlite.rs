use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection};

use crate::audit::SqliteAuditSink;
use crate::audit::sql::log::{self, Question, Readable, Statements, ask};
use crate::audit::sql::retention::{self, Old, Prunable};
use crate::sql::Work;
use crate::sql::lent::{Health, Lent};

impl SqliteAuditSink {
    /// Readers do not disturb the writer here, so a connection of the pool will do.
    async fn using<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send,
    ) -> Result<T, sqlx::Error> {
        let mut lent = Lent::<Sqlite>::of(&self.pool, Health::Assumed).await?;
        lent.using(work).await
    }
}

impl Readable for SqliteAuditSink {
    type Engine = Sqlite;
    const STATEMENTS: Statements = log::SQLITE;

    async fn rows(
        &self,
        statement: &'static str,
        question: Question,
    ) -> Result<Vec<(i64, String)>, sqlx::Error> {
        let kinds = question.kinds.as_deref().map(json);
        let rows = self.using(|connection| {
            let asked = ask!(statement, question, kinds);
            Box::pin(asked.fetch_all(connection))
        });
        rows.await
    }
}

impl Prunable for SqliteAuditSink {
    type Engine = Sqlite;

    /// Whoever can write the file can remove what is in it.
    async fn may_remove(&self) -> Result<bool, sqlx::Error> {
        Ok(true)
    }

    async fn any_before(&self, micros: i64) -> Result<bool, sqlx::Error> {
        let asked = self.using(|connection| {
            let asked = sqlx::query_scalar(retention::SQLITE.is_due).bind(micros);
            Box::pin(asked.fetch_one(connection))
        });
        asked.await
    }

    async fn oldest_before(&self, micros: i64, rows: i64) -> Result<Vec<Old>, sqlx::Error> {
        let oldest = self.using(|connection| {
            let oldest = sqlx::query_as(retention::SQLITE.oldest);
            Box::pin(oldest.bind(micros).bind(rows).fetch_all(connection))
        });
        oldest.await
    }

    /// One statement is one transaction.
    async fn remove(&self, positions: Vec<i64>) -> Result<u64, sqlx::Error> {
        let removed = self.using(|connection| {
            let remove = sqlx::query(retention::SQLITE.remove).bind(json(&positions));
            Box::pin(remove.execute(connection))
        });
        removed.await.map(|removed| removed.rows_affected())
    }
}

/// A list as one value of a statement.
fn json<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}

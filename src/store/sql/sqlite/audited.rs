use std::sync::Arc;

use sqlx::{Connection as _, Sqlite, SqliteConnection};

use super::{Query, SqliteStore};
use crate::audit::{AuditError, AuditEvent, Pen, SqliteAuditSink};
use crate::key::OwnerId;
use crate::sql::Dialect as _;
use crate::store::sql::audited::{Failure, audited_sql_store};

/// Records and the audit trail in one SQLite database: a change and its event are one transaction.
///
/// [`SqliteStore::with_audit`] makes it. Clones share the connections.
///
/// ```
/// use keyward::KeyService;
/// use keyward::store::SqliteStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys.db");
/// let store = SqliteStore::open(path).await?.with_audit("api-1").await?;
/// let keys = KeyService::builder_audited(store.clone()).build()?;
/// # keys.shutdown().await?;
/// # store.store().close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuditedSqliteStore {
    store: SqliteStore,
    sink: Arc<SqliteAuditSink>,
    pen: Pen,
}

impl AuditedSqliteStore {
    pub(super) async fn new(store: SqliteStore, label: &str) -> Result<Self, AuditError> {
        let sink = SqliteAuditSink::from_pool(store.pool().clone(), label)?;
        sink.migrate().await?;
        Ok(Self {
            store,
            sink: Arc::new(sink),
            pen: Pen::new(label)?,
        })
    }

    /// One statement counts and inserts here, so that an owner needs no lock.
    async fn together(
        &self,
        change: Query,
        _: Option<&OwnerId>,
        event: &AuditEvent,
    ) -> Result<bool, Failure> {
        let _turn = self.store.turn().await.map_err(Failure::Change)?;
        let (pen, event) = (self.pen.clone(), event.clone());
        let done = self.store.using(|connection| {
            Box::pin(async move { Ok(change_and_tell(connection, change, &pen, &event).await) })
        });
        done.await.map_err(Failure::Change)?
    }
}

/// A transaction that is left before its end is rolled back.
async fn change_and_tell(
    connection: &mut SqliteConnection,
    change: Query,
    pen: &Pen,
    event: &AuditEvent,
) -> Result<bool, Failure> {
    let begun = connection.begin_with(Sqlite::BEGIN).await;
    let mut step = begun.map_err(Failure::Change)?;
    let done = change.execute(&mut *step).await.map_err(Failure::Change)?;
    if done.rows_affected() == 0 {
        step.rollback().await.map_err(Failure::Change)?;
        return Ok(false);
    }
    let written = pen.write::<Sqlite>(&mut step, event, None).await;
    let sequence = written.map_err(Failure::Event)?;
    step.commit().await.map_err(Failure::Change)?;
    pen.keep(sequence);
    Ok(true)
}

audited_sql_store!(AuditedSqliteStore, SqliteStore, SqliteAuditSink, Sqlite);

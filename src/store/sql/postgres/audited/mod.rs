mod session;

use std::sync::Arc;

use sqlx::Postgres;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use self::session::{Opener, Session};
use super::{PostgresStore, Query, owner_lock};
use crate::audit::{AuditError, AuditEvent, Pen, PostgresAuditSink, table_failed};
use crate::key::OwnerId;
use crate::sql::Dialect as _;
use crate::store::sql::audited::{Failure, audited_sql_store};

/// Records and the audit trail in one PostgreSQL database: a change and its event are one transaction.
///
/// [`PostgresStore::with_audit`] makes it. Clones share everything. Changes of one process follow each other, on a
/// connection of their own beside the pool and the sink's: whatever holds the table up takes none from those who verify
/// keys. `docs/audit.md` has what is promised, and how long a change waits at most.
///
/// ```no_run
/// use keyward::KeyService;
/// use keyward::store::PostgresStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// let keys = KeyService::builder_audited(store.with_audit("api-1").await?).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuditedPostgresStore {
    store: PostgresStore,
    sink: Arc<PostgresAuditSink>,
    pen: Pen,
    opener: Opener,
    /// The one connection that changes and tells, between two transactions. Whoever has the turn takes it out, and puts
    /// it back when the transaction has come to an end: one that is left in the middle is closed.
    place: Arc<Mutex<Option<Session>>>,
}

/// The turn, and a connection on which a transaction has begun.
type Begun<'a> = (MutexGuard<'a, Option<Session>>, Session);

impl AuditedPostgresStore {
    pub(super) async fn new(store: PostgresStore, label: &str) -> Result<Self, AuditError> {
        let sink = PostgresAuditSink::from_pool(store.pool().clone(), label)?;
        sink.migrate().await?;
        Ok(Self {
            sink: Arc::new(sink),
            pen: Pen::new(label)?,
            opener: Opener::new(store.pool(), store.deadline),
            place: Arc::default(),
            store,
        })
    }

    /// Each part has the store's deadline to itself. What fails before the commit changes nothing: the server rolls back.
    async fn together(
        &self,
        change: Query,
        owner: Option<&OwnerId>,
        event: &AuditEvent,
    ) -> Result<bool, Failure> {
        let (mut place, mut session) = self.begin().await.map_err(Failure::Event)?;
        let changed = session.change(change, owner.map(owner_lock));
        if self.within(changed).await.map_err(Failure::Change)? {
            let told = timeout(self.store.deadline, session.tell(&self.pen, event)).await;
            let told = told.unwrap_or_else(|_| Err(late("the audit table did not answer in time")));
            told.map_err(Failure::Event)?;
            let made = self.within(session.commit(&self.pen)).await;
            made.map_err(Failure::Change)?;
            *place = Some(session);
            return Ok(true);
        }
        // The answer is known, whatever becomes of the connection.
        if self.within(session.roll_back()).await.is_ok() {
            *place = Some(session);
        }
        Ok(false)
    }

    /// Nothing is done yet, and the plain store can do without all this: so a failure here is one of telling.
    async fn begin(&self) -> Result<Begun<'_>, AuditError> {
        let begun = async {
            let mut place = self.place.lock().await;
            let session = self.opener.begin(place.take()).await;
            Ok((place, session.map_err(table_failed::<Postgres>)?))
        };
        let begun = timeout(self.store.deadline, begun).await;
        begun.unwrap_or_else(|_| Err(late("changes before this one take too long")))
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> Result<T, sqlx::Error> {
        let done = timeout(self.store.deadline, work).await;
        done.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
    }
}

fn late(what: &'static str) -> AuditError {
    AuditError::unavailable(Postgres::ENGINE, what)
}

audited_sql_store!(
    AuditedPostgresStore,
    PostgresStore,
    PostgresAuditSink,
    Postgres
);

mod audited;
mod builder;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgPool, Postgres};

pub use audited::AuditedPostgresStore;
pub use builder::PostgresStoreBuilder;

use super::reads::Reads;
use super::store::sql_key_store;
use super::{error, statements, tables};
use crate::audit::AuditError;
use crate::hash::sha256;
use crate::key::{KeyId, OwnerId};
use crate::sql::{self, Dialect as _};
use crate::store::{StoreError, Usage};

/// Records in PostgreSQL: for any number of processes on any number of machines.
///
/// Everything of ours lies in a schema `keyward` of the database that the pool is connected to. Clones share the
/// connections. `docs/store-contract.md` has the table, and `docs/deployment.md` what to set.
///
/// ```no_run
/// use keyward::store::{KeyStore, PostgresStore};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// assert!(store.find(&"0aZ9bY8cX7dW".parse()?).await?.is_none());
/// # Ok(())
/// # }
/// ```
///
/// # How it reads
///
/// A verification reads one row by its primary key, through a prepared statement. While two such reads are under way,
/// those that arrive wait for one of them to return and then go together, as one statement: under load a hundred
/// verifications cost a handful of trips. Every read begins after it was asked for, so a revocation holds for every
/// request that arrives after it.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    reads: Arc<Reads<PgPool>>,
    deadline: Duration,
}

impl PostgresStore {
    /// Connects with the defaults of [`PostgresStore::builder`], and brings the tables up to date.
    ///
    /// # Errors
    ///
    /// As [`PostgresStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url)?.connect().await
    }

    /// Returns the settings for connecting to a database: `postgres://user@host/database`, with parameters and
    /// environment variables as [sqlx](sqlx::postgres::PgConnectOptions) reads them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Backend`] when that is no address.
    pub fn builder(url: &str) -> Result<PostgresStoreBuilder, StoreError> {
        PostgresStoreBuilder::parse(url)
    }

    /// Returns a store over the application's own pool. Call [`PostgresStore::migrate`] once before anything else, or have
    /// it called by whoever may create tables.
    ///
    /// It must lead to the primary: on a replica that lags, a revoked key is alive. [`PostgresStore::migrate`] refuses a replica, and the
    /// pool of [`PostgresStore::connect`] asks on each connection; a pool of the application's own can do so in `after_connect`.
    ///
    /// The pool's settings hold. Three of them matter here: `acquire_timeout` is how long a request waits for a
    /// connection at most (and no longer than the store's deadline), more than two connections should be possible, and
    /// `test_before_acquire` costs another trip, which gains nothing: a read on a dead connection is tried on another.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self::with_deadline(pool, PostgresStoreBuilder::DEADLINE)
    }

    fn with_deadline(pool: PgPool, deadline: Duration) -> Self {
        Self {
            reads: Reads::new(pool.clone(), Some(deadline)),
            pool,
            deadline,
        }
    }

    /// Creates the schema and its tables, or brings older ones up to date. Processes that start together do it once. When
    /// the tables are up to date already it only reads, so that the role which serves requests need not be able to
    /// create anything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Backend`] when the tables were made by a newer version or were tampered with, or when the role may
    /// not create them; otherwise an outage. The tables are as they were then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrated = sql::postgres::migrate(&self.pool, tables::POSTGRES).await;
        migrated.map_err(error::fault::<Postgres>)
    }

    /// Puts the audit trail beside the keys, in the table `keyward.audit` of the same database, and returns the store that
    /// writes changes and their events together. Brings that table up to date, as [`PostgresStore::migrate`] does for keys.
    ///
    /// The label says which process wrote an event: a host's name, say; of more than 64 bytes the first count.
    ///
    /// # Errors
    ///
    /// As [`PostgresAuditSink::migrate`](crate::audit::PostgresAuditSink::migrate); [`AuditError::Random`] when no name
    /// could be drawn.
    pub async fn with_audit(self, label: &str) -> Result<AuditedPostgresStore, AuditError> {
        AuditedPostgresStore::new(self, label).await
    }

    /// Returns the pool, for the application's own tables in the same database.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits for what is under way and closes all connections, of all clones.
    pub async fn close(&self) {
        self.reads.release();
        self.pool.close().await;
    }

    /// Writers need not queue up: PostgreSQL locks rows, not files.
    #[expect(clippy::unused_async, reason = "other engines do wait")]
    async fn turn(&self) -> Result<(), sqlx::Error> {
        Ok(())
    }

    /// Counts and inserts under a lock of the owner's: two statements that run at the same time do not see each other's
    /// rows, so that each would find the last place free.
    async fn insert_within(&self, insert: Query, owner: &OwnerId) -> Result<bool, sqlx::Error> {
        let lock = owner_lock(owner);
        let inserted = self.using(|connection| {
            Box::pin(async move {
                let mut change = connection.begin_with(Postgres::BEGIN).await?;
                let locked = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock);
                locked.execute(&mut *change).await?;
                let done = insert.execute(&mut *change).await?;
                change.commit().await?;
                Ok(done.rows_affected() > 0)
            })
        });
        inserted.await
    }

    async fn write_usage(&self, usage: Vec<Usage>) -> Result<(), sqlx::Error> {
        for round in rounds(usage) {
            for part in round.chunks(MOST_USES) {
                let query = uses(part);
                let written = self.using(|connection| Box::pin(query.execute(connection)));
                written.await?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// As an array of texts.
fn bind_ids(query: Query, ids: &[KeyId]) -> Query {
    let ids: Vec<String> = ids.iter().map(KeyId::to_string).collect();
    query.bind(ids)
}

sql_key_store!(PostgresStore, Postgres, PgRow, statements::POSTGRES, many: bind_ids);

/// The number of an owner's lock. Two owners of one number only wait for each other.
fn owner_lock(owner: &OwnerId) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(format!("keyward/owner/{owner}").as_bytes());
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The most uses in one statement.
const MOST_USES: usize = 1000;

/// Many uses in one statement, at most one of each key. The rows are locked in one order first, so that two batches cannot
/// wait for each other.
const RECORD_USES: &str = "WITH used AS (\
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS used (id, generation, at, origin)\
     ), locked AS (\
     SELECT id FROM keyward.keys WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE\
     ) UPDATE keyward.keys AS k SET \
     last_used_at = CASE WHEN last_used_at IS NULL OR last_used_at < at THEN at ELSE last_used_at END, \
     last_used_from = CASE WHEN last_used_at IS NULL OR last_used_at < at THEN origin ELSE last_used_from END, \
     current_last_used_at = CASE WHEN current_generation = generation \
     AND (current_last_used_at IS NULL OR current_last_used_at < at) THEN at ELSE current_last_used_at END, \
     previous_last_used_at = CASE WHEN previous_generation = generation \
     AND (previous_last_used_at IS NULL OR previous_last_used_at < at) THEN at ELSE previous_last_used_at END \
     FROM used JOIN locked ON locked.id = used.id COLLATE \"C\" WHERE k.id = locked.id";

fn uses(usage: &[Usage]) -> Query {
    let ids: Vec<String> = usage.iter().map(|used| used.id.to_string()).collect();
    let generations: Vec<i64> = usage
        .iter()
        .map(|used| used.generation.number().into())
        .collect();
    let moments: Vec<i64> = usage.iter().map(|used| used.at.as_micros()).collect();
    let origin = |used: &Usage| used.from.map(|from| from.to_string());
    let origins: Vec<Option<String>> = usage.iter().map(origin).collect();
    sqlx::query(RECORD_USES)
        .bind(ids)
        .bind(generations)
        .bind(moments)
        .bind(origins)
}

/// Parts a batch, sorted by key, so that no key is in one part twice: a statement would heed only one of the two.
fn rounds(usage: Vec<Usage>) -> Vec<Vec<Usage>> {
    let mut rounds: Vec<Vec<Usage>> = Vec::new();
    let (mut last, mut round) = (None, 0_usize);
    for used in usage {
        round = if last == Some(used.id) {
            round.saturating_add(1)
        } else {
            0
        };
        last = Some(used.id);
        match rounds.get_mut(round) {
            Some(uses) => uses.push(used),
            None => rounds.push(vec![used]),
        }
    }
    rounds
}

#[cfg(test)]
mod tests;

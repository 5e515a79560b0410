use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgConnectOptions};
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;

use super::aside::Side;
use super::beside::EventTable;
use super::row::Row;
use super::sink::{Sink, Table, audit_sink, fault};
use super::tables;
use crate::audit::AuditError;
use crate::sql::fault::is_lost;
use crate::sql::{self, Work};

/// Events in the table `keyward.audit` of a PostgreSQL database, which all processes of a fleet write to.
///
/// When `write` has returned, the events are committed. Every sink counts sequences of its own under a name of its own,
/// which is the label and a random number; a new start is a new name. Positions rise in the order of the commits, so
/// that whoever reads on from the last position it saw misses nothing. `docs/audit.md` has the table.
///
/// It writes on a connection of its own, to where the pool leads: whatever holds the table up takes no connection from
/// those who verify keys.
///
/// ```no_run
/// use keyward::audit::PostgresAuditSink;
/// use keyward::service::KeyService;
/// use keyward::store::PostgresStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// let trail = PostgresAuditSink::from_pool(store.pool().clone(), "api-1")?;
/// trail.migrate().await?;
/// let service = KeyService::builder(store).audit(trail).build()?;
/// # Ok(())
/// # }
/// ```
pub struct PostgresAuditSink {
    pool: PgPool,
    sink: Sink<Writer>,
    pub(super) side: Side,
}

/// The one connection that writes. It is replaced when it fails.
struct Writer {
    options: Arc<PgConnectOptions>,
    connection: Mutex<Option<PgConnection>>,
}

impl PostgresAuditSink {
    /// Returns a sink that connects to where the pool leads. The label says which process wrote an event: a host's name, say; of more
    /// than 64 bytes the first count. Call [`PostgresAuditSink::migrate`] once before anything else.
    ///
    /// # Errors
    ///
    /// [`AuditError::Random`] when no name could be drawn.
    pub fn from_pool(pool: PgPool, label: &str) -> Result<Self, AuditError> {
        Ok(Self {
            sink: Sink::new(Writer::new(&pool), label)?,
            side: Side::new(&pool),
            pool,
        })
    }

    /// Creates the table, or brings an older one up to date, as
    /// [`PostgresStore::migrate`](crate::store::PostgresStore::migrate) does for keys.
    ///
    /// # Errors
    ///
    /// [`AuditError::Backend`] when the table was made by a newer version or was tampered with, or when the role may not
    /// create it; otherwise an outage.
    pub async fn migrate(&self) -> Result<(), AuditError> {
        let migrated = sql::postgres::migrate(&self.pool, tables::POSTGRES).await;
        migrated.map_err(fault::<Postgres>)
    }
}

/// Held while a batch is written, until its commit: whoever has it gets the next positions, and nobody can see a later
/// position before an earlier one. "kwaudit" in ASCII.
const WRITING: i64 = 0x006b_7761_7564_6974;

/// One statement, so one trip. The lock is taken before the first row asks for its position.
const INSERT: &str = "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($1)) \
     INSERT INTO keyward.audit (recorder, id, sequence, time, kind, outcome, actor, key_id, owner, tenant, event) \
     SELECT $2, id, sequence, time, kind, outcome, actor, key_id, owner, tenant, event FROM turn, \
     unnest($3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], \
     $11::text[], $12::text[]) WITH ORDINALITY \
     AS e (id, sequence, time, kind, outcome, actor, key_id, owner, tenant, event, place) \
     ORDER BY place ON CONFLICT (id) DO NOTHING";

/// A statement that takes longer is ended by the server too, so that given up ones do not pile up there: less than the
/// time after which the sink gives it up.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '4s'";

impl Writer {
    fn new(pool: &PgPool) -> Self {
        Self {
            options: pool.connect_options(),
            connection: Mutex::default(),
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        sql::postgres::refuse_replica(&mut connection).await?;
        let bounded = sqlx::query(STATEMENT_TIMEOUT)
            .execute(&mut connection)
            .await;
        bounded.map(|_| connection)
    }

    /// Runs an errand, and once more on a new connection if the kept one turns out to be gone. What is written twice stands
    /// there once, so that does no harm. When this is dropped half-way, so is the connection.
    async fn run(&self, errand: Errand<'_>) -> Result<Option<i64>, sqlx::Error> {
        let mut place = self.connection.lock().await;
        if let Some(mut kept) = place.take() {
            match errand.run(&mut kept).await {
                Err(error) if is_lost::<Postgres>(&error) => {}
                outcome => {
                    *place = Some(kept);
                    return outcome;
                }
            }
        }
        let mut fresh = self.connect().await?;
        let outcome = errand.run(&mut fresh).await;
        if outcome.is_ok() {
            *place = Some(fresh);
        }
        outcome
    }
}

/// What the connection is used for.
enum Errand<'a> {
    Insert {
        recorder: &'a str,
        columns: &'a Columns,
    },
    Last {
        recorder: &'a str,
    },
}

impl Errand<'_> {
    async fn run(&self, connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
        match *self {
            Self::Insert { recorder, columns } => {
                insert(connection, recorder, columns).await.map(|_| None)
            }
            Self::Last { recorder } => last(connection, recorder).await,
        }
    }
}

async fn insert(
    connection: &mut PgConnection,
    recorder: &str,
    columns: &Columns,
) -> Result<u64, sqlx::Error> {
    let insert = columns.bind_to(sqlx::query(INSERT).bind(WRITING).bind(recorder));
    Ok(insert.execute(connection).await?.rows_affected())
}

async fn last(connection: &mut PgConnection, recorder: &str) -> Result<Option<i64>, sqlx::Error> {
    let last = "SELECT max(sequence) FROM keyward.audit WHERE recorder = $1";
    let last = sqlx::query_scalar(last).bind(recorder);
    last.fetch_one(connection).await
}

impl EventTable for Postgres {
    /// Two statements: one that began before it had the lock would not see what was written before that.
    fn last<'c>(connection: &'c mut PgConnection, recorder: &'c str) -> Work<'c, Option<i64>> {
        Box::pin(async move {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(WRITING);
            lock.execute(&mut *connection).await?;
            last(connection, recorder).await
        })
    }

    fn insert<'c>(connection: &'c mut PgConnection, recorder: &'c str, row: Row) -> Work<'c, u64> {
        Box::pin(async move { insert(connection, recorder, &Columns::of(vec![row])).await })
    }
}

impl Table for Writer {
    type Engine = Postgres;

    async fn insert(&self, recorder: &str, rows: Vec<Row>) -> Result<(), sqlx::Error> {
        let columns = &Columns::of(rows);
        let inserted = self.run(Errand::Insert { recorder, columns }).await;
        inserted.map(|_| ())
    }

    async fn last(&self, recorder: &str) -> Result<Option<i64>, sqlx::Error> {
        self.run(Errand::Last { recorder }).await
    }
}

/// Rows turned on their side: an array for each column.
#[derive(Default)]
struct Columns {
    id: Vec<Option<String>>,
    sequence: Vec<Option<i64>>,
    time: Vec<i64>,
    kind: Vec<&'static str>,
    outcome: Vec<&'static str>,
    actor: Vec<Option<String>>,
    key_id: Vec<Option<String>>,
    owner: Vec<Option<String>>,
    tenant: Vec<Option<String>>,
    event: Vec<String>,
}

impl Columns {
    fn of(rows: Vec<Row>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.id.push(row.id);
            columns.sequence.push(row.sequence);
            columns.time.push(row.time);
            columns.kind.push(row.kind);
            columns.outcome.push(row.outcome);
            columns.actor.push(row.actor);
            columns.key_id.push(row.key_id);
            columns.owner.push(row.owner);
            columns.tenant.push(row.tenant);
            columns.event.push(row.event);
        }
        columns
    }

    fn bind_to<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        query
            .bind(&self.id)
            .bind(&self.sequence)
            .bind(&self.time)
            .bind(&self.kind)
            .bind(&self.outcome)
            .bind(&self.actor)
            .bind(&self.key_id)
            .bind(&self.owner)
            .bind(&self.tenant)
            .bind(&self.event)
    }
}

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

audit_sink!(PostgresAuditSink);

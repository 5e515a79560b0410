use sqlx::{PgPool, Postgres};

use super::row::Row;
use super::sink::{Sink, Table, audit_sink, fault};
use super::tables;
use crate::audit::AuditError;
use crate::sql;

/// Events in the table `keyward.audit` of a PostgreSQL database, which all processes of a fleet write to.
///
/// When `write` has returned, the events are committed. Every sink counts sequences of its own under a name of its own,
/// which is the label and a random number; a new start is a new name. Positions rise in the order of the commits, so
/// that whoever reads on from the last position it saw misses nothing. `docs/audit.md` has the table.
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
    sink: Sink<Pool>,
}

struct Pool(PgPool);

impl PostgresAuditSink {
    /// Returns a sink over the application's pool. The label says which process wrote an event: a host's name, say; of more
    /// than 64 bytes the first count. Call [`PostgresAuditSink::migrate`] once before anything else.
    ///
    /// # Errors
    ///
    /// [`AuditError::Random`] when no name could be drawn.
    pub fn from_pool(pool: PgPool, label: &str) -> Result<Self, AuditError> {
        Ok(Self {
            sink: Sink::new(Pool(pool.clone()), label)?,
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

impl Table for Pool {
    type Engine = Postgres;

    async fn insert(&self, recorder: &str, rows: Vec<Row>) -> Result<(), sqlx::Error> {
        let columns = Columns::of(rows);
        let insert = sqlx::query(INSERT)
            .bind(WRITING)
            .bind(recorder)
            .bind(columns.id)
            .bind(columns.sequence)
            .bind(columns.time)
            .bind(columns.kind)
            .bind(columns.outcome)
            .bind(columns.actor)
            .bind(columns.key_id)
            .bind(columns.owner)
            .bind(columns.tenant)
            .bind(columns.event);
        insert.execute(&self.0).await.map(|_| ())
    }

    async fn last(&self, recorder: &str) -> Result<Option<i64>, sqlx::Error> {
        let last = "SELECT max(sequence) FROM keyward.audit WHERE recorder = $1";
        sqlx::query_scalar(last)
            .bind(recorder)
            .fetch_one(&self.0)
            .await
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
}

audit_sink!(PostgresAuditSink);

use std::time::Duration;

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use super::Dialect;
use super::fault::Fault;
use super::lent::{Health, Lent};
use super::schema::{self, Schema};

/// The schema that holds everything of ours.
const SCHEMA: &str = "keyward";

/// Held while tables are brought up to date: "keyward" in ASCII, so that nobody else happens upon it.
const MIGRATING: i64 = 0x006b_6579_7761_7264;

/// A server that only repeats what another one does. Reading from it would find revoked keys alive.
#[derive(Debug, thiserror::Error)]
#[error("the server is a replica, or is not done recovering")]
struct Replica;

/// Refuses a server that may lag behind another.
pub(crate) async fn refuse_replica(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let recovering = sqlx::query_scalar("SELECT pg_is_in_recovery()");
    if recovering.fetch_one(connection).await? {
        return Err(sqlx::Error::Io(std::io::Error::other(Replica)));
    }
    Ok(())
}

/// How long a start waits for others that migrate: far longer than any step takes.
const LONGEST_MIGRATION: Duration = Duration::from_secs(60);

/// Brings the tables up to date, in one transaction and under a lock, so that processes that start together do it once.
///
/// Whoever finds them up to date only reads: the role that serves requests need not be able to create anything.
pub(crate) async fn migrate(pool: &PgPool, schema: Schema) -> Result<(), Fault> {
    let migrating = async {
        let lent = Lent::<Postgres>::of(pool, Health::Tested).await;
        let mut lent = lent.map_err(Fault::of::<Postgres>)?;
        let outcome =
            lent.using(|connection| Box::pin(async move { Ok(step(connection, schema).await) }));
        outcome.await.map_err(Fault::of::<Postgres>)?
    };
    match timeout(LONGEST_MIGRATION, migrating).await {
        Ok(outcome) => outcome,
        Err(late) => Err(Fault::Unavailable(late.into())),
    }
}

async fn step(connection: &mut PgConnection, schema: Schema) -> Result<(), Fault> {
    let mut migrator = schema.migrator();
    migrator.create_schema(SCHEMA);
    let begun = connection.begin_with(Postgres::BEGIN).await;
    let mut change = begun.map_err(Fault::of::<Postgres>)?;
    let primary = refuse_replica(&mut change).await;
    primary.map_err(Fault::of::<Postgres>)?;
    if is_current(&mut change, schema, &migrator).await? {
        return change.rollback().await.map_err(Fault::of::<Postgres>);
    }
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATING);
    let locked = lock.execute(&mut *change).await;
    locked.map_err(Fault::of::<Postgres>)?;
    let run = migrator.run_direct(None, &mut *change, false);
    run.await.map_err(schema::failed::<Postgres>)?;
    change.commit().await.map_err(Fault::of::<Postgres>)
}

/// Returns whether every step was taken.
async fn is_current(
    connection: &mut PgConnection,
    schema: Schema,
    migrator: &Migrator,
) -> Result<bool, Fault> {
    let memory = sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL");
    let known = memory.bind(schema.memory).fetch_one(&mut *connection).await;
    if !known.map_err(Fault::of::<Postgres>)? {
        return Ok(false);
    }
    let taken = connection.list_applied_migrations(schema.memory).await;
    let taken = taken.map_err(schema::failed::<Postgres>)?;
    // Complained about here, before anything is tried that a role without rights may not: it must learn the true reason.
    for step in &taken {
        match migrator.iter().find(|known| known.version == step.version) {
            None => return Err(schema::newer(step.version)),
            Some(known) if known.checksum != step.checksum => {
                return Err(schema::altered(step.version));
            }
            Some(_) => {}
        }
    }
    Ok(taken.len() == schema.steps.len())
}

/// The server is going down, went down, is not up yet, or has ended an idle session: `admin_shutdown`, `crash_shutdown`,
/// `cannot_connect_now`, `idle_session_timeout`.
const GOING: [&str; 4] = ["57P01", "57P02", "57P03", "57P05"];

impl Dialect for Postgres {
    const ENGINE: &'static str = "postgres";
    /// Whatever the pool's default isolation is: a statement after a lock must see what was written before it.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";

    const CLOSES_ABANDONED: bool = true;

    /// Codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>. By class: connection, resources,
    /// system. By themselves: serialisation failure, deadlock, lock not available, query cancelled (a statement timeout),
    /// a transaction that was idle for too long, dropped database, and read-only transaction, which is what a primary says
    /// that has just become a replica.
    fn is_transient(code: &str) -> bool {
        const CLASSES: [&str; 3] = ["08", "53", "58"];
        const CODES: [&str; 7] = [
            "40001", "40P01", "55P03", "57014", "25P03", "57P04", "25006",
        ];
        CLASSES.iter().any(|class| code.starts_with(class))
            || CODES.contains(&code)
            || Self::is_lost(code)
    }

    fn is_lost(code: &str) -> bool {
        GOING.contains(&code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_codes_pass_with_time() {
        for code in [
            "08006", "53300", "57P01", "57P03", "57P05", "57014", "40001", "40P01", "25006",
            "25P03", "58030",
        ] {
            assert!(Postgres::is_transient(code), "{code}");
        }
        for code in [
            "23505", "42P01", "42501", "28P01", "22021", "3D000", "", "5", "0",
        ] {
            assert!(!Postgres::is_transient(code), "{code}");
        }
    }
}

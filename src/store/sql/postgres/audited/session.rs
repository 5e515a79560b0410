//! The connection on which changes are made and told of.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use super::Query;
use crate::audit::{AuditError, AuditEvent, Pen};
use crate::sql::Dialect as _;
use crate::sql::lent::SIGN_OF_LIFE;
use crate::sql::postgres::refuse_replica;

/// Opens sessions to where a pool leads.
#[derive(Clone)]
pub(super) struct Opener {
    options: Arc<PgConnectOptions>,
    /// In milliseconds, as text: how long the server lets a statement run, and waits within a transaction for the next.
    patience: Arc<str>,
}

pub(super) struct Session {
    connection: PgConnection,
    /// The highest sequence written with the pen: known while every transaction of this session has come to an end.
    last: Option<u64>,
    /// What the transaction under way has written.
    written: Option<u64>,
}

/// The server ends a statement before we give it up, so that what it holds (a key's row, the trail) is free by then. And it
/// ends a transaction whose client has gone silent: it would hold up the trail of a whole fleet until the network notices.
///
/// For one transaction, because behind some poolers the next one may run on another connection, and this one serve others.
const BOUNDED: &str = "SELECT set_config('statement_timeout', $1, true), \
     set_config('idle_in_transaction_session_timeout', $1, true)";

impl Opener {
    pub(super) fn new(pool: &PgPool, deadline: Duration) -> Self {
        // Zero would mean no bound at all.
        let patience = (deadline / 2).as_millis().max(1);
        Self {
            options: pool.connect_options(),
            patience: patience.to_string().into(),
        }
    }

    /// Begins a transaction on the kept session, or on a new one: nothing was done yet, so another may be tried.
    pub(super) async fn begin(&self, kept: Option<Session>) -> Result<Session, sqlx::Error> {
        if let Some(mut kept) = kept {
            let begun = timeout(SIGN_OF_LIFE, kept.begin(&self.patience)).await;
            if begun.is_ok_and(|begun| begun.is_ok()) {
                return Ok(kept);
            }
        }
        let mut fresh = self.connect().await?;
        fresh.begin(&self.patience).await?;
        Ok(fresh)
    }

    async fn connect(&self) -> Result<Session, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        refuse_replica(&mut connection).await?;
        Ok(Session {
            connection,
            last: None,
            written: None,
        })
    }
}

impl Session {
    async fn begin(&mut self, patience: &str) -> Result<(), sqlx::Error> {
        self.execute(Postgres::BEGIN).await?;
        let bounded = sqlx::query(BOUNDED).bind(patience);
        bounded.execute(&mut self.connection).await.map(|_| ())
    }

    /// Makes the change, under a lock of the owner's if there is one to take, and returns whether it changed anything.
    pub(super) async fn change(
        &mut self,
        change: Query,
        owner: Option<i64>,
    ) -> Result<bool, sqlx::Error> {
        if let Some(owner) = owner {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(owner);
            lock.execute(&mut self.connection).await?;
        }
        let done = change.execute(&mut self.connection).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Writes the event. From here to the end of the transaction nobody else can write any, so this comes last.
    pub(super) async fn tell(&mut self, pen: &Pen, event: &AuditEvent) -> Result<(), AuditError> {
        let written = pen.write::<Postgres>(&mut self.connection, event, self.last);
        self.written = Some(written.await?);
        Ok(())
    }

    pub(super) async fn commit(&mut self, pen: &Pen) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        self.last = self.written.take();
        if let Some(sequence) = self.last {
            pen.keep(sequence);
        }
        Ok(())
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        self.execute("ROLLBACK").await
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let done = sqlx::raw_sql(statement).execute(&mut self.connection);
        done.await.map(|_| ())
    }
}

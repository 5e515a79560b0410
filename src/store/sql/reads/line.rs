use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Engine, IDLE};
use crate::key::KeyId;
use crate::sql::lent::Health;

/// How often a read is tried when its connection turns out to be gone, from the second time on with a tested one: pooled
/// connections die together when a server restarts.
const ATTEMPTS: u32 = 3;

/// How long a line keeps one connection at most, so that the pool's own bounds on age hold.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// One statement at a time, on a connection that is kept while it is used.
pub(super) struct Line<E: Engine> {
    held: Option<Held<E::Connection>>,
}

pub(super) struct Held<C> {
    connection: C,
    since: Instant,
    used: Instant,
}

impl<E: Engine> Default for Line<E> {
    fn default() -> Self {
        Self { held: None }
    }
}

impl<E: Engine> Line<E> {
    /// Reads, on another connection if this one turns out to be gone, and ends one that does not answer in time.
    pub(super) async fn rows(
        &mut self,
        engine: &E,
        health: Health,
        deadline: Option<Duration>,
        ids: &[KeyId],
    ) -> Result<Vec<E::Row>, sqlx::Error> {
        let Some(deadline) = deadline else {
            return self.attempts(engine, health, ids).await;
        };
        let rows = timeout(deadline, self.attempts(engine, health, ids)).await;
        rows.unwrap_or_else(|_| {
            self.discard();
            Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
        })
    }

    async fn attempts(
        &mut self,
        engine: &E,
        health: Health,
        ids: &[KeyId],
    ) -> Result<Vec<E::Row>, sqlx::Error> {
        let (mut attempt, mut health) = (1, health);
        loop {
            match self.attempt(engine, health, ids).await {
                Err(error) if E::is_lost(&error) => {
                    self.discard();
                    if attempt >= ATTEMPTS {
                        return Err(error);
                    }
                    attempt = attempt.saturating_add(1);
                    health = Health::Tested;
                }
                // The engine said no: the connection is as good as before. Of anything else nobody knows.
                Err(error @ sqlx::Error::Database(_)) => return Err(error),
                Err(error) => {
                    self.discard();
                    return Err(error);
                }
                Ok(rows) => return Ok(rows),
            }
        }
    }

    async fn attempt(
        &mut self,
        engine: &E,
        health: Health,
        ids: &[KeyId],
    ) -> Result<Vec<E::Row>, sqlx::Error> {
        if engine.is_closed() {
            self.held = None;
            return Err(sqlx::Error::PoolClosed);
        }
        let held = match &mut self.held {
            Some(held) => held,
            empty @ None => empty.insert(Held::new(engine.connect(health).await?)),
        };
        E::read(&mut held.connection, ids).await
    }

    fn discard(&mut self) {
        if let Some(held) = self.held.take() {
            E::discard(held.connection);
        }
    }

    pub(super) const fn take(&mut self) -> Option<Held<E::Connection>> {
        self.held.take()
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.held.is_some()
    }

    /// Notes that the line is done for now, and returns the connection if it is not to be kept.
    pub(super) fn rest(&mut self, keep: bool) -> Option<Held<E::Connection>> {
        let held = self.held.as_mut()?;
        held.used = Instant::now();
        let old = held.used.duration_since(held.since) > LONGEST_HOLD;
        if keep && !old { None } else { self.take() }
    }

    /// Returns the connection if nobody has needed it for a while.
    pub(super) fn rested(&mut self, now: Instant) -> Option<Held<E::Connection>> {
        let held = self.held.as_ref()?;
        if now.duration_since(held.used) >= IDLE {
            return self.take();
        }
        None
    }
}

impl<C> Held<C> {
    fn new(connection: C) -> Self {
        let now = Instant::now();
        Self {
            connection,
            since: now,
            used: now,
        }
    }
}

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::{Engine, Health, IDLE};
use crate::key::KeyId;

/// How often a read is tried when its connection turns out to be gone, from the second time on with a tested one: pooled
/// connections die together when a server restarts.
const ATTEMPTS: u32 = 3;

/// How long a line keeps one connection at most, so that the pool's own bounds on age hold.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// One statement at a time, on a connection that is kept while it is used.
pub(super) struct Line<E: Engine> {
    held: Option<Held<E::Connection>>,
}

/// A connection, which goes back to its pool when this is dropped, wherever that is: pools need a runtime for it.
pub(super) struct Held<C> {
    /// Taken when this is dropped, and by nobody else.
    connection: Option<C>,
    runtime: Option<Handle>,
    since: Instant,
    used: Instant,
}

impl<E: Engine> Default for Line<E> {
    fn default() -> Self {
        Self { held: None }
    }
}

impl<E: Engine> Line<E> {
    /// Reads, on another connection if this one turns out to be gone.
    pub(super) async fn rows(
        &mut self,
        engine: &E,
        deadline: Option<Duration>,
        ids: &[KeyId],
    ) -> Result<Vec<E::Row>, sqlx::Error> {
        let (mut attempt, mut health) = (1, Health::Assumed);
        loop {
            let rows = match deadline {
                Some(deadline) => timeout(deadline, self.attempt(engine, health, ids)).await,
                None => Ok(self.attempt(engine, health, ids).await),
            };
            match rows {
                Ok(Err(error)) if E::is_lost(&error) && attempt < ATTEMPTS => {
                    self.discard();
                    attempt = attempt.saturating_add(1);
                    health = Health::Tested;
                }
                Ok(Err(error)) => {
                    self.discard();
                    return Err(error);
                }
                Ok(Ok(rows)) => return Ok(rows),
                Err(_) => {
                    self.discard();
                    return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
                }
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
        match &mut held.connection {
            Some(connection) => E::read(connection, ids).await,
            None => Err(sqlx::Error::PoolClosed),
        }
    }

    fn discard(&mut self) {
        let held = self.held.take();
        if let Some(connection) = held.and_then(|mut held| held.connection.take()) {
            E::discard(connection);
        }
    }

    pub(super) fn take(&mut self) -> Option<Held<E::Connection>> {
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
            connection: Some(connection),
            runtime: Handle::try_current().ok(),
            since: now,
            used: now,
        }
    }
}

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        let _inside = self.runtime.as_ref().map(Handle::enter);
        drop(self.connection.take());
    }
}

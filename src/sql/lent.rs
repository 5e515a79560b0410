//! Connections of a pool, given back only when what they were used for has come to an end.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Pool};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{Dialect, Work};

/// How long a connection has to give a sign of life: far longer than a healthy one takes, and short enough that a request
/// can try some.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// Whether a connection from the pool is asked for a sign of life first, which costs a trip.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Health {
    Assumed,
    Tested,
}

/// A connection lent by a pool.
///
/// A pool waits without limit for a connection that comes back in the middle of something, and the place in the pool is
/// gone for as long: when the network has forgotten the connection, for a quarter of an hour. So one that was being used
/// when this is dropped, by a deadline or a caller who has left, is closed instead. And it can be dropped anywhere, while
/// pools need a runtime to take a connection back.
pub(crate) struct Lent<D: Dialect> {
    /// Taken when this is dropped, and by nobody else.
    connection: Option<PoolConnection<D>>,
    runtime: Option<Handle>,
    busy: bool,
}

impl<D: Dialect> Lent<D> {
    /// Waits for a connection as long as the pool does.
    pub(crate) async fn of(pool: &Pool<D>, health: Health) -> Result<Self, sqlx::Error> {
        loop {
            let mut lent = Self {
                connection: Some(pool.acquire().await?),
                runtime: Handle::try_current().ok(),
                busy: false,
            };
            if health == Health::Assumed || lent.is_alive().await {
                return Ok(lent);
            }
            // There are only so many dead ones, and a server that is down gives no new ones.
        }
    }

    async fn is_alive(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        self.busy = true;
        let alive = timeout(SIGN_OF_LIFE, connection.ping()).await;
        let alive = alive.is_ok_and(|answer| answer.is_ok());
        self.busy = !alive;
        alive
    }

    /// Does something with the connection.
    pub(crate) async fn using<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut D::Connection) -> Work<'c, T> + Send,
    ) -> Result<T, sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        self.busy = true;
        let done = work(connection).await;
        self.busy = false;
        done
    }

    /// Closes it, where that helps.
    pub(crate) fn discard(mut self) {
        self.busy = true;
    }
}

impl<D: Dialect> Drop for Lent<D> {
    fn drop(&mut self) {
        let _inside = self.runtime.as_ref().map(Handle::enter);
        if let Some(mut connection) = self.connection.take() {
            if self.busy && D::CLOSES_ABANDONED {
                connection.close_on_drop();
            }
            drop(connection);
        }
    }
}

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Postgres};

use super::PostgresStore;
use crate::sql::Dialect as _;
use crate::sql::postgres::refuse_replica;
use crate::store::{StoreError, sql::error};

/// How long a connection that nobody uses stays open.
const IDLE: Duration = Duration::from_secs(60);

/// Settings for connecting to PostgreSQL.
///
/// ```no_run
/// use std::time::Duration;
/// use keyward::store::PostgresStore;
///
/// # async fn open() -> Result<(), keyward::store::StoreError> {
/// let store = PostgresStore::builder("postgres://app@db.internal/app")?
///     .deadline(Duration::from_secs(1))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresStoreBuilder {
    options: PgConnectOptions,
    connections: NonZeroU32,
    deadline: Duration,
}

impl PostgresStoreBuilder {
    /// Two carry the reads of all requests; the others are for writes and lists.
    const CONNECTIONS: NonZeroU32 = NonZeroU32::new(8).expect("eight is not zero");
    /// Far longer than anything here takes, and as long as a client waits gladly.
    pub(super) const DEADLINE: Duration = Duration::from_secs(2);

    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        // SECURITY: what is wrong with an address is not said, because it may hold a password.
        let unreadable = || StoreError::backend(Postgres::ENGINE, "not an address of a database");
        let ours = ["postgres://", "postgresql://"];
        if !ours.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(unreadable());
        }
        let options = url.parse().map_err(|_: sqlx::Error| unreadable())?;
        Ok(Self {
            options,
            connections: Self::CONNECTIONS,
            deadline: Self::DEADLINE,
        })
    }

    /// Sets the most connections of this process. 8 unless set; more than two leave some for writers while reads
    /// keep theirs.
    pub const fn connections(mut self, connections: NonZeroU32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long an operation may wait for a connection, and then for the answer, before it fails as unavailable.
    /// 2 seconds each unless set.
    ///
    /// A write that fails so may have been done, as with any connection that breaks.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Connects, and brings the tables up to date.
    ///
    /// Every connection is refused that leads to a replica, now or later: on one that lags, a revoked key is alive.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the server cannot be reached; [`StoreError::Backend`] when it refuses the role or
    /// the database; otherwise as [`PostgresStore::migrate`].
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        // First by itself: a pool tries again until its time is over, and then only says that it was.
        let first = tokio::time::timeout(self.deadline, self.options.connect()).await;
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let mut first = first
            .map_err(late)
            .flatten()
            .map_err(error::failed::<Postgres>)?;
        let primary = refuse_replica(&mut first).await;
        primary.map_err(error::failed::<Postgres>)?;
        first.close().await.map_err(error::failed::<Postgres>)?;
        let pool = PgPoolOptions::new()
            .max_connections(self.connections.get())
            .acquire_timeout(self.deadline)
            .test_before_acquire(false)
            // Shorter than the patience of firewalls and address translators with connections that say nothing.
            .idle_timeout(IDLE)
            // A name can come to lead somewhere else at any time, so each connection is asked.
            .after_connect(|connection, _| Box::pin(refuse_replica(connection)))
            .connect_with(self.options)
            .await
            .map_err(error::failed::<Postgres>)?;
        let store = PostgresStore::with_deadline(pool, self.deadline);
        store.migrate().await?;
        Ok(store)
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("connections", &self.connections)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

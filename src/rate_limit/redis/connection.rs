//! The crate's own way to Redis: one connection that many calls share, replaced when it fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Client, Cmd, IntoConnectionInfo};
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::fault::Fault;
use super::link::Link;
use super::{RedisCall, RedisClient};
use crate::error::BoxError;
use crate::rate_limit::RateLimitError;
use crate::sync::{self, Mutex};

/// The pause after a first failed attempt to connect; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two attempts, and how long a link must have lived for the next attempt to be made at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no connection.
///
/// ```
/// use keyward::rate_limit::{RedisConnectError, RedisConnection};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let error = RedisConnection::open("postgres://cache.internal").unwrap_err();
/// assert!(matches!(error, RedisConnectError::Address));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConnectError {
    /// The address is none that the `redis` crate understands. (It may hold a password, so it is not repeated.)
    #[error("address is not a Redis URL")]
    Address,
    /// It was not called within a tokio runtime, which the connection lives in.
    #[error("there is no tokio runtime to connect in")]
    NoRuntime,
    /// The address asks for TLS, and the `redis` crate was built without.
    #[error("address asks for TLS, which the `redis` crate was built without")]
    NoTls,
    /// The server cannot be reached, or did not let us in.
    #[error("Redis cannot be reached")]
    Unreachable {
        /// What went wrong.
        source: BoxError,
    },
}

/// A connection to one Redis server that many calls share, and that is replaced when it fails.
///
/// **No call waits for a connection.** While there is none, calls fail at once, and one background task connects again: at
/// once, then after 50 ms, 100 ms and so on up to a second. The task tries an idle connection each second, and one whose calls
/// time out at once; a server that does not answer within a second (frozen, or behind a network that swallows packets) is
/// taken for gone. So is one that has become a replica. The task ends when the connection is dropped, and lives in the tokio
/// runtime in which the connection was made.
///
/// At most 4096 calls wait for an answer, those included whose callers have given up; what is above fails at once. Without a
/// [`GuardedRateLimiter`](super::super::GuardedRateLimiter) in front of it, a call fails after a second.
///
/// # Addresses
///
/// `redis://[user[:password]@]host[:port][/database]`, or `redis+unix:///path`. `rediss://` encrypts, which the application makes
/// possible by a dependency of its own on `redis` 1 with a TLS feature, for instance `tokio-rustls-comp`. For Sentinel, a
/// cluster or client certificates, implement [`RedisClient`]. An account needs
/// `+eval +evalsha +time +get +set +incrby +pexpireat +del` on the keys of its prefix, and `+select` for a database other than 0.
///
/// ```no_run
/// use keyward::rate_limit::{OutagePolicy, RedisConnection, RedisRateLimiter};
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// // Fails if Redis is not there when the service starts.
/// let connection = RedisConnection::connect("redis://cache.internal:6379").await?;
/// let limiter = RedisRateLimiter::new(connection).guarded(OutagePolicy::Local);
///
/// // Starts all the same, and has the outage policy decide until Redis is there.
/// let connection = RedisConnection::open("redis://cache.internal:6379")?;
/// let limiter = RedisRateLimiter::new(connection).guarded(OutagePolicy::Local);
/// # Ok(())
/// # }
/// ```
pub struct RedisConnection {
    current: Arc<Current>,
    keeper: AbortHandle,
}

/// The link in use, or why there is none.
struct Current(Mutex<Result<Arc<Link>, Fault>>);

impl Current {
    fn set(&self, link: Result<Arc<Link>, Fault>) {
        let old = std::mem::replace(&mut *sync::lock(&self.0), link);
        // Not under the lock: ending a connection takes a while.
        drop(old);
    }

    fn link(&self) -> Result<Arc<Link>, Fault> {
        sync::lock(&self.0).clone()
    }

    /// Uses this link no more, unless it has been replaced already. Whoever comes next need not find out again.
    fn retire(&self, link: &Arc<Link>, fault: Fault) {
        let is_current = |current: &Arc<Link>| Arc::ptr_eq(current, link);
        let mut current = sync::lock(&self.0);
        if current.as_ref().is_ok_and(is_current) {
            *current = Err(fault);
        }
    }
}

impl RedisConnection {
    /// Connects, and fails if that is not possible now.
    ///
    /// # Errors
    ///
    /// * [`RedisConnectError::Unreachable`]: the server does not answer, or refused the password.
    /// * As [`open`](Self::open).
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        let (client, runtime) = (client(url)?, runtime()?);
        let link = Link::open(&client).await;
        let link = link.map_err(|fault| RedisConnectError::Unreachable {
            source: fault.into(),
        })?;
        Ok(Self::keep(client, &runtime, Ok(Arc::new(link))))
    }

    /// Begins to connect in the background and returns at once, whether or not the server is there. Until it is, calls fail.
    ///
    /// # Errors
    ///
    /// * [`RedisConnectError::Address`]: the address is no Redis URL.
    /// * [`RedisConnectError::NoRuntime`]: this is not called within a tokio runtime.
    /// * [`RedisConnectError::NoTls`]: the address begins with `rediss`, and the `redis` crate has no TLS feature enabled.
    pub fn open(url: &str) -> Result<Self, RedisConnectError> {
        Ok(Self::keep(
            client(url)?,
            &runtime()?,
            Err(Fault::NotConnected),
        ))
    }

    /// Tells whether there is a connection now, for a health check.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.current.link().is_ok()
    }

    fn keep(client: Client, runtime: &Handle, link: Result<Arc<Link>, Fault>) -> Self {
        let current = Arc::new(Current(Mutex::new(link)));
        let keeper = runtime.spawn(keep_connected(client, Arc::clone(&current)));
        Self {
            current,
            keeper: keeper.abort_handle(),
        }
    }
}

/// Uses each link for as long as it is good, and then connects again, for ever.
async fn keep_connected(client: Client, current: Arc<Current>) {
    let mut pause = Duration::ZERO;
    loop {
        let since = Instant::now();
        if let Ok(link) = current.link() {
            let fault = link.watch().await;
            current.set(Err(fault));
        }
        // A link that fails right after it was made must not be made again and again without a pause.
        if since.elapsed() >= LONGEST_PAUSE {
            pause = Duration::ZERO;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        current.set(Link::open(&client).await.map(Arc::new));
    }
}

fn client(url: &str) -> Result<Client, RedisConnectError> {
    let info = match url.into_connection_info() {
        Ok(info) => info,
        Err(_) if is_only_encrypted(url) => return Err(RedisConnectError::NoTls),
        Err(_) => return Err(RedisConnectError::Address),
    };
    // Small packets that wait for an answer: exactly what must not be held back to be sent together.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Client::open(info.set_tcp_settings(tcp)).map_err(|_| RedisConnectError::Address)
}

/// Tells whether the address would do if it did not ask for TLS.
fn is_only_encrypted(url: &str) -> bool {
    let rest = url.strip_prefix("rediss:");
    let Some(rest) = rest.or_else(|| url.strip_prefix("valkeys:")) else {
        return false;
    };
    format!("redis:{rest}").into_connection_info().is_ok()
}

fn runtime() -> Result<Handle, RedisConnectError> {
    Handle::try_current().map_err(|_| RedisConnectError::NoRuntime)
}

#[async_trait]
impl RedisClient for RedisConnection {
    async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError> {
        let link = self.current.link().map_err(RateLimitError::unavailable)?;
        let answer = match link.run(&command("EVALSHA", call.sha1(), call)).await {
            Err(fault) if fault.is_unknown_script() => {
                link.run(&command("EVAL", call.script(), call)).await
            }
            answer => answer,
        };
        answer.map_err(|fault| {
            if fault.ends_the_link() {
                self.current.retire(&link, fault.clone());
            }
            fault.into()
        })
    }
}

fn command(name: &str, script: &str, call: &RedisCall) -> Cmd {
    let (keys, arguments) = (call.keys(), call.arguments());
    let bytes: usize = keys.iter().map(String::len).sum();
    let count = keys.len() + arguments.len();
    let mut command = Cmd::with_capacity(count + 3, bytes + script.len() + 20 * count);
    command.arg(name).arg(script).arg(keys.len());
    command.arg(keys).arg(arguments);
    command
}

impl Drop for RedisConnection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Shows neither the address nor the account.
impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection")
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

//! One connection, and what is known of its health.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, Value};
use tokio::sync::Notify;

use super::fault::Fault;

/// A server that has not answered for so long is taken for gone. Far above a good network's round trip and a server's usual
/// pauses, because a link that is given up too early helps nobody.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How often an idle link is tried, so that a dead one is found before a request finds it.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How many calls may wait for an answer. What is above fails at once instead of queueing for a server that is behind.
pub(super) const MOST_WAITING: usize = 4096;

/// How many calls may wait to be written. No more than can wait at all, so that a call never waits for a place.
const PIPELINE: usize = MOST_WAITING;

/// A connection that many calls share.
///
/// Answers come in the order of the calls. A call that is dropped, because its deadline has passed, still waits for its answer
/// inside the connection; such calls go on counting as waiting until a later `PING` is answered, and with it all before it.
pub(super) struct Link {
    connection: MultiplexedConnection,
    waiting: AtomicUsize,
    abandoned: AtomicUsize,
    broken: AtomicBool,
    trouble: Notify,
}

impl Link {
    /// Connects, logs in and waits for an answer to a `PING`, all within [`PATIENCE`].
    pub(super) async fn open(client: &Client) -> Result<Self, Fault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_pipeline_buffer_size(PIPELINE);
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        let connection = connect.await.map_err(|error| Fault::of(&error))?;
        let link = Self {
            connection,
            waiting: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            trouble: Notify::new(),
        };
        link.ping().await?;
        Ok(link)
    }

    /// Sends a command and waits for its answer, which is integers.
    pub(super) async fn run(&self, command: &Cmd) -> Result<Vec<i64>, Fault> {
        let waiting = Waiting::begin(self).ok_or(Fault::TooManyWaiting)?;
        let answer = self.send(command).await;
        if !matches!(answer, Err(Fault::Timeout)) {
            waiting.answered();
        }
        if answer.as_ref().is_err_and(Fault::ends_the_link) {
            self.broken.store(true, Ordering::Relaxed);
            self.trouble.notify_one();
        }
        integers(answer?)
    }

    /// Returns when this link is of no use any more.
    pub(super) async fn watch(&self) -> Fault {
        loop {
            let _ = tokio::time::timeout(HEARTBEAT, self.trouble.notified()).await;
            if self.broken.load(Ordering::Relaxed) {
                return Fault::Lost;
            }
            // Read before the `PING` is sent: of what is abandoned later, its answer says nothing.
            let abandoned = self.abandoned.swap(0, Ordering::Relaxed);
            if let Err(fault) = self.ping().await {
                return fault;
            }
            self.waiting.fetch_sub(abandoned, Ordering::Relaxed);
        }
    }

    /// Asks for an answer. That the account may not ask is one.
    async fn ping(&self) -> Result<(), Fault> {
        match self.send(&::redis::cmd("PING")).await {
            Err(fault) if !fault.is_forbidden() => Err(fault),
            _ => Ok(()),
        }
    }

    async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut connection = self.connection.clone();
        let value = connection.send_packed_command(command).await;
        value
            .and_then(Value::extract_error)
            .map_err(|error| Fault::of(&error))
    }
}

fn integers(value: Value) -> Result<Vec<i64>, Fault> {
    let Value::Array(values) = value else {
        return Err(Fault::Nonsense);
    };
    let integer = |value| match value {
        Value::Int(number) => Ok(number),
        _ => Err(Fault::Nonsense),
    };
    values.into_iter().map(integer).collect()
}

/// A call on its way. Dropped before its answer, it stays counted and has the link looked at.
struct Waiting<'a> {
    link: &'a Link,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn begin(link: &'a Link) -> Option<Self> {
        let before = link.waiting.fetch_add(1, Ordering::Relaxed);
        if before < MOST_WAITING {
            return Some(Self {
                link,
                answered: false,
            });
        }
        link.waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }

    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            self.link.waiting.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.link.abandoned.fetch_add(1, Ordering::Relaxed);
            self.link.trouble.notify_one();
        }
    }
}

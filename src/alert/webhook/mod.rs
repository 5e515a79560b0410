//! Alerts as signed webhooks.

mod builder;
mod error;
mod message;
mod retry;
mod secret;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use self::message::Message;
use self::retry::{Outcome, pause};
use super::{Alert, AlertError, AlertSink};
use crate::random::SecureRandom;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::time::Clock;

pub use self::builder::{DangerousWebhookSinkBuilder, WebhookSinkBuilder};
pub use self::error::WebhookError;
pub use self::secret::WebhookSecret;

/// How it is called in errors.
const SINK: &str = "webhook";

/// Posts each alert to an address, signed as [Standard Webhooks](https://www.standardwebhooks.com) says.
///
/// * The body is `{"type": "keyward.alert.<kind>", "timestamp": …, "data": <the alert>}`. The headers are `webhook-id` (the
///   alert's id, the same in every attempt), `webhook-timestamp` and `webhook-signature`.
/// * An alert is taken when the answer is 2xx. After 408, 429, 5xx, a failed connection or no answer in time it is tried
///   again, up to six times within 110 s, with pauses that double, or as long as `Retry-After` asks. What is still not taken
///   then is lost, and counted.
/// * After 410 nothing is sent any more. Other answers are not tried again. Redirects are not followed.
/// * Nothing of an answer is read but its status and `Retry-After`.
///
/// # Security
///
/// It goes to the address it is given, from inside the service's network: never take that address from a customer without a
/// proxy that refuses inner addresses in between (`docs/alerts.md`).
///
/// ```
/// use keyward::alert::{Alerts, WebhookSink};
///
/// # fn start(secret: &str) -> Result<Alerts, Box<dyn std::error::Error>> {
/// let hook = WebhookSink::builder("https://hooks.example.com/alerts", secret.parse()?).build()?;
/// let alerts = Alerts::builder().sink("pager", hook).start()?;
/// # Ok(alerts)
/// # }
/// ```
#[derive(Clone)]
pub struct WebhookSink {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    address: Url,
    secrets: Vec<WebhookSecret>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
    counts: Counts,
}

/// How long, and how often.
#[derive(Clone, Copy, Debug)]
struct Limits {
    answer: Duration,
    deadline: Duration,
    attempts: NonZeroU32,
    first_pause: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    gone: AtomicBool,
}

/// What a [`WebhookSink`] has done, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WebhookStats {
    /// Alerts that the receiver took.
    pub sent: u64,
    /// Alerts that it did not take, those after a 410 among them.
    pub failed: u64,
    /// Attempts after the first one of an alert.
    pub retries: u64,
    /// Whether the receiver answered 410, so that it gets nothing any more.
    pub gone: bool,
}

impl WebhookSink {
    /// Returns the settings of a sink that posts to this address.
    pub fn builder(address: impl Into<String>, secret: WebhookSecret) -> WebhookSinkBuilder {
        WebhookSinkBuilder::new(address.into(), secret)
    }

    /// Returns what it has done.
    #[must_use]
    pub fn stats(&self) -> WebhookStats {
        let counts = &self.inner.counts;
        WebhookStats {
            sent: counts.sent.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            retries: counts.retries.load(Ordering::Relaxed),
            gone: counts.gone.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl AlertSink for WebhookSink {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        Handle::try_current().map_err(|_| AlertError::NoRuntime)?;
        let sent = self.inner.send(alert).await;
        let counts = &self.inner.counts;
        let counter = if sent.is_ok() {
            &counts.sent
        } else {
            &counts.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        sent.map_err(sorted)
    }
}

fn sorted(error: WebhookError) -> AlertError {
    match error {
        WebhookError::Unreachable { .. } | WebhookError::Deadline { .. } => {
            AlertError::unavailable(SINK, error)
        }
        WebhookError::Status {
            status: 408 | 429 | 500..,
        } => AlertError::unavailable(SINK, error),
        _ => AlertError::refused(SINK, error),
    }
}

impl Inner {
    async fn send(&self, alert: &Alert) -> Result<(), WebhookError> {
        if self.counts.gone.load(Ordering::Relaxed) {
            return Err(WebhookError::Gone);
        }
        let message = Message::of(alert)?;
        let deadline = self.limits.deadline;
        timeout(deadline, self.deliver(&message))
            .await
            .unwrap_or(Err(WebhookError::Deadline { deadline }))
    }

    async fn deliver(&self, message: &Message) -> Result<(), WebhookError> {
        let end = Instant::now() + self.limits.deadline;
        let mut failures = 0;
        loop {
            let (error, asked) = match self.attempt(message).await {
                Ok(Outcome::Taken) => return Ok(()),
                Ok(Outcome::Gone) => {
                    self.counts.gone.store(true, Ordering::Relaxed);
                    return Err(WebhookError::Gone);
                }
                Ok(Outcome::Refused(status)) => {
                    let status = status.as_u16();
                    return Err(WebhookError::Status { status });
                }
                Ok(Outcome::Later { status, after }) => {
                    let status = status.as_u16();
                    (WebhookError::Status { status }, after)
                }
                Err(error) => (error, None),
            };
            failures += 1;
            let pause = pause(self.limits.first_pause, failures, asked, &*self.random);
            let left = end.saturating_duration_since(Instant::now());
            if failures >= self.limits.attempts.get() || pause >= left {
                return Err(error);
            }
            sleep(pause).await;
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn attempt(&self, message: &Message) -> Result<Outcome, WebhookError> {
        let now = self.clock.now();
        let request = message.request(&self.client, &self.address, &self.secrets, now);
        let answer = timeout(self.limits.answer, request.send())
            .await
            .map_err(|_| WebhookError::Unreachable {
                source: "no answer in time".into(),
            })?
            // SECURITY: the path and query of an address are often its secret.
            .map_err(|error| WebhookError::Unreachable {
                source: error.without_url().into(),
            })?;
        Ok(Outcome::of(
            answer.status(),
            answer.headers(),
            self.clock.now(),
        ))
    }
}

/// Of the address only where it leads: path and query are often its secret.
impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("origin", &self.inner.address.origin().ascii_serialization())
            .field("secrets", &self.inner.secrets)
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::retry::LONGEST_PAUSE;
use super::{Inner, Limits, WebhookError, WebhookSecret, WebhookSink};
use crate::outbound::{self, NoClient};
use crate::random::{OsRandom, SecureRandom};
use crate::time::{Clock, SystemClock};

/// The shortest that Standard Webhooks recommends: 15 to 30 s.
const ANSWER: Duration = Duration::from_secs(15);
/// A little less than the two minutes that the engine gives a sink, so that the reason is told and not only the delay.
const DEADLINE: Duration = Duration::from_secs(110);
/// With pauses that double from a second, half a minute: a receiver's restart.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(6).unwrap();
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Whoever waits longer wants a queue that outlives the process.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Two at a time are a rotation. More would be a mistake.
const MOST_SECRETS: usize = 4;

/// The settings of a [`WebhookSink`].
///
/// ```
/// use std::time::Duration;
/// use keyward::alert::WebhookSink;
///
/// # fn build(secret: &str, old_secret: &str) -> Result<WebhookSink, keyward::alert::WebhookError> {
/// WebhookSink::builder("https://hooks.example.com/alerts", secret.parse()?)
///     .also_signed_with(old_secret.parse()?)
///     .answer_within(Duration::from_secs(30))
///     .build()
/// # }
/// ```
#[must_use]
pub struct WebhookSinkBuilder {
    address: String,
    secrets: Vec<WebhookSecret>,
    root_certificates: Option<Vec<u8>>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
    plain_http: bool,
}

/// Settings of a [`WebhookSinkBuilder`] that weaken it.
///
/// ```
/// use keyward::alert::WebhookSink;
///
/// # fn build(secret: &str) -> Result<WebhookSink, keyward::alert::WebhookError> {
/// // In a cluster whose network encrypts every connection.
/// WebhookSink::builder("http://pager:8080/alerts", secret.parse()?).dangerous().plain_http().build()
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct DangerousWebhookSinkBuilder {
    builder: WebhookSinkBuilder,
}

impl DangerousWebhookSinkBuilder {
    /// Takes `http://` to another machine. Whoever listens in between reads the alerts: for networks that encrypt by
    /// themselves.
    pub fn plain_http(mut self) -> WebhookSinkBuilder {
        self.builder.plain_http = true;
        self.builder
    }
}

impl WebhookSinkBuilder {
    pub(super) fn new(address: String, secret: WebhookSecret) -> Self {
        Self {
            address,
            secrets: vec![secret],
            root_certificates: None,
            limits: Limits {
                answer: ANSWER,
                deadline: DEADLINE,
                attempts: ATTEMPTS,
                first_pause: FIRST_PAUSE,
            },
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom::new()),
            plain_http: false,
        }
    }

    /// Signs with this secret too, while receivers change from one to the other; up to four in all.
    pub fn also_signed_with(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Trusts these certificates, in PEM, and no others. The system's are trusted otherwise.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets how long the receiver may take to answer one attempt, the connection included; 15 s otherwise,
    /// an hour at most.
    pub const fn answer_within(mut self, span: Duration) -> Self {
        self.limits.answer = span;
        self
    }

    /// Sets how long one alert may take, all attempts and pauses included; 110 s otherwise, an hour at most. Keep it below the engine's
    /// [`patience`](crate::alert::AlertsBuilder::patience).
    pub const fn deadline(mut self, span: Duration) -> Self {
        self.limits.deadline = span;
        self
    }

    /// Sets how often an alert is tried; 6 times otherwise.
    pub const fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.limits.attempts = attempts;
        self
    }

    /// Sets the pause after the first failure, up to 30 s; one second otherwise. Each later one is twice as long, up to 30 s,
    /// or as long as the receiver asks for.
    pub const fn first_pause(mut self, pause: Duration) -> Self {
        self.limits.first_pause = pause;
        self
    }

    /// Takes the time of the signature from this clock; the system's otherwise.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes chance in the pauses from here; from the operating system otherwise.
    pub fn random(mut self, random: impl SecureRandom) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Returns the settings that weaken it.
    pub fn dangerous(self) -> DangerousWebhookSinkBuilder {
        DangerousWebhookSinkBuilder { builder: self }
    }

    /// Checks the settings. Nothing is sent.
    ///
    /// # Errors
    ///
    /// * [`WebhookError::Address`], [`WebhookError::Setting`], [`WebhookError::Certificates`]: a setting cannot be used;
    /// * [`WebhookError::PlainHttp`]: `http://` to another machine;
    /// * [`WebhookError::NoCryptoProvider`]: the process has installed none.
    pub fn build(self) -> Result<WebhookSink, WebhookError> {
        let address = checked(&self.address)?;
        if address.scheme() == "http" && !self.plain_http && !outbound::is_this_machine(&address) {
            return Err(WebhookError::PlainHttp);
        }
        self.limits.check()?;
        if self.secrets.len() > MOST_SECRETS {
            return Err(WebhookError::Setting { name: "secrets" });
        }
        let client = outbound::client(&address, self.root_certificates.as_deref());
        let client = client.map_err(|error| match error {
            NoClient::CryptoProvider => WebhookError::NoCryptoProvider,
            NoClient::Certificates => WebhookError::Certificates,
        })?;
        Ok(WebhookSink {
            inner: Arc::new(Inner {
                client,
                address,
                secrets: self.secrets,
                limits: self.limits,
                clock: self.clock,
                random: self.random,
                counts: super::Counts::default(),
            }),
        })
    }
}

impl Limits {
    fn check(&self) -> Result<(), WebhookError> {
        let setting = |name| Err(WebhookError::Setting { name });
        let fits = |span: Duration, longest| !span.is_zero() && span <= longest;
        if !fits(self.answer, LONGEST) {
            return setting("answer_within");
        }
        if !fits(self.deadline, LONGEST) {
            return setting("deadline");
        }
        if !fits(self.first_pause, LONGEST_PAUSE) {
            return setting("first_pause");
        }
        Ok(())
    }
}

/// A name and password would be sent as a header that nobody expects; a fragment would not be sent at all.
fn checked(text: &str) -> Result<Url, WebhookError> {
    let url = Url::parse(text).map_err(|_| WebhookError::Address)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    plain.then_some(url).ok_or(WebhookError::Address)
}

impl fmt::Debug for WebhookSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSinkBuilder")
            .field("secrets", &self.secrets)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

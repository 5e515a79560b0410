use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustify::Endpoint as _;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use vaultrs::api::EndpointMiddleware;

use super::answer::Answer;
use super::error::sorted;
use super::log_in::Fruitless;
use super::request::Request;
use super::session::{Credentials, Session};
use super::{VaultClientBuilder, VaultError};
use crate::sync::{Mutex, lock};

/// A connection to Vault or OpenBao. Clones share it, its token and the task that renews the token.
///
/// A token is renewed when two thirds of its lease are over. With an AppRole the client also logs in again: when the
/// token's longest life nears its end, and once when a request is denied, however many were denied at that time.
/// Every call ends within [the deadline](VaultClientBuilder::deadline). The task ends with the last clone.
///
/// ```no_run
/// use keyward::vault::VaultClient;
///
/// # async fn connect(role_id: String, secret_id: String) -> Result<(), keyward::vault::VaultError> {
/// let vault = VaultClient::builder("https://vault.internal:8200")
///     .app_role(role_id, secret_id)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VaultClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) transport: Transport,
    pub(super) credentials: Credentials,
    session: Mutex<Arc<Session>>,
    /// Held by whoever logs in.
    pub(super) turn: tokio::sync::Mutex<Option<Fruitless>>,
    pub(super) logins: AtomicU64,
    pub(super) renewals: AtomicU64,
    pub(super) failed_renewals: AtomicU64,
    keeper: OnceLock<AbortHandle>,
}

/// Requests are sent through it, whoever's token they carry.
pub(super) struct Transport {
    pub(super) http: rustify::Client,
    pub(super) namespace: Option<String>,
    pub(super) deadline: Duration,
}

/// What a [`VaultClient`] has done, for metrics.
///
/// ```
/// # fn show(vault: &keyward::vault::VaultClient) {
/// let stats = vault.stats();
/// println!("{} log-ins, {} renewals, {} failed", stats.logins, stats.renewals, stats.failed_renewals);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct VaultClientStats {
    /// Log-ins after the first one.
    pub logins: u64,
    /// Renewals of a token.
    pub renewals: u64,
    /// Times the task could neither renew the token nor log in. It tries again while there is something to try with.
    pub failed_renewals: u64,
}

impl VaultClient {
    /// Returns the settings for connecting to the Vault at this address (`https://vault.internal:8200`).
    pub fn builder(address: impl Into<String>) -> VaultClientBuilder {
        VaultClientBuilder::new(address.into())
    }

    /// Returns what it has done.
    #[must_use]
    pub fn stats(&self) -> VaultClientStats {
        VaultClientStats {
            logins: self.inner.logins.load(Ordering::Relaxed),
            renewals: self.inner.renewals.load(Ordering::Relaxed),
            failed_renewals: self.inner.failed_renewals.load(Ordering::Relaxed),
        }
    }

    pub(super) fn new(transport: Transport, credentials: Credentials, session: Session) -> Self {
        let inner = Inner {
            transport,
            credentials,
            session: Mutex::new(Arc::new(session)),
            turn: tokio::sync::Mutex::new(None),
            logins: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            failed_renewals: AtomicU64::new(0),
            keeper: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.inner.transport.deadline
    }

    /// Sends a request and reads the data of its answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, VaultError> {
        self.inner.call(request).await?.data()
    }

    /// Sends a request whose answer holds nothing of use.
    pub(super) async fn tell(&self, request: &Request) -> Result<(), VaultError> {
        self.inner.call(request).await.map(|_| ())
    }
}

impl Inner {
    async fn call(&self, request: &Request) -> Result<Answer, VaultError> {
        self.transport.within(self.answered(request)).await
    }

    async fn answered(&self, request: &Request) -> Result<Answer, VaultError> {
        let session = self.session();
        match session.send(&self.transport, request).await {
            Err(VaultError::Denied) => {}
            other => return other,
        }
        let Some(next) = self.another(&session).await? else {
            return Err(VaultError::Denied);
        };
        let answer = next.send(&self.transport, request).await;
        if matches!(answer, Err(VaultError::Denied)) {
            self.log_in_did_not_help(&next).await;
        }
        answer
    }

    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&lock(&self.session))
    }

    pub(super) fn replace(&self, session: &Arc<Session>) {
        *lock(&self.session) = Arc::clone(session);
    }

    pub(super) fn kept_by(&self, keeper: AbortHandle) {
        let _ = self.keeper.set(keeper);
    }
}

impl Transport {
    pub(super) async fn send(
        &self,
        middle: &EndpointMiddleware,
        request: &Request,
    ) -> Result<Answer, VaultError> {
        let sent = request.with_middleware(middle).exec(&self.http).await;
        sent.map(|it| Answer::new(it.response.into_body()))
            .map_err(sorted)
    }

    /// Gives up at the deadline. Outside tokio there would be a panic instead of one.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, VaultError>>,
    ) -> Result<T, VaultError> {
        Handle::try_current().map_err(|_| VaultError::NoRuntime)?;
        let deadline = self.deadline;
        timeout(deadline, work)
            .await
            .unwrap_or(Err(VaultError::Deadline { deadline }))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultClient")
            .field("address", &self.inner.transport.http.base)
            .field("namespace", &self.inner.transport.namespace)
            .field("credentials", &self.inner.credentials)
            .finish_non_exhaustive()
    }
}

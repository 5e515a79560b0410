//! A token, how it is obtained, and how long it lives.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use vaultrs::api::EndpointMiddleware;
use zeroize::{Zeroize as _, Zeroizing};

use super::VaultError;
use super::answer::Auth;
use super::client::Transport;
use super::request::Request;
use crate::sync::{Mutex, lock};

/// What the client logs in with.
pub(super) enum Credentials {
    Token(Zeroizing<String>),
    AppRole {
        mount: String,
        role_id: Zeroizing<String>,
        secret_id: Zeroizing<String>,
    },
}

impl Credentials {
    pub(super) const fn can_log_in_again(&self) -> bool {
        matches!(self, Self::AppRole { .. })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::AppRole { .. } => "AppRole(..)",
        })
    }
}

/// One token. Sessions are numbered, so that of many requests that were denied with one token only the first logs in.
pub(super) struct Session {
    pub(super) number: u64,
    middle: EndpointMiddleware,
    /// What the token was given first. Renewals give less when its longest life nears its end.
    first: Duration,
    lease: Mutex<Lease>,
}

/// How much longer a token lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// Zero for a token that never ends.
    length: Duration,
    renewable: bool,
    renew_at: Instant,
}

/// What a renewal came to.
pub(super) enum Renewal {
    /// As much as at first, or nearly.
    Full,
    /// Less: the token's longest life nears its end.
    Short,
    /// The token cannot be renewed.
    Impossible,
}

/// A part of the lease that is left for trying again when the renewal fails.
const LEFT_FOR_RETRIES: u32 = 3;
/// Keeps the task from spinning on leases of a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
/// An outage of Vault ends without notice.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

impl Lease {
    fn new(asked: Instant, seconds: u64, renewable: bool) -> Self {
        let length = Duration::from_secs(seconds);
        let wait = length.saturating_sub(length / LEFT_FOR_RETRIES);
        Self {
            length,
            renewable,
            renew_at: later(asked, wait),
        }
    }
}

/// A lease of centuries is one that never ends.
fn later(from: Instant, wait: Duration) -> Instant {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    from.checked_add(wait.min(A_YEAR)).unwrap_or(from)
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Deserialize)]
struct LookedUp {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Session {
    /// Logs in, or checks the token that was given.
    pub(super) async fn open(
        transport: &Transport,
        credentials: &Credentials,
        number: u64,
    ) -> Result<Self, VaultError> {
        let asked = Instant::now();
        match credentials {
            Credentials::Token(token) => {
                let mut session = Self::with(transport, token, number);
                let answer = session.send(transport, &Request::get(LOOKUP)).await?;
                let known: LookedUp = answer.data()?;
                session.take(Lease::new(asked, known.ttl, known.renewable));
                Ok(session)
            }
            Credentials::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let login = AppRoleLogin { role_id, secret_id };
                let request = Request::post(format!("auth/{mount}/login"), &login)?;
                let nobody = Self::with(transport, "", number);
                let auth = nobody.send(transport, &request).await.map_err(refused)?;
                Self::authorised(transport, &auth.auth()?, asked, number)
            }
        }
    }

    fn authorised(
        transport: &Transport,
        auth: &Auth,
        asked: Instant,
        number: u64,
    ) -> Result<Self, VaultError> {
        let token = auth.client_token.0.as_str();
        if !is_header(token) {
            return Err(VaultError::Answer {
                what: "the token is none",
            });
        }
        let mut session = Self::with(transport, token, number);
        session.take(Lease::new(asked, auth.lease_duration, auth.renewable));
        Ok(session)
    }

    fn with(transport: &Transport, token: &str, number: u64) -> Self {
        Self {
            number,
            middle: EndpointMiddleware {
                token: token.to_owned(),
                version: "v1".to_owned(),
                wrap: None,
                namespace: transport.namespace.clone(),
            },
            first: Duration::ZERO,
            lease: Mutex::new(Lease::new(Instant::now(), 0, false)),
        }
    }

    fn take(&mut self, lease: Lease) {
        self.first = lease.length;
        *lock(&self.lease) = lease;
    }

    pub(super) async fn send(
        &self,
        transport: &Transport,
        request: &Request,
    ) -> Result<super::answer::Answer, VaultError> {
        transport.send(&self.middle, request).await
    }

    /// Asks for a longer life.
    pub(super) async fn renew(&self, transport: &Transport) -> Result<Renewal, VaultError> {
        let renewable = lock(&self.lease).renewable;
        if !renewable {
            return Ok(Renewal::Impossible);
        }
        let asked = Instant::now();
        let request = Request::post(RENEW, &serde_json::json!({}))?;
        let auth = self.send(transport, &request).await?.auth()?;
        let lease = Lease::new(asked, auth.lease_duration, auth.renewable);
        *lock(&self.lease) = lease;
        Ok(if lease.length < self.first / 2 {
            Renewal::Short
        } else {
            Renewal::Full
        })
    }

    /// Returns how long it is until the token should be renewed; `None` for one that never ends.
    pub(super) fn renewal_in(&self) -> Option<Duration> {
        let lease = *lock(&self.lease);
        let wait = lease.renew_at.saturating_duration_since(Instant::now());
        (!lease.length.is_zero()).then_some(wait)
    }

    /// Puts the renewal off, after a failure that may pass.
    pub(super) fn postpone(&self) {
        let mut lease = lock(&self.lease);
        let wait = lease.length / LEFT_FOR_RETRIES / LEFT_FOR_RETRIES;
        lease.renew_at = later(Instant::now(), wait.clamp(SHORTEST_WAIT, LONGEST_RETRY));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.middle.token.zeroize();
    }
}

const LOOKUP: &str = "auth/token/lookup-self";
const RENEW: &str = "auth/token/renew-self";

/// A wrong role or secret id is answered by 400, one that may not log in by 403, an unknown mount by 404.
fn refused(error: VaultError) -> VaultError {
    match error {
        VaultError::Denied
        | VaultError::Absent
        | VaultError::NotMounted
        | VaultError::Refused { status: 400 } => VaultError::Login,
        other => other,
    }
}

/// Whether a text can stand in a header. vaultrs panics on one that cannot, and a token read from a file often ends in
/// a line break.
pub(super) fn is_header(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|it| it.is_ascii_graphic())
}

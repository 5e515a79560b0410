//! When a client logs in again, and when it leaves that be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::VaultError;
use super::client::Inner;
use super::session::{Renewal, Session};

/// A log-in that did not help: what was denied is not allowed, or the secret id is no longer good.
pub(super) struct Fruitless {
    session: u64,
    at: Instant,
}

/// A permission that is missing must not become a log-in for each request.
const REST_AFTER_FRUITLESS: Duration = Duration::from_secs(5);

impl Inner {
    /// Returns a session other than `denied`: the one that somebody opened meanwhile, or a new one. `None` when there
    /// is nothing to log in with, or a log-in did not help a moment ago.
    ///
    /// Whoever is dropped while logging in leaves the turn to the next one.
    pub(super) async fn another(
        &self,
        denied: &Session,
    ) -> Result<Option<Arc<Session>>, VaultError> {
        if !self.credentials.can_log_in_again() {
            return Ok(None);
        }
        let mut turn = self.turn.lock().await;
        let present = self.session();
        if present.number != denied.number {
            return Ok(Some(present));
        }
        if turn.as_ref().is_some_and(|it| it.rests(denied)) {
            return Ok(None);
        }
        let number = denied.number.saturating_add(1);
        let opened = Session::open(&self.transport, &self.credentials, number).await;
        if matches!(opened, Err(VaultError::Login)) {
            *turn = Some(Fruitless::now(denied));
        }
        let opened = Arc::new(opened?);
        self.replace(&opened);
        self.logins.fetch_add(1, Ordering::Relaxed);
        Ok(Some(opened))
    }

    /// Remembers that what was denied before the log-in is denied after it.
    pub(super) async fn log_in_did_not_help(&self, session: &Session) {
        *self.turn.lock().await = Some(Fruitless::now(session));
    }

    /// Renews the token, or takes another when it cannot be renewed. Returns whether there will be more to renew.
    pub(super) async fn renew(&self) -> bool {
        let session = self.session();
        let renewed = self.transport.within(session.renew(&self.transport)).await;
        match (renewed, self.credentials.can_log_in_again()) {
            (Ok(Renewal::Full), _) | (Ok(Renewal::Short), false) => {
                self.renewals.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            (Ok(Renewal::Impossible), false) => return false,
            (Err(error), _) if error.is_outage() => {}
            (Err(_), false) => {
                self.failed_renewals.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            (Ok(_) | Err(_), true) => {
                let next = self.transport.within(self.another(&session)).await;
                if matches!(next, Ok(Some(_))) {
                    return true;
                }
            }
        }
        self.failed_renewals.fetch_add(1, Ordering::Relaxed);
        session.postpone();
        true
    }
}

impl Fruitless {
    fn now(session: &Session) -> Self {
        Self {
            session: session.number,
            at: Instant::now(),
        }
    }

    fn rests(&self, session: &Session) -> bool {
        self.session == session.number && self.at.elapsed() < REST_AFTER_FRUITLESS
    }
}

//! Keys that the service itself saw where others can read them.

use std::net::IpAddr;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::ExposureOutcome;
use super::consequence::Seen;
use super::proof::{Sighting, Spent};
use super::sightings::Turn;
use crate::key::KeyId;
use crate::service::{KeyService, LifecycleError};
use crate::time::Timestamp;

impl KeyService {
    /// Does what the [`ExposurePolicy`](super::ExposurePolicy) says, if a string that arrived where others can read it is a live
    /// secret of a key. The HTTP layers see to URLs and plain HTTP; this is for the places that only the application knows, such
    /// as the body of a request or a form.
    ///
    /// `place` is one lower-case word of the application's, for the trail. `client` is who sent it: a secret that is not the
    /// right one counts against that address and that key, as in a verification. One string of an address and one of a key are
    /// looked at at a time; what comes meanwhile is [`ExposureOutcome::Unanswered`], and will come again.
    ///
    /// ```
    /// # use keyward::access::Grant;
    /// use keyward::service::{ExposureAction, ExposureOutcome};
    /// # use keyward::service::{Actor, IssueKey, KeyService};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).build()?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", Grant::try_scopes(["send_email".parse()?])?);
    /// # let issued = service.issue(&Actor::system("example")?, request).await?;
    /// # let found_in_a_ticket = issued.key().expose();
    /// let outcome = service.report_exposed(found_in_a_ticket.as_bytes(), "support_ticket", None).await;
    /// assert_eq!(outcome.action(), Some(ExposureAction::Flagged));
    ///
    /// let outcome = service.report_exposed(b"no key", "support_ticket", None).await;
    /// assert_eq!(outcome, ExposureOutcome::NoLiveSecret);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// Whoever sent the string may be told of [`ExposureOutcome::Proved`]. Everything else must look as if nothing had been
    /// found.
    ///
    /// # Cancel safety
    ///
    /// What has begun goes on when the future is dropped.
    pub async fn report_exposed(
        &self,
        presented: &[u8],
        place: &'static str,
        client: Option<IpAddr>,
    ) -> ExposureOutcome {
        if self.inner.format.parse(presented).is_err() {
            return ExposureOutcome::NoLiveSecret;
        }
        let presented = Zeroizing::new(presented.to_vec());
        let Some(outcomes) = self.look_at_exposed(vec![presented], place, client) else {
            return ExposureOutcome::Unanswered;
        };
        let outcomes = outcomes.await.unwrap_or_default();
        outcomes
            .first()
            .copied()
            .unwrap_or(ExposureOutcome::Unanswered)
    }

    /// Looks at the keys of one request in the background, one after the other. `None` if they are passed over: whoever sends
    /// a key in the wrong place does so again.
    pub(crate) fn look_at_exposed(
        &self,
        keys: Vec<Zeroizing<Vec<u8>>>,
        place: &'static str,
        client: Option<IpAddr>,
    ) -> Option<oneshot::Receiver<Vec<ExposureOutcome>>> {
        let turn = self.inner.sightings.take(client)?;
        let service = self.clone();
        let (tell, told) = oneshot::channel();
        self.inner.runtime.spawn(async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in &keys {
                outcomes.push(service.look_at_one(key, place, client, &turn).await);
            }
            // Before it is told: whoever hears of it may send the next one.
            drop(turn);
            // Nobody may be waiting any more.
            drop(tell.send(outcomes));
        });
        Some(told)
    }

    async fn look_at_one(
        &self,
        presented: &[u8],
        place: &'static str,
        client: Option<IpAddr>,
        turn: &Turn,
    ) -> ExposureOutcome {
        let Ok(parsed) = self.inner.format.parse(presented) else {
            return ExposureOutcome::NoLiveSecret;
        };
        let (key, now) = (parsed.id(), self.inner.clock.now());
        let Some(_alone) = turn.key(key) else {
            return ExposureOutcome::Unanswered;
        };
        let Some(mut spent) = self.may_spend(&key, client, now) else {
            return ExposureOutcome::Unanswered;
        };
        match self
            .recognise(&self.inner.itself, &parsed, &mut spent)
            .await
        {
            Sighting::Live(generation) => {
                let seen = Seen {
                    key,
                    generation,
                    place,
                };
                match self.follow_policy(seen).await {
                    Ok(Some(action)) => ExposureOutcome::Proved { key, action },
                    Ok(None) | Err(LifecycleError::NotFound) => ExposureOutcome::NoLiveSecret,
                    // It is reported as any other change's, and the key is seen there again.
                    Err(_) => ExposureOutcome::Unanswered,
                }
            }
            Sighting::WrongSecret | Sighting::UnknownKey => {
                if let Some(gate) = &self.inner.gate {
                    gate.charge(client, Some(&key), now);
                }
                ExposureOutcome::NoLiveSecret
            }
            Sighting::Ended | Sighting::Publishable => ExposureOutcome::NoLiveSecret,
            Sighting::Unanswered => ExposureOutcome::Unanswered,
        }
    }

    /// SECURITY: an address that has failed too often is looked at only for the sake of a key that works here, and costs no slow
    /// hash, as in a verification.
    fn may_spend(&self, key: &KeyId, client: Option<IpAddr>, now: Timestamp) -> Option<Spent> {
        let gate = self.inner.gate.as_ref().zip(client);
        match gate.and_then(|(gate, client)| gate.blocked(client, now)) {
            None => Some(Spent::default()),
            Some(_) if self.inner.proofs.knows(key.as_str()) => Some(Spent::all()),
            Some(_) => None,
        }
    }
}

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use super::fresh::{FreshRecord, Live};
use super::prove::Proof;
use super::{KeyService, Rejection, RequestContext, VerifiedKey, VerifyError};
use crate::key::{CredentialEnd, Generation, KeyId, KeyRecord, Networks, ParsedKey};
use crate::time::Timestamp;

/// How often a secret is proved again because its digest changed under it. An upgrade in the background does that
/// once.
const PROOFS: usize = 3;
/// Some 200 kB.
const REMEMBERED_EXPIRIES: usize = 10_000;

/// What became of a presented key, and of which record, if one was found.
struct Refused {
    error: VerifyError,
    id: Option<KeyId>,
    record: Option<Arc<KeyRecord>>,
}

/// A secret that was proved to be that generation's, and the moment at which the record was judged.
struct Proved {
    live: Live,
    generation: Generation,
    at: Timestamp,
}

impl Refused {
    fn new(error: impl Into<VerifyError>, id: KeyId) -> Self {
        Self {
            error: error.into(),
            id: Some(id),
            record: None,
        }
    }

    fn of(rejection: Rejection, record: &Arc<KeyRecord>) -> Self {
        Self {
            error: rejection.into(),
            id: Some(record.id),
            record: Some(Arc::clone(record)),
        }
    }
}

impl KeyService {
    /// Verifies a presented key.
    ///
    /// The order is fixed, cheap before dear: grammar, checksum and tag; the address's failure budget; the record,
    /// read from the store in this call; its kind and the cheap part of the secret; the row's binding, if rows are bound; the
    /// key's state; the proof, or the slow hash and
    /// a second read of the record; then what the key is bound to (environment, owner, its networks and its role's,
    /// certificate), and last the age of the secret by the [`RotationPolicy`](super::RotationPolicy).
    ///
    /// A warmed verification costs one store read and one short MAC. The first one of a key in this process costs a
    /// slow hash on the hash pool (about 0.3 s with bcrypt-12).
    ///
    /// ```
    /// # use keyward::access::{AccessPolicy, Grant};
    /// # use keyward::service::{Actor, IssueKey, KeyService, RequestContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).build()?;
    /// # let actor = Actor::system("example")?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", Grant::try_scopes(["send_email".parse()?])?);
    /// # let issued = service.issue(&actor, request).await?;
    /// let presented = issued.key().expose();
    /// let key = service.verify(presented.as_bytes(), &RequestContext::new()).await?;
    /// assert_eq!(key.owner().as_str(), "acme");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// * [`VerifyError::Rejected`]: the key was looked at and is not accepted;
    /// * [`VerifyError::Overloaded`]: the hash pool is full, nothing is known about the key;
    /// * [`VerifyError::Unavailable`]: the store or a hook is out of order, nothing is known about the key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; a slow hash that has begun runs to its end on the pool.
    pub async fn verify(
        &self,
        presented: &[u8],
        context: &RequestContext<'_>,
    ) -> Result<VerifiedKey, VerifyError> {
        let now = self.inner.clock.now();
        match self.examine(presented, context, now).await {
            Ok(verified) => {
                self.accepted(&verified).await;
                Ok(verified)
            }
            Err(refused) => {
                self.refused(&refused, context, now).await;
                Err(refused.error)
            }
        }
    }

    async fn examine(
        &self,
        presented: &[u8],
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Result<VerifiedKey, Refused> {
        let parsed = self
            .inner
            .format
            .parse(presented)
            .map_err(|error| Refused {
                error: Rejection::Malformed(error).into(),
                id: None,
                record: None,
            })?;
        let blocked = self.pass_gate(&parsed.id(), context.client(), now)?;
        let proved = match blocked {
            None => self.look_up(&parsed, context.client(), now).await?,
            Some(throttled) => self.look_up_proven(&parsed, throttled, now).await?,
        };
        let record = proved.live.into_record();
        self.check_circumstances(&record, context).await?;
        // SECURITY: last, because it is the one refusal that tells a holder what to do: it is for those whom the key is
        // bound to. And the proof is kept, or each attempt of a client that was not changed over would cost a slow hash.
        let retirement = self
            .judge_age(&record, proved.generation, proved.at)
            .map_err(|rejection| Refused::of(rejection, &record))?;
        self.end_predecessor(&record, proved.generation, proved.at)
            .await;
        Ok(VerifiedKey::new(
            record,
            proved.generation,
            proved.at,
            retirement,
            context,
        ))
    }

    /// Says whether the address has failed too often. It is then refused at once, unless its key was proved to this
    /// process before.
    fn pass_gate(
        &self,
        id: &KeyId,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Rejection>, Refused> {
        let Some((gate, client)) = self.inner.gate.as_ref().zip(client) else {
            return Ok(None);
        };
        let Some(retry_after) = gate.blocked(client, now) else {
            return Ok(None);
        };
        let throttled = Rejection::Throttled { retry_after };
        if self.inner.proofs.knows(id.as_str()) {
            Ok(Some(throttled))
        } else {
            Err(Refused::new(throttled, *id))
        }
    }

    async fn look_up(
        &self,
        parsed: &ParsedKey<'_>,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Proved, Refused> {
        let live = self.read_and_judge(parsed, now).await?;
        self.prove(live, parsed, client, now).await
    }

    /// From a blocked address: a secret that is proved already passes, so that nobody can lock its owner out by failing.
    ///
    /// SECURITY: everything else gets the one answer that an unknown id gets. Another would tell whoever knows an id
    /// that it is in use, and when it is revoked; and it would let guessing at that id go on.
    async fn look_up_proven(
        &self,
        parsed: &ParsedKey<'_>,
        throttled: Rejection,
        now: Timestamp,
    ) -> Result<Proved, Refused> {
        let refused = || Refused::new(throttled, parsed.id());
        let live = match self.read_and_judge(parsed, now).await {
            Ok(live) => live,
            Err(failure) if failure.error.rejection().is_some() => return Err(refused()),
            Err(outage) => return Err(outage),
        };
        match self.prove_cheaply(&live, parsed) {
            Ok(Proof::Known(generation)) => Ok(Proved {
                live,
                generation,
                at: now,
            }),
            Ok(Proof::Unknown) | Err(VerifyError::Rejected(_)) => Err(refused()),
            Err(outage) => Err(Refused::new(outage, parsed.id())),
        }
    }

    async fn read_and_judge(
        &self,
        parsed: &ParsedKey<'_>,
        now: Timestamp,
    ) -> Result<Live, Refused> {
        let id = parsed.id();
        let fresh = FreshRecord::read(&self.inner.records, &id)
            .await
            .map_err(|error| Refused::new(VerifyError::unavailable(error), id))?
            .ok_or_else(|| Refused::new(Rejection::UnknownKey, id))?;
        fresh
            .suspect(parsed, &self.inner.hashing)
            .map_err(|rejection| Refused::new(rejection, id))?
            // What a broken record says of its owner and tenant is not believed either: the event names the key alone.
            .vouch(&self.inner.records)
            .map_err(|unsound| Refused::new(unsound, id))?
            .judge(now)
            .map_err(|(rejection, record)| Refused::of(rejection, &record))
    }

    /// Proves the secret, on a record that held it after the proof.
    async fn prove(
        &self,
        mut live: Live,
        parsed: &ParsedKey<'_>,
        client: Option<IpAddr>,
        mut at: Timestamp,
    ) -> Result<Proved, Refused> {
        let refuse = |error: VerifyError, live: &Live| Refused {
            record: error
                .rejection()
                .is_none_or(|known| !known.is_failed_attempt())
                .then(|| Arc::clone(live.record())),
            ..Refused::new(error, parsed.id())
        };
        for _ in 0..PROOFS {
            match self.prove_cheaply(&live, parsed) {
                Ok(Proof::Known(generation)) => {
                    return Ok(Proved {
                        live,
                        generation,
                        at,
                    });
                }
                Ok(Proof::Unknown) => {}
                Err(error) => return Err(refuse(error, &live)),
            }
            let lane = self.lane(client, parsed, at);
            let proven = self
                .prove_slowly(&live, parsed, lane)
                .await
                .map_err(|error| refuse(error, &live))?;
            // 0.3 s and a queue lie behind us: the state may be another now. The clock may have been set back.
            at = self.inner.clock.now().max(at);
            live = self.read_and_judge(parsed, at).await?;
            if live.still_holds(&proven) {
                self.remember(&proven, parsed);
                return Ok(Proved {
                    live,
                    generation: proven.generation,
                    at,
                });
            }
            // Another digest: an upgrade of this secret, or another secret. What was proved says nothing of it.
        }
        Err(Refused::new(
            VerifyError::unavailable("the stored digest kept changing"),
            parsed.id(),
        ))
    }

    async fn check_circumstances(
        &self,
        record: &Arc<KeyRecord>,
        context: &RequestContext<'_>,
    ) -> Result<(), Refused> {
        if record.environment != self.inner.format.environment() {
            return Err(Refused::of(Rejection::WrongEnvironment, record));
        }
        if let Some(owners) = &self.inner.owners {
            let active = owners.is_active(&record.owner).await;
            if !active.map_err(|error| Refused::new(VerifyError::Unavailable(error), record.id))? {
                return Err(Refused::of(Rejection::OwnerInactive, record));
            }
        }
        self.check_networks(record, context.client())?;
        match (&record.certificate, context.certificate()) {
            (None, _) => Ok(()),
            (Some(bound), Some(shown)) if bound == shown => Ok(()),
            (Some(_), Some(_)) => Err(Refused::of(Rejection::CertificateMismatch, record)),
            (Some(_), None) => Err(Refused::of(Rejection::CertificateMissing, record)),
        }
    }

    /// The key's own list and its role's must both hold the client; the role's is the policy's of this moment.
    fn check_networks(
        &self,
        record: &Arc<KeyRecord>,
        client: Option<IpAddr>,
    ) -> Result<(), Refused> {
        let refuses = |networks: &Networks| !client.is_some_and(|client| networks.contains(client));
        if record.networks.as_ref().is_some_and(refuses) {
            return Err(Refused::of(Rejection::NetworkRefused, record));
        }
        let of_role = self.inner.policy.networks_of(&record.grant);
        if of_role.is_some_and(refuses) {
            return Err(Refused::of(Rejection::RoleNetworkRefused, record));
        }
        Ok(())
    }

    /// Ends the previous secret when the new one is used for the first time and the rotation asked for that.
    async fn end_predecessor(&self, record: &Arc<KeyRecord>, used: Generation, now: Timestamp) {
        let waiting = record.previous.as_ref().is_some_and(|previous| {
            matches!(previous.end, CredentialEnd::OnSuccessorUse(_)) && previous.is_live(now)
        });
        if waiting && used == record.current.generation {
            self.retire_previous(record, now).await;
        }
    }

    async fn accepted(&self, verified: &VerifiedKey) {
        self.inner.usage.note(
            verified.id(),
            verified.generation(),
            verified.verified_at(),
            verified.client(),
        );
        if self.inner.settings.audit_successes {
            self.inner.trail.authenticated(verified).await;
        }
    }

    async fn refused(&self, refused: &Refused, context: &RequestContext<'_>, now: Timestamp) {
        let Some(rejection) = refused.error.rejection() else {
            if matches!(refused.error, VerifyError::Unavailable(_)) {
                self.report_outage("verify", &refused.error);
            }
            self.inner
                .trail
                .unanswered(refused.id, &refused.error, context, now)
                .await;
            return;
        };
        if let (Some(gate), true) = (&self.inner.gate, rejection.is_failed_attempt()) {
            let guessed = matches!(rejection, Rejection::WrongSecret)
                .then_some(refused.id.as_ref())
                .flatten();
            gate.charge(context.client(), guessed, now);
        }
        if let Some(record) = &refused.record {
            self.note_end(rejection, record, context, now);
        }
        self.inner
            .trail
            .rejected(refused.id, refused.record.as_ref(), rejection, context, now)
            .await;
    }

    /// A key that has ended needs no proof any more; and the first refusal for its age is an event of its own.
    fn note_end(
        &self,
        rejection: &Rejection,
        record: &Arc<KeyRecord>,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) {
        if !matches!(rejection, Rejection::Expired | Rejection::Revoked) {
            return;
        }
        self.inner.proofs.forget(record.id.as_str());
        if *rejection == Rejection::Expired && self.first_refusal(record.id) {
            self.inner.trail.expired(record, context, now);
        }
    }

    /// Once a process for as many keys as are remembered; beyond that an expiry may be written down again.
    fn first_refusal(&self, id: KeyId) -> bool {
        let mut known = self
            .inner
            .expired
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_EXPIRIES {
            known.clear();
        }
        known.insert(id)
    }
}

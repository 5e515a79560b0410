//! All batches, again and again, until none has anything left to end.

use super::batch::Mood;
use super::{RevokeMany, RevokeManyError, RevokedBatch, RevokedMany};
use crate::service::{Actor, KeyService, LifecycleError};

/// A pass after the first meets only what was issued or failed meanwhile. Whoever still issues after so many issues as fast
/// as keys are ended.
const MOST_PASSES: u32 = 10;

impl KeyService {
    /// Revokes every key that an order is for: of an owner, of a tenant, of a role.
    ///
    /// Keys are read page by page and ended as by [`KeyService::revoke`], each with its own `key_revoked` in the trail, at
    /// once and in every process. A trail that is out of order stops nothing; one key that cannot be ended stops no other.
    /// Then all are gone through again, until a pass finds nothing to end: what was issued while it ran, wherever that was,
    /// ends too. So when the answer [is complete](RevokedMany::is_complete), each key has ended that fitted the order when
    /// the last pass began. What is issued later lives: see to it first that nobody issues any.
    ///
    /// Whoever gets anything else than that runs the same order again, which ends the rest and does no harm. A key that acts
    /// touches only what it sees; if the order covers it as well, it ends last, and only when no other is left.
    ///
    /// ```
    /// # use keyward::access::Grant;
    /// # use keyward::service::{Actor, IssueKey, KeyService, RevokeMany};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).build()?;
    /// # let admin = Actor::system("example")?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", Grant::try_scopes(["send_email".parse()?])?);
    /// # let issued = service.issue(&admin, request).await?;
    /// let order = RevokeMany::of_owner("acme".parse()?, "account taken over");
    /// let done = service.revoke_many(&admin, &order).await?;
    /// assert_eq!(done.revoked, 1);
    /// assert!(done.is_complete());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RevokeManyError`], with what was done until then, when the keys could not be listed: as in
    /// [`KeyService::revoke_batch`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, or the process killed, some of the keys are revoked and the others are not. The same
    /// order again ends the rest. Where a client that hangs up would drop it, give it a task of its own.
    pub async fn revoke_many(
        &self,
        actor: &Actor,
        order: &RevokeMany,
    ) -> Result<RevokedMany, RevokeManyError> {
        let (mut done, mut mood) = (RevokedMany::default(), Mood::default());
        while !done.settled && done.passes < MOST_PASSES {
            done.begin_pass();
            let passed = self.pass(actor, order, &mut done, &mut mood).await;
            if let Err(cause) = passed {
                return Err(RevokeManyError {
                    so_far: Box::new(done),
                    cause,
                });
            }
        }
        self.end_actor(actor, order, &mut done, &mut mood).await;
        Ok(done)
    }

    /// Goes through all keys once.
    async fn pass(
        &self,
        actor: &Actor,
        order: &RevokeMany,
        done: &mut RevokedMany,
        mood: &mut Mood,
    ) -> Result<(), LifecycleError> {
        let (mut place, mut ended) = (None, 0_u64);
        loop {
            let batch = self.batch(actor, order, place, mood).await?;
            place = batch.next;
            ended = ended.saturating_add(done.add(batch));
            if place.is_none() {
                done.settled = ended == 0;
                return Ok(());
            }
        }
    }

    /// SECURITY: a key that ended itself before the others would leave them alive.
    async fn end_actor(
        &self,
        actor: &Actor,
        order: &RevokeMany,
        done: &mut RevokedMany,
        mood: &mut Mood,
    ) {
        let Some(own) = done
            .acting_key
            .filter(|_| done.settled && done.failures == 0)
        else {
            return;
        };
        let ended = self.end_key(actor, &own, &order.reason, mood.patience());
        let mut last = RevokedBatch::default();
        last.note(own, ended.await, mood);
        done.acting_key = None;
        done.add(last);
    }
}

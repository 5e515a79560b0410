//! One batch: a page of keys, a few of them ended at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{RevokeMany, RevokedBatch};
use crate::audit::AuditKind;
use crate::key::{KeyId, KeyRecord};
use crate::service::change::{Changed, IMPATIENCE, PATIENCE};
use crate::service::{Actor, KeyService, LifecycleError, VerifiedKey, validate};
use crate::store::{Cursor, Page};

/// How many keys are ended at one time: their events share writes of the trail, and half of a pool of eight connections
/// is left to others.
const AT_ONCE: usize = 4;

/// Whether the trail has kept up so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mood {
    is_impatient: bool,
}

impl Mood {
    /// How long the next event may take: nobody waits long for a trail that has failed in this order already.
    pub(super) const fn patience(self) -> Duration {
        if self.is_impatient {
            IMPATIENCE
        } else {
            PATIENCE
        }
    }
}

/// Keys that are being ended, oldest first. What is still under way ends with it.
#[derive(Default)]
struct UnderWay(VecDeque<(KeyId, JoinHandle<Result<Changed, LifecycleError>>)>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        for (_, task) in &self.0 {
            task.abort();
        }
    }
}

impl KeyService {
    /// Ends one page of the keys that an order is for, newest first, and says where the next one begins.
    ///
    /// For whoever wants to write down or show each step; [`KeyService::revoke_many`] goes through all of them. Each key has
    /// its own event and is ended as in [`KeyService::revoke`]: a trail that is out of order stops nothing, and one key that
    /// cannot be ended stops no other. A key that acts touches only what it sees, and never itself.
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
    /// let order = RevokeMany::of_owner("acme".parse()?, "contract ended").with_batch(50);
    /// let mut place = None;
    /// loop {
    ///     let batch = service.revoke_batch(&admin, &order, place).await?;
    ///     println!("ended {}", batch.revoked.len());
    ///     place = batch.next;
    ///     if place.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::Invalid`]: no reason, or one above 1024 bytes;
    /// * [`LifecycleError::ActorEnded`], [`LifecycleError::NotPermitted`]: the actor may not;
    /// * [`LifecycleError::Unavailable`]: the keys could not be listed, and none was touched.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some keys of the batch may be revoked. The same call again ends the rest.
    pub async fn revoke_batch(
        &self,
        actor: &Actor,
        order: &RevokeMany,
        after: Option<Cursor>,
    ) -> Result<RevokedBatch, LifecycleError> {
        self.batch(actor, order, after, &mut Mood::default()).await
    }

    pub(super) async fn batch(
        &self,
        actor: &Actor,
        order: &RevokeMany,
        after: Option<Cursor>,
        mood: &mut Mood,
    ) -> Result<RevokedBatch, LifecycleError> {
        validate::text("reason", &order.reason, 1, validate::LONG_TEXT)?;
        let admitted = self.admit(actor).await;
        self.note_refusal(AuditKind::KeyRevoked, actor, None, admitted.as_ref().err());
        let mut batch = RevokedBatch::default();
        let page = self.page_of(&admitted?, order, after, &mut batch).await?;
        batch.next = page.next;
        let mut under_way = UnderWay::default();
        for id in batch.sort_out(actor, page.records) {
            if under_way.0.len() >= AT_ONCE {
                under_way.take_first(&mut batch, mood).await;
            }
            let (service, actor, reason) = (self.clone(), actor.clone(), order.reason.clone());
            let patience = mood.patience();
            let end = async move { service.end_key(&actor, &id, &reason, patience).await };
            under_way.0.push_back((id, self.inner.runtime.spawn(end)));
        }
        while under_way.take_first(&mut batch, mood).await {}
        Ok(batch)
    }

    /// Reads the page, or steps over the one record at its beginning that cannot be read: it must not protect the others.
    async fn page_of(
        &self,
        actor: &Actor,
        order: &RevokeMany,
        after: Option<Cursor>,
        batch: &mut RevokedBatch,
    ) -> Result<Page, LifecycleError> {
        let mut query = order.keys.clone();
        query.after = after;
        let stretch = self.stretch_for(actor, query).await?;
        let failed = stretch.unreadable.map(|(id, error)| (id, error.into()));
        batch.failed.extend(failed);
        Ok(stretch.page)
    }
}

impl UnderWay {
    /// Waits for the oldest, and says whether there was one.
    async fn take_first(&mut self, batch: &mut RevokedBatch, mood: &mut Mood) -> bool {
        let Some((id, task)) = self.0.front_mut() else {
            return false;
        };
        let (id, ended) = (*id, task.await);
        self.0.pop_front();
        let ended = ended.unwrap_or_else(|error| Err(LifecycleError::unavailable(error)));
        batch.note(id, ended, mood);
        true
    }
}

impl RevokedBatch {
    /// Returns those of a page that are to be ended.
    fn sort_out(&mut self, actor: &Actor, records: Vec<Arc<KeyRecord>>) -> Vec<KeyId> {
        let own = actor.verified_key().map(VerifiedKey::id);
        let mut ids = Vec::with_capacity(records.len());
        for record in records {
            if record.revocation.is_some() {
                self.already_ended = self.already_ended.saturating_add(1);
            } else if own == Some(record.id) {
                self.acting_key = own;
            } else {
                ids.push(record.id);
            }
        }
        ids
    }

    pub(super) fn note(
        &mut self,
        id: KeyId,
        ended: Result<Changed, LifecycleError>,
        mood: &mut Mood,
    ) {
        match ended {
            Ok(changed) => {
                mood.is_impatient |= changed.unaudited.is_some();
                if changed.made {
                    self.revoked.push(id);
                    self.unaudited
                        .extend(changed.unaudited.map(|error| (id, error)));
                } else {
                    self.already_ended = self.already_ended.saturating_add(1);
                }
            }
            // Deleted since it was listed, or moved out of the actor's sight.
            Err(LifecycleError::NotFound) => {
                self.already_ended = self.already_ended.saturating_add(1);
            }
            Err(error) => self.failed.push((id, error)),
        }
    }
}

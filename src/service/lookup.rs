use std::sync::Arc;
use std::time::Duration;

use super::actor::View;
use super::trail::Told;
use super::{Actor, KeyService, LifecycleError};
use crate::access::{Requirement, Target, TenantBinding};
use crate::audit::AuditKind;
use crate::key::{KeyId, KeyRecord, KeyStatus, OwnerId, lead_of};
use crate::store::{AuditedError, ListKeys, ListOrder, Page, StoreError, UsageFilter};
use crate::time::Timestamp;

/// A ready-made question about the keys in the store.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::Review;
///
/// let stale = Review::UnusedFor(Duration::from_secs(90 * 24 * 3600));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Review {
    /// Active keys whose current secret is as old as the recommended age or older, oldest first (see
    /// [`KeyServiceBuilder::rotation_age`](super::KeyServiceBuilder::rotation_age)).
    DueForRotation,
    /// Active keys whose current secret is refused for its age by the [`RotationPolicy`](super::RotationPolicy), oldest secret
    /// first.
    RotationOverdue,
    /// Active keys whose current secret will be refused for its age within that time, and is not yet; oldest secret first. Keys
    /// that themselves end before are not among them.
    OverdueWithin(Duration),
    /// Active keys that end within that time, soonest first.
    ExpiringWithin(Duration),
    /// Active keys that were never used.
    NeverUsed,
    /// Active keys that were used, but not for that long, that moment included.
    UnusedFor(Duration),
    /// Active keys whose grant allows managing keys.
    AdminKeys,
    /// Active keys that were exposed and have had no new secret since (see [`KeyRecord::is_exposed`]).
    Exposed,
    /// All keys of an owner, whatever their state.
    OfOwner(OwnerId),
}

/// How many records one page may cost that no store can filter.
const MOST_LOOKED_AT: usize = 10_000;

/// The bound of a filter that keeps what lies strictly before it, for one that is to keep `moment` too.
pub(super) fn after(moment: Timestamp) -> Timestamp {
    moment.saturating_add(Duration::from_micros(1))
}

impl KeyService {
    /// Returns a key's record.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::NotFound`] for an unknown id, and for one the actor may not know of;
    /// [`LifecycleError::NotPermitted`]; [`LifecycleError::Unavailable`].
    pub async fn get(&self, actor: &Actor, id: &KeyId) -> Result<Arc<KeyRecord>, LifecycleError> {
        let actor = self.admit(actor).await?;
        Ok(self.visible(&actor, id).await?.into_shown())
    }

    /// Returns one page of keys, newest first.
    ///
    /// A key that acts sees its own tenant's and its own environment's only, whatever the query says.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::ActorEnded`], [`LifecycleError::NotPermitted`]; [`LifecycleError::Unavailable`].
    pub async fn list(&self, actor: &Actor, query: ListKeys) -> Result<Page, LifecycleError> {
        let actor = self.admit(actor).await?;
        Ok(self.page_for(&actor, query).await?)
    }

    /// Returns one page of what an admitted actor may know of.
    pub(super) async fn page_for(
        &self,
        actor: &Actor,
        mut query: ListKeys,
    ) -> Result<Page, StoreError> {
        if let Some(own) = actor.own_environment() {
            if query.environment.is_some_and(|asked| asked != own) {
                return Ok(Page::default());
            }
            query = query.with_environment(own);
        }
        let records = &self.inner.records;
        match actor.view(&self.inner.policy) {
            View::Nothing => Ok(Page::default()),
            View::Everything => records.list(&query).await,
            View::Tenant(own) if query.tenant.as_ref().is_some_and(|asked| asked != own) => {
                Ok(Page::default())
            }
            View::Tenant(own) => records.list(&query.with_tenant(own.clone())).await,
            View::Unbound => self.list_unbound(query).await,
        }
    }

    /// SECURITY: the place to continue from names a key, so it must be one that the actor may know of: the pages of
    /// the store are read on until there are enough of those.
    async fn list_unbound(&self, mut query: ListKeys) -> Result<Page, StoreError> {
        let size = query.page_size();
        let mut found = Vec::new();
        loop {
            let page = self.inner.records.list(&query).await?;
            let visible = |record: &Arc<KeyRecord>| record.tenant == TenantBinding::None;
            found.extend(page.records.into_iter().filter(visible));
            match page.next {
                Some(next) if found.len() <= size => query = query.with_after(next),
                Some(_) | None => return Ok(Page::cut(found, &query)),
            }
        }
    }

    /// Answers a ready-made question, one page at a time: `page` gives the place to continue from and the page size.
    ///
    /// [`Review::ExpiringWithin`] comes soonest first; [`Review::DueForRotation`], [`Review::RotationOverdue`] and
    /// [`Review::OverdueWithin`] come oldest secret first, the others newest first. A page of [`Review::AdminKeys`] or of the two
    /// about enforced ages is picked from at most ten thousand keys or some, so it may be short and still have a next one.
    ///
    /// # Errors
    ///
    /// As [`KeyService::list`].
    pub async fn review(
        &self,
        actor: &Actor,
        review: &Review,
        page: ListKeys,
    ) -> Result<Page, LifecycleError> {
        let now = self.inner.clock.now();
        let active = |query: ListKeys| query.with_status(KeyStatus::Active, now);
        let query = match review {
            Review::DueForRotation => active(page)
                .with_rotated_before(after(now.saturating_sub(self.inner.settings.rotation_age)))
                .with_order(ListOrder::OldestSecret),
            Review::ExpiringWithin(span) => active(page)
                .with_expires_before(after(now.saturating_add(*span)))
                .with_order(ListOrder::SoonestExpiry),
            Review::RotationOverdue => {
                let until_now = Timestamp::MIN..=now;
                return self.refused_in(actor, active(page), until_now).await;
            }
            Review::OverdueWithin(span) => {
                let soon = after(now)..=now.saturating_add(*span);
                return self.refused_in(actor, active(page), soon).await;
            }
            Review::NeverUsed => active(page).with_usage(UsageFilter::Never),
            Review::UnusedFor(span) => {
                active(page).with_usage(UsageFilter::NotSince(after(now.saturating_sub(*span))))
            }
            Review::AdminKeys => {
                let managing = |record: &KeyRecord| self.manages_keys(record);
                return self.picked(actor, active(page), managing).await;
            }
            Review::Exposed => active(page).with_exposed(),
            Review::OfOwner(owner) => page.with_owner(owner.clone()),
        };
        self.list(actor, query).await
    }

    /// What a key may do, and how old it may become, is decided by roles and scopes together, so no store can filter by it.
    pub(super) async fn picked(
        &self,
        actor: &Actor,
        query: ListKeys,
        fits: impl Fn(&KeyRecord) -> bool + Send + Sync,
    ) -> Result<Page, LifecycleError> {
        let mut walk = query.clone().with_limit(ListKeys::MAX_LIMIT);
        let (mut found, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let page = self.list(actor, walk.clone()).await?;
            looked_at = looked_at.saturating_add(page.records.len());
            found.extend(page.records.into_iter().filter(|record| fits(record)));
            match page.next {
                Some(next) if found.len() <= query.page_size() && looked_at < MOST_LOOKED_AT => {
                    walk = walk.with_after(next);
                }
                Some(next) if found.len() <= query.page_size() => {
                    return Ok(Page {
                        records: found,
                        next: Some(next),
                    });
                }
                Some(_) | None => return Ok(Page::cut(found, &query)),
            }
        }
    }

    pub(super) fn manages_keys(&self, record: &KeyRecord) -> bool {
        let manage = Requirement::permission(self.inner.settings.manage.clone());
        self.inner
            .policy
            .evaluate(&record.subject(), &manage, &Target::Service)
            .is_allowed()
    }

    /// Returns the form of a key for lists: `pm_live_…a1B2`, `pm_pub_live_…a1B2` of a publishable one, or `None` if the last four characters of its secret are not known, as with
    /// some imported keys.
    #[must_use]
    pub fn hint(&self, record: &KeyRecord) -> Option<String> {
        let tail = record.current.hint?;
        let prefix = self.inner.format.prefix();
        let lead = lead_of(record.kind, prefix, record.environment);
        Some(format!("{lead}…{tail}"))
    }

    /// Removes a key that is revoked or expired from the store, for good.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::WrongState`] while the key could still be used; otherwise as [`KeyService::update`].
    pub async fn delete(&self, actor: &Actor, id: &KeyId) -> Result<(), LifecycleError> {
        let admitted = self.admit(actor).await;
        let refused = admitted.as_ref().err();
        self.note_refusal(AuditKind::KeyDeleted, actor, Some(id), refused);
        let record = self.visible(&admitted?, id).await?.into_shown();
        let now = self.inner.clock.now();
        let state = record.status(now);
        if matches!(state, KeyStatus::Active | KeyStatus::Disabled) {
            return Err(LifecycleError::WrongState { state });
        }
        let told = Told {
            kind: AuditKind::KeyDeleted,
            actor,
            record: &record,
            now,
            details: &[],
        };
        let deleted = if self.inner.records.keep_the_trail() {
            self.delete_together(told).await
        } else {
            let recorded = self.inner.trail.record(told).await;
            recorded.map_err(LifecycleError::Audit)?;
            let deleted = self.inner.records.delete(&record).await;
            deleted.map_err(AuditedError::Store)
        };
        if let Err(error) = deleted {
            let error = LifecycleError::from(error);
            self.tell_failure(told, &error).await;
            return Err(error);
        }
        self.inner.proofs.forget(id.as_str());
        Ok(())
    }
}

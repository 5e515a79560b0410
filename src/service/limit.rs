use std::net::IpAddr;

use super::charges::Charges;
use super::{KeyService, VerifiedKey};
use crate::rate_limit::{
    Charge, Mode, Quota, RateDecision, RateLimitError, RateLimiter as _, Subject, Tier, Tiers,
};
use crate::time::Timestamp;

/// Which limits apply to a request.
///
/// The quotas of the key's tier always do. Those of its address, tenant and owner are off unless set.
///
/// ```
/// use keyward::rate_limit::{Quota, Tier, Tiers};
/// use keyward::service::LimitPlan;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let batch = Tier::new("batch", [Quota::per_minute(6000)?.named("batch")?])?;
/// let plan = LimitPlan::new(Tiers::standard().with(batch)?, "starter")?
///     .per_address([Quota::per_minute(1000)?.named("ip")?]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LimitPlan {
    tiers: Tiers,
    default_tier: Tier,
    address: Vec<Quota>,
    tenant: Vec<Quota>,
    owner: Vec<Quota>,
}

/// A request could not be held to its limits. It must not be served as if it had been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The key names a tier that the service does not know.
    #[error("the key's tier is not configured")]
    UnknownTier,
    /// The limiter is out of order.
    #[error("the rate limiter could not decide")]
    Limiter(#[source] RateLimitError),
}

/// The default tier is not one of the tiers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the default tier is not one of the tiers")]
#[non_exhaustive]
pub struct UnknownTier;

impl LimitPlan {
    /// Returns a plan with those tiers; keys without a tier are in `default_tier`.
    ///
    /// # Errors
    ///
    /// [`UnknownTier`] when the default tier is not one of them.
    pub fn new(tiers: Tiers, default_tier: &str) -> Result<Self, UnknownTier> {
        let default_tier = tiers.get(default_tier).cloned().ok_or(UnknownTier)?;
        Ok(Self {
            tiers,
            default_tier,
            address: Vec::new(),
            tenant: Vec::new(),
            owner: Vec::new(),
        })
    }

    /// Returns the standard tiers, `starter` for keys without one.
    pub(super) fn standard() -> Result<Self, UnknownTier> {
        Self::new(Tiers::standard(), "starter")
    }

    /// Limits each client address (IPv6: each /64), over all keys.
    pub fn per_address(mut self, quotas: impl IntoIterator<Item = Quota>) -> Self {
        self.address = quotas.into_iter().collect();
        self
    }

    /// Limits each tenant, over all its keys.
    pub fn per_tenant(mut self, quotas: impl IntoIterator<Item = Quota>) -> Self {
        self.tenant = quotas.into_iter().collect();
        self
    }

    /// Limits each owner, over all its keys.
    pub fn per_owner(mut self, quotas: impl IntoIterator<Item = Quota>) -> Self {
        self.owner = quotas.into_iter().collect();
        self
    }

    /// Returns the tier with that name.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.get(name)
    }

    /// Returns whether a key in tier `own` may hand out keys in these: for each quota of its own one that is no larger
    /// and refills no faster.
    pub(super) fn encloses(&self, own: Option<&str>, child: [Option<&str>; 2]) -> bool {
        let named = |name: Option<&str>| name.map_or(Some(&self.default_tier), |it| self.tier(it));
        let [usual, meanwhile] = child;
        let Some(own) = named(own) else { return false };
        let wanted = [
            named(usual),
            meanwhile.map_or(Some(own), |it| self.tier(it)),
        ];
        wanted
            .into_iter()
            .all(|tier| tier.is_some_and(|tier| is_slower(tier, own)))
    }

    /// Returns how many quotas can meet in one request.
    pub(super) fn most_charges(&self) -> usize {
        let widest = self
            .tiers
            .iter()
            .map(|tier| tier.quotas().len())
            .max()
            .unwrap_or(0);
        [self.address.len(), self.tenant.len(), self.owner.len()]
            .into_iter()
            .fold(widest, usize::saturating_add)
    }
}

/// Whether everything that `tier` admits, `other` admits.
fn is_slower(tier: &Tier, other: &Tier) -> bool {
    other.quotas().iter().all(|wide| {
        let same = |narrow: &&Quota| narrow.bucket_label() == wide.bucket_label();
        let narrow = tier.quotas().iter().find(same);
        narrow.is_some_and(|it| it.burst() <= wide.burst() && it.interval() >= wide.interval())
    })
}

impl KeyService {
    /// Holds a request of a verified key to every limit that applies, and charges all of them or none.
    ///
    /// `cost` is what the request counts for: 1 as a rule, 0 to look without charging. Ask after
    /// [`KeyService::authorize`], so that a refused call does not drain the owner's budget.
    ///
    /// # Errors
    ///
    /// [`LimitError`] when nothing could be decided; the request must then not be served.
    pub async fn limit(&self, key: &VerifiedKey, cost: u32) -> Result<RateDecision, LimitError> {
        let mode = if cost == 0 { Mode::Peek } else { Mode::Consume };
        let decision = self.decide_limit(key, cost, mode).await;
        decision.inspect_err(|error| self.report_outage("limit", error))
    }

    /// Gives back what a request was charged, when it turned out not to count.
    ///
    /// # Errors
    ///
    /// [`LimitError`] when nothing was given back.
    pub async fn refund(&self, key: &VerifiedKey, cost: u32) -> Result<RateDecision, LimitError> {
        self.decide_limit(key, cost, Mode::Refund).await
    }

    /// Returns where the limits of an address stand, without charging them: all that a client may learn of its limits
    /// before its key is accepted.
    ///
    /// # Errors
    ///
    /// [`LimitError`] when nothing could be found out.
    pub async fn address_limits(&self, client: IpAddr) -> Result<RateDecision, LimitError> {
        let quotas = &self.inner.limits.address;
        if quotas.is_empty() {
            return Ok(RateDecision::unlimited());
        }
        let mut charges = Charges::of(0);
        charges.add(Subject::ip(client), quotas);
        self.apply(charges.as_slice(), Mode::Peek, self.inner.clock.now())
            .await
    }

    async fn decide_limit(
        &self,
        key: &VerifiedKey,
        cost: u32,
        mode: Mode,
    ) -> Result<RateDecision, LimitError> {
        let now = self.inner.clock.now();
        let tier = self.tier_of(key, now)?;
        let charges = self.charges(key, tier, cost);
        if charges.as_slice().is_empty() {
            return Ok(RateDecision::unlimited());
        }
        let decision = self.apply(charges.as_slice(), mode, now).await?;
        if !decision.is_allowed() {
            self.inner.trail.limit_hit(key, &decision, now);
        }
        Ok(decision)
    }

    fn tier_of(&self, key: &VerifiedKey, now: Timestamp) -> Result<&Tier, LimitError> {
        let plan = &self.inner.limits;
        match key.record().tier_at(now) {
            Some(name) => plan.tier(name).ok_or(LimitError::UnknownTier),
            None => Ok(&plan.default_tier),
        }
    }

    fn charges<'a>(&'a self, key: &'a VerifiedKey, tier: &'a Tier, cost: u32) -> Charges<'a> {
        let (plan, record) = (&self.inner.limits, key.record());
        let mut charges = Charges::of(cost);
        charges.add(Subject::key(record.id.as_str()), tier.quotas());
        if let Some(client) = key.client().filter(|_| !plan.address.is_empty()) {
            charges.add(Subject::ip(client), &plan.address);
        }
        if let Some(tenant) = record.tenant.tenant() {
            charges.add(Subject::tenant(tenant.as_str()), &plan.tenant);
        }
        charges.add(Subject::owner(record.owner.as_str()), &plan.owner);
        charges
    }

    async fn apply(
        &self,
        charges: &[Charge<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> Result<RateDecision, LimitError> {
        let reply = self.inner.limiter.apply(charges, mode, now);
        // An answer that is there already is read where it lies.
        if let Some(Ok(answer)) = reply.as_ready() {
            return RateDecision::new(charges, answer, now).map_err(LimitError::Limiter);
        }
        let answer = reply.await.map_err(LimitError::Limiter)?;
        RateDecision::new(charges, &answer, now).map_err(LimitError::Limiter)
    }
}

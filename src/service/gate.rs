//! The budget of failed attempts, per address and per key id.

use std::net::IpAddr;
use std::time::Duration;

use crate::key::KeyId;
use crate::rate_limit::{
    Charge, MemoryRateLimiter, Mode, Quota, QuotaState, RateDecision, RateLimiter as _, Subject,
};
use crate::sync::atomic::{AtomicI64, Ordering};
use crate::time::Timestamp;

/// How many failed attempts an address and a key id may make.
///
/// Over it, an address is not looked at any more unless its key was proved before in this process, and first checks
/// of the key id wait behind everybody else's. Neither can lock an owner out of a key that works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailureBudget {
    /// Failed attempts of one address (IPv6: one /64).
    pub per_address: Quota,
    /// Failed attempts against one key id, from wherever.
    pub per_key: Quota,
}

impl FailureBudget {
    /// Returns a budget.
    #[must_use]
    pub const fn new(per_address: Quota, per_key: Quota) -> Self {
        Self {
            per_address,
            per_key,
        }
    }
}

/// Counts failed attempts and says who has made too many.
#[derive(Debug)]
pub(super) struct FailureGate {
    limiter: MemoryRateLimiter,
    budget: FailureBudget,
    /// Until this moment, in microseconds, some address may owe something: as long as nobody fails, no request has to
    /// look its address up.
    owing_until: AtomicI64,
}

impl FailureGate {
    pub(super) const fn new(limiter: MemoryRateLimiter, budget: FailureBudget) -> Self {
        Self {
            limiter,
            budget,
            owing_until: AtomicI64::new(i64::MIN),
        }
    }

    /// Returns how long the address has to wait, if it has failed too often.
    pub(super) fn blocked(&self, client: IpAddr, now: Timestamp) -> Option<Duration> {
        if now.as_micros() >= self.owing_until.load(Ordering::Relaxed) {
            return None;
        }
        let charge = Charge::new(Subject::ip(client), &self.budget.per_address);
        self.look(&charge, now, |state| {
            (state.remaining() == 0).then(|| state.next_token_in())
        })
        .flatten()
    }

    /// Returns whether failed attempts of this source are still remembered, or too many against this key id are.
    pub(super) fn suspicious(&self, client: Option<IpAddr>, id: &KeyId, now: Timestamp) -> bool {
        let source = client.and_then(|client| {
            let charge = Charge::new(Subject::ip(client), &self.budget.per_address);
            self.look(&charge, now, |state| state.remaining() < state.limit())
        });
        let key = Charge::new(Subject::claimed_key(id.as_str()), &self.budget.per_key);
        source.unwrap_or(false)
            || self
                .look(&key, now, |state| state.remaining() == 0)
                .unwrap_or(false)
    }

    /// Charges a failed attempt. An empty bucket stays empty.
    pub(super) fn charge(&self, client: Option<IpAddr>, id: Option<&KeyId>, now: Timestamp) {
        let longest = self.budget.per_address.bucket().capacity();
        let until = now.as_micros().saturating_add(longest);
        self.owing_until.fetch_max(until, Ordering::Relaxed);
        let source =
            client.map(|client| Charge::new(Subject::ip(client), &self.budget.per_address));
        let key = id.map(|id| Charge::new(Subject::claimed_key(id.as_str()), &self.budget.per_key));
        for charge in [source, key].into_iter().flatten() {
            drop(self.limiter.apply(&[charge], Mode::Consume, now));
        }
    }

    fn look<T>(
        &self,
        charge: &Charge<'_>,
        now: Timestamp,
        read: impl FnOnce(&QuotaState) -> T,
    ) -> Option<T> {
        let charges = [*charge];
        let reply = self.limiter.apply(&charges, Mode::Peek, now);
        let answer = reply.as_ready()?.as_ref().ok()?;
        let decision = RateDecision::new(&charges, answer, now).ok()?;
        decision.states().next().map(read)
    }
}

//! Permission, then limits: what stands between a verified key and the handler.

use std::sync::Arc;

use ::http::request::Parts;

use super::exchange::Exchange;
use super::tenant::Found;
use super::{Problem, TenantFrom};
use crate::access::{Requirement, Target};
use crate::rate_limit::{RateDecision, Source};
use crate::service::{LimitError, VerifiedKey};

/// What a route asks of a key, and what a request of it costs.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) requirement: Option<Arc<Requirement>>,
    pub(super) tenant: TenantFrom,
    pub(super) cost: Option<u32>,
}

impl Gate {
    /// Any valid key, at the price of one.
    pub(super) const fn any_key() -> Self {
        Self {
            requirement: None,
            tenant: TenantFrom::service(),
            cost: None,
        }
    }

    /// Lets a request pass, or says why not. However many gates a request passes, its limits are charged once: what an
    /// outer gate took is given back when an inner one refuses, and made up to the inner one's cost when it does not.
    pub(super) async fn pass(&self, exchange: &Exchange, parts: &mut Parts) -> Result<(), Problem> {
        let Some(key) = exchange.progress(|progress| progress.key.clone()) else {
            return Err(Problem::unprotected());
        };
        self.authorise(exchange, &key, parts).await?;
        self.settle(exchange, &key).await?;
        parts.extensions.insert(key);
        Ok(())
    }

    async fn authorise(
        &self,
        exchange: &Exchange,
        key: &VerifiedKey,
        parts: &mut Parts,
    ) -> Result<(), Problem> {
        let Some(requirement) = &self.requirement else {
            return Ok(());
        };
        let found = self.tenant.find(parts).await;
        let target = match &found {
            Found::Service => Target::Service,
            Found::Tenant(tenant) => Target::tenant_of(tenant.as_ref()),
        };
        let decision = exchange.service().authorize(key, requirement, &target);
        if let Some(reason) = decision.reason() {
            let code = reason.code();
            exchange.progress(|progress| progress.refused = Some(code));
            exchange.uncharge(key).await;
            return Err(Problem::forbidden(requirement));
        }
        Ok(())
    }

    /// Charges a request that went past every gate.
    pub(super) async fn charge_late(&self, exchange: &Exchange) -> Result<(), Problem> {
        match exchange.progress(|progress| progress.key.clone()) {
            Some(key) => self.settle(exchange, &key).await,
            None => Err(Problem::unprotected()),
        }
    }

    async fn settle(&self, exchange: &Exchange, key: &VerifiedKey) -> Result<(), Problem> {
        let charged = exchange.progress(|progress| progress.charged);
        let (before, wanted) = match (charged, self.cost) {
            (Some(before), None) => (before, before),
            (before, cost) => (before.unwrap_or(0), cost.unwrap_or(1)),
        };
        if charged == Some(wanted) {
            return Ok(());
        }
        if wanted < before {
            exchange.give_back(key, before.saturating_sub(wanted)).await;
            exchange.progress(|progress| progress.charged = Some(wanted));
            return Ok(());
        }
        let asked = wanted.saturating_sub(before);
        let decision = exchange.service().limit(key, asked).await;
        exchange.take(key, before, wanted, decision).await
    }
}

impl Exchange {
    async fn take(
        &self,
        key: &VerifiedKey,
        before: u32,
        wanted: u32,
        decision: Result<RateDecision, LimitError>,
    ) -> Result<(), Problem> {
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => {
                let code = match error {
                    LimitError::UnknownTier => "unknown_tier",
                    LimitError::Limiter(_) => "limiter_unavailable",
                };
                self.progress(|progress| progress.refused = Some(code));
                return Err(error.into());
            }
        };
        if decision.is_allowed() {
            self.progress(|progress| {
                progress.limits = Some(decision);
                progress.charged = Some(wanted);
            });
            return Ok(());
        }
        if before > 0 {
            self.give_back(key, before).await;
        }
        let problem = Problem::rate_limited(&decision);
        self.progress(|progress| {
            progress.limits = Some(decision);
            progress.charged = Some(0);
            progress.refused = Some("rate_limited");
        });
        Err(problem)
    }

    /// Leaves the request uncharged, and finds out where its limits stand.
    async fn uncharge(&self, key: &VerifiedKey) {
        match self.progress(|progress| progress.charged.replace(0)) {
            Some(charged) if charged > 0 => self.give_back(key, charged).await,
            Some(_) => {}
            None => {
                let peeked = self.service().limit(key, 0).await.ok();
                self.progress(|progress| progress.limits = peeked);
            }
        }
    }

    /// A charge that the limiter itself did not count cannot be given back to it.
    async fn give_back(&self, key: &VerifiedKey, cost: u32) {
        let counted = self.progress(|progress| {
            let limits = progress.limits.as_ref();
            limits.is_some_and(|limits| limits.source() == Source::Backend)
        });
        if !counted {
            return;
        }
        if let Ok(decision) = self.service().refund(key, cost).await {
            self.progress(|progress| progress.limits = Some(decision));
        }
    }
}

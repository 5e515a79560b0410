//! Services to measure.

use std::sync::Arc;

use async_trait::async_trait;
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::audit::{AuditError, AuditEvent, AuditSink};
use keyward::key::{KeyFormat, TagKey, TagPolicy, TagRing};
use keyward::rate_limit::{Quota, Tier, Tiers};
use keyward::service::{Actor, IssueKey, IssuedKey, KeyService, KeyServiceBuilder, LimitPlan};
use keyward::store::KeyStore;
use tokio::runtime::Runtime;

/// Takes every event and keeps none, so that what is measured is the crate and not a disk.
#[derive(Debug)]
pub(crate) struct Nowhere;

#[async_trait]
impl AuditSink for Nowhere {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        std::hint::black_box(events);
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }
}

/// Requests run on the calling thread, as on a server's worker; audit and usage on the other one.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A tier that no benchmark exhausts.
pub(crate) fn builder(store: Arc<dyn KeyStore>) -> KeyServiceBuilder {
    let wide = Tier::new(
        "wide",
        [Quota::per_second(1_000_000).unwrap().named("wide").unwrap()],
    )
    .unwrap();
    let plan = LimitPlan::new(Tiers::standard().with(wide).unwrap(), "wide").unwrap();
    let agent = Role::new("agent", ["send_email", "read_analytics", "leads:*"]).unwrap();
    let policy = AccessPolicy::builder().role(agent).build().unwrap();
    KeyService::builder(store)
        .limits(plan)
        .policy(policy)
        .audit(Nowhere)
}

pub(crate) fn tagged() -> KeyFormat {
    let ring = TagRing::new(TagKey::new(&[7; 32]).unwrap());
    KeyFormat::builder()
        .tags(TagPolicy::Required(ring))
        .build()
        .unwrap()
}

pub(crate) async fn issue(service: &KeyService) -> IssuedKey {
    let grant = Grant::try_role_with_scopes(
        "agent".parse().unwrap(),
        ["send_email".parse().unwrap(), "leads:read".parse().unwrap()],
    );
    let request = IssueKey::new("acme".parse().unwrap(), "bench", grant.unwrap());
    service
        .issue(&Actor::system("bench").unwrap(), request)
        .await
        .unwrap()
}

//! Limits of a verified key: which quotas, at what cost, and never a pass when nobody can count.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "a test may fail where it stands"
)]

mod common;

use common::*;
use keyward::audit::{AuditKind, Detail, Outcome};
use keyward::key::TierOverride;
use keyward::rate_limit::{
    Charge, Mode, Quota, RateLimitError, RateLimiter, Reply, Tier, Tiers, TimeSource,
};
use keyward::service::{
    BuildError, Field, KeyServiceBuilder, LimitError, LimitPlan, UpdateKey, VerifiedKey,
};
use keyward::time::{Clock as _, Timestamp};

fn quota(per_minute: u32, name: &str) -> Quota {
    Quota::per_minute(per_minute).unwrap().named(name).unwrap()
}

async fn verified(rig: &Rig, request: keyward::service::IssueKey) -> VerifiedKey {
    let issued = rig.issue_as(request).await;
    rig.verify_from(issued.key().expose(), "192.0.2.1")
        .await
        .unwrap()
}

async fn allowed(rig: &Rig, key: &VerifiedKey, cost: u32) -> bool {
    rig.service.limit(key, cost).await.unwrap().is_allowed()
}

#[tokio::test]
async fn a_key_has_the_quota_of_its_tier() {
    for (tier, per_minute) in [(None, 60), (Some("pro"), 300), (Some("enterprise"), 1000)] {
        let rig = rig();
        let asked = tier.map_or_else(request, |tier| request().with_tier(tier));
        let key = verified(&rig, asked).await;
        assert!(!allowed(&rig, &key, per_minute + 1).await);
        assert!(allowed(&rig, &key, per_minute).await);
        assert!(!allowed(&rig, &key, 1).await);
    }
}

#[tokio::test]
async fn an_override_holds_until_its_end() {
    let rig = rig();
    let issued = rig.issue().await;
    let until = rig.clock.now().saturating_add(HOUR);
    let over = TierOverride::new("pro", until);
    let update = UpdateKey::new().with_tier_override(Field::Set(over));
    let id = &issued.record().id;
    rig.service.update(&admin(), id, update).await.unwrap();
    let key = rig.verify(issued.key().expose()).await.unwrap();
    assert!(allowed(&rig, &key, 300).await);
    rig.clock.advance(HOUR - MICRO);
    let state = rig.service.limit(&key, 0).await.unwrap();
    assert_eq!(state.tightest().unwrap().limit(), 300);
    rig.clock.advance(MICRO);
    let state = rig.service.limit(&key, 0).await.unwrap();
    assert_eq!(state.tightest().unwrap().limit(), 60);
    assert!(!allowed(&rig, &key, 61).await);
}

#[tokio::test]
async fn a_tier_that_nobody_knows_is_an_error_and_no_pass() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.store
        .edit(&issued.record().id, |it| it.tier = Some("gold".to_owned()))
        .await;
    let key = rig.verify(issued.key().expose()).await.unwrap();
    let outcome = rig.service.limit(&key, 1).await.unwrap_err();
    assert!(matches!(outcome, LimitError::UnknownTier));
}

#[tokio::test]
async fn a_look_costs_nothing_and_tells_what_is_left() {
    let rig = rig();
    let key = verified(&rig, request()).await;
    for _ in 0..3 {
        let look = rig.service.limit(&key, 0).await.unwrap();
        assert_eq!(look.tightest().unwrap().remaining(), 60);
    }
    assert!(allowed(&rig, &key, 60).await);
    let look = rig.service.limit(&key, 0).await.unwrap();
    assert_eq!(look.tightest().unwrap().remaining(), 0);
    assert!(rig.events_of(AuditKind::LimitHit).await.is_empty());
}

#[tokio::test]
async fn a_refund_gives_back_what_was_charged() {
    let rig = rig();
    let key = verified(&rig, request()).await;
    assert!(allowed(&rig, &key, 60).await);
    assert!(!allowed(&rig, &key, 1).await);
    let refund = rig.service.refund(&key, 2).await.unwrap();
    assert!(refund.is_allowed());
    assert!(allowed(&rig, &key, 2).await);
    assert!(!allowed(&rig, &key, 1).await);
}

#[tokio::test]
async fn after_exactly_the_wait_the_request_passes() {
    let rig = rig();
    let key = verified(&rig, request()).await;
    assert!(allowed(&rig, &key, 60).await);
    let denied = rig.service.limit(&key, 3).await.unwrap();
    let wait = match denied.outcome() {
        keyward::rate_limit::Outcome::Denied { wait } => wait,
        other => panic!("{other:?}"),
    };
    rig.clock.advance(wait - MICRO);
    assert!(!allowed(&rig, &key, 3).await);
    rig.clock.advance(MICRO);
    assert!(allowed(&rig, &key, 3).await);
}

/// 10 a minute for the key; and for its address, tenant and owner what is said.
fn plan(address: u32, tenant: u32, owner: u32) -> LimitPlan {
    let tier = Tier::new("tier", [quota(10, "key")]).unwrap();
    LimitPlan::new(Tiers::empty().with(tier).unwrap(), "tier")
        .unwrap()
        .per_address([quota(address, "address")])
        .per_tenant([quota(tenant, "tenant")])
        .per_owner([quota(owner, "owner")])
}

#[tokio::test]
async fn every_limit_is_charged_or_none() {
    for (address, of_tenant, owner, culprit) in [
        (3, 90, 90, "address"),
        (90, 3, 90, "tenant"),
        (90, 90, 3, "owner"),
    ] {
        let rig = Rig::new(|it| it.limits(plan(address, of_tenant, owner)));
        let key = verified(&rig, request().with_tenant(tenant("t1"))).await;
        let denied = rig.service.limit(&key, 4).await.unwrap();
        assert!(!denied.is_allowed());
        let names: Vec<_> = denied.denied().map(|it| it.name().to_owned()).collect();
        assert_eq!(names, [culprit]);
        let look = rig.service.limit(&key, 0).await.unwrap();
        let full = look.states().all(|it| it.remaining() == it.limit());
        assert!(full, "nothing was charged for {culprit}");
        assert!(allowed(&rig, &key, 3).await);
        assert!(!allowed(&rig, &key, 1).await);
    }
}

#[tokio::test]
async fn keys_of_one_owner_share_the_owners_limit() {
    let rig = Rig::new(|it| it.limits(plan(90, 90, 5)));
    let (one, two) = (
        verified(&rig, request()).await,
        verified(&rig, request()).await,
    );
    assert!(allowed(&rig, &one, 3).await);
    assert!(allowed(&rig, &two, 2).await);
    assert!(!allowed(&rig, &one, 1).await);
    assert!(!allowed(&rig, &two, 1).await);
}

#[tokio::test]
async fn addresses_of_one_v6_network_share_the_limit_of_an_address() {
    let rig = Rig::new(|it| it.limits(plan(3, 90, 90)));
    let from = async |client: &str| {
        let issued = rig.issue().await;
        let key = rig.verify_from(issued.key().expose(), client).await;
        allowed(&rig, &key.unwrap(), 1).await
    };
    for client in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1:2:3"] {
        assert!(from(client).await, "{client}");
    }
    assert!(
        !from("2001:db8::4").await,
        "another address of the same /64"
    );
    assert!(from("2001:db8:0:1::1").await, "the next /64");
    // Mapped or not, a v4 address is one of its own.
    for client in ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"] {
        assert!(from(client).await, "{client}");
    }
    assert!(!from("::ffff:192.0.2.1").await);
    assert!(from("192.0.2.2").await);
}

#[tokio::test]
async fn a_request_of_no_known_address_or_tenant_has_the_other_limits() {
    let rig = Rig::new(|it| it.limits(plan(1, 1, 90)));
    let issued = rig.issue().await;
    let key = rig.verify(issued.key().expose()).await.unwrap();
    assert!(allowed(&rig, &key, 10).await);
    assert!(!allowed(&rig, &key, 1).await);
}

#[tokio::test]
async fn a_hit_limit_is_written_down_with_its_quota() {
    let rig = rig();
    let key = verified(&rig, request()).await;
    assert!(!allowed(&rig, &key, 61).await);
    let events = rig.events().await;
    let hit = events.last().unwrap();
    assert_eq!(
        (hit.kind(), hit.outcome()),
        (AuditKind::LimitHit, Outcome::Failure)
    );
    assert_eq!(hit.key_id(), Some(key.id().as_str()));
    assert!(matches!(hit.detail("quotas"), Some(Detail::Text(_))));
}

#[derive(Debug)]
struct Broken;

impl RateLimiter for Broken {
    fn apply<'a>(&'a self, _: &'a [Charge<'a>], _: Mode, _: Timestamp) -> Reply<'a> {
        Reply::ready(Err(RateLimitError::unavailable("told to fail")))
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

#[tokio::test]
async fn a_broken_limiter_is_an_error_and_no_pass() {
    let rig = Rig::new(|it| it.limiter(Broken));
    let key = verified(&rig, request()).await;
    for cost in [0, 1] {
        let outcome = rig.service.limit(&key, cost).await.unwrap_err();
        assert!(matches!(outcome, LimitError::Limiter(_)));
    }
    let refund = rig.service.refund(&key, 1).await.unwrap_err();
    assert!(matches!(refund, LimitError::Limiter(_)));
}

#[tokio::test]
async fn a_clock_that_steps_back_frees_nobody() {
    let rig = rig();
    let key = verified(&rig, request()).await;
    assert!(allowed(&rig, &key, 60).await);
    for now in [
        rig.clock.now().saturating_sub(HOUR * 24),
        Timestamp::EPOCH,
        Timestamp::MIN,
    ] {
        rig.clock.set(now);
        assert!(!allowed(&rig, &key, 1).await);
    }
}

#[tokio::test]
async fn more_quotas_than_a_limiter_takes_are_refused_when_the_service_is_built() {
    let many = |count: u32| (0..count).map(|place| quota(1, &format!("q{place}")));
    let store = TestStore::new;
    let build = |count| {
        let builder: KeyServiceBuilder = keyward::service::KeyService::builder(store());
        let plan = LimitPlan::new(Tiers::standard(), "starter").unwrap();
        builder.limits(plan.per_owner(many(count))).build()
    };
    assert!(build(15).is_ok());
    assert!(matches!(
        build(16).unwrap_err(),
        BuildError::TooManyQuotas { count: 17 }
    ));
}

//! A key that manages keys gives no more than it has, and knows of no other tenant.
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

use std::fmt::Debug;

use common::*;
use keyward::access::{Grant, TenantBinding};
use keyward::audit::{AuditKind, Detail, Outcome};
use keyward::hash::DigestText;
use keyward::key::{Environment, KeyFormat, KeyId, Thumbprint, TierOverride};
use keyward::service::{
    Actor, Field, ImportKey, IssueKey, IssuedKey, LifecycleError, RequestContext, Review, Rotation,
    UpdateKey,
};
use keyward::store::{KeyStore as _, ListKeys};
use keyward::time::Clock as _;

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn narrowed(name: &str, list: &[&str]) -> Grant {
    let scopes = list.iter().map(|scope| scope.parse().unwrap());
    Grant::try_role_with_scopes(name.parse().unwrap(), scopes).unwrap()
}

/// A tenant's administrator, and its key.
async fn boss(rig: &Rig) -> (Actor, IssuedKey) {
    let key = rig
        .issue_as(request_with(role("keys")).with_tenant(tenant("t1")))
        .await;
    (rig.acting(&key).await, key)
}

fn child(grant: Grant) -> IssueKey {
    request_with(grant).with_tenant(tenant("t1"))
}

#[derive(Debug, Eq, PartialEq)]
enum Kind {
    Missing,
    NotPermitted,
    Beyond,
    Exceeds(&'static str),
}

fn kind<T: Debug>(outcome: Result<T, LifecycleError>) -> Kind {
    match outcome.unwrap_err() {
        LifecycleError::NotFound => Kind::Missing,
        LifecycleError::NotPermitted { .. } => Kind::NotPermitted,
        LifecycleError::BeyondActor(_) => Kind::Beyond,
        LifecycleError::ExceedsActor { what } => Kind::Exceeds(what),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_needs_the_managing_permission() {
    let rig = rig();
    let plain = rig.issue().await;
    let target = rig.issue().await.record().id;
    let actor = rig.acting(&plain).await;
    let (service, hashes) = (&rig.service, rig.hasher.hashes());
    assert_eq!(
        kind(service.issue(&actor, request()).await),
        Kind::NotPermitted
    );
    assert_eq!(kind(service.get(&actor, &target).await), Kind::NotPermitted);
    assert_eq!(
        kind(service.list(&actor, ListKeys::new()).await),
        Kind::NotPermitted
    );
    let review = service.review(&actor, &Review::AdminKeys, ListKeys::new());
    assert_eq!(kind(review.await), Kind::NotPermitted);
    let rotate = service.rotate(&actor, &target, Rotation::AtOnce);
    assert_eq!(kind(rotate.await), Kind::NotPermitted);
    let revoke = service.revoke(&actor, &target, "why not");
    assert_eq!(kind(revoke.await), Kind::NotPermitted);
    assert_eq!(
        kind(service.disable(&actor, &target).await),
        Kind::NotPermitted
    );
    assert_eq!(
        kind(service.enable(&actor, &target).await),
        Kind::NotPermitted
    );
    assert_eq!(
        kind(service.delete(&actor, &target).await),
        Kind::NotPermitted
    );
    let update = UpdateKey::new().with_name("n".into());
    assert_eq!(
        kind(service.update(&actor, &target, update).await),
        Kind::NotPermitted
    );
    assert_eq!(rig.hasher.hashes(), hashes, "a refusal costs no slow hash");
}

#[tokio::test]
async fn another_managing_permission_can_be_named() {
    let rig = Rig::new(|it| it.manage_permission("leads:admin".parse().unwrap()));
    let grant = scopes(&["leads:admin"]);
    let actor = rig
        .acting(&rig.issue_as(request_with(grant.clone())).await)
        .await;
    assert!(rig.service.issue(&actor, request_with(grant)).await.is_ok());
    let old = rig.issue_as(request_with(scopes(&["manage_keys"]))).await;
    let actor = rig.acting(&old).await;
    let refused = rig.service.issue(&actor, request()).await;
    assert_eq!(kind(refused), Kind::NotPermitted);
}

#[tokio::test]
async fn a_key_issues_inside_its_own_grant_and_tenant_only() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let issue = async |request| rig.service.issue(&actor, request).await;
    for inside in [
        scopes(&["leads:read"]),
        scopes(&["leads:*", "manage_keys"]),
        role("keys"),
        role("small"),
        narrowed("root", &["leads:read"]),
    ] {
        assert!(issue(child(inside)).await.is_ok());
    }
    for outside in [
        scopes(&["billing:read"]),
        scopes(&["leads:read", "send_email"]),
        role("root"),
        narrowed("root", &["billing:read"]),
    ] {
        assert_eq!(kind(issue(child(outside)).await), Kind::Beyond);
    }
    let small = || request_with(scopes(&["leads:read"]));
    for elsewhere in [
        small(),
        small().with_tenant(tenant("t2")),
        small().with_tenant(TenantBinding::Platform),
    ] {
        assert_eq!(kind(issue(elsewhere).await), Kind::Beyond);
    }
}

#[tokio::test]
async fn a_refused_child_costs_no_hash_and_leaves_a_line() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let hashes = rig.hasher.hashes();
    let refused = rig.service.issue(&actor, child(role("root"))).await;
    assert_eq!(kind(refused), Kind::Beyond);
    assert_eq!(rig.hasher.hashes(), hashes);
    let events = rig.events().await;
    let line = events.last().unwrap();
    assert_eq!(line.kind(), AuditKind::PermissionRefused);
    assert_eq!(line.outcome(), Outcome::Failure);
    assert_eq!(line.reason(), Some("beyond_actor"));
    assert_eq!(line.key_id(), Some(key.record().id.as_str()));
    let operation = line.detail("operation");
    assert_eq!(operation, Some(&Detail::from("key_created")));
}

#[tokio::test]
async fn a_key_issues_inside_its_own_expiry_networks_and_denials_only() {
    let rig = rig();
    let networks = || "10.0.0.0/8".parse().unwrap();
    let own = child(role("keys"))
        .with_lifetime(HOUR)
        .with_networks(networks())
        .with_denied(["leads:delete".parse().unwrap()]);
    let own = rig.issue_as(own).await;
    let key = rig
        .verify_from(own.key().expose(), "10.0.0.1")
        .await
        .unwrap();
    let actor = Actor::key(&key).unwrap();
    let issue = async |request| rig.service.issue(&actor, request).await;
    let denied = || ["leads:delete".parse().unwrap()];
    let good = || {
        child(scopes(&["leads:read"]))
            .with_lifetime(HOUR)
            .with_networks("10.1.0.0/16".parse().unwrap())
            .with_denied(denied())
    };
    assert!(issue(good()).await.is_ok());
    let endless = child(scopes(&["leads:read"]))
        .with_networks(networks())
        .with_denied(denied());
    assert_eq!(kind(issue(endless).await), Kind::Exceeds("expiry"));
    let later = good().with_lifetime(HOUR + MICRO);
    assert_eq!(kind(issue(later).await), Kind::Exceeds("expiry"));
    let wide = good().with_networks("0.0.0.0/0".parse().unwrap());
    assert_eq!(kind(issue(wide).await), Kind::Exceeds("networks"));
    let anywhere = child(scopes(&["leads:read"]))
        .with_lifetime(HOUR)
        .with_denied(denied());
    assert_eq!(kind(issue(anywhere).await), Kind::Exceeds("networks"));
    assert_eq!(kind(issue(good().with_denied([])).await), Kind::Beyond);
}

#[tokio::test]
async fn a_key_imports_inside_its_own_only() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let import = async |id: &str, settings| {
        let digest = DigestText::new(bcrypt::hash("secret", 4).unwrap());
        let import = ImportKey::new(id.parse().unwrap(), digest, settings);
        rig.service.import(&actor, import).await
    };
    assert!(import("a1B2c3D4e5F6", child(role("small"))).await.is_ok());
    let more = import("a1B2c3D4e5F7", child(role("root"))).await;
    assert_eq!(kind(more), Kind::Beyond);
}

#[tokio::test]
async fn a_key_of_another_environment_issues_nothing_here() {
    let live = rig();
    let format = KeyFormat::builder().environment(Environment::test());
    let test = live.another(|it| it.format(format.build().unwrap()));
    let (actor, _) = boss(&live).await;
    let refused = test.service.issue(&actor, child(role("small"))).await;
    assert_eq!(kind(refused), Kind::Exceeds("environment"));
}

#[tokio::test]
async fn a_weaker_key_cannot_bend_take_over_or_wake_a_stronger_one() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let strong = rig.issue_as(child(role("root"))).await;
    let id = strong.record().id;
    let (service, hashes) = (&rig.service, rig.hasher.hashes());
    let rotate = service.rotate(&actor, &id, Rotation::AtOnce).await;
    assert_eq!(kind(rotate), Kind::Beyond);
    let update = UpdateKey::new().with_grant(scopes(&["leads:read"]));
    assert_eq!(
        kind(service.update(&actor, &id, update).await),
        Kind::Beyond
    );
    service.disable(&actor, &id).await.unwrap();
    assert_eq!(kind(service.enable(&actor, &id).await), Kind::Beyond);
    assert_eq!(rig.hasher.hashes(), hashes);
    assert!(service.enable(&admin(), &id).await.is_ok());
}

#[tokio::test]
async fn a_key_updates_others_inside_its_own_only() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let id = rig.issue_as(child(role("small"))).await.record().id;
    let update = async |update| rig.service.update(&actor, &id, update).await;
    let grant = |grant| UpdateKey::new().with_grant(grant);
    assert!(update(grant(scopes(&["leads:write"]))).await.is_ok());
    assert_eq!(kind(update(grant(role("root"))).await), Kind::Beyond);
    let moved = UpdateKey::new().with_tenant(tenant("t2"));
    assert_eq!(kind(update(moved).await), Kind::Beyond);
    let platform = UpdateKey::new().with_tenant(TenantBinding::Platform);
    assert_eq!(kind(update(platform).await), Kind::Beyond);
}

#[tokio::test]
async fn a_key_cannot_change_or_wake_itself() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let id = key.record().id;
    let itself = Kind::Exceeds("acting key itself");
    let later = rig.clock.now().saturating_add(HOUR);
    for update in [
        UpdateKey::new().with_expires_at(Field::Set(later)),
        UpdateKey::new().with_tier(Field::Set("enterprise".into())),
        UpdateKey::new().with_name("n".into()),
    ] {
        assert_eq!(kind(rig.service.update(&actor, &id, update).await), itself);
    }
    // Switched off after it was read for this operation: the compare-and-swap would find it off.
    assert!(
        rig.service.enable(&actor, &id).await.is_ok(),
        "nothing to do"
    );
    rig.service.disable(&admin(), &id).await.unwrap();
    let wake = rig.service.enable(&actor, &id).await;
    assert!(matches!(wake.unwrap_err(), LifecycleError::ActorEnded));
    assert!(rig.record(&id).await.disabled);
}

#[tokio::test]
async fn a_key_that_ended_after_its_verification_manages_nothing() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let target = rig.issue_as(child(role("small"))).await.record().id;
    rig.revoke(&key).await;
    let ended = |error: LifecycleError| matches!(error, LifecycleError::ActorEnded);
    let service = &rig.service;
    let issue = service.issue(&actor, child(role("small"))).await;
    assert!(ended(issue.unwrap_err()));
    assert!(ended(service.get(&actor, &target).await.unwrap_err()));
    let list = service.list(&actor, ListKeys::new()).await;
    assert!(ended(list.unwrap_err()));
    assert!(ended(service.disable(&actor, &target).await.unwrap_err()));
}

#[tokio::test]
async fn a_key_revoked_while_it_issues_leaves_no_new_key() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let inserts = rig.store.count(Call::Insert);
    rig.hasher.gate().close();
    let service = rig.service.clone();
    let issuing = tokio::spawn(async move { service.issue(&actor, child(role("small"))).await });
    wait_for_hashes(&rig, 3).await;
    rig.revoke(&key).await;
    rig.hasher.gate().open();
    let outcome = issuing.await.unwrap();
    assert!(matches!(outcome.unwrap_err(), LifecycleError::ActorEnded));
    assert_eq!(rig.store.count(Call::Insert), inserts);
}

#[tokio::test]
async fn a_key_narrowed_after_its_verification_is_held_to_what_it_is_now() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let narrow = UpdateKey::new().with_grant(scopes(&["manage_keys"]));
    let id = key.record().id;
    rig.service.update(&admin(), &id, narrow).await.unwrap();
    let issue = rig.service.issue(&actor, child(role("small"))).await;
    assert_eq!(kind(issue), Kind::Beyond);
}

#[tokio::test]
async fn another_tenants_key_answers_like_a_missing_one() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let small = || request_with(scopes(&["leads:read"]));
    let theirs = rig.issue_as(small().with_tenant(tenant("t2"))).await;
    let unbound = rig.issue_as(small()).await;
    let missing: KeyId = "000000000000".parse().unwrap();
    let before = rig.events().await.len();
    for id in [theirs.record().id, unbound.record().id, missing] {
        let service = &rig.service;
        let update = UpdateKey::new().with_name("n".into());
        let rotate = Rotation::AtOnce;
        let answers = [
            service.get(&actor, &id).await.map(drop),
            service.rotate(&actor, &id, rotate).await.map(drop),
            service.revoke(&actor, &id, "mine now").await.map(drop),
            service.disable(&actor, &id).await.map(drop),
            service.enable(&actor, &id).await.map(drop),
            service.update(&actor, &id, update).await.map(drop),
            service.delete(&actor, &id).await,
        ];
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.to_string(), "no key has this id");
            assert!(matches!(error, LifecycleError::NotFound));
        }
    }
    assert_eq!(rig.events().await.len(), before);
    assert!(rig.accepts(theirs.key().expose()).await);
}

async fn listed(rig: &Rig, actor: &Actor, query: ListKeys) -> Vec<KeyId> {
    let page = rig.service.list(actor, query).await.unwrap();
    page.records.iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn a_list_shows_a_key_its_own_tenant_only() {
    let rig = rig();
    let (actor, own) = boss(&rig).await;
    let small = || request_with(scopes(&["leads:read"]));
    let theirs = rig.issue_as(small().with_tenant(tenant("t2"))).await;
    let _ = rig.issue_as(small()).await;
    assert_eq!(
        listed(&rig, &actor, ListKeys::new()).await,
        [own.record().id]
    );
    for asked in ["t2", "unheard-of"] {
        let query = ListKeys::new().with_tenant(asked.parse().unwrap());
        assert!(listed(&rig, &actor, query).await.is_empty());
    }
    let query = ListKeys::new().with_tenant("t2".parse().unwrap());
    assert_eq!(listed(&rig, &admin(), query).await, [theirs.record().id]);
}

#[tokio::test]
async fn a_cursor_never_names_a_key_that_the_actor_may_not_know_of() {
    let rig = rig();
    let small = || request_with(scopes(&["leads:read"]));
    let own = rig.issue_as(request_with(role("keys"))).await;
    let actor = rig.acting(&own).await;
    let mut visible = vec![own.record().id];
    for _ in 0..4 {
        rig.clock.advance(SECOND);
        visible.insert(0, rig.issue_as(small()).await.record().id);
        for _ in 0..3 {
            rig.clock.advance(SECOND);
            let _ = rig.issue_as(small().with_tenant(tenant("t2"))).await;
        }
    }
    let mut found = Vec::new();
    let mut query = ListKeys::new().with_limit(2);
    loop {
        let page = rig.service.list(&actor, query.clone()).await.unwrap();
        found.extend(page.records.iter().map(|record| record.id));
        let Some(next) = page.next else { break };
        assert!(visible.contains(&next.id()));
        assert_eq!(page.records.len(), 2, "a page is full while there is more");
        query = query.with_after(next);
    }
    assert_eq!(found, visible);
}

#[tokio::test]
async fn a_platform_key_sees_every_tenant_only_if_its_role_reaches_them() {
    let rig = rig();
    let theirs = rig.issue_as(child(role("small"))).await;
    let platform = |name: &str| request_with(role(name)).with_tenant(TenantBinding::Platform);
    let root = rig.issue_as(platform("root")).await;
    let root = rig.acting(&root).await;
    let keys = rig.issue_as(platform("keys")).await;
    let keys = rig.acting(&keys).await;
    let id = theirs.record().id;
    assert!(rig.service.get(&root, &id).await.is_ok());
    assert_eq!(kind(rig.service.get(&keys, &id).await), Kind::Missing);
    assert_eq!(listed(&rig, &root, ListKeys::new()).await.len(), 3);
    assert!(listed(&rig, &keys, ListKeys::new()).await.is_empty());
}

#[tokio::test]
async fn an_acting_key_is_named_in_the_record_and_in_the_trail() {
    let rig = rig();
    let (actor, own) = boss(&rig).await;
    let issued = rig.service.issue(&actor, child(role("small"))).await;
    let issued = issued.unwrap();
    let name = format!("key:{}", own.record().id);
    assert_eq!(issued.record().created_by.as_str(), name);
    let events = rig.events().await;
    assert_eq!(events.last().unwrap().actor().unwrap().as_str(), name);
    let stored = rig.store.find(&issued.record().id).await.unwrap();
    assert!(stored.is_some());
}

#[tokio::test]
async fn a_certificate_bound_key_issues_keys_of_the_same_certificate_only() {
    let rig = rig();
    let own = Thumbprint::new([7; 32]);
    let key = rig
        .issue_as(child(role("keys")).with_certificate(own))
        .await;
    let context = RequestContext::new().with_certificate(own);
    let key = rig.verify_with(key.key().expose(), &context).await.unwrap();
    let actor = Actor::key(&key).unwrap();
    let issue = async |request| rig.service.issue(&actor, request).await;
    let small = || child(scopes(&["leads:read"]));
    assert!(issue(small().with_certificate(own)).await.is_ok());
    assert_eq!(kind(issue(small()).await), Kind::Exceeds("certificate"));
    let other = small().with_certificate(Thumbprint::new([8; 32]));
    assert_eq!(kind(issue(other).await), Kind::Exceeds("certificate"));
}

#[tokio::test]
async fn only_who_reaches_every_tenant_hands_out_a_faster_tier() {
    let rig = rig();
    let pro = rig.issue_as(child(role("keys")).with_tier("pro")).await;
    let actor = rig.acting(&pro).await;
    let small = || child(scopes(&["leads:read"]));
    for (tier, allowed) in [("starter", true), ("pro", true), ("enterprise", false)] {
        let issued = rig.service.issue(&actor, small().with_tier(tier)).await;
        match allowed {
            true => assert!(issued.is_ok(), "{tier}"),
            false => assert_eq!(kind(issued), Kind::Exceeds("tier")),
        }
    }
    let slow = rig.service.issue(&actor, small()).await.unwrap();
    let until = rig.clock.now().saturating_add(HOUR);
    let faster =
        UpdateKey::new().with_tier_override(Field::Set(TierOverride::new("enterprise", until)));
    let updated = rig.service.update(&actor, &slow.record().id, faster).await;
    assert_eq!(kind(updated), Kind::Exceeds("tier"));

    let root = request_with(role("root")).with_tenant(TenantBinding::Platform);
    let root = rig.issue_as(root).await;
    let root = rig.acting(&root).await;
    let fast = rig
        .service
        .issue(&root, small().with_tier("enterprise"))
        .await;
    assert!(fast.is_ok());
}

#[tokio::test]
async fn an_outgoing_secret_does_not_make_its_own_successor() {
    let rig = rig();
    let (_, old) = boss(&rig).await;
    let id = old.record().id;
    let new = rig
        .service
        .rotate(&admin(), &id, Rotation::Grace(HOUR))
        .await
        .unwrap();
    let outgoing = rig.acting(&old).await;
    let taken = rig.service.rotate(&outgoing, &id, Rotation::AtOnce).await;
    assert_eq!(
        kind(taken),
        Kind::Exceeds("successor of an outgoing secret")
    );
    assert!(rig.accepts(new.key().expose()).await);
    let current = rig.acting(&new).await;
    assert!(
        rig.service
            .rotate(&current, &id, Rotation::AtOnce)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_trail_says_what_was_handed_out_and_by_which_secret() {
    let rig = rig();
    let (actor, _) = boss(&rig).await;
    let request = child(scopes(&["leads:read", "leads:write"]))
        .with_tier("starter")
        .with_lifetime(HOUR)
        .with_networks("10.0.0.0/8".parse().unwrap())
        .with_justification("ticket 7");
    let _ = rig.service.issue(&actor, request).await.unwrap();
    let events = rig.events().await;
    let created = events.last().unwrap();
    assert_eq!(created.kind(), AuditKind::KeyCreated);
    let ends = rig.clock.now().saturating_add(HOUR).to_string();
    for (name, wanted) in [
        ("scopes", "leads:read leads:write"),
        ("tier", "starter"),
        ("expires_at", ends.as_str()),
        ("networks", "10.0.0.0/8"),
        ("justification", "ticket 7"),
    ] {
        assert_eq!(created.detail(name), Some(&Detail::from(wanted)), "{name}");
    }
    assert_eq!(created.detail("actor_generation"), Some(&Detail::Number(1)));
}

#[tokio::test]
async fn a_certificate_bound_key_unbinds_and_rebinds_nobody() {
    let rig = rig();
    let (own, other) = (Thumbprint::new([7; 32]), Thumbprint::new([8; 32]));
    let key = rig
        .issue_as(child(role("keys")).with_certificate(own))
        .await;
    let context = RequestContext::new().with_certificate(own);
    let verified = rig.verify_with(key.key().expose(), &context).await.unwrap();
    let actor = Actor::key(&verified).unwrap();
    let small = || child(scopes(&["leads:read"]));
    let sibling = rig.issue_as(small().with_certificate(own)).await;
    let stranger = rig.issue_as(small().with_certificate(other)).await;
    let itself = Kind::Exceeds("acting key itself");
    for (target, field, wanted) in [
        (&key, Field::Clear, &itself),
        (&key, Field::Set(other), &itself),
        (&sibling, Field::Clear, &Kind::Exceeds("certificate")),
        (&sibling, Field::Set(other), &Kind::Exceeds("certificate")),
        (&stranger, Field::Clear, &Kind::Exceeds("certificate")),
        (&stranger, Field::Set(own), &Kind::Exceeds("certificate")),
    ] {
        let id = target.record().id;
        let before = rig.record(&id).await.certificate;
        let update = UpdateKey::new().with_certificate(field);
        let refused = rig.service.update(&actor, &id, update).await;
        assert_eq!(kind(refused), *wanted);
        assert_eq!(rig.record(&id).await.certificate, before);
    }
}

#[tokio::test]
async fn a_key_that_is_bound_to_nothing_cannot_unbind_itself_from_what_it_is_bound_to_later() {
    let rig = rig();
    let (actor, key) = boss(&rig).await;
    let id = key.record().id;
    let bind = UpdateKey::new().with_certificate(Field::Set(Thumbprint::new([7; 32])));
    rig.service.update(&admin(), &id, bind).await.unwrap();
    let unbind = UpdateKey::new().with_certificate(Field::Clear);
    let refused = rig.service.update(&actor, &id, unbind).await;
    assert_eq!(kind(refused), Kind::Exceeds("acting key itself"));
    // It was verified before it was bound; what it hands out is held to what it is now.
    let refused = rig
        .service
        .issue(&actor, child(scopes(&["leads:read"])))
        .await;
    assert_eq!(kind(refused), Kind::Exceeds("certificate"));
}

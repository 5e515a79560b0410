//! Networks of roles: both the key's list and its role's must hold the client (laws 24 and 25 of `docs/access-semantics.md`).
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
use keyward::access::{AccessPolicy, Grant, Role, Target, TenantBinding};
use keyward::audit::AuditKind;
use keyward::key::Networks;
use keyward::service::{
    Actor, Face, Field, IssueKey, IssuedKey, LifecycleError, Rejection, UpdateKey,
};

const OFFICE: &str = "10.0.0.0/8";

fn role(name: &str, networks: Option<&str>) -> Role {
    let role = Role::new(name, ["manage_keys", "leads:*"]).unwrap();
    match networks {
        Some(list) => role.with_networks(list.parse().unwrap()),
        None => role,
    }
}

fn policy(roles: &[(&str, Option<&str>)]) -> AccessPolicy {
    let roles = roles.iter().map(|(name, networks)| role(name, *networks));
    AccessPolicy::builder().roles(roles).build().unwrap()
}

fn rig_with(roles: &[(&str, Option<&str>)]) -> Rig {
    Rig::new(|it| it.policy(policy(roles)))
}

fn of_role(name: &str) -> IssueKey {
    request_with(Grant::Role(name.parse().unwrap()))
}

fn narrowed(name: &str) -> Grant {
    let scopes = ["leads:read".parse().unwrap()];
    Grant::try_role_with_scopes(name.parse().unwrap(), scopes).unwrap()
}

fn list(text: &str) -> Networks {
    text.parse().unwrap()
}

#[tokio::test]
async fn l24_an_address_must_lie_in_the_keys_list_and_in_its_roles() {
    let rig = rig_with(&[("office", Some(OFFICE))]);
    let key = of_role("office").with_networks(list("10.1.0.0/16, 192.0.2.0/24"));
    let key = rig.issue_as(key).await;
    for (client, refusal) in [
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("10.2.0.1", Some(Rejection::NetworkRefused)),
        ("192.0.2.1", Some(Rejection::RoleNetworkRefused)),
        ("203.0.113.9", Some(Rejection::NetworkRefused)),
    ] {
        let outcome = rig.verify_from(key.key().expose(), client).await;
        let found = outcome.err().map(|error| *error.rejection().unwrap());
        assert_eq!(found, refusal, "{client}");
    }
}

#[tokio::test]
async fn a_client_of_no_known_address_is_refused() {
    let rig = rig_with(&[("office", Some("0.0.0.0/0, ::/0"))]);
    let key = rig.issue_as(of_role("office")).await;
    let refused = rig.rejected(key.key().expose()).await;
    assert_eq!(refused, Rejection::RoleNetworkRefused);
}

#[tokio::test]
async fn a_role_holds_keys_that_it_narrows_to_its_networks_too() {
    let rig = rig_with(&[("office", Some(OFFICE)), ("free", None)]);
    let office = rig.issue_as(request_with(narrowed("office"))).await;
    let free = rig.issue_as(request_with(narrowed("free"))).await;
    let scoped = rig.issue_as(request_with(scopes(&["leads:read"]))).await;
    let away = "192.0.2.1";
    let refused = rejection(rig.verify_from(office.key().expose(), away).await);
    assert_eq!(refused, Rejection::RoleNetworkRefused);
    for key in [free, scoped] {
        assert!(rig.verify_from(key.key().expose(), away).await.is_ok());
    }
}

#[tokio::test]
async fn the_outside_sees_the_same_refusal_and_the_trail_another_reason() {
    let rig = rig_with(&[("office", Some(OFFICE))]);
    let by_role = rig.issue_as(of_role("office")).await;
    let by_key = of_role("office").with_networks(list(OFFICE));
    let by_key = rig.issue_as(by_key).await;
    let away = "192.0.2.1";
    let refused = [
        rejection(rig.verify_from(by_key.key().expose(), away).await),
        rejection(rig.verify_from(by_role.key().expose(), away).await),
    ];
    assert_eq!(refused.map(|it| it.face()), [Face::Forbidden; 2]);
    assert_eq!(refused[0].to_string(), refused[1].to_string());
    let reasons = rig.events_of(AuditKind::AuthenticationFailed).await;
    let reasons: Vec<_> = reasons
        .into_iter()
        .filter_map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, ["network_refused", "role_network_refused"]);
}

/// Who has the id but not the secret learns nothing of networks.
#[tokio::test]
async fn the_networks_of_a_role_are_looked_at_only_after_the_secret() {
    let rig = rig_with(&[("office", Some(OFFICE))]);
    let key = rig.issue_as(of_role("office")).await;
    for same_hint in [false, true] {
        let wrong = wrong_secret(key.key().expose(), same_hint);
        let refused = rejection(rig.verify_from(&wrong, "192.0.2.1").await);
        assert_eq!(refused, Rejection::WrongSecret);
    }
}

#[tokio::test]
async fn a_changed_policy_holds_for_every_key_of_the_role_at_once() {
    let before = rig_with(&[("office", Some(OFFICE))]);
    let key = before.issue_as(of_role("office")).await;
    let from = async |rig: &Rig, client| rig.verify_from(key.key().expose(), client).await.is_ok();
    assert!(from(&before, "10.0.0.1").await && !from(&before, "192.0.2.1").await);
    let moved = policy(&[("office", Some("192.0.2.0/24"))]);
    let after = before.another(|it| it.policy(moved));
    assert!(!from(&after, "10.0.0.1").await && from(&after, "192.0.2.1").await);
    let closed = before.another(|it| it.policy(policy(&[("office", Some(""))])));
    assert!(!from(&closed, "10.0.0.1").await && !from(&closed, "192.0.2.1").await);
}

#[tokio::test]
async fn a_known_key_is_held_to_its_roles_networks_on_each_request() {
    let rig = rig_with(&[("office", Some(OFFICE))]);
    let key = rig.issue_as(of_role("office")).await;
    for _ in 0..2 {
        assert!(
            rig.verify_from(key.key().expose(), "10.0.0.1")
                .await
                .is_ok()
        );
        let away = rejection(rig.verify_from(key.key().expose(), "192.0.2.1").await);
        assert_eq!(away, Rejection::RoleNetworkRefused);
    }
}

/// A key that acts, verified where it may be used.
async fn acting(rig: &Rig, key: &IssuedKey) -> Actor {
    let key = rig.verify_from(key.key().expose(), "10.1.0.1").await;
    Actor::key(&key.unwrap()).unwrap()
}

fn exceeds<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> &'static str {
    match outcome {
        Ok(_) => "",
        Err(LifecycleError::ExceedsActor { what }) => what,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn l25_a_key_hands_out_nothing_that_reaches_beyond_its_roles_networks() {
    let rig = rig_with(&[
        ("office", Some("10.0.0.0/8, fd00::/8")),
        ("floor", Some("10.1.0.0/16")),
        ("across", Some("10.1.0.0/16, 192.0.2.0/24")),
        ("nowhere", Some("")),
        ("free", None),
    ]);
    let actor = acting(&rig, &rig.issue_as(of_role("office")).await).await;
    let scoped = || request_with(scopes(&["leads:read"]));
    for (request, beyond) in [
        (of_role("office"), ""),
        (of_role("floor"), ""),
        (of_role("nowhere"), ""),
        (of_role("across"), "networks"),
        (of_role("free"), "networks"),
        (scoped(), "networks"),
        (scoped().with_networks(list("10.2.0.0/16")), ""),
        (scoped().with_networks(list("fd00::1")), ""),
        (scoped().with_networks(list("0.0.0.0/0")), "networks"),
        (scoped().with_networks(list("::/0")), "networks"),
        (of_role("free").with_networks(list("10.2.0.0/16")), ""),
        (of_role("across").with_networks(list("10.2.0.0/16")), ""),
        (
            of_role("across").with_networks(list("192.0.2.1")),
            "networks",
        ),
        (of_role("floor").with_networks(list("0.0.0.0/0")), ""),
        (request_with(narrowed("free")), "networks"),
        (request_with(narrowed("floor")), ""),
    ] {
        let what = format!("{request:?}");
        let outcome = rig.service.issue(&actor, request).await;
        assert_eq!(exceeds(outcome), beyond, "{what}");
    }
}

/// What is written on the acting key must be written on the other: a role may get other networks tomorrow.
#[tokio::test]
async fn l25_a_role_is_no_substitute_for_what_is_written_on_the_acting_key() {
    let rig = rig_with(&[("free", None), ("floor", Some("10.1.0.0/16"))]);
    let own = of_role("free").with_networks(list(OFFICE));
    let actor = acting(&rig, &rig.issue_as(own).await).await;
    let outcome = rig.service.issue(&actor, of_role("floor")).await;
    assert_eq!(exceeds(outcome), "networks");
    let written = of_role("floor").with_networks(list("10.2.0.0/16"));
    assert_eq!(exceeds(rig.service.issue(&actor, written).await), "");
}

#[tokio::test]
async fn a_key_moves_no_other_out_of_its_roles_networks() {
    let rig = rig_with(&[("office", Some(OFFICE)), ("free", None)]);
    let actor = acting(&rig, &rig.issue_as(of_role("office")).await).await;
    let inside = of_role("free").with_networks(list("10.1.0.0/16"));
    let id = rig.issue_as(inside).await.record().id;
    let update = async |field| {
        let update = UpdateKey::new().with_networks(field);
        exceeds(rig.service.update(&actor, &id, update).await)
    };
    assert_eq!(update(Field::Set(list("10.2.0.0/16"))).await, "");
    assert_eq!(update(Field::Set(list("192.0.2.1"))).await, "networks");
    assert_eq!(update(Field::Clear).await, "networks");
    let free = rig.issue_as(of_role("free")).await.record().id;
    let taken = UpdateKey::new().with_networks(Field::Set(list("10.1.0.0/16")));
    let outcome = rig.service.update(&actor, &free, taken).await;
    assert_eq!(exceeds(outcome), "networks", "it reaches further as it is");
}

/// It grants nothing either; there is nobody left to say from where.
#[tokio::test]
async fn a_role_that_the_policy_forgot_has_no_networks_and_no_grants() {
    let before = rig_with(&[("office", Some(OFFICE))]);
    let key = before.issue_as(of_role("office")).await;
    let after = before.another(|it| it.policy(policy(&[])));
    let verified = after.verify_from(key.key().expose(), "192.0.2.1").await;
    let needed = "leads:read".parse().unwrap();
    let decision = after
        .service
        .authorize(&verified.unwrap(), &needed, &Target::Service);
    assert!(!decision.is_allowed());
}

#[tokio::test]
async fn people_are_not_held_to_the_networks_of_a_role() {
    let rig = rig_with(&[("office", Some(OFFICE))]);
    let key = of_role("office").with_networks(list("192.0.2.0/24"));
    let key = key.with_tenant(TenantBinding::None);
    assert!(rig.service.issue(&admin(), key).await.is_ok());
}

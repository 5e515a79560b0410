//! What must be given before a key is handed out, and that no operation goes around it.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    clippy::cast_possible_truncation,
    reason = "a test may fail where it stands"
)]

mod common;
#[expect(dead_code, reason = "other tests use the rest")]
mod store_without;

use std::time::Duration;

use common::*;
use keyward::access::{Grant, Scope, TenantBinding};
use keyward::audit::{AuditKind, Outcome};
use keyward::hash::DigestText;
use keyward::key::KeyRecord;
use keyward::service::{
    Actor, BuildError, Field, ImportKey, IssueKey, IssuePolicy, IssueRule, IssueRules, KeyService,
    LifecycleError, UpdateKey,
};
use keyward::store::{KeyStore as _, ListKeys, MemoryStore};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn system() -> Actor {
    Actor::system("bootstrap").unwrap()
}

/// Without a justification.
fn bare(grant: Grant) -> IssueKey {
    IssueKey::new("acme".parse().unwrap(), "mailer", grant)
}

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn small() -> IssueKey {
    bare(role("small"))
}

fn rig_with(rules: IssueRules) -> Rig {
    let policy = IssuePolicy::builder().role("small".parse().unwrap(), rules);
    let policy = policy.dangerous().admin_keys_without_second_factor();
    Rig::new(|it| it.issue_policy(policy.build().unwrap()))
}

fn by_default() -> Rig {
    Rig::new(|it| it.issue_policy(IssuePolicy::default()))
}

#[track_caller]
fn broken<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> IssueRule {
    match outcome.unwrap_err() {
        LifecycleError::Rule { rule } => rule,
        other => panic!("no rule: {other:?}"),
    }
}

async fn issues(rig: &Rig, actor: &Actor, request: IssueKey) {
    drop(rig.service.issue(actor, request).await.unwrap());
}

async fn is_empty(rig: &Rig) -> bool {
    let page = rig.store.list(&ListKeys::new()).await.unwrap();
    page.records.is_empty()
}

/// What stands in the trail of refused operations: who, why, and what.
async fn refusals(rig: &Rig) -> Vec<(String, String)> {
    let events = rig.events().await;
    let refused = events
        .iter()
        .filter(|event| event.kind() == AuditKind::PermissionRefused);
    refused
        .map(|event| {
            assert_eq!(event.outcome(), Outcome::Failure);
            let actor = event.actor().map(ToString::to_string);
            (
                actor.unwrap_or_default(),
                event.reason().unwrap().to_owned(),
            )
        })
        .collect()
}

fn by_ana(reason: &str) -> (String, String) {
    ("user:ana".to_owned(), reason.to_owned())
}

#[tokio::test]
async fn without_rules_only_keys_that_manage_keys_are_special() {
    let rig = by_default();
    for grant in [
        role("small"),
        scopes(&["send_email", "billing:*"]),
        Grant::try_role_with_scopes(
            "root".parse().unwrap(),
            ["leads:read".parse::<Scope>().unwrap()],
        )
        .unwrap(),
    ] {
        issues(&rig, &admin(), bare(grant)).await;
    }
}

#[tokio::test]
async fn a_key_that_manages_keys_needs_a_justification_from_everybody() {
    let rig = by_default();
    let narrowed = |role: &str| {
        let scope: Scope = "manage_keys".parse().unwrap();
        Grant::try_role_with_scopes(role.parse().unwrap(), [scope]).unwrap()
    };
    for grant in [
        role("root"),
        role("keys"),
        scopes(&["manage_keys"]),
        narrowed("keys"),
        // Its role may grow.
        narrowed("small"),
    ] {
        for actor in [admin(), system()] {
            for justification in [None, Some(""), Some(" \n\t")] {
                let mut request = bare(grant.clone());
                if let Some(text) = justification {
                    request = request.with_justification(text);
                }
                let refused = rig.service.issue(&actor, request).await;
                assert_eq!(broken(refused), IssueRule::Justification, "{grant:?}");
            }
        }
        let request = bare(grant).with_justification("first key");
        issues(&rig, &system(), request).await;
    }
}

#[tokio::test]
async fn a_managing_permission_of_another_name_is_special_too() {
    let rig = Rig::new(|it| {
        it.issue_policy(IssuePolicy::default())
            .manage_permission("billing:keys".parse().unwrap())
    });
    let refused = rig
        .service
        .issue(&system(), bare(scopes(&["billing:*"])))
        .await;
    assert_eq!(broken(refused), IssueRule::Justification);
    let other = rig
        .service
        .issue(&system(), bare(scopes(&["manage_keys"])))
        .await;
    drop(other.unwrap());
}

#[tokio::test]
async fn without_a_factor_to_ask_nobody_but_the_system_makes_keys_that_manage_keys() {
    let rig = by_default();
    let request = || request_with(role("root"));
    let refused = rig.service.issue(&admin(), request()).await;
    assert_eq!(broken(refused), IssueRule::NoSecondFactor);
    assert!(is_empty(&rig).await);
    assert_eq!(rig.hasher.hashes(), 0);
    assert_eq!(
        refusals(&rig).await,
        [by_ana("second_factor_not_configured")]
    );

    let first = request().with_tenant(TenantBinding::Platform);
    let first = rig.service.issue(&system(), first).await.unwrap();
    let acting = rig.acting(&first).await;
    let refused = rig.service.issue(&acting, request()).await;
    assert_eq!(broken(refused), IssueRule::NoSecondFactor);
}

#[tokio::test]
async fn a_person_whose_name_looks_like_the_system_is_a_person() {
    let rig = by_default();
    for name in ["system", "system:bootstrap"] {
        let actor = Actor::user(name).unwrap();
        let refused = rig.service.issue(&actor, request_with(role("root"))).await;
        assert_eq!(broken(refused), IssueRule::NoSecondFactor);
    }
}

#[tokio::test]
async fn the_dangerous_settings_take_each_demand_away() {
    let builder = || IssuePolicy::builder().dangerous();
    let neither = builder().admin_keys_without_second_factor();
    let neither = neither.dangerous().admin_keys_without_justification();
    let rig = Rig::new(|it| it.issue_policy(neither.build().unwrap()));
    issues(&rig, &admin(), bare(role("root"))).await;

    let unjustified = builder().admin_keys_without_justification();
    let rig = Rig::new(|it| it.issue_policy(unjustified.build().unwrap()));
    let refused = rig.service.issue(&admin(), bare(role("root"))).await;
    assert_eq!(broken(refused), IssueRule::NoSecondFactor);
    issues(&rig, &system(), bare(role("root"))).await;
}

#[tokio::test]
async fn rules_hold_for_their_role_narrowed_or_not_and_for_no_other() {
    let rig = rig_with(IssueRules::new().require_justification());
    let scope: Scope = "leads:read".parse().unwrap();
    let narrowed = Grant::try_role_with_scopes("small".parse().unwrap(), [scope]).unwrap();
    for grant in [role("small"), narrowed] {
        let refused = rig.service.issue(&admin(), bare(grant)).await;
        assert_eq!(broken(refused), IssueRule::Justification);
    }
    let other = rig
        .service
        .issue(&admin(), bare(scopes(&["leads:read"])))
        .await;
    drop(other.unwrap());
    assert_eq!(
        refusals(&rig).await,
        vec![by_ana("justification_required"); 2]
    );
}

#[tokio::test]
async fn keys_without_a_role_have_rules_of_their_own() {
    let policy = IssuePolicy::builder().without_role(IssueRules::new().require_justification());
    let rig = Rig::new(|it| it.issue_policy(policy.build().unwrap()));
    let refused = rig
        .service
        .issue(&admin(), bare(scopes(&["leads:read"])))
        .await;
    assert_eq!(broken(refused), IssueRule::Justification);
    issues(&rig, &admin(), small()).await;
}

#[tokio::test]
async fn a_rule_for_one_role_adds_to_those_of_keys_that_manage_keys() {
    let policy = IssuePolicy::builder().role(
        "root".parse().unwrap(),
        IssueRules::new().longest_lifetime(DAY),
    );
    let rig = Rig::new(|it| it.issue_policy(policy.build().unwrap()));
    let short = || bare(role("root")).with_lifetime(DAY);
    let refused = rig.service.issue(&system(), short()).await;
    assert_eq!(broken(refused), IssueRule::Justification);
    let justified = short().with_justification("first key");
    let refused = rig.service.issue(&admin(), justified.clone()).await;
    assert_eq!(broken(refused), IssueRule::NoSecondFactor);
    issues(&rig, &system(), justified).await;
}

#[tokio::test]
async fn a_lifetime_may_be_as_long_as_the_rule_says_and_no_longer() {
    let rig = rig_with(IssueRules::new().longest_lifetime(DAY));
    let longest = IssueRule::Lifetime { longest: DAY };
    let refused = rig.service.issue(&admin(), small()).await;
    assert_eq!(broken(refused), longest);
    let refused = rig
        .service
        .issue(&admin(), small().with_lifetime(DAY + MICRO))
        .await;
    assert_eq!(broken(refused), longest);
    issues(&rig, &admin(), small().with_lifetime(DAY)).await;
    assert_eq!(
        longest.to_string(),
        "such a key lives at most 86400 seconds from its creation"
    );
}

#[tokio::test]
async fn a_default_lifetime_fills_in_for_none() {
    let rules = IssueRules::new()
        .longest_lifetime(DAY * 2)
        .default_lifetime(DAY);
    let rig = rig_with(rules);
    let issued = rig.service.issue(&admin(), small()).await.unwrap();
    let end = |record: &KeyRecord| {
        record
            .expires_at
            .unwrap()
            .saturating_since(record.created_at)
    };
    assert_eq!(end(issued.record()), DAY);
    let asked = rig
        .service
        .issue(&admin(), small().with_lifetime(DAY * 2))
        .await;
    assert_eq!(end(asked.unwrap().record()), DAY * 2);
}

#[tokio::test]
async fn networks_that_hold_everything_do_not_count() {
    let rig = rig_with(IssueRules::new().require_networks());
    let refused = rig.service.issue(&admin(), small()).await;
    assert_eq!(broken(refused), IssueRule::Networks);
    for open in ["0.0.0.0/0", "::/0", "10.0.0.0/8, ::/0"] {
        let request = small().with_networks(open.parse().unwrap());
        let refused = rig.service.issue(&admin(), request).await;
        assert_eq!(broken(refused), IssueRule::Networks, "{open}");
    }
    let request = small().with_networks("10.0.0.0/8".parse().unwrap());
    issues(&rig, &admin(), request).await;
}

#[tokio::test]
async fn an_owner_gets_as_many_active_keys_as_the_rule_says() {
    let rig = rig_with(IssueRules::new().most_active_keys(2));
    let first = rig.service.issue(&admin(), small()).await.unwrap();
    issues(&rig, &admin(), small()).await;
    let refused = rig.service.issue(&admin(), small()).await.unwrap_err();
    assert!(matches!(refused, LifecycleError::OwnerLimit { limit: 2 }));
    // The request may ask for less, and not for more.
    let more = rig
        .service
        .issue(&admin(), small().with_owner_limit(9))
        .await;
    assert!(matches!(more, Err(LifecycleError::OwnerLimit { limit: 2 })));
    rig.revoke(&first).await;
    let less = rig
        .service
        .issue(&admin(), small().with_owner_limit(1))
        .await;
    assert!(matches!(less, Err(LifecycleError::OwnerLimit { limit: 1 })));
    issues(&rig, &admin(), small()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_that_race_for_five_places_five_get_one() {
    let rig = rig_with(IssueRules::new().most_active_keys(5));
    let racers: Vec<_> = (0..20)
        .map(|_| {
            let service = rig.service.clone();
            tokio::spawn(async move { service.issue(&admin(), small()).await })
        })
        .collect();
    let mut issued = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => issued += 1,
            Err(error) => assert!(matches!(error, LifecycleError::OwnerLimit { limit: 5 })),
        }
    }
    assert_eq!(issued, 5);
}

#[tokio::test]
async fn an_import_is_held_to_the_same_rules() {
    let rules = IssueRules::new()
        .require_justification()
        .default_lifetime(DAY);
    let rig = rig_with(rules.most_active_keys(1));
    let import = |id: &str, settings: IssueKey| {
        let digest =
            DigestText::new("$2b$04$abcdefghijklmnopqrstuuZg8Qx7Z1RZcX9yYwJc7r1y6Dn5tQ8Oe");
        ImportKey::new(id.parse().unwrap(), digest, settings)
    };
    let refused = rig
        .service
        .import(&admin(), import("0aZ9bY8cX7dW", small()))
        .await;
    assert_eq!(broken(refused), IssueRule::Justification);
    let refused = rig
        .service
        .import(
            &admin(),
            import(
                "0aZ9bY8cX7dW",
                request_with(role("root")).with_owner_limit(9),
            ),
        )
        .await;
    refused.unwrap();
    let justified = || small().with_justification("from the old system");
    let refused = rig
        .service
        .import(&admin(), import("0aZ9bY8cX7dX", justified()))
        .await;
    assert!(matches!(
        refused,
        Err(LifecycleError::OwnerLimit { limit: 1 })
    ));
    assert_eq!(refusals(&rig).await, [by_ana("justification_required")]);
}

#[tokio::test]
async fn an_update_cannot_make_what_could_not_be_issued() {
    let rules = IssueRules::new()
        .require_justification()
        .require_networks()
        .longest_lifetime(DAY);
    let rig = rig_with(rules);
    let weak = || bare(scopes(&["leads:read"])).with_justification("reads leads");
    let id = rig
        .service
        .issue(&admin(), weak())
        .await
        .unwrap()
        .record()
        .id;
    let update = |update: UpdateKey| {
        let (service, actor) = (rig.service.clone(), admin());
        async move { service.update(&actor, &id, update).await }
    };
    let wider = || UpdateKey::new().with_grant(role("small"));
    // What was said for the weaker key does not count.
    assert_eq!(broken(update(wider()).await), IssueRule::Justification);
    let justified = || wider().with_justification(Field::Set("is an agent now".into()));
    assert_eq!(broken(update(justified()).await), IssueRule::Networks);
    let bound = || justified().with_networks(Field::Set("10.0.0.0/8".parse().unwrap()));
    let longest = IssueRule::Lifetime { longest: DAY };
    assert_eq!(broken(update(bound()).await), longest);
    let created = rig.record(&id).await.created_at;
    let end = |after| Field::Set(created.saturating_add(after));
    let late = bound().with_expires_at(end(DAY + MICRO));
    assert_eq!(broken(update(late).await), longest);
    let whole = update(bound().with_expires_at(end(DAY))).await.unwrap();
    assert_eq!(whole.justification.as_deref(), Some("is an agent now"));

    // And what it has, it keeps.
    for (change, rule) in [
        (UpdateKey::new().with_expires_at(Field::Clear), longest),
        (UpdateKey::new().with_expires_at(end(DAY * 2)), longest),
        (
            UpdateKey::new().with_networks(Field::Clear),
            IssueRule::Networks,
        ),
        (
            UpdateKey::new().with_justification(Field::Clear),
            IssueRule::Justification,
        ),
        (
            UpdateKey::new().with_justification(Field::Set(" ".into())),
            IssueRule::Justification,
        ),
    ] {
        assert_eq!(broken(update(change).await), rule);
    }
    assert_eq!(rig.record(&id).await.revision, whole.revision);
    let refused = refusals(&rig).await;
    assert_eq!(refused.len(), 9);
    assert!(refused.iter().all(|(actor, _)| actor == "user:ana"));
}

#[tokio::test]
async fn a_lifetime_counts_from_the_creation_and_not_from_the_update() {
    let rig = rig_with(IssueRules::new().longest_lifetime(DAY * 2));
    let issued = rig
        .service
        .issue(&admin(), small().with_lifetime(DAY))
        .await
        .unwrap();
    let id = issued.record().id;
    rig.clock.advance(DAY / 2);
    let later = |days: u32| {
        let end = issued.record().created_at.saturating_add(DAY * days);
        UpdateKey::new().with_expires_at(Field::Set(end))
    };
    rig.service.update(&admin(), &id, later(2)).await.unwrap();
    rig.clock.advance(DAY);
    let refused = rig.service.update(&admin(), &id, later(3)).await;
    assert_eq!(broken(refused), IssueRule::Lifetime { longest: DAY * 2 });
}

#[tokio::test]
async fn a_key_from_before_a_rule_can_be_renamed_and_weakened() {
    let before = rig_with(IssueRules::new());
    let issued = before.service.issue(&admin(), small()).await.unwrap();
    let id = issued.record().id;
    let rules = IssueRules::new()
        .require_justification()
        .require_networks()
        .longest_lifetime(DAY);
    let policy = IssuePolicy::builder().role("small".parse().unwrap(), rules);
    let rig = before.another(|it| it.issue_policy(policy.build().unwrap()));
    let harmless = UpdateKey::new()
        .with_name("renamed".to_owned())
        .with_description(Field::Set("an old one".into()))
        .with_tier(Field::Set("pro".into()));
    rig.service.update(&admin(), &id, harmless).await.unwrap();
    let other_end = UpdateKey::new().with_tenant(tenant("t1"));
    let refused = rig.service.update(&admin(), &id, other_end).await;
    assert_eq!(broken(refused), IssueRule::Justification);
    let weaker = UpdateKey::new().with_grant(scopes(&["leads:read"]));
    rig.service.update(&admin(), &id, weaker).await.unwrap();
}

#[tokio::test]
async fn a_key_that_breaks_a_rule_is_not_switched_on_again() {
    let before = rig_with(IssueRules::new());
    let issued = before.service.issue(&admin(), small()).await.unwrap();
    let id = issued.record().id;
    for (rules, rule) in [
        (
            IssueRules::new().require_justification(),
            IssueRule::Justification,
        ),
        (IssueRules::new().require_networks(), IssueRule::Networks),
        (
            IssueRules::new().longest_lifetime(DAY),
            IssueRule::Lifetime { longest: DAY },
        ),
    ] {
        let policy = IssuePolicy::builder().role("small".parse().unwrap(), rules);
        let rig = before.another(|it| it.issue_policy(policy.build().unwrap()));
        rig.service.disable(&admin(), &id).await.unwrap();
        let refused = rig.service.enable(&admin(), &id).await;
        assert_eq!(broken(refused), rule);
        assert!(rig.record(&id).await.disabled);
        before.service.enable(&admin(), &id).await.unwrap();
        // One that is on stays on: nothing is handed out.
        rig.service.enable(&admin(), &id).await.unwrap();
    }
}

#[tokio::test]
async fn rules_for_an_unknown_role_build_no_service() {
    let rules = IssuePolicy::builder().role("ghost".parse().unwrap(), IssueRules::new());
    let builder = KeyService::builder(MemoryStore::new()).policy(policy());
    let refused = builder.issue_policy(rules.build().unwrap()).build();
    assert!(matches!(refused, Err(BuildError::IssueRole { role }) if role.as_str() == "ghost"));
}

#[tokio::test]
async fn a_limit_that_the_store_cannot_hold_builds_no_service() {
    let rules = || IssueRules::new().most_active_keys(5);
    let limited = IssuePolicy::builder()
        .without_role(rules())
        .build()
        .unwrap();
    let build = |policy: &IssuePolicy| {
        let builder = KeyService::builder(store_without::Without::owner_limit());
        builder.issue_policy(policy.clone()).build()
    };
    assert!(matches!(build(&limited), Err(BuildError::OwnerLimit)));
    assert!(build(&IssuePolicy::default()).is_ok());
}

//! Publishable keys in the service: what they may be made for, what they may do, and that nobody makes a secret key of one.
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
use keyward::access::{
    AccessPolicy, CeilingError, DenyReason, Grant, PublishableError, Role, Target, TenantBinding,
    TenantReach,
};
use keyward::audit::{AuditKind, Detail, Outcome};
use keyward::hash::DigestText;
use keyward::key::{
    Environment, KeyFormat, KeyFormatBuilder, KeyKind, KeyParseError, KeyRecord, KeyStyle, TagKey,
    TagPolicy, TagRing,
};
use keyward::service::{
    Actor, BuildError, Face, ImportKey, IssueKey, IssuedKey, KeyService, KeyServiceBuilder,
    LeakOutcome, LeakedTokens, LifecycleError, Rejection, Rotation, UpdateKey, VerifiedKey,
};
use keyward::store::{InsertKey, KeyStore as _, ListKeys, MemoryStore};

const PUBLISHED: [&str; 2] = ["catalogue:read", "leads:create"];

fn format() -> KeyFormatBuilder {
    KeyFormat::builder().publishable()
}

/// A role for pages, one that holds more, and one for the platform.
fn access(storefront: &[&str], published: &[&str]) -> AccessPolicy {
    let keys = Role::new("keys", ["manage_keys", "catalogue:*", "leads:*"]).unwrap();
    let root = Role::new("root", ["manage_keys", "catalogue:*", "leads:*"]).unwrap();
    AccessPolicy::builder()
        .role(Role::new("storefront", storefront).unwrap())
        .role(keys)
        .role(root.with_reach(TenantReach::AllTenants))
        .publishable(published)
        .build()
        .unwrap()
}

fn publishing(builder: KeyServiceBuilder) -> KeyServiceBuilder {
    let access = access(&PUBLISHED, &PUBLISHED);
    builder.format(format().build().unwrap()).policy(access)
}

fn shop() -> Rig {
    Rig::new(publishing)
}

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn public(grant: Grant) -> IssueKey {
    request_with(grant).with_kind(KeyKind::Publishable)
}

fn storefront() -> IssueKey {
    public(role("storefront"))
}

fn text(issued: &IssuedKey) -> String {
    issued.key().expose().to_owned()
}

/// The same body behind the beginning of the other kind, with a right checksum.
fn rewritten(key: &str) -> String {
    let other = match key.strip_prefix("pm_pub_live_") {
        Some(body) => format!("pm_live_{body}"),
        None => key.replacen("pm_live_", "pm_pub_live_", 1),
    };
    with_checksum(&other[..other.len() - 6])
}

fn with_checksum(body: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let sum = crc32fast::hash(body.as_bytes());
    let place = |power: u32| char::from(DIGITS[(sum / 62_u32.pow(power) % 62) as usize]);
    let sum: String = (0..6).rev().map(place).collect();
    format!("{body}{sum}")
}

async fn verified(rig: &Rig, key: &IssuedKey) -> VerifiedKey {
    rig.verify(key.key().expose()).await.unwrap()
}

async fn may(rig: &Rig, key: &IssuedKey, permission: &str) -> Result<(), &'static str> {
    let key = verified(rig, key).await;
    let required = permission.parse().unwrap();
    let decision = rig.service.authorize(&key, &required, &Target::Service);
    decision.into_result().map_err(|reason| reason.code())
}

fn not_publishable<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> PublishableError {
    match outcome {
        Err(LifecycleError::NotPublishable(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn invalid<T: std::fmt::Debug>(outcome: Result<T, LifecycleError>) -> &'static str {
    match outcome {
        Err(LifecycleError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

fn outside(scope: &str) -> PublishableError {
    PublishableError::Scope(scope.parse().unwrap())
}

/// The same key in a store of its own, whose row somebody changed in what an update cannot reach.
async fn tampered(rig: &Rig, key: &IssuedKey, edit: impl FnOnce(&mut KeyRecord)) -> Rig {
    let mut record = rig.record(&key.record().id).await;
    edit(&mut record);
    let other = TestStore::new();
    other.insert(InsertKey::new(record)).await.unwrap();
    Rig::on(other, rig.clock.clone(), |it| it, publishing)
}

// ---- what it is ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_publishable_key_says_so_in_its_text_its_hint_and_its_record() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    assert!(text(&key).starts_with("pm_pub_live_"));
    assert!(key.hint().starts_with("pm_pub_live_…"));
    assert_eq!(key.record().kind, KeyKind::Publishable);
    let record = rig.record(&key.record().id).await;
    assert_eq!(rig.service.hint(&record).unwrap(), key.hint());
    let verified = verified(&rig, &key).await;
    assert_eq!(verified.kind(), KeyKind::Publishable);
    assert!(format!("{verified:?}").contains("Publishable"));
}

#[tokio::test]
async fn a_key_is_secret_unless_asked_otherwise() {
    let rig = shop();
    let key = rig.issue_as(request_with(role("storefront"))).await;
    assert!(text(&key).starts_with("pm_live_"));
    assert_eq!(verified(&rig, &key).await.kind(), KeyKind::Secret);
    assert!(
        rig.service
            .hint(key.record())
            .unwrap()
            .starts_with("pm_live_…")
    );
}

#[tokio::test]
async fn a_service_whose_format_knows_none_makes_none_and_takes_none() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let silent = rig.another(|it| it.policy(access(&PUBLISHED, &PUBLISHED)));
    let issued = silent.service.issue(&admin(), storefront()).await;
    assert_eq!(invalid(issued), "kind");
    let prefix = Rejection::Malformed(KeyParseError::Prefix);
    assert_eq!(silent.rejected(&text(&key)).await, prefix);
    let (id, rotation) = (key.record().id, Rotation::AtOnce);
    let rotated = silent.service.rotate(&admin(), &id, rotation).await;
    assert_eq!(invalid(rotated), "kind");
    assert_eq!(silent.hasher.hashes(), 0);
}

#[tokio::test]
async fn a_rotation_keeps_the_kind() {
    let rig = shop();
    let old = rig.issue_as(storefront()).await;
    let id = old.record().id;
    let new = rig
        .service
        .rotate(&admin(), &id, Rotation::Grace(HOUR))
        .await
        .unwrap();
    assert!(text(&new).starts_with("pm_pub_live_"));
    assert!(new.hint().starts_with("pm_pub_live_…"));
    for key in [&old, &new] {
        assert_eq!(verified(&rig, key).await.kind(), KeyKind::Publishable);
    }
    rig.clock.advance(HOUR);
    assert_eq!(rig.rejected(&text(&old)).await, Rejection::Superseded);
}

#[tokio::test]
async fn publishable_keys_of_live_and_test_stay_apart() {
    let live = shop();
    let test = format().environment(Environment::test()).build().unwrap();
    let test = live.another(|it| it.format(test).policy(access(&PUBLISHED, &PUBLISHED)));
    let (of_live, of_test) = (
        live.issue_as(storefront()).await,
        test.issue_as(storefront()).await,
    );
    assert!(text(&of_test).starts_with("pm_pub_test_"));
    assert!(live.accepts(&text(&of_live)).await && test.accepts(&text(&of_test)).await);
    let refused = Rejection::Malformed(KeyParseError::WrongEnvironment);
    assert_eq!(live.rejected(&text(&of_test)).await, refused);
    assert_eq!(test.rejected(&text(&of_live)).await, refused);
}

#[tokio::test]
async fn a_publishable_record_of_another_environment_is_refused_whatever_the_key_says() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let other = tampered(&rig, &key, |record| {
        record.environment = Environment::test();
    })
    .await;
    assert_eq!(
        other.rejected(&text(&key)).await,
        Rejection::WrongEnvironment
    );
}

#[tokio::test]
async fn a_key_of_another_system_cannot_be_publishable() {
    let rig = shop();
    let digest = DigestText::new(bcrypt::hash("S".repeat(43), 4).unwrap());
    let import = ImportKey::new("a1B2c3D4e5F6".parse().unwrap(), digest, storefront());
    let imported = rig.service.import(&admin(), import).await;
    assert_eq!(invalid(imported), "kind");
}

// ---- that the kind is the record's -----------------------------------------------------------------------------

#[tokio::test]
async fn another_beginning_before_the_same_body_is_refused_like_any_bad_key() {
    let rig = shop();
    for key in [
        rig.issue_as(storefront()).await,
        rig.issue_as(request_with(role("keys"))).await,
    ] {
        let hashes = rig.hasher.verifications();
        let refused = rig.rejected(&rewritten(&text(&key))).await;
        assert_eq!(
            (refused, refused.face()),
            (Rejection::WrongKind, Face::Unauthenticated)
        );
        assert_eq!(rig.hasher.verifications(), hashes);
        // It was in use here: a proof that is remembered does not help.
        assert!(rig.accepts(&text(&key)).await);
        assert_eq!(
            rig.rejected(&rewritten(&text(&key))).await,
            Rejection::WrongKind
        );
    }
}

#[tokio::test]
async fn another_beginning_is_refused_where_there_is_no_checksum_either() {
    let compact = format().style(KeyStyle::Compact).build().unwrap();
    let rig = Rig::new(|it| publishing(it).format(compact));
    let key = rig.issue_as(storefront()).await;
    let secret = text(&key).replacen("pm_pub_live_", "pm_live_", 1);
    assert_eq!(rig.rejected(&secret).await, Rejection::WrongKind);
    assert!(rig.accepts(&text(&key)).await);
}

#[tokio::test]
async fn another_beginning_is_refused_before_the_store_is_asked_where_tags_are_required() {
    let tags = TagPolicy::Required(TagRing::new(TagKey::new(&[7; 32]).unwrap()));
    let tagged = format().tags(tags).build().unwrap();
    let rig = Rig::new(|it| publishing(it).format(tagged));
    let key = rig.issue_as(storefront()).await;
    let reads = rig.store.count(Call::Find);
    let refused = rig.rejected(&rewritten(&text(&key))).await;
    assert_eq!(refused, Rejection::Malformed(KeyParseError::Tag));
    assert_eq!(rig.store.count(Call::Find), reads);
}

#[tokio::test]
async fn another_beginning_learns_nothing_of_the_state() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    rig.revoke(&key).await;
    assert_eq!(rig.rejected(&text(&key)).await, Rejection::Revoked);
    assert_eq!(
        rig.rejected(&rewritten(&text(&key))).await,
        Rejection::WrongKind
    );
    let failed = rig.events_of(AuditKind::AuthenticationFailed).await;
    let told = (Outcome::Failure, Some("wrong_kind".to_owned()));
    assert_eq!(failed.last(), Some(&told));
}

#[tokio::test]
async fn another_beginning_counts_as_a_failed_attempt() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let wrong = rewritten(&text(&key));
    let attempt = async || rejection(rig.verify_from(&wrong, "192.0.2.1").await);
    for _ in 0..20 {
        assert_eq!(attempt().await, Rejection::WrongKind);
    }
    assert!(matches!(attempt().await, Rejection::Throttled { .. }));
}

#[tokio::test]
async fn a_row_that_became_another_kind_opens_nothing() {
    let rig = shop();
    for (request, kind) in [
        (storefront(), KeyKind::Secret),
        (request_with(role("keys")), KeyKind::Publishable),
    ] {
        let key = rig.issue_as(request).await;
        let other = tampered(&rig, &key, |record| record.kind = kind).await;
        assert_eq!(other.rejected(&text(&key)).await, Rejection::WrongKind);
    }
}

// ---- what it may do --------------------------------------------------------------------------------------------

#[tokio::test]
async fn it_may_do_what_is_published() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    for permission in PUBLISHED {
        assert_eq!(may(&rig, &key, permission).await, Ok(()));
    }
    assert_eq!(may(&rig, &key, "leads:read").await, Err("not_publishable"));
}

#[tokio::test]
async fn a_role_that_grows_gives_it_nothing() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let secret = rig.issue_as(request_with(role("storefront"))).await;
    let grown = access(&["catalogue:*", "leads:*", "manage_keys"], &PUBLISHED);
    let rig = rig.another(|it| publishing(it).policy(grown));
    for permission in ["catalogue:write", "leads:delete", "manage_keys"] {
        assert_eq!(may(&rig, &key, permission).await, Err("not_publishable"));
        assert_eq!(may(&rig, &secret, permission).await, Ok(()));
    }
    assert_eq!(may(&rig, &key, "catalogue:read").await, Ok(()));
}

#[tokio::test]
async fn a_list_that_shrinks_takes_it_away_at_once() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let shrunk = access(&PUBLISHED, &["catalogue:read"]);
    let after = rig.another(|it| publishing(it).policy(shrunk));
    assert_eq!(may(&after, &key, "catalogue:read").await, Ok(()));
    assert_eq!(
        may(&after, &key, "leads:create").await,
        Err("not_publishable")
    );
}

#[tokio::test]
async fn an_edited_row_gives_it_nothing() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let id = key.record().id;
    rig.store
        .edit(&id, |record| record.grant = role("root"))
        .await;
    assert_eq!(may(&rig, &key, "manage_keys").await, Err("not_publishable"));
    let everywhere = |record: &mut KeyRecord| record.tenant = TenantBinding::Platform;
    rig.store.edit(&id, everywhere).await;
    let (verified, tenant) = (verified(&rig, &key).await, "t1".parse().unwrap());
    let read = "catalogue:read".parse().unwrap();
    let decision = rig
        .service
        .authorize(&verified, &read, &Target::Tenant(&tenant));
    assert_eq!(decision.reason(), Some(&DenyReason::PublishablePlatform));
}

#[tokio::test]
async fn a_refusal_says_in_the_trail_what_was_not_publishable() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let refused = may(&rig, &key, "leads:read").await;
    assert!(refused.is_err());
    let events = rig.events().await;
    let event = events.last().unwrap();
    assert_eq!(
        (event.kind(), event.reason()),
        (AuditKind::PermissionRefused, Some("not_publishable"))
    );
    let why = Detail::Text("permission `leads:read` is not publishable".into());
    assert_eq!(event.detail("why"), Some(&why));
}

// ---- what it may be made for -----------------------------------------------------------------------------------

#[tokio::test]
async fn it_is_issued_only_with_what_is_published_and_the_refusal_names_what_is_not() {
    let rig = shop();
    for (grant, named) in [
        (role("keys"), "manage_keys"),
        (scopes(&["catalogue:read", "catalogue:*"]), "catalogue:*"),
        (scopes(&["manage_keys"]), "manage_keys"),
    ] {
        let hashes = rig.hasher.hashes();
        let outcome = rig.service.issue(&admin(), public(grant)).await;
        assert_eq!(outcome.as_ref().unwrap_err().code(), "not_publishable");
        let error = not_publishable(outcome);
        assert_eq!(error, outside(named));
        assert_eq!(error.to_string(), format!("`{named}` is not publishable"));
        assert_eq!(rig.hasher.hashes(), hashes);
    }
    let refused = rig.events_of(AuditKind::PermissionRefused).await;
    let told = (Outcome::Failure, Some("not_publishable".to_owned()));
    assert_eq!(refused, [told.clone(), told.clone(), told]);
    let narrowed =
        Grant::try_role_with_scopes("keys".parse().unwrap(), ["leads:create".parse().unwrap()]);
    assert!(
        rig.service
            .issue(&admin(), public(narrowed.unwrap()))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn it_is_never_issued_for_the_platform_as_a_whole() {
    let rig = shop();
    let everywhere = storefront().with_tenant(TenantBinding::Platform);
    let outcome = rig.service.issue(&admin(), everywhere).await;
    assert_eq!(not_publishable(outcome), PublishableError::Platform);
    assert!(
        rig.service
            .issue(&admin(), storefront().with_tenant(tenant("t1")))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_update_gives_it_nothing_that_is_not_published() {
    let rig = shop();
    let id = rig.issue_as(storefront()).await.record().id;
    let update = async |update| rig.service.update(&admin(), &id, update).await;
    let wider = UpdateKey::new().with_grant(scopes(&["leads:read"]));
    assert_eq!(not_publishable(update(wider).await), outside("leads:read"));
    let everywhere = UpdateKey::new().with_tenant(TenantBinding::Platform);
    assert_eq!(
        not_publishable(update(everywhere).await),
        PublishableError::Platform
    );
    let narrower = UpdateKey::new().with_grant(scopes(&["catalogue:read"]));
    let updated = update(narrower).await.unwrap();
    assert_eq!(updated.kind, KeyKind::Publishable);
}

#[tokio::test]
async fn a_key_from_before_the_list_shrank_can_be_renamed_and_not_switched_on() {
    let rig = shop();
    let id = rig.issue_as(storefront()).await.record().id;
    rig.service.disable(&admin(), &id).await.unwrap();
    let shrunk = access(&PUBLISHED, &["catalogue:read"]);
    let after = rig.another(|it| publishing(it).policy(shrunk)).service;
    let renamed = UpdateKey::new().with_name("old shop".to_owned());
    assert!(after.update(&admin(), &id, renamed).await.is_ok());
    let enabled = after.enable(&admin(), &id).await;
    assert_eq!(not_publishable(enabled), outside("leads:create"));
    assert!(rig.service.enable(&admin(), &id).await.is_ok());
}

#[tokio::test]
async fn no_service_is_built_whose_policy_publishes_the_managing_permission() {
    for (published, manage, refused) in [
        ("manage_keys", None, true),
        ("keys:*", None, false),
        ("keys:*", Some("keys:manage"), true),
        ("manage_keys", Some("keys:manage"), false),
    ] {
        let builder = KeyService::builder(MemoryStore::new()).policy(access(&[], &[published]));
        let builder = match manage {
            Some(permission) => builder.manage_permission(permission.parse().unwrap()),
            None => builder,
        };
        let error = builder.build().err();
        let managing = error.map(|error| match error {
            BuildError::PublishableManagement { permission } => permission.to_string(),
            other => panic!("{other}"),
        });
        let expected = refused.then(|| manage.unwrap_or("manage_keys").to_owned());
        assert_eq!(managing, expected);
    }
}

// ---- who acts --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn it_never_acts_whatever_its_record_says() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let actor = rig.acting(&key).await;
    let as_root = |record: &mut KeyRecord| record.grant = role("root");
    rig.store.edit(&key.record().id, as_root).await;
    let refused = |error: LifecycleError| error.code();
    let listed = rig.service.list(&actor, ListKeys::new()).await;
    assert_eq!(listed.err().map(refused), Some("publishable_actor"));
    let issued = rig.service.issue(&actor, storefront()).await;
    assert_eq!(issued.err().map(refused), Some("publishable_actor"));
    let refusals = rig.events_of(AuditKind::PermissionRefused).await;
    assert_eq!(
        refusals,
        [(Outcome::Failure, Some("publishable_actor".to_owned()))]
    );
}

#[tokio::test]
async fn a_key_that_acts_hands_out_publishable_keys_within_its_own() {
    let rig = shop();
    let manager = rig
        .issue_as(request_with(role("keys")).with_tenant(tenant("t1")))
        .await;
    let actor = rig.acting(&manager).await;
    let issue = async |request: IssueKey| rig.service.issue(&actor, request).await;
    let child = issue(storefront().with_tenant(tenant("t1"))).await.unwrap();
    assert_eq!(verified(&rig, &child).await.kind(), KeyKind::Publishable);
    let elsewhere = issue(storefront().with_tenant(tenant("t2"))).await;
    assert!(matches!(
        elsewhere,
        Err(LifecycleError::BeyondActor(CeilingError::TenantOutside))
    ));
    let wider = issue(public(scopes(&["leads:read"])).with_tenant(tenant("t1"))).await;
    assert_eq!(not_publishable(wider), outside("leads:read"));
}

// ---- that it is no secret --------------------------------------------------------------------------------------

async fn reported(rig: &Rig, keys: &[&str]) -> Vec<LeakOutcome> {
    let tokens = LeakedTokens::new(keys.iter().copied()).unwrap();
    rig.service
        .report_leaked(&admin(), tokens)
        .await
        .unwrap()
        .outcomes
}

#[tokio::test]
async fn a_leak_report_ends_no_publishable_key_and_costs_no_hash() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let id = key.record().id;
    let hashes = rig.hasher.verifications();
    let outcomes = reported(&rig, &[&text(&key), "nonsense"]).await;
    assert_eq!(
        outcomes,
        [LeakOutcome::Publishable(id), LeakOutcome::Malformed]
    );
    assert_eq!(rig.hasher.verifications(), hashes);
    assert_eq!(rig.record(&id).await, **key.record());
    assert!(rig.accepts(&text(&key)).await);
    let events = rig.events().await;
    let kinds = events.iter().map(keyward::audit::AuditEvent::kind);
    assert_eq!(
        kinds.filter(|kind| *kind == AuditKind::KeyExposed).count(),
        1
    );
    let sum = events
        .iter()
        .find(|event| event.kind() == AuditKind::KeyExposed);
    assert_eq!(sum.unwrap().detail("publishable"), Some(&Detail::Number(1)));
}

#[tokio::test]
async fn a_leak_report_of_a_publishable_key_that_has_ended_says_so() {
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    rig.revoke(&key).await;
    let id = key.record().id;
    assert_eq!(
        reported(&rig, &[&text(&key)]).await,
        [LeakOutcome::Ended(id)]
    );
}

#[tokio::test]
async fn a_secret_key_is_not_saved_from_a_leak_report_by_another_beginning() {
    let rig = shop();
    let secret = rig.issue_as(request_with(role("keys"))).await;
    let public = rig.issue_as(storefront()).await;
    let tokens = [
        rewritten(&text(&secret)),
        rewritten(&text(&public)),
        text(&secret),
    ];
    let outcomes = reported(&rig, &tokens.each_ref().map(String::as_str)).await;
    assert_eq!(
        outcomes,
        [
            LeakOutcome::WrongSecret(secret.record().id),
            LeakOutcome::WrongSecret(public.record().id),
            LeakOutcome::Revoked(secret.record().id),
        ]
    );
    assert!(rig.accepts(&text(&public)).await);
}

#[tokio::test]
async fn the_trail_says_of_what_kind_a_key_is_if_it_is_publishable() {
    let rig = shop();
    let (key, secret) = (rig.issue_as(storefront()).await, rig.issue().await);
    verified(&rig, &key).await;
    verified(&rig, &secret).await;
    let publishable = Detail::Text("publishable".into());
    let told: Vec<_> = rig
        .events()
        .await
        .iter()
        .map(|event| (event.kind(), event.detail("key_kind") == Some(&publishable)))
        .collect();
    let (created, used) = (AuditKind::KeyCreated, AuditKind::AuthenticationSucceeded);
    assert_eq!(
        told,
        [
            (created, true),
            (created, false),
            (used, true),
            (used, false)
        ]
    );
}

#[tokio::test]
async fn an_actor_is_made_of_a_publishable_key_and_refused_by_the_service_only() {
    // `Actor::key` is no gate: what counts is the record at the moment of the operation.
    let rig = shop();
    let key = rig.issue_as(storefront()).await;
    let actor = Actor::key(&verified(&rig, &key).await).unwrap();
    let id = key.record().id;
    let read = rig.service.get(&actor, &id).await;
    assert!(matches!(read, Err(LifecycleError::PublishableActor)));
}

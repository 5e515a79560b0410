//! Two services of two environments over one table: neither takes the other's keys, and a key manages its own environment
//! only.
#![cfg(all(feature = "testing", feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use keyward::access::{Grant, TenantBinding};
use keyward::audit::MemorySink;
use keyward::key::{Environment, KeyId};
use keyward::service::{
    Actor, Field, IssueKey, IssuedKey, KeyService, LeakOutcome, LeakedTokens, LifecycleError,
    Rejection, RequestContext, RevokeMany, Rotation, UpdateKey, VerifyError,
};
use keyward::store::ListKeys;

mod common;
mod servers;
mod three_stores;

use common::{admin, checksum, request, request_with, tenant};
use three_stores::{Shared, service, service_in};

fn services(store: &Shared) -> (KeyService, KeyService) {
    let trail = MemorySink::unbounded();
    let live = service(&store.here, &trail);
    (live, service_in(Environment::test(), &store.there, &trail))
}

async fn issue(service: &KeyService, request: IssueKey) -> IssuedKey {
    service.issue(&admin(), request).await.unwrap()
}

async fn rejection(service: &KeyService, key: &str) -> Rejection {
    match service.verify(key.as_bytes(), &RequestContext::new()).await {
        Err(VerifyError::Rejected(rejection)) => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

async fn acting(service: &KeyService, request: IssueKey) -> Actor {
    let key = issue(service, request).await;
    let presented = key.key().expose().as_bytes();
    let verified = service.verify(presented, &RequestContext::new()).await;
    Actor::key(&verified.unwrap()).unwrap()
}

/// The same key with another environment in it, and the checksum that then fits.
fn edited(key: &str, from: &str, to: &str) -> String {
    let body = key[..key.len() - 6].replacen(from, to, 1);
    format!("{body}{}", checksum(&body))
}

async fn a_key_is_good_in_its_own_environment_only_whatever_its_text_is_made_to_say(store: Shared) {
    let (live, test) = services(&store);
    for (own, other, from, to) in [
        (&live, &test, "live", "test"),
        (&test, &live, "test", "live"),
    ] {
        let issued = issue(own, request()).await;
        let key = issued.key().expose();
        assert!(matches!(
            rejection(other, key).await,
            Rejection::Malformed(_)
        ));
        // Before and after the slow hash has been paid for it once.
        for _ in 0..2 {
            let edited = edited(key, from, to);
            assert_eq!(rejection(other, &edited).await, Rejection::WrongEnvironment);
            assert!(matches!(
                rejection(own, &edited).await,
                Rejection::Malformed(_)
            ));
        }
        let verified = own.verify(key.as_bytes(), &RequestContext::new()).await;
        assert!(verified.is_ok());
    }
}

fn is_not_found<T>(outcome: &Result<T, LifecycleError>) -> bool {
    matches!(outcome, Err(LifecycleError::NotFound))
}

/// What an acting key of one environment can do to a key of another.
async fn reaches_nothing(
    service: &KeyService,
    actor: &Actor,
    other: &IssuedKey,
    theirs: Environment,
) {
    let id: &KeyId = &other.record().id;
    assert!(is_not_found(&service.get(actor, id).await));
    assert!(is_not_found(&service.revoke(actor, id, "mine now").await));
    assert!(is_not_found(&service.disable(actor, id).await));
    assert!(is_not_found(&service.enable(actor, id).await));
    assert!(is_not_found(&service.delete(actor, id).await));
    let renamed = UpdateKey::new().with_name("x".to_owned());
    assert!(is_not_found(&service.update(actor, id, renamed).await));
    assert!(is_not_found(
        &service.rotate(actor, id, Rotation::AtOnce).await
    ));
    for query in [ListKeys::new(), ListKeys::new().with_environment(theirs)] {
        let page = service.list(actor, query).await.unwrap();
        assert!(page.records.iter().all(|it| it.id != *id));
    }
    let order = RevokeMany::of_owner("acme".parse().unwrap(), "all").with_environment(theirs);
    let done = service.revoke_many(actor, &order).await.unwrap();
    assert_eq!((done.revoked, done.already_ended), (0, 0));
}

async fn a_key_manages_keys_of_its_own_environment_only(store: Shared) {
    let (live, test) = services(&store);
    let role = |name: &str| Grant::Role(name.parse().unwrap());
    let cases = [
        ("keys", TenantBinding::None),
        ("keys", tenant("north")),
        ("root", TenantBinding::Platform),
    ];
    for (name, binding) in cases {
        let wanted = || request_with(role(name)).with_tenant(binding.clone());
        let (victim, tried) = (issue(&live, wanted()).await, issue(&test, wanted()).await);
        let actor = acting(&test, wanted()).await;
        reaches_nothing(&test, &actor, &victim, Environment::live()).await;
        let actor = acting(&live, wanted()).await;
        reaches_nothing(&live, &actor, &tried, Environment::test()).await;
        for key in [&victim, &tried] {
            let record = live.get(&admin(), &key.record().id).await.unwrap();
            assert_eq!(*record, **key.record());
        }
        // Its own it manages.
        let order = RevokeMany::of_owner("acme".parse().unwrap(), "all");
        let done = live.revoke_many(&actor, &order).await.unwrap();
        assert_eq!(done.revoked, 2);
        let record = live.get(&admin(), &tried.record().id).await.unwrap();
        assert!(record.revocation.is_none());
    }
}

async fn people_manage_keys_of_all_environments_but_make_secrets_in_their_services_only(
    store: Shared,
) {
    let (live, test) = services(&store);
    let key = issue(&live, request()).await;
    let id = &key.record().id;
    let page = test.list(&admin(), ListKeys::new()).await.unwrap();
    assert_eq!(page.records.len(), 1);
    let refused = test.rotate(&admin(), id, Rotation::AtOnce).await;
    assert!(matches!(
        refused,
        Err(LifecycleError::Invalid {
            field: "environment",
            ..
        })
    ));
    let renamed = UpdateKey::new().with_description(Field::Set("by the other".into()));
    assert!(test.update(&admin(), id, renamed).await.is_ok());
    let tokens = LeakedTokens::new([key.key().expose()]).unwrap();
    let found = test.report_leaked(&admin(), tokens).await.unwrap();
    assert_eq!(
        found.outcomes,
        [LeakOutcome::Malformed],
        "report it where it belongs"
    );
    let revoked = test.revoke(&admin(), id, "over").await.unwrap();
    assert!(revoked.record.revocation.is_some());
    assert_eq!(
        rejection(&live, key.key().expose()).await,
        Rejection::Revoked
    );
}

on_each_store!(
    a_key_is_good_in_its_own_environment_only_whatever_its_text_is_made_to_say,
    a_key_manages_keys_of_its_own_environment_only,
    people_manage_keys_of_all_environments_but_make_secrets_in_their_services_only,
);

//! Revoking all keys of an owner, a tenant or a role: none is left out, nothing else is touched, and nothing stops it.
#![cfg(all(feature = "testing", feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::time::Duration;

use keyward::access::Grant;
use keyward::audit::{AuditKind, MemorySink, Outcome};
use keyward::key::{Environment, KeyId, KeyRecord};
use keyward::service::{
    Actor, Field, IssuedKey, KeyService, LifecycleError, Rejection, RequestContext, RevokeMany,
    RevokeManyError, RevokedBatch, RevokedMany, UpdateKey,
};
use keyward::time::Clock as _;

mod common;
mod servers;
mod three_stores;

use common::{Call, HOUR, Rig, admin, request, request_with, rig, scopes, tenant};
use three_stores::{Shared, service, service_in};

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn of_acme() -> RevokeMany {
    RevokeMany::of_owner("acme".parse().unwrap(), "taken over")
}

async fn end_all(service: &KeyService, order: &RevokeMany) -> RevokedMany {
    let done = service.revoke_many(&admin(), order).await.unwrap();
    assert!(done.is_complete(), "{done:?}");
    done
}

async fn record(service: &KeyService, id: &KeyId) -> KeyRecord {
    (*service.get(&admin(), id).await.unwrap()).clone()
}

async fn is_live(service: &KeyService, key: &IssuedKey) -> bool {
    let record = record(service, &key.record().id).await;
    record.revocation.is_none()
}

/// Which of these keys are not revoked.
async fn living<const N: usize>(service: &KeyService, keys: &[IssuedKey; N]) -> [bool; N] {
    let mut living = [false; N];
    for (key, is_living) in keys.iter().zip(&mut living) {
        *is_living = is_live(service, key).await;
    }
    living
}

async fn issue(service: &KeyService, request: keyward::IssueKey) -> IssuedKey {
    service.issue(&admin(), request).await.unwrap()
}

/// So many keys of acme, of which nobody needs the secrets.
async fn issue_many(rig: &Rig, count: usize) {
    for _ in 0..count {
        drop(rig.issue().await);
    }
}

fn request_of(owner: &str, grant: Grant) -> keyward::IssueKey {
    keyward::IssueKey::new(owner.parse().unwrap(), "n", grant).with_justification("for a test")
}

async fn whatever_is_not_revoked_yet_ends_and_is_told_once(store: Shared) {
    let trail = MemorySink::unbounded();
    let (here, there) = (service(&store.here, &trail), service(&store.there, &trail));
    let on = issue(&here, request()).await;
    let off = issue(&here, request()).await;
    here.disable(&admin(), &off.record().id).await.unwrap();
    let expired = issue(&here, request().with_lifetime(Duration::from_millis(1))).await;
    let revoked = issue(&here, request()).await;
    let before = here.revoke(&admin(), &revoked.record().id, "lost").await;
    let other = issue(&here, request_of("acme2", scopes(&["send_email"]))).await;
    tokio::time::sleep(Duration::from_millis(2)).await;

    let done = end_all(&there, &of_acme().with_batch(2)).await;
    assert_eq!((done.revoked, done.already_ended, done.passes), (3, 1, 2));
    let presented = on.key().expose().as_bytes();
    let verified = here.verify(presented, &RequestContext::new()).await;
    assert!(verified.is_err());
    for key in [&on, &off, &expired] {
        let revocation = record(&here, &key.record().id).await.revocation.unwrap();
        assert_eq!(revocation.reason, "taken over");
        assert_eq!(revocation.by, *admin().reference());
    }
    let kept = record(&here, &revoked.record().id).await;
    assert_eq!(kept, *before.unwrap().record, "its first revocation stays");
    assert!(is_live(&here, &other).await);

    there.recorder().flush().await.unwrap();
    let events = trail.events();
    let told = events
        .iter()
        .filter(|it| it.kind() == AuditKind::KeyRevoked && it.outcome() == Outcome::Success);
    let mut told: Vec<_> = told.map(|it| it.key_id().unwrap().to_owned()).collect();
    told.sort();
    let mut wanted: Vec<_> = [&on, &off, &expired, &revoked]
        .map(|it| it.record().id.to_string())
        .to_vec();
    wanted.sort();
    assert_eq!(told, wanted);

    let again = end_all(&here, &of_acme()).await;
    assert_eq!(
        (again.revoked, again.already_ended, again.passes),
        (0, 4, 1)
    );
}

async fn an_order_ends_what_fits_all_of_it_and_nothing_else(store: Shared) {
    let trail = MemorySink::unbounded();
    let live = service(&store.here, &trail);
    let test = service_in(Environment::test(), &store.there, &trail);
    let narrowed = |name: &str| {
        Grant::try_role_with_scopes(name.parse().unwrap(), ["leads:read".parse().unwrap()]).unwrap()
    };
    let keys = [
        issue(
            &live,
            request_of("ann", role("small")).with_tenant(tenant("north")),
        )
        .await,
        issue(
            &live,
            request_of("ann", narrowed("small")).with_tenant(tenant("south")),
        )
        .await,
        issue(&live, request_of("ann", scopes(&["leads:read"]))).await,
        issue(
            &live,
            request_of("bob", role("keys")).with_tenant(tenant("north")),
        )
        .await,
        issue(
            &test,
            request_of("bob", role("small")).with_tenant(tenant("north2")),
        )
        .await,
    ];
    let ann = || "ann".parse().unwrap();
    let small = || "small".parse().unwrap();
    let north = || "north".parse().unwrap();

    let order = RevokeMany::of_owner(ann(), "1")
        .with_tenant(north())
        .with_role("keys".parse().unwrap());
    assert_eq!(end_all(&live, &order).await.revoked, 0);
    let order = RevokeMany::of_role(small(), "2").with_environment(Environment::test());
    assert_eq!(end_all(&live, &order).await.revoked, 1);
    assert_eq!(living(&live, &keys).await, [true, true, true, true, false]);
    let order = RevokeMany::of_role(small(), "3")
        .with_owner(ann())
        .with_tenant("south".parse().unwrap());
    assert_eq!(end_all(&live, &order).await.revoked, 1);
    assert_eq!(living(&live, &keys).await, [true, false, true, true, false]);
    assert_eq!(
        end_all(&live, &RevokeMany::of_role(small(), "4"))
            .await
            .revoked,
        1
    );
    assert_eq!(
        living(&live, &keys).await,
        [false, false, true, true, false]
    );
    assert_eq!(
        end_all(&live, &RevokeMany::of_tenant(north(), "5"))
            .await
            .revoked,
        1
    );
    assert_eq!(
        living(&live, &keys).await,
        [false, false, true, false, false]
    );
    assert_eq!(end_all(&live, &RevokeMany::every_key("6")).await.revoked, 1);
    assert_eq!(living(&live, &keys).await, [false; 5]);
}

async fn batches_can_be_taken_one_by_one_and_begun_anywhere(store: Shared) {
    let service = service(&store.here, &MemorySink::unbounded());
    let mut keys = Vec::new();
    for _ in 0..7 {
        keys.push(issue(&service, request()).await.record().id);
    }
    let order = of_acme().with_batch(3);
    let first = service.revoke_batch(&admin(), &order, None).await.unwrap();
    assert_eq!(first.revoked.len(), 3);
    let second = service
        .revoke_batch(&admin(), &order, first.next)
        .await
        .unwrap();
    let again = service
        .revoke_batch(&admin(), &order, first.next)
        .await
        .unwrap();
    assert_eq!((again.revoked.len(), again.already_ended), (0, 3));
    let third = service
        .revoke_batch(&admin(), &order, again.next)
        .await
        .unwrap();
    assert_eq!((third.revoked.len(), third.next), (1, None));
    let mut ended = [first.revoked, second.revoked, third.revoked].concat();
    ended.sort();
    keys.sort();
    assert_eq!(ended, keys);
}

on_each_store!(
    whatever_is_not_revoked_yet_ends_and_is_told_once,
    an_order_ends_what_fits_all_of_it_and_nothing_else,
    batches_can_be_taken_one_by_one_and_begun_anywhere,
);

#[tokio::test]
async fn an_order_needs_a_reason_as_a_revocation_does() {
    let rig = rig();
    let key = rig.issue().await;
    for reason in ["", " \n ", &"x".repeat(1025), "a\u{0}b"] {
        let order = RevokeMany::of_owner("acme".parse().unwrap(), reason);
        let refused = rig.service.revoke_many(&admin(), &order).await.unwrap_err();
        assert!(
            matches!(
                refused.cause,
                LifecycleError::Invalid {
                    field: "reason",
                    ..
                }
            ),
            "{reason:?}"
        );
    }
    assert!(is_live(&rig.service, &key).await);
}

#[tokio::test]
async fn no_page_is_larger_than_was_asked_for_and_no_key_is_read_for_nothing() {
    let rig = rig();
    issue_many(&rig, 10).await;
    let order = of_acme().with_batch(3);
    let (lists, finds) = (rig.store.count(Call::List), rig.store.count(Call::Find));
    assert_eq!(end_all(&rig.service, &order).await.revoked, 10);
    // Twice ten keys are four pages; a revocation reads its key, and one that has ended is not read again.
    assert_eq!(rig.store.count(Call::List) - lists, 8);
    assert_eq!(rig.store.count(Call::Find) - finds, 10);
    for (asked, pages) in [(0, 10), (1001, 1)] {
        let before = rig.store.count(Call::List);
        drop(end_all(&rig.service, &of_acme().with_batch(asked)).await);
        assert_eq!(rig.store.count(Call::List) - before, pages, "{asked}");
    }
}

// Who acts.

/// A key that manages keys, as an actor.
async fn acting(rig: &Rig, asked: keyward::IssueKey) -> (IssuedKey, Actor) {
    let key = rig.issue_as(asked).await;
    let actor = rig.acting(&key).await;
    (key, actor)
}

#[tokio::test]
async fn a_key_that_may_not_manage_keys_revokes_none_and_is_written_down() {
    let rig = rig();
    let (_, actor) = acting(&rig, request_with(role("small"))).await;
    let victim = rig.issue().await;
    let refused = rig
        .service
        .revoke_many(&actor, &of_acme())
        .await
        .unwrap_err();
    assert!(matches!(refused.cause, LifecycleError::NotPermitted { .. }));
    assert_eq!(refused.so_far.revoked, 0);
    assert!(is_live(&rig.service, &victim).await);
    let told = rig.events_of(AuditKind::PermissionRefused).await;
    assert_eq!(told, [(Outcome::Failure, Some("not_permitted".to_owned()))]);
}

#[tokio::test]
async fn a_tenants_key_ends_its_tenants_keys_and_learns_of_no_others() {
    let rig = rig();
    let (_, north) = acting(
        &rig,
        request_of("ops", role("keys")).with_tenant(tenant("north")),
    )
    .await;
    let own = rig.issue_as(request().with_tenant(tenant("north"))).await;
    let south = rig.issue_as(request().with_tenant(tenant("south"))).await;
    let unbound = rig.issue().await;
    let done = rig.service.revoke_many(&north, &of_acme()).await.unwrap();
    assert_eq!((done.revoked, done.already_ended, done.failures), (1, 0, 0));
    let order = RevokeMany::of_tenant("south".parse().unwrap(), "not mine");
    let none = rig.service.revoke_many(&north, &order).await.unwrap();
    assert_eq!((none.revoked, none.already_ended, none.failures), (0, 0, 0));
    assert_eq!(
        living(&rig.service, &[own, south, unbound]).await,
        [false, true, true]
    );
}

#[tokio::test]
async fn a_key_without_a_tenant_ends_those_without_one() {
    let rig = rig();
    let (_, unbound) = acting(&rig, request_of("ops", role("keys"))).await;
    let bound = rig.issue_as(request().with_tenant(tenant("north"))).await;
    let free = rig.issue().await;
    let done = rig
        .service
        .revoke_many(&unbound, &of_acme().with_batch(1))
        .await
        .unwrap();
    assert_eq!(done.revoked, 1);
    assert_eq!(living(&rig.service, &[bound, free]).await, [true, false]);
}

#[tokio::test]
async fn an_acting_key_ends_last() {
    let rig = rig();
    let older = rig.issue_as(request_with(role("keys"))).await;
    let (own, actor) = acting(&rig, request_with(role("keys"))).await;
    let newer = rig.issue_as(request_with(role("keys"))).await;
    let order = RevokeMany::of_role("keys".parse().unwrap(), "all of them").with_batch(1);
    let done = rig.service.revoke_many(&actor, &order).await.unwrap();
    assert!(done.is_complete());
    assert_eq!((done.revoked, done.acting_key), (3, None));
    let events = rig.events().await;
    let mut revoked = events
        .iter()
        .filter(|it| it.kind() == AuditKind::KeyRevoked);
    let last = revoked.next_back().unwrap().key_id();
    assert_eq!(last, Some(own.record().id.as_str()));
    assert_eq!(living(&rig.service, &[older, own, newer]).await, [false; 3]);
}

#[tokio::test]
async fn an_acting_key_stays_when_another_could_not_be_ended() {
    let rig = rig();
    let (own, actor) = acting(&rig, request_with(role("keys"))).await;
    let other = rig.issue_as(request_with(role("keys"))).await;
    let order = RevokeMany::of_role("keys".parse().unwrap(), "all of them");
    rig.store.fail(Call::Update, u64::MAX);
    let done = rig.service.revoke_many(&actor, &order).await.unwrap();
    assert!(!done.is_complete());
    let id = own.record().id;
    assert_eq!((done.failures, done.acting_key), (1, Some(id)));
    rig.store.fail(Call::Update, 0);
    let done = rig.service.revoke_many(&actor, &order).await.unwrap();
    assert_eq!((done.revoked, done.is_complete()), (2, true));
    assert_eq!(living(&rig.service, &[own, other]).await, [false; 2]);
}

#[tokio::test]
async fn a_batch_leaves_the_acting_key_alone_and_says_so() {
    let rig = rig();
    let (own, actor) = acting(&rig, request_with(role("keys"))).await;
    let batch = rig
        .service
        .revoke_batch(&actor, &of_acme(), None)
        .await
        .unwrap();
    assert_eq!(batch.acting_key, Some(own.record().id));
    assert!(batch.revoked.is_empty());
    assert!(is_live(&rig.service, &own).await);
}

#[tokio::test]
async fn a_leaked_administrators_key_is_ended_by_another() {
    let rig = rig();
    let platform =
        || request_with(role("root")).with_tenant(keyward::access::TenantBinding::Platform);
    let leaked = rig.issue_as(platform()).await;
    let (own, actor) = acting(
        &rig,
        request_of("ops", role("root")).with_tenant(keyward::access::TenantBinding::Platform),
    )
    .await;
    let done = rig.service.revoke_many(&actor, &of_acme()).await.unwrap();
    assert_eq!((done.revoked, done.is_complete()), (1, true));
    assert_eq!(
        rig.rejected(leaked.key().expose()).await,
        Rejection::Revoked
    );
    assert!(rig.accepts(own.key().expose()).await);
}

#[tokio::test]
async fn a_key_that_ends_while_it_acts_is_told_how_far_it_got() {
    let rig = rig();
    let (own, actor) = acting(&rig, request_of("ops", role("keys"))).await;
    issue_many(&rig, 3).await;
    rig.sink.hold();
    let (service, order) = (rig.service.clone(), of_acme().with_batch(1));
    let running = tokio::spawn(async move { service.revoke_many(&actor, &order).await });
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    let ended =
        keyward::key::Revocation::new(rig.clock.now(), "user:eve".parse().unwrap(), "x".into());
    rig.store
        .edit(&own.record().id, |it| it.revocation = Some(ended))
        .await;
    rig.sink.release();
    let stopped: RevokeManyError = running.await.unwrap().unwrap_err();
    assert!(matches!(stopped.cause, LifecycleError::ActorEnded));
    assert_eq!((stopped.so_far.revoked, stopped.so_far.failures), (1, 0));
}

// What goes wrong.

#[tokio::test]
async fn what_failed_once_is_tried_again() {
    let rig = rig();
    issue_many(&rig, 5).await;
    rig.store.fail(Call::Update, 2);
    let done = end_all(&rig.service, &of_acme()).await;
    assert_eq!((done.revoked, done.already_ended, done.passes), (5, 0, 3));
}

#[tokio::test]
async fn an_outage_leaves_one_key_and_not_the_others() {
    let rig = rig();
    issue_many(&rig, 5).await;
    rig.store.fail(Call::Find, 1);
    let batch = rig
        .service
        .revoke_batch(&admin(), &of_acme(), None)
        .await
        .unwrap();
    let [(left, error)] = batch.failed.as_slice() else {
        panic!("{batch:?}");
    };
    assert!(matches!(error, LifecycleError::Unavailable(_)));
    assert_eq!(batch.revoked.len(), 4);
    assert!(rig.record(left).await.revocation.is_none());
    assert_eq!(end_all(&rig.service, &of_acme()).await.revoked, 1);
    let told = rig.events_of(AuditKind::KeyRevoked).await;
    assert_eq!(told, vec![(Outcome::Success, None); 5]);
}

#[tokio::test]
async fn a_store_that_takes_no_changes_is_told_of_by_name() {
    let rig = rig();
    let key = rig.issue().await;
    rig.store.fail(Call::Update, u64::MAX);
    let done = rig.service.revoke_many(&admin(), &of_acme()).await.unwrap();
    assert!(!done.is_complete());
    assert_eq!((done.revoked, done.failures, done.passes), (0, 1, 1));
    assert_eq!(done.failed[0].0, key.record().id);
}

#[tokio::test]
async fn an_outage_of_the_list_is_an_error_that_tells_how_far_it_got() {
    let rig = rig();
    issue_many(&rig, 3).await;
    rig.sink.hold();
    let (service, order) = (rig.service.clone(), of_acme().with_batch(1));
    let running = tokio::spawn(async move { service.revoke_many(&admin(), &order).await });
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    rig.store.fail(Call::List, u64::MAX);
    rig.sink.release();
    let stopped = running.await.unwrap().unwrap_err();
    assert!(matches!(stopped.cause, LifecycleError::Unavailable(_)));
    assert_eq!(
        (stopped.so_far.revoked, stopped.so_far.is_complete()),
        (1, false)
    );
    rig.store.fail(Call::List, 0);
    let done = end_all(&rig.service, &of_acme()).await;
    assert_eq!((done.revoked, done.already_ended), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_trail_stops_nothing_and_its_gaps_are_named() {
    let rig = rig();
    let mut keys = Vec::new();
    for _ in 0..6 {
        keys.push(rig.issue().await.record().id);
    }
    rig.sink.fail_next(u32::MAX);
    let done = end_all(&rig.service, &of_acme()).await;
    assert_eq!((done.revoked, done.gaps), (6, 6));
    let mut named: Vec<_> = done.unaudited.iter().map(|(id, _)| *id).collect();
    named.sort();
    keys.sort();
    assert_eq!(named, keys);
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_hangs_holds_up_an_order_once_and_not_for_each_key_or_batch() {
    let rig = rig();
    issue_many(&rig, 100).await;
    rig.sink.hold();
    let begun = tokio::time::Instant::now();
    let done = end_all(&rig.service, &of_acme().with_batch(10)).await;
    let took = begun.elapsed();
    rig.sink.release();
    assert_eq!((done.revoked, done.gaps), (100, 100));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn more_names_than_fit_are_counted() {
    let rig = rig();
    let template = rig.issue().await;
    copies(&rig, &template, RevokedMany::MOST_NAMED + 5).await;
    rig.store.fail(Call::Find, u64::MAX);
    let done = rig.service.revoke_many(&admin(), &of_acme()).await.unwrap();
    assert_eq!(done.failures, 1006);
    assert_eq!(done.failed.len(), RevokedMany::MOST_NAMED);
}

/// So many more keys like this one.
async fn copies(rig: &Rig, template: &IssuedKey, count: usize) {
    use keyward::store::{InsertKey, KeyStore as _};
    for number in 0..count {
        let mut record = (**template.record()).clone();
        record.id = format!("{number:0>12}").parse().unwrap();
        rig.store.insert(InsertKey::new(record)).await.unwrap();
    }
}

// What comes meanwhile.

#[tokio::test]
async fn a_key_that_is_issued_meanwhile_ends_too() {
    use keyward::store::{InsertKey, KeyStore as _};
    let rig = rig();
    issue_many(&rig, 2).await;
    let template = rig.issue().await;
    rig.sink.hold();
    let (service, order) = (rig.service.clone(), of_acme().with_batch(1));
    let running = tokio::spawn(async move { service.revoke_many(&admin(), &order).await });
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    // By another process. Its place lies before the one where the order is: the newest come first.
    let mut late = (**template.record()).clone();
    late.id = "0aZ9bY8cX7dW".parse().unwrap();
    late.created_at = late.created_at.saturating_add(HOUR);
    rig.store
        .insert(InsertKey::new(late.clone()))
        .await
        .unwrap();
    rig.sink.release();
    let done = running.await.unwrap().unwrap();
    assert_eq!((done.revoked, done.passes), (4, 3), "{done:?}");
    assert!(rig.record(&late.id).await.revocation.is_some());
}

#[tokio::test]
async fn a_key_that_is_moved_into_the_order_meanwhile_ends_too() {
    let rig = rig();
    let order = RevokeMany::of_role("small".parse().unwrap(), "over").with_batch(1);
    let newest_last = [
        rig.issue().await,
        rig.issue_as(request_with(role("small"))).await,
    ];
    rig.sink.hold();
    let service = rig.service.clone();
    let running = tokio::spawn(async move { service.revoke_many(&admin(), &order).await });
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    rig.store
        .edit(&newest_last[0].record().id, |it| it.grant = role("small"))
        .await;
    rig.sink.release();
    assert_eq!(running.await.unwrap().unwrap().revoked, 2);
}

#[tokio::test]
async fn an_order_that_is_dropped_is_finished_by_the_next() {
    let rig = rig();
    issue_many(&rig, 10).await;
    rig.sink.hold();
    let actor = admin();
    let order = of_acme();
    {
        let running = rig.service.revoke_many(&actor, &order);
        let dropped = tokio::time::timeout(Duration::from_millis(50), running).await;
        assert!(dropped.is_err());
    }
    rig.sink.release();
    let done = end_all(&rig.service, &order).await;
    assert_eq!((done.revoked, done.already_ended), (10, 0));
}

#[tokio::test]
async fn two_orders_at_one_time_end_each_key_once() {
    let rig = rig();
    issue_many(&rig, 20).await;
    let order = of_acme().with_batch(5);
    let run = |order: RevokeMany| {
        let service = rig.service.clone();
        tokio::spawn(async move { service.revoke_many(&admin(), &order).await.unwrap() })
    };
    let (one, other) = (run(order.clone()), run(order));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(one.is_complete() && other.is_complete());
    assert_eq!(one.revoked + other.revoked, 20);
    let told = rig.events_of(AuditKind::KeyRevoked).await;
    let count = |outcome| told.iter().filter(|it| it.0 == outcome).count();
    assert_eq!(count(Outcome::Success) - count(Outcome::Failure), 20);
}

#[tokio::test]
async fn a_key_that_is_deleted_meanwhile_is_no_failure() {
    let rig = rig();
    let keys = [
        rig.issue().await,
        rig.issue_as(request().with_lifetime(HOUR)).await,
    ];
    rig.clock.advance(HOUR);
    rig.sink.hold();
    let (service, order) = (rig.service.clone(), of_acme().with_batch(1));
    let running = tokio::spawn(async move { service.revoke_many(&admin(), &order).await });
    rig.sink.wait_for_writes(rig.sink.begun() + 1).await;
    use keyward::store::KeyStore as _;
    for key in &keys {
        let record = rig.record(&key.record().id).await;
        rig.store.delete(&record.id, record.revision).await.unwrap();
    }
    rig.sink.release();
    let done = running.await.unwrap().unwrap();
    assert!(done.is_complete());
    assert_eq!((done.revoked, done.already_ended), (0, 1));
}

#[tokio::test]
async fn an_expiry_cannot_be_moved_after_it() {
    let rig = rig();
    let expired = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.clock.advance(HOUR);
    drop(end_all(&rig.service, &of_acme()).await);
    let later = UpdateKey::new().with_expires_at(Field::Clear);
    let refused = rig
        .service
        .update(&admin(), &expired.record().id, later)
        .await;
    assert!(matches!(refused, Err(LifecycleError::WrongState { .. })));
}

#[tokio::test]
async fn what_a_batch_shows_holds_no_secret() {
    let rig = rig();
    let key = rig.issue().await;
    rig.store.fail(Call::Find, 1);
    let batch: RevokedBatch = rig
        .service
        .revoke_batch(&admin(), &of_acme(), None)
        .await
        .unwrap();
    let shown = format!("{batch:?} {:?}", of_acme());
    let digest = key.record().current.digest.as_str();
    assert!(!shown.contains(digest) && !shown.contains(&key.key().expose()[20..30]));
}

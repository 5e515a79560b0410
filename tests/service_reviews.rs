//! Each review at its edge, on every store whose filters are its own.
#![cfg(feature = "testing")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

mod common;
#[cfg(feature = "postgres")]
mod servers;

use std::time::Duration;

use common::{policy, request, request_with, rig, scopes};
use keyward::access::Grant;
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, KeyId, KeyRecord, LastUse, Revocation};
use keyward::service::{Actor, KeyService, Review, RotationAge, RotationPolicy};
use keyward::store::{InsertKey, KeyStore, ListKeys, MemoryStore, Page};
use keyward::testing::ManualClock;
use keyward::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MICRO: Duration = Duration::from_micros(1);

fn id(number: u32) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

/// A key that is a thousand days old and has a secret of today.
fn record(number: u32) -> KeyRecord {
    let digest = DigestText::new("$2b$12$no-digest");
    let mut record = KeyRecord::new(
        id(number),
        Environment::live(),
        "acme".parse().unwrap(),
        format!("key {number}"),
        scopes(&["send_email"]),
        Credential::new(digest, SecretOrigin::Generated, NOW),
        NOW.saturating_sub(DAY * 1000 + MICRO * number),
        "user:ana".parse().unwrap(),
    );
    record.last_used = Some(LastUse::new(NOW, None));
    record
}

/// The kinds of keys that no review of active keys may hold.
fn ended(number: u32, record: &KeyRecord) -> [KeyRecord; 2] {
    let (mut revoked, mut disabled) = (record.clone(), record.clone());
    (revoked.id, disabled.id) = (id(number), id(number + 1));
    revoked.revocation = Some(Revocation::new(
        NOW,
        "user:ana".parse().unwrap(),
        "x".into(),
    ));
    disabled.disabled = true;
    [revoked, disabled]
}

/// Secrets of administrators may become 20 days old, all others 200.
fn ages() -> RotationPolicy {
    let days = |days: u32| RotationAge::refuse_at(DAY * days);
    let ages = RotationPolicy::builder().otherwise(days(200));
    ages.role("keys".parse().unwrap(), days(20))
        .build()
        .unwrap()
}

async fn service(store: impl KeyStore, records: &[KeyRecord]) -> KeyService {
    for record in records {
        store.insert(InsertKey::new(record.clone())).await.unwrap();
    }
    KeyService::builder(store)
        .policy(policy())
        .rotation_policy(ages())
        .clock(ManualClock::new(NOW))
        .build()
        .unwrap()
}

fn admin() -> Actor {
    Actor::user("ana").unwrap()
}

/// All pages of a review, two keys at a time.
async fn paged(service: &KeyService, review: &Review) -> Vec<KeyId> {
    let mut found = Vec::new();
    let mut page = ListKeys::new().with_limit(2);
    loop {
        let Page { records, next, .. } = service
            .review(&admin(), review, page.clone())
            .await
            .unwrap();
        assert!(records.len() <= 2);
        found.extend(records.iter().map(|record| record.id));
        match next {
            Some(next) => page = page.with_after(next),
            None => return found,
        }
    }
}

async fn expect(store: impl KeyStore, records: &[KeyRecord], review: Review, ids: &[u32]) {
    let service = service(store, records).await;
    let ids: Vec<KeyId> = ids.iter().copied().map(id).collect();
    assert_eq!(paged(&service, &review).await, ids);
}

async fn due_for_rotation(store: impl KeyStore) {
    let aged = |number, age| {
        let mut record = record(number);
        record.current.created_at = NOW.saturating_sub(age);
        record
    };
    let mut records = vec![
        aged(1, DAY * 90 - MICRO),
        aged(2, DAY * 90),
        aged(3, DAY * 400),
        aged(4, DAY * 90 + MICRO),
    ];
    records.extend(ended(5, &records[2]));
    expect(store, &records, Review::DueForRotation, &[3, 4, 2]).await;
}

/// Numbers above 50 are of administrators; one more ends before its secret is too old.
fn secrets_of_ages(ages: &[(u32, Duration)]) -> Vec<KeyRecord> {
    let aged = |&(number, age): &(u32, Duration)| {
        let mut record = record(number);
        record.current.created_at = NOW.saturating_sub(age);
        if number > 50 {
            record.grant = Grant::Role("keys".parse().unwrap());
        }
        record
    };
    let mut records: Vec<_> = ages.iter().map(aged).collect();
    let mut ending = aged(&(20, DAY * 199));
    ending.expires_at = Some(NOW.saturating_add(DAY));
    records.extend(ended(21, &aged(&(23, DAY * 300))));
    records.push(ending);
    records
}

async fn rotation_overdue(store: impl KeyStore) {
    let records = secrets_of_ages(&[
        (1, DAY * 200 - MICRO),
        (2, DAY * 200),
        (3, DAY * 400),
        (51, DAY * 20 - MICRO),
        (52, DAY * 20),
        (53, DAY * 30),
        (4, DAY * 30),
    ]);
    expect(store, &records, Review::RotationOverdue, &[3, 2, 53, 52]).await;
}

async fn overdue_soon(store: impl KeyStore) {
    let records = secrets_of_ages(&[
        (1, DAY * 200),
        (2, DAY * 200 - MICRO),
        (3, DAY * 197),
        (4, DAY * 197 - MICRO),
        (51, DAY * 20),
        (52, DAY * 20 - MICRO),
        (53, DAY * 17),
        (54, DAY * 17 - MICRO),
    ]);
    let review = Review::OverdueWithin(DAY * 3);
    expect(store, &records, review, &[2, 3, 52, 53]).await;
}

async fn expiring(store: impl KeyStore) {
    let ending = |number, at| {
        let mut record = record(number);
        record.expires_at = Some(at);
        record
    };
    let mut records = vec![
        record(1),
        ending(2, NOW),
        ending(3, NOW.saturating_add(DAY * 7)),
        ending(4, NOW.saturating_add(MICRO)),
        ending(5, NOW.saturating_add(DAY * 7 + MICRO)),
        ending(6, NOW.saturating_add(DAY * 7)),
        ending(7, NOW.saturating_sub(DAY)),
    ];
    records.extend(ended(8, &records[3]));
    expect(store, &records, Review::ExpiringWithin(DAY * 7), &[4, 3, 6]).await;
}

async fn never_used(store: impl KeyStore) {
    let mut records = vec![record(1), record(2), record(3)];
    records[0].last_used = None;
    records[2].last_used = None;
    records[2].last_used = Some(LastUse::new(Timestamp::MIN, None));
    records.extend(ended(4, &records[0]));
    expect(store, &records, Review::NeverUsed, &[1]).await;
}

async fn unused(store: impl KeyStore) {
    let used = |number, ago| {
        let mut record = record(number);
        record.last_used = Some(LastUse::new(NOW.saturating_sub(ago), None));
        record
    };
    let mut never = record(4);
    never.last_used = None;
    let mut records = vec![
        used(1, DAY * 30),
        used(2, DAY * 30 - MICRO),
        used(3, DAY * 300),
        never,
    ];
    records.extend(ended(5, &records[2]));
    expect(store, &records, Review::UnusedFor(DAY * 30), &[1, 3]).await;
}

async fn exposed(store: impl KeyStore) {
    let seen = |number, at: Timestamp, secret| {
        let mut record = record(number);
        record.exposed_at = Some(at);
        record.current.created_at = secret;
        record
    };
    let mut records = vec![
        record(1),
        seen(2, NOW, NOW),
        seen(3, NOW.saturating_sub(MICRO), NOW),
        seen(4, NOW, NOW.saturating_sub(DAY * 80)),
    ];
    records.extend(ended(5, &records[3]));
    expect(store, &records, Review::Exposed, &[2, 4]).await;
}

async fn of_owner(store: impl KeyStore) {
    let mut records = vec![record(1), record(2), record(3)];
    records[0].owner = "Acme".parse().unwrap();
    records[1].disabled = true;
    let review = Review::OfOwner("acme".parse().unwrap());
    expect(store, &records, review, &[2, 3]).await;
}

async fn admin_keys(store: impl KeyStore) {
    let granted = |number, grant| {
        let mut record = record(number);
        record.grant = grant;
        record
    };
    let narrowed = |scope: &str| Grant::RoleWithScopes {
        role: "keys".parse().unwrap(),
        scopes: vec![scope.parse().unwrap()],
    };
    let mut denied = granted(5, Grant::Role("keys".parse().unwrap()));
    denied.denied = vec!["manage_keys".parse().unwrap()];
    let mut records = vec![
        granted(1, Grant::Role("keys".parse().unwrap())),
        granted(2, narrowed("leads:read")),
        granted(3, narrowed("manage_keys")),
        granted(4, scopes(&["manage_keys"])),
        denied,
        granted(6, Grant::Role("small".parse().unwrap())),
        granted(7, scopes(&["manage_keys:*"])),
        granted(8, Grant::Role("root".parse().unwrap())),
    ];
    records.extend(ended(9, &records[0]));
    expect(store, &records, Review::AdminKeys, &[1, 3, 4, 8]).await;
}

macro_rules! on_every_store {
    ($($name:ident => $check:ident;)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test] async fn $name() { $check(MemoryStore::new()).await; })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            use super::*;
            $(#[tokio::test] async fn $name() {
                $check(keyward::store::SqliteStore::in_memory().await.unwrap()).await;
            })*
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let url = servers::Postgres::shared().database();
                $check(keyward::store::PostgresStore::connect(&url).await.unwrap()).await;
            })*
        }
    };
}

on_every_store! {
    admin_keys_are_those_whose_grant_manages_keys => admin_keys;
    exposed_keys_are_those_without_a_newer_secret => exposed;
    expiring_keys_come_soonest_first_up_to_the_last_moment_of_the_span => expiring;
    keys_due_for_rotation_are_as_old_as_the_age_and_come_oldest_first => due_for_rotation;
    keys_that_will_be_refused_for_their_age_are_those_within_the_span => overdue_soon;
    keys_refused_for_their_age_are_as_old_as_that_of_their_role => rotation_overdue;
    keys_of_an_owner_come_whatever_their_state => of_owner;
    never_used_keys_are_those_without_any_use => never_used;
    unused_keys_are_those_last_used_as_long_ago_as_the_span => unused;
}

/// One administrator behind more keys than one page may cost: the pages are short, and none is missed.
#[tokio::test]
async fn a_page_of_administrators_costs_a_bounded_number_of_keys_and_none_is_missed() {
    let mut oldest = record(20_001);
    oldest.grant = Grant::Role("keys".parse().unwrap());
    let mut records: Vec<_> = (0..10_500).map(record).collect();
    records.push(oldest);
    let service = service(MemoryStore::new(), &records).await;
    let first = service
        .review(&admin(), &Review::AdminKeys, ListKeys::new())
        .await
        .unwrap();
    assert!(first.records.is_empty());
    let rest = ListKeys::new().with_after(first.next.unwrap());
    let second = service
        .review(&admin(), &Review::AdminKeys, rest)
        .await
        .unwrap();
    let found: Vec<_> = second.records.iter().map(|record| record.id).collect();
    assert_eq!((found, second.next), (vec![id(20_001)], None));
}

/// The order is one that names no foreign key, neither by what is on the page nor by where it goes on.
#[tokio::test]
async fn a_key_that_acts_reviews_its_own_tenant_only() {
    let rig = rig();
    let role = Grant::Role("keys".parse().unwrap());
    let boss = rig.issue_as(request_with(role)).await;
    for tenant in ["t1", "t2", "t1", "t2"] {
        let foreign = request()
            .with_tenant(common::tenant(tenant))
            .with_lifetime(DAY);
        let _ = rig.issue_as(foreign).await;
    }
    let own = [
        rig.issue_as(request().with_lifetime(DAY)).await,
        rig.issue_as(request().with_lifetime(DAY)).await,
    ];
    let actor = rig.acting(&boss).await;
    let expiring = Review::ExpiringWithin(DAY);
    let mut page = ListKeys::new().with_limit(1);
    let mut own: Vec<KeyId> = own.iter().map(|key| key.record().id).collect();
    own.sort_unstable();
    for expected in &own {
        let found = rig
            .service
            .review(&actor, &expiring, page.clone())
            .await
            .unwrap();
        assert_eq!(
            found.records.iter().map(|it| it.id).collect::<Vec<_>>(),
            [*expected]
        );
        assert!(found.next.is_none_or(|next| own.contains(&next.id())));
        page = found
            .next
            .map_or(page.clone(), |next| page.with_after(next));
    }
}

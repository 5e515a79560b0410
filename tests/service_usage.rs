//! Last uses: gathered, written in batches, never lost and never in the way.
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

use std::time::Duration;

use common::*;
use keyward::audit::AuditKind;
use keyward::service::{KeyServiceBuilder, Rotation, ShutdownError, UpdateKey};
use keyward::time::Clock as _;

/// Nothing is written before somebody asks.
fn quiet() -> Rig {
    Rig::new(|it| it.usage_interval(Duration::from_secs(86_400)))
}

#[tokio::test]
async fn a_last_use_says_when_and_from_where() {
    let rig = quiet();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    rig.verify_from(key, "192.0.2.1").await.unwrap();
    rig.clock.advance(SECOND);
    rig.verify_from(key, "192.0.2.2").await.unwrap();
    rig.service.flush_usage().await.unwrap();
    let record = rig.record(&issued.record().id).await;
    let last = record.last_used.unwrap();
    assert_eq!(last.at, rig.clock.now());
    assert_eq!(last.from, Some("192.0.2.2".parse().unwrap()));
    assert_eq!(record.current.last_used_at, Some(last.at));
}

#[tokio::test]
async fn many_uses_of_a_key_are_one_write() {
    let rig = quiet();
    let issued = rig.issue().await;
    for _ in 0..20 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    rig.service.flush_usage().await.unwrap();
    rig.service.flush_usage().await.unwrap();
    let batches = rig.store.batches.lock().unwrap();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_use_is_written_for_the_secret_that_was_presented() {
    let rig = quiet();
    let old = rig.issue().await;
    let id = old.record().id;
    let grace = Rotation::Grace(HOUR);
    let new = rig.service.rotate(&admin(), &id, grace).await.unwrap();
    assert!(rig.accepts(old.key().expose()).await);
    let first = rig.clock.now();
    rig.clock.advance(SECOND);
    assert!(rig.accepts(new.key().expose()).await);
    rig.service.flush_usage().await.unwrap();
    let record = rig.record(&id).await;
    assert_eq!(record.current.last_used_at, Some(rig.clock.now()));
    assert_eq!(record.previous.unwrap().last_used_at, Some(first));
}

#[tokio::test]
async fn a_refused_key_was_not_used() {
    let rig = quiet();
    let issued = rig.issue().await;
    rig.service
        .disable(&admin(), &issued.record().id)
        .await
        .unwrap();
    rig.rejected(issued.key().expose()).await;
    rig.service.flush_usage().await.unwrap();
    assert!(rig.record(&issued.record().id).await.last_used.is_none());
    assert_eq!(rig.store.count(Call::Usage), 0);
}

#[tokio::test]
async fn what_the_store_does_not_take_is_kept_and_the_key_stays_good() {
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    rig.store.fail(Call::Usage, 1);
    rig.service.flush_usage().await.unwrap_err();
    assert_eq!(rig.service.counters().usage_writes_failed, 1);
    assert!(rig.accepts(issued.key().expose()).await);
    rig.service.flush_usage().await.unwrap();
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
}

#[tokio::test]
async fn a_kept_use_does_not_overwrite_a_later_one() {
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    let early = rig.clock.now();
    rig.clock.advance(HOUR);
    assert!(rig.accepts(issued.key().expose()).await);
    let late = rig.clock.now();
    rig.clock.set(early);
    assert!(rig.accepts(issued.key().expose()).await);
    rig.service.flush_usage().await.unwrap();
    let last = rig.record(&issued.record().id).await.last_used.unwrap();
    assert_eq!(last.at, late);
}

#[tokio::test]
async fn a_flush_that_is_cancelled_loses_nothing() {
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    rig.store.hold_usage();
    let mut flush = Box::pin(rig.service.flush_usage());
    assert!(futures_poll(&mut flush).is_pending());
    drop(flush);
    rig.store.release_usage();
    rig.service.flush_usage().await.unwrap();
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let waker = std::task::Waker::noop();
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(waker))
}

#[tokio::test]
async fn shutdown_waits_for_a_flush_that_is_under_way() {
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    rig.store.hold_usage();
    let service = rig.service.clone();
    let flush = tokio::spawn(async move { service.flush_usage().await });
    while rig.store.count(Call::Usage) < 1 {
        tokio::task::yield_now().await;
    }
    let mut shutdown = Box::pin(rig.service.shutdown());
    for _ in 0..10 {
        assert!(futures_poll(&mut shutdown).is_pending());
        tokio::task::yield_now().await;
    }
    rig.store.release_usage();
    shutdown.await.unwrap();
    flush.await.unwrap().unwrap();
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
}

#[tokio::test]
async fn shutdown_writes_last_uses_and_every_event() {
    let rig = quiet();
    let issued = rig.issue().await;
    for _ in 0..10 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    rig.service.shutdown().await.unwrap();
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
    let succeeded =
        |it: &&keyward::audit::AuditEvent| it.kind() == AuditKind::AuthenticationSucceeded;
    let events = rig.trail.events();
    assert_eq!(events.iter().filter(succeeded).count(), 10);
    let late = rig.service.disable(&admin(), &issued.record().id).await;
    assert!(late.is_err(), "the trail is closed");
    assert!(!rig.record(&issued.record().id).await.disabled);
}

#[tokio::test]
async fn shutdown_says_what_could_not_be_written_and_tries_both() {
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    rig.store.fail(Call::Usage, 1);
    let outcome = rig.service.shutdown().await.unwrap_err();
    assert!(matches!(outcome, ShutdownError::Usage(_)));
    let kinds: Vec<_> = rig
        .trail
        .events()
        .iter()
        .map(keyward::audit::AuditEvent::kind)
        .collect();
    assert_eq!(
        kinds,
        [AuditKind::KeyCreated, AuditKind::AuthenticationSucceeded]
    );
}

#[tokio::test]
async fn usage_and_changes_do_not_undo_each_other() {
    let rig = quiet();
    let issued = rig.issue().await;
    let id = issued.record().id;
    assert!(rig.accepts(issued.key().expose()).await);
    let update = UpdateKey::new().with_name("renamed".into());
    rig.service.update(&admin(), &id, update).await.unwrap();
    rig.revoke(&issued).await;
    let revision = rig.record(&id).await.revision;
    rig.service.flush_usage().await.unwrap();
    let record = rig.record(&id).await;
    assert!(record.revocation.is_some() && record.last_used.is_some());
    assert_eq!(
        (record.name.as_str(), record.revision),
        ("renamed", revision)
    );
}

#[tokio::test]
async fn a_use_of_a_deleted_key_brings_nothing_back() {
    use keyward::store::KeyStore as _;
    let rig = quiet();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    let id = issued.record().id;
    rig.revoke(&issued).await;
    rig.service.delete(&admin(), &id).await.unwrap();
    rig.service.flush_usage().await.unwrap();
    assert_eq!(rig.store.find(&id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn uses_are_written_now_and_then_without_being_asked() {
    let rig = rig();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    tokio::time::advance(Duration::from_secs(6)).await;
    while rig.store.count(Call::Usage) < 1 {
        tokio::task::yield_now().await;
    }
    assert!(rig.record(&issued.record().id).await.last_used.is_some());
}

#[tokio::test]
async fn a_dropped_service_ends_its_background_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let rig = quiet();
    assert!(tasks() > before);
    drop(rig);
    for _ in 0..10_000 {
        if tasks() == before {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} tasks are left", tasks() - before);
}

#[tokio::test]
async fn usage_needs_an_interval() {
    let builder = keyward::service::KeyService::builder(TestStore::new());
    let none: KeyServiceBuilder = builder.usage_interval(Duration::ZERO);
    assert!(none.build().is_err());
}

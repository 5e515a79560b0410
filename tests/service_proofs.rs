//! What is remembered of a key is a proof of its secret, and never its state.
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
use keyward::hash::DigestText;
use keyward::service::{
    Field, ImportKey, KeyServiceBuilder, Rejection, RequestContext, Rotation, UpdateKey,
    VerifiedKey, VerifyError,
};
use keyward::store::KeyStore as _;
use keyward::time::Clock as _;
use tokio::task::JoinHandle;

type Verifying = JoinHandle<Result<VerifiedKey, VerifyError>>;

fn verify_later(rig: &Rig, key: &str) -> Verifying {
    let (service, key) = (rig.service.clone(), key.to_owned());
    tokio::spawn(async move { service.verify(key.as_bytes(), &RequestContext::new()).await })
}

/// Begins a first use and stops it in the middle of the slow hash.
async fn stop_in_hash(rig: &Rig, key: &str) -> Verifying {
    rig.hasher.gate().close();
    let begun = rig.hasher.hashes() + rig.hasher.verifications();
    let verifying = verify_later(rig, key);
    wait_for_hashes(rig, usize::try_from(begun).unwrap() + 1).await;
    verifying
}

#[tokio::test]
async fn a_warm_verification_is_one_read_and_no_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    assert!(rig.accepts(key).await);
    assert_eq!(rig.hasher.verifications(), 1);
    assert_eq!(rig.store.count(Call::Find), 2);
    for _ in 0..10 {
        assert!(rig.accepts(key).await);
    }
    assert_eq!(rig.hasher.verifications(), 1);
    assert_eq!(rig.store.count(Call::Find), 12);
}

#[tokio::test]
async fn what_another_process_changes_holds_in_the_next_request() {
    let here = rig();
    let there = here.another(|it| it);
    let warm = async |request| {
        let issued = here.issue_as(request).await;
        assert!(here.accepts(issued.key().expose()).await);
        issued
    };
    let (revoked, disabled) = (warm(request()).await, warm(request()).await);
    there.revoke(&revoked).await;
    assert_eq!(
        here.rejected(revoked.key().expose()).await,
        Rejection::Revoked
    );
    let id = disabled.record().id;
    there.service.disable(&admin(), &id).await.unwrap();
    assert_eq!(
        here.rejected(disabled.key().expose()).await,
        Rejection::Disabled
    );
    there.service.enable(&admin(), &id).await.unwrap();
    assert!(here.accepts(disabled.key().expose()).await);
}

#[tokio::test]
async fn what_another_process_narrows_is_narrow_in_the_next_request() {
    let here = rig();
    let there = here.another(|it| it);
    let issued = here.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    assert!(here.accepts(key).await);
    let update = async |update| {
        there.service.update(&admin(), &id, update).await.unwrap();
    };
    update(UpdateKey::new().with_grant(scopes(&["read"]))).await;
    let verified = here.verify(key).await.unwrap();
    assert_eq!(verified.grant(), &scopes(&["read"]));
    let networks = "10.0.0.1".parse().unwrap();
    update(UpdateKey::new().with_networks(Field::Set(networks))).await;
    assert_eq!(here.rejected(key).await, Rejection::NetworkRefused);
    update(UpdateKey::new().with_networks(Field::Clear)).await;
    let soon = here.clock.now().saturating_add(MICRO);
    update(UpdateKey::new().with_expires_at(Field::Set(soon))).await;
    here.clock.advance(MICRO);
    assert_eq!(here.rejected(key).await, Rejection::Expired);
}

#[tokio::test]
async fn a_rotation_elsewhere_ends_the_old_secret_here() {
    let here = rig();
    let there = here.another(|it| it);
    let old = here.issue().await;
    let id = old.record().id;
    assert!(here.accepts(old.key().expose()).await);
    let new = there.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    assert_eq!(
        here.rejected(old.key().expose()).await,
        Rejection::Superseded
    );
    assert!(here.accepts(new.unwrap().key().expose()).await);
    assert_eq!(here.hasher.verifications(), 2);
}

#[tokio::test]
async fn a_key_revoked_during_its_slow_hash_is_refused_and_not_remembered() {
    let rig = rig();
    let issued = rig.issue().await;
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    rig.revoke(&issued).await;
    rig.hasher.gate().open();
    assert_eq!(rejection(verifying.await.unwrap()), Rejection::Revoked);
    assert_eq!(rig.service.proof_stats().kept, 0);
}

#[tokio::test]
async fn a_key_that_expires_during_its_slow_hash_is_refused() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    rig.clock.advance(HOUR);
    rig.hasher.gate().open();
    assert_eq!(rejection(verifying.await.unwrap()), Rejection::Expired);
    assert_eq!(rig.service.proof_stats().kept, 0);
}

#[tokio::test]
async fn a_key_rotated_at_once_during_its_slow_hash_is_refused() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    let other = rig.another(|it| it);
    let rotated = other.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    rig.hasher.gate().open();
    assert_eq!(rejection(verifying.await.unwrap()), Rejection::Superseded);
    assert_eq!(rig.service.proof_stats().kept, 0);
    assert!(rig.accepts(rotated.unwrap().key().expose()).await);
}

#[tokio::test]
async fn a_key_rotated_with_grace_during_its_slow_hash_is_accepted() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    let other = rig.another(|it| it);
    let grace = Rotation::Grace(HOUR);
    let _ = other.service.rotate(&admin(), &id, grace).await.unwrap();
    rig.hasher.gate().open();
    let verified = verifying.await.unwrap().unwrap();
    assert_eq!(verified.generation().number(), 1);
    assert_eq!(rig.service.proof_stats().kept, 1);
}

#[tokio::test]
async fn another_digest_between_the_two_reads_is_refused() {
    let rig = rig();
    let issued = rig.issue().await;
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    let other = bcrypt::hash("another secret", 4).unwrap();
    rig.store
        .edit(&issued.record().id, |record| {
            record.current.digest = DigestText::new(other);
        })
        .await;
    rig.hasher.gate().open();
    assert_eq!(rejection(verifying.await.unwrap()), Rejection::WrongSecret);
    assert_eq!(rig.service.proof_stats().kept, 0);
    assert_eq!(rig.hasher.verifications(), 2);
}

#[tokio::test]
async fn another_digest_of_the_same_secret_is_proved_again() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    let verifying = stop_in_hash(&rig, key).await;
    let upgraded = bcrypt::hash(&key[20..63], 4).unwrap();
    rig.store
        .edit(&issued.record().id, |record| {
            record.current.digest = DigestText::new(upgraded);
        })
        .await;
    rig.hasher.gate().open();
    assert!(verifying.await.unwrap().is_ok());
    assert_eq!(rig.hasher.verifications(), 2);
}

#[tokio::test]
async fn a_warm_key_whose_digest_is_swapped_pays_the_hash_again() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    assert!(rig.accepts(key).await);
    let other = bcrypt::hash("another secret", 4).unwrap();
    rig.store
        .edit(&issued.record().id, |record| {
            record.current.digest = DigestText::new(other);
        })
        .await;
    assert_eq!(rig.rejected(key).await, Rejection::WrongSecret);
    assert_eq!(rig.hasher.verifications(), 2);
}

#[tokio::test]
async fn wrong_secrets_never_enter_the_memory() {
    let rig = Rig::new(|it| it.dangerous().without_failure_budget());
    let issued = rig.issue().await;
    let key = issued.key().expose();
    for same_hint in [true, false].repeat(20) {
        let wrong = wrong_secret(key, same_hint);
        assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
    }
    let stats = rig.service.proof_stats();
    assert_eq!((stats.len, stats.kept), (0, 0));
}

#[tokio::test]
async fn good_keys_stay_right_when_the_memory_is_full() {
    let rig = Rig::new(|it| it.proof_capacity(1));
    let (first, second) = (rig.issue().await, rig.issue().await);
    for _ in 0..3 {
        assert!(rig.accepts(first.key().expose()).await);
        assert!(rig.accepts(second.key().expose()).await);
    }
    assert_eq!(rig.hasher.verifications(), 1 + 3);
    assert_eq!(rig.service.proof_stats().full, 3);
    let wrong = wrong_secret(second.key().expose(), true);
    assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
}

#[tokio::test]
async fn strict_hashes_each_time_and_keeps_nothing() {
    let rig = Rig::new(KeyServiceBuilder::strict);
    let issued = rig.issue().await;
    for _ in 0..3 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    assert_eq!(rig.hasher.verifications(), 3);
    let stats = rig.service.proof_stats();
    assert_eq!((stats.kept, stats.hits + stats.misses), (0, 0));
}

#[tokio::test]
async fn strict_stores_no_proof_even_with_a_pepper() {
    let strict = Rig::on(
        TestStore::new(),
        keyward::testing::ManualClock::default(),
        |it| it.peppers(pepper(1)),
        KeyServiceBuilder::strict,
    );
    let issued = strict.issue().await;
    for _ in 0..2 {
        assert!(strict.accepts(issued.key().expose()).await);
    }
    settle(&strict).await;
    assert_eq!(strict.hasher.verifications(), 2);
    assert!(
        strict
            .record(&issued.record().id)
            .await
            .current
            .proof
            .is_none()
    );
    assert!(
        strict
            .record(&issued.record().id)
            .await
            .current
            .check
            .is_some()
    );
}

/// Lets upgrades in the background come to their end.
async fn settle(rig: &Rig) {
    for _ in 0..200 {
        tokio::task::yield_now().await;
        while rig.service.hash_stats().running > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn strict_hashes_one_presentation_of_a_key_at_a_time() {
    let rig = Rig::new(KeyServiceBuilder::strict);
    let (one, other) = (rig.issue().await, rig.issue().await);
    let first = stop_in_hash(&rig, one.key().expose()).await;
    let second = rig.verify(one.key().expose()).await.unwrap_err();
    assert!(matches!(second, VerifyError::Overloaded { .. }));
    let elsewhere = verify_later(&rig, other.key().expose());
    wait_for_hashes(&rig, 4).await;
    rig.hasher.gate().open();
    assert!(first.await.unwrap().is_ok());
    assert!(elsewhere.await.unwrap().is_ok());
    assert!(rig.accepts(one.key().expose()).await);
}

#[tokio::test]
async fn an_imported_key_pays_the_slow_hash_each_time_until_it_is_rotated() {
    let rig = rig();
    let (id, secret) = ("a1B2c3D4e5F6", "S".repeat(43));
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let import = ImportKey::new(id.parse().unwrap(), digest, request());
    rig.service.import(&admin(), import).await.unwrap();
    let whole = known_key(id, &secret);
    for _ in 0..3 {
        assert!(rig.accepts(&whole).await);
    }
    assert_eq!(rig.hasher.verifications(), 3);
    assert_eq!(rig.service.proof_stats().kept, 0);
    let id = id.parse().unwrap();
    let new = rig.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    let new = new.unwrap();
    for _ in 0..3 {
        assert!(rig.accepts(new.key().expose()).await);
    }
    assert_eq!(rig.hasher.verifications(), 4);
}

#[tokio::test]
async fn a_fresh_process_takes_the_stored_proof_for_the_hash() {
    let rig = Rig::hashing(|it| it.peppers(pepper(1)));
    let issued = rig.issue().await;
    let fresh = Rig::on(
        rig.store.clone(),
        rig.clock.clone(),
        |it| it.peppers(pepper(1)),
        |it| it,
    );
    assert!(fresh.accepts(issued.key().expose()).await);
    let wrong = wrong_secret(issued.key().expose(), true);
    assert_eq!(fresh.rejected(&wrong).await, Rejection::WrongSecret);
    assert_eq!(fresh.hasher.verifications(), 0);
    rig.revoke(&issued).await;
    assert_eq!(
        fresh.rejected(issued.key().expose()).await,
        Rejection::Revoked
    );
}

#[tokio::test]
async fn a_stored_proof_of_another_digest_proves_nothing() {
    let rig = Rig::hashing(|it| it.peppers(pepper(1)));
    let (mine, theirs) = (rig.issue().await, rig.issue().await);
    let stolen = rig.record(&mine.record().id).await.current;
    rig.store
        .edit(&theirs.record().id, |record| {
            record.current.proof.clone_from(&stolen.proof);
            record.current.digest.clone_from(&stolen.digest);
        })
        .await;
    assert_eq!(
        rig.rejected(theirs.key().expose()).await,
        Rejection::WrongSecret
    );
    assert_eq!(rig.hasher.verifications(), 1);
}

#[tokio::test]
async fn ten_first_uses_at_once_cost_one_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    let first = stop_in_hash(&rig, issued.key().expose()).await;
    let more: Vec<_> = (0..9)
        .map(|_| verify_later(&rig, issued.key().expose()))
        .collect();
    while rig.store.count(Call::Find) < 10 {
        tokio::task::yield_now().await;
    }
    settle_reads().await;
    rig.hasher.gate().open();
    for use_ in more.into_iter().chain([first]) {
        assert!(use_.await.unwrap().is_ok());
    }
    assert_eq!(rig.hasher.verifications(), 1);
}

/// Everybody who has read the record goes on to the pool.
async fn settle_reads() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn right_and_wrong_secrets_of_one_id_at_once_are_told_apart() {
    let rig = rig();
    let issued = rig.issue().await;
    let right = issued.key().expose();
    let wrong = wrong_secret(right, true);
    let first = stop_in_hash(&rig, right).await;
    let uses: Vec<_> = (0..9)
        .map(|place| {
            (
                place % 2 == 1,
                verify_later(&rig, if place % 2 == 1 { right } else { &wrong }),
            )
        })
        .collect();
    settle_reads().await;
    rig.hasher.gate().open();
    assert!(first.await.unwrap().is_ok());
    for (is_right, verifying) in uses {
        assert_eq!(verifying.await.unwrap().is_ok(), is_right);
    }
    assert_eq!(rig.hasher.verifications(), 2);
}

#[tokio::test]
async fn a_full_pool_is_overloaded_and_never_a_rejection() {
    let rig = Rig::new(|it| it.hash_pool(pool(1, 1)));
    let keys = [rig.issue().await, rig.issue().await, rig.issue().await];
    let running = stop_in_hash(&rig, keys[0].key().expose()).await;
    let queued = verify_later(&rig, keys[1].key().expose());
    while rig.service.hash_stats().queued_trusted < 1 {
        tokio::task::yield_now().await;
    }
    let shed = rig.verify(keys[2].key().expose()).await.unwrap_err();
    assert!(matches!(
        shed,
        VerifyError::Overloaded { retry_after } if retry_after > Duration::ZERO
    ));
    assert!(shed.rejection().is_none());
    rig.hasher.gate().open();
    assert!(running.await.unwrap().is_ok());
    assert!(queued.await.unwrap().is_ok());
    assert!(rig.accepts(keys[2].key().expose()).await);
}

#[tokio::test]
async fn a_cancelled_verification_leaves_nothing_stuck() {
    for strict in [false, true] {
        let rig = Rig::new(|it| {
            let it = it.hash_pool(pool(1, 1));
            if strict { it.strict() } else { it }
        });
        let issued = rig.issue().await;
        let running = stop_in_hash(&rig, issued.key().expose()).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(rig.service.hash_stats().running, 1, "the hash runs on");
        rig.hasher.gate().open();
        while rig.service.hash_stats().running > 0 {
            tokio::task::yield_now().await;
        }
        assert!(rig.accepts(issued.key().expose()).await);
    }
}

#[tokio::test]
async fn the_clock_may_step_back_during_the_slow_hash() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.clock.advance(HOUR - MICRO);
    let verifying = stop_in_hash(&rig, issued.key().expose()).await;
    let at = rig.clock.now();
    rig.clock.set(at.saturating_sub(HOUR * 9));
    rig.hasher.gate().open();
    assert_eq!(verifying.await.unwrap().unwrap().verified_at(), at);
}

#[tokio::test]
async fn a_deleted_key_is_unknown_even_when_warm() {
    let rig = rig();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    let id = issued.record().id;
    let revision = rig.record(&id).await.revision;
    rig.store.delete(&id, revision).await.unwrap();
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::UnknownKey
    );
}

#[tokio::test]
async fn a_stored_proof_of_an_imported_secret_is_not_believed() {
    use keyward::hash::SecretOrigin;
    let rig = Rig::hashing(|it| it.peppers(pepper(1)));
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    assert_eq!(rig.hasher.verifications(), 0);
    rig.store
        .edit(&issued.record().id, |record| {
            assert!(record.current.proof.is_some());
            record.current.origin = SecretOrigin::Imported;
        })
        .await;
    for hashes in 1..=2 {
        assert!(rig.accepts(issued.key().expose()).await);
        assert_eq!(rig.hasher.verifications(), hashes);
    }
}

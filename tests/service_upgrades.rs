//! What is stored of a secret is brought up to date after a use, and never undoes anything.
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
use keyward::hash::{
    Bcrypt, DigestText, HashError, HashInput, Hashing, HashingBuilder, KeyHasher, KeyedDigest, Plan,
};
use keyward::key::{Credential, KeyId};
use keyward::random::SecureRandom;
use keyward::service::{ImportKey, Rejection, Rotation, VerifyError};
use keyward::testing::{CountingHasher, Gate};

/// Another process on the same store that hashes in its own way.
fn process(rig: &Rig, hashing: impl FnOnce(HashingBuilder) -> HashingBuilder) -> Rig {
    Rig::on(rig.store.clone(), rig.clock.clone(), hashing, |it| it)
}

async fn stored(rig: &Rig, id: &KeyId) -> Credential {
    rig.record(id).await.current
}

/// Waits for what a use has started in the background.
async fn wait_until(rig: &Rig, id: &KeyId, fits: impl Fn(&Credential) -> bool + Send + Sync) {
    for _ in 0..100_000 {
        if fits(&stored(rig, id).await) {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("it never happened");
}

/// A process whose bcrypt costs one more than the one that issued.
fn dearer(rig: &Rig) -> (Rig, CountingHasher) {
    let hasher = CountingHasher::new(quick_bcrypt(5));
    let prefer = hasher.clone();
    (process(rig, |it| it.prefer(prefer)), hasher)
}

#[tokio::test]
async fn a_use_upgrades_an_old_digest_and_the_key_stays_good() {
    let old = rig();
    let issued = old.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    let (new, hasher) = dearer(&old);
    assert!(new.accepts(key).await);
    wait_until(&new, &id, |it| it.digest.as_str().starts_with("$2b$05$")).await;
    assert_eq!(hasher.hashes(), 1);
    for process in [&new, &old] {
        assert!(process.accepts(key).await);
        let wrong = wrong_secret(key, true);
        assert_eq!(process.rejected(&wrong).await, Rejection::WrongSecret);
    }
}

#[tokio::test]
async fn an_upgrade_leaves_everything_else_of_the_record() {
    let old = rig();
    let issued = old.issue_as(request().with_tier("pro")).await;
    let id = issued.record().id;
    let before = old.record(&id).await;
    let (new, _) = dearer(&old);
    assert!(new.accepts(issued.key().expose()).await);
    wait_until(&new, &id, |it| it.digest != before.current.digest).await;
    let mut after = new.record(&id).await;
    after.current.digest.clone_from(&before.current.digest);
    after.revision = before.revision;
    assert_eq!(after, before);
}

/// A dearer bcrypt that can be held up while it makes a digest, and not while it checks one.
#[derive(Clone, Debug)]
struct SlowToMake {
    inner: Bcrypt,
    gate: Gate,
}

impl SlowToMake {
    fn process(rig: &Rig) -> (Rig, Gate) {
        let gate = Gate::opened();
        let hasher = Self {
            inner: quick_bcrypt(5),
            gate: gate.clone(),
        };
        (process(rig, |it| it.prefer(hasher)), gate)
    }
}

impl KeyHasher for SlowToMake {
    fn scheme(&self) -> &str {
        self.inner.scheme()
    }

    fn cost(&self) -> Plan {
        self.inner.cost()
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        self.inner.accepts(text)
    }

    fn is_current(&self, text: &str) -> bool {
        self.inner.is_current(text)
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        self.gate.pass();
        self.inner.hash(input, random)
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        self.inner.verify(input, text)
    }
}

/// A process in which that key was accepted, and whose upgrade of it stands still.
async fn stopped_upgrade(rig: &Rig, key: &str) -> (Rig, Gate) {
    let (new, gate) = SlowToMake::process(rig);
    gate.close();
    assert!(new.accepts(key).await);
    let held = gate.clone();
    tokio::task::spawn_blocking(move || held.wait_for(1))
        .await
        .unwrap();
    (new, gate)
}

#[tokio::test]
async fn a_key_that_was_passed_over_is_upgraded_at_a_later_warm_use() {
    let old = rig();
    let (first, second) = (old.issue().await, old.issue().await);
    let (new, gate) = stopped_upgrade(&old, first.key().expose()).await;
    assert!(new.accepts(second.key().expose()).await);
    gate.open();
    for key in [&first, &second] {
        let upgraded = |it: &Credential| it.digest.as_str().starts_with("$2b$05$");
        while !upgraded(&stored(&new, &key.record().id).await) {
            assert!(new.accepts(second.key().expose()).await);
        }
    }
    assert_eq!(new.service.counters().upgrades_failed, 0);
}

#[tokio::test]
async fn an_upgrade_does_not_undo_a_revocation() {
    let old = rig();
    let issued = old.issue().await;
    let id = issued.record().id;
    let (new, gate) = stopped_upgrade(&old, issued.key().expose()).await;
    old.revoke(&issued).await;
    gate.open();
    wait_until(&new, &id, |it| it.digest.as_str().starts_with("$2b$05$")).await;
    assert!(new.record(&id).await.revocation.is_some());
    assert_eq!(
        new.rejected(issued.key().expose()).await,
        Rejection::Revoked
    );
}

#[tokio::test]
async fn an_upgrade_does_not_undo_a_rotation() {
    let old = rig();
    let issued = old.issue().await;
    let id = issued.record().id;
    let (new, gate) = stopped_upgrade(&old, issued.key().expose()).await;
    let rotated = old.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    let rotated = rotated.unwrap();
    let successor = stored(&old, &id).await.digest;
    gate.open();
    drain(&new).await;
    assert_eq!(stored(&new, &id).await.digest, successor);
    assert_eq!(
        new.rejected(issued.key().expose()).await,
        Rejection::Superseded
    );
    assert!(new.accepts(rotated.key().expose()).await);
}

#[tokio::test]
async fn an_upgrade_of_a_key_that_was_deleted_brings_nothing_back() {
    use keyward::store::KeyStore as _;
    let old = rig();
    let issued = old.issue().await;
    let id = issued.record().id;
    let (new, gate) = stopped_upgrade(&old, issued.key().expose()).await;
    let revision = old.record(&id).await.revision;
    old.store.delete(&id, revision).await.unwrap();
    gate.open();
    drain(&new).await;
    assert_eq!(old.store.find(&id).await.unwrap(), None);
    assert_eq!(new.service.counters().upgrades_failed, 0);
}

async fn drain(rig: &Rig) {
    for _ in 0..100 {
        tokio::task::yield_now().await;
        let busy = |it: keyward::hash::HashPoolStats| it.running + it.queued_doubtful > 0;
        while busy(rig.service.hash_stats()) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_the_store_refuses_is_counted_and_tried_after_a_rest() {
    let old = rig();
    let issued = old.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    let (new, hasher) = dearer(&old);
    new.store.fail(Call::Update, 1);
    assert!(new.accepts(key).await);
    while new.service.counters().upgrades_failed < 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        assert!(new.accepts(key).await);
    }
    drain(&new).await;
    assert_eq!(hasher.hashes(), 1, "it rests");
    new.clock.advance(SECOND * 60);
    assert!(new.accepts(key).await);
    wait_until(&new, &id, |it| it.digest.as_str().starts_with("$2b$05$")).await;
}

#[tokio::test]
async fn a_key_made_before_the_pepper_gets_it_at_its_next_use() {
    let old = rig();
    let issued = old.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    let new = process(&old, |it| it.peppers(pepper(1)));
    assert!(new.accepts(key).await);
    wait_until(&new, &id, |it| it.proof.is_some() && it.check.is_some()).await;
    assert!(
        stored(&new, &id)
            .await
            .digest
            .as_str()
            .starts_with("$pepper")
    );
    let fresh = process(&old, |it| it.peppers(pepper(1)));
    assert!(fresh.accepts(key).await);
    assert_eq!(fresh.hasher.verifications(), 0);
}

#[tokio::test]
async fn a_change_of_pepper_keeps_keys_good_and_restamps_them() {
    let old = Rig::hashing(|it| it.peppers(pepper(1)));
    let issued = old.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    let new = process(&old, |it| it.peppers(peppers(&[1, 2])));
    assert!(new.accepts(key).await);
    assert_eq!(new.hasher.verifications(), 0, "the old proof counts");
    wait_until(&new, &id, |it| it.proof.as_ref().unwrap().version() == 2).await;
    assert_eq!(stored(&new, &id).await.check.unwrap().version(), 2);
    let last = process(&old, |it| it.peppers(pepper(2)));
    assert!(last.accepts(key).await);
    assert_eq!(last.hasher.verifications(), 0);
}

#[tokio::test]
async fn a_missing_pepper_is_an_outage_and_not_a_bad_key() {
    let old = Rig::hashing(|it| it.peppers(pepper(1)));
    let issued = old.issue().await;
    let key = issued.key().expose();
    for hashing in [
        (|it: HashingBuilder| it) as fn(HashingBuilder) -> HashingBuilder,
        |it| it.peppers(pepper(2)),
    ] {
        let other = process(&old, hashing);
        let outcome = other.verify(key).await.unwrap_err();
        assert!(matches!(outcome, VerifyError::Unavailable(_)));
        let wrong = wrong_secret(key, false);
        assert_eq!(other.rejected(&wrong).await, Rejection::WrongSecret);
        assert_eq!(other.hasher.verifications(), 0);
    }
    assert!(old.accepts(key).await);
}

#[tokio::test]
async fn a_missing_pepper_is_an_outage_beside_an_imported_secret_too() {
    let peppered = Rig::hashing(|it| it.peppers(pepper(1)));
    let id: KeyId = "a1B2c3D4e5F6".parse().unwrap();
    let digest = DigestText::new(bcrypt::hash("S".repeat(43), 4).unwrap());
    let import = ImportKey::new(id, digest, request());
    peppered.service.import(&admin(), import).await.unwrap();
    let grace = Rotation::Grace(HOUR);
    let new = peppered.service.rotate(&admin(), &id, grace).await.unwrap();
    let without = process(&peppered, |it| it);
    let outcome = without.verify(new.key().expose()).await.unwrap_err();
    assert!(matches!(outcome, VerifyError::Unavailable(_)));
    assert!(
        without
            .accepts(&known_key(id.as_str(), &"S".repeat(43)))
            .await
    );
}

#[tokio::test]
async fn unusable_digests_are_refused_without_a_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    let good = stored(&rig, &issued.record().id).await.digest;
    for bad in [
        String::new(),
        "invalid_bcrypt_hash".to_owned(),
        good.as_str().replace("$2b$", "$3b$"),
        good.as_str().replace("$04$", "$31$"),
        good.as_str().replace("$04$", "$32$"),
        good.as_str().replace("$04$", "$03$"),
    ] {
        let digest = DigestText::new(bad);
        rig.store
            .edit(&issued.record().id, |it| it.current.digest = digest)
            .await;
        assert_eq!(
            rig.rejected(issued.key().expose()).await,
            Rejection::UnusableDigest
        );
    }
    assert_eq!(rig.hasher.verifications(), 0);
    rig.store
        .edit(&issued.record().id, |it| it.current.digest = good)
        .await;
    assert!(rig.accepts(issued.key().expose()).await);
}

#[tokio::test]
async fn an_imported_bcrypt_is_upgraded_and_still_gets_no_proof() {
    let rig = Rig::hashing(|it| it.peppers(pepper(1)));
    let id: KeyId = "a1B2c3D4e5F6".parse().unwrap();
    let secret = "S".repeat(43);
    let whole = known_key(id.as_str(), &secret);
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let import = ImportKey::new(id, digest.clone(), request());
    rig.service.import(&admin(), import).await.unwrap();
    assert!(rig.accepts(&whole).await);
    wait_until(&rig, &id, |it| it.digest != digest).await;
    let credential = stored(&rig, &id).await;
    assert!(credential.proof.is_none() && credential.check.is_none());
    let before = rig.hasher.verifications();
    for _ in 0..2 {
        assert!(rig.accepts(&whole).await);
    }
    assert_eq!(rig.hasher.verifications(), before + 2);
}

#[tokio::test]
async fn an_imported_sha256_is_upgraded_to_a_slow_hash() {
    let rig = rig();
    let id: KeyId = "a1B2c3D4e5F6".parse().unwrap();
    let secret = "S".repeat(43);
    let whole = known_key(id.as_str(), &secret);
    let digest = sha256_digest(&secret);
    assert_eq!(Hashing::default().plan(&digest).unwrap(), Plan::Fast);
    let import = ImportKey::new(id, digest, request());
    rig.service.import(&admin(), import).await.unwrap();
    assert!(rig.accepts(&whole).await);
    wait_until(&rig, &id, |it| it.digest.as_str().starts_with("$2b$04$")).await;
    assert!(rig.accepts(&whole).await);
    assert_eq!(rig.hasher.verifications(), 1);
    let wrong = wrong_secret(&whole, true);
    assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
}

fn sha256_digest(secret: &str) -> DigestText {
    use sha2::Digest as _;
    let hex: String = sha2::Sha256::digest(secret.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    DigestText::import_sha256_secret(&hex).unwrap()
}

#[tokio::test]
async fn a_keyed_digest_is_checked_on_the_spot() {
    let ring = std::sync::Arc::new(pepper(1));
    let rig = Rig::hashing(|it| {
        it.peppers(std::sync::Arc::clone(&ring))
            .prefer(KeyedDigest::new(ring))
    });
    let issued = rig.issue().await;
    for _ in 0..2 {
        assert!(rig.accepts(issued.key().expose()).await);
    }
    let wrong = wrong_secret(issued.key().expose(), true);
    assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
    assert_eq!(rig.hasher.verifications(), 0);
}

#[tokio::test]
async fn processes_set_up_differently_do_not_undo_each_other_for_ever() {
    let old = rig();
    let issued = old.issue().await;
    let (new, hasher) = dearer(&old);
    let hashes = || [&old.hasher, &hasher].map(|it| it.verifications() + it.hashes());
    let mut seen = hashes();
    for _ in 0..10 {
        seen = hashes();
        for process in [&old, &new] {
            assert!(process.accepts(issued.key().expose()).await);
            drain(process).await;
        }
    }
    assert_eq!(hashes(), seen, "in the end every use is warm");
}

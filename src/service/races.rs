//! Interleavings of a verification with what ends a key meanwhile.
//!
//! The whole of [`KeyService::verify`] runs here, with the memory store, the proofs, the hash pool and its threads
//! under the checker. Life-cycle operations wait for an audit writer, which is a task of a tokio runtime that the checker
//! cannot drive; so what another process would do is done in their place: a compare-and-swap on the same store.

use std::num::NonZeroUsize;
use std::sync::Arc;

use shuttle::future::block_on;
use tokio::runtime::Runtime;

use super::*;
use crate::access::Grant;
use crate::audit::MemorySink;
use crate::hash::{DigestText, HashInput, KeyHasher, Plan, SecretOrigin};
use crate::key::{Credential, CredentialEnd, GeneratedKey, KeyRecord, Revocation};
use crate::random::RandomError;
use crate::rate_limit::MemoryRateLimiter;
use crate::store::{InsertKey, MemoryStore, StoreError};
use crate::sync::{atomic::AtomicU64, atomic::Ordering, thread};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const ROUNDS: usize = 1000;

/// A "slow hash" that gives the others a turn.
#[derive(Debug)]
struct Slow;

impl KeyHasher for Slow {
    fn scheme(&self) -> &str {
        "slow"
    }

    fn cost(&self) -> Plan {
        Plan::Slow
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        if text.starts_with("$slow$") {
            Ok(())
        } else {
            Err(HashError::UnknownScheme)
        }
    }

    fn is_current(&self, _: &str) -> bool {
        true
    }

    fn hash(&self, input: HashInput<'_>, _: &dyn SecureRandom) -> Result<DigestText, HashError> {
        Ok(digest(input.secret(), 0))
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        thread::yield_now();
        let body = text.rsplit_once('.').map(|(body, _)| body);
        let right = digest(input.secret(), 0);
        Ok(body == right.as_str().rsplit_once('.').map(|(body, _)| body))
    }
}

/// Another salt is another text for the same secret.
fn digest(secret: &[u8], salt: u32) -> DigestText {
    let secret = String::from_utf8_lossy(secret);
    DigestText::new(format!("$slow${secret}.{salt}"))
}

#[derive(Debug)]
struct Counter(AtomicU64);

impl SecureRandom for Counter {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        for byte in buffer {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            *byte = next.to_be_bytes()[0];
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A service, its store and one key. The runtime is there to be spawned on, and never runs.
struct Scene {
    store: Arc<MemoryStore>,
    service: KeyService,
    key: GeneratedKey,
    random: Arc<Counter>,
    _runtime: Runtime,
}

impl Scene {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        let random = Arc::new(Counter(AtomicU64::new(1)));
        let hashing = Hashing::builder().prefer(Slow).build().unwrap();
        let pool = HashPool::builder().threads(NonZeroUsize::MIN).queue(8);
        let limiter = MemoryRateLimiter::builder().slots(1).build();
        let service = KeyService::builder(Arc::clone(&store))
            .hashing(hashing)
            .hash_pool(pool.build().unwrap())
            .limiter(limiter)
            .audit(MemorySink::unbounded())
            .random(Arc::clone(&random))
            .clock(Standing)
            .dangerous()
            .without_failure_budget()
            .build()
            .unwrap();
        drop(entered);
        let key = service.format().generate(&*random).unwrap();
        let scene = Self {
            store,
            service,
            key,
            random,
            _runtime: runtime,
        };
        scene.insert();
        scene
    }

    fn insert(&self) {
        let grant = Grant::try_scopes(["a".parse().unwrap()]).unwrap();
        let record = KeyRecord::new(
            self.key.id(),
            self.service.format().environment(),
            "acme".parse().unwrap(),
            "n",
            grant,
            credential(&self.key),
            NOW,
            "user:ana".parse().unwrap(),
        );
        block_on(self.store.insert(InsertKey::new(record))).unwrap();
    }

    /// Verifies once on a thread of its own, and says what came of it.
    fn verify_beside(&self) -> thread::JoinHandle<Option<Rejection>> {
        let (service, key) = (self.service.clone(), self.presented());
        thread::spawn(move || verify(&service, &key))
    }

    fn presented(&self) -> String {
        self.key.plaintext().expose().to_owned()
    }

    fn verify(&self) -> Option<Rejection> {
        verify(&self.service, &self.presented())
    }

    /// What another process does. When it returns, it holds.
    fn change(&self, change: impl Fn(&mut KeyRecord)) {
        loop {
            let mut record = (*block_on(self.store.find(&self.key.id())).unwrap().unwrap()).clone();
            change(&mut record);
            match block_on(self.store.update(&record)) {
                Ok(_) => return,
                Err(StoreError::Conflict) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn revoke(&self) {
        let by = Actor::itself().unwrap();
        let revocation = Revocation::new(NOW, by.reference().clone(), "gone".to_owned());
        self.change(|record| record.revocation = Some(revocation.clone()));
        self.service.inner.proofs.forget(self.key.id().as_str());
    }
}

fn credential(key: &GeneratedKey) -> Credential {
    let digest = digest(key.secret().expose(), 1);
    let mut credential = Credential::new(digest, SecretOrigin::Generated, NOW);
    credential.hint = Some(key.hint_tail());
    credential
}

/// Tries many schedules. A whole service needs more stack than the checker gives a thread.
fn check(scene: impl Fn() + Send + Sync + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = 0x10_0000;
    let scheduler = shuttle::scheduler::RandomScheduler::new(ROUNDS);
    shuttle::Runner::new(scheduler, config).run(scene);
}

fn verify(service: &KeyService, key: &str) -> Option<Rejection> {
    match block_on(service.verify(key.as_bytes(), &RequestContext::new())) {
        Ok(_) => None,
        Err(VerifyError::Rejected(rejection)) => Some(rejection),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_accepted_after_a_revocation_returned() {
    check(|| {
        let scene = Scene::new();
        let beside = [scene.verify_beside(), scene.verify_beside()];
        scene.revoke();
        assert_eq!(scene.verify(), Some(Rejection::Revoked));
        for outcome in beside.map(|it| it.join().unwrap()) {
            assert!(matches!(outcome, None | Some(Rejection::Revoked)));
        }
        assert_eq!(scene.verify(), Some(Rejection::Revoked));
    });
}

#[test]
fn a_warm_key_is_not_accepted_after_a_revocation_returned() {
    check(|| {
        let scene = Scene::new();
        assert_eq!(scene.verify(), None);
        assert_eq!(scene.service.proof_stats().kept, 1);
        let beside = scene.verify_beside();
        scene.revoke();
        assert_eq!(scene.verify(), Some(Rejection::Revoked));
        let outcome = beside.join().unwrap();
        assert!(matches!(outcome, None | Some(Rejection::Revoked)));
    });
}

#[test]
fn the_old_secret_is_not_accepted_after_a_rotation_returned() {
    check(|| {
        let scene = Scene::new();
        let beside = scene.verify_beside();
        let format = scene.service.format();
        let new = format.generate_for(scene.key.id(), &*scene.random).unwrap();
        scene.change(|record| {
            let mut next = credential(&new);
            next.generation = record.current.generation.next();
            let mut old = std::mem::replace(&mut record.current, next);
            old.end = CredentialEnd::ENDED;
            record.previous = Some(old);
        });
        assert_eq!(scene.verify(), Some(Rejection::Superseded));
        assert_eq!(verify(&scene.service, new.plaintext().expose()), None);
        let outcome = beside.join().unwrap();
        assert!(matches!(outcome, None | Some(Rejection::Superseded)));
        assert_eq!(scene.verify(), Some(Rejection::Superseded));
    });
}

#[test]
fn a_key_that_is_switched_off_and_on_is_accepted_only_while_it_is_on() {
    check(|| {
        let scene = Scene::new();
        let beside = scene.verify_beside();
        scene.change(|record| record.disabled = true);
        assert_eq!(scene.verify(), Some(Rejection::Disabled));
        scene.change(|record| record.disabled = false);
        assert_eq!(scene.verify(), None);
        let outcome = beside.join().unwrap();
        assert!(matches!(outcome, None | Some(Rejection::Disabled)));
    });
}

#[test]
fn a_good_key_is_accepted_while_its_digest_is_upgraded() {
    check(|| {
        let scene = Scene::new();
        let beside = [scene.verify_beside(), scene.verify_beside()];
        let better = digest(scene.key.secret().expose(), 2);
        scene.change(|record| record.current.digest.clone_from(&better));
        assert_eq!(scene.verify(), None);
        for outcome in beside {
            assert_eq!(outcome.join().unwrap(), None);
        }
    });
}

#[test]
fn equal_and_unequal_presentations_are_never_mixed_up() {
    check(|| {
        let scene = Scene::new();
        let (service, mut wrong) = (scene.service.clone(), scene.presented().into_bytes());
        // Another secret with the same hint; the checksum is made to fit.
        wrong.swap(30, 31);
        if wrong[30] == wrong[31] {
            return;
        }
        let wrong = refit(&scene, &wrong);
        let right = [scene.verify_beside(), scene.verify_beside()];
        let other = thread::spawn(move || verify(&service, &wrong));
        for outcome in right {
            assert_eq!(outcome.join().unwrap(), None);
        }
        assert_eq!(other.join().unwrap(), Some(Rejection::WrongSecret));
        assert_eq!(scene.service.proof_stats().len, 1);
    });
}

/// Gives a changed key the checksum that belongs to it.
fn refit(scene: &Scene, key: &[u8]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = &key[..key.len() - 6];
    let mut rest = crc32fast::hash(body);
    let mut sum = [b'0'; 6];
    for digit in sum.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 62).unwrap()];
        rest /= 62;
    }
    let key = [body, &sum].concat();
    assert!(scene.service.format().parse(&key).is_ok());
    String::from_utf8(key).unwrap()
}

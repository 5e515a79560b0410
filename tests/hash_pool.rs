//! The pool for slow hashes: lanes, bounds, cancellation, panics, and equal presentations hashed once.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::hash::{
    Bcrypt, DigestText, HashError, HashJob, HashPool, Hashing, Lane, PoolError, ProofMemory,
    SecretOrigin, SingleFlight,
};
use keyward::testing::{CountingHasher, Gate, SeededRandom};

fn pool(threads: usize, queue: usize) -> HashPool {
    let threads = NonZeroUsize::new(threads).unwrap();
    HashPool::builder()
        .threads(threads)
        .queue(queue)
        .build()
        .unwrap()
}

/// Occupies the pool's only thread until the gate opens.
fn occupy(pool: &HashPool) -> (Gate, HashJob<()>) {
    let gate = Gate::closed();
    let inside = gate.clone();
    let job = pool.submit(Lane::Trusted, move || inside.pass()).unwrap();
    gate.wait_for(1);
    (gate, job)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn job(&self, name: &'static str) -> impl FnOnce() + Send + use<> {
        let log = self.clone();
        move || log.0.lock().unwrap().push(name)
    }

    fn lines(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn answers_what_the_job_answered() {
    let pool = pool(2, 4);
    assert_eq!(pool.submit(Lane::Trusted, || 1).unwrap().await, Ok(1));
    assert_eq!(pool.submit(Lane::Doubtful, || 2).unwrap().await, Ok(2));
    let stats = pool.stats();
    assert_eq!((stats.done, stats.running, stats.threads), (2, 0, 2));
}

#[tokio::test]
async fn runs_on_its_own_threads() {
    let here = std::thread::current().id();
    let pool = pool(1, 1);
    let name = || std::thread::current().name().map(str::to_owned);
    let job = pool.submit(Lane::Trusted, move || (std::thread::current().id(), name()));
    let (there, name) = job.unwrap().await.unwrap();
    assert_ne!(here, there);
    assert_eq!(name.as_deref(), Some("keyward-hash"));
}

#[tokio::test]
async fn serves_the_trusted_lane_ahead_of_a_flood() {
    let pool = pool(1, 8);
    let (gate, first) = occupy(&pool);
    let log = Log::default();
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(pool.submit(Lane::Doubtful, log.job("doubtful")).unwrap());
    }
    for _ in 0..6 {
        jobs.push(pool.submit(Lane::Trusted, log.job("trusted")).unwrap());
    }
    gate.open();
    first.await.unwrap();
    for job in jobs {
        job.await.unwrap();
    }
    // The job that held the thread up was the first trusted one in a row.
    let (t, d) = ("trusted", "doubtful");
    assert_eq!(log.lines(), [t, t, d, t, t, t, d, t, d, d]);
}

#[tokio::test]
async fn refuses_what_does_not_fit_in_the_lane() {
    let pool = pool(1, 2);
    let (gate, first) = occupy(&pool);
    let flood: Vec<_> = (0..2)
        .map(|_| pool.submit(Lane::Doubtful, || ()).unwrap())
        .collect();
    let refusal = pool.submit(Lane::Doubtful, || ()).unwrap_err();
    assert_eq!(
        refusal.retry_after,
        Duration::from_secs(1),
        "three hashes of 300 ms"
    );
    // The flood has not taken the room of the others.
    let honest: Vec<_> = (0..2)
        .map(|_| pool.submit(Lane::Trusted, || ()).unwrap())
        .collect();
    assert!(pool.submit(Lane::Trusted, || ()).is_err());
    let stats = pool.stats();
    assert_eq!((stats.queued_trusted, stats.queued_doubtful), (2, 2));
    assert_eq!((stats.running, stats.shed, stats.done), (1, 2, 0));
    gate.open();
    first.await.unwrap();
    for job in flood.into_iter().chain(honest) {
        job.await.unwrap();
    }
    assert_eq!(pool.stats().done, 5);
    assert!(pool.submit(Lane::Trusted, || ()).is_ok());
}

#[tokio::test]
async fn tells_when_to_come_back() {
    let pool = HashPool::builder()
        .threads(NonZeroUsize::MIN)
        .queue(6)
        .hash_time(Duration::from_secs(2))
        .build()
        .unwrap();
    let (gate, _first) = occupy(&pool);
    let _waiting: Vec<_> = (0..6)
        .map(|_| pool.submit(Lane::Trusted, || ()).unwrap())
        .collect();
    let refusal = pool.submit(Lane::Trusted, || ()).unwrap_err();
    assert_eq!(
        refusal.retry_after,
        Duration::from_secs(14),
        "six wait and one runs"
    );
    gate.open();
}

#[tokio::test]
async fn takes_a_job_for_an_idle_thread_even_without_a_queue() {
    let pool = pool(1, 0);
    let (gate, first) = occupy(&pool);
    assert!(pool.submit(Lane::Trusted, || ()).is_err());
    gate.open();
    first.await.unwrap();
    assert_eq!(pool.submit(Lane::Trusted, || 1).unwrap().await, Ok(1));
}

#[tokio::test]
async fn skips_a_job_whose_caller_is_gone() {
    let pool = pool(1, 4);
    let (gate, first) = occupy(&pool);
    let log = Log::default();
    drop(pool.submit(Lane::Trusted, log.job("gone")).unwrap());
    let kept = pool.submit(Lane::Trusted, log.job("kept")).unwrap();
    gate.open();
    first.await.unwrap();
    kept.await.unwrap();
    assert_eq!(log.lines(), ["kept"]);
    assert_eq!((pool.stats().skipped, pool.stats().done), (1, 2));
}

#[tokio::test]
async fn gives_the_room_of_those_who_left_to_newcomers() {
    let pool = pool(1, 2);
    let (gate, _first) = occupy(&pool);
    let stays = pool.submit(Lane::Trusted, || "stays").unwrap();
    drop(pool.submit(Lane::Trusted, || "leaves").unwrap());
    let comes = pool.submit(Lane::Trusted, || "comes").unwrap();
    assert!(pool.submit(Lane::Trusted, || "late").is_err());
    gate.open();
    assert_eq!((stays.await, comes.await), (Ok("stays"), Ok("comes")));
    assert_eq!((pool.stats().skipped, pool.stats().shed), (1, 1));
}

/// A caller who leaves in the middle must not make room for another hash before this one has ended.
#[tokio::test]
async fn keeps_a_thread_taken_until_the_hash_ends() {
    let pool = pool(1, 0);
    let (gate, first) = occupy(&pool);
    drop(first);
    assert_eq!(pool.stats().running, 1);
    assert!(pool.submit(Lane::Trusted, || ()).is_err());
    gate.open();
    while pool.stats().running > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((pool.stats().done, pool.stats().skipped), (1, 0));
    assert!(pool.submit(Lane::Trusted, || ()).is_ok());
}

#[tokio::test]
async fn survives_a_job_that_panics() {
    let pool = pool(1, 4);
    let job = pool.submit(Lane::Trusted, || -> u8 { panic!("on purpose") });
    assert_eq!(job.unwrap().await, Err(PoolError::Panicked));
    assert_eq!(pool.submit(Lane::Trusted, || 1).unwrap().await, Ok(1));
    let stats = pool.stats();
    assert_eq!((stats.panicked, stats.done, stats.running), (1, 1, 0));
}

#[tokio::test]
async fn survives_an_answer_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("on purpose");
            }
        }
    }
    let pool = pool(1, 4);
    let (gate, _first) = occupy(&pool);
    let bomb = Bomb;
    drop(pool.submit(Lane::Trusted, move || drop(bomb)).unwrap());
    let next = pool.submit(Lane::Trusted, || 1).unwrap();
    gate.open();
    assert_eq!(next.await, Ok(1));
    assert_eq!(pool.stats().running, 0);
}

#[tokio::test]
async fn stops_without_waiting() {
    let pool = pool(1, 4);
    let (gate, running) = occupy(&pool);
    let queued = pool.submit(Lane::Trusted, || ()).unwrap();
    drop(pool);
    assert_eq!(queued.await, Err(PoolError::Stopped));
    gate.open();
    assert_eq!(running.await, Ok(()), "what runs is finished");
}

fn memory() -> ProofMemory {
    ProofMemory::with_capacity(8, &SeededRandom::new(1)).unwrap()
}

/// A pool, a hasher that can be held up, and the digest of one secret.
struct Verifier {
    pool: HashPool,
    flights: SingleFlight<Result<bool, HashError>>,
    memory: ProofMemory,
    hasher: CountingHasher,
    hashing: Hashing,
    digest: DigestText,
}

impl Verifier {
    fn new(threads: usize, queue: usize) -> Self {
        let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
        let hasher = CountingHasher::new(bcrypt);
        let hashing = Hashing::builder().prefer(hasher.clone()).build().unwrap();
        let (origin, random) = (SecretOrigin::Generated, SeededRandom::new(1));
        let digest = hashing.digest("id", b"right", origin, &random).unwrap();
        Self {
            pool: pool(threads, queue),
            flights: SingleFlight::new(),
            memory: memory(),
            hasher,
            hashing,
            digest,
        }
    }

    fn present(&self, secret: &'static [u8]) -> Option<HashJob<Result<bool, HashError>>> {
        let (hashing, digest) = (self.hashing.clone(), self.digest.clone());
        let tag = self.memory.tag("id", &digest, secret);
        let job = move || hashing.verify("id", secret, b"", &digest);
        self.flights
            .submit(&self.pool, &tag, Lane::Trusted, job)
            .ok()
    }
}

async fn answer(job: HashJob<Result<bool, HashError>>) -> bool {
    job.await.unwrap().unwrap()
}

#[tokio::test]
async fn hashes_ten_equal_presentations_once() {
    let verifier = Verifier::new(2, 16);
    verifier.hasher.gate().close();
    let jobs: Vec<_> = (0..10)
        .map(|_| verifier.present(b"right").unwrap())
        .collect();
    assert_eq!(verifier.flights.in_flight(), 1);
    verifier.hasher.gate().open();
    for job in jobs {
        assert!(answer(job).await);
    }
    assert_eq!(verifier.hasher.verifications(), 1);
    assert_eq!(verifier.flights.in_flight(), 0);
}

#[tokio::test]
async fn never_shares_an_answer_between_different_secrets() {
    let verifier = Verifier::new(2, 16);
    verifier.hasher.gate().close();
    let right: Vec<_> = (0..5)
        .map(|_| verifier.present(b"right").unwrap())
        .collect();
    let wrong: Vec<_> = (0..5)
        .map(|_| verifier.present(b"wrong").unwrap())
        .collect();
    assert_eq!(verifier.flights.in_flight(), 2);
    verifier.hasher.gate().open();
    for (right, wrong) in right.into_iter().zip(wrong) {
        assert!(answer(right).await);
        assert!(!answer(wrong).await);
    }
    assert_eq!(verifier.hasher.verifications(), 2);
}

#[tokio::test]
async fn hashes_again_after_the_flight_has_ended() {
    let verifier = Verifier::new(1, 4);
    for count in 1..=3 {
        assert!(answer(verifier.present(b"right").unwrap()).await);
        assert_eq!(verifier.hasher.verifications(), count);
    }
}

#[tokio::test]
async fn flies_on_while_one_caller_waits() {
    let verifier = Verifier::new(1, 4);
    let (gate, _first) = occupy(&verifier.pool);
    let leaves = verifier.present(b"right").unwrap();
    let stays = verifier.present(b"right").unwrap();
    drop(leaves);
    gate.open();
    assert!(answer(stays).await);
    assert_eq!(verifier.hasher.verifications(), 1);
}

#[tokio::test]
async fn skips_a_flight_when_all_callers_are_gone() {
    let verifier = Verifier::new(1, 4);
    let (gate, first) = occupy(&verifier.pool);
    drop((verifier.present(b"right"), verifier.present(b"right")));
    let after = verifier.pool.submit(Lane::Trusted, || ()).unwrap();
    gate.open();
    first.await.unwrap();
    after.await.unwrap();
    assert_eq!(verifier.hasher.verifications(), 0);
    assert_eq!(
        (verifier.pool.stats().skipped, verifier.flights.in_flight()),
        (1, 0)
    );
    assert!(answer(verifier.present(b"right").unwrap()).await);
}

#[tokio::test]
async fn joins_a_flight_even_when_the_lane_is_full() {
    let verifier = Verifier::new(1, 1);
    let (gate, _first) = occupy(&verifier.pool);
    let one = verifier.present(b"right").unwrap();
    assert!(verifier.present(b"other").is_none());
    let two = verifier.present(b"right").unwrap();
    assert_eq!(
        verifier.flights.in_flight(),
        1,
        "the refused one has left nothing behind"
    );
    gate.open();
    assert!(answer(one).await && answer(two).await);
}

#[tokio::test]
async fn makes_room_by_dropping_an_abandoned_flight() {
    let verifier = Verifier::new(1, 1);
    let (gate, _first) = occupy(&verifier.pool);
    drop(verifier.present(b"other"));
    let right = verifier.present(b"right").unwrap();
    assert_eq!(verifier.flights.in_flight(), 1);
    gate.open();
    assert!(answer(right).await);
    assert_eq!(verifier.hasher.verifications(), 1);
}

#[tokio::test]
async fn tells_everyone_in_a_flight_that_it_crashed_or_stopped() {
    let (pool, flights, memory) = (pool(1, 4), SingleFlight::<u8>::new(), memory());
    let tag = memory.tag("id", &DigestText::new("$x$"), b"");
    let (gate, _first) = occupy(&pool);
    let submit = || {
        let job = || -> u8 { panic!("on purpose") };
        flights.submit(&pool, &tag, Lane::Trusted, job).unwrap()
    };
    let (one, two) = (submit(), submit());
    gate.open();
    assert_eq!(
        (one.await, two.await),
        (Err(PoolError::Panicked), Err(PoolError::Panicked))
    );

    let (gate, _second) = occupy(&pool);
    let (one, two) = (submit(), submit());
    drop(pool);
    assert_eq!(
        (one.await, two.await),
        (Err(PoolError::Stopped), Err(PoolError::Stopped))
    );
    assert_eq!(flights.in_flight(), 0);
    gate.open();
}

#[tokio::test]
async fn runs_one_hash_at_a_time_for_a_key_in_strict_mode() {
    let pool = pool(2, 4);
    let held = pool.exclusive("id").unwrap();
    assert!(pool.exclusive("id").is_err());
    assert!(pool.exclusive("other").is_ok());
    let gate = Gate::closed();
    let inside = gate.clone();
    let job = pool.submit(Lane::Trusted, move || {
        let _held = held;
        inside.pass();
    });
    gate.wait_for(1);
    drop(job);
    assert!(
        pool.exclusive("id").is_err(),
        "the caller is gone, the hash is not"
    );
    assert_eq!(pool.stats().shed, 2);
    gate.open();
    while pool.stats().running > 0 {
        tokio::task::yield_now().await;
    }
    assert!(pool.exclusive("id").is_ok());
}

#[tokio::test]
async fn frees_a_key_whose_job_never_ran() {
    let pool = pool(1, 0);
    let (gate, _first) = occupy(&pool);
    let held = pool.exclusive("id").unwrap();
    assert!(pool.submit(Lane::Trusted, move || drop(held)).is_err());
    assert!(pool.exclusive("id").is_ok());
    gate.open();
}

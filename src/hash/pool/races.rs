//! Interleavings; `tests/hash_pool.rs` has what one schedule can show.

use shuttle::future::block_on;

use super::*;
use crate::hash::explore::explore;
use crate::hash::{DigestText, ProofMemory, ProofTag};
use crate::random::{RandomError, SecureRandom};
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
struct Zeroes;

impl SecureRandom for Zeroes {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Ok(())
    }
}

fn tag(secret: &str) -> ProofTag {
    let memory = ProofMemory::with_capacity(0, &Zeroes).unwrap();
    memory.tag("id", &DigestText::new("$x$"), secret.as_bytes())
}

fn pool(threads: usize, queue: usize) -> Arc<HashPool> {
    let threads = NonZeroUsize::new(threads).unwrap();
    let pool = HashPool::builder().threads(threads).queue(queue).build();
    Arc::new(pool.unwrap())
}

fn spawn<R: Send + 'static>(
    pool: &Arc<HashPool>,
    work: impl FnOnce(&HashPool) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let pool = Arc::clone(pool);
    thread::spawn(move || work(&pool))
}

fn settle(pool: &HashPool) -> HashPoolStats {
    loop {
        let stats = pool.stats();
        if stats.running + stats.queued_trusted + stats.queued_doubtful == 0 {
            return stats;
        }
        thread::yield_now();
    }
}

#[test]
fn answers_everyone_and_never_runs_more_than_its_threads() {
    explore(2_000, || {
        let pool = pool(2, 4);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers = [Lane::Trusted, Lane::Doubtful, Lane::Trusted].map(|lane| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            spawn(&pool, move |it| {
                let job = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    7
                };
                block_on(it.submit(lane, job).unwrap())
            })
        });
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Ok(7));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        let stats = settle(&pool);
        assert_eq!((stats.done, stats.shed, stats.skipped), (3, 0, 0));
    });
}

#[test]
fn either_runs_or_skips_a_job_whose_caller_leaves() {
    explore(2_000, || {
        let pool = pool(1, 4);
        let leaves = spawn(&pool, |it| drop(it.submit(Lane::Trusted, || ())));
        let stays = spawn(&pool, |it| {
            block_on(it.submit(Lane::Trusted, || 1).unwrap())
        });
        leaves.join().unwrap();
        assert_eq!(stays.join().unwrap(), Ok(1));
        let stats = settle(&pool);
        assert_eq!(stats.done + stats.skipped, 2);
    });
}

#[test]
fn leaves_nobody_waiting_when_it_stops() {
    explore(2_000, || {
        let pool = pool(1, 4);
        let jobs = [1, 2].map(|it| pool.submit(Lane::Trusted, move || it).unwrap());
        let stop = thread::spawn(move || drop(pool));
        for (job, value) in jobs.into_iter().zip([1, 2]) {
            let answer = block_on(job);
            assert!(answer == Ok(value) || answer == Err(PoolError::Stopped));
        }
        stop.join().unwrap();
    });
}

#[test]
fn shares_one_hash_between_those_in_flight_and_only_those() {
    explore(5_000, || {
        let (pool, flights) = (pool(2, 4), Arc::new(SingleFlight::new()));
        let hashes = Arc::new(AtomicUsize::new(0));
        let callers = ["right", "right", "wrong"].map(|secret| {
            let (flights, hashes) = (Arc::clone(&flights), Arc::clone(&hashes));
            spawn(&pool, move |it| {
                let job = move || {
                    hashes.fetch_add(1, Ordering::SeqCst);
                    secret == "right"
                };
                block_on(
                    flights
                        .submit(it, &tag(secret), Lane::Trusted, job)
                        .unwrap(),
                )
            })
        });
        let answers = callers.map(|caller| caller.join().unwrap());
        assert_eq!(answers, [Ok(true), Ok(true), Ok(false)]);
        assert!((2..=3).contains(&hashes.load(Ordering::SeqCst)));
        assert_eq!(flights.in_flight(), 0);
    });
}

#[test]
fn answers_those_who_stay_when_others_leave_the_flight() {
    explore(5_000, || {
        let (pool, flights) = (pool(1, 4), Arc::new(SingleFlight::new()));
        let submit = |flights: &Arc<SingleFlight<u8>>| {
            let flights = Arc::clone(flights);
            move |it: &HashPool| flights.submit(it, &tag("x"), Lane::Trusted, || 7).unwrap()
        };
        let (one, two) = (submit(&flights), submit(&flights));
        let leaves = spawn(&pool, move |it| drop(one(it)));
        let stays = spawn(&pool, move |it| block_on(two(it)));
        leaves.join().unwrap();
        assert_eq!(stays.join().unwrap(), Ok(7));
        settle(&pool);
        assert_eq!(flights.in_flight(), 0);
    });
}

#[test]
fn turns_a_whole_flight_away_together() {
    explore(5_000, || {
        let (pool, flights) = (pool(1, 0), Arc::new(SingleFlight::new()));
        let callers = ["a", "b", "b"].map(|secret| {
            let flights = Arc::clone(&flights);
            spawn(&pool, move |it| {
                match flights.submit(it, &tag(secret), Lane::Trusted, move || secret) {
                    Ok(job) => block_on(job),
                    Err(overloaded) => Err(PoolError::Overloaded(overloaded)),
                }
            })
        });
        let answers = callers.map(|caller| caller.join().unwrap());
        for (answer, secret) in answers.into_iter().zip(["a", "b", "b"]) {
            assert!(answer == Ok(secret) || matches!(answer, Err(PoolError::Overloaded(_))));
        }
        assert!(answers.iter().any(Result::is_ok));
        settle(&pool);
        assert_eq!(flights.in_flight(), 0);
    });
}

#[test]
fn lets_one_hash_in_for_a_key() {
    explore(2_000, || {
        let pool = pool(2, 4);
        let inside = Arc::new(AtomicUsize::new(0));
        let callers = [0, 1].map(|_| {
            let inside = Arc::clone(&inside);
            spawn(&pool, move |it| {
                let held = it.exclusive("id").ok()?;
                let job = move || {
                    let _held = held;
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                };
                block_on(it.submit(Lane::Trusted, job).unwrap()).ok()
            })
        });
        let answers = callers.map(|caller| caller.join().unwrap());
        assert!(answers.iter().any(Option::is_some));
        assert_eq!(settle(&pool).panicked, 0);
        assert!(pool.exclusive("id").is_ok());
    });
}

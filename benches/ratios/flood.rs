//! Good requests, and honest first uses, beside a flood of well-formed wrong keys.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyward::RequestContext;
use keyward::key::{KeyFormat, KeyId};
use keyward::random::OsRandom;
use keyward::service::KeyService;
use keyward::store::MemoryStore;

use crate::measure::{Row, median, percentile};
use crate::world;

const SPAN: Duration = Duration::from_secs(3);
const RUNS: usize = 5;
/// Good requests: 500 a second, timed from the moment they were due.
const PACE: Duration = Duration::from_millis(2);

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let service = world::builder(Arc::new(MemoryStore::new()))
            .build()
            .unwrap();
        let one_hash = first_use(&service).await;
        // One run's tail is mostly the machine's; the medians of several in turn are not.
        let mut runs: [Vec<Load>; 3] = [const { Vec::new() }; 3];
        for _ in 0..RUNS {
            for (rate, results) in [0, 30, 2000].into_iter().zip(&mut runs) {
                results.push(load(&service, rate).await);
            }
        }
        let [idle, few, many] = runs.map(|results| Load::median(&results));
        eprintln!(
            "# unloaded p99 {:.3} ms, one first use {:.0} ms",
            idle.p99,
            ms(one_hash)
        );
        for (flooded, fast, first) in [
            (
                few,
                "p99 of good requests, 30 wrong keys/s / unloaded",
                "honest first use, 30 wrong keys/s / one hash",
            ),
            (
                many,
                "p99 of good requests, 2000 wrong keys/s / unloaded",
                "honest first use, 2000 wrong keys/s / one hash",
            ),
        ] {
            Row {
                name: fast,
                ours: flooded.p99,
                reference: idle.p99,
                target: 2.0,
                unit: "ms",
            }
            .print();
            Row {
                name: first,
                ours: flooded.slowest_first_use,
                reference: ms(one_hash),
                target: 2.0,
                unit: "ms",
            }
            .print();
            Row::print_bound(
                "slow hashes running at once under the flood",
                flooded.most_running,
                service.hash_stats().threads as f64,
                "",
            );
        }
    });
}

/// Milliseconds, and a count.
struct Load {
    p99: f64,
    slowest_first_use: f64,
    most_running: f64,
}

impl Load {
    fn median(runs: &[Self]) -> Self {
        let of = |read: fn(&Self) -> f64| median(runs.iter().map(read).collect());
        Self {
            p99: of(|run| run.p99),
            slowest_first_use: of(|run| run.slowest_first_use),
            most_running: of(|run| run.most_running),
        }
    }
}

async fn load(service: &KeyService, wrong_per_second: u32) -> Load {
    let over = Arc::new(AtomicBool::new(false));
    let most_running = Arc::new(AtomicUsize::new(0));
    // What has to be hashed for the set-up is hashed before anything is timed.
    let known = world::issue(service).await.record().id;
    let key = world::issue(service).await.into_key();
    let context = RequestContext::new().with_client(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    service
        .verify(key.expose().as_bytes(), &context)
        .await
        .unwrap();
    let flood = tokio::spawn(flood(
        service.clone(),
        known,
        wrong_per_second,
        Arc::clone(&over),
    ));
    let honest = tokio::spawn(honest_first_uses(service.clone(), Arc::clone(&over)));
    let start = Instant::now();
    let mut latencies = Vec::new();
    let mut due = start;
    while start.elapsed() < SPAN {
        tokio::time::sleep_until(due.into()).await;
        service
            .verify(key.expose().as_bytes(), &context)
            .await
            .unwrap();
        latencies.push(due.elapsed());
        most_running.fetch_max(service.hash_stats().running, Ordering::Relaxed);
        due += PACE;
    }
    over.store(true, Ordering::Relaxed);
    flood.await.unwrap();
    let slowest_first_use = honest.await.unwrap();
    Load {
        p99: ms(percentile(&mut latencies, 99)),
        slowest_first_use: ms(slowest_first_use),
        most_running: most_running.load(Ordering::Relaxed) as f64,
    }
}

/// Wrong keys of perfect form, from a few hundred addresses; half of them for ids that exist.
async fn flood(service: KeyService, known: KeyId, per_second: u32, over: Arc<AtomicBool>) {
    if per_second == 0 {
        return;
    }
    let format = KeyFormat::default();
    let mut due = Instant::now();
    let mut count = 0_u32;
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due.into()).await;
        let wrong = match count % 2 {
            0 => format.generate(&OsRandom::new()).unwrap(),
            _ => format.generate_for(known, &OsRandom::new()).unwrap(),
        };
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + count % 300));
        let context = RequestContext::new().with_client(address);
        assert!(
            service
                .verify(wrong.plaintext().expose().as_bytes(), &context)
                .await
                .is_err()
        );
        count += 1;
        due += Duration::from_secs(1) / per_second;
    }
}

/// A new key every second and a half, used for the first time.
async fn honest_first_uses(service: KeyService, over: Arc<AtomicBool>) -> Duration {
    let mut slowest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        slowest = slowest.max(first_use(&service).await);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    slowest
}

async fn first_use(service: &KeyService) -> Duration {
    let key = world::issue(service).await.into_key();
    let context = RequestContext::new().with_client(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)));
    let start = Instant::now();
    service
        .verify(key.expose().as_bytes(), &context)
        .await
        .unwrap();
    start.elapsed()
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

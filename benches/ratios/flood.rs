//! Good requests, and honest first uses, beside a flood of well-formed wrong keys.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyward::RequestContext;
use keyward::key::KeyFormat;
use keyward::random::OsRandom;
use keyward::service::KeyService;
use keyward::store::MemoryStore;

use crate::measure::{Row, percentile};
use crate::world;

const SPAN: Duration = Duration::from_secs(6);
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
        let idle = load(&service, 0).await;
        eprintln!(
            "# unloaded p99 {:.3} ms, one first use {:.0} ms",
            ms(idle.p99),
            ms(one_hash)
        );
        for (rate, fast, first) in [
            (
                30,
                "p99 of good requests, 30 wrong keys/s / unloaded",
                "honest first use, 30 wrong keys/s / one hash",
            ),
            (
                2000,
                "p99 of good requests, 2000 wrong keys/s / unloaded",
                "honest first use, 2000 wrong keys/s / one hash",
            ),
        ] {
            let flooded = load(&service, rate).await;
            Row {
                name: fast,
                ours: ms(flooded.p99),
                reference: ms(idle.p99),
                target: 2.0,
                unit: "ms",
            }
            .print();
            Row {
                name: first,
                ours: ms(flooded.slowest_first_use),
                reference: ms(one_hash),
                target: 2.0,
                unit: "ms",
            }
            .print();
            Row::print_bound(
                "slow hashes running at once under the flood",
                flooded.most_running as f64,
                service.hash_stats().threads as f64,
                "",
            );
        }
    });
}

struct Load {
    p99: Duration,
    slowest_first_use: Duration,
    most_running: usize,
}

async fn load(service: &KeyService, wrong_per_second: u32) -> Load {
    let over = Arc::new(AtomicBool::new(false));
    let most_running = Arc::new(AtomicUsize::new(0));
    let flood = tokio::spawn(flood(service.clone(), wrong_per_second, Arc::clone(&over)));
    let honest = tokio::spawn(honest_first_uses(service.clone(), Arc::clone(&over)));
    let key = world::issue(service).await.into_key();
    let context = RequestContext::new().with_client(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    service
        .verify(key.expose().as_bytes(), &context)
        .await
        .unwrap();
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
        p99: percentile(&mut latencies, 99),
        slowest_first_use,
        most_running: most_running.load(Ordering::Relaxed),
    }
}

/// Wrong keys of perfect form, from a few hundred addresses; half of them for ids that exist.
async fn flood(service: KeyService, per_second: u32, over: Arc<AtomicBool>) {
    if per_second == 0 {
        return;
    }
    let format = KeyFormat::default();
    let known = world::issue(&service).await.record().id;
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

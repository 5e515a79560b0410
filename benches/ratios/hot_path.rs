//! A warmed verification beside the sum of its primitives, and the refusals.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use keyward::RequestContext;
use keyward::access::{Requirement, Target};
use keyward::key::KeyFormat;
use keyward::rate_limit::{Charge, MemoryRateLimiter, Mode, Quota, RateLimiter as _, Subject};
use keyward::service::KeyService;
use keyward::store::MemoryStore;
use keyward::time::{Clock as _, SystemClock};
use sha2::Sha256;
use tokio::runtime::Runtime;

use crate::measure::{Row, interleave, nanos};
use crate::world;

/// Fewer than the audit queue holds: between two batches it is drained, so that none is dropped and none is measured.
const BATCH: usize = 4000;
const ROUNDS: usize = 51;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

pub(crate) fn run() {
    let runtime = world::runtime();
    let tagged = world::tagged();
    let (service, key) = runtime.block_on(async {
        let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
        let service = world::builder(store)
            .format(world::tagged())
            .build()
            .unwrap();
        let key = world::issue(&service).await.into_key();
        service
            .verify(key.expose().as_bytes(), &RequestContext::new())
            .await
            .unwrap();
        (service, key)
    });
    let presented = key.expose().as_bytes();
    let mut primitives = Primitives::new(presented, &runtime);
    let medians = interleave(
        ROUNDS,
        &mut [&mut || serve(&runtime, &service, presented), &mut || {
            primitives.sum(&tagged, presented)
        }],
    );
    Row {
        name: "verify + authorize + limit + audit, warmed, in memory / sum of primitives",
        ours: medians[0],
        reference: medians[1],
        target: 2.0,
        unit: "ns",
    }
    .print();
    assert_eq!(
        service.audit_counters().dropped,
        0,
        "the audit queue overflowed: the row is not what it says"
    );
    refusals(&runtime, &service, &tagged, presented);
}

/// The whole way of a request, without HTTP.
fn serve(runtime: &Runtime, service: &KeyService, presented: &[u8]) -> f64 {
    let wanted: Requirement = "send_email".parse().unwrap();
    let context = RequestContext::new().with_client(CLIENT);
    runtime.block_on(async {
        service.recorder().flush().await.unwrap();
        let start = Instant::now();
        for _ in 0..BATCH {
            let key = service
                .verify(black_box(presented), &context)
                .await
                .unwrap();
            assert!(
                service
                    .authorize(&key, &wanted, &Target::Service)
                    .is_allowed()
            );
            assert!(service.limit(&key, 1).await.unwrap().is_allowed());
        }
        start.elapsed().as_nanos() as f64 / BATCH as f64
    })
}

/// Parse (with its tag: the first HMAC), the proof's HMAC, a map read, a clock read, a bucket step, a queue push.
struct Primitives {
    mac: Hmac<Sha256>,
    message: [u8; 115],
    map: HashMap<[u8; 12], Arc<[u8; 600]>>,
    id: [u8; 12],
    limiter: MemoryRateLimiter,
    quota: Quota,
    queue: tokio::sync::mpsc::Sender<[u64; 11]>,
}

impl Primitives {
    fn new(presented: &[u8], runtime: &Runtime) -> Self {
        // Somebody takes the events out meanwhile, in batches, as the recorder does.
        let (queue, mut events) = tokio::sync::mpsc::channel(BATCH);
        runtime.spawn(async move {
            let mut batch = Vec::new();
            while events.recv_many(&mut batch, 256).await > 0 {
                batch.clear();
                if events.is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        let id: [u8; 12] = presented[8..20].try_into().unwrap();
        Self {
            mac: Hmac::new_from_slice(&[7; 32]).unwrap(),
            message: [b'x'; 115],
            map: HashMap::from([(id, Arc::new([0; 600]))]),
            id,
            limiter: MemoryRateLimiter::new(),
            quota: Quota::per_second(1_000_000).unwrap(),
            queue,
        }
    }

    fn sum(&mut self, format: &KeyFormat, presented: &[u8]) -> f64 {
        while self.queue.capacity() < BATCH {
            std::thread::yield_now();
        }
        let charges = [Charge::new(Subject::key("000000000000"), &self.quota)];
        nanos(BATCH, || {
            black_box(format.parse(black_box(presented)).unwrap());
            let mut mac = self.mac.clone();
            mac.update(black_box(&self.message));
            black_box(mac.finalize());
            black_box(self.map.get(black_box(&self.id)).map(Arc::clone));
            let now = SystemClock::new().now();
            black_box(
                self.limiter
                    .apply(&charges, Mode::Consume, now)
                    .try_ready()
                    .unwrap()
                    .unwrap(),
            );
            self.queue.try_send(black_box([0; 11])).unwrap();
        })
    }
}

fn refusals(runtime: &Runtime, service: &KeyService, tagged: &KeyFormat, good: &[u8]) {
    let typo = altered(good, good.len() - 1);
    let parsed = nanos_of_parse(tagged, &typo);
    Row::print_bound(
        "refusal of a malformed key, by the parser",
        parsed,
        100.0,
        "ns",
    );
    let forged = reseal(good, 65);
    Row::print_bound(
        "refusal of a forged tag, by the parser",
        nanos_of_parse(tagged, &forged),
        300.0,
        "ns",
    );

    // For a wrong secret with a true tag the service has to read the record; without tags the secret can be altered.
    let plain = runtime.block_on(async {
        let budget = keyward::service::FailureBudget::new(wide(), wide());
        world::builder(Arc::new(MemoryStore::new()))
            .failure_budget(budget)
            .build()
            .unwrap()
    });
    let key = runtime.block_on(world::issue(&plain)).into_key();
    let before = plain.hash_stats().done;
    let wrong = reseal(key.expose().as_bytes(), 62);
    let refused = refuse(runtime, &plain, &wrong);
    Row::print_bound(
        "refusal of a wrong secret for a known id, by the service, audited",
        refused,
        1000.0,
        "ns",
    );
    let malformed = refuse(runtime, &plain, &altered(key.expose().as_bytes(), 68));
    Row::print_bound(
        "refusal of a malformed key, by the service, audited (for comparison)",
        malformed,
        1000.0,
        "ns",
    );
    assert_eq!(
        plain.hash_stats().done,
        before,
        "a refusal reached the slow hash"
    );
    let clock = nanos(100_000, || {
        black_box(SystemTime::now());
    });
    eprintln!(
        "# one reading of the clock: {clock:.0} ns; of this service, which is tagged: {}",
        service.format().style().id_len()
    );
}

fn wide() -> Quota {
    Quota::per_second(1_000_000).unwrap()
}

fn nanos_of_parse(format: &KeyFormat, presented: &[u8]) -> f64 {
    interleave(
        ROUNDS,
        &mut [&mut || {
            nanos(BATCH, || {
                assert!(format.parse(black_box(presented)).is_err());
            })
        }],
    )[0]
}

fn refuse(runtime: &Runtime, service: &KeyService, presented: &[u8]) -> f64 {
    let context = RequestContext::new().with_client(CLIENT);
    interleave(
        ROUNDS,
        &mut [&mut || {
            runtime.block_on(async {
                service.recorder().flush().await.unwrap();
                let start = Instant::now();
                for _ in 0..BATCH {
                    assert!(
                        service
                            .verify(black_box(presented), &context)
                            .await
                            .is_err()
                    );
                }
                start.elapsed().as_nanos() as f64 / BATCH as f64
            })
        }],
    )[0]
}

/// Another character in one place.
fn altered(key: &[u8], place: usize) -> Vec<u8> {
    let mut other = key.to_vec();
    other[place] = if other[place] == b'A' { b'B' } else { b'A' };
    other
}

/// Another character in one place, and a checksum that fits: what anybody can do.
fn reseal(key: &[u8], place: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut other = altered(key, place);
    let body = other.len() - 6;
    let mut rest = crc32fast::hash(&other[..body]);
    for place in (body..body + 6).rev() {
        other[place] = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    other
}

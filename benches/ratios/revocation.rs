//! Requests accepted after `revoke` returned, in this and in another process's service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyward::RequestContext;
use keyward::service::Actor;
use keyward::store::{KeyStore, MemoryStore};

use crate::measure::Row;
use crate::world;

const KEYS: usize = 12;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let accepted = runtime.block_on(async {
        let store: Arc<dyn KeyStore> = Arc::new(MemoryStore::new());
        let here = world::builder(Arc::clone(&store)).build().unwrap();
        let there = world::builder(store).build().unwrap();
        let late = Arc::new(AtomicU64::new(0));
        for _ in 0..KEYS {
            let issued = world::issue(&here).await;
            let (id, key) = (issued.record().id, Arc::new(issued.into_key()));
            let revoked = Arc::new(AtomicBool::new(false));
            let clients: Vec<_> = [here.clone(), there.clone()]
                .into_iter()
                .map(|service| {
                    let (key, revoked, late) =
                        (Arc::clone(&key), Arc::clone(&revoked), Arc::clone(&late));
                    tokio::spawn(async move {
                        let mut refused = 0;
                        while refused < 1000 {
                            let began_after = revoked.load(Ordering::SeqCst);
                            let outcome = service
                                .verify(key.expose().as_bytes(), &RequestContext::new())
                                .await;
                            refused += u32::from(outcome.is_err());
                            if outcome.is_ok() && began_after {
                                late.fetch_add(1, Ordering::SeqCst);
                            }
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            // Both have proved the key before it is revoked.
            for service in [&here, &there] {
                service
                    .verify(key.expose().as_bytes(), &RequestContext::new())
                    .await
                    .unwrap();
            }
            let _ = here
                .revoke(&Actor::system("bench").unwrap(), &id, "bench")
                .await
                .unwrap();
            revoked.store(true, Ordering::SeqCst);
            for client in clients {
                client.await.unwrap();
            }
        }
        late.load(Ordering::SeqCst)
    });
    Row::print_bound(
        "requests accepted after revoke returned, two services",
        accepted as f64,
        0.0,
        "",
    );
}

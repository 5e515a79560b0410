//! Reads with so many under way, for every engine.

use std::sync::Arc;
use std::time::Instant;

use keyward::RequestContext;
use keyward::service::KeyService;
use tokio::runtime::Runtime;

const READS: usize = 500;
pub(crate) const KEYS: usize = 8;

/// Microseconds a verification, with that many under way.
pub(crate) fn verify(
    runtime: &Runtime,
    service: &KeyService,
    keys: &Arc<Vec<Vec<u8>>>,
    at_once: usize,
) -> f64 {
    each(runtime, at_once, || {
        let (service, keys) = (service.clone(), Arc::clone(keys));
        move |turn: usize| {
            let (service, keys) = (service.clone(), Arc::clone(&keys));
            async move {
                let presented = &keys[turn % KEYS];
                service
                    .verify(presented, &RequestContext::new())
                    .await
                    .unwrap();
            }
        }
    })
}

/// Microseconds an operation, with that many under way.
pub(crate) fn each<F, O, Fut>(runtime: &Runtime, at_once: usize, make: F) -> f64
where
    F: Fn() -> O,
    O: Fn(usize) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    runtime.block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|task| {
                let once = make();
                tokio::spawn(async move {
                    for turn in 0..READS / at_once.min(8) {
                        once(task + turn).await;
                    }
                })
            })
            .collect();
        let total = (READS / at_once.min(8)) * at_once;
        for task in tasks {
            task.await.unwrap();
        }
        start.elapsed().as_nanos() as f64 / 1e3 / total as f64
    })
}

//! Rules for callers at work at the same time, and for those that leave.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinSet;

use super::{AuditedProbe, assert_agree, assert_gapless, create, event, events, store};
use crate::audit::AuditKind;
use crate::key::KeyId;
use crate::store::{AuditedError, AuditedStore, InsertKey, StoreError};
use crate::testing::store_rules::sample::{id, plain, stored};

const WRITERS: u32 = 8;
const EACH: u32 = 10;

/// Returns a handle for each writer, of all kinds in turn.
fn handles(probe: &dyn AuditedProbe) -> impl Iterator<Item = (u32, Arc<dyn AuditedStore>)> {
    (0..WRITERS).zip(probe.stores().into_iter().cycle())
}

async fn all(mut writers: JoinSet<()>) {
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer succeeds");
    }
}

/// Whoever reads the trail while it is written sees it grow at its end only, so that reading on from there misses nothing.
pub async fn a_reader_sees_the_trail_grow_at_its_end(probe: &dyn AuditedProbe) {
    let mut writers = write(probe);
    let mut before = Vec::new();
    loop {
        let ended = writers.try_join_next();
        let now = probe.read().await;
        assert!(now.starts_with(&before), "something came before the end");
        before = now;
        match ended {
            Some(writer) => writer.expect("a writer succeeds"),
            None if writers.is_empty() => break,
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(before.len(), 80);
}

/// Starts writers of keys of their own.
fn write(probe: &dyn AuditedProbe) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for (writer, store) in handles(probe) {
        writers.spawn(async move {
            for nth in 0..EACH {
                create(&*store, &plain(writer * EACH + nth, "acme")).await;
            }
        });
    }
    writers
}

/// Writers of keys of their own leave an event of each, counted without a gap in the order in which readers see them.
pub async fn sequences_have_no_gaps_when_raced(probe: &dyn AuditedProbe) {
    all(write(probe)).await;
    let trail = events(probe).await;
    let mut keys: Vec<_> = trail.iter().filter_map(|event| event.key_id()).collect();
    keys.sort_unstable();
    let expected: Vec<_> = (0..WRITERS * EACH)
        .map(|number| id(number).to_string())
        .collect();
    assert_eq!(keys, expected);
    assert_gapless(probe).await;
}

/// Writers that change one key lose none of their changes, and each leaves one event: lost races leave none.
pub async fn racing_changes_of_one_key_leave_an_event_each(probe: &dyn AuditedProbe) {
    create(&*store(probe), &plain(1, "acme")).await;
    let mut writers = JoinSet::new();
    for (_, store) in handles(probe) {
        writers.spawn(async move { change(&*store, &id(1), EACH).await });
    }
    all(writers).await;
    let record = stored(&*store(probe), &id(1)).await;
    assert_eq!(record.revision.number(), u64::from(1 + WRITERS * EACH));
    assert_agree(probe, &id(1)).await;
    assert_gapless(probe).await;
}

async fn change(store: &dyn AuditedStore, id: &KeyId, times: u32) {
    let mut left = times;
    while left > 0 {
        let record = stored(store, id).await;
        let event = event(AuditKind::KeyUpdated, id);
        match store.update_with_event(&record, &event).await {
            Ok(_) => left -= 1,
            Err(AuditedError::Store(StoreError::Conflict)) => tokio::task::yield_now().await,
            Err(other) => panic!("a lost race is a conflict, not {other:?}"),
        }
    }
}

/// Of writers that race for an owner's last places so many succeed as there are places, with an event each.
pub async fn an_owner_limit_that_is_raced_leaves_no_further_event(probe: &dyn AuditedProbe) {
    const LIMIT: u32 = 5;
    if !store(probe).capabilities().owner_limit {
        return;
    }
    let mut writers = JoinSet::new();
    for (writer, store) in handles(probe) {
        writers.spawn(async move {
            let mut insert = InsertKey::new(plain(writer, "acme"));
            insert.owner_limit = Some(LIMIT);
            let event = event(AuditKind::KeyCreated, &id(writer));
            match store.insert_with_event(insert, &event).await {
                Ok(()) | Err(AuditedError::Store(StoreError::OwnerLimit { limit: LIMIT })) => {}
                Err(other) => panic!("a place is free or it is not, and no {other:?}"),
            }
        });
    }
    all(writers).await;
    assert_eq!(events(probe).await.len(), 5);
    for writer in 0..WRITERS {
        assert_agree(probe, &id(writer)).await;
    }
    assert_gapless(probe).await;
}

/// Calls that are dropped at each of their waits in turn leave both or neither, and later calls work.
pub async fn a_dropped_call_leaves_both_or_neither(probe: &dyn AuditedProbe) {
    let store = store(probe);
    create(&*store, &plain(0, "acme")).await;
    for waits in 1..40 {
        let insert = InsertKey::new(plain(waits, "acme"));
        let created = event(AuditKind::KeyCreated, &id(waits));
        drop_after(waits, store.insert_with_event(insert, &created)).await;
        let record = stored(&*store, &id(0)).await;
        let updated = event(AuditKind::KeyUpdated, &id(0));
        drop_after(waits, store.update_with_event(&record, &updated)).await;
    }
    create(&*store, &plain(1000, "acme")).await;
    for number in 0..40 {
        assert_agree(probe, &id(number)).await;
    }
    assert_gapless(probe).await;
}

/// Drops a call when it has waited so many times, if it has not come to its end before.
async fn drop_after<T: Send>(waits: u32, mut call: impl Future<Output = T> + Send + Unpin) {
    let mut left = waits;
    poll_fn(|context| {
        left -= 1;
        if Pin::new(&mut call).poll(context).is_ready() || left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

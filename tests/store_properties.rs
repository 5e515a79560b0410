//! Whatever a record holds comes back from every store, and every store lists what the query means.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may say what it expects"
)]

mod store_strategies;

use keyward::key::KeyRecord;
use keyward::store::{InsertKey, KeyStore, ListKeys, MemoryStore, Usage};
use proptest::prelude::*;
use store_strategies::{any_query, any_record, any_usage};

#[cfg_attr(
    not(feature = "sqlite"),
    expect(
        clippy::unused_async,
        reason = "only some stores are opened by waiting"
    )
)]
async fn stores() -> Vec<Box<dyn KeyStore>> {
    vec![
        Box::new(MemoryStore::new()),
        #[cfg(feature = "sqlite")]
        Box::new(keyward::store::SqliteStore::in_memory().await.unwrap()),
    ]
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

async fn found(store: &dyn KeyStore, record: &KeyRecord) -> KeyRecord {
    let found = store.find(&record.id).await.expect("readable");
    KeyRecord::clone(&found.expect("present"))
}

fn json(record: &KeyRecord) -> String {
    serde_json::to_string(record).unwrap()
}

/// The state of every store after the same steps.
async fn after(first: &KeyRecord, next: &KeyRecord, usage: &[Usage]) -> Vec<KeyRecord> {
    let mut states = Vec::new();
    for store in stores().await {
        let store = &*store;
        store.insert(InsertKey::new(first.clone())).await.unwrap();
        store.record_usage(usage).await.unwrap();
        store.update(next).await.unwrap();
        store.record_usage(usage).await.unwrap();
        states.push(found(store, first).await);
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_record_comes_back_unchanged(record in any_record().boxed()) {
        in_runtime(async {
            for store in stores().await {
                store.insert(InsertKey::new(record.clone())).await.unwrap();
                let found = found(&*store, &record).await;
                prop_assert_eq!(json(&found), json(&record));
                prop_assert_eq!(&found, &record);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_record_survives_its_serialised_form(record in any_record().boxed()) {
        let read: KeyRecord = serde_json::from_str(&json(&record)).unwrap();
        prop_assert_eq!(json(&read), json(&record));
        prop_assert_eq!(read, record);
    }

    #[test]
    fn updates_and_usage_leave_the_same_everywhere(
        first in any_record().boxed(),
        mut next in any_record().boxed(),
        usage in proptest::collection::vec(any_usage(), 0..8),
    ) {
        (next.id, next.revision) = (first.id, first.revision);
        let usage: Vec<_> = usage.into_iter().map(|used| {
            let id = if used.id.as_str().ends_with('0') { used.id } else { first.id };
            Usage::new(id, used.generation, used.at, used.from)
        }).collect();
        let states = in_runtime(after(&first, &next, &usage));
        for state in &states {
            prop_assert_eq!(state, &states[0]);
        }
    }

    #[test]
    fn every_store_lists_what_the_query_means(
        records in proptest::collection::vec(any_record().boxed(), 0..24),
        queries in proptest::collection::vec(any_query().boxed(), 1..8),
    ) {
        in_runtime(async {
            for store in stores().await {
                for record in &records {
                    // The strategy draws few ids, so that some meet; the first of them stays.
                    let _ = store.insert(InsertKey::new(record.clone())).await;
                }
                let all = store.list(&ListKeys::new()).await.unwrap().records;
                for query in &queries {
                    let mut wanted: Vec<_> = all.iter().filter(|record| query.matches(record)).cloned().collect();
                    query.sort(&mut wanted);
                    let page = store.list(query).await.unwrap();
                    let size = query.page_size();
                    prop_assert_eq!(page.next.is_some(), wanted.len() > size);
                    prop_assert_eq!(&page.records[..], &wanted[..wanted.len().min(size)]);
                }
            }
            Ok(())
        })?;
    }
}

use std::sync::Arc;

use super::{FactorHandles, actor, first, found, row};
use crate::second_factor::{FactorRevision, FactorStore, FactorStoreError};

/// Runs `race` on twenty tasks, over all handles in turn, and returns how many succeeded. The others must hear of a
/// conflict and of nothing else.
async fn winners<R>(handles: &FactorHandles, race: impl Fn(Arc<dyn FactorStore>, i64) -> R) -> usize
where
    R: Future<Output = Result<(), FactorStoreError>> + Send + 'static,
{
    let racers = (100..).zip(handles.shared(20));
    let racers: Vec<_> = racers
        .map(|(number, store)| tokio::spawn(race(store, number)))
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.expect("a task does not panic") {
            Ok(()) => won += 1,
            Err(error) => assert!(matches!(error, FactorStoreError::Conflict), "{error:?}"),
        }
    }
    won
}

/// Of twenty that read one revision one writes.
pub async fn of_racing_writes_one_succeeds(handles: &FactorHandles) {
    let ana = actor("user:ana");
    first(handles.store(), &ana, &row(1, "a")).await;
    let write = |store: Arc<dyn FactorStore>, number| async move {
        let expected = Some(FactorRevision::from_number(1));
        let next = row(number, "b");
        store.write(&actor("user:ana"), expected, &next).await
    };
    assert_eq!(winners(handles, write).await, 1);
    let kept = found(handles.store(), &ana).await;
    assert!(kept.is_some_and(|kept| kept.revision().number() >= 100));
}

/// Of twenty that found nothing one writes.
pub async fn of_racing_first_writes_one_succeeds(handles: &FactorHandles) {
    let write = |store: Arc<dyn FactorStore>, number| async move {
        store
            .write(&actor("user:ana"), None, &row(number, "a"))
            .await
    };
    assert_eq!(winners(handles, write).await, 1);
}

/// Of twenty that read one revision one removes.
pub async fn of_racing_removals_one_succeeds(handles: &FactorHandles) {
    let ana = actor("user:ana");
    first(handles.store(), &ana, &row(1, "a")).await;
    let remove = |store: Arc<dyn FactorStore>, _| async move {
        let expected = FactorRevision::from_number(1);
        store.remove(&actor("user:ana"), expected).await
    };
    assert_eq!(winners(handles, remove).await, 1);
    assert!(found(handles.store(), &ana).await.is_none());
}

use super::{FactorHandles, actor, first, found, is_conflict, row};
use crate::second_factor::FactorRevision;

/// Nothing was ever kept.
pub async fn find_answers_none_for_an_unknown_actor(handles: &FactorHandles) {
    first(handles.store(), &actor("user:ana"), &row(1, "a")).await;
    assert!(found(handles.store(), &actor("user:bob")).await.is_none());
}

/// A first write and a later one, to the byte.
pub async fn what_is_written_comes_back(handles: &FactorHandles) {
    let (store, ana) = (handles.store(), actor("user:ana"));
    let (one, two) = (row(7, "s1.1.abc-_"), row(i64::MAX, ""));
    first(store, &ana, &one).await;
    assert_eq!(found(store, &ana).await, Some(one.clone()));
    let written = store.write(&ana, Some(one.revision()), &two).await;
    written.expect("the revision is the one that is kept");
    assert_eq!(found(store, &ana).await, Some(two));
}

/// An actor of 255 bytes, not all of them ASCII, and a state of four kibibytes.
pub async fn long_actors_and_states_come_back_unchanged(handles: &FactorHandles) {
    let (store, long) = (handles.store(), actor(&format!("user:{}", "ü".repeat(125))));
    let state = row(1, &"x".repeat(4096));
    first(store, &long, &state).await;
    assert_eq!(found(store, &long).await, Some(state));
}

/// No folding of case, no trimming, no patterns.
pub async fn actors_are_compared_by_their_bytes(handles: &FactorHandles) {
    let store = handles.store();
    let names = [
        "user:ana",
        "user:Ana",
        "user:ana ",
        "user:%",
        "user:an_",
        "key:ana",
    ];
    for (name, number) in names.into_iter().zip(1..) {
        first(store, &actor(name), &row(number, name)).await;
    }
    for (name, number) in names.into_iter().zip(1..) {
        assert_eq!(found(store, &actor(name)).await, Some(row(number, name)));
    }
}

/// A write that expects nothing refuses when something is kept, and changes nothing.
pub async fn a_first_write_needs_an_empty_place(handles: &FactorHandles) {
    let (store, ana) = (handles.store(), actor("user:ana"));
    first(store, &ana, &row(1, "a")).await;
    assert!(is_conflict(&store.write(&ana, None, &row(2, "b")).await));
    assert_eq!(found(store, &ana).await, Some(row(1, "a")));
}

/// A write that expects another revision, or one of nothing at all, refuses and changes nothing.
pub async fn a_write_needs_the_revision_that_is_kept(handles: &FactorHandles) {
    let (store, ana) = (handles.store(), actor("user:ana"));
    let expected = Some(FactorRevision::from_number(1));
    assert!(is_conflict(
        &store.write(&ana, expected, &row(2, "b")).await
    ));
    assert!(found(store, &ana).await.is_none());
    first(store, &ana, &row(5, "a")).await;
    assert!(is_conflict(
        &store.write(&ana, expected, &row(2, "b")).await
    ));
    assert_eq!(found(store, &ana).await, Some(row(5, "a")));
}

/// A removal likewise; afterwards nothing is kept.
pub async fn a_removal_needs_the_revision_that_is_kept(handles: &FactorHandles) {
    let (store, ana, bob) = (handles.store(), actor("user:ana"), actor("user:bob"));
    let (one, five) = (
        FactorRevision::from_number(1),
        FactorRevision::from_number(5),
    );
    assert!(is_conflict(&store.remove(&ana, one).await));
    first(store, &ana, &row(5, "a")).await;
    first(store, &bob, &row(5, "b")).await;
    assert!(is_conflict(&store.remove(&ana, one).await));
    assert_eq!(found(store, &ana).await, Some(row(5, "a")));
    let removed = store.remove(&ana, five).await;
    removed.expect("the revision is the one that is kept");
    assert!(found(store, &ana).await.is_none());
    assert_eq!(found(store, &bob).await, Some(row(5, "b")));
}

/// Who read the row before it was removed cannot write over the one that came after it.
pub async fn a_row_made_anew_is_not_the_one_before_it(handles: &FactorHandles) {
    let (store, ana) = (handles.store(), actor("user:ana"));
    let before = FactorRevision::from_number(1);
    first(store, &ana, &row(1, "a")).await;
    let removed = store.remove(&ana, before).await;
    removed.expect("the revision is the one that is kept");
    first(store, &ana, &row(2, "b")).await;
    assert!(is_conflict(
        &store.write(&ana, Some(before), &row(3, "a")).await
    ));
    assert!(is_conflict(&store.remove(&ana, before).await));
    assert_eq!(found(store, &ana).await, Some(row(2, "b")));
}

/// What one handle wrote or removed, the others find so.
pub async fn writes_are_seen_from_every_handle(handles: &FactorHandles) {
    let (store, ana) = (handles.store(), actor("user:ana"));
    first(store, &ana, &row(1, "a")).await;
    for other in handles.shared(4) {
        assert_eq!(found(&*other, &ana).await, Some(row(1, "a")));
    }
    let removed = store.remove(&ana, FactorRevision::from_number(1)).await;
    removed.expect("the revision is the one that is kept");
    for other in handles.shared(4) {
        assert!(found(&*other, &ana).await.is_none());
    }
}

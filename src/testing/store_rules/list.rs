use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Handles;
use super::sample::{DAY, NOW, credential, id, insert, plain, read};
use crate::access::{Grant, TenantBinding};
use crate::key::{Environment, KeyId, KeyRecord, KeyStatus, LastUse, Revocation};
use crate::store::{Cursor, KeyStore, ListKeys, ListOrder, UsageFilter};
use crate::time::Timestamp;

fn hours(count: u32) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(3600) * count)
}

/// Keys of every kind that a filter tells apart, several times over.
async fn populate(store: &dyn KeyStore, with_usage: bool) -> Vec<KeyRecord> {
    let records: Vec<_> = (0..24).map(|number| kind(number, with_usage)).collect();
    for record in &records {
        insert(store, record).await;
    }
    records
}

fn kind(number: u32, with_usage: bool) -> KeyRecord {
    let mut record = plain(
        number,
        if number.is_multiple_of(3) {
            "acme"
        } else {
            "other"
        },
    );
    // Three share each moment, so that the id decides among them.
    record.created_at = hours(number / 3);
    record.current = credential(1, hours(24 - number));
    record.exposed_at = number.is_multiple_of(4).then(|| hours(12));
    if number.is_multiple_of(5) {
        record.environment = Environment::test();
    }
    record.tenant = match number % 4 {
        0 => TenantBinding::Tenant(read("t1")),
        1 => TenantBinding::Tenant(read("T1")),
        2 => TenantBinding::Platform,
        _ => TenantBinding::None,
    };
    let scopes = vec![read("leads:read")];
    record.grant = match number % 3 {
        0 => Grant::Role(read("broker")),
        1 => Grant::RoleWithScopes {
            role: read("broker"),
            scopes,
        },
        _ => Grant::RoleWithScopes {
            role: read("Broker"),
            scopes,
        },
    };
    record.disabled = number % 7 == 1;
    record.expires_at = number.is_multiple_of(2).then(|| hours(number));
    if number % 6 == 5 {
        record.revocation = Some(Revocation::new(NOW, read("user:ana"), "over".into()));
    }
    if with_usage && number % 3 != 2 {
        record.last_used = Some(LastUse::new(hours(number), None));
    }
    record
}

/// Asserts that the store lists what the query means, in order, and that the test means something.
async fn expect(store: &dyn KeyStore, records: &[KeyRecord], query: ListKeys) {
    let wanted: Vec<KeyRecord> = records
        .iter()
        .filter(|it| query.matches(it))
        .cloned()
        .collect();
    let mut wanted: Vec<_> = wanted.into_iter().map(Arc::new).collect();
    query.sort(&mut wanted);
    let wanted: Vec<&KeyRecord> = wanted.iter().map(|record| &**record).collect();
    let page = store.list(&query).await.expect("a list succeeds");
    let found: Vec<&KeyRecord> = page.records.iter().map(|record| &**record).collect();
    assert_eq!(found, wanted, "{query:?}");
    assert_eq!(page.next, None);
    assert!(
        !wanted.is_empty() && wanted.len() < records.len(),
        "{query:?} tells nothing apart"
    );
}

/// Records come by creation, newest first, and by id among those of one moment.
pub async fn list_is_newest_first(handles: &Handles) {
    let store = handles.store();
    let mut expected: Vec<_> = populate(store, false)
        .await
        .iter()
        .map(Cursor::of)
        .collect();
    // Of one moment, and in another order for whoever sorts as people do.
    for (text, number) in [
        "aaaaaaaaaaab",
        "aaaaaaaaaaaC",
        "Aaaaaaaaaaad",
        "zzzzzzzzzzzz",
        "ZZZZZZZZZZZZ",
    ]
    .into_iter()
    .zip(100..)
    {
        let mut record = plain(number, "order");
        record.id = read(text);
        insert(store, &record).await;
        expected.push(Cursor::of(&record));
    }
    expected.sort_unstable_by_key(|place| Reverse(*place));
    let page = store.list(&ListKeys::new()).await.expect("a list succeeds");
    let found: Vec<_> = page
        .records
        .iter()
        .map(|record| Cursor::of(record))
        .collect();
    assert_eq!(found, expected);
}

/// The owner filter keeps the keys of that owner.
pub async fn list_filters_by_owner(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_owner(read("acme")),
    )
    .await;
}

/// The tenant filter keeps the keys bound to that tenant, neither platform-wide nor unbound ones.
pub async fn list_filters_by_tenant(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_tenant(read("t1")),
    )
    .await;
}

/// The environment filter keeps the keys of that environment.
pub async fn list_filters_by_environment(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    let query = ListKeys::new().with_environment(Environment::test());
    expect(handles.store(), &records, query).await;
}

/// The role filter keeps keys with that role, narrowed by scopes or not.
pub async fn list_filters_by_role(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_role(read("broker")),
    )
    .await;
}

/// The status filter keeps keys of that one status at that moment: revoked beats disabled beats expired.
pub async fn list_filters_by_status(handles: &Handles) {
    let store = handles.store();
    let records = populate(store, false).await;
    for status in [
        KeyStatus::Active,
        KeyStatus::Disabled,
        KeyStatus::Expired,
        KeyStatus::Revoked,
    ] {
        expect(
            store,
            &records,
            ListKeys::new().with_status(status, hours(10)),
        )
        .await;
    }
}

/// The expiry filter keeps keys that have an expiry, strictly before that moment.
pub async fn list_filters_by_expiry(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_expires_before(hours(10)),
    )
    .await;
}

/// The creation filter keeps keys created strictly before that moment.
pub async fn list_filters_by_creation(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_created_before(hours(4)),
    )
    .await;
}

/// The rotation filter keeps keys whose current secret was made strictly before that moment.
pub async fn list_filters_by_rotation(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(
        handles.store(),
        &records,
        ListKeys::new().with_rotated_before(hours(10)),
    )
    .await;
}

/// The usage filters tell keys that were never used from keys not used since a moment.
pub async fn list_filters_by_usage(handles: &Handles) {
    let store = handles.store();
    let records = populate(store, true).await;
    expect(
        store,
        &records,
        ListKeys::new().with_usage(UsageFilter::Never),
    )
    .await;
    let unused = ListKeys::new().with_usage(UsageFilter::NotSince(hours(10)));
    expect(store, &records, unused).await;
}

/// The exposure filter keeps keys that were exposed when they had their current secret, that moment included.
pub async fn list_filters_by_exposure(handles: &Handles) {
    let records = populate(handles.store(), false).await;
    expect(handles.store(), &records, ListKeys::new().with_exposed()).await;
    let mut edge = records.iter().filter(|it| it.is_exposed());
    let is_edge = |record: &KeyRecord| record.exposed_at == Some(record.current.created_at);
    assert!(edge.any(is_edge), "no record is at the edge");
}

/// Keys that have an expiry come by it, soonest first, and by id among those of one moment; the others do not come.
pub async fn list_orders_by_expiry(handles: &Handles) {
    let by_expiry = ListKeys::new().with_order(ListOrder::SoonestExpiry);
    in_order(handles, by_expiry, |record| record.expires_at).await;
}

/// Keys come by the age of their current secret, oldest first, and by id among those of one moment.
pub async fn list_orders_by_age_of_the_secret(handles: &Handles) {
    let by_secret = ListKeys::new().with_order(ListOrder::OldestSecret);
    in_order(handles, by_secret, |record| Some(record.current.created_at)).await;
}

async fn in_order(
    handles: &Handles,
    query: ListKeys,
    moment: impl Fn(&KeyRecord) -> Option<Timestamp>,
) {
    let store = handles.store();
    let mut records = populate(store, false).await;
    // The earliest of all, one of the middle and of one moment with another, and the last.
    for (number, at) in [
        (100, Timestamp::MIN),
        (101, hours(12)),
        (102, Timestamp::MAX),
    ] {
        let mut record = plain(number, "acme");
        record.expires_at = Some(at);
        record.current.created_at = at;
        insert(store, &record).await;
        records.push(record);
    }
    for query in [
        query.clone(),
        query.clone().with_owner(read("acme")),
        query.clone().with_tenant(read("t1")),
        query.with_status(KeyStatus::Active, hours(6)),
    ] {
        let fits = |record: &&KeyRecord| moment(record).is_some() && query.matches(record);
        let mut wanted: Vec<&KeyRecord> = records.iter().filter(fits).collect();
        wanted.sort_unstable_by_key(|record| (moment(record), record.id));
        let wanted: Vec<KeyId> = wanted.iter().map(|record| record.id).collect();
        assert!(wanted.len() > 2, "{query:?} tells nothing apart");
        assert_eq!(paged(store, query.with_limit(2)).await, wanted);
    }
}

/// All pages of a query, one after the other.
async fn paged(store: &dyn KeyStore, mut query: ListKeys) -> Vec<KeyId> {
    let mut met = Vec::new();
    loop {
        let page = store.list(&query).await.expect("a list succeeds");
        met.extend(page.records.iter().map(|record| record.id));
        match page.next {
            Some(next) if met.len() < 1000 => query = query.with_after(next),
            Some(_) => panic!("the list does not end"),
            None => return met,
        }
    }
}

/// Of several filters all must hold.
pub async fn list_combines_filters(handles: &Handles) {
    let store = handles.store();
    let records = populate(store, false).await;
    let base = || ListKeys::new().with_owner(read("acme"));
    let active = || base().with_status(KeyStatus::Active, NOW.saturating_sub(DAY));
    for query in [
        base().with_tenant(read("t1")),
        base()
            .with_environment(Environment::test())
            .with_tenant(read("t1")),
        ListKeys::new()
            .with_tenant(read("t1"))
            .with_expires_before(hours(10)),
        active()
            .with_role(read("broker"))
            .with_created_before(hours(5)),
        active()
            .with_rotated_before(hours(12))
            .with_expires_before(hours(20)),
    ] {
        expect(store, &records, query).await;
    }
}

/// A page holds as many records as asked for, at least one, and says whether and where the list goes on.
pub async fn pages_are_of_the_size_asked_for(handles: &Handles) {
    let store = handles.store();
    let records = populate(store, false).await;
    for (limit, size, more) in [
        (0, 1, true),
        (1, 1, true),
        (23, 23, true),
        (24, 24, false),
        (25, 24, false),
    ] {
        let page = store.list(&ListKeys::new().with_limit(limit)).await;
        let page = page.expect("a list succeeds");
        assert_eq!(
            (page.records.len(), page.next.is_some()),
            (size, more),
            "limit {limit}"
        );
    }
    let end = records.iter().map(Cursor::of).min();
    let after = ListKeys::new().with_after(end.expect("there are records"));
    let page = store.list(&after).await.expect("a list succeeds");
    assert!(page.records.is_empty() && page.next.is_none());
}

/// Paging through a list meets every record that was there at the start exactly once, whatever is inserted meanwhile.
pub async fn pages_are_complete_while_keys_are_inserted(handles: &Handles) {
    let store = handles.store();
    let records = populate(store, false).await;
    let mut met: Vec<KeyId> = Vec::new();
    let mut query = ListKeys::new().with_limit(5);
    for number in 100.. {
        let page = store.list(&query).await.expect("a list succeeds");
        met.extend(page.records.iter().map(|record| record.id));
        // One newer than all, one older than all, one among those of the moment where the next page begins.
        for (offset, created_at) in [(0, hours(999)), (1, NOW.saturating_sub(DAY)), (2, hours(4))] {
            let mut late = plain(number * 10 + offset, "late");
            late.created_at = created_at;
            insert(handles.other(), &late).await;
        }
        match page.next {
            Some(next) if number < 200 => query = query.with_after(next),
            Some(_) => panic!("the list does not end"),
            None => break,
        }
    }
    let distinct: HashSet<KeyId> = met.iter().copied().collect();
    assert_eq!(distinct.len(), met.len(), "a record came twice");
    assert!(
        records.iter().all(|record| distinct.contains(&record.id)),
        "a record was missed"
    );
    assert!(
        !distinct.contains(&id(1000)),
        "a record newer than the first page came late"
    );
}

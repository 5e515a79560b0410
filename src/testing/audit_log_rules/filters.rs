//! Rules of filters.

use super::{LogProbe, START, event, page, walk, write, write_plain};
use crate::audit::{ActorRef, AuditEvent, AuditKind, AuditPage, AuditQuery, EventId, Outcome};
use crate::time::Timestamp;

/// Events that differ in everything a query asks for.
pub(super) fn varied() -> Vec<AuditEvent> {
    let kinds = [
        AuditKind::KeyCreated,
        AuditKind::KeyRevoked,
        AuditKind::LimitHit,
    ];
    let (keys, owners) = (["a1", "b2", "c3"], ["acme", "evil"]);
    let (tenants, actors) = (["north", "south", "west"], ["ana", "bob"]);
    let any = |n: u64, of: usize| usize::try_from(n).unwrap_or_default() % of;
    let one = |n: u64| {
        let seconds = i64::try_from(n % 17).unwrap_or_default();
        let time = Timestamp::from_secs(START.as_secs() + seconds);
        let kind = kinds
            .get(any(n, 3))
            .copied()
            .unwrap_or(AuditKind::AuditRead);
        let mut event = AuditEvent::new(kind, time)
            .with_sequence(n)
            .with_id(EventId::new(time, &[any(n, 251).to_le_bytes()[0]; 10]));
        if n.is_multiple_of(5) {
            event = event.with_failure("refused");
        }
        if let Some(key) = keys.get(any(n, 4)) {
            event = event.with_key_id(*key);
        }
        if let Some(owner) = owners.get(any(n / 2, 3)) {
            event = event.with_owner(*owner);
        }
        if let Some(tenant) = tenants.get(any(n / 3, 5)) {
            event = event.with_tenant(*tenant);
        } else if n.is_multiple_of(2) {
            event = event.with_detail("tenant_binding", "platform");
        }
        if let Some(actor) = actors.get(any(n, 3)) {
            event = event.with_actor(ActorRef::user(actor));
        }
        event
    };
    (1..=120).map(one).collect()
}

/// Questions that use each filter alone and with others.
fn questions() -> Vec<AuditQuery> {
    let at = |seconds| Timestamp::from_secs(START.as_secs() + seconds);
    let all = AuditQuery::new;
    vec![
        all(),
        all().with_key_id("a1"),
        all().with_key_id("nobody"),
        all().with_owner("acme"),
        all().with_tenant("north"),
        all().without_tenant(),
        all().with_actor(ActorRef::user("ana")),
        all().with_kinds([AuditKind::LimitHit]),
        all().with_kinds([AuditKind::KeyRevoked, AuditKind::KeyCreated]),
        all().with_outcome(Outcome::Failure),
        all().with_outcome(Outcome::Success),
        all().with_from(at(5)),
        all().with_until(at(5)),
        all().with_from(at(3)).with_until(at(9)),
        all().with_from(at(9)).with_until(at(3)),
        all().with_key_id("a1").with_from(at(4)),
        all().with_owner("acme").with_tenant("south"),
        all().with_owner("acme").without_tenant(),
        all().with_owner("evil").with_until(at(12)),
        all().with_tenant("north").with_outcome(Outcome::Failure),
        all().with_tenant("west").with_from(at(2)).with_until(at(8)),
        all().without_tenant().with_from(at(2)),
        all()
            .with_key_id("b2")
            .with_owner("acme")
            .with_tenant("north"),
        all()
            .with_kinds([AuditKind::KeyCreated])
            .with_actor(ActorRef::user("bob"))
            .with_until(at(15)),
    ]
}

/// Each filter, and several together, leave exactly the events that [`AuditQuery::matches`] says.
pub async fn filters_as_the_query_means_it(probe: &dyn LogProbe) {
    let written = varied();
    write(probe, &written).await;
    for query in questions() {
        let fitting = written.iter().filter(|event| query.matches(event));
        let expected: Vec<_> = fitting.filter_map(AuditEvent::sequence).collect();
        let found = walk(probe, query.clone().with_page_size(1000)).await;
        assert_eq!(found, expected, "{query:?}");
    }
}

/// Pages of a filtered trail go on from each other like those of all of it.
pub async fn pages_through_what_a_filter_leaves(probe: &dyn LogProbe) {
    let written = varied();
    write(probe, &written).await;
    for query in questions() {
        let fitting = written.iter().filter(|event| query.matches(event));
        let expected: Vec<_> = fitting.filter_map(AuditEvent::sequence).collect();
        let found = walk(probe, query.clone().with_page_size(3)).await;
        assert_eq!(found, expected, "{query:?}");
    }
}

/// A span holds its first moment and not its last, to the microsecond.
pub async fn takes_the_first_moment_and_not_the_last(probe: &dyn LogProbe) {
    let at = |number: u64| Timestamp::from_micros(i64::try_from(number).unwrap_or_default());
    let events: Vec<_> = (1..=4)
        .map(|n| AuditEvent::new(AuditKind::KeyCreated, at(n)).with_sequence(n))
        .collect();
    write(probe, &events).await;
    let query = AuditQuery::new().with_from(at(2)).with_until(at(4));
    assert_eq!(walk(probe, query).await, [2, 3]);
    let nothing = AuditQuery::new().with_from(at(2)).with_until(at(2));
    assert!(walk(probe, nothing).await.is_empty());
}

/// The ends of time can be stored and asked for.
pub async fn takes_moments_at_the_ends_of_time(probe: &dyn LogProbe) {
    let times = [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX];
    let events: Vec<_> = times
        .iter()
        .zip(1..)
        .map(|(time, n)| AuditEvent::new(AuditKind::KeyCreated, *time).with_sequence(n))
        .collect();
    write(probe, &events).await;
    let all = AuditQuery::new;
    assert_eq!(
        walk(probe, all().with_from(Timestamp::MIN)).await,
        [1, 2, 3]
    );
    assert_eq!(walk(probe, all().with_from(Timestamp::MAX)).await, [3]);
    assert_eq!(walk(probe, all().with_until(Timestamp::MAX)).await, [1, 2]);
    assert!(
        walk(probe, all().with_until(Timestamp::MIN))
            .await
            .is_empty()
    );
}

/// A list of no kinds leaves nothing.
pub async fn reads_nothing_of_no_kind(probe: &dyn LogProbe) {
    write_plain(probe, 2).await;
    let query = AuditQuery::new().with_kinds([]);
    assert_eq!(page(probe, &query).await, AuditPage::default());
}

/// Events without a tenant are those that have none and are not of the platform, whatever their texts pretend.
pub async fn keeps_to_events_without_a_tenant(probe: &dyn LogProbe) {
    let pretended = r#"{"tenant_binding":"platform"}"#;
    let events = [
        event(1),
        event(2).with_tenant("north"),
        event(3).with_detail("tenant_binding", "platform"),
        event(4).with_user_agent(pretended),
        event(5).with_detail("why", pretended),
        event(6).with_detail("tenant_binding", "none"),
        event(7).with_tenant(""),
        event(8).with_owner("\"tenant_binding\":\"platform\""),
        event(9).with_reason("tenant_binding"),
        event(10).with_detail("tenant_binding", "platform x"),
    ];
    write(probe, &events).await;
    let unbound = walk(probe, AuditQuery::new().without_tenant()).await;
    assert_eq!(unbound, [1, 4, 5, 6, 8, 9, 10]);
}

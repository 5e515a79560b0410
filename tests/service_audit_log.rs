//! Reading, exporting and purging the audit trail through a service: who sees what, and the trace that it leaves.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::time::Duration;

use keyward::BoxError;
use keyward::access::{Grant, TenantBinding};
use keyward::alert::Alerts;
use keyward::async_trait;
use keyward::audit::{
    ActorRef, AuditError, AuditEvent, AuditExporter, AuditKind, AuditLog, AuditObserver, AuditPage,
    AuditPurge, AuditQuery, AuditRetention, Detail, LoggedEvent, MemorySink, Outcome, PurgeError,
    RemovedPart,
};
use keyward::service::{Actor, KeyService, LeakedTokens, LifecycleError};
use keyward::store::MemoryStore;
use keyward::time::{Clock, Timestamp};

mod common;

use common::{Rig, admin, request_with, rig, tenant};

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

/// A key that manages keys, acting.
async fn manager(rig: &Rig, binding: TenantBinding) -> Actor {
    let role = match binding {
        TenantBinding::Platform => role("root"),
        TenantBinding::None | TenantBinding::Tenant(_) => role("keys"),
    };
    let key = rig.issue_as(request_with(role).with_tenant(binding)).await;
    rig.acting(&key).await
}

fn all() -> AuditQuery {
    AuditQuery::new().with_page_size(1000)
}

async fn read(rig: &Rig, actor: &Actor, query: AuditQuery) -> Vec<AuditEvent> {
    rig.service.recorder().flush().await.unwrap();
    let page = rig.service.read_audit(actor, query).await.unwrap();
    assert_eq!(page.next, None);
    page.events.into_iter().map(|found| found.event).collect()
}

/// Reads in pages of two, up to now.
async fn walk(rig: &Rig, actor: &Actor, query: AuditQuery) -> Vec<AuditEvent> {
    rig.service.recorder().flush().await.unwrap();
    rig.clock.advance(Duration::from_secs(1));
    let until = rig.clock.now();
    let (mut query, mut found) = (query.with_page_size(2).with_until(until), Vec::new());
    loop {
        let page = rig.service.read_audit(actor, query.clone()).await.unwrap();
        if let Some(next) = page.next {
            let seen = page.events.last().unwrap().cursor;
            assert_eq!(next, seen, "leads to an event that the actor does not see");
        }
        found.extend(page.events.into_iter().map(|logged| logged.event));
        let Some(next) = page.next else { return found };
        query = query.with_after(next);
    }
}

/// Some of everybody's events: created, verified, revoked.
async fn everybody(rig: &Rig) -> [Actor; 4] {
    let [north, south] = [tenant("north"), tenant("south")];
    let bindings = [north, south, TenantBinding::None, TenantBinding::Platform];
    let mut actors = Vec::new();
    for binding in bindings {
        actors.push(manager(rig, binding.clone()).await);
        for _ in 0..3 {
            let wanted = request_with(role("small")).with_tenant(binding.clone());
            if binding != TenantBinding::Platform {
                let key = rig.issue_as(wanted).await;
                rig.verify(key.key().expose()).await.unwrap();
                rig.revoke(&key).await;
            }
        }
    }
    actors.try_into().unwrap()
}

fn is_platforms(event: &AuditEvent) -> bool {
    event.detail("tenant_binding").is_some()
}

#[tokio::test]
async fn a_tenants_key_sees_its_tenants_events_only() {
    let rig = rig();
    let [north, ..] = everybody(&rig).await;
    let seen = walk(&rig, &north, all()).await;
    assert!(seen.len() >= 3 * 3, "{}", seen.len());
    assert!(seen.iter().all(|event| event.tenant() == Some("north")));
    let everything = rig.events().await;
    let of_north = everything.iter().filter(|it| it.tenant() == Some("north"));
    let before = of_north.filter(|event| event.kind() != AuditKind::AuditRead);
    assert_eq!(seen.len(), before.count());
}

#[tokio::test]
async fn a_tenants_key_that_asks_for_another_tenant_gets_nothing() {
    let rig = rig();
    let [north, ..] = everybody(&rig).await;
    assert!(
        !read(&rig, &north, all().with_tenant("north"))
            .await
            .is_empty()
    );
    assert!(
        read(&rig, &north, all().with_tenant("south"))
            .await
            .is_empty()
    );
    assert!(read(&rig, &north, all().without_tenant()).await.is_empty());
}

#[tokio::test]
async fn a_key_without_a_tenant_sees_events_of_no_tenant_and_none_of_the_platform() {
    let rig = rig();
    let [_, _, unbound, platform] = everybody(&rig).await;
    read(&rig, &platform, all().with_owner("acme")).await;
    read(&rig, &admin(), all().with_tenant("north")).await;
    let seen = walk(&rig, &unbound, all()).await;
    assert!(seen.len() >= 3 * 3);
    assert!(seen.iter().all(|event| event.tenant().is_none()));
    assert!(!seen.iter().any(is_platforms));
    assert!(
        read(&rig, &unbound, all().with_tenant("north"))
            .await
            .is_empty()
    );
}

/// Who reads how many events of that kind: north, south, the unbound and the platform's key.
async fn seen(rig: &Rig, actors: &[Actor; 4], kind: AuditKind) -> [usize; 4] {
    let mut seen = [0; 4];
    for (seen, actor) in seen.iter_mut().zip(actors) {
        *seen = read(rig, actor, all().with_kinds([kind])).await.len();
    }
    seen
}

#[tokio::test]
async fn an_alert_is_seen_by_those_who_see_what_it_is_about() {
    let rig = rig();
    let actors = everybody(&rig).await;
    let alerts = Alerts::builder().standard_rules().start().unwrap();
    let mut raised = Vec::new();
    for event in rig.events().await {
        alerts.observe(&event, &mut raised);
    }
    let kinds: Vec<_> = raised.iter().filter_map(AuditEvent::reason).collect();
    let admins = kinds.iter().filter(|kind| **kind == "admin_key_created");
    assert_eq!((admins.count(), kinds.len()), (4, 5), "{kinds:?}");
    assert!(kinds.contains(&"burst_of_keys"));
    for alert in raised {
        rig.service.recorder().record(alert).await.unwrap();
    }
    assert_eq!(
        seen(&rig, &actors, AuditKind::AlertRaised).await,
        [1, 1, 1, 5]
    );
}

async fn report_nonsense(rig: &Rig, actor: &Actor) {
    let tokens = LeakedTokens::new(["nonsense"]).unwrap();
    let findings = rig.service.report_leaked(actor, tokens).await.unwrap();
    assert!(findings.unaudited.is_empty());
}

#[tokio::test]
async fn the_sum_of_a_leak_report_is_seen_by_those_who_see_what_its_actor_sees() {
    let rig = rig();
    let actors = everybody(&rig).await;
    for actor in &actors {
        report_nonsense(&rig, actor).await;
    }
    report_nonsense(&rig, &admin()).await;
    report_nonsense(&rig, &Actor::system("scanner").unwrap()).await;
    assert_eq!(
        seen(&rig, &actors, AuditKind::KeyExposed).await,
        [1, 1, 1, 6]
    );
}

#[tokio::test]
async fn the_leak_report_of_a_platform_key_that_reaches_nothing_is_the_platforms() {
    let rig = rig();
    let actors = everybody(&rig).await;
    let other = narrowed(&rig);
    let wanted = request_with(role("root")).with_tenant(TenantBinding::Platform);
    let key = rig.issue_as(wanted).await;
    report_nonsense(&other, &other.acting(&key).await).await;
    let [event] = <[AuditEvent; 1]>::try_from(
        other
            .events()
            .await
            .into_iter()
            .filter(|event| event.kind() == AuditKind::KeyExposed)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(is_platforms(&event));
    rig.service.recorder().record(event).await.unwrap();
    assert_eq!(
        seen(&rig, &actors, AuditKind::KeyExposed).await,
        [0, 0, 0, 1]
    );
}

#[tokio::test]
async fn a_platform_key_and_the_application_see_everything() {
    let rig = rig();
    let [.., platform] = everybody(&rig).await;
    for actor in [platform, admin()] {
        let expected = rig.events().await;
        assert_eq!(read(&rig, &actor, all()).await, expected);
        let south = read(&rig, &actor, all().with_tenant("south")).await;
        assert!(!south.is_empty());
    }
}

/// Another process, whose policy has a platform role that reaches no tenants.
fn narrowed(rig: &Rig) -> Rig {
    let narrowed = keyward::access::AccessPolicy::builder()
        .roles([keyward::access::Role::new("root", ["manage_keys"]).unwrap()])
        .build()
        .unwrap();
    let trail = rig.trail.clone();
    rig.another(|builder| builder.policy(narrowed).audit_log(trail))
}

#[tokio::test]
async fn a_platform_key_whose_role_reaches_no_other_tenants_sees_nothing() {
    let rig = rig();
    everybody(&rig).await;
    let wanted = request_with(role("root")).with_tenant(TenantBinding::Platform);
    let key = rig.issue_as(wanted).await;
    let other = narrowed(&rig);
    let actor = other.acting(&key).await;
    assert!(read(&other, &actor, all()).await.is_empty());
}

#[tokio::test]
async fn a_key_that_may_not_manage_keys_reads_nothing_and_leaves_a_refusal() {
    let rig = rig();
    let key = rig.issue_as(request_with(role("small"))).await;
    let actor = rig.acting(&key).await;
    let error = rig.service.read_audit(&actor, all()).await.unwrap_err();
    assert!(
        matches!(error, LifecycleError::NotPermitted { .. }),
        "{error:?}"
    );
    assert!(rig.events_of(AuditKind::AuditRead).await.is_empty());
    let refused = rig.events_of(AuditKind::PermissionRefused).await;
    assert_eq!(
        refused,
        [(Outcome::Failure, Some("not_permitted".to_owned()))]
    );
}

#[tokio::test]
async fn a_key_revoked_since_it_was_verified_reads_nothing() {
    let rig = rig();
    let key = rig.issue_as(request_with(role("keys"))).await;
    let actor = rig.acting(&key).await;
    rig.revoke(&key).await;
    let error = rig.service.read_audit(&actor, all()).await.unwrap_err();
    assert!(matches!(error, LifecycleError::ActorEnded), "{error:?}");
}

#[tokio::test]
async fn each_reading_is_written_down_with_what_was_asked_for() {
    let rig = rig();
    let ana = ActorRef::user("ana");
    let query = AuditQuery::new()
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_tenant("north")
        .with_actor(ana.clone())
        .with_kinds([AuditKind::KeyRevoked, AuditKind::KeyCreated])
        .with_outcome(Outcome::Success)
        .with_from(Timestamp::EPOCH)
        .with_until(Timestamp::from_secs(60));
    rig.service.read_audit(&admin(), query).await.unwrap();
    let events = rig.events().await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(event.kind(), AuditKind::AuditRead);
    assert_eq!(event.actor(), Some(&ana));
    let details: Vec<_> = event
        .details()
        .map(|(name, it)| (name, it.clone()))
        .collect();
    let text = |text: &str| Detail::from(text);
    assert_eq!(
        details,
        [
            ("events", Detail::Number(0)),
            ("filter_actor", text("user:ana")),
            ("filter_from", text("1970-01-01T00:00:00.000000Z")),
            ("filter_key_id", text("a1B2c3D4e5F6")),
            ("filter_kinds", text("key_created key_revoked")),
            ("filter_outcome", text("success")),
            ("filter_owner", text("acme")),
            ("filter_tenant", text("north")),
            ("filter_until", text("1970-01-01T00:01:00.000000Z")),
            ("tenant_binding", text("platform")),
        ]
    );
}

#[tokio::test]
async fn a_tenant_sees_who_of_its_own_read_the_trail() {
    let rig = rig();
    let [north, ..] = everybody(&rig).await;
    read(&rig, &north, all()).await;
    read(&rig, &admin(), all().with_tenant("north")).await;
    let seen = read(&rig, &north, all().with_kinds([AuditKind::AuditRead])).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].actor().unwrap().kind(), "key");
    assert!(seen[0].detail("actor_generation").is_some());
}

#[tokio::test]
async fn there_is_no_page_when_the_reading_cannot_be_written_down() {
    let rig = rig();
    everybody(&rig).await;
    rig.service.recorder().flush().await.unwrap();
    rig.sink.fail_next(u32::MAX);
    let error = rig.service.read_audit(&admin(), all()).await.unwrap_err();
    assert!(matches!(error, LifecycleError::Audit(_)), "{error:?}");
}

#[tokio::test]
async fn a_service_without_a_log_says_so() {
    let builder = KeyService::builder(MemoryStore::new()).audit(MemorySink::unbounded());
    let service = builder.build().unwrap();
    let error = service.read_audit(&admin(), all()).await.unwrap_err();
    assert!(matches!(error, LifecycleError::NoAuditLog), "{error:?}");
}

#[tokio::test]
async fn a_service_without_a_sink_reads_what_it_keeps_in_memory() {
    let service = KeyService::builder(MemoryStore::new()).build().unwrap();
    service.read_audit(&admin(), all()).await.unwrap();
    let page = service.read_audit(&admin(), all()).await.unwrap();
    assert_eq!(page.events.len(), 1);
}

/// A log that knows nothing of tenants.
#[derive(Debug)]
struct Careless(MemorySink);

#[async_trait]
impl AuditLog for Careless {
    async fn page(&self, _: &AuditQuery) -> Result<AuditPage, AuditError> {
        self.0.page(&AuditQuery::new()).await
    }
}

#[tokio::test]
async fn a_log_that_shows_other_tenants_events_is_not_believed() {
    let rig = rig();
    let [north, ..] = everybody(&rig).await;
    rig.events().await;
    let trail = rig.trail.clone();
    let careless = rig.another(|builder| builder.audit_log(Careless(trail)));
    let error = careless
        .service
        .read_audit(&north, all())
        .await
        .unwrap_err();
    assert!(matches!(error, LifecycleError::AuditLog(_)), "{error:?}");
    assert!(careless.service.read_audit(&admin(), all()).await.is_ok());
}

/// Takes so many batches, then fails.
struct Archive {
    batches: usize,
    taken: Vec<AuditEvent>,
}

#[async_trait]
impl AuditExporter for Archive {
    async fn export(&mut self, events: &[AuditEvent]) -> Result<(), BoxError> {
        self.batches = self.batches.checked_sub(1).ok_or("full")?;
        self.taken.extend_from_slice(events);
        Ok(())
    }
}

fn archive(batches: usize) -> Archive {
    let taken = Vec::new();
    Archive { batches, taken }
}

async fn export(
    rig: &Rig,
    actor: &Actor,
    query: AuditQuery,
    archive: &mut Archive,
) -> Result<u64, LifecycleError> {
    let exporting = rig.service.export_audit(actor, query, "csv", archive);
    exporting.await
}

fn number(event: &AuditEvent, name: &str) -> i64 {
    match event.detail(name) {
        Some(Detail::Number(number)) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn an_export_hands_over_all_pages_in_order_and_writes_down_how_many() {
    let rig = rig();
    everybody(&rig).await;
    let expected = rig.events().await;
    let mut archive = archive(usize::MAX);
    let query = AuditQuery::new()
        .with_page_size(4)
        .with_until(Timestamp::MAX);
    let exported = export(&rig, &admin(), query, &mut archive).await.unwrap();
    let (read, before) = archive.taken.split_last().unwrap();
    assert_eq!(before, expected);
    assert_eq!(usize::try_from(exported).unwrap(), archive.taken.len());
    assert_eq!(read.kind(), AuditKind::AuditRead);
    assert_eq!(read.detail("format"), Some(&Detail::from("csv")));
    let after = rig.events().await;
    let result = after.last().unwrap();
    assert_eq!(result.kind(), AuditKind::AuditExported);
    assert_eq!(result.outcome(), Outcome::Success);
    assert_eq!(number(result, "events"), i64::try_from(exported).unwrap());
    assert_eq!(result.detail("format"), Some(&Detail::from("csv")));
}

#[tokio::test]
async fn a_tenants_key_exports_its_tenants_events_only() {
    let rig = rig();
    let [north, ..] = everybody(&rig).await;
    rig.events().await;
    let mut own = archive(usize::MAX);
    let query = AuditQuery::new().with_page_size(2);
    assert!(export(&rig, &north, query, &mut own).await.unwrap() >= 9);
    assert!(
        own.taken
            .iter()
            .all(|event| event.tenant() == Some("north"))
    );
    let mut other = archive(0);
    let query = all().with_tenant("south");
    assert_eq!(export(&rig, &north, query, &mut other).await.unwrap(), 0);
}

#[tokio::test]
async fn an_export_that_breaks_off_leaves_the_count_so_far() {
    let rig = rig();
    everybody(&rig).await;
    rig.events().await;
    let mut archive = archive(2);
    let query = AuditQuery::new().with_page_size(3);
    let error = export(&rig, &admin(), query, &mut archive)
        .await
        .unwrap_err();
    assert!(matches!(error, LifecycleError::AuditExport(_)), "{error:?}");
    let events = rig.events().await;
    let result = events.last().unwrap();
    assert_eq!(result.kind(), AuditKind::AuditExported);
    assert_eq!(result.reason(), Some("export_failed"));
    assert_eq!(number(result, "events"), 6);
}

#[tokio::test]
async fn nothing_is_exported_that_could_not_be_announced() {
    let rig = rig();
    everybody(&rig).await;
    rig.events().await;
    rig.sink.fail_next(u32::MAX);
    let mut archive = archive(usize::MAX);
    let error = export(&rig, &admin(), all(), &mut archive)
        .await
        .unwrap_err();
    assert!(matches!(error, LifecycleError::Audit(_)), "{error:?}");
    assert!(archive.taken.is_empty());
}

#[tokio::test]
async fn only_who_answers_for_the_whole_trail_purges_it() {
    let rig = rig();
    let [north, south, unbound, platform] = everybody(&rig).await;
    rig.clock.advance(Duration::from_secs(1));
    let before = rig.events().await.len();
    let purge = || AuditPurge::new().older_than(Duration::ZERO);
    for actor in [north, south, unbound] {
        let error = rig.service.purge_audit(&actor, &rig.trail, purge()).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, LifecycleError::ExceedsActor { .. }),
            "{error:?}"
        );
    }
    assert_eq!(rig.events().await.len(), before + 3); // refusals
    let report = rig
        .service
        .purge_audit(&platform, &rig.trail, purge())
        .await;
    assert_eq!(
        report.unwrap().removed.events,
        u64::try_from(before).unwrap()
    );
    let left = rig.events().await;
    let purged = left.iter().filter(|it| it.kind() == AuditKind::AuditPurged);
    for event in purged.clone() {
        assert_eq!(event.actor().unwrap().kind(), "key");
        assert!(is_platforms(event));
    }
    assert_eq!(purged.count(), 2);
}

#[tokio::test]
async fn nothing_is_purged_that_could_not_be_announced() {
    let rig = rig();
    everybody(&rig).await;
    let before = rig.events().await;
    rig.clock.advance(Duration::from_secs(1));
    rig.sink.fail_next(u32::MAX);
    let purge = AuditPurge::new().older_than(Duration::ZERO);
    let error = rig.service.purge_audit(&admin(), &rig.trail, purge).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, LifecycleError::AuditPurge(PurgeError::Announce(_))),
        "{error:?}"
    );
    assert_eq!(rig.trail.events(), before);
}

/// A trail that never comes to an end.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl AuditRetention for Endless {
    async fn is_due(&self, _: Timestamp) -> Result<bool, AuditError> {
        Ok(true)
    }

    async fn remove_part(
        &self,
        _: Timestamp,
        _: usize,
        _: Option<&mut (dyn AuditExporter + '_)>,
    ) -> Result<Option<RemovedPart>, PurgeError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_ends_in_the_middle_has_announced_itself() {
    let rig = rig();
    let nightly = Actor::system("nightly").unwrap();
    let purge = rig
        .service
        .purge_audit(&nightly, &Endless, AuditPurge::new());
    let given_up = tokio::time::timeout(Duration::from_secs(1), purge).await;
    assert!(given_up.is_err());
    let events = rig.events().await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(event.kind(), AuditKind::AuditPurged);
    assert_eq!(event.detail("phase"), Some(&Detail::from("announced")));
    let before = rig
        .clock
        .now()
        .saturating_sub(keyward::audit::DEFAULT_RETENTION);
    let before = Detail::from(before.to_string());
    assert_eq!(event.detail("before"), Some(&before));
}

/// The constructor is for logs of one's own.
#[test]
fn a_page_of_ones_own_tells_whether_there_is_more() {
    let event = AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH);
    let events: Vec<_> = (1..=3)
        .map(|n| LoggedEvent::new(n, event.clone()))
        .collect();
    let page = AuditPage::cut(events.clone(), 2);
    assert_eq!((page.events.len(), page.next), (2, Some(events[1].cursor)));
    assert_eq!(AuditPage::cut(events, 3).next, None);
}

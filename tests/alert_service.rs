//! What the service writes for the rules, and what they make of it.
#![cfg(feature = "testing")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;
mod common;

use std::time::Duration;

use alert_support::{DAY, HOUR, number, text};
use common::{Rig, admin, request, request_with, rig, scopes, wrong_secret};
use keyward::access::Grant;
use keyward::alert::Alerts;
use keyward::audit::{AuditEvent, AuditKind, AuditObserver};
use keyward::service::{Actor, IssuedKey, Rejection, RequestContext, Rotation, UpdateKey};

const SECOND: Duration = Duration::from_secs(1);

/// The kinds of alerts that the standard rules raise over the rig's trail.
async fn raised(rig: &Rig) -> Vec<String> {
    let alerts = Alerts::builder().standard_rules().start().unwrap();
    let mut raised = Vec::new();
    for event in rig.events().await {
        alerts.observe(&event, &mut raised);
    }
    let kinds = raised.iter().filter_map(AuditEvent::reason);
    kinds.map(str::to_owned).collect()
}

async fn details_of(rig: &Rig, kind: AuditKind, detail: &str) -> Vec<Option<String>> {
    let events = rig.events().await;
    let of_kind = events.iter().filter(|event| event.kind() == kind);
    of_kind
        .map(|event| text(event, detail).map(str::to_owned))
        .collect()
}

async fn idle_seconds(rig: &Rig) -> Vec<Option<i64>> {
    let events = rig.events().await;
    let uses = events
        .iter()
        .filter(|event| event.kind() == AuditKind::AuthenticationSucceeded);
    uses.map(|event| number(event, "idle_s")).collect()
}

async fn use_key(rig: &Rig, issued: &IssuedKey) {
    rig.verify(issued.key().expose()).await.unwrap();
    rig.service.flush_usage().await.unwrap();
}

#[tokio::test]
async fn a_use_after_a_day_or_more_says_how_long_the_key_was_idle() {
    let rig = rig();
    let issued = rig.issue().await;
    for wait in [DAY - SECOND, DAY - SECOND, DAY, HOUR, DAY * 100] {
        rig.clock.advance(wait);
        use_key(&rig, &issued).await;
    }
    let days = |days: i64| Some(days * 24 * 60 * 60);
    assert_eq!(
        idle_seconds(&rig).await,
        [None, None, days(1), None, days(100)]
    );
    assert_eq!(raised(&rig).await, ["dormant_key_active"]);
}

#[tokio::test]
async fn the_first_use_of_an_old_key_counts_from_its_making() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.clock.advance(DAY * 90);
    use_key(&rig, &issued).await;
    assert_eq!(raised(&rig).await, ["dormant_key_active"]);
}

#[tokio::test]
async fn another_process_knows_when_the_key_was_used_here() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.clock.advance(DAY * 89);
    use_key(&rig, &issued).await;
    rig.clock.advance(DAY * 89);
    let other = rig.another(|it| it);
    use_key(&other, &issued).await;
    assert!(raised(&other).await.is_empty());
    rig.clock.advance(DAY * 91);
    use_key(&rig, &issued).await;
    assert_eq!(raised(&rig).await, ["dormant_key_active"]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_key_dormant() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.clock.set(keyward::time::Timestamp::EPOCH);
    use_key(&rig, &issued).await;
    assert_eq!(idle_seconds(&rig).await, [None]);
}

#[tokio::test]
async fn a_new_key_that_may_manage_keys_says_so_however_it_came_by_it() {
    let rig = rig();
    let grants = [
        (scopes(&["send_email"]), None),
        (scopes(&["manage_keys"]), Some("gained")),
        (Grant::Role("keys".parse().unwrap()), Some("gained")),
        (Grant::Role("small".parse().unwrap()), None),
    ];
    for (grant, _) in &grants {
        drop(rig.issue_as(request_with(grant.clone())).await);
    }
    let expected = grants.map(|(_, detail)| detail.map(str::to_owned));
    assert_eq!(
        details_of(&rig, AuditKind::KeyCreated, "manages_keys").await,
        expected
    );
    assert_eq!(
        raised(&rig).await,
        ["admin_key_created", "admin_key_created"]
    );
}

#[tokio::test]
async fn a_denied_scope_takes_the_permission_away() {
    let rig = rig();
    let denied = vec!["manage_keys".parse().unwrap()];
    let request = request_with(scopes(&["manage_keys", "send_email"])).with_denied(denied);
    drop(rig.issue_as(request).await);
    assert_eq!(
        details_of(&rig, AuditKind::KeyCreated, "manages_keys").await,
        [None]
    );
}

#[tokio::test]
async fn an_update_tells_a_permission_that_was_gained_from_one_that_was_kept() {
    let rig = rig();
    let id = rig.issue().await.record().id;
    let grant = |grant: &str| UpdateKey::new().with_grant(scopes(&[grant]));
    let updates = [
        grant("billing:read"),
        grant("manage_keys"),
        UpdateKey::new().with_name("other".to_owned()),
        grant("send_email"),
    ];
    let operator = Actor::system("operator").unwrap();
    for update in updates {
        let update = update.with_justification(keyward::service::Field::Set(
            "as the test wants it".to_owned(),
        ));
        rig.service.update(&operator, &id, update).await.unwrap();
    }
    let details = details_of(&rig, AuditKind::KeyUpdated, "manages_keys").await;
    let expected = [None, Some("gained"), Some("kept"), None];
    assert_eq!(details, expected.map(|it| it.map(str::to_owned)));
    assert_eq!(raised(&rig).await, ["admin_key_created"]);
}

#[tokio::test]
async fn the_old_secret_raises_an_alert_after_its_grace_and_not_in_it() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let rotation = Rotation::Grace(HOUR);
    drop(rig.service.rotate(&admin(), &id, rotation).await.unwrap());
    rig.clock.advance(HOUR - SECOND);
    assert!(rig.accepts(issued.key().expose()).await);
    assert!(raised(&rig).await.is_empty());
    rig.clock.advance(SECOND);
    let rejection = rig.rejected(issued.key().expose()).await;
    assert_eq!(rejection, Rejection::Superseded);
    assert_eq!(raised(&rig).await, ["superseded_secret"]);
}

#[tokio::test]
async fn a_flood_of_wrong_and_made_up_keys_raises_nothing() {
    let rig = Rig::new(|builder| builder.dangerous().without_failure_budget());
    let issued = rig.issue().await;
    let wrong = wrong_secret(issued.key().expose(), false);
    for number in 0..50 {
        assert!(!rig.accepts(&wrong).await);
        let made_up = common::known_key(&format!("{number:012}"), &"s".repeat(43));
        assert!(!rig.accepts(&made_up).await);
    }
    assert!(raised(&rig).await.is_empty());
}

#[tokio::test]
async fn three_refusals_for_the_limit_raise_one_alert() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = rig.verify(issued.key().expose()).await.unwrap();
    let refused = async || !rig.service.limit(&key, 1).await.unwrap().is_allowed();
    for _ in 0..60 {
        assert!(!refused().await);
    }
    assert!(refused().await && refused().await);
    assert!(raised(&rig).await.is_empty());
    assert!(refused().await && refused().await);
    assert_eq!(raised(&rig).await, ["repeated_limit_hits"]);
}

#[tokio::test]
async fn no_alert_holds_a_secret() {
    let rig = rig();
    let issued = rig.issue_as(request_with(scopes(&["manage_keys"]))).await;
    let id = issued.record().id;
    rig.clock.advance(DAY * 100);
    let agent = format!("curl {}", "x".repeat(10));
    let context = RequestContext::new().with_user_agent(&agent);
    rig.verify_with(issued.key().expose(), &context)
        .await
        .unwrap();
    let rotated = rig.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    drop(rotated.unwrap());
    rig.rejected(issued.key().expose()).await;

    let alerts = Alerts::builder().standard_rules().start().unwrap();
    let mut raised = Vec::new();
    for event in rig.events().await {
        alerts.observe(&event, &mut raised);
    }
    assert_eq!(raised.len(), 3);
    let secret = &issued.key().expose()["pm_live_".len() + 12..];
    let record = rig.record(&id).await;
    for alert in &raised {
        let line = alert.to_line().unwrap();
        for part in [&secret[..8], &secret[20..28], &secret[35..43]] {
            assert!(!line.contains(part));
        }
        assert!(!line.contains(record.current.digest.as_str()));
    }
    let engine = format!("{alerts:?}");
    assert!(!engine.contains(&secret[..8]));
}

#[tokio::test]
async fn an_ordinary_day_raises_nothing() {
    let rig = rig();
    let issued = rig.issue_as(request()).await;
    for _ in 0..24 {
        rig.clock.advance(HOUR);
        use_key(&rig, &issued).await;
    }
    assert!(raised(&rig).await.is_empty());
}

//! Events by the dozen, and what comes of them.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::time::Duration;

use keyward::alert::{AlertRule, Alerts};
use keyward::audit::{ActorRef, AuditEvent, AuditKind, AuditObserver, Detail};
use keyward::time::Timestamp;

pub const START: Timestamp = Timestamp::from_secs(1_700_000_000);
pub const MICRO: Duration = Duration::from_micros(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(60 * 60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An engine without sinks, which needs no runtime.
pub fn watching(rule: impl AlertRule) -> Alerts {
    Alerts::builder().rule(rule).start().unwrap()
}

/// The `alert_raised` events that come of it.
pub fn shown(alerts: &Alerts, event: &AuditEvent) -> Vec<AuditEvent> {
    let mut raised = Vec::new();
    alerts.observe(event, &mut raised);
    raised
}

/// How many alerts each of them raises.
pub fn counts(alerts: &Alerts, events: impl IntoIterator<Item = AuditEvent>) -> Vec<usize> {
    let shown = |event| shown(alerts, &event).len();
    events.into_iter().map(shown).collect()
}

/// An event of a key that the service knows.
pub fn event(kind: AuditKind, key: &str, after: Duration) -> AuditEvent {
    of_nobody(kind, key, after).with_owner("acme")
}

/// An event of a key that somebody made up.
pub fn of_nobody(kind: AuditKind, key: &str, after: Duration) -> AuditEvent {
    AuditEvent::new(kind, START.saturating_add(after)).with_key_id(key)
}

pub fn request(key: &str, status: u16, after: Duration) -> AuditEvent {
    event(AuditKind::RequestCompleted, key, after).with_status(status)
}

pub fn limit_hit(key: &str, after: Duration) -> AuditEvent {
    event(AuditKind::LimitHit, key, after)
}

pub fn use_of(key: &str, after: Duration) -> AuditEvent {
    event(AuditKind::AuthenticationSucceeded, key, after)
}

/// A new key of the owner, made by the actor.
pub fn creation(key: &str, owner: &str, actor: ActorRef, after: Duration) -> AuditEvent {
    of_nobody(AuditKind::KeyCreated, key, after)
        .with_owner(owner)
        .with_actor(actor)
}

/// Marks an event as one of a platform-wide key.
pub fn of_platform(event: AuditEvent) -> AuditEvent {
    event.with_detail("tenant_binding", "platform")
}

/// Whether keys without a tenant do not see an event without one.
pub fn is_of_platform(event: &AuditEvent) -> bool {
    text(event, "tenant_binding") == Some("platform")
}

pub fn number(event: &AuditEvent, detail: &str) -> Option<i64> {
    match event.detail(detail)? {
        Detail::Number(number) => Some(*number),
        _ => None,
    }
}

pub fn text<'e>(event: &'e AuditEvent, detail: &str) -> Option<&'e str> {
    match event.detail(detail)? {
        Detail::Text(text) => Some(text.as_str()),
        _ => None,
    }
}

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::finding::{Facts, Finding};
use super::readers::Readers;
use super::{AlertKind, Severity, wire};
use crate::audit::{
    ActorRef, AuditError, AuditEvent, AuditKind, Detail, EventId, PLATFORM, Text, write_json,
};
use crate::time::Timestamp;

/// One alert: something in the audit trail that a person should look at.
///
/// It never holds a secret, a part of one or a digest: it is made of the fields of audit events.
///
/// Only [`Alerts`](super::Alerts) makes one. It goes to the sinks, and as an `alert_raised` event into the trail, with the
/// same id. `docs/alerts.md` shows its JSON form.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    id: EventId,
    kind: AlertKind,
    severity: Severity,
    #[serde(serialize_with = "wire::text")]
    time: Timestamp,
    subject: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(skip)]
    is_of_platform: bool,
    count: u64,
    #[serde(
        rename = "window_s",
        skip_serializing_if = "Option::is_none",
        serialize_with = "wire::some_seconds"
    )]
    window: Option<Duration>,
    #[serde(rename = "period_s", serialize_with = "wire::seconds")]
    period: Duration,
    suppressed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "wire::map")]
    details: Vec<(Text, Detail)>,
}

impl Alert {
    pub(super) fn new(finding: Finding, period: Duration, suppressed: u64) -> Self {
        let id = id_of(&finding);
        let Facts {
            time,
            key_id,
            owner,
            readers,
            actor,
            client_ip,
        } = finding.facts;
        Self {
            id,
            kind: finding.kind,
            severity: finding.severity,
            time,
            subject: finding.subject,
            key_id,
            owner,
            tenant: readers.tenant().cloned(),
            actor,
            client_ip,
            is_of_platform: readers == Readers::Platform,
            count: finding.count,
            window: finding.window,
            period,
            suppressed,
            details: finding.details,
        }
    }

    /// Returns its name, the same for every sink and in the trail. It is computed from kind, subject and time, so that an
    /// alert that is raised twice from the same trail has one name.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// Returns what it is.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        self.kind
    }

    /// Returns how urgent it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the time of the event that raised it.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns what it is about: `key:`, `claimed_key:`, `owner:` or `actor:` and a name, or `service`. Before an owner stands
    /// its `tenant:` with a name, or `platform` if the keys are platform-wide.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject.as_str()
    }

    /// Returns the public id of the key it is about, if it is about one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_ref().map(Text::as_str)
    }

    /// Returns the owner that the event named.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(Text::as_str)
    }

    /// Returns the tenant that the event named; none if it is about an actor of several tenants, or about the service.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(Text::as_str)
    }

    /// Returns who did what raised it, as `kind:id`, if the event named somebody.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_ref().map(Text::as_str)
    }

    /// Returns the client's address in the event.
    #[must_use]
    pub const fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// Returns how many events led to it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the span over which they were counted.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Returns for how long from [`Alert::time`] there is no other of this kind and subject.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Returns how often since the last alert of this kind and subject the rule would have raised one.
    #[must_use]
    pub const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Returns the detail of that name.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&Detail> {
        let mut details = self.details.iter();
        details.find_map(|(known, value)| (known.as_str() == name).then_some(value))
    }

    /// Returns the details in the order in which the rule gave them.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Detail)> {
        self.details
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// Returns it as one JSON object on one line, without a line end.
    ///
    /// # Errors
    ///
    /// [`AuditError::Backend`] if it cannot be written as JSON, which no alert of this crate has a reason for.
    pub fn to_json(&self) -> Result<String, AuditError> {
        let backend = |error| AuditError::backend("json", error);
        let mut line = Vec::with_capacity(512);
        write_json(self, &mut line).map_err(backend)?;
        String::from_utf8(line).map_err(|error| AuditError::backend("json", error))
    }

    /// Returns what the trail is to say of it.
    pub(super) fn to_event(&self) -> AuditEvent {
        let mut event = AuditEvent::new(AuditKind::AlertRaised, self.time)
            .with_id(self.id)
            .with_reason(Text::from_static(self.kind.code()))
            .with_actor(ActorRef::system("alerts"))
            .with_detail("severity", Text::from_static(self.severity.code()))
            .with_detail("subject", self.subject.clone())
            .with_detail("count", self.count)
            .with_detail("period_s", self.period.as_secs())
            .with_detail("suppressed", self.suppressed);
        if let Some(window) = self.window {
            event = event.with_detail("window_s", window.as_secs());
        }
        if let Some(key_id) = &self.key_id {
            event = event.with_key_id(key_id.clone());
        }
        if let Some(owner) = &self.owner {
            event = event.with_owner(owner.clone());
        }
        if let Some(tenant) = &self.tenant {
            event = event.with_tenant(tenant.clone());
        }
        if let Some(client) = self.client_ip {
            event = event.with_client_ip(client);
        }
        // SECURITY: or a key without a tenant would read of platform-wide keys and of other tenants here. Before the rule's
        // details, which may take all the room.
        if self.is_of_platform {
            event = event.with_detail(PLATFORM.0, PLATFORM.1);
        }
        let details = self.details.iter().cloned();
        details.fold(event, |event, (name, value)| event.with_detail(name, value))
    }
}

/// A name made of what the alert is, not of chance.
fn id_of(finding: &Finding) -> EventId {
    let mut hash = Sha256::new();
    for part in [finding.kind.code(), finding.subject.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(finding.facts.time.as_micros().to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let random = hash.first_chunk().copied().unwrap_or_default();
    EventId::new(finding.facts.time, &random)
}

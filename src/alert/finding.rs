use std::net::IpAddr;
use std::time::Duration;

use super::readers::Readers;
use super::{AlertKind, Severity};
use crate::audit::{AuditEvent, Detail, Text};
use crate::time::Timestamp;

/// What a rule found in an event: reason for an alert, unless there was one of its kind and subject in the same period.
///
/// ```
/// use keyward::alert::{AlertKind, Finding};
/// use keyward::audit::{AuditEvent, AuditKind};
/// use keyward::time::Timestamp;
///
/// let event = AuditEvent::new(AuditKind::KeyRevoked, Timestamp::EPOCH).with_key_id("a1B2c3D4e5F6");
/// let finding = Finding::of_key(AlertKind::Custom("revoked"), &event);
/// assert!(finding.is_some_and(|it| it.subject() == "key:a1B2c3D4e5F6"));
///
/// let keyless = AuditEvent::new(AuditKind::AuditRead, Timestamp::EPOCH);
/// assert!(Finding::of_key(AlertKind::Custom("revoked"), &keyless).is_none());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Finding {
    pub(super) kind: AlertKind,
    pub(super) severity: Severity,
    pub(super) subject: Text,
    pub(super) facts: Facts,
    pub(super) count: u64,
    pub(super) window: Option<Duration>,
    pub(super) details: Vec<(Text, Detail)>,
}

/// What the event said.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) time: Timestamp,
    pub(super) key_id: Option<Text>,
    pub(super) owner: Option<Text>,
    pub(super) readers: Readers,
    pub(super) actor: Option<Text>,
    pub(super) client_ip: Option<IpAddr>,
}

impl Finding {
    /// Returns a finding about the event's key; `None` if it names none.
    #[must_use]
    pub fn of_key(kind: AlertKind, event: &AuditEvent) -> Option<Self> {
        let subject = format!("key:{}", event.key_id()?);
        Some(Self::new(kind, subject.into(), event))
    }

    /// Something that somebody says of a key and nobody has checked: it must not keep back what is known of the key.
    pub(super) fn of_claimed_key(kind: AlertKind, event: &AuditEvent) -> Option<Self> {
        let subject = format!("claimed_key:{}", event.key_id()?);
        Some(Self::new(kind, subject.into(), event).read_by(Readers::Platform))
    }

    /// Something of which only whoever sees the whole trail reads there.
    pub(super) fn of_platform(self) -> Self {
        self.read_by(Readers::Platform)
    }

    /// Returns a finding about the owner of the event's key; `None` if it names none. Owners of one name in two tenants are
    /// two subjects.
    #[must_use]
    pub fn of_owner(kind: AlertKind, event: &AuditEvent) -> Option<Self> {
        let subject = Readers::of(event).owner_subject(event.owner()?);
        let mut finding = Self::new(kind, subject, event);
        finding.facts.key_id = None;
        Some(finding)
    }

    /// Returns a finding about who did what the event tells of; `None` if it names nobody. As an actor may act in several
    /// tenants, it is of none of them, and only whoever sees the whole trail reads of it there.
    #[must_use]
    pub fn of_actor(kind: AlertKind, event: &AuditEvent) -> Option<Self> {
        let subject = format!("actor:{}", event.actor()?);
        let mut finding = Self::new(kind, subject.into(), event).read_by(Readers::Platform);
        finding.facts.key_id = None;
        Some(finding)
    }

    /// Returns a finding about the service as a whole, for what cannot be pinned on a key or a person. It is of no tenant, and
    /// only whoever sees the whole trail reads of it there.
    pub fn of_service(kind: AlertKind, event: &AuditEvent) -> Self {
        let subject = Text::from_static("service");
        let mut finding = Self::new(kind, subject, event).read_by(Readers::Platform);
        finding.facts.key_id = None;
        finding
    }

    fn new(kind: AlertKind, subject: Text, event: &AuditEvent) -> Self {
        Self {
            kind,
            severity: kind.severity(),
            subject,
            facts: Facts::of(event),
            count: 1,
            window: None,
            details: Vec::new(),
        }
    }

    /// Sets who reads of it in the trail; whoever may read the event otherwise.
    pub(super) fn read_by(mut self, readers: Readers) -> Self {
        self.facts.readers = readers;
        self
    }

    /// Sets how many events led to it; one otherwise.
    pub const fn with_count(mut self, events: u64) -> Self {
        self.count = events;
        self
    }

    /// Sets the span over which the events were counted; none otherwise.
    pub const fn with_window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Sets how urgent it is; what is usual for its kind otherwise.
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a detail. Nine of them have room in the trail, with names of 64 bytes and texts of 256.
    ///
    /// # Security
    ///
    /// As in an [`AuditEvent`]: no secret, no part of one, no digest.
    pub fn with_detail(mut self, name: impl Into<Text>, value: impl Into<Detail>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }

    /// Returns what it is.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        self.kind
    }

    /// Returns what it is about: `key:`, `owner:` or `actor:` and a name, or `service`. Before an owner stands its
    /// `tenant:` with a name, or `platform` if the keys are platform-wide.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject.as_str()
    }

    /// Returns how many events led to it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl Facts {
    fn of(event: &AuditEvent) -> Self {
        Self {
            time: event.time(),
            key_id: event.key_id_text().cloned(),
            owner: event.owner_text().cloned(),
            readers: Readers::of(event),
            actor: event.actor().map(|actor| Text::from(actor.as_str())),
            client_ip: event.client_ip(),
        }
    }
}

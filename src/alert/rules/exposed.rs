use std::num::NonZeroUsize;

use crate::alert::book::Book;
use crate::alert::{AlertKind, AlertRule, Finding, MAX_SUBJECTS};
use crate::audit::{AuditEvent, AuditKind, Detail};

/// A key that was sent in clear or in a URL: [`AlertKind::KeyExposed`]. Revoke or rotate it, unless the details say that this was
/// done: `place` is where it was seen, and of a secret that was proved `action` is what the
/// [policy](crate::service::ExposurePolicy) made of it, with `ends_at` if it ends.
///
/// A key whose secret was proved gets an alert of its own, about the key. Before that the service has not checked the secret,
/// so anybody can make up ids: one that the rule has seen in an event of an existing key gets an alert about the claim, which
/// keeps none about the key itself back; all others share one, whose subject is the service and whose detail `claimed_key`
/// names the first of them. With tags in the keys ([`KeyFormat`](crate::key::KeyFormat)), made-up ids never get here.
///
/// ```
/// use keyward::alert::{Alerts, rules::KeyExposed};
///
/// let alerts = Alerts::builder().rule(KeyExposed::default());
/// # let _ = alerts;
/// ```
#[derive(Debug)]
pub struct KeyExposed {
    known: Book<()>,
}

impl KeyExposed {
    /// Returns the rule with room for that many existing keys.
    #[must_use]
    pub fn with_capacity(keys: NonZeroUsize) -> Self {
        Self {
            known: Book::new(keys),
        }
    }

    fn finding(&self, event: &AuditEvent) -> Option<Finding> {
        let key = event.key_id()?;
        let finding = if event.known_key().is_some() {
            Finding::of_key(AlertKind::KeyExposed, event)?
        } else if self.known.knows(key) {
            Finding::of_claimed_key(AlertKind::KeyExposed, event)?
        } else {
            Finding::of_service(AlertKind::KeyExposed, event).with_detail("claimed_key", key)
        };
        let facts = [
            ("place", event.reason().or_else(|| text(event, "place"))),
            ("action", text(event, "action")),
            ("ends_at", text(event, "ends_at")),
        ];
        let known = facts.into_iter().filter_map(|(name, it)| Some((name, it?)));
        Some(known.fold(finding, |finding, (name, it)| finding.with_detail(name, it)))
    }
}

fn text<'e>(event: &'e AuditEvent, name: &str) -> Option<&'e str> {
    match event.detail(name)? {
        Detail::Text(text) => Some(text.as_str()),
        _ => None,
    }
}

/// Has room for 100 000 existing keys.
impl Default for KeyExposed {
    fn default() -> Self {
        Self::with_capacity(MAX_SUBJECTS)
    }
}

impl AlertRule for KeyExposed {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if let Some(key) = event.known_key() {
            self.known.open(key);
        }
        if event.kind() == AuditKind::KeyExposed {
            findings.extend(self.finding(event));
        }
    }
}

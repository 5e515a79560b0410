use crate::alert::{AlertKind, AlertRule, Finding};
use crate::audit::{AuditEvent, AuditKind};

/// A secret that a rotation ended and that is still sent: [`AlertKind::SupersededSecret`].
///
/// Some client was forgotten when the key was rotated, or somebody tries a secret that leaked. It finds something in
/// `authentication_failed` events with the reason `superseded`, which the service writes of known keys only.
///
/// ```
/// use keyward::alert::{Alerts, rules::SupersededSecret};
///
/// let alerts = Alerts::builder().rule(SupersededSecret::new());
/// # let _ = alerts;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SupersededSecret;

impl SupersededSecret {
    /// Returns the rule.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AlertRule for SupersededSecret {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let superseded =
            event.kind() == AuditKind::AuthenticationFailed && event.reason() == Some("superseded");
        if superseded && event.known_key().is_some() {
            findings.extend(Finding::of_key(AlertKind::SupersededSecret, event));
        }
    }
}

use crate::alert::{AlertKind, AlertRule, Finding};
use crate::audit::{AuditEvent, AuditKind, Detail, Outcome};

/// A key that got the permission to manage other keys: [`AlertKind::AdminKeyCreated`].
///
/// It finds something in `key_created`, `key_imported` and `key_updated` events whose detail `manages_keys` is `gained`: the
/// service writes that when a key may manage keys after the operation, by its scopes or by what its role means at that moment,
/// and could not before. A role that is given the permission later makes no event.
///
/// ```
/// use keyward::alert::{Alerts, rules::AdminKeyCreated};
///
/// let alerts = Alerts::builder().rule(AdminKeyCreated::new());
/// # let _ = alerts;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AdminKeyCreated;

impl AdminKeyCreated {
    /// Returns the rule.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AlertRule for AdminKeyCreated {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let changed = matches!(
            event.kind(),
            AuditKind::KeyCreated | AuditKind::KeyImported | AuditKind::KeyUpdated
        );
        let gained = matches!(event.detail("manages_keys"), Some(Detail::Text(it)) if it.as_str() == "gained");
        if changed && gained && event.outcome() == Outcome::Success {
            let finding = Finding::of_key(AlertKind::AdminKeyCreated, event);
            findings.extend(finding.map(|it| it.with_detail("operation", event.kind().code())));
        }
    }
}

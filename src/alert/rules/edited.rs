use crate::alert::{AlertKind, AlertRule, Finding};
use crate::audit::{AuditEvent, AuditKind, Outcome};

/// A key whose record is not what the service wrote: [`AlertKind::RecordTampered`]. Revoke the key, and find out who can write
/// to the store.
///
/// It finds something where a request or an operation was refused with the reason `record_tampered` or, where each row must
/// be bound, `record_unbound`; the alert's detail `reason` says which. Only a service that
/// [binds rows](crate::service::KeyServiceBuilder::row_binding) refuses for these. The alert is for those who see the whole trail, as nothing that
/// the record says of its tenant can be believed.
///
/// ```
/// use keyward::alert::{Alerts, rules::EditedRecord};
///
/// let alerts = Alerts::builder().rule(EditedRecord::new());
/// # let _ = alerts;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EditedRecord;

impl EditedRecord {
    /// Returns the rule.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AlertRule for EditedRecord {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let Some(reason @ ("record_tampered" | "record_unbound")) = event.reason() else {
            return;
        };
        if event.outcome() == Outcome::Failure && event.kind() != AuditKind::RequestCompleted {
            let finding = Finding::of_key(AlertKind::RecordTampered, event);
            let finding =
                finding.map(|it| it.of_platform().with_detail("reason", reason.to_owned()));
            findings.extend(finding);
        }
    }
}

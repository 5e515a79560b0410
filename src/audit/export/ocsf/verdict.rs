//! What the library decided: action and disposition of the profile `security_control`.

use super::code::Code;
use crate::audit::{AuditEvent, AuditKind, Outcome};

/// Action and disposition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) action: Code,
    pub(super) disposition: Code,
}

const ALLOWED: Verdict = Verdict::new(Code(1, "Allowed"), Code(1, "Allowed"));
const BLOCKED: Verdict = Verdict::new(DENIED, Code(2, "Blocked"));
const REJECTED: Verdict = Verdict::new(DENIED, Code(25, "Rejected"));
const UNAUTHORIZED: Verdict = Verdict::new(DENIED, Code(26, "Unauthorized"));
/// Neither: an outage is no decision.
const ERROR: Verdict = Verdict::new(Code(0, "Unknown"), Code(27, "Error"));
const ALERT: Verdict = Verdict::new(Code(3, "Observed"), Code(19, "Alert"));

const DENIED: Code = Code(2, "Denied");

impl Verdict {
    const fn new(action: Code, disposition: Code) -> Self {
        Self {
            action,
            disposition,
        }
    }

    pub(super) fn of(event: &AuditEvent) -> Self {
        match event.kind() {
            AuditKind::AlertRaised => ALERT,
            // Refused whatever else the event says, unless nobody could decide.
            _ if is_outage(event) => ERROR,
            AuditKind::PermissionRefused => UNAUTHORIZED,
            AuditKind::AuthenticationFailed
            | AuditKind::KeyExpired
            | AuditKind::LimitHit
            | AuditKind::SecondFactorFailed => BLOCKED,
            AuditKind::KeyExposed => REJECTED,
            _ if event.outcome() == Outcome::Success => ALLOWED,
            AuditKind::AuthenticationSucceeded => BLOCKED,
            AuditKind::RequestCompleted => answered(event.status()),
            AuditKind::KeyCreated
            | AuditKind::KeyImported
            | AuditKind::KeyRotated
            | AuditKind::KeyRevoked
            | AuditKind::KeyDisabled
            | AuditKind::KeyEnabled
            | AuditKind::KeyUpdated
            | AuditKind::KeyDeleted
            | AuditKind::SecondFactorEnrolled
            | AuditKind::SecondFactorReset
            | AuditKind::RecoveryCodesRenewed
            | AuditKind::AuditRead
            | AuditKind::AuditExported
            | AuditKind::AuditPurged => ERROR,
        }
    }
}

/// The codes with which the service and its layers say that they could not look at a key.
fn is_outage(event: &AuditEvent) -> bool {
    event.outcome() == Outcome::Failure
        && matches!(event.reason(), Some("overloaded" | "unavailable"))
}

/// What a failed request was refused for, as far as its status says.
const fn answered(status: Option<u16>) -> Verdict {
    match status {
        Some(403) => UNAUTHORIZED,
        Some(401 | 429) => BLOCKED,
        Some(400..=499) => REJECTED,
        _ => ERROR,
    }
}

//! Which kind of event becomes which class and activity.

use super::code::{Code, OTHER, activity, severity};
use crate::audit::{AuditEvent, AuditKind, Outcome};

/// A class of OCSF.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    DetectionFinding,
    Authentication,
    EntityManagement,
    ApiActivity,
}

impl Class {
    pub(super) const fn uid(self) -> u32 {
        match self {
            Self::DetectionFinding => 2004,
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DetectionFinding => "Detection Finding",
            Self::Authentication => "Authentication",
            Self::EntityManagement => "Entity Management",
            Self::ApiActivity => "API Activity",
        }
    }

    pub(super) const fn category(self) -> Code {
        match self {
            Self::DetectionFinding => Code(2, "Findings"),
            Self::Authentication | Self::EntityManagement => {
                Code(3, "Identity & Access Management")
            }
            Self::ApiActivity => Code(6, "Application Activity"),
        }
    }
}

/// What a kind is about, and with that its class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Theme {
    /// Something done to a key.
    Key(Code),
    /// Something done to a second factor.
    Factor(Code),
    /// Something done to the trail.
    Trail(Code),
    /// A key was presented. `None` is an activity that OCSF has no number for.
    Presented(Option<Code>),
    /// A request; its method tells the activity.
    Request,
    /// A rule found something.
    Alert,
}

impl Theme {
    /// A kind that is added to the crate does not compile until it is given a place here.
    pub(super) const fn of(kind: AuditKind) -> Self {
        match kind {
            AuditKind::KeyCreated | AuditKind::KeyImported => Self::Key(activity::CREATE),
            AuditKind::KeyRotated | AuditKind::KeyUpdated => Self::Key(activity::UPDATE),
            // Final, both of them: there is no way back to a key that works.
            AuditKind::KeyRevoked | AuditKind::KeyDeleted => Self::Key(activity::DELETE),
            AuditKind::KeyDisabled => Self::Key(activity::DISABLE),
            AuditKind::KeyEnabled => Self::Key(activity::ENABLE),
            AuditKind::AuthenticationSucceeded | AuditKind::AuthenticationFailed => {
                Self::Presented(Some(activity::LOGON))
            }
            // No logons: the refused attempt itself has an event of its own, and would be counted twice.
            AuditKind::KeyExpired | AuditKind::KeyExposed => Self::Presented(None),
            AuditKind::SecondFactorEnrolled => Self::Factor(activity::CREATE),
            AuditKind::RecoveryCodesRenewed => Self::Factor(activity::UPDATE),
            AuditKind::SecondFactorReset => Self::Factor(activity::DELETE),
            // Asked for within an operation, by somebody who is signed in.
            AuditKind::SecondFactorFailed => Self::Presented(None),
            AuditKind::PermissionRefused | AuditKind::LimitHit | AuditKind::RequestCompleted => {
                Self::Request
            }
            AuditKind::AlertRaised => Self::Alert,
            AuditKind::AuditRead | AuditKind::AuditExported => Self::Trail(activity::READ),
            AuditKind::AuditPurged => Self::Trail(activity::DELETE),
        }
    }

    pub(super) const fn class(self) -> Class {
        match self {
            Self::Key(_) | Self::Factor(_) | Self::Trail(_) => Class::EntityManagement,
            Self::Presented(_) => Class::Authentication,
            Self::Request => Class::ApiActivity,
            Self::Alert => Class::DetectionFinding,
        }
    }

    /// Returns the number of the activity, and its caption or, where OCSF has none, the source's own word.
    pub(super) fn activity(self, event: &AuditEvent) -> (u8, &str) {
        let code = match self {
            Self::Key(code) | Self::Factor(code) | Self::Trail(code) => Some(code),
            Self::Presented(code) => code,
            Self::Request => event.method().and_then(by_method),
            Self::Alert => Some(activity::CREATE),
        };
        match code {
            Some(Code(id, caption)) => (id, caption),
            None => (OTHER, event.kind().code()),
        }
    }

    pub(super) fn severity(self, event: &AuditEvent) -> Code {
        let failed = event.outcome() == Outcome::Failure;
        match self {
            Self::Alert => severity::MEDIUM,
            // It was announced, and not carried out.
            Self::Key(_) | Self::Factor(_) | Self::Trail(_) if failed => severity::MEDIUM,
            // The key must be considered known to others.
            _ if event.kind() == AuditKind::KeyExposed => severity::MEDIUM,
            _ if failed => severity::LOW,
            _ => severity::INFORMATIONAL,
        }
    }
}

/// What a method does according to RFC 9110 and RFC 5789.
fn by_method(method: &str) -> Option<Code> {
    match method {
        "POST" => Some(activity::CREATE),
        "GET" | "HEAD" => Some(activity::READ),
        "PUT" | "PATCH" => Some(activity::UPDATE),
        "DELETE" => Some(activity::DELETE),
        _ => None,
    }
}

//! The answer to "may it?", with the reason for the log.

use std::fmt;

use super::permission::Permission;
use super::role::RoleName;

/// The answer to an evaluation: allowed, or denied for a reason.
///
/// The reason is for logs and audit; whether to tell it to a client is for the caller to decide.
///
/// ```
/// use keyward::access::{AccessPolicy, DenyReason, Grant, Requirement, Subject, Target, TenantBinding};
/// use keyward::key::KeyKind;
///
/// # fn main() -> Result<(), keyward::access::NameError> {
/// let grant = Grant::Role("ghost".parse()?);
/// let key = Subject::new(&grant, &[], &TenantBinding::None, KeyKind::Secret);
/// let send = Requirement::permission("send_email".parse()?);
/// let decision = AccessPolicy::default().evaluate(&key, &send, &Target::Service);
/// assert!(!decision.is_allowed());
/// assert_eq!(decision.reason().map(DenyReason::code), Some("unknown_role"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a decision that nobody looks at protects nothing"]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Decision {
    /// The operation may go on.
    Allowed,
    /// It may not.
    Denied(DenyReason),
}

impl Decision {
    /// Returns whether the operation may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// Returns why the operation may not go on.
    #[must_use]
    pub fn reason(&self) -> Option<&DenyReason> {
        match self {
            Self::Allowed => None,
            Self::Denied(reason) => Some(reason),
        }
    }

    /// Returns the decision as a result, for `?`.
    ///
    /// # Errors
    ///
    /// The reason, if the operation is denied.
    pub fn into_result(self) -> Result<(), DenyReason> {
        match self {
            Self::Allowed => Ok(()),
            Self::Denied(reason) => Err(reason),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Denied(reason) => write!(f, "denied: {reason}"),
        }
    }
}

/// Why an operation is denied. One reason is given, the first that was found; there may be more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DenyReason {
    /// The key does not hold this permission. Where several would have done, it is the first of them.
    #[error("missing permission `{0}`")]
    MissingPermission(Permission),
    /// A denied scope of the key covers this permission.
    #[error("permission `{0}` is denied to this key")]
    ExplicitlyDenied(Permission),
    /// A denied scope of the key cannot be read, so it is taken to cover everything.
    #[error("a denied scope of this key is ill-formed")]
    UnreadableDenial,
    /// The key is publishable, and the policy does not publish this permission.
    #[error("permission `{0}` is not publishable")]
    NotPublishable(Permission),
    /// The policy does not know the key's role.
    #[error("role `{0}` is unknown")]
    UnknownRole(RoleName),
    /// The key is bound to another tenant.
    #[error("key belongs to another tenant")]
    TenantMismatch,
    /// The operation is about a tenant's resource, but not known whose.
    #[error("tenant of the resource is missing")]
    TenantMissing,
    /// The key is bound to no tenant, and the operation is about a tenant's resource.
    #[error("key is bound to no tenant")]
    NotTenantBound,
    /// The key is platform-wide, but its role does not allow it or it has none.
    #[error("role does not reach all tenants")]
    NotPlatform,
    /// The key is platform-wide and publishable, which no key can be.
    #[error("publishable key is platform-wide")]
    PublishablePlatform,
    /// The requirement asks for nothing: a programming error.
    #[error("requirement is empty")]
    EmptyRequirement,
    /// The requirement is nested too deep: a programming error.
    #[error("requirement is nested too deep")]
    RequirementTooDeep,
}

impl DenyReason {
    /// Returns a code that stays the same across versions, for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingPermission(_) => "missing_permission",
            Self::ExplicitlyDenied(_) => "explicitly_denied",
            Self::UnreadableDenial => "unreadable_denial",
            Self::NotPublishable(_) => "not_publishable",
            Self::UnknownRole(_) => "unknown_role",
            Self::TenantMismatch => "tenant_mismatch",
            Self::TenantMissing => "tenant_missing",
            Self::NotTenantBound => "not_tenant_bound",
            Self::NotPlatform => "not_platform",
            Self::PublishablePlatform => "publishable_platform",
            Self::EmptyRequirement => "empty_requirement",
            Self::RequirementTooDeep => "requirement_too_deep",
        }
    }
}

//! The decision. Every path that is not explicitly an allowance ends in a denial.

#![deny(clippy::wildcard_enum_match_arm)]

use super::decision::{Decision, DenyReason};
use super::grant::Grant;
use super::permission::Permission;
use super::policy::AccessPolicy;
use super::requirement::{Combine, Flaw, Node, Requirement};
use super::role::{Role, TenantReach};
use super::scope::Scope;
use super::subject::Subject;
use super::tenant::{Target, TenantBinding};
use crate::kind::KeyKind;

impl AccessPolicy {
    /// Decides whether the subject may do what the requirement asks for, to the target.
    ///
    /// Pure and total: the same arguments always get the same answer, and every argument gets one. Allocates
    /// nothing. The time is at most the number of permissions asked for times the number of scopes in play.
    ///
    /// # Security
    ///
    /// A target of [`Target::Service`] switches the tenant rule off. Give it only for operations that touch no
    /// tenant's data; for a resource whose tenant may be missing use [`Target::tenant_of`].
    pub fn evaluate(
        &self,
        subject: &Subject<'_>,
        requirement: &Requirement,
        target: &Target<'_>,
    ) -> Decision {
        match self.decide(subject, requirement, target) {
            Ok(()) => Decision::Allowed,
            Err(reason) => Decision::Denied(reason),
        }
    }

    fn decide(
        &self,
        subject: &Subject<'_>,
        requirement: &Requirement,
        target: &Target<'_>,
    ) -> Result<(), DenyReason> {
        let role = self.role_of(subject.grant())?;
        check_tenant(subject, role, target)?;
        check_denials(subject.denied())?;
        let rights = Rights::new(role, subject.grant().scopes());
        let held = Held {
            rights,
            denied: subject.denied(),
            publishable: self.ceiling_of(subject.kind()),
        };
        held.satisfies(requirement.node())
            .map_err(Refusal::into_reason)
    }

    fn role_of(&self, grant: &Grant) -> Result<Option<&Role>, DenyReason> {
        let Some(name) = grant.role() else {
            return Ok(None);
        };
        match self.role(name) {
            Some(role) => Ok(Some(role)),
            None => Err(DenyReason::UnknownRole(name.clone())),
        }
    }
}

fn check_tenant(
    subject: &Subject<'_>,
    role: Option<&Role>,
    target: &Target<'_>,
) -> Result<(), DenyReason> {
    let wanted = match target {
        Target::Service => return Ok(()),
        Target::Unknown => return Err(DenyReason::TenantMissing),
        Target::Tenant(wanted) => *wanted,
    };
    match subject.tenant() {
        TenantBinding::Tenant(own) if own == wanted => Ok(()),
        TenantBinding::Tenant(_) => Err(DenyReason::TenantMismatch),
        // SECURITY: whatever wrote it into the record: everybody who can read the page would reach every tenant.
        TenantBinding::Platform if subject.kind() == KeyKind::Publishable => {
            Err(DenyReason::PublishablePlatform)
        }
        TenantBinding::Platform if reaches_all_tenants(role) => Ok(()),
        TenantBinding::Platform => Err(DenyReason::NotPlatform),
        TenantBinding::None => Err(DenyReason::NotTenantBound),
    }
}

/// Returns whether a platform-wide key of this role is one in truth; without a role it never is.
pub(super) fn reaches_all_tenants(role: Option<&Role>) -> bool {
    role.is_some_and(|role| role.reach() == TenantReach::AllTenants)
}

// SECURITY: skipping a denial that cannot be read would grant what somebody meant to withhold.
fn check_denials(denied: &[Scope]) -> Result<(), DenyReason> {
    if denied.iter().all(Scope::is_well_formed) {
        return Ok(());
    }
    Err(DenyReason::UnreadableDenial)
}

/// What a grant amounts to under the policy, before denied scopes.
#[derive(Clone, Copy)]
pub(super) enum Rights<'a> {
    Nothing,
    Of(&'a [Scope]),
    Common(&'a [Scope], &'a [Scope]),
}

impl<'a> Rights<'a> {
    /// `None` means that the grant has no such part; a part that is there and empty leaves nothing.
    pub(super) fn new(role: Option<&'a Role>, scopes: Option<&'a [Scope]>) -> Self {
        match (role.map(Role::grants), scopes) {
            (None, None) => Self::Nothing,
            (Some(only), None) | (None, Some(only)) => Self::Of(only),
            (Some(role), Some(scopes)) => Self::Common(role, scopes),
        }
    }

    fn hold(&self, permission: &Permission) -> bool {
        self.every_list(|list| any_covers(list, permission))
    }

    /// Returns whether all that `scope` can ever cover is held.
    pub(super) fn hold_all_of(&self, scope: &Scope) -> bool {
        self.every_list(|list| list.iter().any(|own| own.covers_scope(scope)))
    }

    fn every_list(&self, covers: impl Fn(&[Scope]) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Of(list) => covers(list),
            Self::Common(one, other) => covers(one) && covers(other),
        }
    }
}

pub(super) fn any_covers(list: &[Scope], permission: &Permission) -> bool {
    list.iter().any(|scope| scope.covers(permission))
}

/// What a key holds in the end: its rights less its denied scopes, and of a publishable key what may be published.
struct Held<'a> {
    rights: Rights<'a>,
    denied: &'a [Scope],
    /// All that a key of this kind may ever hold, if there is such a bound.
    publishable: Option<&'a [Scope]>,
}

impl Held<'_> {
    /// Recursion is as deep as the requirement, which is bounded where it is built.
    fn satisfies<'r>(&self, node: &'r Node) -> Result<(), Refusal<'r>> {
        match node {
            Node::Permission(permission) => self.permits(permission),
            Node::Group(Combine::All, parts) => {
                parts.iter().try_for_each(|part| self.satisfies(part))
            }
            Node::Group(Combine::Any, parts) => self.satisfies_any(parts),
            Node::Never(flaw) => Err(Refusal::Flaw(*flaw)),
        }
    }

    fn satisfies_any<'r>(&self, parts: &'r [Node]) -> Result<(), Refusal<'r>> {
        let mut first = Err(Refusal::Flaw(Flaw::Empty));
        for (at, part) in parts.iter().enumerate() {
            match self.satisfies(part) {
                Ok(()) => return Ok(()),
                refused if at == 0 => first = refused,
                Err(_) => {}
            }
        }
        first
    }

    fn permits<'r>(&self, permission: &'r Permission) -> Result<(), Refusal<'r>> {
        if any_covers(self.denied, permission) {
            return Err(Refusal::Denied(permission));
        }
        // SECURITY: at every check, so that a role that grows, a list that shrinks and an edited row give nothing.
        if self
            .publishable
            .is_some_and(|list| !any_covers(list, permission))
        {
            return Err(Refusal::NotPublishable(permission));
        }
        if self.rights.hold(permission) {
            return Ok(());
        }
        Err(Refusal::Missing(permission))
    }
}

/// A reason that borrows, so that only the one that is reported costs anything.
#[derive(Clone, Copy)]
enum Refusal<'r> {
    Missing(&'r Permission),
    Denied(&'r Permission),
    NotPublishable(&'r Permission),
    Flaw(Flaw),
}

impl Refusal<'_> {
    fn into_reason(self) -> DenyReason {
        match self {
            Self::Missing(permission) => DenyReason::MissingPermission(permission.clone()),
            Self::Denied(permission) => DenyReason::ExplicitlyDenied(permission.clone()),
            Self::NotPublishable(permission) => DenyReason::NotPublishable(permission.clone()),
            Self::Flaw(Flaw::Empty) => DenyReason::EmptyRequirement,
            Self::Flaw(Flaw::TooDeep) => DenyReason::RequirementTooDeep,
        }
    }
}

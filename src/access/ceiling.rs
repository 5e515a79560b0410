//! What one key may hand out to another: never more than it has.

use super::evaluate::{Rights, reaches_all_tenants};
use super::grant::Grant;
use super::policy::AccessPolicy;
use super::role::{Role, RoleName};
use super::scope::Scope;
use super::subject::Subject;
use super::tenant::TenantBinding;
use crate::kind::KeyKind;

impl AccessPolicy {
    /// Checks that `actor`, itself a key, may hand out a key like `child`: whatever the child may do, the actor may.
    ///
    /// * A publishable key hands out nothing.
    /// * Every scope written on the child lies inside what the actor holds (its role ∩ its scopes), whatever the
    ///   child's role makes of it today.
    /// * A child with a role and no scopes: every grant of that role lies inside what the actor holds, and the actor
    ///   itself carries no scopes. A narrowed actor hands out narrowed keys only, or the narrowing would be lost the next
    ///   time somebody adds a grant to the role.
    /// * A role the policy does not know is refused: nobody can say what it will mean.
    /// * The tenant binding: a tenant-bound actor hands out keys of its tenant; a platform-wide one whose role allows it,
    ///   keys of any binding; every other, keys bound to no tenant.
    /// * Each of the actor's denied scopes is covered by one of the child's.
    ///
    /// The permission to hand out keys at all is not looked at here; ask [`AccessPolicy::evaluate`] for it first.
    ///
    /// # Errors
    ///
    /// The first of these rules that is broken.
    ///
    /// ```
    /// use keyward::access::{AccessPolicy, CeilingError, Grant, Role, Scope, Subject, TenantBinding};
    /// use keyward::key::KeyKind;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let policy = AccessPolicy::builder()
    ///     .role(Role::new("broker", ["send_email", "leads:*"])?)
    ///     .build()?;
    /// let broker = Grant::Role("broker".parse()?);
    /// let key = |grant| Subject::new(grant, &[], &TenantBinding::None, KeyKind::Secret);
    /// let actor = key(&broker);
    ///
    /// let less = Grant::try_scopes(["leads:read".parse::<Scope>()?])?;
    /// assert!(policy.within(&actor, &key(&less)).is_ok());
    ///
    /// let more: Scope = "billing:read".parse()?;
    /// let grant = Grant::try_scopes([more.clone()])?;
    /// assert_eq!(policy.within(&actor, &key(&grant)), Err(CeilingError::ScopeOutside(more)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(&self, actor: &Subject<'_>, child: &Subject<'_>) -> Result<(), CeilingError> {
        check_kind(actor.kind())?;
        check_denials(actor.denied(), child.denied())?;
        check_tenant(actor.tenant(), self.known_role(actor), child.tenant())?;
        self.check_grant(actor, child.grant())
    }

    fn check_grant(&self, actor: &Subject<'_>, child: &Grant) -> Result<(), CeilingError> {
        let rights = self.rights_of(actor);
        match child {
            Grant::Role(name) => {
                let role = self.child_role(name)?;
                check_role(actor.grant(), &rights, role)
            }
            Grant::Scopes(scopes) => check_scopes(&rights, scopes),
            Grant::RoleWithScopes { role, scopes } => {
                self.child_role(role)?;
                check_scopes(&rights, scopes)
            }
        }
    }

    fn child_role(&self, name: &RoleName) -> Result<&Role, CeilingError> {
        let role = self.role(name);
        role.ok_or_else(|| CeilingError::UnknownRole(name.clone()))
    }

    fn known_role(&self, subject: &Subject<'_>) -> Option<&Role> {
        subject.grant().role().and_then(|name| self.role(name))
    }

    fn rights_of<'a>(&'a self, subject: &Subject<'a>) -> Rights<'a> {
        let role = self.known_role(subject);
        if subject.grant().role().is_some() && role.is_none() {
            return Rights::Nothing;
        }
        Rights::new(role, subject.grant().scopes())
    }
}

fn check_kind(actor: KeyKind) -> Result<(), CeilingError> {
    match actor {
        KeyKind::Secret => Ok(()),
        KeyKind::Publishable => Err(CeilingError::PublishableActor),
    }
}

// An actor's denial that is ill-formed is covered by nothing: such an actor may do nothing, and hand out nothing.
fn check_denials(actor: &[Scope], child: &[Scope]) -> Result<(), CeilingError> {
    let kept = |denial: &&Scope| child.iter().any(|own| own.covers_scope(denial));
    match actor.iter().find(|denial| !kept(denial)) {
        Some(dropped) => Err(CeilingError::DenialDropped(dropped.clone())),
        None => Ok(()),
    }
}

fn check_tenant(
    actor: &TenantBinding,
    role: Option<&Role>,
    child: &TenantBinding,
) -> Result<(), CeilingError> {
    let inside = match actor {
        TenantBinding::Platform if reaches_all_tenants(role) => true,
        TenantBinding::Tenant(_) => child == actor,
        TenantBinding::None | TenantBinding::Platform => *child == TenantBinding::None,
    };
    if inside {
        Ok(())
    } else {
        Err(CeilingError::TenantOutside)
    }
}

fn check_role(actor: &Grant, rights: &Rights<'_>, role: &Role) -> Result<(), CeilingError> {
    if actor.scopes().is_some() {
        return Err(CeilingError::ScopesRequired);
    }
    if role.grants().iter().all(|grant| rights.hold_all_of(grant)) {
        return Ok(());
    }
    Err(CeilingError::RoleOutside(role.name().clone()))
}

fn check_scopes(rights: &Rights<'_>, scopes: &[Scope]) -> Result<(), CeilingError> {
    match scopes.iter().find(|scope| !rights.hold_all_of(scope)) {
        Some(outside) => Err(CeilingError::ScopeOutside(outside.clone())),
        None => Ok(()),
    }
}

/// Why a key may not hand out another.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CeilingError {
    /// The actor is publishable, so anybody could be it.
    #[error("a publishable key hands out no keys")]
    PublishableActor,
    /// The actor does not hold all of this scope, or it is ill-formed.
    #[error("scope `{0}` lies outside the actor's own")]
    ScopeOutside(Scope),
    /// The actor does not hold all that this role grants.
    #[error("role `{0}` grants more than the actor holds")]
    RoleOutside(RoleName),
    /// The policy does not know this role.
    #[error("role `{0}` is unknown")]
    UnknownRole(RoleName),
    /// The actor is narrowed by scopes, and the child is not.
    #[error("an actor that carries scopes hands out only keys that carry scopes")]
    ScopesRequired,
    /// The child would reach tenants that the actor does not.
    #[error("tenant binding lies outside the actor's own")]
    TenantOutside,
    /// The actor is denied this scope, and the child would not be.
    #[error("denied scope `{0}` of the actor is missing")]
    DenialDropped(Scope),
}

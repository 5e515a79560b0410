use std::collections::BTreeMap;
use std::time::Duration;

use super::IssueRules;
use crate::access::{AccessPolicy, Permission, RoleName, Scope, Subject};

/// Which rules hold for issuing keys, by the key's role.
///
/// A key that can manage keys, through its role or its scopes, needs a justification and a second factor whatever else
/// is said here; only [`IssuePolicyBuilder::dangerous`] changes that. The [`Default`] policy says nothing more.
///
/// The rules hold for `issue` and `import`, for an `update` that changes what a key may do, from where or until when,
/// for `enable`, and for the second factor also for `rotate`. `docs/second-factor.md` has them one by one.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::{IssuePolicy, IssueRules};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let quarter = Duration::from_secs(90 * 24 * 3600);
/// let policy = IssuePolicy::builder()
///     .role("partner".parse()?, IssueRules::new().longest_lifetime(quarter).most_active_keys(5))
///     .without_role(IssueRules::new().require_networks())
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuePolicy {
    roles: BTreeMap<RoleName, IssueRules>,
    without_role: IssueRules,
    administrative: IssueRules,
}

/// What is demanded for keys that can manage keys.
const ADMINISTRATIVE: IssueRules = IssueRules::new()
    .require_justification()
    .require_second_factor();

impl IssuePolicy {
    /// Returns a builder with nothing but the rules of keys that can manage keys.
    pub fn builder() -> IssuePolicyBuilder {
        IssuePolicyBuilder {
            roles: Vec::new(),
            without_role: IssueRules::new(),
            administrative: ADMINISTRATIVE,
        }
    }

    /// The rules for a key of that grant: those of its role, and those of what it can do.
    pub(in crate::service) fn rules_for(
        &self,
        access: &AccessPolicy,
        manage: &Permission,
        subject: &Subject<'_>,
    ) -> IssueRules {
        let own = match subject.grant().role() {
            Some(role) => self.roles.get(role).copied().unwrap_or_default(),
            None => self.without_role,
        };
        if !can_manage(access, manage, subject) {
            return own;
        }
        IssueRules {
            justification: own.justification || self.administrative.justification,
            second_factor: own.second_factor || self.administrative.second_factor,
            ..own
        }
    }

    /// The roles that rules are made for.
    pub(in crate::service) fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.keys()
    }

    pub(in crate::service) fn limits_owners(&self) -> bool {
        let limits = |rules: &IssueRules| rules.most_active_keys.is_some();
        limits(&self.without_role) || self.roles.values().any(limits)
    }
}

impl Default for IssuePolicy {
    fn default() -> Self {
        Self {
            roles: BTreeMap::new(),
            without_role: IssueRules::new(),
            administrative: ADMINISTRATIVE,
        }
    }
}

/// SECURITY: scopes count as they are written on the key, whatever its role makes of them today: a role that grows must
/// not turn a key that was handed out without these rules into one that manages keys.
pub(in crate::service) fn can_manage(
    access: &AccessPolicy,
    manage: &Permission,
    subject: &Subject<'_>,
) -> bool {
    let covers = |scopes: &[Scope]| scopes.iter().any(|scope| scope.covers(manage));
    if covers(subject.denied()) {
        return false;
    }
    match (subject.grant().scopes(), subject.grant().role()) {
        (Some(scopes), _) => covers(scopes),
        (None, Some(role)) => access.role(role).is_some_and(|role| covers(role.grants())),
        (None, None) => false,
    }
}

/// Collects the rules of an [`IssuePolicy`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct IssuePolicyBuilder {
    roles: Vec<(RoleName, IssueRules)>,
    without_role: IssueRules,
    administrative: IssueRules,
}

impl IssuePolicyBuilder {
    /// Sets the rules of keys of that role, narrowed by scopes or not. A service whose access policy does not know the role is
    /// not built.
    pub fn role(mut self, role: RoleName, rules: IssueRules) -> Self {
        self.roles.push((role, rules));
        self
    }

    /// Sets the rules of keys that have scopes and no role; they demand nothing otherwise.
    pub const fn without_role(mut self, rules: IssueRules) -> Self {
        self.without_role = rules;
        self
    }

    /// Returns the settings that weaken the rules.
    pub const fn dangerous(self) -> DangerousIssuePolicyBuilder {
        DangerousIssuePolicyBuilder { builder: self }
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// [`IssuePolicyError`].
    pub fn build(self) -> Result<IssuePolicy, IssuePolicyError> {
        check(&self.without_role)?;
        let mut roles = BTreeMap::new();
        for (role, rules) in self.roles {
            check(&rules)?;
            if roles.insert(role.clone(), rules).is_some() {
                return Err(IssuePolicyError::DuplicateRole(role));
            }
        }
        Ok(IssuePolicy {
            roles,
            without_role: self.without_role,
            administrative: self.administrative,
        })
    }
}

fn check(rules: &IssueRules) -> Result<(), IssuePolicyError> {
    let lifetimes = [rules.longest_lifetime, rules.default_lifetime];
    if lifetimes.contains(&Some(Duration::ZERO)) {
        return Err(IssuePolicyError::ZeroLifetime);
    }
    match (rules.default_lifetime, rules.longest_lifetime) {
        (Some(usual), Some(longest)) if usual > longest => Err(IssuePolicyError::DefaultTooLong),
        _ => Ok(()),
    }
}

/// Settings that weaken an [`IssuePolicy`]. Each says what it gives up.
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousIssuePolicyBuilder {
    builder: IssuePolicyBuilder,
}

impl DangerousIssuePolicyBuilder {
    /// Lets people and keys hand out keys that can manage keys without a second factor: whoever takes over one signed-in
    /// session, or one such key, can then make itself another that outlives it.
    pub fn admin_keys_without_second_factor(mut self) -> IssuePolicyBuilder {
        self.builder.administrative.second_factor = false;
        self.builder
    }

    /// Lets keys that can manage keys be handed out without a word of why.
    pub fn admin_keys_without_justification(mut self) -> IssuePolicyBuilder {
        self.builder.administrative.justification = false;
        self.builder
    }
}

/// Why an [`IssuePolicy`] could not be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuePolicyError {
    /// Two rules are for one role: which of them counts must not depend on order.
    #[error("role `{0}` has rules twice")]
    DuplicateRole(RoleName),
    /// A lifetime is zero.
    #[error("a lifetime is zero")]
    ZeroLifetime,
    /// A default lifetime is longer than the longest one.
    #[error("a default lifetime is longer than the longest one")]
    DefaultTooLong,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Grant, Role, TenantBinding};
    use crate::key::KeyKind;

    fn access() -> AccessPolicy {
        let roles = [
            Role::new("admin", ["keys:*", "leads:*"]).unwrap(),
            Role::new("agent", ["leads:*"]).unwrap(),
        ];
        AccessPolicy::builder().roles(roles).build().unwrap()
    }

    fn scopes(list: &[&str]) -> Vec<Scope> {
        list.iter().map(|scope| scope.parse().unwrap()).collect()
    }

    fn manages(grant: &Grant, denied: &[&str]) -> bool {
        let denied = scopes(denied);
        let subject = Subject::new(grant, &denied, &TenantBinding::None, KeyKind::Secret);
        can_manage(&access(), &"keys:manage".parse().unwrap(), &subject)
    }

    #[test]
    fn a_key_manages_through_its_role_or_its_scopes() {
        let role = |name: &str| Grant::Role(name.parse().unwrap());
        assert!(manages(&role("admin"), &[]));
        assert!(!manages(&role("agent"), &[]));
        assert!(!manages(&role("ghost"), &[]));
        assert!(manages(&Grant::Scopes(scopes(&["keys:manage"])), &[]));
        assert!(manages(
            &Grant::Scopes(scopes(&["leads:read", "keys:*"])),
            &[]
        ));
        assert!(!manages(&Grant::Scopes(scopes(&["keys:read"])), &[]));
        assert!(!manages(&Grant::Scopes(Vec::new()), &[]));
    }

    #[test]
    fn scopes_beside_a_role_count_as_they_are_written() {
        let narrowed = |role: &str, list: &[&str]| Grant::RoleWithScopes {
            role: role.parse().unwrap(),
            scopes: scopes(list),
        };
        assert!(!manages(&narrowed("admin", &["leads:read"]), &[]));
        assert!(manages(&narrowed("admin", &["keys:manage"]), &[]));
        // Today the role does not grant it; tomorrow it may.
        assert!(manages(&narrowed("agent", &["keys:manage"]), &[]));
    }

    #[test]
    fn a_denied_permission_is_none() {
        let admin = Grant::Role("admin".parse().unwrap());
        assert!(!manages(&admin, &["keys:*"]));
        assert!(manages(&admin, &["leads:*"]));
    }

    #[test]
    fn refuses_rules_that_contradict_each_other() {
        let hour = Duration::from_secs(3600);
        let role = |rules| IssuePolicy::builder().role("a".parse().unwrap(), rules);
        let longer = IssueRules::new()
            .longest_lifetime(hour)
            .default_lifetime(hour * 2);
        assert_eq!(role(longer).build(), Err(IssuePolicyError::DefaultTooLong));
        let zero = IssueRules::new().longest_lifetime(Duration::ZERO);
        assert_eq!(role(zero).build(), Err(IssuePolicyError::ZeroLifetime));
        let open = IssuePolicy::builder().without_role(zero).build();
        assert_eq!(open, Err(IssuePolicyError::ZeroLifetime));
        let twice = role(IssueRules::new()).role("a".parse().unwrap(), IssueRules::new());
        assert!(matches!(
            twice.build(),
            Err(IssuePolicyError::DuplicateRole(_))
        ));
    }
}

//! All the roles of a service.

use serde::{Deserialize, Serialize};

use super::grant::Grant;
use super::name::NameError;
use super::role::{Role, RoleName};
use super::scope::Scope;
use crate::networks::Networks;

/// The roles of a service, and the place where access is decided.
///
/// Keys name their role; the policy says what it means at the moment of the check. A role it does not know grants
/// nothing. The empty policy ([`Default`]) knows no role, which is right for a service whose keys carry scopes only.
///
/// Keys that are [publishable](crate::key::KeyKind) may do what the policy lists as such and nothing else, whatever their
/// role and scopes say; without a list, nothing.
///
/// As data: `{"roles": [{"name": "admin", "grants": ["manage_keys"], "reach": "all_tenants"}], "publishable": ["catalogue:read"]}`,
/// read strictly: an unknown field, a grant that is no scope or a role that stands twice is an error. `publishable` may be left
/// out and is then empty.
///
/// ```
/// use keyward::access::{AccessPolicy, Role, TenantReach};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = AccessPolicy::builder()
///     .role(Role::new("admin", ["manage_keys", "billing:*"])?.with_reach(TenantReach::AllTenants))
///     .role(Role::new("agent", ["leads:read"])?)
///     .build()?;
/// assert!(policy.role(&"agent".parse()?).is_some());
/// assert!(policy.role(&"Agent".parse()?).is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "PolicyData")]
pub struct AccessPolicy {
    // INVARIANT: sorted by name, each name once.
    roles: Vec<Role>,
    // INVARIANT: every one is well-formed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) publishable: Vec<Scope>,
}

impl AccessPolicy {
    /// Returns a builder that knows no role yet.
    pub fn builder() -> AccessPolicyBuilder {
        AccessPolicyBuilder::default()
    }

    /// Returns the role of exactly that name.
    #[must_use]
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        let found = self.roles.binary_search_by(|role| role.name().cmp(name));
        found.ok().and_then(|at| self.roles.get(at))
    }

    /// Returns the networks of the role in a grant; a role the policy does not know has none, as it grants nothing.
    pub(crate) fn networks_of(&self, grant: &Grant) -> Option<&Networks> {
        grant.role().and_then(|name| self.role(name))?.networks()
    }

    /// Returns all roles, by name.
    #[must_use]
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &Role> {
        self.roles.iter()
    }
}

/// Collects the roles of an [`AccessPolicy`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct AccessPolicyBuilder {
    roles: Vec<Role>,
    publishable: Vec<String>,
}

impl AccessPolicyBuilder {
    /// Adds a role.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Adds several roles.
    pub fn roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles.extend(roles);
        self
    }

    /// Adds to what publishable keys may do, at most: permissions that may be in anybody's hands. Nothing unless set.
    ///
    /// ```
    /// use keyward::access::AccessPolicy;
    ///
    /// let policy = AccessPolicy::builder().publishable(["catalogue:read", "leads:create"]).build()?;
    /// assert_eq!(policy.publishable().len(), 2);
    /// # Ok::<(), keyward::access::PolicyError>(())
    /// ```
    pub fn publishable(mut self, grants: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let grants = grants.into_iter().map(|grant| grant.as_ref().to_owned());
        self.publishable.extend(grants);
        self
    }

    /// Returns the policy.
    ///
    /// # Errors
    ///
    /// * [`PolicyError::DuplicateRole`] if two roles have the same name: which of them counts must not depend on order;
    /// * [`PolicyError::Publishable`] for the first publishable grant that is no scope.
    pub fn build(self) -> Result<AccessPolicy, PolicyError> {
        let mut roles = self.roles;
        roles.sort_by(|a, b| a.name().cmp(b.name()));
        let twin = roles
            .iter()
            .zip(roles.iter().skip(1))
            .find(|(a, b)| a.name() == b.name());
        if let Some((role, _)) = twin {
            return Err(PolicyError::DuplicateRole(role.name().clone()));
        }
        Ok(AccessPolicy {
            roles,
            publishable: parse_publishable(&self.publishable)?,
        })
    }
}

fn parse_publishable(grants: &[String]) -> Result<Vec<Scope>, PolicyError> {
    let parse = |(index, text): (usize, &String)| {
        let scope = text.parse::<Scope>();
        scope.map_err(|source| PolicyError::Publishable { index, source })
    };
    grants.iter().enumerate().map(parse).collect()
}

/// A policy as it stands in a file, before its roles are checked against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyData {
    roles: Vec<Role>,
    #[serde(default)]
    publishable: Vec<String>,
}

impl TryFrom<PolicyData> for AccessPolicy {
    type Error = PolicyError;

    fn try_from(data: PolicyData) -> Result<Self, Self::Error> {
        Self::builder()
            .roles(data.roles)
            .publishable(data.publishable)
            .build()
    }
}

/// Why a role or a policy cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The name is no role name.
    #[error("role name is invalid")]
    Name(#[source] NameError),
    /// A grant is no scope.
    #[error("grant {index} of role `{role}` is no scope")]
    Grant {
        /// The role.
        role: RoleName,
        /// Which grant, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// A publishable grant is no scope.
    #[error("publishable grant {index} is no scope")]
    Publishable {
        /// Which, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: NameError,
    },
    /// Two roles have the same name.
    #[error("role `{0}` is defined twice")]
    DuplicateRole(RoleName),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Role {
        Role::new(name, ["send_email"]).unwrap()
    }

    #[test]
    fn finds_every_role_whatever_the_order_given() {
        let names = ["broker", "admin", "Broker", "zed", "agent"];
        let policy = AccessPolicy::builder()
            .roles(names.map(role))
            .build()
            .unwrap();
        for name in names {
            let name = name.parse().unwrap();
            assert_eq!(policy.role(&name).unwrap().name(), &name);
        }
        assert_eq!(policy.role(&"ghost".parse().unwrap()), None);
    }

    #[test]
    fn refuses_a_role_that_stands_twice() {
        let twice = AccessPolicy::builder()
            .role(role("a"))
            .role(role("b"))
            .role(role("a"));
        assert_eq!(
            twice.build(),
            Err(PolicyError::DuplicateRole("a".parse().unwrap()))
        );
    }

    #[test]
    fn keeps_its_roles_through_data_and_reads_strictly() {
        let policy = AccessPolicy::builder()
            .role(role("b"))
            .role(role("a"))
            .build()
            .unwrap();
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<AccessPolicy>(&json).unwrap(), policy);
        for bad in [
            r#"{}"#,
            r#"{"roles":[{"name":"a","grants":["*"]}]}"#,
            r#"{"roles":[{"name":"a","grants":[]},{"name":"a","grants":[]}]}"#,
            r#"{"roles":[],"default":"admin"}"#,
            r#"{"roles":[],"publishable":null}"#,
            r#"{"roles":[],"publishable":"a"}"#,
            r#"{"roles":[],"publishable":["*"]}"#,
            r#"{"roles":[],"publishable":["a","re*"]}"#,
        ] {
            assert!(serde_json::from_str::<AccessPolicy>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keeps_what_is_publishable_through_data_and_says_nothing_of_it_where_nothing_is() {
        let policy = AccessPolicy::builder().publishable(["catalogue:read", "leads:*"]);
        let policy = policy.build().unwrap();
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(
            json,
            r#"{"roles":[],"publishable":["catalogue:read","leads:*"]}"#
        );
        assert_eq!(serde_json::from_str::<AccessPolicy>(&json).unwrap(), policy);
        let none = serde_json::to_string(&AccessPolicy::default()).unwrap();
        assert_eq!(none, r#"{"roles":[]}"#);
        assert!(
            serde_json::from_str::<AccessPolicy>(&none)
                .unwrap()
                .publishable()
                .is_empty()
        );
    }

    #[test]
    fn refuses_an_ill_formed_publishable_grant_and_says_which() {
        let error = AccessPolicy::builder().publishable(["a", "*"]).build();
        assert_eq!(
            error.unwrap_err().to_string(),
            "publishable grant 1 is no scope"
        );
    }
}

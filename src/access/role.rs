//! A named set of grants, shared by every key that carries it.

use serde::{Deserialize, Serialize};

use super::name::{NameError, check_bytes, check_length, checked_name};
use super::policy::PolicyError;
use super::scope::Scope;

checked_name! {
    /// Names a role. Bytes compare exactly: `Broker` is not `broker`.
    ///
    /// One to [`RoleName::MAX_LEN`] characters of `[A-Za-z0-9_.:-]`, the first a letter or digit. As serde data it
    /// is a string, checked when read.
    ///
    /// ```
    /// use keyward::access::RoleName;
    ///
    /// assert!("support.eu".parse::<RoleName>().is_ok());
    /// assert!("no blanks".parse::<RoleName>().is_err());
    /// ```
    RoleName, check_role_name
}

impl RoleName {
    /// The most bytes a role name may have: it travels in every audit event.
    pub const MAX_LEN: usize = 64;
}

fn check_role_name(text: &str) -> Result<(), NameError> {
    check_length(text, RoleName::MAX_LEN)?;
    check_bytes(text, |at, byte| {
        byte.is_ascii_alphanumeric() || (at > 0 && matches!(byte, b'_' | b'.' | b':' | b'-'))
    })
}

/// Whether keys of a role can be platform-wide.
///
/// As data: `"bound"` or `"all_tenants"`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new reach must break every match that decides over tenants"
)]
pub enum TenantReach {
    /// Never: a key of this role reaches at most the tenant it is bound to.
    #[default]
    Bound,
    /// Those that were issued as platform-wide reach every tenant; the others stay bound.
    AllTenants,
}

/// A named set of grants, resolved when a key is checked: changing a role changes every key of that role at once.
///
/// As data: `{"name": "broker", "grants": ["send_email", "leads:*"], "reach": "bound"}`; `reach` may be left out and
/// is then `bound`. Reading is strict, since a policy is written by the application and not found in a store.
///
/// ```
/// use keyward::access::{Role, TenantReach};
///
/// # fn main() -> Result<(), keyward::access::PolicyError> {
/// let admin = Role::new("admin", ["manage_keys", "billing:*"])?.with_reach(TenantReach::AllTenants);
/// assert_eq!(admin.name().as_str(), "admin");
/// assert_eq!(admin.grants().len(), 2);
/// assert!(Role::new("broken", ["re*"]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "RoleData")]
pub struct Role {
    name: RoleName,
    // INVARIANT: every one is well-formed.
    grants: Vec<Scope>,
    reach: TenantReach,
}

impl Role {
    /// Returns a role that grants these scopes, bound to the key's tenant.
    ///
    /// # Errors
    ///
    /// * [`PolicyError::Name`] if the name is no role name;
    /// * [`PolicyError::Grant`] for the first grant that is no scope.
    pub fn new<I>(name: &str, grants: I) -> Result<Self, PolicyError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let name: RoleName = name.parse().map_err(PolicyError::Name)?;
        let grants = parse_grants(&name, grants)?;
        Ok(Self {
            name,
            grants,
            reach: TenantReach::Bound,
        })
    }

    /// Sets whether keys of this role can be platform-wide.
    #[must_use]
    pub fn with_reach(mut self, reach: TenantReach) -> Self {
        self.reach = reach;
        self
    }

    /// Returns the name that keys carry.
    #[must_use]
    pub fn name(&self) -> &RoleName {
        &self.name
    }

    /// Returns what the role grants, in the order given.
    #[must_use]
    pub fn grants(&self) -> &[Scope] {
        &self.grants
    }

    /// Returns whether keys of this role can be platform-wide.
    #[must_use]
    pub fn reach(&self) -> TenantReach {
        self.reach
    }
}

fn parse_grants<I>(role: &RoleName, grants: I) -> Result<Vec<Scope>, PolicyError>
where
    I: IntoIterator<Item: AsRef<str>>,
{
    let parse = |(index, text): (usize, I::Item)| {
        let scope = text.as_ref().parse::<Scope>();
        scope.map_err(|source| PolicyError::Grant {
            role: role.clone(),
            index,
            source,
        })
    };
    grants.into_iter().enumerate().map(parse).collect()
}

/// A role as it stands in a file, before its grants are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleData {
    name: String,
    grants: Vec<String>,
    #[serde(default)]
    reach: TenantReach,
}

impl TryFrom<RoleData> for Role {
    type Error = PolicyError;

    fn try_from(data: RoleData) -> Result<Self, Self::Error> {
        Ok(Self::new(&data.name, data.grants)?.with_reach(data.reach))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_keep_their_case_and_refuse_the_rest() {
        for text in ["broker", "Broker", "7", "a_b.c:d-e"] {
            assert_eq!(text.parse::<RoleName>().unwrap().as_str(), text);
        }
        for (text, at) in [("-a", 0), ("a b", 1), ("a\n", 1), ("*", 0), ("ä", 0)] {
            assert_eq!(
                text.parse::<RoleName>(),
                Err(NameError::BadCharacter { at }),
                "{text:?}"
            );
        }
        assert_eq!("".parse::<RoleName>(), Err(NameError::Empty));
    }

    #[test]
    fn role_names_take_64_bytes_and_refuse_65() {
        assert!("r".repeat(64).parse::<RoleName>().is_ok());
        assert_eq!(
            "r".repeat(65).parse::<RoleName>(),
            Err(NameError::TooLong { max: 64 })
        );
    }

    #[test]
    fn refuses_an_ill_formed_grant_and_says_which() {
        let error = Role::new("broker", ["send_email", "re*"]).unwrap_err();
        assert_eq!(error.to_string(), "grant 1 of role `broker` is no scope");
    }

    #[test]
    fn reads_a_role_strictly_from_data() {
        let json = r#"{"name":"broker","grants":["leads:*"],"reach":"all_tenants"}"#;
        let role: Role = serde_json::from_str(json).unwrap();
        assert_eq!(role.reach(), TenantReach::AllTenants);
        assert_eq!(serde_json::to_string(&role).unwrap(), json);

        let bound: Role = serde_json::from_str(r#"{"name":"broker","grants":[]}"#).unwrap();
        assert_eq!(bound.reach(), TenantReach::Bound);
        for bad in [
            r#"{"name":"broker","grants":["re*"]}"#,
            r#"{"name":"broker"}"#,
            r#"{"name":"bro ker","grants":[]}"#,
            r#"{"name":"broker","grants":[],"tenants":"all"}"#,
        ] {
            assert!(serde_json::from_str::<Role>(bad).is_err(), "{bad}");
        }
    }
}

//! A named set of grants, shared by every key that carries it.

use serde::{Deserialize, Deserializer, Serialize};

use super::name::{NameError, check_bytes, check_length, checked_name};
use super::policy::PolicyError;
use super::scope::Scope;
use crate::networks::Networks;

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
/// As data: `{"name": "broker", "grants": ["send_email", "leads:*"], "reach": "bound", "networks": ["10.0.0.0/8"]}`.
/// `reach` may be left out and is then `bound`; without `networks` keys of the role may be used from anywhere, and with an
/// empty list from nowhere. Reading is strict, since a policy is written by the application and not found in a store.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Networks>,
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
            networks: None,
        })
    }

    /// Sets whether keys of this role can be platform-wide.
    #[must_use]
    pub fn with_reach(mut self, reach: TenantReach) -> Self {
        self.reach = reach;
        self
    }

    /// Sets the networks from which keys of this role may be used, besides what each key's own list says: an address must
    /// lie in both. An empty list allows nobody.
    ///
    /// ```
    /// use keyward::access::Role;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let admin = Role::new("admin", ["manage_keys"])?.with_networks("10.0.0.0/8, fd00::/8".parse()?);
    /// assert!(admin.networks().is_some_and(|office| office.contains("10.1.2.3".parse().unwrap())));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_networks(mut self, networks: Networks) -> Self {
        self.networks = Some(networks);
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

    /// Returns the networks from which keys of this role may be used; `None` for anywhere.
    #[must_use]
    pub fn networks(&self) -> Option<&Networks> {
        self.networks.as_ref()
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
    #[serde(default, deserialize_with = "stated")]
    networks: Option<Networks>,
}

/// SECURITY: a `null` where a list is expected is a mistake, and not the wish to be reached from anywhere.
fn stated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Networks>, D::Error> {
    Networks::deserialize(deserializer).map(Some)
}

impl TryFrom<RoleData> for Role {
    type Error = PolicyError;

    fn try_from(data: RoleData) -> Result<Self, Self::Error> {
        let role = Self::new(&data.name, data.grants)?.with_reach(data.reach);
        Ok(Self {
            networks: data.networks,
            ..role
        })
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

    #[test]
    fn reads_networks_strictly_from_data() {
        let json = r#"{"name":"broker","grants":[],"reach":"bound","networks":["10.0.0.0/8"]}"#;
        let role: Role = serde_json::from_str(json).unwrap();
        assert_eq!(role.networks(), Some(&"10.0.0.0/8".parse().unwrap()));
        assert_eq!(serde_json::to_string(&role).unwrap(), json);

        let nowhere: Role =
            serde_json::from_str(r#"{"name":"broker","grants":[],"networks":[]}"#).unwrap();
        assert_eq!(nowhere.networks(), Some(&"".parse().unwrap()));
        for bad in ["null", r#""10.0.0.0/8""#, r#"["10.0.0.0/33"]"#, r#"[""]"#] {
            let json = format!(r#"{{"name":"broker","grants":[],"networks":{bad}}}"#);
            assert!(serde_json::from_str::<Role>(&json).is_err(), "{bad}");
        }
    }
}

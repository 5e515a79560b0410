//! What a key carries: a role, scopes, or a role narrowed by scopes.

use serde::{Deserialize, Serialize};

use super::role::RoleName;
use super::scope::Scope;

/// What a key carries. Which of the three it is stands in the type, so nothing is ever read into an empty list.
///
/// The variants can be built freely, because records come back from stores as they are; a service that creates a
/// key uses the checked constructors, or [`Grant::check`].
///
/// As data: `{"role": "broker"}`, `{"scopes": ["leads:read"]}` or
/// `{"role_with_scopes": {"role": "broker", "scopes": ["leads:read"]}}`. Scopes are read leniently, as
/// [`Scope::from_stored`] does; anything else that does not fit is an error.
///
/// ```
/// use keyward::access::{Grant, Scope};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let everything_of_the_role = Grant::Role("broker".parse()?);
/// let what_was_picked = Grant::try_scopes(["leads:read".parse::<Scope>()?])?;
/// let both = Grant::try_role_with_scopes("broker".parse()?, ["leads:*".parse::<Scope>()?])?;
/// assert_eq!(everything_of_the_role.scopes(), None);
/// assert_eq!(what_was_picked.role(), None);
/// assert!(both.role().is_some() && both.scopes().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new kind of grant must break every match that decides over access"
)]
pub enum Grant {
    /// All that the role grants, at the moment of the check.
    Role(RoleName),
    /// What was picked, and no role. An empty list is nothing.
    Scopes(Vec<Scope>),
    /// What role and scopes both grant. An empty list is nothing.
    RoleWithScopes {
        /// The role, resolved at the moment of the check.
        role: RoleName,
        /// The scopes that narrow it.
        scopes: Vec<Scope>,
    },
}

impl Grant {
    /// The most scopes a key may carry. Every one is looked at on every request; a hundred still takes microseconds.
    pub const MAX_SCOPES: usize = 100;

    /// Returns a grant of these scopes and no role.
    ///
    /// # Errors
    ///
    /// As [`check_scopes`].
    pub fn try_scopes(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeListError> {
        collect(scopes).map(Self::Scopes)
    }

    /// Returns a grant of what the role and these scopes have in common.
    ///
    /// # Errors
    ///
    /// As [`check_scopes`].
    pub fn try_role_with_scopes(
        role: RoleName,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Result<Self, ScopeListError> {
        collect(scopes).map(|scopes| Self::RoleWithScopes { role, scopes })
    }

    /// Checks that a key may be created with this grant.
    ///
    /// # Errors
    ///
    /// As [`check_scopes`].
    pub fn check(&self) -> Result<(), ScopeListError> {
        check_scopes(self.scopes().unwrap_or_default())
    }

    /// Returns the role, if the grant has one.
    #[must_use]
    pub fn role(&self) -> Option<&RoleName> {
        match self {
            Self::Role(role) | Self::RoleWithScopes { role, .. } => Some(role),
            Self::Scopes(_) => None,
        }
    }

    /// Returns the scopes, if the grant has a list of them; an empty list is `Some` and grants nothing.
    #[must_use]
    pub fn scopes(&self) -> Option<&[Scope]> {
        match self {
            Self::Scopes(scopes) | Self::RoleWithScopes { scopes, .. } => Some(scopes),
            Self::Role(_) => None,
        }
    }
}

/// Collects one scope more than allowed at most, so that an endless list ends in an error.
fn collect(scopes: impl IntoIterator<Item = Scope>) -> Result<Vec<Scope>, ScopeListError> {
    let scopes: Vec<Scope> = scopes.into_iter().take(Grant::MAX_SCOPES + 1).collect();
    check_scopes(&scopes)?;
    Ok(scopes)
}

/// Checks that a key may be created with these scopes, be they granted or denied.
///
/// # Errors
///
/// * [`ScopeListError::TooMany`] if there are more than [`Grant::MAX_SCOPES`];
/// * [`ScopeListError::IllFormed`] for the first text that is no scope.
pub fn check_scopes(scopes: &[Scope]) -> Result<(), ScopeListError> {
    if scopes.len() > Grant::MAX_SCOPES {
        return Err(ScopeListError::TooMany {
            max: Grant::MAX_SCOPES,
        });
    }
    match scopes.iter().position(|scope| !scope.is_well_formed()) {
        Some(index) => Err(ScopeListError::IllFormed { index }),
        None => Ok(()),
    }
}

/// Why a list of scopes is refused when a key is created.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeListError {
    /// More scopes than a key may carry.
    #[error("more than {max} scopes")]
    TooMany {
        /// The most a key may carry.
        max: usize,
    },
    /// One of them is no scope.
    #[error("scope {index} is ill-formed")]
    IllFormed {
        /// Which one, counted from 0.
        index: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(count: usize) -> impl Iterator<Item = Scope> {
        (0..count).map(|n| format!("scope{n}").parse().unwrap())
    }

    #[test]
    fn takes_100_scopes_and_refuses_101() {
        assert!(Grant::try_scopes(scopes(100)).is_ok());
        let too_many = ScopeListError::TooMany { max: 100 };
        assert_eq!(Grant::try_scopes(scopes(101)), Err(too_many));
        let role = "broker".parse().unwrap();
        assert_eq!(
            Grant::try_role_with_scopes(role, scopes(101)),
            Err(too_many)
        );
        assert_eq!(Grant::Scopes(scopes(101).collect()).check(), Err(too_many));
    }

    #[test]
    fn creation_refuses_a_scope_that_came_in_unchecked() {
        let list = ["read", "re*"].map(Scope::from_stored);
        assert_eq!(
            Grant::try_scopes(list),
            Err(ScopeListError::IllFormed { index: 1 })
        );
        assert!(Grant::try_scopes([Scope::from_stored("read")]).is_ok());
    }

    #[test]
    fn keeps_its_kind_through_data() {
        let role = || "broker".parse::<RoleName>().unwrap();
        let list = || vec![Scope::from_stored("a:*"), Scope::from_stored("re*")];
        for (grant, json) in [
            (Grant::Role(role()), r#"{"role":"broker"}"#),
            (Grant::Scopes(list()), r#"{"scopes":["a:*","re*"]}"#),
            (
                Grant::RoleWithScopes {
                    role: role(),
                    scopes: list(),
                },
                r#"{"role_with_scopes":{"role":"broker","scopes":["a:*","re*"]}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&grant).unwrap(), json);
            assert_eq!(serde_json::from_str::<Grant>(json).unwrap(), grant);
        }
    }

    #[test]
    fn data_that_could_be_read_as_more_is_refused() {
        for bad in [
            r#"{"role":"broker","scopes":["read"]}"#,
            r#"{"role_with_scopes":{"role":"broker"}}"#,
            r#"{"role_with_scopes":{"role":"broker","scopes":null}}"#,
            r#"{"role_with_scopes":{"role":"broker","scopes":[],"deny":[]}}"#,
            r#"{"role":"bro ker"}"#,
            r#"{}"#,
            "null",
        ] {
            assert!(serde_json::from_str::<Grant>(bad).is_err(), "{bad}");
        }
    }
}

//! What keys that anybody can read may hold.

use super::evaluate::any_covers;
use super::grant::Grant;
use super::permission::Permission;
use super::policy::AccessPolicy;
use super::role::{Role, RoleName};
use super::scope::Scope;
use super::subject::Subject;
use super::tenant::TenantBinding;
use crate::kind::KeyKind;

impl AccessPolicy {
    /// Returns what publishable keys may do, at most, in the order given. Nothing unless the policy says so.
    #[must_use]
    pub fn publishable(&self) -> &[Scope] {
        &self.publishable
    }

    /// Returns whether publishable keys may have this permission.
    #[must_use]
    pub fn publishes(&self, permission: &Permission) -> bool {
        any_covers(&self.publishable, permission)
    }

    /// Checks that a publishable key is written so that it can never do anything else than what may be published. A secret
    /// key always passes.
    ///
    /// With scopes, every one of them must lie inside the [list](Self::publishable); without, every grant of the role. It
    /// must not be platform-wide.
    ///
    /// [`AccessPolicy::evaluate`] holds the key to the list whatever this says; this tells whoever makes it in time.
    ///
    /// # Errors
    ///
    /// [`PublishableError`], for the first of these that is broken.
    ///
    /// ```
    /// use keyward::access::{AccessPolicy, Grant, PublishableError, Role, Subject, TenantBinding};
    /// use keyward::key::KeyKind;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let policy = AccessPolicy::builder()
    ///     .role(Role::new("storefront", ["catalogue:read"])?)
    ///     .role(Role::new("agent", ["catalogue:*"])?)
    ///     .publishable(["catalogue:read", "leads:create"])
    ///     .build()?;
    /// let of_role = |role: &str| -> Result<_, Box<dyn std::error::Error>> {
    ///     let grant = Grant::Role(role.parse()?);
    ///     let key = Subject::new(&grant, &[], &TenantBinding::None, KeyKind::Publishable);
    ///     Ok(policy.check_publishable(&key))
    /// };
    /// assert_eq!(of_role("storefront")?, Ok(()));
    /// assert_eq!(of_role("agent")?, Err(PublishableError::Scope("catalogue:*".parse()?)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_publishable(&self, key: &Subject<'_>) -> Result<(), PublishableError> {
        match key.kind() {
            KeyKind::Secret => return Ok(()),
            KeyKind::Publishable => {}
        }
        if *key.tenant() == TenantBinding::Platform {
            return Err(PublishableError::Platform);
        }
        match self.written(key.grant())?.iter().find(|it| !self.holds(it)) {
            Some(outside) => Err(PublishableError::Scope(outside.clone())),
            None => Ok(()),
        }
    }

    /// What a key of that kind may hold at most, if there is such a bound.
    pub(super) fn ceiling_of(&self, kind: KeyKind) -> Option<&[Scope]> {
        match kind {
            KeyKind::Secret => None,
            KeyKind::Publishable => Some(&self.publishable),
        }
    }

    /// Scopes beside a role count alone, as for what one key may hand out: they hold whatever becomes of the role.
    fn written<'a>(&'a self, grant: &'a Grant) -> Result<&'a [Scope], PublishableError> {
        match (grant.scopes(), grant.role()) {
            (Some(scopes), _) => Ok(scopes),
            (None, Some(name)) => {
                let role = self.role(name).map(Role::grants);
                role.ok_or_else(|| PublishableError::UnknownRole(name.clone()))
            }
            (None, None) => Ok(&[]),
        }
    }

    fn holds(&self, scope: &Scope) -> bool {
        self.publishable.iter().any(|own| own.covers_scope(scope))
    }
}

/// Why a key cannot be publishable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishableError {
    /// The policy does not publish all of this scope, or it is ill-formed. It stands on the key, or among the grants of its
    /// role.
    #[error("`{0}` is not publishable")]
    Scope(Scope),
    /// The policy does not know this role.
    #[error("role `{0}` is unknown")]
    UnknownRole(RoleName),
    /// The key would be platform-wide.
    #[error("a publishable key is never platform-wide")]
    Platform,
}

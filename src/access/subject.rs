//! Who asks.

use super::grant::Grant;
use super::scope::Scope;
use super::tenant::TenantBinding;
use crate::kind::KeyKind;

/// What counts of a key when access is decided, borrowed from its record.
///
/// All of it has to be given at once, so that denied scopes, the tenant or the kind cannot be forgotten.
///
/// ```
/// use keyward::access::{Grant, Scope, Subject, TenantBinding};
/// use keyward::key::KeyKind;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let grant = Grant::Role("broker".parse()?);
/// let denied = ["leads:delete".parse::<Scope>()?];
/// let key = Subject::new(&grant, &denied, &TenantBinding::None, KeyKind::Secret);
/// assert_eq!(key.denied(), denied);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subject<'a> {
    grant: &'a Grant,
    denied: &'a [Scope],
    tenant: &'a TenantBinding,
    kind: KeyKind,
}

impl<'a> Subject<'a> {
    /// Returns the view of a key with this grant, these denied scopes and this tenant binding, of this kind.
    #[must_use]
    pub fn new(
        grant: &'a Grant,
        denied: &'a [Scope],
        tenant: &'a TenantBinding,
        kind: KeyKind,
    ) -> Self {
        Self {
            grant,
            denied,
            tenant,
            kind,
        }
    }

    /// Returns what the key carries.
    #[must_use]
    pub fn grant(&self) -> &'a Grant {
        self.grant
    }

    /// Returns what the key is denied whatever it carries.
    #[must_use]
    pub fn denied(&self) -> &'a [Scope] {
        self.denied
    }

    /// Returns whose resources the key reaches.
    #[must_use]
    pub fn tenant(&self) -> &'a TenantBinding {
        self.tenant
    }

    /// Returns whether the key is kept secret or handed to clients.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }
}

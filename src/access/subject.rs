//! Who asks.

use super::grant::Grant;
use super::scope::Scope;
use super::tenant::TenantBinding;

/// What counts of a key when access is decided, borrowed from its record.
///
/// All of it has to be given at once, so that denied scopes or the tenant cannot be forgotten.
///
/// ```
/// use keyward::access::{Grant, Scope, Subject, TenantBinding};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let grant = Grant::Role("broker".parse()?);
/// let denied = ["leads:delete".parse::<Scope>()?];
/// let key = Subject::new(&grant, &denied, &TenantBinding::None);
/// assert_eq!(key.denied(), denied);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subject<'a> {
    grant: &'a Grant,
    denied: &'a [Scope],
    tenant: &'a TenantBinding,
}

impl<'a> Subject<'a> {
    /// Returns the view of a key with this grant, these denied scopes and this tenant binding.
    #[must_use]
    pub fn new(grant: &'a Grant, denied: &'a [Scope], tenant: &'a TenantBinding) -> Self {
        Self {
            grant,
            denied,
            tenant,
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
}

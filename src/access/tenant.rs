//! Whose resources a key reaches, and whose resource an operation is about.

use serde::{Deserialize, Serialize};

use super::name::{NameError, check_bytes, check_length, checked_name};

checked_name! {
    /// Names one tenant: the customer, workspace or organisation that owns resources.
    ///
    /// One to [`TenantId::MAX_LEN`] visible ASCII characters (no blanks, no control characters), compared byte for byte.
    /// `*` is refused: all tenants is [`TenantBinding::Platform`], never a tenant's name. As serde data it is a
    /// string, checked when read; a store that holds anything else fails to read rather than guess.
    ///
    /// ```
    /// use keyward::access::TenantId;
    ///
    /// assert!("acme-7".parse::<TenantId>().is_ok());
    /// assert!("*".parse::<TenantId>().is_err());
    /// assert_ne!("acme".parse::<TenantId>(), "Acme".parse::<TenantId>());
    /// ```
    TenantId, check_tenant
}

impl TenantId {
    /// The most bytes a tenant id may have: room for a UUID, a URN or a host name.
    pub const MAX_LEN: usize = 128;
}

fn check_tenant(text: &str) -> Result<(), NameError> {
    check_length(text, TenantId::MAX_LEN)?;
    check_bytes(text, |_, byte| byte.is_ascii_graphic())?;
    if text == "*" {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Whose resources a key reaches.
///
/// As data: `"none"`, `{"tenant": "acme"}` or `"platform"`.
///
/// ```
/// use keyward::access::TenantBinding;
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let bound: TenantBinding = serde_json::from_str(r#"{"tenant": "acme"}"#)?;
/// assert_eq!(bound.tenant().map(|tenant| tenant.as_str()), Some("acme"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new kind of binding must break every match that decides over tenants"
)]
pub enum TenantBinding {
    /// No tenant's: only operations that belong to no tenant ([`Target::Service`]).
    #[default]
    None,
    /// The resources of this tenant.
    Tenant(TenantId),
    /// Every tenant's, provided that the key's role allows it as well
    /// ([`TenantReach::AllTenants`](super::TenantReach::AllTenants)).
    Platform,
}

impl TenantBinding {
    /// Returns the one tenant the key is bound to.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::None | Self::Platform => None,
        }
    }
}

/// What an operation is about.
///
/// It has to be said on every evaluation, so that a forgotten tenant is a decision somebody took.
///
/// ```
/// use keyward::access::{Target, TenantId};
///
/// # fn main() -> Result<(), keyward::access::NameError> {
/// let acme: TenantId = "acme".parse()?;
/// assert_eq!(Target::tenant_of(Some(&acme)), Target::Tenant(&acme));
/// assert_eq!(Target::tenant_of(None), Target::Unknown);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new kind of target must break every match that decides over tenants"
)]
pub enum Target<'a> {
    /// An operation that belongs to no tenant at all ("send an e-mail", "who am I"). The tenant rule does not apply.
    Service,
    /// A resource of this tenant.
    Tenant(&'a TenantId),
    /// A tenant's resource, but nobody knows which tenant's. Equals nothing: always denied.
    Unknown,
}

impl<'a> Target<'a> {
    /// Returns the target for a tenant's resource whose tenant may be missing. Missing is unknown, never the service.
    #[must_use]
    pub fn tenant_of(tenant: Option<&'a TenantId>) -> Self {
        tenant.map_or(Self::Unknown, Self::Tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TenantId, NameError> {
        text.parse()
    }

    #[test]
    fn accepts_visible_ascii() {
        for text in ["t", "acme", "Acme/7", "urn:x:1", "a*", "**", "-"] {
            assert_eq!(parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_blanks_controls_other_alphabets_and_the_star() {
        assert_eq!(parse(""), Err(NameError::Empty));
        assert_eq!(parse("*"), Err(NameError::Reserved));
        for (text, at) in [
            (" a", 0),
            ("a ", 1),
            ("a\t", 1),
            ("a\0", 1),
            ("a\u{7f}", 1),
            ("aé", 1),
        ] {
            assert_eq!(parse(text), Err(NameError::BadCharacter { at }), "{text:?}");
        }
    }

    #[test]
    fn takes_128_bytes_and_refuses_129() {
        assert!(parse(&"t".repeat(128)).is_ok());
        assert_eq!(
            parse(&"t".repeat(129)),
            Err(NameError::TooLong { max: 128 })
        );
    }

    #[test]
    fn a_binding_keeps_its_kind_through_data() {
        let bindings = [
            (TenantBinding::None, r#""none""#),
            (
                TenantBinding::Tenant(parse("t1").unwrap()),
                r#"{"tenant":"t1"}"#,
            ),
            (TenantBinding::Platform, r#""platform""#),
        ];
        for (binding, json) in bindings {
            assert_eq!(serde_json::to_string(&binding).unwrap(), json);
            assert_eq!(
                serde_json::from_str::<TenantBinding>(json).unwrap(),
                binding
            );
        }
    }

    #[test]
    fn a_binding_to_a_star_cannot_be_read() {
        assert!(serde_json::from_str::<TenantBinding>(r#"{"tenant":"*"}"#).is_err());
        assert!(serde_json::from_str::<TenantBinding>("null").is_err());
    }
}

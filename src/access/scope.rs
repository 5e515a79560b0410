//! A permission, or all permissions below a name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{NameError, check_length};
use super::permission::{Permission, check_permission};

/// What a key or a role is given: one permission, or everything below a name (`billing:*`).
///
/// `billing:*` covers one or more further segments (`billing:read`, `billing:invoice:read`), never `billing` itself and
/// never a sibling that starts with the same letters (`billing_admin`). A star anywhere else is no scope.
///
/// There are two ways in. Parsing is strict and is for creation. [`Scope::from_stored`] is for data at rest and
/// never fails, so that one bad row cannot make a key unreadable: a text that is no scope is kept as it is and **grants
/// nothing**. Deserialising takes the second way; check what arrives from outside with
/// [`check_scopes`](super::check_scopes).
///
/// ```
/// use keyward::access::Scope;
///
/// # fn main() -> Result<(), keyward::access::NameError> {
/// let billing: Scope = "billing:*".parse()?;
/// assert!(billing.covers(&"billing:invoice:read".parse()?));
/// assert!(!billing.covers(&"billing".parse()?));
///
/// assert!("*".parse::<Scope>().is_err());
/// let stored = Scope::from_stored("*");
/// assert!(!stored.is_well_formed());
/// assert!(!stored.covers(&"billing:read".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Scope {
    text: Arc<str>,
    // INVARIANT: a function of `text`, so comparing both is comparing the text.
    form: Form,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Form {
    Exact,
    Below,
    IllFormed,
}

impl Scope {
    /// The most bytes a scope may have, the same as for a permission.
    pub const MAX_LEN: usize = Permission::MAX_LEN;

    /// Takes a text found in a store as it is; if it is no scope, it grants nothing.
    #[must_use]
    pub fn from_stored(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let form = form_of(&text).unwrap_or(Form::IllFormed);
        Self { text, form }
    }

    /// Returns whether this is a scope at all. What is not grants nothing, and as a denied scope denies everything.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.form != Form::IllFormed
    }

    /// Returns the text as it was given, byte for byte.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the permission is this one, or one below it.
    #[must_use]
    pub fn covers(&self, permission: &Permission) -> bool {
        self.covers_text(permission.as_str())
    }

    /// Returns whether every permission that `other` can ever cover is covered by this scope as well.
    ///
    /// What is ill-formed covers nothing and is covered by nothing.
    ///
    /// ```
    /// use keyward::access::Scope;
    ///
    /// # fn main() -> Result<(), keyward::access::NameError> {
    /// let billing: Scope = "billing:*".parse()?;
    /// let invoices: Scope = "billing:invoice:*".parse()?;
    /// assert!(billing.covers_scope(&invoices));
    /// assert!(!invoices.covers_scope(&billing));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn covers_scope(&self, other: &Self) -> bool {
        other.is_well_formed() && self.covers_text(&other.text)
    }

    /// `text` must be well-formed. A wildcard below reads like any other last segment.
    fn covers_text(&self, text: &str) -> bool {
        match self.form {
            Form::Exact => *self.text == *text,
            Form::Below => {
                let parent = self.text.as_bytes().strip_suffix(b"*");
                parent.is_some_and(|parent| text.as_bytes().starts_with(parent))
            }
            Form::IllFormed => false,
        }
    }
}

fn form_of(text: &str) -> Result<Form, NameError> {
    check_length(text, Scope::MAX_LEN)?;
    match text.strip_suffix(":*") {
        Some(parent) => below(parent),
        None => check_permission(text).map(|()| Form::Exact),
    }
}

fn below(parent: &str) -> Result<Form, NameError> {
    match check_permission(parent) {
        // An operator is no permission, but nothing forbids permissions below it.
        Ok(()) | Err(NameError::Reserved) => Ok(Form::Below),
        Err(NameError::Empty) => Err(NameError::EmptySegment { at: 0 }),
        Err(error) => Err(error),
    }
}

/// Writes the text; control characters, which only an ill-formed one can hold, are escaped.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_well_formed() {
            return f.write_str(&self.text);
        }
        write!(f, "{}", self.text.escape_debug())
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = form_of(text)?;
        Ok(Self {
            text: text.into(),
            form,
        })
    }
}

impl TryFrom<&str> for Scope {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Permission> for Scope {
    fn from(permission: Permission) -> Self {
        Self {
            text: permission.into(),
            form: Form::Exact,
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Lenient, as [`Scope::from_stored`] is.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    fn covers(scope_text: &str, permission: &str) -> bool {
        Scope::from_stored(scope_text).covers(&permission.parse().unwrap())
    }

    #[test]
    fn l7_a_wildcard_covers_what_is_below_and_nothing_else() {
        assert!(covers("billing:*", "billing:read"));
        assert!(covers("billing:*", "billing:invoice:read"));
        assert!(!covers("billing:*", "billing"));
        assert!(!covers("billing:*", "billing_admin"));
        assert!(!covers("billing:*", "billing-eu:read"));
        assert!(!covers("billing:invoice:*", "billing:read"));
    }

    #[test]
    fn l7_a_permission_covers_itself_only() {
        assert!(covers("foo", "foo"));
        for other in ["foo-bar", "fo", "fooo", "bar", "foo:bar"] {
            assert!(!covers("foo", other), "{other}");
        }
        assert!(!covers("foo-bar", "foo_bar"));
    }

    #[test]
    fn l8_what_creation_refuses_grants_nothing_when_found() {
        for text in [
            "",
            "*",
            ":*",
            "**",
            "re*",
            "*:read",
            "a:*:b",
            "billing:re*",
            "billing:**",
            "billing:*:",
            "billing:*:*",
            "billing:_ead",
            "Billing:*",
            " read",
            "read ",
            "read\n",
            "read,write",
            "a:",
            "and",
            "é",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
            assert!(!Scope::from_stored(text).is_well_formed(), "{text:?}");
            for permission in ["read", "billing:read", "billing:re", "a:b", "write"] {
                assert!(!covers(text, permission), "{text:?} {permission}");
            }
        }
    }

    #[test]
    fn takes_128_bytes_and_refuses_129() {
        let longest = format!("{}:*", "a".repeat(126));
        assert!(longest.parse::<Scope>().is_ok());
        let longer = format!("{}:*", "a".repeat(127));
        assert_eq!(
            longer.parse::<Scope>(),
            Err(NameError::TooLong { max: 128 })
        );
    }

    #[test]
    fn a_wider_wildcard_covers_a_narrower_one() {
        assert!(scope("a:*").covers_scope(&scope("a:*")));
        assert!(scope("a:*").covers_scope(&scope("a:b:*")));
        assert!(scope("a:*").covers_scope(&scope("a:b")));
        assert!(!scope("a:b:*").covers_scope(&scope("a:*")));
        assert!(!scope("a:b:*").covers_scope(&scope("a:b")));
        assert!(!scope("a:b").covers_scope(&scope("a:b:*")));
        assert!(!scope("a:*").covers_scope(&scope("ab:*")));
    }

    #[test]
    fn what_is_ill_formed_neither_covers_nor_is_covered() {
        let star = Scope::from_stored("a:re*");
        assert!(!scope("a:*").covers_scope(&star));
        assert!(!star.covers_scope(&star));
    }

    #[test]
    fn keeps_a_stored_text_through_data() {
        let kept: Scope = serde_json::from_str("\"re*\"").unwrap();
        assert_eq!(kept, Scope::from_stored("re*"));
        assert_eq!(serde_json::to_string(&kept).unwrap(), "\"re*\"");
    }

    #[test]
    fn shows_an_ill_formed_text_on_one_line() {
        assert_eq!(
            Scope::from_stored("a\nb\u{202e}").to_string(),
            "a\\nb\\u{202e}"
        );
        assert_eq!(scope("a:*").to_string(), "a:*");
    }
}

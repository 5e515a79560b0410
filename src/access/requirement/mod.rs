//! What an operation needs: one permission, or several combined.

mod lex;
mod parse;

use std::fmt;

use super::permission::Permission;

pub use parse::RequirementParseError;

/// What an operation needs.
///
/// Built from code, or parsed from text such as `billing:read AND (reports:read OR admin)`: operators are whole words
/// in any case, `AND` binds tighter than `OR`, blanks are spaces, tabs and line ends, at most
/// [`Requirement::MAX_CHARS`] characters and [`Requirement::MAX_NESTING`] nested parentheses. A requirement names
/// concrete permissions; a wildcard is refused.
///
/// A group of nothing is denied, whether `any` or `all`: somebody forgot to say what is needed. A group of one is
/// that one, and a group directly inside another of its kind is part of it, so that equal meaning is equal form.
///
/// [`Display`](fmt::Display) writes the text form; within the parser's bounds it parses back to the same requirement.
///
/// ```
/// use keyward::access::{Permission, Requirement};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let [read, report, admin] = ["billing:read", "reports:read", "admin"].map(Permission::try_from);
/// let built = Requirement::all([read?.into(), Requirement::any([report?, admin?])]);
/// let parsed: Requirement = "billing:read and (reports:read or admin)".parse()?;
/// assert_eq!(built, parsed);
/// assert_eq!(built.to_string(), "billing:read AND (reports:read OR admin)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Requirement(Node);

// INVARIANT: a group has two parts or more, none of them a group of its own kind, and at most MAX_DEPTH levels.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Node {
    Permission(Permission),
    Group(Combine, Vec<Self>),
    Never(Flaw),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Combine {
    Any,
    All,
}

/// What makes a requirement, or a part of it, impossible to meet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Flaw {
    Empty,
    TooDeep,
}

/// Levels of groups: each pair of parentheses, and the whole, holds at most an `any` of `all`s.
const MAX_DEPTH: usize = 2 * (Requirement::MAX_NESTING + 1);

impl Requirement {
    /// The most characters of a requirement's text, refused before parsing.
    pub const MAX_CHARS: usize = 1000;
    /// The most parentheses one inside the other. Groups built deeper than such a text can say are always denied.
    pub const MAX_NESTING: usize = 32;

    /// Returns the requirement of one permission.
    #[must_use]
    pub fn permission(permission: Permission) -> Self {
        Self(Node::Permission(permission))
    }

    /// Returns the requirement of at least one of these. Of none: always denied.
    #[must_use]
    pub fn any(parts: impl IntoIterator<Item: Into<Self>>) -> Self {
        Self(group(
            Combine::Any,
            parts.into_iter().map(|part| part.into().0),
        ))
    }

    /// Returns the requirement of every one of these. Of none: always denied.
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item: Into<Self>>) -> Self {
        Self(group(
            Combine::All,
            parts.into_iter().map(|part| part.into().0),
        ))
    }

    pub(super) fn node(&self) -> &Node {
        &self.0
    }
}

fn group(how: Combine, given: impl Iterator<Item = Node>) -> Node {
    let mut parts = Vec::new();
    for node in given {
        match node {
            Node::Group(inner, of_same_kind) if inner == how => parts.extend(of_same_kind),
            other => parts.push(other),
        }
    }
    match parts.len() {
        0 => Node::Never(Flaw::Empty),
        1 => parts.pop().unwrap_or(Node::Never(Flaw::Empty)),
        _ => bounded(Node::Group(how, parts)),
    }
}

/// Replaces what is nested too deep, so that walking and dropping a requirement cannot exhaust the stack.
fn bounded(node: Node) -> Node {
    if node.depth() > MAX_DEPTH {
        return Node::Never(Flaw::TooDeep);
    }
    node
}

impl Node {
    fn depth(&self) -> usize {
        match self {
            Self::Permission(_) | Self::Never(_) => 0,
            Self::Group(_, parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
        }
    }

    fn write_part(&self, f: &mut fmt::Formatter<'_>, within: Combine) -> fmt::Result {
        match (self, within) {
            (Self::Group(Combine::Any, _), Combine::All) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl Combine {
    fn operator(self) -> &'static str {
        match self {
            Self::Any => " OR ",
            Self::All => " AND ",
        }
    }
}

impl From<Permission> for Requirement {
    fn from(permission: Permission) -> Self {
        Self::permission(permission)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(permission) => permission.fmt(f),
            Self::Group(how, parts) => {
                for (at, part) in parts.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { how.operator() })?;
                    part.write_part(f, *how)?;
                }
                Ok(())
            }
            Self::Never(Flaw::Empty) => f.write_str("()"),
            Self::Never(Flaw::TooDeep) => f.write_str("(...)"),
        }
    }
}

/// Writes the text form. What can never be met has none and shows as `()`, or `(...)` if nested too deep.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

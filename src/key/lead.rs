//! What stands before the body of a key, for each kind of key.

use super::text::ShortText;
use super::{Environment, KeyFormatError, KeyKind, Prefix};

/// The word after the prefix by which a key says that it is publishable.
pub(crate) const PUBLISHABLE: &str = "pub";

/// Prefix, the publishable word, environment, and an underscore after each.
pub(super) const MAX_LEN: usize = Prefix::MAX_LEN + PUBLISHABLE.len() + Environment::MAX_LEN + 3;

/// The beginnings of a format's keys.
///
/// INVARIANT: none begins with the other, so every key has one reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leads {
    secret: ShortText<MAX_LEN>,
    publishable: Option<ShortText<MAX_LEN>>,
}

impl Leads {
    pub(super) fn new(prefix: &Prefix, environment: Environment, publishable: bool) -> Self {
        let short = |kind| {
            let text = lead_of(kind, prefix, environment);
            ShortText::new(text.as_bytes()).unwrap_or_default()
        };
        Self {
            secret: short(KeyKind::Secret),
            publishable: publishable.then(|| short(KeyKind::Publishable)),
        }
    }

    /// Returns what keys of that kind begin with, if the format knows the kind.
    pub(super) fn of(&self, kind: KeyKind) -> Option<&str> {
        match kind {
            KeyKind::Secret => Some(self.secret.as_str()),
            KeyKind::Publishable => self.publishable.as_ref().map(ShortText::as_str),
        }
    }

    pub(super) const fn knows(&self, kind: KeyKind) -> bool {
        match kind {
            KeyKind::Secret => true,
            KeyKind::Publishable => self.publishable.is_some(),
        }
    }

    /// Returns the kind that a key claims, and its body.
    pub(super) fn strip<'k>(&self, presented: &'k [u8]) -> Option<(KeyKind, &'k [u8])> {
        if let Some(body) = presented.strip_prefix(self.secret.as_bytes()) {
            return Some((KeyKind::Secret, body));
        }
        let lead = self.publishable.as_ref()?;
        let body = presented.strip_prefix(lead.as_bytes())?;
        Some((KeyKind::Publishable, body))
    }
}

/// Returns what a key begins with.
pub(crate) fn lead_of(kind: KeyKind, prefix: &Prefix, environment: Environment) -> String {
    match kind {
        KeyKind::Secret => format!("{prefix}_{environment}_"),
        KeyKind::Publishable => format!("{prefix}_{PUBLISHABLE}_{environment}_"),
    }
}

/// SECURITY: a secret key must not say that it may be published, and one text must not be a publishable key to this format
/// and a secret one to another.
pub(super) fn check_publishable(
    prefix: &Prefix,
    environment: Environment,
) -> Result<(), KeyFormatError> {
    let last_word = prefix.as_str().rsplit('_').next();
    if last_word == Some(PUBLISHABLE) || environment.as_str() == PUBLISHABLE {
        return Err(KeyFormatError::PublishableWord);
    }
    Ok(())
}

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HashError, encoding};

/// The text that a store keeps of a secret. It names its scheme and parameters, so that schemes can live side by side.
///
/// | form | meaning |
/// |---|---|
/// | `$2b$12$…` (also `$2a$`, `$2y$`) | bcrypt over the secret |
/// | `$argon2id$v=19$m=19456,t=2,p=1$…$…` | Argon2id over the secret |
/// | `$pepper$v=3` followed by one of the above | the same, over a keyed digest of key id and secret |
/// | `$hmac-sha256$v=3$…` | keyed digest of key id and secret, nothing slow |
/// | `$import-whole` followed by bcrypt or Argon2id | as another system made it, over the whole key string |
/// | `$import-sha256$` and 64 hex digits | as another system made it, over the whole key string |
/// | `$import-sha256-secret$` and 64 hex digits | as another system made it, over the secret |
///
/// Any text can be held, so that reading a row never fails; [`Hashing`](super::Hashing) refuses what it cannot read.
/// `Debug` shows nothing of it. Equality is for comparing two stored texts, never a stored one with a computed one.
///
/// ```
/// use keyward::hash::DigestText;
///
/// let digest = DigestText::import_sha256_whole(&"ab".repeat(32)).unwrap();
/// assert!(digest.as_str().starts_with("$import-sha256$"));
/// assert_eq!(format!("{digest:?}"), "DigestText(..)");
/// ```
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DigestText(Arc<str>);

impl DigestText {
    /// Takes a text as it was stored.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Takes over a slow digest (bcrypt, Argon2id) that another system made over the whole key string.
    ///
    /// Whether its cost is accepted shows in [`Hashing::plan`](super::Hashing::plan).
    ///
    /// # Errors
    ///
    /// [`HashError::Malformed`] when the text is no plain slow digest.
    pub fn import_whole(slow: &str) -> Result<Self, HashError> {
        Self::checked(format!("{WHOLE}{slow}"))
    }

    /// Takes over SHA-256 in hex that another system made over the whole key string.
    ///
    /// # Errors
    ///
    /// [`HashError::Malformed`] when the text is not 64 hex digits.
    ///
    /// # Security
    ///
    /// An unkeyed fast digest protects only secrets that cannot be guessed. It is replaced on the next successful use.
    pub fn import_sha256_whole(hex: &str) -> Result<Self, HashError> {
        Self::checked(format!("{SHA256_WHOLE}{hex}"))
    }

    /// Takes over SHA-256 in hex that another system made over the secret part alone.
    ///
    /// # Errors
    ///
    /// [`HashError::Malformed`] when the text is not 64 hex digits.
    ///
    /// # Security
    ///
    /// See [`DigestText::import_sha256_whole`].
    pub fn import_sha256_secret(hex: &str) -> Result<Self, HashError> {
        Self::checked(format!("{SHA256_SECRET}{hex}"))
    }

    /// Returns the text as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn peppered(version: u32, slow: &Self) -> Self {
        Self::new(format!("{PEPPER}{version}{}", slow.as_str()))
    }

    fn checked(text: String) -> Result<Self, HashError> {
        Form::parse(&text)?;
        Ok(Self::new(text))
    }
}

impl fmt::Debug for DigestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestText(..)")
    }
}

impl From<String> for DigestText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for DigestText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// What an imported SHA-256 was made over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Over {
    Secret,
    WholeKey,
}

/// A stored text, taken apart as far as the wrapper goes; the body belongs to a hasher.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form<'t> {
    ImportedSha256 { over: Over, digest: [u8; 32] },
    ImportedWhole { body: &'t str },
    Peppered { version: u32, body: &'t str },
    Plain { body: &'t str },
}

const PEPPER: &str = "$pepper$v=";
const WHOLE: &str = "$import-whole";
const SHA256_WHOLE: &str = "$import-sha256$";
const SHA256_SECRET: &str = "$import-sha256-secret$";
const RESERVED: [&str; 2] = ["$pepper", "$import"];

/// Longest text that is looked at, in bytes. The longest of ours has about 120; a hasher from outside may need more.
const LONGEST: usize = 512;

impl<'t> Form<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, HashError> {
        if text.len() > LONGEST {
            return Err(HashError::Malformed);
        }
        if let Some(rest) = text.strip_prefix(PEPPER) {
            return peppered(rest);
        }
        if let Some(body) = text.strip_prefix(WHOLE) {
            return Ok(Self::ImportedWhole { body: bare(body)? });
        }
        if let Some(hex) = text.strip_prefix(SHA256_WHOLE) {
            return sha256(Over::WholeKey, hex);
        }
        if let Some(hex) = text.strip_prefix(SHA256_SECRET) {
            return sha256(Over::Secret, hex);
        }
        Ok(Self::Plain { body: bare(text)? })
    }

    pub(super) const fn is_imported(self) -> bool {
        matches!(
            self,
            Self::ImportedSha256 { .. } | Self::ImportedWhole { .. }
        )
    }
}

fn peppered(rest: &str) -> Result<Form<'_>, HashError> {
    let dollar = rest.find('$').ok_or(HashError::Malformed)?;
    let (version, body) = rest.split_at_checked(dollar).ok_or(HashError::Malformed)?;
    Ok(Form::Peppered {
        version: encoding::positive(version).ok_or(HashError::Malformed)?,
        body: bare(body)?,
    })
}

fn sha256(over: Over, hex: &str) -> Result<Form<'_>, HashError> {
    let digest = encoding::from_hex(hex).ok_or(HashError::Malformed)?;
    Ok(Form::ImportedSha256 { over, digest })
}

/// Accepts `$scheme$…` in visible ASCII, without a wrapper of ours in front.
fn bare(body: &str) -> Result<&str, HashError> {
    let visible = body.bytes().all(|byte| byte.is_ascii_graphic());
    let scheme = body.strip_prefix('$').and_then(|rest| rest.split_once('$'));
    let named = scheme.is_some_and(|(name, _)| !name.is_empty());
    let wrapped = RESERVED.iter().any(|prefix| body.starts_with(prefix));
    if visible && named && !wrapped {
        Ok(body)
    } else {
        Err(HashError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";

    #[test]
    fn reads_each_form() {
        let hex = "0f".repeat(32);
        let digest = [0x0f; 32];
        let cases = [
            (BCRYPT.to_owned(), Form::Plain { body: BCRYPT }),
            (
                format!("$pepper$v=3{BCRYPT}"),
                Form::Peppered {
                    version: 3,
                    body: BCRYPT,
                },
            ),
            (
                format!("$import-whole{BCRYPT}"),
                Form::ImportedWhole { body: BCRYPT },
            ),
            (
                format!("$import-sha256${hex}"),
                Form::ImportedSha256 {
                    over: Over::WholeKey,
                    digest,
                },
            ),
            (
                format!("$import-sha256-secret${}", hex.to_uppercase()),
                Form::ImportedSha256 {
                    over: Over::Secret,
                    digest,
                },
            ),
        ];
        for (text, form) in cases {
            assert_eq!(Form::parse(&text).unwrap(), form, "{text}");
        }
    }

    #[test]
    fn refuses_malformed_texts() {
        let hex = "0f".repeat(32);
        let cases = [
            String::new(),
            "$".into(),
            "$$".into(),
            "$$x".into(),
            "2b$12$x".into(),
            "invalid_bcrypt_hash".into(),
            "$pepper".into(),
            "$pepper$".into(),
            "$pepper$v=".into(),
            "$pepper$v=3".into(),
            "$pepper$v=3$".into(),
            format!("$pepper$v={BCRYPT}"),
            format!("$pepper$v=0{BCRYPT}"),
            format!("$pepper$v=03{BCRYPT}"),
            format!("$pepper$v=+3{BCRYPT}"),
            format!("$pepper$v=4294967296{BCRYPT}"),
            format!("$pepper$v=3$pepper$v=3{BCRYPT}"),
            format!("$pepper$v=3$import-whole{BCRYPT}"),
            "$import-whole".into(),
            format!("$import-whole$pepper$v=3{BCRYPT}"),
            format!("$import-wholesale{BCRYPT}"),
            format!("$import-sha512${hex}"),
            "$import-sha256$".into(),
            format!("$import-sha256${hex}0"),
            format!("$import-sha256${}", hex.replace('f', "g")),
            format!("$import-sha256$ {hex}"),
            format!("{BCRYPT}\n"),
            format!("{BCRYPT}\0"),
            format!("{BCRYPT}é"),
            format!("$x${}", "y".repeat(LONGEST)),
        ];
        for text in cases {
            assert!(
                matches!(Form::parse(&text), Err(HashError::Malformed)),
                "{text}"
            );
        }
    }

    #[test]
    fn imports_only_what_it_can_read_back() {
        assert!(DigestText::import_whole(BCRYPT).is_ok());
        assert!(DigestText::import_whole("secret").is_err());
        assert!(DigestText::import_whole("$import-sha256$00").is_err());
        assert!(DigestText::import_sha256_whole("00").is_err());
        assert!(DigestText::import_sha256_secret(&"0".repeat(64)).is_ok());
    }
}

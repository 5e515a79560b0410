use super::Settings;
use crate::hash::{DigestText, HashError, encoding};

/// A PHC text, taken apart.
pub(super) struct Parts<'t> {
    pub(super) settings: Settings,
    pub(super) salt: &'t str,
    pub(super) digest: [u8; 32],
}

/// Salts of 8 bytes (Argon2's smallest) to 48 bytes, as base64 characters.
const SALT: std::ops::RangeInclusive<usize> = 11..=64;

pub(super) fn read(text: &str) -> Result<Parts<'_>, HashError> {
    let rest = text
        .strip_prefix("$argon2id$")
        .ok_or(HashError::UnknownScheme)?;
    parts(rest).ok_or(HashError::Malformed)
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let mut fields = text.strip_prefix("v=19$")?.split('$');
    let settings = settings(fields.next()?)?;
    let salt = fields.next()?;
    let digest = encoding::from_base64(fields.next()?)?;
    let readable = SALT.contains(&salt.len()) && encoding::from_base64_any(salt).is_some();
    (readable && fields.next().is_none()).then_some(Parts {
        settings,
        salt,
        digest,
    })
}

fn settings(text: &str) -> Option<Settings> {
    let mut fields = text.split(',');
    let mut field =
        |name: &str| encoding::positive(fields.next()?.strip_prefix(name)?.strip_prefix('=')?);
    let settings = Settings {
        memory: field("m")?,
        passes: field("t")?,
        lanes: field("p")?,
    };
    fields.next().is_none().then_some(settings)
}

pub(super) fn write(settings: Settings, salt: &[u8], digest: &[u8; 32]) -> DigestText {
    let Settings {
        memory,
        passes,
        lanes,
    } = settings;
    let (salt, digest) = (encoding::to_base64(salt), encoding::to_base64(digest));
    DigestText::new(format!(
        "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${digest}"
    ))
}

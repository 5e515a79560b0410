//! C2SP `signed-note`: a text, an empty line, and a line for each signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{SealKey, VerifierKey};

/// What a signature line begins with.
pub(super) const MARK: &str = "— ";
/// Most signatures that are looked at: the format asks for sixteen at least.
const MOST: usize = 100;

/// What is wrong with a checkpoint itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// It does not have the form of a checkpoint of this crate.
    Malformed,
    /// None of its signatures is by one of the keys given.
    UnknownKey,
    /// A signature in the name of one of the keys is not that key's.
    BadSignature,
    /// It is of another trail: its origin is not the name of the key that signed it.
    OtherTrail,
    /// It covers fewer lines than the one before it.
    OutOfOrder,
    /// It is signed by a key that had been replaced before.
    RetiredKey,
}

impl fmt::Display for CheckpointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not a checkpoint",
            Self::UnknownKey => "is not signed by a known key",
            Self::BadSignature => "has a signature that is forged, or was changed",
            Self::OtherTrail => "is of another trail",
            Self::RetiredKey => "is signed by a key that was replaced before",
            Self::OutOfOrder => "covers fewer lines than the one before",
        })
    }
}

/// Returns the note of a text, which ends in a line end and holds no empty line.
pub(super) fn sign(key: &SealKey, text: &str) -> String {
    let id = key.verifier().id();
    let signature = STANDARD.encode([id.as_slice(), &key.sign(text)].concat());
    let name = key.verifier().name();
    format!("{text}\n{MARK}{name} {signature}\n")
}

/// Returns the text of a note and the key that signed it. Signatures by others are left alone, as the format wants it.
pub(super) fn open<'n, 'k>(
    note: &'n str,
    keys: &'k [VerifierKey],
) -> Result<(&'n str, &'k VerifierKey), CheckpointFault> {
    let (text, signatures) = split(note).ok_or(CheckpointFault::Malformed)?;
    let mut signed_by = Err(CheckpointFault::UnknownKey);
    for (index, line) in signatures.lines().enumerate() {
        let signature = Signature::of(line).filter(|_| index < MOST);
        let signature = signature.ok_or(CheckpointFault::Malformed)?;
        let Some(key) = keys.iter().find(|key| signature.names(key)) else {
            continue;
        };
        if !key.verifies(text, &signature.bytes) {
            return Err(CheckpointFault::BadSignature);
        }
        signed_by = signed_by.or(Ok(key));
    }
    signed_by.map(|key| (text, key))
}

/// Returns the text with its last line end, and the lines of the signatures.
fn split(note: &str) -> Option<(&str, &str)> {
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return None;
    }
    let end = note.rfind("\n\n")?.checked_add(1)?;
    let (text, rest) = note.split_at_checked(end)?;
    let signatures = rest.strip_prefix('\n')?;
    signatures.ends_with('\n').then_some((text, signatures))
}

struct Signature<'n> {
    name: &'n str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'n> Signature<'n> {
    fn of(line: &'n str) -> Option<Self> {
        let (name, text) = line.strip_prefix(MARK)?.split_once(' ')?;
        let mut bytes = STANDARD.decode(text).ok()?;
        let id = *bytes.first_chunk()?;
        let bytes = bytes.split_off(id.len());
        let named = !name.is_empty() && !name.contains('+') && !bytes.is_empty();
        named.then_some(Self { name, id, bytes })
    }

    fn names(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.id == key.id()
    }
}

#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use super::TotpFactor;
use crate::hash::mac::{Mac, same};
use crate::key::ActorRef;
use crate::random::{RandomError, SecureRandom};

/// Digits and capitals without I, L, O and U, which are mistaken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 25 characters of five bits are 125 bits: above the 112 from which NIST SP 800-63B lets a fast hash keep them, and
/// far above what could be guessed, so that they need no throttle.
const LENGTH: usize = 25;
/// Characters between two dashes.
const GROUP: usize = 5;
const SALT: usize = 16;

/// A recovery code as it is compared: 25 characters of the alphabet.
pub(super) type RecoveryText = Zeroizing<[u8; LENGTH]>;

/// The recovery codes of one enrolment, in plain text: shown once, each good for one use.
///
/// There is no `Display` and no `Clone`, `Debug` shows nothing, the memory is wiped on drop, and
/// [`expose`](RecoveryCodes::expose) is the only door.
#[must_use = "the plain texts exist only here"]
pub struct RecoveryCodes(Vec<Zeroizing<String>>);

impl RecoveryCodes {
    /// Returns the codes, each like `7K2QX-0M4RV-…`: five groups of five characters.
    #[must_use]
    pub fn expose(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryCodes([{} redacted])", self.0.len())
    }
}

/// What is kept of the codes that are left.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RecoveryDigests {
    pub(super) salt: [u8; SALT],
    pub(super) digests: Vec<[u8; 32]>,
}

impl RecoveryDigests {
    /// Returns ten new codes and what is kept of them.
    pub(super) fn draw(
        actor: &ActorRef,
        random: &dyn SecureRandom,
    ) -> Result<(RecoveryCodes, Self), RandomError> {
        let mut kept = Self::default();
        random.fill(&mut kept.salt)?;
        let mut codes = Vec::with_capacity(TotpFactor::RECOVERY_CODES);
        for _ in 0..TotpFactor::RECOVERY_CODES {
            let text = draw(random)?;
            kept.digests.push(kept.digest(actor, &text));
            codes.push(grouped(&text));
        }
        Ok((RecoveryCodes(codes), kept))
    }

    fn digest(&self, actor: &ActorRef, code: &RecoveryText) -> [u8; 32] {
        Mac::new(&self.salt).over([actor.as_str().as_bytes(), code.as_slice()])
    }

    /// Returns what is left after that code was used, or nothing if it is none of them. Every digest is compared.
    pub(super) fn without(&self, actor: &ActorRef, code: &RecoveryText) -> Option<Self> {
        let used = self.digest(actor, code);
        let mut left = self.clone();
        left.digests.retain(|digest| !same(digest, &used));
        (left.digests.len() < self.digests.len()).then_some(left)
    }
}

/// Reads a recovery code as somebody typed it: in any case, with or without dashes and blanks. That costs no entropy.
pub(super) fn read(text: &str) -> Option<RecoveryText> {
    let mut code = Zeroizing::new([0; LENGTH]);
    let mut typed = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
    for place in code.iter_mut() {
        let symbol = typed.next()?.to_ascii_uppercase();
        *place = *ALPHABET.iter().find(|known| **known == symbol)?;
    }
    typed.next().is_none().then_some(code)
}

fn draw(random: &dyn SecureRandom) -> Result<RecoveryText, RandomError> {
    let mut code = Zeroizing::new([0; LENGTH]);
    random.fill(code.as_mut_slice())?;
    for place in code.iter_mut() {
        // 32 divides 256, so each symbol is as likely as any other.
        let symbol = ALPHABET.get(usize::from(*place & 0x1f));
        *place = symbol.copied().unwrap_or(b'0');
    }
    Ok(code)
}

fn grouped(code: &RecoveryText) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
    for (at, symbol) in code.iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(*symbol));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn ana() -> ActorRef {
        "user:ana".parse().unwrap()
    }

    #[test]
    fn draws_ten_different_codes_of_five_groups() {
        let (codes, kept) = RecoveryDigests::draw(&ana(), &OsRandom::new()).unwrap();
        let mut texts: Vec<_> = codes.expose().map(str::to_owned).collect();
        for text in &texts {
            assert_eq!(text.len(), 29);
            assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [5; 5]);
        }
        texts.sort();
        texts.dedup();
        assert_eq!((texts.len(), kept.digests.len()), (10, 10));
    }

    #[test]
    fn takes_each_code_once_however_it_is_typed() {
        let (codes, mut kept) = RecoveryDigests::draw(&ana(), &OsRandom::new()).unwrap();
        for (at, text) in codes.expose().enumerate() {
            let typed = match at % 3 {
                0 => text.to_lowercase(),
                1 => text.replace('-', ""),
                _ => text.replace('-', " "),
            };
            let code = read(&typed).unwrap();
            kept = kept.without(&ana(), &code).unwrap();
            assert!(kept.without(&ana(), &code).is_none());
        }
        assert!(kept.digests.is_empty());
    }

    #[test]
    fn a_code_is_of_one_actor() {
        let (codes, kept) = RecoveryDigests::draw(&ana(), &OsRandom::new()).unwrap();
        let code = read(codes.expose().next().unwrap()).unwrap();
        assert!(kept.without(&"user:bob".parse().unwrap(), &code).is_none());
    }

    #[test]
    fn reads_nothing_else_as_a_code() {
        let code = "0123456789ABCDEFGHJKMNPQR";
        assert!(read(code).is_some());
        for text in [
            "",
            "123456",
            "0123456789ABCDEFGHJKMNPQ",
            "0123456789ABCDEFGHJKMNPQRS",
            "0123456789ABCDEFGHIKMNPQR",
            "0123456789ABCDEFGHJKMNPQ\n",
            "0123456789ABCDEFGHJKMNPQé",
        ] {
            assert!(read(text).is_none(), "{text:?}");
        }
    }
}

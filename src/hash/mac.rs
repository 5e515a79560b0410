//! HMAC-SHA-256 as the module uses it: one key for each purpose, every field framed, 32 bytes out.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// HMAC-SHA-256 with its key already absorbed, which makes a short message a third cheaper. Wiped on drop.
#[derive(Clone)]
pub(crate) struct Mac {
    state: Hmac<Sha256>,
}

impl Mac {
    /// Prepares the key, whatever its length (RFC 2104: longer than one block is hashed first).
    pub(crate) fn new(key: &[u8]) -> Self {
        if key.len() > BLOCK {
            return Self::from_short(Zeroizing::new(sha256(key)).as_slice());
        }
        Self::from_short(key)
    }

    fn from_short(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self {
            state: Hmac::new((&*block).into()),
        }
    }

    /// Returns the key for one purpose: what is computed for one label never equals what is computed for another.
    pub(crate) fn derive(&self, label: &str) -> Self {
        Self::new(Zeroizing::new(self.over([label.as_bytes()])).as_slice())
    }

    /// Returns the MAC over the fields. Each is preceded by its length, so that no byte can move from one to the next.
    pub(crate) fn over<const N: usize>(&self, fields: [&[u8]; N]) -> [u8; 32] {
        let mut state = self.state.clone();
        for field in fields {
            frame(&mut state, field);
        }
        state.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

/// SHA-256's block, in bytes.
const BLOCK: usize = 64;

/// Writes the length as LEB128 and then the field: prefix-free, and one byte for everything below 128, which keeps
/// an id, a bcrypt text and a secret within two blocks.
fn frame(state: &mut Hmac<Sha256>, field: &[u8]) {
    let mut rest = field.len();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            state.update(&[low]);
            break;
        }
        state.update(&[low | 0x80]);
    }
    state.update(field);
}

/// Plain SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares in constant time, eight bytes a step (byte-wise `subtle` costs four times as much).
pub(crate) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut equal = Choice::from(1);
    for (a, b) in a.iter().zip(b) {
        equal &= u64::from_le_bytes(*a).ct_eq(&u64::from_le_bytes(*b));
    }
    equal.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test case 2; its message is split so that the frame's bytes are part of the message.
    #[test]
    fn agrees_with_plain_hmac_over_the_framed_message() {
        let plain = {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
            mac.update(b"what do ya want for nothing?");
            hex(&mac.finalize().into_bytes())
        };
        assert_eq!(
            plain,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let framed = {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
            mac.update(b"\x04what\x18 do ya want for nothing?");
            mac.finalize().into_bytes()
        };
        let ours = Mac::new(b"Jefe").over([b"what", b" do ya want for nothing?"]);
        assert_eq!(ours.as_slice(), framed.as_slice());
    }

    /// RFC 4231, test case 6 uses a key of 131 bytes.
    #[test]
    fn hashes_a_key_longer_than_a_block() {
        let key = [0xaa; 131];
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(b"\x01x");
        assert_eq!(
            Mac::new(&key).over([b"x"]).as_slice(),
            mac.finalize().into_bytes().as_slice()
        );
    }

    #[test]
    fn frames_lengths_above_127_in_two_bytes() {
        let field = [b'a'; 300];
        let mut mac = Hmac::<Sha256>::new_from_slice(b"k").unwrap();
        mac.update(&[0xac, 0x02]);
        mac.update(&field);
        assert_eq!(
            Mac::new(b"k").over([&field]).as_slice(),
            mac.finalize().into_bytes().as_slice()
        );
    }

    #[test]
    fn tells_field_boundaries_apart() {
        let mac = Mac::new(b"key");
        assert_ne!(mac.over([b"ab", b"c"]), mac.over([b"a", b"bc"]));
        assert_ne!(mac.over([b"", b"abc"]), mac.over([b"abc", b""]));
        assert_ne!(mac.over([b"abc".as_slice()]), mac.over([b"abc", b""]));
    }

    #[test]
    fn separates_purposes() {
        let root = Mac::new(b"key");
        let (a, b) = (root.derive("a"), root.derive("b"));
        assert_ne!(a.over([b"x"]), b.over([b"x"]));
        assert_ne!(a.over([b"x"]), root.over([b"x"]));
    }

    #[test]
    fn sees_a_difference_in_every_byte() {
        let base = [7; 32];
        assert!(same(&base, &base));
        for at in 0..32 {
            let mut other = base;
            other[at] ^= 0x80;
            assert!(!same(&base, &other), "byte {at}");
        }
    }
}

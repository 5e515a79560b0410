use super::encoding;
use super::keyed_text::{read, stored_as_text, stored_mac, write};

/// A MAC under a pepper over key id, stored digest and secret, kept beside the digest.
///
/// It says that this secret has passed the slow hash against this digest, so that a fresh process need not run the hash
/// once more for each key. A new digest makes it void; without the pepper it tells nothing.
///
/// Its text is `v=3$` and 43 characters of base64. A text that cannot be read becomes a proof that never holds:
/// a damaged proof costs one slow hash and nothing else.
///
/// ```
/// use keyward::hash::StoredProof;
///
/// assert_eq!(StoredProof::from_text("nonsense"), StoredProof::from_text(""));
/// ```
#[derive(Clone, Copy)]
pub struct StoredProof {
    version: u32,
    mac: [u8; 32],
}

stored_mac!(StoredProof);

/// 32 bits of a MAC under a pepper over key id and secret, which tell a wrong secret before the slow hash is asked.
///
/// One wrong secret in four thousand million passes it and costs a slow hash. Whoever steals both the table and the
/// pepper learns 32 of the secret's 256 bits. Its text is `v=3$` and eight hex digits; one that cannot be read fits
/// no pepper, so that the check is skipped rather than failed.
///
/// ```
/// use keyward::hash::ShortCheck;
///
/// let check = ShortCheck::from_text("v=3$0badcafe");
/// assert_eq!((check.version(), check.to_text().as_str()), (3, "v=3$0badcafe"));
/// ```
#[derive(Clone, Copy)]
pub struct ShortCheck {
    version: u32,
    bits: [u8; 4],
}

impl ShortCheck {
    /// Reads the stored text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        read(text, encoding::from_hex).map_or(Self::VOID, |(version, bits)| Self { version, bits })
    }

    /// Writes the text to store.
    #[must_use]
    pub fn to_text(&self) -> String {
        write(
            self.version,
            &format!("{:08x}", u32::from_be_bytes(self.bits)),
        )
    }

    /// Returns the version of the pepper it was made under; 0 for one that fits none.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    const VOID: Self = Self {
        version: 0,
        bits: [0; 4],
    };

    pub(super) const fn new(version: u32, bits: [u8; 4]) -> Self {
        Self { version, bits }
    }

    pub(super) fn matches(self, bits: [u8; 4]) -> bool {
        use subtle::ConstantTimeEq;

        let (ours, theirs) = (u32::from_be_bytes(self.bits), u32::from_be_bytes(bits));
        ours.ct_eq(&theirs).into()
    }
}

/// Compares in constant time.
impl PartialEq for ShortCheck {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.bits) && self.version == other.version
    }
}

impl Eq for ShortCheck {}

stored_as_text!(ShortCheck);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_text() {
        let proof = StoredProof::new(7, [0xa5; 32]);
        assert_eq!(StoredProof::from_text(&proof.to_text()), proof);
        let json = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<StoredProof>(&json).unwrap(), proof);
        let check = ShortCheck::new(7, [0, 1, 2, 0xff]);
        assert_eq!(check.to_text(), "v=7$000102ff");
        let json = serde_json::to_string(&check).unwrap();
        assert_eq!(serde_json::from_str::<ShortCheck>(&json).unwrap(), check);
    }

    #[test]
    fn reads_damaged_texts_as_void() {
        let good = StoredProof::new(7, [0xa5; 32]).to_text();
        let damaged = [
            String::new(),
            "v=".into(),
            "v=7".into(),
            "v=7$".into(),
            good.replace("v=7", "v=0"),
            good.replace("v=7", "v=07"),
            good.replace("v=7", ""),
            format!("{good}A"),
            format!("{good}="),
            good.strip_suffix(|_: char| true).unwrap().to_owned(),
        ];
        for text in damaged {
            assert_eq!(StoredProof::from_text(&text).version(), 0, "{text}");
        }
        for text in [
            "",
            "v=1$",
            "v=1$0",
            "v=1$0123456",
            "v=1$012345678",
            "v=0$01234567",
        ] {
            assert_eq!(ShortCheck::from_text(text).version(), 0, "{text}");
        }
    }
}

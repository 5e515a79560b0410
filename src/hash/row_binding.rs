use super::keyed_text::{read, stored_as_text, write};
use super::{encoding, mac};

/// A MAC under a pepper over what a stored record says, so that one edited behind the service's back is recognised.
///
/// Its text is `v=3$` and 43 characters of base64. A text that cannot be read becomes a binding that never holds.
///
/// ```
/// use keyward::hash::RowBinding;
///
/// assert_eq!(RowBinding::from_text("nonsense").version(), 0);
/// ```
#[derive(Clone, Copy)]
pub struct RowBinding {
    version: u32,
    mac: [u8; 32],
}

impl RowBinding {
    pub(super) const fn new(version: u32, mac: [u8; 32]) -> Self {
        Self { version, mac }
    }

    /// Returns whether it is this MAC. Constant time.
    pub(super) fn matches(&self, mac: &[u8; 32]) -> bool {
        mac::same(&self.mac, mac)
    }

    /// Reads the stored text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        read(text, encoding::from_base64).map_or(Self::VOID, |(version, mac)| Self { version, mac })
    }

    /// Writes the text to store.
    #[must_use]
    pub fn to_text(&self) -> String {
        write(self.version, &encoding::to_base64(&self.mac))
    }

    /// Returns the version of the pepper it was made under; 0 for one that never holds.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// No ring holds a pepper of version 0.
    const VOID: Self = Self {
        version: 0,
        mac: [0; 32],
    };
}

/// Compares in constant time.
impl PartialEq for RowBinding {
    fn eq(&self, other: &Self) -> bool {
        mac::same(&self.mac, &other.mac) && self.version == other.version
    }
}

impl Eq for RowBinding {}

stored_as_text!(RowBinding);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_text() {
        let binding = RowBinding {
            version: 7,
            mac: [0xa5; 32],
        };
        assert_eq!(RowBinding::from_text(&binding.to_text()), binding);
        let json = serde_json::to_string(&binding).unwrap();
        assert_eq!(serde_json::from_str::<RowBinding>(&json).unwrap(), binding);
    }

    #[test]
    fn reads_damaged_texts_as_void() {
        for text in ["", "v=7", "v=7$", "v=0$AAAA", "v=7$AAAA", "v=07$"] {
            assert_eq!(RowBinding::from_text(text).version(), 0, "{text}");
        }
    }
}

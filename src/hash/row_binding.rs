use super::keyed_text::stored_mac;

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

stored_mac!(RowBinding);

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

//! Hex, base64 and numbers as the stored texts write them: one spelling each, everything else is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Writes lower-case hex over `out`, two bytes for each input byte, for as long as there is room.
pub(crate) fn hex_into(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        for (to, nibble) in pair.iter_mut().zip([byte >> 4, byte & 0x0f]) {
            *to = if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' - 10 + nibble
            };
        }
    }
}

/// Reads exactly `2 * N` hex digits of either case.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (to, [high, low]) in bytes.iter_mut().zip(pairs) {
        *to = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Writes standard base64 without padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Reads standard base64 without padding that holds exactly `N` bytes.
pub(crate) fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = STANDARD_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (read == N).then_some(bytes)
}

/// Reads standard base64 without padding.
pub(crate) fn from_base64_any(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// Reads a decimal number above zero, without sign or leading zero.
pub(crate) fn positive(text: &str) -> Option<u32> {
    if text.starts_with(['0', '+']) {
        return None;
    }
    text.parse().ok()
}

/// Splits `3$rest` into a positive version and the rest.
pub(crate) fn versioned(text: &str) -> Option<(u32, &str)> {
    let (version, rest) = text.split_once('$')?;
    Some((positive(version)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_hex() {
        let mut out = [0; 6];
        hex_into(&[0x00, 0x9a, 0xff], &mut out);
        assert_eq!(&out, b"009aff");
        assert_eq!(from_hex("009aFF"), Some([0x00, 0x9a, 0xff]));
    }

    #[test]
    fn refuses_hex_of_another_length_or_alphabet() {
        for text in ["", "0", "00", "0000", "00000", "0g", "+0", "é"] {
            assert_eq!(from_hex::<3>(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_base64_of_another_length_or_spelling() {
        assert_eq!(from_base64(&to_base64(&[1, 2, 3, 4])), Some([1, 2, 3, 4]));
        for text in ["", "AQID", "AQIDBA==", "AQIDBB", "AQIDBAU", "AQID BA"] {
            assert_eq!(from_base64::<4>(text), None, "{text}");
        }
    }

    #[test]
    fn reads_only_plain_positive_numbers() {
        assert_eq!(positive("1"), Some(1));
        assert_eq!(positive("4294967295"), Some(u32::MAX));
        for text in ["", "0", "01", "+1", "-1", " 1", "1 ", "4294967296", "1a"] {
            assert_eq!(positive(text), None, "{text}");
        }
    }
}

//! The alphabet: digits, capitals, small letters.

/// Bytes from here on are thrown away when drawing a symbol: 248 is the largest multiple of 62 that a byte can hold,
/// so each symbol has exactly four bytes that lead to it.
const REJECT_FROM: u8 = 248;

/// Tells whether every byte is in the alphabet, in time that depends on the length only.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(true, |ok, byte| ok & byte.is_ascii_alphanumeric())
}

/// Returns the symbol a uniform byte stands for, or nothing for the eight bytes that would favour some symbols.
pub(super) fn draw(byte: u8) -> Option<u8> {
    (byte < REJECT_FROM).then(|| symbol(byte % 62))
}

/// Writes `number` in base 62, the most significant symbol first, padded with `0`.
///
/// Six symbols hold every 32-bit number: the largest is `4gfFC3`.
pub(super) fn encode(mut number: u32) -> [u8; 6] {
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        let digit = u8::try_from(number % 62).unwrap_or_default();
        *place = symbol(digit);
        number /= 62;
    }
    text
}

const fn symbol(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        10..=35 => b'A' - 10 + digit,
        _ => b'a' - 36 + digit,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn orders_digits_capitals_small_letters() {
        let alphabet: Vec<u8> = (0..62).map(symbol).collect();
        assert_eq!(
            alphabet,
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        );
    }

    #[test]
    fn gives_each_symbol_the_same_number_of_bytes() {
        let mut counts = BTreeMap::new();
        for symbol in (0..=u8::MAX).filter_map(draw) {
            *counts.entry(symbol).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn writes_the_largest_number_in_six_symbols() {
        assert_eq!(&encode(0), b"000000");
        assert_eq!(&encode(61), b"00000z");
        assert_eq!(&encode(62), b"000010");
        assert_eq!(&encode(u32::MAX), b"4gfFC3");
    }

    #[test]
    fn knows_its_own_bytes_and_no_others() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|byte| is_text(&[*byte])).collect();
        let mut drawn: Vec<u8> = (0..62).map(symbol).collect();
        drawn.sort_unstable();
        assert_eq!(known, drawn);
        assert!(!is_text(b"abc_"));
        assert!(!is_text(b"_abc"));
    }
}

//! Tells a mistyped key from a real one, offline. No defence: anyone can compute it.

use super::base62;

/// How many characters a checksum has.
pub(super) const LEN: usize = 6;

/// Returns CRC-32 (IEEE 802.3, reflected) of the text, in base62.
pub(super) fn of(text: &[u8]) -> [u8; LEN] {
    base62::encode(crc32fast::hash(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_check_value_of_the_polynomial() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn agrees_with_known_vectors() {
        let vectors: [(&[u8], &[u8; LEN]); 11] = [
            (b"", b"000000"),
            (b"a", b"4GEHKN"),
            (b"123456789", b"3jZRME"),
            (b"The quick brown fox jumps over the lazy dog", b"1C9bYH"),
            (b"pm_live_", b"2B8VB8"),
            (b"pm_live_0123456789ABCDEFGHIJKLMNOPQRSTUV", b"0ciow0"),
            (&[b'0'; 43], b"2CZclj"),
            (&[b'z'; 43], b"0UsatS"),
            (b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg", b"37cCQ0"),
            (b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA074", b"004wt8"),
            // A published, expired token of a large code host.
            (b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", b"0mLq17"),
        ];
        for (text, checksum) in vectors {
            assert_eq!(&of(text), checksum, "{:?}", str::from_utf8(text));
        }
    }
}

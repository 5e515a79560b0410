//! Percent-decoding.

/// Returns the decoded bytes, or `None` if there is nothing to decode. What is no valid escape stays as it is.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'%') {
        return None;
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        match (first, escape(after)) {
            (b'%', Some((byte, after_escape))) => {
                decoded.push(byte);
                rest = after_escape;
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    Some(decoded)
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk()?;
    let byte = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
    Some((byte, rest))
}

fn digit(symbol: u8) -> Option<u8> {
    let value = char::from(symbol).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_both_cases_and_leaves_the_rest() {
        assert_eq!(decode(b"a%2Fb%2f%ffc").unwrap(), b"a/b/\xffc");
        assert_eq!(decode(b"%%41%4%zz%").unwrap(), b"%A%4%zz%");
        assert_eq!(decode(b"plain+text"), None);
    }
}

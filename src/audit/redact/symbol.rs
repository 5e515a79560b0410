//! Characters as they were before somebody percent-encoded them.

/// How often text may have been encoded over: a URL in a URL in a URL.
const LAYERS: usize = 3;

/// The most bytes that one character takes: every layer makes three of each.
#[cfg(test)]
pub(super) const MAX_LEN: usize = 27;

/// Whether more text may follow what is at hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// This is all of it.
    Closed,
    /// The rest may come.
    Open,
}

/// A character and where the next one begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Symbol {
    pub(super) byte: u8,
    pub(super) end: usize,
}

/// Reads characters from any place of a text, and remembers whether the text was too short for a sure answer.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t [u8],
    end: End,
    starved: bool,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t [u8], end: End) -> Self {
        Self {
            text,
            end,
            starved: false,
        }
    }

    /// Tells whether any answer so far might have been another with more text.
    pub(super) const fn is_starved(&self) -> bool {
        self.starved
    }

    /// Reads the character that begins here. What is no valid escape stands for itself.
    #[inline]
    pub(super) fn symbol(&mut self, at: usize) -> Option<Symbol> {
        #[cfg(test)]
        super::work::count(1);
        match self.text.get(at) {
            // Nearly all are plain, and this much is worth inlining.
            Some(&byte) if byte != b'%' => Some(Symbol { byte, end: at + 1 }),
            _ => self.decode(at, LAYERS),
        }
    }

    /// Reads a letter or digit of a key.
    pub(super) fn alphanumeric(&mut self, at: usize) -> Option<Symbol> {
        self.symbol(at)
            .filter(|symbol| symbol.byte.is_ascii_alphanumeric())
    }

    /// Returns where the next character begins, if the one that begins here is this one.
    pub(super) fn eat(&mut self, byte: u8, at: usize) -> Option<usize> {
        let symbol = self.symbol(at)?;
        (symbol.byte == byte).then_some(symbol.end)
    }

    fn decode(&mut self, at: usize, layers: usize) -> Option<Symbol> {
        #[cfg(test)]
        super::work::count(1);
        let Some(&byte) = self.text.get(at) else {
            self.starved |= self.end == End::Open;
            return None;
        };
        let plain = Symbol { byte, end: at + 1 };
        let Some(inner) = layers.checked_sub(1).filter(|_| byte == b'%') else {
            return Some(plain);
        };
        let first = self.decode(at, inner)?;
        if first.byte != b'%' {
            return Some(first);
        }
        Some(self.escape(first.end, inner).unwrap_or(first))
    }

    /// Reads the two digits of an escape; they may be encoded themselves.
    fn escape(&mut self, at: usize, layers: usize) -> Option<Symbol> {
        let (high, at) = self.digit(at, layers)?;
        let (low, end) = self.digit(at, layers)?;
        Some(Symbol {
            byte: high << 4 | low,
            end,
        })
    }

    fn digit(&mut self, at: usize, layers: usize) -> Option<(u8, usize)> {
        let symbol = self.decode(at, layers)?;
        let value = char::from(symbol.byte).to_digit(16)?;
        Some((u8::try_from(value).ok()?, symbol.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, end: End) -> (Option<(u8, usize)>, bool) {
        let mut reader = Reader::new(text.as_bytes(), end);
        let symbol = reader.symbol(0).map(|symbol| (symbol.byte, symbol.end));
        (symbol, reader.is_starved())
    }

    #[test]
    fn reads_plain_and_encoded_characters() {
        for (text, byte, len) in [
            ("a%", b'a', 1),
            ("%5fx", b'_', 3),
            ("%5Fx", b'_', 3),
            ("%255Fx", b'_', 5),
            ("%25255Fx", b'_', 7),
            ("%25%35%46x", b'_', 9),
            ("%%35fx", b'_', 5),
            ("%2535F", b'5', 5),
            ("%zz", b'%', 1),
            ("%5", b'%', 1),
            ("%25zz", b'%', 3),
            ("%%", b'%', 1),
        ] {
            assert_eq!(
                first(text, End::Closed),
                (Some((byte, len)), false),
                "{text}"
            );
        }
    }

    #[test]
    fn no_character_is_longer_than_said() {
        let thrice = "%25%32%35%25%33%35%25%34%36";
        assert_eq!(first(thrice, End::Closed).0, Some((b'_', MAX_LEN)));
        assert_eq!(thrice.len(), MAX_LEN);
    }

    #[test]
    fn says_when_more_text_might_change_the_answer() {
        for text in ["", "%", "%5", "%25", "%255"] {
            assert!(first(text, End::Open).1, "{text}");
            assert!(!first(text, End::Closed).1, "{text}");
        }
        for text in ["a", "%zz", "%5fx", "%5f", "%5z"] {
            assert!(!first(text, End::Open).1, "{text}");
        }
    }
}

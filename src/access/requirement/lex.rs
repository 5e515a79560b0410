//! Cuts the text of a requirement into words, operators and parentheses.

/// A piece of the text, and where it begins, in bytes from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind<'a> {
    And,
    Or,
    Open,
    Close,
    /// Anything else up to the next blank or parenthesis; whether it is a permission is not known yet.
    Word(&'a str),
    End,
}

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, at: 0 }
    }

    /// Returns the next piece; at the end, the end as often as asked.
    pub(super) fn next(&mut self) -> Token<'a> {
        let trimmed = self.rest.trim_start_matches(is_blank);
        let at = self.at + (self.rest.len() - trimmed.len());
        let (piece, rest) = trimmed.split_at(piece_len(trimmed));
        self.rest = rest;
        self.at = at + piece.len();
        Token {
            kind: kind_of(piece),
            at,
        }
    }
}

fn piece_len(text: &str) -> usize {
    if text.starts_with(is_parenthesis) {
        return 1;
    }
    text.find(|c| is_blank(c) || is_parenthesis(c))
        .unwrap_or(text.len())
}

fn kind_of(piece: &str) -> Kind<'_> {
    match piece {
        "" => Kind::End,
        "(" => Kind::Open,
        ")" => Kind::Close,
        word if word.eq_ignore_ascii_case("and") => Kind::And,
        word if word.eq_ignore_ascii_case("or") => Kind::Or,
        word => Kind::Word(word),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_parenthesis(c: char) -> bool {
    matches!(c, '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(Kind<'_>, usize)> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        loop {
            let token = lexer.next();
            all.push((token.kind, token.at));
            if token.kind == Kind::End {
                return all;
            }
        }
    }

    #[test]
    fn l14_counts_positions_in_bytes_through_blanks() {
        let expected = vec![
            (Kind::Word("perm1"), 2),
            (Kind::And, 10),
            (Kind::Word("perm2"), 16),
            (Kind::End, 23),
        ];
        assert_eq!(tokens("  perm1   AND   perm2  "), expected);
    }

    #[test]
    fn l14_a_parenthesis_ends_a_word() {
        let expected = vec![
            (Kind::Word("perm1"), 0),
            (Kind::Open, 5),
            (Kind::Word("perm2"), 6),
            (Kind::Close, 11),
            (Kind::End, 12),
        ];
        assert_eq!(tokens("perm1(perm2)"), expected);
    }

    #[test]
    fn l14_operators_are_whole_words_in_any_case() {
        let kinds: Vec<_> = tokens("and AnD OR oR android for")
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        let words = [Kind::Word("android"), Kind::Word("for"), Kind::End];
        assert_eq!(
            kinds,
            [&[Kind::And, Kind::And, Kind::Or, Kind::Or][..], &words].concat()
        );
    }
}

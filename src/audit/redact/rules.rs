//! Tells whether a key begins at a place in a text, and how much of it may be seen.

use super::symbol::{End, Reader, Symbol};
use crate::key::{Environment, KeyFormat, KeyKind, KeyStyle, PUBLISHABLE};

/// How long what follows prefix and environment may be in a key of the standard style, without and with a tag.
const STANDARD: [usize; 2] = [61, 67];
/// The same of the compact style.
const COMPACT: usize = 32;

/// So many characters in a row are taken for one key: two of the longest bodies, so that one pasted twice is gone.
pub(super) const MAX_BODY: usize = 134;

/// Behind an id, fewer letters of one case are a word and no piece of a secret.
const WORD: usize = 8;

/// What begins at a place in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Nothing,
    /// A key that ends before `end`; what may be seen of it ends before `shown`.
    Key {
        shown: usize,
        end: usize,
    },
    /// More text is needed. What stands before `public` may be seen whatever comes.
    Undecided {
        public: usize,
    },
}

impl Verdict {
    /// Takes the verdict back if it came of too little text.
    const fn unless_starved(self, reader: &Reader<'_>, public: usize) -> Self {
        if reader.is_starved() {
            return Self::Undecided { public };
        }
        self
    }
}

/// What there is to know about a format.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The prefix and its underscore.
    needle: Vec<u8>,
    standard: bool,
    compact: bool,
    publishable: bool,
}

impl Rules {
    pub(super) fn new(format: &KeyFormat) -> Self {
        Self {
            needle: format!("{}_", format.prefix()).into_bytes(),
            standard: format.accepts(KeyStyle::Standard),
            compact: format.accepts(KeyStyle::Compact),
            publishable: format.accepts_kind(KeyKind::Publishable),
        }
    }

    /// Returns what every key begins with, whatever its environment.
    pub(super) fn needle(&self) -> &[u8] {
        &self.needle
    }

    /// Judges what begins here. A publishable key is nothing.
    pub(super) fn judge(&self, text: &[u8], at: usize, end: End) -> Verdict {
        match self.judge_secret(text, at, end) {
            Verdict::Key { .. } if self.is_publishable(&mut Reader::new(text, end), at) => {
                Verdict::Nothing
            }
            verdict => verdict,
        }
    }

    fn judge_secret(&self, text: &[u8], at: usize, end: End) -> Verdict {
        let mut reader = Reader::new(text, end);
        let body = self
            .lead(&mut reader, at)
            .map(|start| self.run(&mut reader, start, MAX_BODY));
        let Some(body) = body else {
            return Verdict::Nothing.unless_starved(&reader, text.len());
        };
        let mut verdict = self.weigh(&mut reader, &body);
        if verdict != Verdict::Nothing
            && !reader.is_starved()
            && self.is_overlaid(&mut reader, at, body.start)
        {
            verdict = Verdict::Nothing;
        }
        verdict.unless_starved(&reader, body.after(self.least_shown()))
    }

    /// Tells whether a publishable key stands here.
    ///
    /// SECURITY: a whole one, of a right length. What is cut off, mistyped or glued to something may be a secret key, and is
    /// judged as one.
    fn is_publishable(&self, reader: &mut Reader<'_>, at: usize) -> bool {
        if !self.publishable {
            return false;
        }
        let mut lead = self.needle.iter().chain(PUBLISHABLE.as_bytes()).chain(b"_");
        let body = lead
            .try_fold(at, |at, byte| reader.eat(*byte, at))
            .and_then(|at| self.environment(reader, at))
            .map(|start| self.run(reader, start, self.longest() + 1));
        body.is_some_and(|body| self.is_shape(body.len))
    }

    /// Returns where the body begins, if prefix, environment and the underscores after them stand here.
    fn lead(&self, reader: &mut Reader<'_>, at: usize) -> Option<usize> {
        let at = self
            .needle
            .iter()
            .try_fold(at, |at, byte| reader.eat(*byte, at))?;
        self.environment(reader, at)
    }

    /// Returns what comes after the environment that stands here and its underscore.
    fn environment(&self, reader: &mut Reader<'_>, mut at: usize) -> Option<usize> {
        for _ in 0..Environment::MAX_LEN {
            let symbol = reader.alphanumeric(at)?;
            at = symbol.end;
            if let Some(body) = reader.eat(b'_', at) {
                return Some(body);
            }
        }
        None
    }

    /// Reads letters and digits up to the first other character, the limit, or the beginning of another key.
    fn run(&self, reader: &mut Reader<'_>, start: usize, limit: usize) -> Run {
        let mut run = Run::new(start);
        while run.len < limit
            && let Some(symbol) = reader.alphanumeric(run.end)
            && !self.begins(reader, symbol, run.end)
        {
            run.push(symbol);
        }
        run
    }

    /// Tells whether another key begins with this character, or inside of it: what is an escape here may be a percent sign
    /// and a prefix.
    fn begins(&self, reader: &mut Reader<'_>, symbol: Symbol, at: usize) -> bool {
        let is_plain = symbol.end == at + 1;
        if is_plain && self.needle.first() != Some(&symbol.byte) {
            return false;
        }
        (at..symbol.end).any(|start| self.lead(reader, start).is_some())
    }

    /// Tells whether another key begins between here and the body. What looks like a body is then the environment of that
    /// one, which is judged in its turn.
    fn is_overlaid(&self, reader: &mut Reader<'_>, at: usize, body: usize) -> bool {
        (at + 1..body).any(|start| self.lead(reader, start).is_some())
    }

    fn weigh(&self, reader: &mut Reader<'_>, body: &Run) -> Verdict {
        if body.len < self.shortest()
            && let Some((len, end)) = self.mistyped(reader, body)
        {
            let shown = body.after(self.shown(len));
            return Verdict::Key { shown, end };
        }
        let id = self.id_len();
        if body.len <= id || (body.len < id + WORD && body.is_word()) {
            return Verdict::Nothing;
        }
        Verdict::Key {
            shown: body.after(self.shown(body.len)),
            end: body.end,
        }
    }

    /// Returns length and end of a key in which one character was replaced by one that keys do not have, or into which
    /// one slipped. Nothing follows a line end: a line is not held up for the next one.
    fn mistyped(&self, reader: &mut Reader<'_>, body: &Run) -> Option<(usize, usize)> {
        let stray = reader
            .symbol(body.end)
            .filter(|symbol| symbol.byte.is_ascii_graphic())
            .filter(|symbol| !symbol.byte.is_ascii_alphanumeric())?;
        let room = self.longest().checked_sub(body.len)?;
        let rest = self.run(reader, stray.end, room + 1);
        let len = body.len + rest.len;
        (rest.len > 0 && (self.is_shape(len) || self.is_shape(len + 1))).then_some((len, rest.end))
    }

    fn is_shape(&self, len: usize) -> bool {
        (self.standard && STANDARD.contains(&len)) || (self.compact && len == COMPACT)
    }

    const fn shortest(&self) -> usize {
        if self.standard { STANDARD[0] } else { COMPACT }
    }

    const fn longest(&self) -> usize {
        if self.standard { STANDARD[1] } else { COMPACT }
    }

    /// So many characters alone are an id, and stay.
    const fn id_len(&self) -> usize {
        if self.standard {
            KeyStyle::Standard.id_len()
        } else {
            KeyStyle::Compact.id_len()
        }
    }

    /// So many characters of the body belong to the id whatever the style turns out to be.
    const fn least_shown(&self) -> usize {
        if self.compact {
            KeyStyle::Compact.id_len()
        } else {
            KeyStyle::Standard.id_len()
        }
    }

    /// Returns how much of a body of this length is id: where that cannot be known, the shorter.
    fn shown(&self, len: usize) -> usize {
        if self.standard && STANDARD.contains(&len) {
            KeyStyle::Standard.id_len()
        } else {
            self.least_shown()
        }
    }
}

/// Letters and digits in a row.
#[derive(Debug)]
struct Run {
    start: usize,
    len: usize,
    end: usize,
    /// Where the first characters end: `ends[n]` after `n` of them.
    ends: [usize; KeyStyle::Standard.id_len() + 1],
    lower: usize,
    upper: usize,
}

impl Run {
    const fn new(start: usize) -> Self {
        Self {
            start,
            len: 0,
            end: start,
            ends: [start; KeyStyle::Standard.id_len() + 1],
            lower: 0,
            upper: 0,
        }
    }

    fn push(&mut self, symbol: Symbol) {
        self.len += 1;
        self.end = symbol.end;
        self.lower += usize::from(symbol.byte.is_ascii_lowercase());
        self.upper += usize::from(symbol.byte.is_ascii_uppercase());
        if let Some(end) = self.ends.get_mut(self.len) {
            *end = symbol.end;
        }
    }

    const fn is_word(&self) -> bool {
        self.lower == self.len || self.upper == self.len
    }

    /// Returns where the first `count` characters end, or all if they are fewer.
    fn after(&self, count: usize) -> usize {
        let known = self.ends.get(count.min(self.len));
        known.copied().unwrap_or(self.end)
    }
}

//! Finds the places in a text where a key may begin, and goes through them once.

use memchr::{memchr, memmem};

use super::rules::{Rules, Verdict};
use super::symbol::End;
use crate::key::KeyFormat;

/// Looks for keys of one format.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    rules: Rules,
    needle: memmem::Finder<'static>,
}

impl Finder {
    pub(super) fn new(format: &KeyFormat) -> Self {
        let rules = Rules::new(format);
        let needle = memmem::Finder::new(rules.needle()).into_owned();
        Self { rules, needle }
    }

    pub(super) fn scan<'t>(&self, text: &'t [u8], end: End) -> Scan<'_, 't> {
        Scan {
            finder: self,
            text,
            end,
            done: 0,
            plain: Next::Unknown,
            percent: Next::Unknown,
        }
    }
}

/// What a scan finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// What stands between `shown` and `end` must not be seen.
    Key { shown: usize, end: usize },
    /// More text is needed to tell what begins at `start`. What stands before `public` may be seen whatever comes.
    Undecided { start: usize, public: usize },
}

/// The next place of some kind.
#[derive(Clone, Copy, Debug)]
enum Next {
    Unknown,
    At(usize),
    None,
}

impl Next {
    /// Returns the place, looking for it only if the one that is known has been passed.
    fn from(&mut self, done: usize, find: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let known = match *self {
            Self::None => return None,
            Self::At(at) => at >= done,
            Self::Unknown => false,
        };
        if !known {
            *self = find().map_or(Self::None, |offset| Self::At(done + offset));
        }
        match *self {
            Self::At(at) => Some(at),
            Self::Unknown | Self::None => None,
        }
    }
}

/// Goes through a text. Each byte is searched once for a prefix and once for a percent sign; a place where one is found
/// is judged by a bounded number of characters.
#[derive(Debug)]
pub(super) struct Scan<'f, 't> {
    finder: &'f Finder,
    text: &'t [u8],
    end: End,
    /// No key begins before.
    done: usize,
    plain: Next,
    percent: Next,
}

impl Scan<'_, '_> {
    fn needle(&self) -> &[u8] {
        self.finder.rules.needle()
    }

    fn judge(&mut self, at: usize) -> Option<Found> {
        match self.finder.rules.judge(self.text, at, self.end) {
            Verdict::Nothing => None,
            Verdict::Key { shown, end } => {
                self.done = end;
                Some(Found::Key { shown, end })
            }
            Verdict::Undecided { public } => Some(Found::Undecided { start: at, public }),
        }
    }

    /// Judges a place where the prefix stands in clear.
    fn judge_plain(&mut self, at: usize) -> Option<Found> {
        self.done = at + 1;
        self.judge(at)
    }

    /// Judges the places from which a prefix may reach to this percent sign, its first; the farthest comes first.
    fn judge_percent(&mut self, at: usize) -> Option<Found> {
        let back = (self.needle().len() - 1).min(at - self.done);
        let found = if self.is_other_escape(at) {
            None
        } else {
            self.judge_ends(at, back, at)
        };
        if found.is_none() {
            self.done = at + 1;
        }
        found
    }

    /// Tells at a glance of most percent signs that they are no part of a prefix.
    fn is_other_escape(&self, at: usize) -> bool {
        let Some(&[high, low]) = self.text.get(at + 1..at + 3) else {
            return false;
        };
        if high == b'%' || low == b'%' {
            return false;
        }
        let digit = |byte| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return true;
        };
        let value = high << 4 | low;
        let is = |byte: &u8| u32::from(*byte) == value;
        !is(&b'%') && !self.needle().iter().any(is)
    }

    /// Judges a prefix that the end of the text may have cut off.
    fn judge_tail(&mut self) -> Option<Found> {
        let len = self.text.len();
        let back = (self.needle().len() - 1).min(len - self.done);
        let found = self.judge_ends(len, back, len - 1);
        self.done = len;
        found
    }

    /// Judges the places up to `back` before `at` and not after `last` where all before `at` begins a prefix.
    fn judge_ends(&mut self, at: usize, back: usize, last: usize) -> Option<Found> {
        (at - back..=last).find_map(|start| {
            let begun = self.text.get(start..at)?;
            self.needle().starts_with(begun).then_some(())?;
            self.judge(start)
        })
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while self.done < self.text.len() {
            let (text, finder, done) = (self.text, self.finder, self.done);
            let rest = || text.get(done..).unwrap_or_default();
            let plain = self
                .plain
                .from(done, || searched(rest(), finder.needle.find(rest())));
            let percent = self
                .percent
                .from(done, || searched(rest(), memchr(b'%', rest())));
            let found = match (plain, percent) {
                (Some(plain), Some(percent)) if percent < plain => self.judge_percent(percent),
                (Some(plain), _) => self.judge_plain(plain),
                (None, Some(percent)) => self.judge_percent(percent),
                (None, None) if self.end == End::Open => self.judge_tail(),
                (None, None) => return None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// Lets a test count how much was searched.
#[inline]
#[cfg_attr(not(test), expect(unused_variables, reason = "counted in tests only"))]
fn searched(text: &[u8], found: Option<usize>) -> Option<usize> {
    #[cfg(test)]
    super::work::count(found.unwrap_or(text.len()));
    found
}

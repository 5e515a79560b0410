use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use crate::audit::Text;

/// What is remembered of each subject, of a bounded number of them. When it is full, the one that was opened least recently
/// makes room, give or take an eighth of them: the states of one rule all fade in the same time, so that is one that has faded
/// before the others.
#[derive(Debug)]
pub(super) struct Book<S> {
    capacity: NonZeroUsize,
    pages: HashMap<Text, Page<S>>,
    /// By the turn in which they were opened last. Turns, not times: a clock that is set back does not disturb the order.
    order: BTreeMap<u64, Text>,
    turn: u64,
    /// How many turns a page may be behind in the order.
    slack: u64,
}

#[derive(Debug)]
struct Page<S> {
    turn: u64,
    state: S,
}

impl<S: Default> Book<S> {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            pages: HashMap::new(),
            order: BTreeMap::new(),
            turn: 0,
            slack: u64::try_from(capacity.get() / 8).unwrap_or(0),
        }
    }

    /// Returns the state of the subject, a new one if there is none.
    pub(super) fn open(&mut self, subject: &Text) -> &mut S {
        if self.pages.len() >= self.capacity.get() && !self.pages.contains_key(subject) {
            self.close_oldest();
        }
        self.turn = self.turn.saturating_add(1);
        let (turn, order) = (self.turn, &mut self.order);
        let page = self.pages.entry(subject.clone()).or_insert_with(|| {
            order.insert(turn, subject.clone());
            Page {
                turn,
                state: S::default(),
            }
        });
        // A busy key is not put at the end of the line each time: it is far enough from its head.
        if turn.saturating_sub(page.turn) > self.slack {
            let name = order.remove(&page.turn);
            order.insert(turn, name.unwrap_or_else(|| subject.clone()));
            page.turn = turn;
        }
        &mut page.state
    }

    fn close_oldest(&mut self) {
        if let Some((_, subject)) = self.order.pop_first() {
            self.pages.remove(&subject);
        }
    }

    /// Whether there is a state of the subject.
    pub(super) fn knows(&self, subject: &str) -> bool {
        self.pages.contains_key(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Text {
        format!("key{number}").into()
    }

    fn book(capacity: usize) -> Book<usize> {
        Book::new(NonZeroUsize::new(capacity).unwrap())
    }

    #[test]
    fn gives_back_what_was_left_in_it() {
        let mut book = book(2);
        *book.open(&name(1)) = 7;
        assert_eq!((*book.open(&name(1)), *book.open(&name(2))), (7, 0));
    }

    #[test]
    fn forgets_the_one_that_was_opened_least_recently() {
        let mut book = book(3);
        for number in [1, 2, 3, 1, 4] {
            *book.open(&name(number)) += 1;
        }
        assert!(!book.knows("key2"));
        assert!(book.knows("key1") && book.knows("key3") && book.knows("key4"));
        assert_eq!(*book.open(&name(1)), 2);
    }

    #[test]
    fn holds_no_more_than_it_may_and_keeps_what_stays_in_use() {
        let mut book = book(1000);
        *book.open(&name(0)) = 7;
        for number in 1..200_000 {
            book.open(&name(number));
            if number % 500 == 0 {
                assert_eq!(*book.open(&name(0)), 7);
            }
        }
        assert_eq!((book.pages.len(), book.order.len()), (1000, 1000));
    }
}

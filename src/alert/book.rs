use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use crate::audit::Text;

/// What is remembered of each subject, of a bounded number of them. When it is full, the one that was opened least recently
/// makes room: the states of one rule all fade in the same time, so that is the one that has faded first.
#[derive(Debug)]
pub(super) struct Book<S> {
    capacity: NonZeroUsize,
    pages: HashMap<Text, Page<S>>,
    /// By the turn in which they were opened last. Turns, not times: a clock that is set back does not disturb the order.
    order: BTreeMap<u64, Text>,
    turn: u64,
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
        }
    }

    /// Returns the state of the subject, a new one if there is none.
    pub(super) fn open(&mut self, subject: &Text) -> &mut S {
        if self.pages.len() >= self.capacity.get() && !self.pages.contains_key(subject) {
            self.close_oldest();
        }
        self.turn = self.turn.saturating_add(1);
        let turn = self.turn;
        let page = self.pages.entry(subject.clone()).or_insert_with(|| Page {
            turn,
            state: S::default(),
        });
        let name = self.order.remove(&page.turn);
        self.order
            .insert(turn, name.unwrap_or_else(|| subject.clone()));
        page.turn = turn;
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

use std::collections::{HashSet, VecDeque};

use crate::audit::EventId;

/// As many events as a recorder's queue and one batch hold in half: what is repeated is repeated soon. Some 200 kB.
const REMEMBERED: usize = 4096;

/// Tells events that were shown before.
#[derive(Debug, Default)]
pub(super) struct Once {
    known: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Once {
    /// Whether it is shown for the first time. An event without an id cannot be told from others.
    pub(super) fn is_new(&mut self, id: Option<EventId>) -> bool {
        let Some(id) = id else { return true };
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

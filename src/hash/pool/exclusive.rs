use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::sync::{Mutex, lock};

/// The keys for which a hash waits or runs.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Mutex<HashSet<Box<str>>>>);

impl Busy {
    pub(super) fn enter(&self, key_id: &str) -> Option<Exclusive> {
        let mut busy = lock(&self.0);
        if !busy.insert(key_id.into()) {
            return None;
        }
        drop(busy);
        Some(Exclusive {
            busy: self.clone(),
            key_id: key_id.into(),
        })
    }
}

/// The right to run a hash for one key; ends when dropped. See [`HashPool::exclusive`](super::HashPool::exclusive).
#[must_use = "the key is free again as soon as this is dropped"]
pub struct Exclusive {
    busy: Busy,
    key_id: Box<str>,
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        lock(&self.busy.0).remove(&self.key_id);
    }
}

impl fmt::Debug for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exclusive").field(&self.key_id).finish()
    }
}

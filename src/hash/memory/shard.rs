use std::collections::HashMap;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Remembered;
use super::slot::Slot;
use crate::hash::mac;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A part of the memory behind one lock.
#[derive(Default)]
pub(super) struct Shard {
    entries: HashMap<Slot, Entry>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Shard {
    pub(super) fn knows(&self, slot: Slot, generation: u32, tag: &[u8; 32]) -> bool {
        let known = self
            .entries
            .get(&slot)
            .is_some_and(|entry| entry.knows(generation, tag));
        let counter = if known { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        known
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.entries.contains_key(&slot)
    }

    pub(super) fn entry(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(&slot)
    }

    pub(super) fn add(&mut self, slot: Slot, generation: u32, tag: &[u8; 32]) {
        self.entries.insert(slot, Entry::new(generation, tag));
    }

    pub(super) fn remove(&mut self, slot: Slot) -> bool {
        self.entries.remove(&slot).is_some()
    }

    pub(super) fn clear(&mut self) -> usize {
        let gone = self.entries.len();
        self.entries.clear();
        self.entries.shrink_to_fit();
        gone
    }

    /// Drops what was not used since the last time.
    pub(super) fn clear_idle(&mut self) -> usize {
        let before = self.entries.len();
        self.entries
            .retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
        before - self.entries.len()
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(super) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// One key's proofs.
pub(super) struct Entry {
    later: Proof,
    earlier: Option<Proof>,
    used: AtomicBool,
}

/// Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Proof {
    generation: u32,
    tag: [u8; 32],
}

impl Entry {
    /// A new entry counts as used, so that the next sweep spares it.
    fn new(generation: u32, tag: &[u8; 32]) -> Self {
        Self {
            later: Proof::new(generation, tag),
            earlier: None,
            used: AtomicBool::new(true),
        }
    }

    fn knows(&self, generation: u32, tag: &[u8; 32]) -> bool {
        let proof = if self.later.generation == generation {
            Some(&self.later)
        } else {
            self.earlier
                .as_ref()
                .filter(|proof| proof.generation == generation)
        };
        let known = proof.is_some_and(|proof| mac::same(&proof.tag, tag));
        // Written once a sweep, not once a request: readers on other cores share the line.
        if known && !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        known
    }

    pub(super) fn put(&mut self, generation: u32, tag: &[u8; 32]) -> Remembered {
        let proof = Proof::new(generation, tag);
        if generation > self.later.generation {
            self.earlier = Some(std::mem::replace(&mut self.later, proof));
        } else if generation == self.later.generation {
            self.later = proof;
        } else if self
            .earlier
            .as_ref()
            .is_none_or(|it| it.generation <= generation)
        {
            self.earlier = Some(proof);
        } else {
            return Remembered::Refused;
        }
        self.used.store(true, Ordering::Relaxed);
        Remembered::Kept
    }
}

impl Proof {
    const fn new(generation: u32, tag: &[u8; 32]) -> Self {
        Self {
            generation,
            tag: *tag,
        }
    }
}

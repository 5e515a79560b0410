use std::collections::HashMap;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Remembered;
use crate::hash::mac::{self, Mac};
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
        self.entries = HashMap::new();
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

/// A key id in sixteen bytes: as it is up to fifteen, a keyed hash above that.
///
/// Should two long ids ever meet in one slot, they only take each other's room: the tag binds the whole id.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct Slot([u64; 2]);

impl Slot {
    pub(super) fn of(key_id: &str, ids: &Mac) -> Self {
        let id = key_id.as_bytes();
        match u8::try_from(id.len()) {
            Ok(length) if length < 16 => Self::pack(id, length),
            _ => Self::pack(&ids.over([id]), HASHED),
        }
    }

    fn pack(bytes: &[u8], mark: u8) -> Self {
        let mut packed = [0; 16];
        for (to, from) in packed.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [.., last] = &mut packed;
        *last = mark;
        let (halves, _) = packed.as_chunks::<8>();
        let mut slot = Self([0; 2]);
        for (to, half) in slot.0.iter_mut().zip(halves) {
            *to = u64::from_le_bytes(*half);
        }
        slot
    }

    /// Mixes the id for the choice of a shard (Fibonacci hashing; the map within hashes with a random key).
    pub(super) fn spread(self) -> usize {
        let [low, high] = self.0;
        let mixed = (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        usize::try_from(mixed).unwrap_or(0)
    }
}

/// Marks a slot that holds a hash; a length is at most 15.
const HASHED: u8 = 0xff;

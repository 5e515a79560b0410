use std::hash::{BuildHasher, Hash, Hasher};

use crate::hash::mac::Mac;

/// A key id in sixteen bytes: as it is up to fifteen, a keyed hash above that.
///
/// Should two long ids ever meet in one slot, they only take each other's room: the tag binds the whole id.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Slot {
    low: u64,
    high: u64,
}

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
        let (low, high) = halves(packed);
        Self { low, high }
    }

    /// Mixes the id for the choice of a shard (Fibonacci hashing).
    pub(super) fn spread(self) -> usize {
        let mixed = (self.low ^ self.high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 48).unwrap_or(0)
    }
}

/// Marks a slot that holds a hash; a length is at most 15.
const HASHED: u8 = 0xff;

fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(bytes);
    (low(whole), low(whole >> 64))
}

fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0)
}

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
        state.write_u64(self.high);
    }
}

/// What makes one memory's map different from another's: two random words, as the standard library's own has.
///
/// The hash behind it is one widening multiplication a word, a quarter of the standard one's time. It need not stand up
/// to more than it meets: only ids of keys that were proven get in, and nobody sees the order they lie in.
#[derive(Clone, Copy)]
pub(super) struct Seeds {
    start: u64,
    factor: u64,
}

impl Seeds {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        let (start, factor) = halves(std::array::from_fn(|at| bytes.get(at).map_or(0, |it| *it)));
        Self {
            start,
            factor: factor | 1,
        }
    }
}

impl BuildHasher for Seeds {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold {
            state: self.start,
            factor: self.factor,
        }
    }
}

/// Folds the two halves of a product into one word.
pub(super) struct Fold {
    state: u64,
    factor: u64,
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = low(product) ^ low(product >> 64).rotate_left(23);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids that differ in one letter must not crowd one bucket: the map looks at the lowest and the highest bits.
    #[test]
    fn spreads_similar_ids() {
        let mac = Mac::new(b"key");
        let seeds = Seeds::new(mac.over([b"seeds"]));
        let mut buckets = [0_u32; 256];
        let mut tops = [0_u32; 128];
        let mut shards = [0_u32; 64];
        for number in 0..25_600_u32 {
            let slot = Slot::of(&format!("A1b2C3{number:06}"), &mac);
            let hash = seeds.hash_one(slot);
            buckets[usize::try_from(hash & 0xff).unwrap()] += 1;
            tops[usize::try_from(hash >> 57).unwrap()] += 1;
            shards[slot.spread() % 64] += 1;
        }
        assert!(
            buckets.iter().all(|it| (40..200).contains(it)),
            "{buckets:?}"
        );
        assert!(tops.iter().all(|it| (100..320).contains(it)), "{tops:?}");
        assert!(
            shards.iter().all(|it| (200..700).contains(it)),
            "{shards:?}"
        );
    }
}

use std::hash::{Hash, Hasher};

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

    /// Mixes the id for the choice of a shard (Fibonacci hashing; the map within hashes with a random key).
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

/// Without the length that the derived implementation would put in front.
impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
        state.write_u64(self.high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_similar_ids_over_the_shards() {
        let mac = Mac::new(b"key");
        let mut shards = [0_u32; 64];
        for number in 0..25_600_u32 {
            let slot = Slot::of(&format!("A1b2C3{number:06}"), &mac);
            shards[slot.spread() % 64] += 1;
        }
        assert!(
            shards.iter().all(|it| (200..800).contains(it)),
            "{shards:?}"
        );
    }

    #[test]
    fn gives_every_id_a_slot_of_its_own() {
        let mac = Mac::new(b"key");
        let ids = [
            "",
            "a",
            "a\0",
            "aaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaab",
        ];
        for (at, id) in ids.iter().enumerate() {
            for (other_at, other) in ids.iter().enumerate() {
                assert_eq!(Slot::of(id, &mac) == Slot::of(other, &mac), at == other_at);
            }
        }
    }
}

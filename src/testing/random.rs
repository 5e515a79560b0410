use std::sync::atomic::{AtomicU64, Ordering};

use crate::random::{RandomError, SecureRandom};

/// Bytes that repeat from run to run. Never for anything but tests.
///
/// ```
/// use keyward::random::SecureRandom;
/// use keyward::testing::SeededRandom;
///
/// let (mut a, mut b) = ([0; 16], [0; 16]);
/// SeededRandom::new(7).fill(&mut a).unwrap();
/// SeededRandom::new(7).fill(&mut b).unwrap();
/// assert_eq!(a, b);
/// ```
#[derive(Debug)]
pub struct SeededRandom {
    state: AtomicU64,
}

impl SeededRandom {
    /// Returns the sequence that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014): the state is a counter, so parallel callers never see one value twice.
    fn next(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .state
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl SecureRandom for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        for chunk in buffer.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
        Ok(())
    }
}

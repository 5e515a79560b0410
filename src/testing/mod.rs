//! What a test needs: a clock that waits, seeded randomness, faults, and the conformance suites.

mod clock;
mod counting_hasher;
mod gate;
mod random;

pub use clock::ManualClock;
pub use counting_hasher::CountingHasher;
pub use gate::Gate;
pub use random::SeededRandom;

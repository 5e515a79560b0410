//! What a test needs: a clock that waits, seeded randomness, faults, and the conformance suites.

mod clock;
mod random;
pub mod rate_limit_rules;

pub use clock::ManualClock;
pub use random::SeededRandom;

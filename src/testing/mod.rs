//! What a test needs: a clock that waits, seeded randomness, faults, and the conformance suites.

pub mod audit_rules;
mod clock;
mod faulty_sink;
mod random;
pub mod rate_limit_rules;

pub use clock::ManualClock;
pub use faulty_sink::FaultySink;
pub use random::SeededRandom;

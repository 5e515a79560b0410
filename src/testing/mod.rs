//! What a test needs: a clock that waits, seeded randomness, faults, and the conformance suites.

pub mod audit_log_rules;
pub mod audit_rules;
pub mod audited_rules;
mod clock;
mod counting_hasher;
pub mod factor_rules;
mod faulty_sink;
mod faulty_store;
mod gate;
pub mod notice_rules;
mod random;
pub mod rate_limit_rules;
pub mod store_rules;
mod suite;

pub use clock::ManualClock;
pub use counting_hasher::CountingHasher;
pub use faulty_sink::FaultySink;
pub use faulty_store::{FaultyStore, StoreGate, StoreOperation};
pub use gate::Gate;
pub use random::SeededRandom;

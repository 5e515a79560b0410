//! Sealing a trail: signed checkpoints over all its lines.

mod checkpoint;
mod key;
mod note;
mod notes_file;
mod outbox;
mod progress;
mod sealer;
mod settings;
mod task;
mod tree;
mod verifier_key;
mod verify;

pub(super) use self::outbox::Outbox;
pub(super) use self::sealer::Sealer;
pub(super) use self::task::SealTask;

pub use self::checkpoint::Checkpoint;
pub use self::key::SealKey;
pub use self::note::CheckpointFault;
pub use self::notes_file::checkpoints_file;
pub use self::outbox::SealCounters;
pub use self::settings::{CheckpointSink, DEFAULT_SEAL_INTERVAL, Sealing};
pub use self::verifier_key::{SealKeyError, VerifierKey};
pub use self::verify::{SealError, SealReport, SealVerifier};

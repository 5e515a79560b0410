use crate::audit::AuditError;
use crate::key::KeyId;
use crate::service::LifecycleError;
use crate::store::Cursor;

/// What became of one batch of an order to revoke many keys.
#[derive(Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct RevokedBatch {
    /// Keys that this batch ended, newest first.
    pub revoked: Vec<KeyId>,
    /// How many had been revoked before, or were gone.
    pub already_ended: u64,
    /// Keys that may still be live, and why. One whose record cannot be read is among them, though no request passes with
    /// it. Going on is right, and so is running the order again.
    pub failed: Vec<(KeyId, LifecycleError)>,
    /// Keys that were ended without their event in the audit trail, and why: write them down elsewhere.
    pub unaudited: Vec<(KeyId, AuditError)>,
    /// The acting key, if the order covers it: a batch leaves it alone, or it could end no other.
    pub acting_key: Option<KeyId>,
    /// Where the next batch begins; `None` when this was the last one.
    pub next: Option<Cursor>,
}

/// What became of an order to revoke many keys.
///
/// Numbers are exact. Names are kept of at most [`Self::MOST_NAMED`] keys, so that an order over millions needs no more
/// memory than one over a thousand; whoever needs each name takes the batches one by one.
#[derive(Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct RevokedMany {
    /// How many keys this call ended.
    pub revoked: u64,
    /// How many had been revoked before, or were gone.
    pub already_ended: u64,
    /// How many keys may still be live.
    pub failures: u64,
    /// The first of them, and why (see [`RevokedBatch::failed`]).
    pub failed: Vec<(KeyId, LifecycleError)>,
    /// How many keys were ended without their event in the audit trail. Their records name actor, time and reason.
    pub gaps: u64,
    /// The first of them, and why.
    pub unaudited: Vec<(KeyId, AuditError)>,
    /// The acting key, if the order covers it and it was left alone because something else was not done.
    pub acting_key: Option<KeyId>,
    /// How often all keys were gone through.
    pub passes: u32,
    /// Whether the last pass found no key to end. If not, keys are being issued as fast as they are ended: see to that first.
    pub settled: bool,
}

impl RevokedMany {
    /// How many keys are named at most in each list.
    pub const MOST_NAMED: usize = 1000;

    /// Returns whether every key of the order has ended. If not, run it again.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.settled && self.failures == 0 && self.acting_key.is_none()
    }

    /// Each pass tries again what failed in the one before, and meets again what that has ended.
    pub(super) fn begin_pass(&mut self) {
        self.passes = self.passes.saturating_add(1);
        self.failures = 0;
        self.failed.clear();
        self.acting_key = None;
    }

    /// Adds a batch of the pass, and returns how many keys it ended.
    pub(super) fn add(&mut self, batch: RevokedBatch) -> u64 {
        let ended = count(&batch.revoked);
        self.revoked = self.revoked.saturating_add(ended);
        if self.passes == 1 {
            self.already_ended = self.already_ended.saturating_add(batch.already_ended);
        }
        self.failures = self.failures.saturating_add(count(&batch.failed));
        self.gaps = self.gaps.saturating_add(count(&batch.unaudited));
        keep(&mut self.failed, batch.failed);
        keep(&mut self.unaudited, batch.unaudited);
        self.acting_key = self.acting_key.or(batch.acting_key);
        ended
    }
}

fn count<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn keep<T>(kept: &mut Vec<T>, more: Vec<T>) {
    let room = RevokedMany::MOST_NAMED.saturating_sub(kept.len());
    kept.extend(more.into_iter().take(room));
}

/// An order to revoke many keys could not be carried to its end.
#[derive(Debug, thiserror::Error)]
#[error("the keys to revoke could not be listed to the end")]
#[non_exhaustive]
pub struct RevokeManyError {
    /// What was done until then. Run the order again for the rest.
    pub so_far: Box<RevokedMany>,
    /// Why it went no further.
    #[source]
    pub cause: LifecycleError,
}

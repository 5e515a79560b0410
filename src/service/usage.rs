//! Last uses, gathered off the request path and written in batches.

use std::collections::HashMap;
use std::net::IpAddr;

use super::records::Records;
use crate::key::{Generation, KeyId};
use crate::store::{StoreError, Usage};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

/// Keys used at the same moment rarely meet at 16 locks.
const SHARDS: usize = 16;
/// What one write to the store carries at most: long enough to be worth a transaction, short enough not to hold one.
const BATCH: usize = 500;

type Noted = HashMap<(KeyId, Generation), (Timestamp, Option<IpAddr>)>;

/// Which keys were used since the last flush. One entry a key and generation, however often it was used.
#[derive(Debug)]
pub(super) struct UsageLog {
    shards: Vec<Mutex<Noted>>,
    /// Whoever flushes also waits for the flush before it, whose batch is out of the shards and not yet in the store.
    flushing: tokio::sync::Mutex<()>,
}

/// Uses taken out of the log. Those still in it when it is dropped are noted again.
struct Taken<'a> {
    log: &'a UsageLog,
    uses: Vec<Usage>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for used in &self.uses {
            self.log.note(used.id, used.generation, used.at, used.from);
        }
    }
}

impl UsageLog {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect(),
            flushing: tokio::sync::Mutex::new(()),
        }
    }

    /// Notes a use. Never blocks on anything but another note.
    pub(super) fn note(
        &self,
        id: KeyId,
        generation: Generation,
        at: Timestamp,
        from: Option<IpAddr>,
    ) {
        // The id is random, so its last byte spreads as well as any hash of it.
        let place = id.spread() % SHARDS;
        let Some(shard) = self.shards.get(place) else {
            return;
        };
        let mut shard = lock(shard);
        let entry = shard.entry((id, generation)).or_insert((at, from));
        if entry.0 <= at {
            *entry = (at, from);
        }
    }

    fn take(&self) -> Taken<'_> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let shard = std::mem::take(&mut *lock(shard));
            taken.extend(
                shard
                    .into_iter()
                    .map(|((id, generation), (at, from))| Usage::new(id, generation, at, from)),
            );
        }
        Taken {
            log: self,
            uses: taken,
        }
    }

    /// Writes what was noted. What the store does not take, or is not asked because the caller goes away, is noted
    /// again, for the next flush.
    pub(super) async fn flush(&self, records: &Records) -> Result<(), StoreError> {
        let _alone = self.flushing.lock().await;
        let mut left = self.take();
        let mut refused = Taken {
            log: self,
            uses: Vec::new(),
        };
        let mut outcome = Ok(());
        while !left.uses.is_empty() {
            let from = left.uses.len().saturating_sub(BATCH);
            let batch = left.uses.get(from..).unwrap_or_default();
            let written = records.record_usage(batch).await;
            let batch = left.uses.split_off(from);
            if let Err(error) = written {
                refused.uses.extend(batch);
                outcome = Err(error);
            }
        }
        outcome
    }
}

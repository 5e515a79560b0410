//! Removing what a crash between two steps has left.

use std::collections::HashSet;
use std::time::Duration;

use super::error::failed;
use super::list::{Ahead, Entry, foreign};
use super::places::{self, RECORDS, SWEEP};
use super::{VaultStore, body};
use crate::key::KeyId;
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::vault::{VaultError, Versioned};

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Swept {
    /// Places of deleted records that were removed.
    pub deletions_finished: u64,
    /// Index entries without a record that were removed.
    pub entries_removed: u64,
    /// Records whose index entry was missing, which nothing in this crate leaves behind.
    pub entries_restored: u64,
}

impl VaultStore {
    /// Removes what an interrupted insert or delete has left: index entries without a record, and places whose record is
    /// deleted. None of it can be found, listed or verified, so how often it is swept is a matter of tidiness. It also
    /// puts back index entries that somebody else removed, since without them a key works and no list shows it.
    ///
    /// What is younger than `older_than` by Vault's own clock stays: it may be an operation that is under way. An hour
    /// is long enough for any network. Reads every record once, so call it at night and from one process.
    ///
    /// # Errors
    ///
    /// An outage, or [`StoreError::Corrupt`] for something in the mount that is not of this crate. What was done until
    /// then stays done, and sweeping again goes on.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use keyward::store::{StoreError, VaultStore};
    ///
    /// # async fn nightly(store: VaultStore) -> Result<(), StoreError> {
    /// let swept = store.sweep(Duration::from_secs(3600)).await?;
    /// println!("{swept:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sweep(&self, older_than: Duration) -> Result<Swept, StoreError> {
        let horizon = self.vaults_time().await?.saturating_sub(older_than);
        let mut swept = Swept::default();
        // Places only: the records of a large mount would not fit.
        let mut missing = HashSet::new();
        let mut hidden = HashSet::new();
        let names = self.kv.names(RECORDS).await.map_err(failed)?;
        let ids: Option<Vec<KeyId>> = names.iter().map(|it| places::read_id(it)).collect();
        let mut records = Ahead::new(ids.ok_or_else(foreign)?, |id: &KeyId| {
            let (kv, place) = (self.kv.clone(), places::record(id));
            async move { kv.read::<serde_json::Value>(&place).await.map_err(failed) }
        });
        while let Some((id, found)) = records.next().await? {
            let Some(found) = found else {
                // Deleted by hand, which can be undone by hand.
                hidden.insert(id);
                continue;
            };
            if let Some(stored) = body::read(&id, &found)? {
                missing.insert(places::entry(&stored.record));
            } else if found.written < horizon {
                self.kv.remove(&places::record(&id)).await.map_err(failed)?;
                swept.deletions_finished = swept.deletions_finished.saturating_add(1);
            }
        }
        for entry in self.entries(self.folders().await?).await? {
            let known = missing.remove(&entry.path()) || hidden.contains(&entry.place.id());
            if !known && self.is_left_over(&entry, horizon).await? {
                self.kv.remove(&entry.path()).await.map_err(failed)?;
                swept.entries_removed = swept.entries_removed.saturating_add(1);
            }
        }
        for entry in &missing {
            self.announce(entry).await?;
            swept.entries_restored = swept.entries_restored.saturating_add(1);
        }
        Ok(swept)
    }

    /// A record may have come since the records were read, so it is asked for once more. An insert that has written this
    /// entry and not yet its record is what the horizon is for.
    async fn is_left_over(&self, entry: &Entry, horizon: Timestamp) -> Result<bool, StoreError> {
        let announced = self.kv.read::<serde_json::Value>(&entry.path()).await;
        let old = announced
            .map_err(failed)?
            .is_some_and(|it| it.written < horizon);
        if !old {
            return Ok(false);
        }
        let stored = self.stored(&entry.place.id()).await?;
        Ok(!stored.is_some_and(|it| entry.is_of(&it.record)))
    }

    /// Writes a secret to be told the time: ours may differ.
    async fn vaults_time(&self) -> Result<Timestamp, StoreError> {
        for _ in 0..ATTEMPTS {
            let last = self.kv.read::<serde_json::Value>(SWEEP).await;
            let version = last
                .map_err(failed)?
                .map_or(0, |Versioned { version, .. }| version);
            match self.kv.write(SWEEP, &serde_json::json!({}), version).await {
                Err(VaultError::Conflict) => {}
                other => return other.map_err(failed),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// Of sweeps that begin at one time all but one try again.
const ATTEMPTS: u32 = 10;

impl Entry {
    fn path(&self) -> String {
        places::entry_at(&self.folder, self.place)
    }
}

//! A store with one defect, for tests of the rules themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keyward::async_trait;
use keyward::key::{KeyId, KeyRecord, KeyStatus, LastUse, OwnerId, Revision};
use keyward::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage, apply_update, apply_usage,
};
use keyward::time::Timestamp;

/// What is wrong. Each is a mistake that a store of this kind has been seen with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Defect {
    Nothing,
    CachesReads,
    CountsAllKeysAgainstTheLimit,
    CountsThenInserts,
    CutsPagesWithoutTheId,
    DeletesAnyRevision,
    DeletesUnknownKeys,
    FoldsCaseOfIds,
    FoldsCaseOfOwners,
    IgnoresTheLimit,
    IgnoresTheOrder,
    InsertsOverOthers,
    ListsOldestFirst,
    ReadsThenUpdates,
    RoundsToMilliseconds,
    SaysNoMore,
    TakesAnyRevision,
    UpdatesCreate,
    UpdatesMoveOwners,
    UpdatesWriteUsage,
    UsageBringsBack,
    UsageGoesBackwards,
    UsageIsAChange,
    UsageStaysWithTheCurrentSecret,
    UsageWritesTheWholeRecord,
}

type Records = BTreeMap<KeyId, KeyRecord>;

#[derive(Debug)]
pub(crate) struct Broken {
    defect: Defect,
    records: Mutex<Records>,
    /// Every record that was ever read or written, for those defects that remember.
    remembered: Mutex<Records>,
}

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self {
            defect,
            records: Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn id(&self, id: &KeyId) -> KeyId {
        if self.is(Defect::FoldsCaseOfIds) {
            return id.as_str().to_lowercase().parse().unwrap();
        }
        *id
    }

    fn get(&self, id: &KeyId) -> Option<KeyRecord> {
        self.records.lock().unwrap().get(&self.id(id)).cloned()
    }

    fn put(&self, record: KeyRecord) {
        let id = self.id(&record.id);
        self.remembered.lock().unwrap().insert(id, record.clone());
        self.records.lock().unwrap().insert(id, record);
    }

    fn counted(&self, new: &KeyRecord) -> usize {
        let all = self.is(Defect::CountsAllKeysAgainstTheLimit);
        let records = self.records.lock().unwrap();
        let counts = |other: &&KeyRecord| {
            other.owner == new.owner && (all || other.status(new.created_at) == KeyStatus::Active)
        };
        records.values().filter(counts).count()
    }

    fn updated(&self, stored: &KeyRecord, update: &KeyRecord) -> Result<KeyRecord, StoreError> {
        let mut update = update.clone();
        if self.is(Defect::TakesAnyRevision) {
            update.revision = stored.revision;
        }
        let mut next = apply_update(stored, &update)?;
        match self.defect {
            Defect::UpdatesMoveOwners => next.owner = update.owner,
            Defect::UpdatesWriteUsage => next.last_used = update.last_used,
            Defect::UsageStaysWithTheCurrentSecret => {
                next.current.last_used_at = stored.current.last_used_at;
            }
            _ => {}
        }
        Ok(next)
    }

    fn used(&self, record: &mut KeyRecord, used: &Usage) {
        apply_usage(record, used);
        match self.defect {
            Defect::UsageGoesBackwards => record.last_used = Some(LastUse::new(used.at, used.from)),
            Defect::UsageIsAChange => record.revision = record.revision.next(),
            _ => {}
        }
    }

    /// A pause between a read and the write that was decided on it, in which others get their turn.
    async fn pause(&self, defect: Defect) {
        if self.is(defect) {
            tokio::task::yield_now().await;
        }
    }
}

fn rounded(mut record: KeyRecord) -> KeyRecord {
    let round = |moment: Timestamp| Timestamp::from_micros(moment.as_micros() / 1000 * 1000);
    record.expires_at = record.expires_at.map(round);
    record
}

#[async_trait]
impl KeyStore for Broken {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        let mut record = insert.record;
        if self.get(&record.id).is_some() && !self.is(Defect::InsertsOverOthers) {
            return Err(StoreError::AlreadyExists);
        }
        if self.is(Defect::RoundsToMilliseconds) {
            record = rounded(record);
        }
        let limit = insert
            .owner_limit
            .filter(|_| !self.is(Defect::IgnoresTheLimit));
        if let Some(limit) = limit {
            let counted = self.counted(&record);
            self.pause(Defect::CountsThenInserts).await;
            if counted >= usize::try_from(limit).unwrap() {
                return Err(StoreError::OwnerLimit { limit });
            }
        }
        self.put(record);
        Ok(())
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let cached = self.remembered.lock().unwrap().get(id).cloned();
        let found = match cached {
            Some(cached) if self.is(Defect::CachesReads) => Some(cached),
            _ => self.get(id),
        };
        Ok(found.map(Arc::new))
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        if self.get(&record.id).is_none() && self.is(Defect::UpdatesCreate) {
            self.put(record.clone());
        }
        let stored = self.get(&record.id).ok_or(StoreError::NotFound)?;
        let next = self.updated(&stored, record)?;
        self.pause(Defect::ReadsThenUpdates).await;
        let revision = next.revision;
        if self.is(Defect::CachesReads) {
            self.records.lock().unwrap().insert(next.id, next);
        } else {
            self.put(next);
        }
        Ok(revision)
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        for used in usage {
            let mut stored = self.get(&used.id);
            if self.is(Defect::UsageBringsBack) && stored.is_none() {
                stored = self.remembered.lock().unwrap().get(&used.id).cloned();
            }
            let Some(mut record) = stored else { continue };
            self.pause(Defect::UsageWritesTheWholeRecord).await;
            self.used(&mut record, used);
            self.put(record);
        }
        Ok(())
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let mut query = query.clone();
        let (owner, after) = (query.owner.clone(), query.after);
        if self.is(Defect::FoldsCaseOfOwners) {
            query.owner = None;
        }
        let mut records: Vec<_> = self.records.lock().unwrap().values().cloned().collect();
        let folded = |owner: &OwnerId| owner.as_str().to_lowercase();
        records.retain(|record| {
            let skipped = self.is(Defect::CutsPagesWithoutTheId)
                && after.is_some_and(|after| {
                    query
                        .order
                        .place(record)
                        .is_some_and(|it| it.moment() == after.moment())
                });
            let fits = owner
                .as_ref()
                .is_none_or(|owner| folded(owner) == folded(&record.owner));
            query.matches(record) && fits && !skipped
        });
        let mut records: Vec<_> = records.into_iter().map(Arc::new).collect();
        if !self.is(Defect::IgnoresTheOrder) {
            query.sort(&mut records);
        }
        if self.is(Defect::ListsOldestFirst) {
            records.reverse();
        }
        let mut page = Page::cut(records, &query);
        if self.is(Defect::SaysNoMore) {
            page.next = None;
        }
        Ok(page)
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        let stored = match self.get(id) {
            Some(stored) => stored,
            None if self.is(Defect::DeletesUnknownKeys) => return Ok(()),
            None => return Err(StoreError::NotFound),
        };
        if stored.revision != expected && !self.is(Defect::DeletesAnyRevision) {
            return Err(StoreError::Conflict);
        }
        self.records.lock().unwrap().remove(&self.id(id));
        Ok(())
    }
}

use std::sync::Arc;

use super::basis::Standing;
use super::{Basis, Records};
use crate::audit::AuditEvent;
use crate::hash::{HashError, RowBinding};
use crate::key::{KeyRecord, Revision, canonical};
use crate::store::{AuditedError, InsertKey, StoreError, apply_update};

/// A changed record that may be written. Only [`Records::ready`] makes one.
#[derive(Clone, Debug)]
pub(in crate::service) struct Ready {
    record: KeyRecord,
    /// Whether its binding was made just now, for the revision that the store is about to give it.
    is_bound: bool,
}

/// A new record that may be written. Only [`Records::ready_new`] makes one.
#[derive(Clone, Debug)]
pub(in crate::service) struct ReadyNew(InsertKey);

impl Ready {
    pub(in crate::service) const fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// Returns the record as the store has it now.
    pub(in crate::service) fn stored(mut self, revision: Revision) -> Arc<KeyRecord> {
        self.record.revision = revision;
        Arc::new(self.record)
    }

    /// INVARIANT: a binding holds for one revision. A store that counts in another way than its contract says has just
    /// stored a row that is refused from now on, which nobody must learn from the next request.
    fn counted(&self, revision: Revision) -> Result<Revision, StoreError> {
        if self.is_bound && revision != self.record.revision.next() {
            let problem =
                "an update did not raise the revision by one, so the row's binding does not hold";
            return Err(StoreError::backend("bound", problem));
        }
        Ok(revision)
    }
}

impl ReadyNew {
    pub(in crate::service) const fn record(&self) -> &KeyRecord {
        &self.0.record
    }
}

impl Records {
    /// Makes `next`, which was made of the basis, ready to be written.
    pub(in crate::service) fn ready(
        &self,
        basis: &Basis,
        mut next: KeyRecord,
    ) -> Result<Ready, HashError> {
        let before = basis.record();
        if basis.standing() == Standing::Broken {
            let record = KeyRecord {
                revocation: next.revocation,
                exposed_at: next.exposed_at,
                ..before.clone()
            };
            return Ok(Ready {
                record,
                is_bound: false,
            });
        }
        next.revision = before.revision;
        next.binding = match self.mode {
            None => None,
            // What will be there: the store counts the revision and keeps what never changes.
            Some(_) => match apply_update(before, &next) {
                Ok(after) => Some(self.bind(&after)?),
                Err(_) => None,
            },
        };
        Ok(Ready {
            is_bound: next.binding.is_some(),
            record: next,
        })
    }

    /// Makes a new record ready to be written.
    pub(in crate::service) fn ready_new(
        &self,
        mut record: KeyRecord,
        owner_limit: Option<u32>,
    ) -> Result<ReadyNew, HashError> {
        record.binding = match self.mode {
            None => None,
            Some(_) => Some(self.bind(&record)?),
        };
        let mut insert = InsertKey::new(record);
        insert.owner_limit = owner_limit;
        Ok(ReadyNew(insert))
    }

    fn bind(&self, record: &KeyRecord) -> Result<RowBinding, HashError> {
        self.hashing.bind_row(&canonical(record))
    }

    pub(in crate::service) async fn insert(&self, new: &ReadyNew) -> Result<(), StoreError> {
        self.store.insert(new.0.clone()).await
    }

    pub(in crate::service) async fn insert_with_event(
        &self,
        new: &ReadyNew,
        event: &AuditEvent,
    ) -> Result<(), AuditedError> {
        self.audited()?
            .insert_with_event(new.0.clone(), event)
            .await
    }

    pub(in crate::service) async fn update(&self, ready: &Ready) -> Result<Revision, StoreError> {
        ready.counted(self.store.update(&ready.record).await?)
    }

    pub(in crate::service) async fn update_with_event(
        &self,
        ready: &Ready,
        event: &AuditEvent,
    ) -> Result<Revision, AuditedError> {
        let revision = self
            .audited()?
            .update_with_event(&ready.record, event)
            .await?;
        Ok(ready.counted(revision)?)
    }
}

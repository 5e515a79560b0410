//! The service's only door to the store: what comes out of it may have been edited, and what goes in is bound.
//!
//! The store itself is private to this module. A record that was read is [`Found`], good for showing. To grant something on
//! it or to change it takes a [`Basis`], which [`Records::vouch`] gives for records whose binding holds; and only what
//! [`Records::ready`] made of a basis can be written. So no path can forget to check, and none can sign what it did not check.

mod basis;
mod mode;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

pub(super) use basis::{Basis, Unsound};
pub use mode::RowBindingMode;
pub(super) use write::{Ready, ReadyNew};

use crate::audit::AuditEvent;
use crate::hash::Hashing;
use crate::key::{KeyId, KeyRecord};
use crate::store::{AuditedError, AuditedStore, KeyStore, ListKeys, Page, StoreError, Usage};

/// The store, and what binds its rows.
#[derive(Clone, Debug)]
pub(super) struct Records {
    store: Arc<dyn KeyStore>,
    /// The same store, if it keeps the audit trail as well: changes and their events are one step there.
    together: Option<Arc<dyn AuditedStore>>,
    hashing: Arc<Hashing>,
    mode: Option<RowBindingMode>,
}

/// A record as the store has it, perhaps edited: to be shown, and to be ended.
#[derive(Debug)]
pub(super) struct Found(Arc<KeyRecord>);

impl Found {
    pub(super) fn record(&self) -> &KeyRecord {
        &self.0
    }

    /// For showing. Nothing may be granted on it, and it cannot be written.
    pub(super) fn into_shown(self) -> Arc<KeyRecord> {
        self.0
    }
}

impl Records {
    pub(super) const fn new(
        store: Arc<dyn KeyStore>,
        together: Option<Arc<dyn AuditedStore>>,
        hashing: Arc<Hashing>,
        mode: Option<RowBindingMode>,
    ) -> Self {
        Self {
            store,
            together,
            hashing,
            mode,
        }
    }

    pub(super) fn store(&self) -> &dyn std::fmt::Debug {
        &self.store
    }

    pub(super) const fn mode(&self) -> Option<RowBindingMode> {
        self.mode
    }

    /// Whether changes and their events are one step.
    pub(super) const fn keep_the_trail(&self) -> bool {
        self.together.is_some()
    }

    pub(super) async fn find(&self, id: &KeyId) -> Result<Option<Found>, StoreError> {
        Ok(self.store.find(id).await?.map(Found))
    }

    /// Returns records for showing; each may have been edited.
    pub(super) async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.store.list(query).await
    }

    /// Usage is not bound: it changes with every use, and nothing is granted on it.
    pub(super) async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(batch).await
    }

    /// Removes a record, edited or not.
    pub(super) async fn delete(&self, record: &KeyRecord) -> Result<(), StoreError> {
        self.store.delete(&record.id, record.revision).await
    }

    pub(super) async fn delete_with_event(
        &self,
        record: &KeyRecord,
        event: &AuditEvent,
    ) -> Result<(), AuditedError> {
        let store = self.audited()?;
        store
            .delete_with_event(&record.id, record.revision, event)
            .await
    }

    fn audited(&self) -> Result<&dyn AuditedStore, StoreError> {
        let unsupported = StoreError::unsupported("plain", "changes with events");
        self.together.as_deref().ok_or(unsupported)
    }
}

use std::sync::Arc;

use async_trait::async_trait;

use super::{InsertKey, KeyStore, StoreError};
use crate::audit::{AuditError, AuditEvent, AuditLog, AuditSink};
use crate::key::{KeyId, KeyRecord, Revision};

/// Keeps key records and the audit trail in one place, so that a change and the event that tells of it are one step.
///
/// With a plain [`KeyStore`] an event is written before its change, and a process that dies between the two leaves an event
/// of something that never happened. Here the event exists if and only if the change does.
/// [`KeyService::builder_audited`](crate::service::KeyService::builder_audited) makes a service over such a store.
///
/// # Contract
///
/// * **Both or neither**, whatever happens: an error, a dropped future, a process that is killed. The conditions of the
///   change (a revision, an owner limit, an id in use) hold for its event too.
/// * **Told apart.** [`AuditedError::Audit`] means that the event could not be written *and* that nothing was changed.
///   The plain change may work then: that is how a revocation takes effect while the trail is out of order. Nothing of the
///   failed step may stand in its way.
/// * **In order.** Events get a sequence without gaps, and readers of the trail see them in the order of their positions.
///   What the event had for a sequence is replaced; its id stays. An id that is in the trail already is an
///   [`AuditedError::Audit`].
/// * **Bounded.** Each call comes to an end by itself, also when the trail is held up, and takes no connection from those
///   who verify keys.
/// * **Content.** No event is refused for what it holds.
///
/// The suite `keyward::testing::audited_rules` (feature `testing`) checks these rules. Methods have no default bodies: a
/// wrapper must forward each of them.
#[async_trait]
pub trait AuditedStore: KeyStore {
    /// Returns the sink for all other events, which ends in the same trail.
    fn sink(&self) -> Arc<dyn AuditSink>;

    /// Returns the trail for reading, if it can be read. The service reads there unless it is given another.
    fn log(&self) -> Option<Arc<dyn AuditLog>>;

    /// Does [`KeyStore::insert`] and writes the event.
    ///
    /// # Errors
    ///
    /// [`AuditedError::Store`] with what `insert` answers; [`AuditedError::Audit`].
    async fn insert_with_event(
        &self,
        insert: InsertKey,
        event: &AuditEvent,
    ) -> Result<(), AuditedError>;

    /// Does [`KeyStore::update`] and writes the event.
    ///
    /// # Errors
    ///
    /// [`AuditedError::Store`] with what `update` answers; [`AuditedError::Audit`].
    async fn update_with_event(
        &self,
        record: &KeyRecord,
        event: &AuditEvent,
    ) -> Result<Revision, AuditedError>;

    /// Does [`KeyStore::delete`] and writes the event.
    ///
    /// # Errors
    ///
    /// [`AuditedError::Store`] with what `delete` answers; [`AuditedError::Audit`].
    async fn delete_with_event(
        &self,
        id: &KeyId,
        expected: Revision,
        event: &AuditEvent,
    ) -> Result<(), AuditedError>;
}

/// A change and its event were not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditedError {
    /// The store's answer, as without an event. After an outage it is not known whether both were made or neither.
    #[error("the store did not make the change")]
    Store(#[from] StoreError),
    /// The event could not be written together with the change. Nothing was changed.
    #[error("the audit event could not be written with the change; nothing was changed")]
    Audit(#[from] AuditError),
}

const _: Option<&dyn AuditedStore> = None;

macro_rules! forward {
    ($($wrapper:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: AuditedStore + ?Sized> AuditedStore for $wrapper<S> {
            fn sink(&self) -> Arc<dyn AuditSink> {
                (**self).sink()
            }
            fn log(&self) -> Option<Arc<dyn AuditLog>> {
                (**self).log()
            }
            async fn insert_with_event(
                &self,
                insert: InsertKey,
                event: &AuditEvent,
            ) -> Result<(), AuditedError> {
                (**self).insert_with_event(insert, event).await
            }
            async fn update_with_event(
                &self,
                record: &KeyRecord,
                event: &AuditEvent,
            ) -> Result<Revision, AuditedError> {
                (**self).update_with_event(record, event).await
            }
            async fn delete_with_event(
                &self,
                id: &KeyId,
                expected: Revision,
                event: &AuditEvent,
            ) -> Result<(), AuditedError> {
                (**self).delete_with_event(id, expected, event).await
            }
        }
    )*};
}

forward!(Arc, Box);

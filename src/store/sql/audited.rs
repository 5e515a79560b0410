//! Changes and their events in one transaction, for every engine.

use crate::audit::AuditError;

/// Why a change and its event were not made.
#[derive(Debug)]
pub(super) enum Failure {
    /// The change failed, or it is not known whether it was made.
    Change(sqlx::Error),
    /// The event could not be written, and nothing was changed.
    Event(AuditError),
}

/// Implements [`KeyStore`](crate::store::KeyStore) and [`AuditedStore`](crate::store::AuditedStore) for a store that keeps
/// the plain one in `store`, its `sink`, a `pen`, and has a method `together`: it runs a change, under the lock of an
/// owner's if there is a limit to hold, and writes the event if the change found something to write.
macro_rules! audited_sql_store {
    ($audited:ident, $store:ident, $sink:ident, $engine:ty) => {
        const _: () = {
            use std::fmt;

            use $crate::audit::{AuditLog, AuditSink};
            use $crate::key::{KeyId, KeyRecord, Revision};
            use $crate::store::sql::error::{failed, insert_failed};
            use $crate::store::{
                AuditedError, AuditedStore, Capabilities, InsertKey, KeyStore, ListKeys, Page,
                StoreError, Usage,
            };

            impl $audited {
                /// Returns the plain store.
                #[must_use]
                pub const fn store(&self) -> &$store {
                    &self.store
                }

                /// Returns the table as a sink, to read, export and purge the trail with.
                #[must_use]
                pub const fn table(&self) -> &Arc<$sink> {
                    &self.sink
                }

                /// Returns the name under which the events of changes stand in the table. All others stand under the sink's.
                #[must_use]
                pub fn recorder(&self) -> &str {
                    self.pen.recorder()
                }
            }

            impl fmt::Debug for $audited {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($audited))
                        .field("recorder", &self.recorder())
                        .finish_non_exhaustive()
                }
            }

            fn refused(failure: Failure) -> AuditedError {
                match failure {
                    Failure::Change(error) => failed::<$engine>(error).into(),
                    Failure::Event(error) => error.into(),
                }
            }

            #[async_trait::async_trait]
            impl AuditedStore for $audited {
                fn sink(&self) -> Arc<dyn AuditSink> {
                    Arc::clone(&self.sink) as Arc<dyn AuditSink>
                }

                fn log(&self) -> Option<Arc<dyn AuditLog>> {
                    Some(Arc::clone(&self.sink) as Arc<dyn AuditLog>)
                }

                async fn insert_with_event(
                    &self,
                    insert: InsertKey,
                    event: &AuditEvent,
                ) -> Result<(), AuditedError> {
                    let query = $store::insert_query(&insert)?;
                    let limit = insert.owner_limit;
                    let owner = limit.map(|_| &insert.record.owner);
                    match (self.together(query, owner, event).await, limit) {
                        (Ok(false), Some(limit)) => Err(StoreError::OwnerLimit { limit }.into()),
                        (Ok(_), _) => Ok(()),
                        (Err(Failure::Change(error)), _) => {
                            Err(insert_failed::<$engine>(error).into())
                        }
                        (Err(failure), _) => Err(refused(failure)),
                    }
                }

                async fn update_with_event(
                    &self,
                    record: &KeyRecord,
                    event: &AuditEvent,
                ) -> Result<Revision, AuditedError> {
                    let query = $store::update_query(record)?;
                    if self.together(query, None, event).await.map_err(refused)? {
                        Ok(record.revision.next())
                    } else {
                        Err(self.store.refusal(&record.id).await?.into())
                    }
                }

                async fn delete_with_event(
                    &self,
                    id: &KeyId,
                    expected: Revision,
                    event: &AuditEvent,
                ) -> Result<(), AuditedError> {
                    let query = $store::delete_query(id, expected);
                    if self.together(query, None, event).await.map_err(refused)? {
                        Ok(())
                    } else {
                        Err(self.store.refusal(id).await?.into())
                    }
                }
            }

            #[async_trait::async_trait]
            #[deny(clippy::missing_trait_methods)]
            impl KeyStore for $audited {
                fn capabilities(&self) -> Capabilities {
                    self.store.capabilities()
                }

                async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
                    self.store.insert(insert).await
                }

                async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
                    self.store.find(id).await
                }

                async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
                    self.store.update(record).await
                }

                async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
                    self.store.record_usage(usage).await
                }

                async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
                    self.store.list(query).await
                }

                async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
                    self.store.delete(id, expected).await
                }
            }
        };
    };
}

pub(super) use audited_sql_store;

//! The operations, for every engine.

/// Implements [`KeyStore`](crate::store::KeyStore) for a store with a `pool` and a `turn` that a writer waits for.
///
/// A macro because sqlx ties values, rows and pools to the engine's types; what can be ordinary code is in the
/// neighbouring modules.
macro_rules! sql_key_store {
    ($store:ty, $engine:ty) => {
        const _: () = {
            use std::sync::Arc;

            use sqlx::Row as _;

            use $crate::key::{KeyId, KeyRecord, Revision};
            use $crate::store::sql::bind::{self, Bind};
            use $crate::store::sql::error::{failed, insert_failed};
            use $crate::store::sql::read::{Columns, Read};
            use $crate::store::sql::{Dialect, statements};
            use $crate::store::{
                Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage, UsageFilter,
            };

            type Query =
                sqlx::query::Query<'static, $engine, <$engine as sqlx::Database>::Arguments>;
            type EngineRow = <$engine as sqlx::Database>::Row;

            impl Bind for Query {
                fn maybe_text(self, value: Option<&str>) -> Self {
                    self.bind(value)
                }

                fn maybe_number(self, value: Option<i64>) -> Self {
                    self.bind(value)
                }

                fn flag(self, value: bool) -> Self {
                    self.bind(value)
                }
            }

            impl<'r> Columns<'r, EngineRow> {
                fn value<T>(&mut self) -> Result<T, StoreError>
                where
                    T: sqlx::Decode<'r, $engine> + sqlx::Type<$engine>,
                {
                    let index = self.next;
                    self.next = index.saturating_add(1);
                    self.row.try_get(index).map_err(|error| self.corrupt(error))
                }
            }

            impl<'r> Read<'r> for Columns<'r, EngineRow> {
                fn maybe_text(&mut self) -> Result<Option<&'r str>, StoreError> {
                    self.value()
                }

                fn maybe_number(&mut self) -> Result<Option<i64>, StoreError> {
                    self.value()
                }

                fn flag(&mut self) -> Result<bool, StoreError> {
                    self.value()
                }
            }

            fn read(row: &EngineRow) -> Result<Arc<KeyRecord>, StoreError> {
                Columns::new(row).record().map(Arc::new)
            }

            fn list_query(query: &ListKeys) -> Query {
                let statement = match (&query.owner, &query.tenant) {
                    (Some(_), _) => statements::LIST_OF_OWNER,
                    (None, Some(_)) => statements::LIST_OF_TENANT,
                    (None, None) => statements::LIST,
                };
                let after = query.after.map(|cursor| (cursor.created_at(), cursor.id()));
                let (unused, not_since) = match query.usage {
                    Some(UsageFilter::Never) => (true, None),
                    Some(UsageFilter::NotSince(moment)) => (false, Some(moment)),
                    None => (false, None),
                };
                sqlx::query(statement)
                    .maybe_text(query.owner.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.tenant.as_ref().map(AsRef::as_ref))
                    .number(after.map_or(i64::MAX, |(created_at, _)| created_at.as_micros()))
                    .text(
                        after
                            .as_ref()
                            .map_or(statements::AFTER_ALL_IDS, |(_, id)| id.as_str()),
                    )
                    .maybe_text(query.environment.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.role.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.status.map(|(status, _)| status.as_str()))
                    .maybe_time(query.status.map(|(_, now)| now))
                    .maybe_time(query.expires_before)
                    .maybe_time(query.created_before)
                    .maybe_time(query.rotated_before)
                    .flag(unused)
                    .maybe_time(not_since)
                    .number(
                        i64::try_from(query.page_size())
                            .unwrap_or(i64::MAX)
                            .saturating_add(1),
                    )
            }

            impl $store {
                /// Runs a statement that changes one row, in a turn of its own, and returns whether it did.
                async fn change(&self, query: Query) -> Result<bool, sqlx::Error> {
                    let _turn = self.turn().await?;
                    let done = query.execute(&self.pool).await?;
                    Ok(done.rows_affected() > 0)
                }

                /// Says why a conditional write found nothing to write.
                async fn refusal(&self, id: &KeyId) -> Result<StoreError, StoreError> {
                    let known = sqlx::query(statements::EXISTS)
                        .text(id.as_str())
                        .fetch_optional(&self.pool)
                        .await
                        .map_err(failed::<$engine>)?;
                    Ok(match known {
                        Some(_) => StoreError::Conflict,
                        None => StoreError::NotFound,
                    })
                }
            }

            #[async_trait::async_trait]
            impl KeyStore for $store {
                fn capabilities(&self) -> Capabilities {
                    Capabilities::all()
                }

                async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
                    let record = &insert.record;
                    let texts = bind::Texts::of(record)?;
                    let Some(limit) = insert.owner_limit else {
                        let query =
                            bind::bind_record(sqlx::query(statements::INSERT), record, &texts);
                        let done = self.change(query).await;
                        return done.map(|_| ()).map_err(insert_failed::<$engine>);
                    };
                    let query = sqlx::query(statements::INSERT_WITHIN_LIMIT);
                    let query = bind::bind_record(query, record, &texts).number(limit.into());
                    match self.change(query).await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(StoreError::OwnerLimit { limit }),
                        Err(error) => Err(insert_failed::<$engine>(error)),
                    }
                }

                async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
                    let row = sqlx::query(statements::FIND)
                        .text(id.as_str())
                        .fetch_optional(&self.pool)
                        .await
                        .map_err(failed::<$engine>)?;
                    row.as_ref().map(read).transpose()
                }

                async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
                    let next = record.revision.next();
                    let texts = bind::Texts::of(record)?;
                    let query = sqlx::query(statements::UPDATE);
                    let query = bind::bind_changeable(query, record, &texts, next)
                        .text(record.id.as_str())
                        .revision(record.revision);
                    if self.change(query).await.map_err(failed::<$engine>)? {
                        Ok(next)
                    } else {
                        Err(self.refusal(&record.id).await?)
                    }
                }

                async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
                    if usage.is_empty() {
                        return Ok(());
                    }
                    // In one order for everybody, so that two batches cannot wait for each other's rows.
                    let mut usage: Vec<&Usage> = usage.iter().collect();
                    usage.sort_unstable_by_key(|used| used.id);
                    let _turn = self.turn().await.map_err(failed::<$engine>)?;
                    let begin = <$engine as Dialect>::BEGIN;
                    let mut batch = self
                        .pool
                        .begin_with(begin)
                        .await
                        .map_err(failed::<$engine>)?;
                    for used in usage {
                        sqlx::query(statements::USE)
                            .text(used.id.as_str())
                            .number(used.generation.number().into())
                            .time(used.at)
                            .maybe_text(used.from.map(|from| from.to_string()).as_deref())
                            .execute(&mut *batch)
                            .await
                            .map_err(failed::<$engine>)?;
                    }
                    batch.commit().await.map_err(failed::<$engine>)
                }

                async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
                    let rows = list_query(query)
                        .fetch_all(&self.pool)
                        .await
                        .map_err(failed::<$engine>)?;
                    let records: Result<Vec<_>, _> = rows.iter().map(read).collect();
                    Ok(Page::cut(records?, query.page_size()))
                }

                async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
                    let query = sqlx::query(statements::DELETE)
                        .text(id.as_str())
                        .revision(expected);
                    if self.change(query).await.map_err(failed::<$engine>)? {
                        Ok(())
                    } else {
                        Err(self.refusal(id).await?)
                    }
                }
            }
        };
    };
}

pub(super) use sql_key_store;

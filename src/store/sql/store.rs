//! The operations, for every engine.

/// Implements [`KeyStore`](crate::store::KeyStore) for a store that has `pool`, `reads`, `statements`, a `deadline`, a
/// `turn` that a writer waits for, and the two writes in which engines differ: `insert_within` and `write_usage`.
///
/// A macro because sqlx ties values, rows and pools to the engine's types; what can be ordinary code is in the
/// neighbouring modules.
macro_rules! sql_key_store {
    ($store:ty, $engine:ty, $row:ty, $statements:path, many: $many:expr) => {
        const STATEMENTS: &$crate::store::sql::statements::Statements = &$statements;

        type Query = sqlx::query::Query<'static, $engine, <$engine as sqlx::Database>::Arguments>;

        const _: () = {
            use std::sync::Arc;

            use sqlx::Row as _;

            use $crate::key::{KeyId, KeyRecord, Revision};
            use $crate::sql::lent::{Health, Lent};
            use $crate::sql::{Work, fault};
            use $crate::store::sql::bind::{self, Bind};
            use $crate::store::sql::error::{failed, insert_failed};
            use $crate::store::sql::read::{Columns, Read};
            use $crate::store::sql::reads::Engine;
            use $crate::store::sql::statements;
            use $crate::store::{
                Capabilities, Cursor, InsertKey, KeyStore, ListKeys, ListOrder, Page, StoreError,
                Usage, UsageFilter,
            };
            use $crate::time::Timestamp;

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

            impl<'r> Columns<'r, $row> {
                fn value<T>(&mut self) -> Result<T, StoreError>
                where
                    T: sqlx::Decode<'r, $engine> + sqlx::Type<$engine>,
                {
                    let index = self.next;
                    self.next = index.saturating_add(1);
                    self.row.try_get(index).map_err(|error| self.corrupt(error))
                }
            }

            impl<'r> Read<'r> for Columns<'r, $row> {
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

            impl Engine for sqlx::Pool<$engine> {
                type Connection = Lent<$engine>;
                type Row = $row;

                fn is_closed(&self) -> bool {
                    sqlx::Pool::is_closed(self)
                }

                fn most_connections(&self) -> usize {
                    let most = self.options().get_max_connections();
                    usize::try_from(most).unwrap_or(usize::MAX)
                }

                fn has_spare(&self) -> bool {
                    self.num_idle() > 0 || self.size() < self.options().get_max_connections()
                }

                async fn connect(&self, health: Health) -> Result<Self::Connection, sqlx::Error> {
                    Lent::of(self, health).await
                }

                async fn read(
                    connection: &mut Self::Connection,
                    ids: &[KeyId],
                ) -> Result<Vec<$row>, sqlx::Error> {
                    if let [id] = ids {
                        let query = sqlx::query(STATEMENTS.find).text(id.as_str());
                        let row = connection
                            .using(|connection| Box::pin(query.fetch_optional(connection)))
                            .await?;
                        return Ok(row.into_iter().collect());
                    }
                    let query = $many(sqlx::query(STATEMENTS.find_many), ids);
                    connection
                        .using(|connection| Box::pin(query.fetch_all(connection)))
                        .await
                }

                fn discard(connection: Self::Connection) {
                    connection.discard();
                }

                fn id(row: &$row) -> Option<KeyId> {
                    row.try_get::<&str, _>(0).ok()?.parse().ok()
                }

                fn record(row: &$row) -> Result<Arc<KeyRecord>, StoreError> {
                    Columns::new(row).record().map(Arc::new)
                }

                fn failed(error: sqlx::Error) -> StoreError {
                    failed::<$engine>(error)
                }

                fn is_lost(error: &sqlx::Error) -> bool {
                    fault::is_lost::<$engine>(error)
                }
            }

            fn list_query(query: &ListKeys) -> Query {
                let statement = match (query.order, &query.owner, &query.tenant) {
                    (ListOrder::NewestFirst, Some(_), _) => STATEMENTS.list_of_owner,
                    (ListOrder::NewestFirst, None, Some(_)) => STATEMENTS.list_of_tenant,
                    (ListOrder::NewestFirst, None, None) => STATEMENTS.list,
                    (ListOrder::SoonestExpiry, ..) => STATEMENTS.list_by_expiry,
                    (ListOrder::OldestSecret, ..) => STATEMENTS.list_by_secret,
                };
                let (moment, id) = statements::beginning(query);
                let (unused, not_since) = match query.usage {
                    Some(UsageFilter::Never) => (true, None),
                    Some(UsageFilter::NotSince(moment)) => (false, Some(moment)),
                    None => (false, None),
                };
                sqlx::query(statement)
                    .maybe_text(query.owner.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.tenant.as_ref().map(AsRef::as_ref))
                    .number(moment)
                    .text(&id)
                    .maybe_text(query.environment.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.role.as_ref().map(AsRef::as_ref))
                    .maybe_text(query.status.map(|(status, _)| status.as_str()))
                    .maybe_time(query.status.map(|(_, now)| now))
                    .maybe_time(query.expires_before)
                    .maybe_time(query.created_before)
                    .maybe_time(query.rotated_before)
                    .flag(unused)
                    .maybe_time(not_since)
                    .flag(query.exposed)
                    .number(
                        i64::try_from(query.page_size())
                            .unwrap_or(i64::MAX)
                            .saturating_add(1),
                    )
            }

            /// Says where in the list a row stands that cannot be read, if it can be read so far.
            fn place(row: &$row, query: &ListKeys, error: StoreError) -> StoreError {
                let id = <sqlx::Pool<$engine> as Engine>::id(row);
                match (query.order, id, row.try_get(statements::CREATED_AT)) {
                    (ListOrder::NewestFirst, Some(id), Ok(micros)) => {
                        error.with_place(Cursor::new(Timestamp::from_micros(micros), id))
                    }
                    _ => error,
                }
            }

            impl $store {
                /// Does something on a connection that has just answered, within the deadline.
                ///
                /// Tested, because a write that fails on a dead connection cannot be tried again: it may have been done.
                async fn using<T: Send>(
                    &self,
                    work: impl for<'c> FnOnce(
                        &'c mut <$engine as sqlx::Database>::Connection,
                    ) -> Work<'c, T>
                    + Send,
                ) -> Result<T, sqlx::Error> {
                    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                    let lend = Lent::of(&self.pool, Health::Tested);
                    let lent = tokio::time::timeout(self.deadline, lend).await;
                    let mut lent = lent.map_err(late)??;
                    let done = tokio::time::timeout(self.deadline, lent.using(work)).await;
                    done.map_err(late)?
                }

                /// Runs a statement that changes one row, in a turn of its own, and returns whether it did.
                async fn change(&self, query: Query) -> Result<bool, sqlx::Error> {
                    let _turn = self.turn().await?;
                    let done = self.using(|connection| Box::pin(query.execute(connection)));
                    Ok(done.await?.rows_affected() > 0)
                }

                /// Writes a row if there are fewer than the owner's limit, if there is one.
                pub(super) fn insert_query(insert: &InsertKey) -> Result<Query, StoreError> {
                    let record = &insert.record;
                    let texts = bind::Texts::of(record)?;
                    Ok(match insert.owner_limit {
                        None => bind::bind_record(sqlx::query(STATEMENTS.insert), record, &texts),
                        Some(limit) => {
                            let query = sqlx::query(STATEMENTS.insert_within_limit);
                            bind::bind_record(query, record, &texts).number(limit.into())
                        }
                    })
                }

                /// Changes a row if it still has the record's revision.
                pub(super) fn update_query(record: &KeyRecord) -> Result<Query, StoreError> {
                    let texts = bind::Texts::of(record)?;
                    let query = sqlx::query(STATEMENTS.update);
                    let query =
                        bind::bind_changeable(query, record, &texts, record.revision.next());
                    Ok(query.text(record.id.as_str()).revision(record.revision))
                }

                /// Removes a row if it still has this revision.
                pub(super) fn delete_query(id: &KeyId, expected: Revision) -> Query {
                    sqlx::query(STATEMENTS.delete)
                        .text(id.as_str())
                        .revision(expected)
                }

                /// Says why a conditional write found nothing to write.
                pub(super) async fn refusal(&self, id: &KeyId) -> Result<StoreError, StoreError> {
                    let query = sqlx::query(STATEMENTS.exists).text(id.as_str());
                    let known = self.using(|connection| Box::pin(query.fetch_optional(connection)));
                    Ok(match known.await.map_err(failed::<$engine>)? {
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
                    let query = Self::insert_query(&insert)?;
                    let Some(limit) = insert.owner_limit else {
                        let done = self.change(query).await;
                        return done.map(|_| ()).map_err(insert_failed::<$engine>);
                    };
                    match self.insert_within(query, &insert.record.owner).await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(StoreError::OwnerLimit { limit }),
                        Err(error) => Err(insert_failed::<$engine>(error)),
                    }
                }

                async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
                    self.reads.find(id).await
                }

                async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
                    let query = Self::update_query(record)?;
                    if self.change(query).await.map_err(failed::<$engine>)? {
                        Ok(record.revision.next())
                    } else {
                        Err(self.refusal(&record.id).await?)
                    }
                }

                async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
                    // In one order for everybody, so that two batches cannot wait for each other's rows.
                    let mut usage = usage.to_vec();
                    usage.sort_unstable_by_key(|used| (used.id, used.at));
                    if usage.is_empty() {
                        return Ok(());
                    }
                    self.write_usage(usage).await.map_err(failed::<$engine>)
                }

                async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
                    let statement = list_query(query);
                    let rows = self.using(|connection| Box::pin(statement.fetch_all(connection)));
                    let rows = rows.await.map_err(failed::<$engine>)?;
                    let read = <sqlx::Pool<$engine> as Engine>::record;
                    let placed = |row| read(row).map_err(|error| place(row, query, error));
                    Page::cut_readable(rows.iter().map(placed), query)
                }

                async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
                    let query = Self::delete_query(id, expected);
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

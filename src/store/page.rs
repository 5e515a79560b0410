use std::sync::Arc;

#[cfg(any(feature = "postgres", feature = "sqlite", feature = "vault"))]
use super::StoreError;
use super::{Cursor, ListKeys};
use crate::key::KeyRecord;

/// One page of a list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// The records, in the order asked for.
    pub records: Vec<Arc<KeyRecord>>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Cursor>,
}

impl Page {
    /// Returns the query's page of these records, which fit it, are in its order and may be more than it asks for: one too
    /// many tells that there is a next page.
    #[must_use]
    pub fn cut(mut records: Vec<Arc<KeyRecord>>, query: &ListKeys) -> Self {
        let size = query.page_size();
        let more = records.len() > size;
        records.truncate(size);
        let last = records.last().filter(|_| more);
        let next = last.and_then(|last| query.order.place(last));
        Self { records, next }
    }

    /// As [`Page::cut`], of records some of which cannot be read: a page ends before such a one, and fails if it would
    /// begin with it. So a walk over the pages misses nothing that stands before it, and nobody takes the list for whole.
    #[cfg(any(feature = "postgres", feature = "sqlite", feature = "vault"))]
    pub(super) fn cut_readable(
        records: impl IntoIterator<Item = Result<Arc<KeyRecord>, StoreError>>,
        query: &ListKeys,
    ) -> Result<Self, StoreError> {
        let mut readable = Vec::new();
        for record in records {
            match record {
                Ok(record) => readable.push(record),
                Err(error) => return Self::ending_at(readable, query).ok_or(error),
            }
        }
        Ok(Self::cut(readable, query))
    }

    /// The page that ends with the last of these, although more follows.
    #[cfg(any(feature = "postgres", feature = "sqlite", feature = "vault"))]
    fn ending_at(mut records: Vec<Arc<KeyRecord>>, query: &ListKeys) -> Option<Self> {
        records.truncate(query.page_size());
        let next = query.order.place(records.last()?);
        Some(Self { records, next })
    }
}

//! Lists: names first, then the records of those that may be on the page.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::VaultStore;
use super::error::failed;
use super::places::{self, BY_OWNER};
use crate::error::BoxError;
use crate::key::KeyRecord;
use crate::store::{Cursor, ListKeys, ListOrder, Page, StoreError};
use crate::vault::Kv;

/// Reads that are under way at one time: enough to hide the way there and back, few enough to leave Vault to others.
const AT_ONCE: usize = 8;

/// Says that there may be a record of this owner at this place of the order.
pub(super) struct Entry {
    pub(super) place: Cursor,
    pub(super) folder: Arc<str>,
}

impl Entry {
    /// Returns whether it is the entry of this record.
    pub(super) fn is_of(&self, record: &KeyRecord) -> bool {
        Cursor::of(record) == self.place && places::folder(&record.owner) == *self.folder
    }
}

impl VaultStore {
    pub(super) async fn page(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let folders = match &query.owner {
            Some(owner) => vec![Arc::from(places::folder(owner))],
            None => self.folders().await?,
        };
        let mut entries = self.entries(folders).await?;
        entries.retain(|entry| may_fit(query, entry.place));
        entries.sort_unstable_by_key(|entry| Reverse(entry.place));

        // Names stand in the order of creation; for another order all that fit are read.
        let wanted = match query.order {
            ListOrder::NewestFirst => query.page_size().saturating_add(1),
            _ => usize::MAX,
        };
        let mut found = Vec::new();
        let mut ahead = Ahead::new(entries, |entry: &Entry| {
            let (store, place) = (self.clone(), entry.place);
            async move {
                let stored = store.stored(&place.id()).await;
                stored.map_err(|error| error.with_place(place))
            }
        });
        while found.len() < wanted {
            let (entry, stored) = match ahead.next().await {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(error @ StoreError::Corrupt { .. })
                    if query.order == ListOrder::NewestFirst =>
                {
                    return Page::cut_readable(
                        found.into_iter().map(Ok).chain([Err(error)]),
                        query,
                    );
                }
                Err(error) => return Err(error),
            };
            let record = stored.map(|stored| stored.record);
            found.extend(record.filter(|it| entry.is_of(it) && query.matches(it)));
        }
        query.sort(&mut found);
        Ok(Page::cut(found, query))
    }

    pub(super) async fn folders(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let names = self.kv.names(BY_OWNER).await.map_err(failed)?;
        let folder = |name: String| name.strip_suffix('/').map(Arc::from);
        let folders: Option<Vec<_>> = names.into_iter().map(folder).collect();
        folders.ok_or_else(foreign)
    }

    /// Returns the entries in these folders, in no order.
    pub(super) async fn entries(&self, folders: Vec<Arc<str>>) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let mut ahead = Ahead::new(folders, |folder: &Arc<str>| {
            let (kv, folder) = (self.kv.clone(), Arc::clone(folder));
            async move { names(&kv, &folder).await }
        });
        while let Some((folder, places)) = ahead.next().await? {
            entries.extend(places.into_iter().map(|place| Entry {
                place,
                folder: Arc::clone(&folder),
            }));
        }
        Ok(entries)
    }
}

async fn names(kv: &Kv, folder: &str) -> Result<Vec<Cursor>, StoreError> {
    let names = kv.names(&format!("{BY_OWNER}/{folder}")).await;
    let names = names.map_err(failed)?;
    let places: Option<Vec<_>> = names.iter().map(|name| places::read_entry(name)).collect();
    places.ok_or_else(foreign)
}

/// What a name tells already. The record decides.
fn may_fit(query: &ListKeys, place: Cursor) -> bool {
    let follows = |after| query.order != ListOrder::NewestFirst || place < after;
    query.after.is_none_or(follows)
        && query
            .created_before
            .is_none_or(|moment| place.moment() < moment)
}

/// A page that passed over it might lack a key.
pub(super) fn foreign() -> StoreError {
    StoreError::corrupt("index", BoxError::from("a name that is not of this crate"))
}

/// Answers in the order of the questions, some of which are asked ahead. What is still under way ends with it.
pub(super) struct Ahead<Q, A, F> {
    rest: std::vec::IntoIter<Q>,
    asked: VecDeque<(Q, Aborted<Result<A, StoreError>>)>,
    ask: F,
}

struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<Q, A, F, W> Ahead<Q, A, F>
where
    A: Send + 'static,
    F: Fn(&Q) -> W,
    W: Future<Output = Result<A, StoreError>> + Send + 'static,
{
    pub(super) fn new(questions: Vec<Q>, ask: F) -> Self {
        Self {
            rest: questions.into_iter(),
            asked: VecDeque::new(),
            ask,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(Q, A)>, StoreError> {
        while self.asked.len() < AT_ONCE {
            let Some(question) = self.rest.next() else {
                break;
            };
            let task = tokio::spawn((self.ask)(&question));
            self.asked.push_back((question, Aborted(task)));
        }
        let Some((question, mut task)) = self.asked.pop_front() else {
            return Ok(None);
        };
        let answer = (&mut task.0).await;
        let answer = answer.map_err(|error| StoreError::unavailable(super::error::STORE, error))?;
        Ok(Some((question, answer?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn asks_a_few_at_one_time_and_answers_in_order() {
        let (asking, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut ahead = Ahead::new((0..100).collect(), |number: &usize| {
            let (number, asking, most) = (*number, Arc::clone(&asking), Arc::clone(&most));
            async move {
                let now = asking.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                // The earlier ones take longer.
                for _ in number..100 {
                    tokio::task::yield_now().await;
                }
                asking.fetch_sub(1, Ordering::SeqCst);
                Ok(number * 2)
            }
        });
        for number in 0..100 {
            assert_eq!(ahead.next().await.unwrap(), Some((number, number * 2)));
        }
        assert_eq!(ahead.next().await.unwrap(), None);
        assert!((2..=AT_ONCE).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn ends_what_is_under_way_when_it_is_dropped() {
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let mut ahead = Ahead::new(vec![false, true, true], |waits: &bool| {
            let waits = *waits;
            async move {
                if waits {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        });
        assert!(ahead.next().await.unwrap().is_some());
        assert_eq!(alive(), 2);
        drop(ahead);
        while alive() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

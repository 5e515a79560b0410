//! Lists that go on behind a record that cannot be read.

use super::actor::View;
use super::{Actor, KeyService};
use crate::key::KeyId;
use crate::store::{Cursor, ListKeys, ListOrder, Page, StoreError};

/// One page, and the record that stood at its beginning and cannot be read.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub(super) page: Page,
    pub(super) unreadable: Option<(KeyId, StoreError)>,
}

impl KeyService {
    /// Returns one page of what an admitted actor may know of, or steps over the one record at its beginning that cannot be
    /// read: it must not protect the others.
    pub(super) async fn stretch_for(
        &self,
        actor: &Actor,
        query: ListKeys,
    ) -> Result<Stretch, StoreError> {
        let (order, after) = (query.order, query.after);
        match self.page_for(actor, query).await {
            Err(
                error @ StoreError::Corrupt {
                    place: Some(place), ..
                },
            ) if self.may_step_over(actor, order, after, place) => {
                let next = Some(place);
                Ok(Stretch {
                    page: Page {
                        next,
                        ..Page::default()
                    },
                    unreadable: Some((place.id(), error)),
                })
            }
            page => Ok(Stretch {
                page: page?,
                unreadable: None,
            }),
        }
    }

    /// SECURITY: some stores read more than is asked for, and the place names a key, which may be anybody's. And a store that
    /// names one that was passed already would be asked for ever. Places in other orders are not told.
    fn may_step_over(
        &self,
        actor: &Actor,
        order: ListOrder,
        after: Option<Cursor>,
        place: Cursor,
    ) -> bool {
        let sees_everything = matches!(actor.view(&self.inner.policy), View::Everything);
        let is_told = order == ListOrder::NewestFirst;
        sees_everything && is_told && after.is_none_or(|after| place < after)
    }
}

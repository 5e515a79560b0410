use std::ops::RangeInclusive;

use crate::key::KeyRecord;
use crate::service::lookup::after;
use crate::service::{Actor, KeyService, LifecycleError};
use crate::store::{ListKeys, ListOrder, Page};
use crate::time::Timestamp;

impl KeyService {
    /// A page of the keys whose current secret is refused for its age from a moment on that lies in that span.
    ///
    /// The store leaves out what is younger than the shortest age; which age is a key's is decided here.
    pub(in crate::service) async fn refused_in(
        &self,
        actor: &Actor,
        query: ListKeys,
        span: RangeInclusive<Timestamp>,
    ) -> Result<Page, LifecycleError> {
        let Some(shortest) = self.shortest_age() else {
            self.admit(actor).await?;
            return Ok(Page::default());
        };
        let query = query
            .with_rotated_before(after(span.end().saturating_sub(shortest)))
            .with_order(ListOrder::OldestSecret);
        let fits = |record: &KeyRecord| {
            let from = self.refused_from(record);
            from.is_some_and(|from| span.contains(&from))
        };
        self.picked(actor, query, fits).await
    }
}

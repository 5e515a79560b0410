use std::cmp::Ordering;
use std::sync::Arc;

use super::Cursor;
use crate::access::{RoleName, TenantId};
use crate::key::{Environment, KeyRecord, KeyStatus, OwnerId};
use crate::time::Timestamp;

/// Which records to list, and in which order: newest first unless told otherwise. Every filter that is set must hold.
///
/// ```
/// use keyward::key::KeyStatus;
/// use keyward::store::ListKeys;
/// use keyward::time::Timestamp;
///
/// let query = ListKeys::new().with_owner("acme".parse().unwrap()).with_status(KeyStatus::Active, Timestamp::EPOCH);
/// assert_eq!(query.limit, ListKeys::DEFAULT_LIMIT);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ListKeys {
    /// Keys of this owner.
    pub owner: Option<OwnerId>,
    /// Keys bound to this tenant.
    pub tenant: Option<TenantId>,
    /// Keys of this environment.
    pub environment: Option<Environment>,
    /// Keys with this role, narrowed by scopes or not.
    pub role: Option<RoleName>,
    /// Keys that have this status at that moment.
    pub status: Option<(KeyStatus, Timestamp)>,
    /// Keys with an expiry before this moment.
    pub expires_before: Option<Timestamp>,
    /// Keys created before this moment.
    pub created_before: Option<Timestamp>,
    /// Keys whose current secret was made before this moment.
    pub rotated_before: Option<Timestamp>,
    /// Keys by their last use.
    pub usage: Option<UsageFilter>,
    /// Only keys that [are exposed](KeyRecord::is_exposed).
    pub exposed: bool,
    /// In which order.
    pub order: ListOrder,
    /// Only what comes after this place in the order.
    pub after: Option<Cursor>,
    /// At most so many; 1 to [`ListKeys::MAX_LIMIT`].
    pub limit: u32,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ListOrder {
    /// By creation, then id, newest first.
    #[default]
    NewestFirst,
    /// By expiry, then id, soonest first. Keys without an expiry are not in it.
    SoonestExpiry,
    /// By the creation of the current secret, then id, oldest first.
    OldestSecret,
}

impl ListOrder {
    /// Returns where a record stands in this order; `None` if it has no place in it.
    #[must_use]
    pub const fn place(self, record: &KeyRecord) -> Option<Cursor> {
        let moment = match self {
            Self::NewestFirst => record.created_at,
            Self::SoonestExpiry => match record.expires_at {
                Some(expires_at) => expires_at,
                None => return None,
            },
            Self::OldestSecret => record.current.created_at,
        };
        Some(Cursor::new(moment, record.id))
    }

    /// Returns how two places of a list in this order follow each other.
    fn compare(self, one: Cursor, other: Cursor) -> Ordering {
        match self {
            Self::NewestFirst => other.cmp(&one),
            Self::SoonestExpiry | Self::OldestSecret => one.cmp(&other),
        }
    }

    fn follows(self, record: &KeyRecord, after: Option<Cursor>) -> bool {
        self.place(record).is_some_and(|place| {
            after.is_none_or(|after| self.compare(after, place) == Ordering::Less)
        })
    }
}

/// How long a key has not been used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UsageFilter {
    /// It was never used.
    Never,
    /// It was used, but not since this moment.
    NotSince(Timestamp),
}

impl ListKeys {
    /// The page size unless another is asked for.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// The largest page.
    pub const MAX_LIMIT: u32 = 1000;

    /// Returns the query for all keys, [`Self::DEFAULT_LIMIT`] a page.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            owner: None,
            tenant: None,
            environment: None,
            role: None,
            status: None,
            expires_before: None,
            created_before: None,
            rotated_before: None,
            usage: None,
            exposed: false,
            order: ListOrder::NewestFirst,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }

    /// Lists keys of this owner.
    #[must_use]
    pub fn with_owner(mut self, owner: OwnerId) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Lists keys bound to this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Lists keys of this environment.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Lists keys with this role.
    #[must_use]
    pub fn with_role(mut self, role: RoleName) -> Self {
        self.role = Some(role);
        self
    }

    /// Lists keys that have this status at `now`.
    #[must_use]
    pub const fn with_status(mut self, status: KeyStatus, now: Timestamp) -> Self {
        self.status = Some((status, now));
        self
    }

    /// Lists keys with an expiry before `moment`.
    #[must_use]
    pub const fn with_expires_before(mut self, moment: Timestamp) -> Self {
        self.expires_before = Some(moment);
        self
    }

    /// Lists keys created before `moment`.
    #[must_use]
    pub const fn with_created_before(mut self, moment: Timestamp) -> Self {
        self.created_before = Some(moment);
        self
    }

    /// Lists keys whose current secret was made before `moment`.
    #[must_use]
    pub const fn with_rotated_before(mut self, moment: Timestamp) -> Self {
        self.rotated_before = Some(moment);
        self
    }

    /// Lists keys by their last use.
    #[must_use]
    pub const fn with_usage(mut self, usage: UsageFilter) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Lists keys that [are exposed](KeyRecord::is_exposed).
    #[must_use]
    pub const fn with_exposed(mut self) -> Self {
        self.exposed = true;
        self
    }

    /// Lists in this order. A page continues only where one of the same order ended.
    #[must_use]
    pub const fn with_order(mut self, order: ListOrder) -> Self {
        self.order = order;
        self
    }

    /// Continues after the end of an earlier page.
    #[must_use]
    pub const fn with_after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Asks for at most `limit` records; [`Self::page_size`] keeps it within 1 and [`Self::MAX_LIMIT`].
    #[must_use]
    pub const fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the page size within its bounds.
    #[must_use]
    pub fn page_size(&self) -> usize {
        usize::try_from(self.limit.clamp(1, Self::MAX_LIMIT)).unwrap_or(1)
    }

    /// Returns whether the record fits every filter and lies after the cursor: the meaning of the query, for stores
    /// that filter in the process and for tests of those that do not.
    #[must_use]
    pub fn matches(&self, record: &KeyRecord) -> bool {
        fn fits<T>(wanted: Option<&T>, test: impl FnOnce(&T) -> bool) -> bool {
            wanted.is_none_or(test)
        }
        fits(self.owner.as_ref(), |owner| record.owner == *owner)
            && fits(self.tenant.as_ref(), |tenant| {
                record.tenant.tenant() == Some(tenant)
            })
            && fits(self.environment.as_ref(), |environment| {
                record.environment == *environment
            })
            && fits(self.role.as_ref(), |role| record.grant.role() == Some(role))
            && fits(self.status.as_ref(), |(status, now)| {
                record.status(*now) == *status
            })
            && fits(self.expires_before.as_ref(), |moment| {
                record.expires_at.is_some_and(|at| at < *moment)
            })
            && fits(self.created_before.as_ref(), |moment| {
                record.created_at < *moment
            })
            && fits(self.rotated_before.as_ref(), |moment| {
                record.current.created_at < *moment
            })
            && fits(self.usage.as_ref(), |usage| usage.matches(record))
            && (!self.exposed || record.is_exposed())
            && self.order.follows(record, self.after)
    }

    /// Puts records into the order of the query, for stores that do so in the process.
    pub fn sort(&self, records: &mut [Arc<KeyRecord>]) {
        let place = |record: &KeyRecord| self.order.place(record);
        records.sort_unstable_by(|one, other| match (place(one), place(other)) {
            (Some(one), Some(other)) => self.order.compare(one, other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
    }
}

/// The same as [`ListKeys::new`].
impl Default for ListKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageFilter {
    fn matches(self, record: &KeyRecord) -> bool {
        match self {
            Self::Never => record.last_used.is_none(),
            Self::NotSince(moment) => record.last_used.is_some_and(|last| last.at < moment),
        }
    }
}

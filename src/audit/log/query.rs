use super::AuditCursor;
use crate::audit::event::{MAX_KEY_ID, MAX_NAME};
use crate::audit::{ActorRef, AuditEvent, AuditKind, Detail, Outcome, Text};
use crate::time::Timestamp;

/// Which events to read, by rising position. Every filter that is set must hold.
///
/// A text is cut as the event's own is (key ids at 64 bytes, owners and tenants at 256), so that whoever asks for an
/// over-long owner finds the events that name it; beyond the cut two of them cannot be told apart.
///
/// ```
/// use keyward::audit::{AuditKind, AuditQuery};
/// use keyward::time::Timestamp;
///
/// let query = AuditQuery::new()
///     .with_key_id("a1B2c3D4e5F6")
///     .with_kinds([AuditKind::KeyRotated, AuditKind::KeyRevoked])
///     .with_from(Timestamp::from_secs(1_700_000_000));
/// assert_eq!(query.page_size(), 100);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditQuery {
    key_id: Option<Text>,
    owner: Option<Text>,
    tenant: TenantFilter,
    actor: Option<ActorRef>,
    kinds: Option<Vec<AuditKind>>,
    outcome: Option<Outcome>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<AuditCursor>,
    page_size: Option<u32>,
}

/// Events of which tenants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TenantFilter {
    /// Of all, and of none.
    #[default]
    Any,
    /// Of this one.
    Of(Text),
    /// Of none, and not of the platform as a whole either: that is what a key without a tenant may see.
    Unbound,
}

/// The detail that an event has when it is of a platform-wide key, or of the trail as a whole.
pub(crate) const PLATFORM: (&str, &str) = ("tenant_binding", "platform");

impl AuditQuery {
    /// The page size unless another is asked for: a screen or two.
    pub const DEFAULT_PAGE_SIZE: u32 = 100;
    /// The largest page: a megabyte of usual events, and at most some 45 MB of the longest there can be.
    pub const MAX_PAGE_SIZE: u32 = 1000;

    /// Returns the query for all events, [`Self::DEFAULT_PAGE_SIZE`] a page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads events about this key.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<Text>) -> Self {
        self.key_id = Some(key_id.into().bounded(MAX_KEY_ID));
        self
    }

    /// Reads events about keys of this owner.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<Text>) -> Self {
        self.owner = Some(owner.into().bounded(MAX_NAME));
        self
    }

    /// Reads events of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Text>) -> Self {
        self.tenant = TenantFilter::Of(tenant.into().bounded(MAX_NAME));
        self
    }

    /// Reads events of no tenant: [`TenantFilter::Unbound`].
    #[must_use]
    pub fn without_tenant(mut self) -> Self {
        self.tenant = TenantFilter::Unbound;
        self
    }

    /// Reads what this actor did.
    #[must_use]
    pub fn with_actor(mut self, actor: ActorRef) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Reads events of one of these kinds; of none, if there are none.
    #[must_use]
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = AuditKind>) -> Self {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_unstable();
        kinds.dedup();
        self.kinds = Some(kinds);
        self
    }

    /// Reads events with this outcome.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Reads events that happened at that moment or later.
    #[must_use]
    pub const fn with_from(mut self, moment: Timestamp) -> Self {
        self.from = Some(moment);
        self
    }

    /// Reads events that happened before that moment.
    #[must_use]
    pub const fn with_until(mut self, moment: Timestamp) -> Self {
        self.until = Some(moment);
        self
    }

    /// Continues behind that place.
    #[must_use]
    pub const fn with_after(mut self, cursor: AuditCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Asks for at most so many events; [`Self::page_size`] keeps it within 1 and [`Self::MAX_PAGE_SIZE`].
    #[must_use]
    pub const fn with_page_size(mut self, events: u32) -> Self {
        self.page_size = Some(events);
        self
    }

    /// Sets the page size unless it was set.
    pub(crate) fn with_usual_page_size(mut self, events: u32) -> Self {
        self.page_size.get_or_insert(events);
        self
    }
}

/// What is asked for.
impl AuditQuery {
    /// Returns the key.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_ref().map(Text::as_str)
    }

    /// Returns the owner.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(Text::as_str)
    }

    /// Returns which tenants.
    #[must_use]
    pub const fn tenant(&self) -> &TenantFilter {
        &self.tenant
    }

    /// Returns the actor.
    #[must_use]
    pub const fn actor(&self) -> Option<&ActorRef> {
        self.actor.as_ref()
    }

    /// Returns the kinds.
    #[must_use]
    pub fn kinds(&self) -> Option<&[AuditKind]> {
        self.kinds.as_deref()
    }

    /// Returns the outcome.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Returns the first moment.
    #[must_use]
    pub const fn from(&self) -> Option<Timestamp> {
        self.from
    }

    /// Returns the moment after the last one.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Returns the place to continue from.
    #[must_use]
    pub const fn after(&self) -> Option<AuditCursor> {
        self.after
    }

    /// Returns the page size within its bounds.
    #[must_use]
    pub fn page_size(&self) -> usize {
        let size = self.page_size.unwrap_or(Self::DEFAULT_PAGE_SIZE);
        usize::try_from(size.clamp(1, Self::MAX_PAGE_SIZE)).unwrap_or(1)
    }

    /// Returns whether the event fits every filter: the meaning of the query, for trails that filter in the process and for
    /// tests of those that do not. The place to continue from is not looked at.
    #[must_use]
    pub fn matches(&self, event: &AuditEvent) -> bool {
        fn is<T: Copy + PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        is(self.key_id(), event.key_id())
            && is(self.owner(), event.owner())
            && self.tenant.matches(event)
            && is(self.actor(), event.actor())
            && is(self.outcome, Some(event.outcome()))
            && self.from.is_none_or(|from| event.time() >= from)
            && self.until.is_none_or(|until| event.time() < until)
            && self
                .kinds()
                .is_none_or(|kinds| kinds.contains(&event.kind()))
    }
}

impl TenantFilter {
    /// Returns whether the event is of one of these tenants.
    #[must_use]
    pub fn matches(&self, event: &AuditEvent) -> bool {
        match self {
            Self::Any => true,
            Self::Of(tenant) => event.tenant() == Some(tenant.as_str()),
            Self::Unbound => event.tenant().is_none() && !event.is_of_platform(),
        }
    }
}

impl AuditEvent {
    /// Whether it is of a platform-wide key, or of all tenants.
    pub(crate) fn is_of_platform(&self) -> bool {
        let (name, value) = PLATFORM;
        matches!(self.detail(name), Some(Detail::Text(text)) if text.as_str() == value)
    }
}

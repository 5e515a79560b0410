//! One event: what it holds, how its fields are bounded and how it becomes a line.

mod actor;
mod detail;
mod id;
mod kind;
mod line;
mod read;
mod text;
mod wire;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::detail::Details;
use crate::time::Timestamp;

pub use self::actor::ActorRef;
pub use self::detail::Detail;
pub use self::id::{EventId, InvalidEventId};
pub use self::kind::{AuditKind, UnknownKind};
pub(crate) use self::line::{escape, write_json};
pub use self::text::Text;
pub(super) use self::wire::rfc3339;

/// Version of the JSON form: it rises when a field changes its meaning, not when one is added.
pub const SCHEMA: u32 = 1;

/// Longest key id, in bytes. Ours have 12 characters; imported ones may be longer.
const MAX_KEY_ID: usize = 64;
/// Longest owner, tenant, role and route template, in bytes.
const MAX_NAME: usize = 256;
/// Longest user agent, in bytes: real browsers stay below 200.
const MAX_USER_AGENT: usize = 256;
/// Longest request id, in bytes: a UUID has 36, a `traceparent` 55.
const MAX_REQUEST_ID: usize = 128;
/// Longest method, in bytes: the longest registered one (`UPDATEREDIRECTREF`) has 17.
const MAX_METHOD: usize = 32;
/// Longest reason code, in bytes.
const MAX_REASON: usize = 64;

/// Whether what the event tells of worked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "something was done or it was not; shades belong into the reason"
)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused or failed.
    Failure,
}

/// Something that happened.
///
/// Every text is bounded when it is set: what is too long is cut between two characters and ends in `…`. Nothing is
/// refused, because an event that cannot be built is an event that is missing. The bounds, in bytes: key id 64,
/// reason 64, method 32, request id 128, user agent, owner, tenant, role and route 256, and 16 details with names of
/// 64 and texts of 256.
///
/// # Security
///
/// Never give it a secret, a part of one, a digest, a raw URL or a request header other than the user agent.
///
/// ```
/// use keyward::audit::{ActorRef, AuditEvent, AuditKind, Outcome};
/// use keyward::time::Timestamp;
///
/// let event = AuditEvent::new(AuditKind::KeyRevoked, Timestamp::from_secs(1_700_000_000))
///     .with_actor(ActorRef::user("ana"))
///     .with_key_id("a1B2c3D4e5F6")
///     .with_reason("leaked");
/// assert_eq!(event.outcome(), Outcome::Success);
/// assert_eq!(
///     event.to_line()?,
///     r#"{"schema":1,"time":"2023-11-14T22:13:20.000000Z","kind":"key_revoked","outcome":"success","#.to_owned()
///         + r#""reason":"leaked","actor":"user:ana","key_id":"a1B2c3D4e5F6"}"#
/// );
/// # Ok::<(), keyward::audit::AuditError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditEvent {
    schema: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    #[serde(with = "wire::rfc3339")]
    time: Timestamp,
    kind: AuditKind,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<ActorRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    details: Details,
    #[serde(default, skip_serializing_if = "wire::is_zero")]
    details_omitted: u32,
}

impl AuditEvent {
    /// Returns an event with nothing but what happened and when.
    ///
    /// The outcome is [`Outcome::Failure`] for the kinds that tell of a refusal, otherwise [`Outcome::Success`].
    #[must_use]
    pub const fn new(kind: AuditKind, time: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            sequence: None,
            id: None,
            time,
            kind,
            outcome: kind.usual_outcome(),
            reason: None,
            actor: None,
            key_id: None,
            owner: None,
            tenant: None,
            role: None,
            client_ip: None,
            peer_ip: None,
            user_agent: None,
            request_id: None,
            method: None,
            route: None,
            status: None,
            duration_us: None,
            details: Details::new(),
            details_omitted: 0,
        }
    }

    /// Sets the id; without it the recorder makes one.
    #[must_use]
    pub const fn with_id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the place in the order. The recorder does this, and replaces what was set before.
    #[must_use]
    pub const fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// Sets whether it worked.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Sets the stable code that says why, such as `expired`.
    #[must_use]
    pub fn with_reason(mut self, code: impl Into<Text>) -> Self {
        self.reason = Some(code.into().bounded(MAX_REASON));
        self
    }

    /// Sets [`Outcome::Failure`] and the code that says why.
    #[must_use]
    pub fn with_failure(self, code: impl Into<Text>) -> Self {
        self.with_outcome(Outcome::Failure).with_reason(code)
    }

    /// Sets who did it.
    #[must_use]
    pub fn with_actor(mut self, actor: ActorRef) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Sets the key it is about, by its public id.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<Text>) -> Self {
        self.key_id = Some(key_id.into().bounded(MAX_KEY_ID));
        self
    }

    /// Sets the owner of the key.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<Text>) -> Self {
        self.owner = Some(owner.into().bounded(MAX_NAME));
        self
    }

    /// Sets the tenant of the key.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Text>) -> Self {
        self.tenant = Some(tenant.into().bounded(MAX_NAME));
        self
    }

    /// Sets the role of the key.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Text>) -> Self {
        self.role = Some(role.into().bounded(MAX_NAME));
        self
    }

    /// Sets the client's address, as resolved from trusted proxies.
    #[must_use]
    pub const fn with_client_ip(mut self, ip: IpAddr) -> Self {
        self.client_ip = Some(ip);
        self
    }

    /// Sets the address at the other end of the connection, where that is not the client's.
    #[must_use]
    pub const fn with_peer_ip(mut self, ip: IpAddr) -> Self {
        self.peer_ip = Some(ip);
        self
    }

    /// Sets what the client calls itself.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = Some(Text::cut(user_agent, MAX_USER_AGENT));
        self
    }

    /// Sets the id under which the application knows the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: &str) -> Self {
        self.request_id = Some(Text::cut(request_id, MAX_REQUEST_ID));
        self
    }

    /// Sets the HTTP method.
    #[must_use]
    pub fn with_method(mut self, method: &str) -> Self {
        self.method = Some(Text::cut(method, MAX_METHOD));
        self
    }

    /// Sets the route's template (`/users/{id}`), never the raw path.
    #[must_use]
    pub fn with_route(mut self, template: impl Into<Text>) -> Self {
        self.route = Some(template.into().bounded(MAX_NAME));
        self
    }

    /// Sets the HTTP status of the answer.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets how long the request took, kept in whole microseconds.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration_us = Some(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        self
    }

    /// Adds a detail, or replaces the one of that name. A seventeenth is left out and counted.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<Text>, value: impl Into<Detail>) -> Self {
        if !self.details.set(name.into(), value.into()) {
            self.details_omitted = self.details_omitted.saturating_add(1);
        }
        self
    }

    pub(super) const fn set_id(&mut self, id: EventId) {
        self.id = Some(id);
    }

    pub(super) const fn set_sequence(&mut self, sequence: Option<u64>) {
        self.sequence = sequence;
    }
}

#[cfg(test)]
mod tests;

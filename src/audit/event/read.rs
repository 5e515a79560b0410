use std::net::IpAddr;
use std::time::Duration;

use super::{ActorRef, AuditEvent, AuditKind, Detail, EventId, Outcome, Text};
use crate::time::Timestamp;

/// What an event holds.
impl AuditEvent {
    /// Returns the id, once the event has one.
    #[must_use]
    pub const fn id(&self) -> Option<EventId> {
        self.id
    }

    /// Returns the place in the recorder's order, counted from 1, once the event has one.
    #[must_use]
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Returns when it happened.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns what happened.
    #[must_use]
    pub const fn kind(&self) -> AuditKind {
        self.kind
    }

    /// Returns whether it worked.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the code that says why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_ref().map(Text::as_str)
    }

    /// Returns who did it.
    #[must_use]
    pub const fn actor(&self) -> Option<&ActorRef> {
        self.actor.as_ref()
    }

    /// Returns the public id of the key it is about.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_ref().map(Text::as_str)
    }

    /// Returns the owner of the key.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(Text::as_str)
    }

    /// Returns the tenant of the key.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(Text::as_str)
    }

    /// Returns the role of the key.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.role.as_ref().map(Text::as_str)
    }

    /// Returns the client's address.
    #[must_use]
    pub const fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// Returns the address at the other end of the connection, where that is not the client's.
    #[must_use]
    pub const fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_ip
    }

    /// Returns what the client calls itself.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_ref().map(Text::as_str)
    }

    /// Returns the id under which the application knows the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(Text::as_str)
    }

    /// Returns the HTTP method.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_ref().map(Text::as_str)
    }

    /// Returns the route's template.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_ref().map(Text::as_str)
    }

    /// Returns the HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns how long the request took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration_us.map(Duration::from_micros)
    }

    /// Returns the detail of that name.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&Detail> {
        self.details.get(name)
    }

    /// Returns the details in the order of their names.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Detail)> {
        self.details.iter()
    }

    /// Returns how many details were left out because there were too many.
    #[must_use]
    pub const fn details_omitted(&self) -> u32 {
        self.details_omitted
    }

    /// The key id as it is kept, to be shared.
    pub(crate) const fn key_id_text(&self) -> Option<&Text> {
        self.key_id.as_ref()
    }

    /// The owner as it is kept, to be shared.
    pub(crate) const fn owner_text(&self) -> Option<&Text> {
        self.owner.as_ref()
    }

    /// The tenant as it is kept, to be shared.
    pub(crate) const fn tenant_text(&self) -> Option<&Text> {
        self.tenant.as_ref()
    }

    /// The id of a key that the service knows. Only such a key's owner is known, too: an id that somebody made up comes
    /// without one.
    pub(crate) fn known_key(&self) -> Option<&Text> {
        self.key_id.as_ref().filter(|_| self.owner.is_some())
    }
}

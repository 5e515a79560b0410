//! Who: the owner of a key, and who acted.

use serde::Serialize;

use crate::audit::{ActorRef, AuditEvent};

/// What stands where a class demands a name and nobody knows one.
pub(super) const UNKNOWN: &str = "unknown";

#[derive(Debug, Serialize)]
pub(super) struct Actor<'a> {
    user: User<'a>,
}

/// A user, as OCSF calls whoever can act.
#[derive(Debug, Default, Serialize)]
pub(super) struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    type_id: u8,
    #[serde(rename = "type")]
    type_name: &'a str,
    /// The name before 1.6, which many collectors still look for.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    programmatic_credentials: Option<[Credential<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct Credential<'a> {
    uid: &'a str,
    #[serde(rename = "type")]
    type_name: &'static str,
}

impl<'a> User<'a> {
    /// Returns the owner of the event's key.
    pub(super) fn owner(event: &'a AuditEvent) -> Self {
        let user = match event.owner() {
            Some(owner) => Self {
                uid: Some(owner),
                type_id: 99,
                type_name: "API key owner",
                ..Self::default()
            },
            None => Self {
                name: Some(UNKNOWN),
                type_id: 0,
                type_name: "Unknown",
                ..Self::default()
            },
        };
        user.with_key(event.key_id())
    }

    /// Returns the owner if the event names one, or a key.
    pub(super) fn owner_if_named(event: &'a AuditEvent) -> Option<Self> {
        let named = event.owner().is_some() || event.key_id().is_some();
        named.then(|| Self::owner(event))
    }

    /// Returns who acted. The name is the whole reference.
    fn acting(actor: &'a ActorRef) -> Self {
        let (type_id, type_name) = match actor.kind() {
            "user" => (1, "User"),
            "system" => (3, "System"),
            kind => (99, kind),
        };
        let user = Self {
            name: Some(actor.as_str()),
            uid: Some(actor.id()),
            type_id,
            type_name,
            ..Self::default()
        };
        user.with_key((actor.kind() == "key").then(|| actor.id()))
    }

    fn with_key(mut self, key_id: Option<&'a str>) -> Self {
        self.credential_uid = key_id;
        self.programmatic_credentials = key_id.map(|uid| {
            [Credential {
                uid,
                type_name: "API Key",
            }]
        });
        self
    }
}

impl<'a> Actor<'a> {
    /// Returns who acted. A key that acts on its own behalf stands for its owner.
    pub(super) fn of(event: &'a AuditEvent) -> Option<Self> {
        let actor = event.actor()?;
        let user = if is_key_itself(actor, event) {
            User {
                name: Some(actor.as_str()),
                ..User::owner(event)
            }
        } else {
            User::acting(actor)
        };
        Some(Self { user })
    }

    /// Returns who acted, or whose key it was: a request was somebody's.
    pub(super) fn of_request(event: &'a AuditEvent) -> Self {
        Self::of(event).unwrap_or_else(|| Self {
            user: User::owner(event),
        })
    }
}

fn is_key_itself(actor: &ActorRef, event: &AuditEvent) -> bool {
    actor.kind() == "key" && Some(actor.id()) == event.key_id()
}

/// Says whether the actor of a request is somebody else than the key and its owner, for whom there is then no room.
pub(super) fn is_somebody_else(event: &AuditEvent) -> bool {
    event
        .actor()
        .is_some_and(|actor| !is_key_itself(actor, event))
}

//! What an event is about: the part that differs from class to class.

use serde::Serialize;

use super::class::Theme;
use super::people::{UNKNOWN, User};
use super::scene::Scene;
use super::{Product, millis};
use crate::audit::{AuditEvent, AuditKind, Detail, EventId};

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum About<'a> {
    Entity(Entity<'a>),
    Authentication(Authentication<'a>),
    Api(Api<'a>),
    Finding(Finding<'a>),
}

/// 3004.
#[derive(Debug, Serialize)]
pub(super) struct Entity<'a> {
    entity: ManagedEntity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(flatten)]
    scene: Scene<'a>,
}

#[derive(Debug, Serialize)]
struct ManagedEntity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    type_id: u8,
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
}

/// 3002.
#[derive(Debug, Serialize)]
pub(super) struct Authentication<'a> {
    auth_protocol_id: u8,
    auth_protocol: &'static str,
    service: Service<'a>,
    user: User<'a>,
    #[serde(flatten)]
    scene: Scene<'a>,
}

#[derive(Debug, Serialize)]
struct Service<'a> {
    name: &'a str,
}

/// 6003.
#[derive(Debug, Serialize)]
pub(super) struct Api<'a> {
    api: Call<'a>,
    #[serde(flatten)]
    scene: Scene<'a>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    operation: String,
    service: Service<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request<'a>>,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    uid: &'a str,
}

/// 2004.
#[derive(Debug, Serialize)]
pub(super) struct Finding<'a> {
    finding_info: FindingInfo<'a>,
    is_alert: bool,
    evidences: [Evidence<'a>; 1],
}

#[derive(Debug, Serialize)]
struct FindingInfo<'a> {
    uid: String,
    title: &'a str,
    created_time: i64,
}

#[derive(Debug, Serialize)]
struct Evidence<'a> {
    user: User<'a>,
    #[serde(flatten)]
    scene: Scene<'a>,
}

impl<'a> About<'a> {
    pub(super) fn of(theme: Theme, event: &'a AuditEvent, product: &'a Product) -> Self {
        match theme {
            Theme::Key(_) => Self::Entity(Entity {
                entity: ManagedEntity::key(event),
                comment: comment_name(event).and_then(|name| text(event, name)),
                scene: Scene::of(event),
            }),
            Theme::Factor(_) => Self::Entity(Entity {
                entity: ManagedEntity::factor(event),
                comment: None,
                scene: Scene::of(event),
            }),
            Theme::Trail(_) => Self::Entity(Entity {
                entity: ManagedEntity::trail(event),
                comment: None,
                scene: Scene::of(event),
            }),
            Theme::Presented(_) => Self::Authentication(Authentication {
                auth_protocol_id: 99,
                auth_protocol: match event.kind() {
                    AuditKind::SecondFactorFailed => "Second factor",
                    _ => "API key",
                },
                service: Service::of(product),
                user: User::owner(event),
                scene: Scene::of(event),
            }),
            Theme::Request => Self::Api(Api {
                api: Call::of(event, product),
                scene: Scene::of_request(event),
            }),
            Theme::Alert => Self::Finding(Finding {
                finding_info: FindingInfo::of(event),
                is_alert: true,
                evidences: [Evidence {
                    user: User::owner(event),
                    scene: Scene::of(event),
                }],
            }),
        }
    }
}

/// Returns the name of the detail that says why somebody did it, which is what OCSF calls a comment.
pub(super) fn comment_name(event: &AuditEvent) -> Option<&'static str> {
    let name = match Theme::of(event.kind()) {
        Theme::Key(_) if event.kind() == AuditKind::KeyRevoked => "reason",
        Theme::Key(_) => "justification",
        _ => return None,
    };
    text(event, name).map(|_| name)
}

fn text<'a>(event: &'a AuditEvent, name: &str) -> Option<&'a str> {
    match event.detail(name)? {
        Detail::Text(text) => Some(text.as_str()),
        Detail::Number(_) => None,
    }
}

impl<'a> ManagedEntity<'a> {
    fn key(event: &'a AuditEvent) -> Self {
        Self {
            name: event.key_id().is_none().then_some(UNKNOWN),
            uid: event.key_id(),
            type_id: 99,
            type_name: "API key",
            user: User::owner_if_named(event),
        }
    }

    fn factor(event: &'a AuditEvent) -> Self {
        let owner = text(event, "factor_of");
        Self {
            name: owner.is_none().then_some(UNKNOWN),
            uid: owner,
            type_id: 99,
            type_name: "Second factor",
            user: User::owner_if_named(event),
        }
    }

    fn trail(event: &'a AuditEvent) -> Self {
        Self {
            name: Some("audit trail"),
            uid: None,
            type_id: 99,
            type_name: "Audit trail",
            user: User::owner_if_named(event),
        }
    }
}

impl<'a> Service<'a> {
    fn of(product: &'a Product) -> Self {
        Self {
            name: product.name(),
        }
    }
}

impl<'a> Call<'a> {
    fn of(event: &'a AuditEvent, product: &'a Product) -> Self {
        let operation = match (event.method(), event.route()) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            // An operation on keys that the acting key may not do.
            (None, None) => text(event, "operation")
                .unwrap_or_else(|| event.kind().code())
                .to_owned(),
        };
        Self {
            operation,
            service: Service::of(product),
            request: event.request_id().map(|uid| Request { uid }),
        }
    }
}

impl<'a> FindingInfo<'a> {
    fn of(event: &'a AuditEvent) -> Self {
        // A recorder gives every event an id. Without one its time tells it apart as well as anything.
        let uid = event.id().as_ref().map(EventId::to_string);
        Self {
            uid: uid.unwrap_or_else(|| event.time().to_string()),
            title: event.reason().unwrap_or_else(|| event.kind().code()),
            created_time: millis(event.time()),
        }
    }
}

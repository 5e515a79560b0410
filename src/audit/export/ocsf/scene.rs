//! From where, and in which request.

use std::net::IpAddr;

use serde::Serialize;

use super::people::{Actor, UNKNOWN};
use crate::audit::AuditEvent;

/// The methods that OCSF knows. Others stand under `unmapped`.
const METHODS: [&str; 9] = [
    "OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH",
];

/// What all classes say of an event's surroundings; a finding says it as evidence.
#[derive(Debug, Serialize)]
pub(super) struct Scene<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_request: Option<HttpRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_response: Option<HttpResponse>,
}

#[derive(Debug, Serialize)]
pub(super) struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_endpoint: Option<Proxy>,
}

#[derive(Debug, Serialize)]
struct Proxy {
    ip: IpAddr,
}

#[derive(Debug, Serialize)]
struct HttpRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    http_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Url<'a> {
    path: &'a str,
}

#[derive(Debug, Serialize)]
struct HttpResponse {
    code: u16,
}

impl<'a> Scene<'a> {
    pub(super) fn of(event: &'a AuditEvent) -> Self {
        Self {
            actor: Actor::of(event),
            src_endpoint: Endpoint::if_known(event),
            http_request: HttpRequest::of(event),
            http_response: event.status().map(|code| HttpResponse { code }),
        }
    }

    /// Returns the scene with what a class of requests demands.
    pub(super) fn of_request(event: &'a AuditEvent) -> Self {
        Self {
            actor: Some(Actor::of_request(event)),
            src_endpoint: Some(Endpoint::of(event)),
            ..Self::of(event)
        }
    }
}

impl Endpoint {
    fn of(event: &AuditEvent) -> Self {
        let ip = event.client_ip();
        Self {
            ip,
            name: ip.is_none().then_some(UNKNOWN),
            proxy_endpoint: event.peer_ip().map(|ip| Proxy { ip }),
        }
    }

    fn if_known(event: &AuditEvent) -> Option<Self> {
        let known = event.client_ip().is_some() || event.peer_ip().is_some();
        known.then(|| Self::of(event))
    }
}

impl<'a> HttpRequest<'a> {
    fn of(event: &'a AuditEvent) -> Option<Self> {
        let request = Self {
            http_method: event.method().filter(|method| METHODS.contains(method)),
            url: event.route().map(|path| Url { path }),
            user_agent: event.user_agent(),
        };
        let set =
            request.http_method.is_some() || request.url.is_some() || request.user_agent.is_some();
        set.then_some(request)
    }
}

/// Returns a method that has no place in [`Scene`].
pub(super) fn unknown_method(event: &AuditEvent) -> Option<&str> {
    event.method().filter(|method| !METHODS.contains(method))
}

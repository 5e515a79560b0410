//! One request on its way through the layers.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::header::{HeaderValue, USER_AGENT};
use ::http::request::Parts;
use ::http::{Extensions, HeaderMap, Method, StatusCode};

use super::address::certificate_of;
use super::route::RouteTemplate;
use super::sunset::Sunset;
use super::{ClientAddress, ClientCertError};
use crate::audit::{AuditEvent, AuditKind, Outcome, Pending, Text};
use crate::key::Thumbprint;
use crate::rate_limit::RateDecision;
use crate::service::{KeyService, RequestContext, VerifiedKey};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

/// A UUID has 36 characters, a `traceparent` 55.
const MAX_REQUEST_ID: usize = 128;
/// Real browsers stay below 200.
const MAX_USER_AGENT: usize = 256;

/// What the layers know of one request, shared by the one that authenticates and those that require.
#[derive(Clone, Debug)]
pub(super) struct Exchange(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: KeyService,
    started: Timestamp,
    method: Method,
    origin: Origin,
    progress: Mutex<Progress>,
}

/// How far the request has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) key: Option<VerifiedKey>,
    pub(super) route: Option<Text>,
    /// What the holder is told of the end of the secret.
    pub(super) sunset: Option<Sunset>,
    /// Where the limits stand, for the header fields.
    pub(super) limits: Option<RateDecision>,
    /// What the limits were charged. `None` as long as they were not asked.
    pub(super) charged: Option<u32>,
    /// Why one of the layers refused the request.
    pub(super) refused: Option<&'static str>,
    /// A CORS preflight passes unauthenticated, as the application wanted.
    pub(super) is_preflight: bool,
}

impl Exchange {
    pub(super) fn begin(service: &KeyService, parts: &Parts) -> Self {
        let progress = Progress {
            route: RouteTemplate::of(&parts.extensions),
            ..Progress::default()
        };
        Self(Arc::new(Inner {
            service: service.clone(),
            started: service.clock().now(),
            method: parts.method.clone(),
            origin: Origin::of(parts),
            progress: Mutex::new(progress),
        }))
    }

    /// Returns the exchange that an outer layer began.
    pub(super) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    pub(super) fn service(&self) -> &KeyService {
        &self.0.service
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Reads or changes how far the request has come. Never held across an await.
    pub(super) fn progress<T>(&self, look: impl FnOnce(&mut Progress) -> T) -> T {
        look(&mut lock(&self.0.progress))
    }

    /// Takes note of the route, for a layer that sees more of it than the outer one.
    pub(super) fn note_route(&self, extensions: &Extensions) {
        if let Some(route) = RouteTemplate::of(extensions) {
            self.progress(|progress| progress.route = Some(route));
        }
    }

    /// Writes that a credential was refused without being looked at.
    pub(super) async fn refuse_credential(&self, code: &'static str) {
        let now = self.service().clock().now();
        let event = AuditEvent::new(AuditKind::AuthenticationFailed, now).with_failure(code);
        let event = self.origin().write(event);
        self.service().recorder().enqueue_or_wait(event).await;
    }

    /// Returns the event that tells how the request ended.
    pub(super) fn completed(&self, end: End) -> Pending {
        let (key, route, refused) = self.progress(|progress| {
            (
                progress.key.clone(),
                progress.route.clone(),
                progress.refused,
            )
        });
        let (inner, now) = (Arc::clone(&self.0), self.service().clock().now());
        Pending::deferred(move || {
            let mut event = AuditEvent::new(AuditKind::RequestCompleted, now)
                .with_method(inner.method.as_str())
                .with_duration(now.saturating_since(inner.started));
            event = match end {
                End::Status(status) => of_status(event, status),
                End::None(reason) => event.with_failure(reason),
            };
            if let Some(code) = refused {
                event = event.with_failure(code);
            }
            if let Some(route) = route {
                event = event.with_route(route);
            }
            match key {
                Some(key) => key.write(inner.origin.write(event)),
                None => inner.origin.write(event),
            }
        })
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Status(StatusCode),
    /// Without a response, and why.
    None(&'static str),
}

fn of_status(event: AuditEvent, status: StatusCode) -> AuditEvent {
    let failed = status.is_client_error() || status.is_server_error();
    event.with_status(status.as_u16()).with_outcome(if failed {
        Outcome::Failure
    } else {
        Outcome::Success
    })
}

/// What is known of a request's sender without looking at the key.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    address: ClientAddress,
    certificate: Result<Option<Thumbprint>, ClientCertError>,
    request_id: Option<HeaderValue>,
    /// UTF-8.
    user_agent: Option<HeaderValue>,
}

impl Origin {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            address: ClientAddress::of(&parts.extensions),
            certificate: certificate_of(&parts.extensions),
            request_id: visible(&parts.headers, "x-request-id")
                .filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()))
                .filter(|id| id.as_bytes().iter().all(u8::is_ascii_graphic)),
            user_agent: parts.headers.get(USER_AGENT).and_then(readable),
        }
    }

    pub(super) const fn client(&self) -> Option<IpAddr> {
        self.address.ip()
    }

    /// Returns what is wrong with what the request says of its client's certificate.
    pub(super) fn certificate_fault(&self) -> Option<ClientCertError> {
        self.certificate.err()
    }

    pub(super) fn context(&self) -> RequestContext<'_> {
        let mut context = RequestContext::new();
        if let Some(client) = self.client() {
            context = context.with_client(client);
        }
        if let Ok(Some(certificate)) = self.certificate {
            context = context.with_certificate(certificate);
        }
        if let Some(id) = self.request_id() {
            context = context.with_request_id(id);
        }
        if let Some(agent) = self.user_agent() {
            context = context.with_user_agent(agent);
        }
        context
    }

    pub(super) fn write(&self, mut event: AuditEvent) -> AuditEvent {
        if let Some(client) = self.client() {
            event = event.with_client_ip(client);
        }
        if let Some(peer) = self
            .address
            .peer()
            .filter(|_| self.client() != self.address.peer())
        {
            event = event.with_peer_ip(peer);
        }
        if let Some(id) = self.request_id() {
            event = event.with_request_id(id);
        }
        if let Some(agent) = self.user_agent() {
            event = event.with_user_agent(agent);
        }
        event
    }

    fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref()?.to_str().ok()
    }

    fn user_agent(&self) -> Option<&str> {
        let agent = std::str::from_utf8(self.user_agent.as_ref()?.as_bytes()).ok()?;
        agent.get(..agent.floor_char_boundary(MAX_USER_AGENT))
    }
}

/// Returns the field as UTF-8, whatever it holds: what a client writes there must not take it out of the trail.
fn readable(field: &HeaderValue) -> Option<HeaderValue> {
    match String::from_utf8_lossy(field.as_bytes()) {
        Cow::Borrowed(_) => Some(field.clone()),
        Cow::Owned(text) => HeaderValue::from_str(&text).ok(),
    }
}

/// Returns the field if it stands once and holds nothing but visible ASCII, blanks and tabs.
fn visible(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let mut fields = headers.get_all(name).iter();
    let only = fields.next().filter(|_| fields.next().is_none());
    only.filter(|field| field.to_str().is_ok()).cloned()
}

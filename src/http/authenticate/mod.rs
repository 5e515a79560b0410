//! The layer around everything that needs a key.

mod serve;

use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::HeaderValue;
use ::http::{Request, Response, Uri};
use tower_layer::Layer;
use tower_service::Service;

use super::gate::Gate;
use super::{Answer, CHALLENGE, TenantFrom, sunset, swap_ready};
use crate::access::Requirement;
use crate::rate_limit::RateHeaders;
use crate::service::KeyService;

/// Lets nobody through without a valid key, and holds those who have one to their limits.
///
/// Around a router, it does for each request, in this order: takes the key out of the request, verifies it, checks the
/// [requirement](AuthenticateLayer::require) if there is one, charges the limits, and calls the route, which finds a
/// [`VerifiedKey`](crate::service::VerifiedKey) among the request's extensions. On the way back it writes the rate-limit fields into
/// every response, whatever its status, those that warn of a [secret's end](crate::service::VerifiedKey::retirement), and the audit event of the completed request.
///
/// Alone, it lets any valid key through. What single routes require besides, a [`RequireLayer`](super::RequireLayer)
/// says. Limits are charged once in any combination:
///
/// | around the router | on the route | order |
/// |---|---|---|
/// | `new(service)` | nothing | verify, limits, handler |
/// | `new(service).require(a)` | nothing | verify, permission a, limits, handler |
/// | `new(service)` | `RequireLayer` b | verify, limits, permission b (what was charged is given back if refused), handler |
/// | `new(service).permissions_by_route()` | `RequireLayer` b | verify, permission b, limits, handler |
/// | `new(service).permissions_by_route()` | nothing | not served: see there |
///
/// ```
/// # #[cfg(feature = "axum")]
/// # fn app(service: keyward::KeyService) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// use axum::{Router, routing::{get, post}};
/// use keyward::VerifiedKey;
/// use keyward::http::{AuthenticateLayer, RequireLayer};
///
/// async fn whoami(key: VerifiedKey) -> String {
///     format!("key {} of {}\n", key.id(), key.owner())
/// }
///
/// let app = Router::new()
///     .route("/whoami", get(whoami).layer(RequireLayer::any_key()))
///     .route("/send", post(|| async { "sent" }).layer(RequireLayer::permission("send_email")?))
///     .layer(AuthenticateLayer::new(service).permissions_by_route());
/// # Ok(app)
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is added to a router or service"]
pub struct AuthenticateLayer {
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    service: KeyService,
    /// `None` leaves permission and limits to the routes.
    gate: Option<Gate>,
    headers: RateHeaders,
    challenge: HeaderValue,
    /// The link to a page that tells how to rotate.
    rotation_page: Option<HeaderValue>,
    preflight: Preflight,
    completion: Completion,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Preflight {
    Authenticated,
    Passed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Completion {
    Audited,
    Unaudited,
}

impl AuthenticateLayer {
    /// Returns a layer that lets every valid key of the service through.
    pub const fn new(service: KeyService) -> Self {
        Self {
            settings: Settings {
                service,
                gate: Some(Gate::any_key()),
                headers: RateHeaders::ALL,
                challenge: HeaderValue::from_static(CHALLENGE),
                rotation_page: None,
                preflight: Preflight::Authenticated,
                completion: Completion::Audited,
            },
        }
    }

    /// Requires this of the key on all routes, before limits are charged.
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.gate().requirement = Some(Arc::new(requirement));
        self
    }

    /// Sets how [`require`](Self::require) knows whose resources a request is about: of no tenant unless set.
    pub fn tenant(mut self, tenant: TenantFrom) -> Self {
        self.gate().tenant = tenant;
        self
    }

    /// Sets what a request counts for; 1 unless set.
    pub fn cost(mut self, cost: u32) -> Self {
        self.gate().cost = Some(cost);
        self
    }

    /// Leaves permission and limits to the [`RequireLayer`](super::RequireLayer)s of the routes, so that limits are
    /// charged strictly after permission and each route has a cost of its own.
    ///
    /// Every route then needs one, [`RequireLayer::any_key`](super::RequireLayer::any_key) at least. A route without one gets no
    /// `VerifiedKey`, and whatever it answers but an error becomes 500, so that it is noticed on its first call; its
    /// request is charged as one.
    pub fn permissions_by_route(mut self) -> Self {
        self.settings.gate = None;
        self
    }

    /// Sets which rate-limit fields responses carry; all of them unless set.
    pub const fn rate_headers(mut self, headers: RateHeaders) -> Self {
        self.settings.headers = headers;
        self
    }

    /// Sets the `WWW-Authenticate` challenge of every 401; `Bearer realm="api"` unless set.
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.settings.challenge = challenge;
        self
    }

    /// Names the page that tells owners how to rotate a key. It is a `Link` in every response that carries `Deprecation` or
    /// `Sunset`; there is none unless set.
    pub fn rotation_page(mut self, page: &Uri) -> Self {
        self.settings.rotation_page = sunset::link(page);
        self
    }

    /// Lets CORS preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) through to the inner service,
    /// without a key and without a limit. Not needed if the layer that answers them is outside this one.
    pub const fn pass_cors_preflights(mut self) -> Self {
        self.settings.preflight = Preflight::Passed;
        self
    }

    /// Leaves completed requests out of the audit trail, for services that record them elsewhere.
    pub const fn without_completion_events(mut self) -> Self {
        self.settings.completion = Completion::Unaudited;
        self
    }

    fn gate(&mut self) -> &mut Gate {
        self.settings.gate.get_or_insert(Gate::any_key())
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = AuthenticateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticateService {
            inner,
            settings: Arc::new(self.settings.clone()),
        }
    }
}

/// What [`AuthenticateLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct AuthenticateService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, B, R> Service<Request<B>> for AuthenticateService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut inner = swap_ready(&mut self.inner);
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            settings
                .serve(parts, |parts| inner.call(Request::from_parts(parts, body)))
                .await
        })
    }
}

//! The layer around everything that needs a key.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use ::http::request::Parts;
use ::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tower_layer::Layer;
use tower_service::Service;

use super::credential::{self, Presented};
use super::exchange::{End, Exchange};
use super::exposure::{self, Noticed};
use super::gate::Gate;
use super::sunset::{self, Sunset};
use super::{Answer, CHALLENGE, ClientCertError, Problem, TenantFrom, headers, swap_ready};
use crate::access::Requirement;
use crate::rate_limit::RateHeaders;
use crate::service::{KeyService, VerifyError};

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

impl Settings {
    async fn serve<R, E, F>(
        &self,
        mut parts: Parts,
        call: impl FnOnce(Parts) -> F + Send,
    ) -> Result<Response<R>, E>
    where
        R: From<String> + Send,
        F: Future<Output = Result<Response<R>, E>> + Send,
    {
        if let Some(outer) = self.outer_exchange(&parts) {
            return match self.enter(&outer, &mut parts).await {
                Ok(()) => call(parts).await,
                Err(problem) => Ok(problem.into_http()),
            };
        }
        let exchange = Exchange::begin(&self.service, &parts);
        let unfinished = Unfinished::new(self, &exchange);
        parts.extensions.insert(exchange.clone());
        let response = match self.admit(&exchange, &mut parts).await {
            Ok(()) => {
                let response = call(parts).await?;
                self.check_settled(&exchange, response).await
            }
            Err(problem) => problem.into_http(),
        };
        Ok(self.finish(unfinished, response).await)
    }

    /// The layer may stand twice around a route: the second time there is nothing left to verify.
    fn outer_exchange(&self, parts: &Parts) -> Option<Exchange> {
        Exchange::of(&parts.extensions)
            .filter(|outer| outer.service().is_same(&self.service))
            .cloned()
    }

    async fn admit(&self, exchange: &Exchange, parts: &mut Parts) -> Result<(), Problem> {
        let presented = credential::take(&mut parts.headers, &parts.uri, self.service.format());
        if self.preflight == Preflight::Passed && is_preflight(&parts.method, &parts.headers) {
            exchange.progress(|progress| progress.is_preflight = true);
            return Ok(());
        }
        self.verify(exchange, presented).await?;
        self.enter(exchange, parts).await
    }

    async fn enter(&self, exchange: &Exchange, parts: &mut Parts) -> Result<(), Problem> {
        let is_preflight = exchange.progress(|progress| progress.is_preflight);
        match &self.gate {
            Some(gate) if !is_preflight => gate.pass(exchange, parts).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn verify(&self, exchange: &Exchange, presented: Presented) -> Result<(), Problem> {
        let noticed = self.notice(exchange, &presented);
        if let Some(fault) = exchange.origin().certificate_fault() {
            let refused = refuse_certificate(exchange, fault).await;
            return Err(noticed.told_in(refused).await);
        }
        let credential = match presented {
            Presented::One(credential) => credential,
            Presented::Missing => {
                return Err(self.refuse(exchange, "missing_credential").await);
            }
            Presented::Ambiguous => {
                exchange.refuse_credential("ambiguous_credential").await;
                return Err(self.refuse(exchange, "ambiguous_credential").await);
            }
            Presented::InUrl(_) => {
                let refused = self.refuse(exchange, "key_in_url").await;
                return Err(noticed.told_in(refused).await);
            }
        };
        let context = exchange.origin().context();
        match self.service.verify(credential.as_bytes(), &context).await {
            Ok(key) => {
                exchange.progress(|progress| {
                    progress.sunset = key.retirement().map(Sunset::coming);
                    progress.key = Some(key);
                });
                Ok(())
            }
            Err(error) => {
                exchange.stand_of_address().await;
                exchange.progress(|progress| {
                    progress.sunset = Sunset::past(&error);
                    progress.refused = Some(code(&error));
                });
                Err(self.challenged(Problem::from(&error)))
            }
        }
    }

    fn notice(&self, exchange: &Exchange, presented: &Presented) -> Noticed {
        let Presented::InUrl(key) = presented else {
            return Noticed::default();
        };
        let key = std::slice::from_ref(key);
        exposure::report(&self.service, key, "key_in_url", exchange.origin())
    }

    async fn refuse(&self, exchange: &Exchange, code: &'static str) -> Problem {
        exchange.stand_of_address().await;
        exchange.progress(|progress| progress.refused = Some(code));
        self.challenged(Problem::unauthenticated())
    }

    fn challenged(&self, problem: Problem) -> Problem {
        if problem.status() == StatusCode::UNAUTHORIZED {
            return problem.with_header(WWW_AUTHENTICATE, self.challenge.clone());
        }
        problem
    }

    /// A request that no gate has seen is charged late, and is no success.
    async fn check_settled<R: From<String> + Send>(
        &self,
        exchange: &Exchange,
        response: Response<R>,
    ) -> Response<R> {
        let (is_settled, is_preflight) =
            exchange.progress(|progress| (progress.charged.is_some(), progress.is_preflight));
        let was_refused = exchange.progress(|progress| progress.refused.is_some());
        if is_settled || is_preflight || was_refused {
            return response;
        }
        if let Err(problem) = Gate::any_key().charge_late(exchange).await {
            return problem.into_http();
        }
        if response.status().is_client_error() || response.status().is_server_error() {
            return response;
        }
        exchange.progress(|progress| progress.refused = Some("route_not_protected"));
        Problem::unprotected().into_http()
    }

    async fn finish<R: Send>(
        &self,
        mut unfinished: Unfinished<'_>,
        mut response: Response<R>,
    ) -> Response<R> {
        unfinished.exchange.progress(|progress| {
            if let Some(limits) = &progress.limits {
                headers::write(self.headers, limits, response.headers_mut());
            }
            if let Some(sunset) = progress.sunset {
                sunset.write(self.rotation_page.as_ref(), response.headers_mut());
            }
        });
        if unfinished.armed {
            unfinished.armed = false;
            let event = unfinished
                .exchange
                .completed(End::Status(response.status()));
            self.service.recorder().enqueue_or_wait(event).await;
        }
        response
    }
}

/// Whoever sends a certificate that is not to be believed is not looked at any further.
async fn refuse_certificate(exchange: &Exchange, fault: ClientCertError) -> Problem {
    exchange.refuse_credential(fault.code()).await;
    exchange.stand_of_address().await;
    exchange.progress(|progress| progress.refused = Some(fault.code()));
    Problem::client_cert_refused()
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

const fn code(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::Rejected(rejection) => rejection.code(),
        VerifyError::Overloaded { .. } => "overloaded",
        VerifyError::Unavailable(_) => "unavailable",
    }
}

/// Writes the end of a request down if it never gets one: the client went away, or the handler panicked.
struct Unfinished<'a> {
    exchange: &'a Exchange,
    armed: bool,
}

impl<'a> Unfinished<'a> {
    fn new(settings: &Settings, exchange: &'a Exchange) -> Self {
        Self {
            exchange,
            armed: settings.completion == Completion::Audited,
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let reason = if std::thread::panicking() {
            "panicked"
        } else {
            "abandoned"
        };
        let event = self.exchange.completed(End::None(reason));
        self.exchange.service().recorder().enqueue(event);
    }
}

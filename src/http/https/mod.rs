//! Nothing over plain HTTP.

mod redirect;
mod strict_transport;

use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::{FORWARDED, STRICT_TRANSPORT_SECURITY};
use ::http::request::Parts;
use ::http::{HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::exchange::Origin;
use super::{Answer, ClientAddress, Problem, Scheme, credential, exposure, swap_ready};
use crate::service::KeyService;

pub use redirect::{BrowserRedirect, InvalidHost};
pub use strict_transport::Hsts;

/// Serves nothing over plain HTTP, and tells browsers to come back encrypted only.
///
/// A request in clear gets 403 and no redirect: a client that is redirected sends its key in clear for ever. A key that
/// it carried is written down as exposed, and treated as the [policy](crate::service::ExposurePolicy) says. Browsers that only look around can be sent on with
/// [`redirect_browsers`](Self::redirect_browsers).
///
/// How a request travelled is known from the connection, or from a trusted proxy through a
/// [`ClientAddressLayer`](super::ClientAddressLayer) around this layer. What is not known to be encrypted is in clear.
///
/// ```
/// use keyward::http::{BrowserRedirect, RequireHttpsLayer};
///
/// # fn layer(service: keyward::KeyService) -> Result<RequireHttpsLayer, Box<dyn std::error::Error>> {
/// let layer = RequireHttpsLayer::new(service)
///     .redirect_browsers(BrowserRedirect::to("www.example.com")?.except_under("/api"));
/// # Ok(layer)
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is added to a router or service"]
pub struct RequireHttpsLayer {
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    service: KeyService,
    hsts: Hsts,
    redirect: Option<BrowserRedirect>,
    loopback: Loopback,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loopback {
    Refused,
    Served,
}

impl RequireHttpsLayer {
    /// Returns a layer that refuses every request in clear. The service writes down the keys they carried.
    pub fn new(service: KeyService) -> Self {
        Self {
            settings: Settings {
                service,
                hsts: Hsts::default(),
                redirect: None,
                loopback: Loopback::Refused,
            },
        }
    }

    /// Sets what `Strict-Transport-Security` says on responses to encrypted requests; one year unless set.
    pub const fn hsts(mut self, hsts: Hsts) -> Self {
        self.settings.hsts = hsts;
        self
    }

    /// Redirects browsers that navigate in clear: `GET` or `HEAD`, `Accept: text/html`, outside the API, no key on board.
    pub fn redirect_browsers(mut self, redirect: BrowserRedirect) -> Self {
        self.settings.redirect = Some(redirect);
        self
    }

    /// Returns the settings that weaken the layer.
    pub const fn dangerous(self) -> DangerousHttps {
        DangerousHttps { layer: self }
    }
}

/// Settings that weaken [`RequireHttpsLayer`]. Each says what it gives up.
#[derive(Debug)]
#[must_use]
pub struct DangerousHttps {
    layer: RequireHttpsLayer,
}

impl DangerousHttps {
    /// Serves requests in clear from the same machine, for development. Keys then travel in clear through the machine's
    /// network stack, where other programs may listen.
    ///
    /// A request that carries a forwarding header is refused nevertheless: it came through a proxy, from who knows where.
    pub fn allow_plain_http_from_loopback(mut self) -> RequireHttpsLayer {
        self.layer.settings.loopback = Loopback::Served;
        self.layer
    }
}

impl<S> Layer<S> for RequireHttpsLayer {
    type Service = RequireHttpsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireHttpsService {
            inner,
            settings: Arc::new(self.settings.clone()),
        }
    }
}

/// What [`RequireHttpsLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct RequireHttpsService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, B, R> Service<Request<B>> for RequireHttpsService<S>
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
            let address = ClientAddress::of(&parts.extensions);
            let is_encrypted = address.scheme() == Scheme::Https;
            if !is_encrypted && !settings.serves_in_clear(&address, &parts.headers) {
                return Ok(settings.refuse(&parts).await);
            }
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            let headers = response.headers_mut();
            if is_encrypted {
                headers.insert(STRICT_TRANSPORT_SECURITY, settings.hsts.value());
            } else {
                headers.remove(STRICT_TRANSPORT_SECURITY);
            }
            Ok(response)
        })
    }
}

impl Settings {
    fn serves_in_clear(&self, address: &ClientAddress, headers: &HeaderMap) -> bool {
        let is_local = [address.ip(), address.peer()]
            .iter()
            .all(|ip| ip.is_some_and(|ip| ip.is_loopback()));
        self.loopback == Loopback::Served && is_local && !is_forwarded(headers)
    }

    async fn refuse<R: From<String>>(&self, parts: &Parts) -> Response<R> {
        let exposed = credential::all_keys(&parts.headers, &parts.uri, self.service.format());
        let redirect = self.redirect.as_ref().filter(|_| exposed.is_empty());
        if let Some(response) = redirect.and_then(|redirect| redirect.answer(parts)) {
            return response;
        }
        let origin = Origin::of(parts);
        let noticed = exposure::report(&self.service, &exposed, "plain_http", &origin);
        noticed.told_in(Problem::https_required()).await.into_http()
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || headers
            .keys()
            .any(|name| name.as_str().starts_with("x-forwarded-") || name == "x-real-ip")
}

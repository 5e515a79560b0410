use std::task::{Context, Poll};

use ::http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{ConnectionInfo, ProxyTrust, Scheme};
use crate::http::certificate;
use crate::key::Thumbprint;

/// Finds out who made each request and puts a [`ClientAddress`](super::ClientAddress) into its extensions, and the
/// [`Thumbprint`] of the client's certificate, if it has shown one. Outermost of the layers.
///
/// Without this layer the other layers take the connection's other end for the client.
///
/// The fields `Client-Cert` and `Client-Cert-Chain` are removed from every request. What becomes of one that was not to be
/// sent, [`ProxyTrust::with_client_cert`] says.
///
/// ```
/// use keyward::http::{ClientAddressLayer, ProxyTrust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let behind_a_load_balancer = ClientAddressLayer::new(ProxyTrust::x_forwarded("10.0.0.0/8".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it is added to a router or service"]
pub struct ClientAddressLayer {
    trust: ProxyTrust,
    encrypted: bool,
}

impl ClientAddressLayer {
    /// Returns a layer that believes those proxies.
    pub const fn new(trust: ProxyTrust) -> Self {
        Self {
            trust,
            encrypted: false,
        }
    }

    /// Takes every connection for an encrypted one, for a process that itself ends TLS on all its listeners and whose
    /// server does not say so in a [`ConnectionInfo`].
    pub const fn all_connections_are_tls(mut self) -> Self {
        self.encrypted = true;
        self
    }

    fn connection<B>(&self, request: &Request<B>) -> Option<ConnectionInfo> {
        let found = ConnectionInfo::of(request.extensions())?;
        if self.encrypted {
            return Some(found.encrypted());
        }
        Some(found)
    }

    /// Leaves the client's thumbprint among the extensions, or why there can be none.
    fn note_certificate<B>(&self, connection: Option<ConnectionInfo>, request: &mut Request<B>) {
        let found = self.trust.certificate(connection, request.headers());
        certificate::remove(request.headers_mut());
        let extensions = request.extensions_mut();
        // SECURITY: who lets the proxies tell the certificates must not get another one from elsewhere, such as the proxy's.
        if found.is_err() || self.trust.tells_certificates(connection) {
            extensions.remove::<Thumbprint>();
        }
        match found {
            Ok(Some(certificate)) => drop(extensions.insert(certificate)),
            Ok(None) => {}
            Err(error) => drop(extensions.insert(error)),
        }
    }
}

impl<S> Layer<S> for ClientAddressLayer {
    type Service = ClientAddressService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientAddressService {
            inner,
            layer: self.clone(),
        }
    }
}

/// What [`ClientAddressLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ClientAddressService<S> {
    inner: S,
    layer: ClientAddressLayer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ClientAddressService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let connection = self.layer.connection(&request);
        let mut client = self.layer.trust.resolve(connection, request.headers());
        if self.layer.encrypted && connection.is_none() {
            client.scheme = Scheme::Https;
        }
        // The layer may stand twice around a route: the outer one has taken the fields, and has said what they mean.
        if request.extensions_mut().insert(client).is_none() {
            self.layer.note_certificate(connection, &mut request);
        }
        self.inner.call(request)
    }
}

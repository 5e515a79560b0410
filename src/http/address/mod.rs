//! Where a request comes from: the connection, and what trusted proxies say about it.

mod forwarded;
mod layer;
mod trust;

use std::net::{IpAddr, SocketAddr};

use ::http::Extensions;

use super::ClientCertError;
use crate::key::Thumbprint;

pub use layer::{ClientAddressLayer, ClientAddressService};
pub use trust::ProxyTrust;

/// How a request travelled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a connection is encrypted or it is not"
)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Through TLS.
    Https,
}

/// The connection a request arrived on, as a request extension. Whoever accepts connections puts it there.
///
/// With the feature `axum`, axum's `ConnectInfo<SocketAddr>` does as well, and stands for a connection in clear.
///
/// ```
/// use keyward::http::{ConnectionInfo, Scheme};
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(ConnectionInfo::new("192.0.2.7:50123".parse().unwrap(), Scheme::Https));
/// ```
///
/// A server that asks clients for certificates puts the one of this connection in, taken from the connection each time:
///
/// ```
/// use std::net::SocketAddr;
///
/// use keyward::http::{ConnectionInfo, Scheme};
/// use keyward::key::Thumbprint;
///
/// fn accepted(peer: SocketAddr, tls: &rustls::ServerConnection) -> ConnectionInfo {
///     let info = ConnectionInfo::new(peer, Scheme::Https);
///     match tls.peer_certificates().and_then(<[_]>::first) {
///         Some(certificate) => info.with_certificate(Thumbprint::of_certificate(certificate)),
///         None => info,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionInfo {
    peer: SocketAddr,
    scheme: Scheme,
    certificate: Option<Thumbprint>,
}

impl ConnectionInfo {
    /// Returns a connection with that other end, which has shown no certificate.
    #[must_use]
    pub const fn new(peer: SocketAddr, scheme: Scheme) -> Self {
        Self {
            peer,
            scheme,
            certificate: None,
        }
    }

    /// Sets the certificate that the other end has shown, and that TLS has accepted.
    ///
    /// # Security
    ///
    /// It must be the certificate of *this* handshake. A server that resumes sessions gets the one of the session's first
    /// connection instead, unchecked since: see "Client certificates" in `docs/http.md`.
    #[must_use]
    pub const fn with_certificate(mut self, certificate: Thumbprint) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Returns the other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns whether the connection is encrypted.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the certificate of the other end: the client's, or a proxy's.
    #[must_use]
    pub const fn certificate(&self) -> Option<Thumbprint> {
        self.certificate
    }

    const fn encrypted(self) -> Self {
        Self {
            scheme: Scheme::Https,
            ..self
        }
    }

    /// Reads it from a request's extensions.
    pub(super) fn of(extensions: &Extensions) -> Option<Self> {
        let stated = extensions.get::<Self>().copied();
        #[cfg(feature = "axum")]
        let stated = stated.or_else(|| {
            let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()?;
            Some(Self::new(info.0, Scheme::Http))
        });
        stated
    }
}

/// Who made a request, and how it left them: a request extension that [`ClientAddressLayer`] sets.
///
/// Addresses are canonical: a v4 address that travels as v6 (`::ffff:192.0.2.7`) is the v4 address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientAddress {
    ip: Option<IpAddr>,
    peer: Option<IpAddr>,
    scheme: Scheme,
}

impl ClientAddress {
    /// Returns the client's address, or `None` if not even the connection's other end is known. Keys that are bound to
    /// networks are then refused.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Returns the address of the connection's other end: the client's, or a proxy's.
    #[must_use]
    pub const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Returns how the request left the client; [`Scheme::Http`] if that is not known.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns what is known from the connection alone.
    const fn direct(connection: Option<ConnectionInfo>) -> Self {
        let Some(connection) = connection else {
            return Self {
                ip: None,
                peer: None,
                scheme: Scheme::Http,
            };
        };
        let peer = connection.peer.ip().to_canonical();
        Self {
            ip: Some(peer),
            peer: Some(peer),
            scheme: connection.scheme,
        }
    }

    /// Returns what the layer found out, or what the connection says if there was no layer.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let resolved = extensions.get::<Self>().copied();
        resolved.unwrap_or_else(|| Self::direct(ConnectionInfo::of(extensions)))
    }
}

/// Returns the client's certificate: what the layer found out, or what the connection says if there was no layer.
pub(super) fn certificate_of(
    extensions: &Extensions,
) -> Result<Option<Thumbprint>, ClientCertError> {
    if let Some(error) = extensions.get::<ClientCertError>() {
        return Err(*error);
    }
    let stated = extensions.get::<Thumbprint>().copied();
    if extensions.get::<ClientAddress>().is_some() {
        return Ok(stated);
    }
    Ok(stated.or_else(|| ConnectionInfo::of(extensions)?.certificate))
}

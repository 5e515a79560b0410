//! Where a request comes from: the connection, and what trusted proxies say about it.

mod forwarded;
mod layer;
mod trust;

use std::net::{IpAddr, SocketAddr};

use ::http::Extensions;

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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionInfo {
    peer: SocketAddr,
    scheme: Scheme,
}

impl ConnectionInfo {
    /// Returns a connection with that other end.
    #[must_use]
    pub const fn new(peer: SocketAddr, scheme: Scheme) -> Self {
        Self { peer, scheme }
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

use std::net::IpAddr;

use ::http::HeaderMap;

use super::forwarded::{self, Hop};
use super::{ClientAddress, ConnectionInfo, Scheme};
use crate::http::certificate::{self, ClientCertError};
use crate::key::{Networks, Thumbprint};

/// The most proxies one behind the other. A request with a longer chain counts as one of the last proxy looked at.
const MAX_HOPS: usize = 32;

/// Which proxies are believed about the client, and in which header fields.
///
/// Nobody unless told. A header counts only if the connection's other end lies in the networks given. Its entries are
/// read from the right, where the nearest proxy wrote: entries of trusted proxies are passed over, and the first other
/// one is the client. What stands left of it, a client can have made up. An entry that cannot be read ends the search at
/// the proxy that wrote it. A proxy that does not say how the request came to it is taken to have got it in clear.
///
/// One kind of header is believed, never both: a proxy that writes one passes the other through as the client sent it.
///
/// ```
/// use keyward::http::{ConnectionInfo, ProxyTrust, Scheme};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trust = ProxyTrust::x_forwarded("10.0.0.0/8".parse()?);
/// let proxy = ConnectionInfo::new("10.0.0.5:40000".parse()?, Scheme::Http);
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-forwarded-for", "1.2.3.4, 203.0.113.9".parse()?); // the left one is the client's own invention
/// headers.insert("x-forwarded-proto", "https".parse()?);
///
/// let client = trust.resolve(Some(proxy), &headers);
/// assert_eq!(client.ip(), Some("203.0.113.9".parse()?));
/// assert_eq!(client.scheme(), Scheme::Https);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProxyTrust {
    proxies: Option<(Dialect, Networks)>,
    client_cert: ClientCert,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ClientCert {
    #[default]
    Ignored,
    Believed,
}

#[derive(Clone, Copy, Debug)]
enum Dialect {
    XForwarded,
    Forwarded,
}

impl ProxyTrust {
    /// Believes nobody: the client is the connection's other end.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            proxies: None,
            client_cert: ClientCert::Ignored,
        }
    }

    /// Believes `X-Forwarded-For` and `X-Forwarded-Proto` from proxies in these networks.
    #[must_use]
    pub const fn x_forwarded(proxies: Networks) -> Self {
        Self {
            proxies: Some((Dialect::XForwarded, proxies)),
            client_cert: ClientCert::Ignored,
        }
    }

    /// Believes `Forwarded` (RFC 7239) from proxies in these networks.
    #[must_use]
    pub const fn forwarded(proxies: Networks) -> Self {
        Self {
            proxies: Some((Dialect::Forwarded, proxies)),
            client_cert: ClientCert::Ignored,
        }
    }

    /// Believes `Client-Cert` (RFC 9440) from the same proxies: the certificate that the client has shown to the proxy.
    ///
    /// | who sends it | result |
    /// |---|---|
    /// | a trusted proxy, one certificate | the client's certificate |
    /// | a trusted proxy, without the field | the client has shown none; the proxy's own certificate is not the client's |
    /// | a trusted proxy, twice, too long, or no certificate | 400, written down as `client_cert_malformed` |
    /// | anybody else | 400, written down as `client_cert_untrusted` |
    ///
    /// # Security
    ///
    /// A certificate is public: whoever can make a proxy pass this field on has every certificate's thumbprint. Every
    /// proxy that is named must set the field or remove it, on every request. So it is believed only where asked for.
    ///
    /// ```
    /// use keyward::http::{ClientCertError, ConnectionInfo, ProxyTrust, Scheme};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let trust = ProxyTrust::x_forwarded("10.0.0.0/8".parse()?).with_client_cert();
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("client-cert", ":MAA=:".parse()?);
    ///
    /// let proxy = ConnectionInfo::new("10.0.0.5:40000".parse()?, Scheme::Http);
    /// assert!(trust.certificate(Some(proxy), &headers)?.is_some());
    /// let stranger = ConnectionInfo::new("192.0.2.7:40000".parse()?, Scheme::Https);
    /// assert_eq!(trust.certificate(Some(stranger), &headers), Err(ClientCertError::Untrusted));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn with_client_cert(mut self) -> Self {
        self.client_cert = ClientCert::Believed;
        self
    }

    /// Returns the certificate of the client whose request arrived on that connection with those headers.
    ///
    /// # Errors
    ///
    /// [`ClientCertError`] for a field that was not to be sent or cannot be read. The request is to be refused: taking it
    /// for one without a certificate would hide an attack or a broken proxy.
    pub fn certificate(
        &self,
        connection: Option<ConnectionInfo>,
        headers: &HeaderMap,
    ) -> Result<Option<Thumbprint>, ClientCertError> {
        match (self.client_cert, self.is_proxy(connection)) {
            (ClientCert::Believed, true) => certificate::told(headers),
            (ClientCert::Ignored, true) => Ok(None),
            (ClientCert::Believed, false) if certificate::is_told(headers) => {
                Err(ClientCertError::Untrusted)
            }
            (_, false) => Ok(connection.and_then(|it| it.certificate())),
        }
    }

    /// Whether the other end is a proxy that tells what certificate its client has.
    pub(super) fn tells_certificates(&self, connection: Option<ConnectionInfo>) -> bool {
        self.client_cert == ClientCert::Believed && self.is_proxy(connection)
    }

    fn is_proxy(&self, connection: Option<ConnectionInfo>) -> bool {
        let proxies = self.proxies.as_ref().zip(connection);
        proxies.is_some_and(|((_, proxies), it)| proxies.contains(it.peer().ip()))
    }

    /// Returns who made a request that arrived on that connection with those headers.
    #[must_use]
    pub fn resolve(
        &self,
        connection: Option<ConnectionInfo>,
        headers: &HeaderMap,
    ) -> ClientAddress {
        let direct = ClientAddress::direct(connection);
        let (Some((dialect, proxies)), Some(peer)) = (&self.proxies, direct.peer) else {
            return direct;
        };
        if !proxies.contains(peer) {
            return direct;
        }
        let (ip, scheme) = match dialect {
            Dialect::XForwarded => {
                let chain = forwarded::x_forwarded_for(headers).map(Hop::of_address);
                let (ip, assumed) = walk(peer, proxies, chain);
                (ip, forwarded::x_forwarded_proto(headers).or(assumed))
            }
            Dialect::Forwarded => walk(peer, proxies, forwarded::forwarded(headers)),
        };
        ClientAddress {
            ip: Some(ip),
            scheme: scheme.unwrap_or(direct.scheme),
            ..direct
        }
    }
}

/// Goes from the nearest proxy towards the client. Every entry looked at was written by a trusted proxy; one that does
/// not say how the request came to it leaves it in clear.
fn walk(
    peer: IpAddr,
    proxies: &Networks,
    chain: impl Iterator<Item = Hop>,
) -> (IpAddr, Option<Scheme>) {
    let (mut at, mut scheme) = (peer, None);
    for hop in chain.take(MAX_HOPS) {
        scheme = Some(hop.scheme.unwrap_or(Scheme::Http));
        let Some(address) = hop.address else {
            break;
        };
        at = address;
        if !proxies.contains(address) {
            break;
        }
    }
    (at, scheme)
}

use std::net::IpAddr;

use ::http::HeaderMap;

use super::forwarded::{self, Hop};
use super::{ClientAddress, ConnectionInfo, Scheme};
use crate::key::Networks;

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
        Self { proxies: None }
    }

    /// Believes `X-Forwarded-For` and `X-Forwarded-Proto` from proxies in these networks.
    #[must_use]
    pub const fn x_forwarded(proxies: Networks) -> Self {
        Self {
            proxies: Some((Dialect::XForwarded, proxies)),
        }
    }

    /// Believes `Forwarded` (RFC 7239) from proxies in these networks.
    #[must_use]
    pub const fn forwarded(proxies: Networks) -> Self {
        Self {
            proxies: Some((Dialect::Forwarded, proxies)),
        }
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

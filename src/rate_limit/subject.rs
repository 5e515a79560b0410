//! Who is being limited.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of subject a bucket belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Scope {
    /// A key id that a caller has named but not proven. Anybody can invent these.
    ClaimedKey,
    /// A client address or network. Anybody can have many of these.
    Ip,
    /// A verified key.
    Key,
    /// The owner of verified keys.
    Owner,
    /// The tenant of verified keys.
    Tenant,
}

impl Scope {
    /// Returns the scope's name, for keys in a backend, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaimedKey => "claimed",
            Self::Ip => "ip",
            Self::Key => "key",
            Self::Owner => "owner",
            Self::Tenant => "tenant",
        }
    }

    /// Tells whether strangers can make up subjects of this kind, so that their number has no natural bound.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::ClaimedKey | Self::Ip)
    }
}

/// How many leading bits of an address make one subject.
///
/// The default takes each IPv4 address for itself and each IPv6 /64 as one: a /64 is what a single customer gets
/// (RFC 6177 gives even more), so counting full IPv6 addresses would give everybody 2^64 buckets.
///
/// ```
/// use keyward::rate_limit::IpGrouping;
///
/// assert_eq!(IpGrouping::default(), IpGrouping::new(32, 64));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpGrouping {
    v4_bits: u8,
    v6_bits: u8,
}

impl IpGrouping {
    /// Returns a grouping by that many bits. More than 32 (or 64, for IPv6) count as 32 (or 64).
    #[must_use]
    pub const fn new(v4_bits: u8, v6_bits: u8) -> Self {
        Self {
            v4_bits: if v4_bits > 32 { 32 } else { v4_bits },
            v6_bits: if v6_bits > 64 { 64 } else { v6_bits },
        }
    }
}

impl Default for IpGrouping {
    fn default() -> Self {
        Self::new(32, 64)
    }
}

/// Whose bucket is charged: a scope, and an identity within it. Borrowed or inline, so making one allocates nothing.
///
/// ```
/// use keyward::rate_limit::Subject;
///
/// let key = Subject::key("3Fq9xT0bLm2A");
/// assert_eq!(key.to_string(), "key:3Fq9xT0bLm2A");
///
/// // One customer's IPv6 network is one subject, and a mapped IPv4 address is that IPv4 address.
/// let one = Subject::ip("2001:db8:1:2::1".parse().unwrap());
/// let two = Subject::ip("2001:db8:1:2:ffff::2".parse().unwrap());
/// assert_eq!(one, two);
/// assert_eq!(one.to_string(), "ip:2001:db8:1:2::/64");
/// assert_eq!(
///     Subject::ip("::ffff:192.0.2.7".parse().unwrap()),
///     Subject::ip("192.0.2.7".parse().unwrap()),
/// );
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Subject<'a> {
    scope: Scope,
    id: Id<'a>,
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Id<'a> {
    Text(&'a str),
    V4 { net: u32, bits: u8 },
    V6 { net: u64, bits: u8 },
}

impl<'a> Subject<'a> {
    /// Returns the subject for a key id that has not been proven (see [`Scope::ClaimedKey`]).
    #[must_use]
    pub const fn claimed_key(id: &'a str) -> Self {
        Self::text(Scope::ClaimedKey, id)
    }

    /// Returns the subject for a client address, grouped as [`IpGrouping::default`] says.
    #[must_use]
    pub fn ip(addr: IpAddr) -> Self {
        Self::ip_grouped(addr, IpGrouping::default())
    }

    /// Returns the subject for a client address under a grouping of one's own.
    #[must_use]
    pub fn ip_grouped(addr: IpAddr, grouping: IpGrouping) -> Self {
        let id = match addr.to_canonical() {
            IpAddr::V4(addr) => {
                let bits = grouping.v4_bits;
                let host = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
                let net = addr.to_bits() & !host;
                Id::V4 { net, bits }
            }
            IpAddr::V6(addr) => {
                let bits = grouping.v6_bits;
                let host = u64::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
                let net = upper_half(addr) & !host;
                Id::V6 { net, bits }
            }
        };
        Self {
            scope: Scope::Ip,
            id,
        }
    }

    /// Returns the subject for a verified key, by its public id.
    #[must_use]
    pub const fn key(id: &'a str) -> Self {
        Self::text(Scope::Key, id)
    }

    /// Returns the subject for an owner.
    #[must_use]
    pub const fn owner(id: &'a str) -> Self {
        Self::text(Scope::Owner, id)
    }

    /// Returns the subject for a tenant.
    #[must_use]
    pub const fn tenant(id: &'a str) -> Self {
        Self::text(Scope::Tenant, id)
    }

    /// Returns the subject's scope.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    const fn text(scope: Scope, id: &'a str) -> Self {
        Self {
            scope,
            id: Id::Text(id),
        }
    }

    /// Feeds the identity to a hasher, unambiguously within one scope. Cheaper than the derived `Hash`.
    pub(super) fn hash_id(&self, hasher: &mut impl std::hash::Hasher) {
        match self.id {
            Id::Text(text) => hasher.write(text.as_bytes()),
            Id::V4 { net, bits } => hasher.write_u64(u64::from(net) << 8 | u64::from(bits)),
            Id::V6 { net, bits } => {
                hasher.write_u64(net);
                hasher.write_u8(bits);
            }
        }
    }
}

fn upper_half(addr: Ipv6Addr) -> u64 {
    u64::try_from(addr.to_bits() >> 64).unwrap_or(u64::MAX)
}

/// Writes `scope:id`, which names the subject uniquely; networks in the form `2001:db8::/64`.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scope.as_str())?;
        match self.id {
            Id::Text(text) => f.write_str(text),
            Id::V4 { net, bits: 32 } => write!(f, "{}", Ipv4Addr::from_bits(net)),
            Id::V4 { net, bits } => write!(f, "{}/{bits}", Ipv4Addr::from_bits(net)),
            Id::V6 { net, bits } => {
                let net = Ipv6Addr::from_bits(u128::from(net) << 64);
                write!(f, "{net}/{bits}")
            }
        }
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str, grouping: IpGrouping) -> String {
        Subject::ip_grouped(text.parse().unwrap(), grouping).to_string()
    }

    #[test]
    fn neighbouring_networks_are_different_subjects() {
        let default = IpGrouping::default();
        assert_ne!(
            ip("2001:db8:0:1::1", default),
            ip("2001:db8:0:2::1", default)
        );
        assert_ne!(ip("192.0.2.1", default), ip("192.0.2.2", default));
    }

    #[test]
    fn coarser_groupings_cut_where_they_say() {
        assert_eq!(
            ip("192.0.2.255", IpGrouping::new(24, 48)),
            "ip:192.0.2.0/24"
        );
        assert_eq!(
            ip("2001:db8:a:b::1", IpGrouping::new(24, 48)),
            "ip:2001:db8:a::/48"
        );
        assert_eq!(ip("192.0.2.255", IpGrouping::new(0, 0)), "ip:0.0.0.0/0");
        assert_eq!(ip("2001:db8::1", IpGrouping::new(0, 0)), "ip:::/0");
    }

    #[test]
    fn never_splits_an_ipv6_customer() {
        assert_eq!(
            ip("2001:db8::1", IpGrouping::new(99, 128)),
            "ip:2001:db8::/64"
        );
    }

    #[test]
    fn equal_ids_of_different_scopes_are_different_subjects() {
        assert_ne!(Subject::key("a"), Subject::tenant("a"));
        assert_ne!(Subject::key("a"), Subject::claimed_key("a"));
    }
}

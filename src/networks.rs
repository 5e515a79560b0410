use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{AddrParseError, IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The networks from which a key may be used.
///
/// Addresses are compared as addresses, never as text: `10.0.0.1` and `::ffff:10.0.0.1` are one client. A single
/// address stands for the network that holds only it. An empty list allows nobody.
///
/// ```
/// use keyward::key::Networks;
///
/// let office: Networks = "10.0.0.0/8, 2001:db8::/32".parse().unwrap();
/// assert!(office.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!office.contains("192.0.2.1".parse().unwrap()));
/// assert!("10.0.0.0/33".parse::<Networks>().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Networks(Vec<IpNet>);

/// A list of networks was not acceptable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// An entry is neither an address nor a network in CIDR form.
    #[error("entry {position} is neither an address nor a network")]
    Malformed {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// The list is longer than [`Networks::MAX_ENTRIES`].
    #[error("{actual} networks, more than {}", Networks::MAX_ENTRIES)]
    TooMany {
        /// Its length.
        actual: usize,
    },
}

impl Networks {
    /// The longest list. It is read on every request of the key.
    pub const MAX_ENTRIES: usize = 100;

    /// Returns the list of those networks. An empty one allows nobody.
    ///
    /// # Errors
    ///
    /// [`NetworkError::TooMany`] above [`Self::MAX_ENTRIES`].
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Result<Self, NetworkError> {
        let networks: Vec<_> = networks.into_iter().map(canonical).collect();
        if networks.len() > Self::MAX_ENTRIES {
            return Err(NetworkError::TooMany {
                actual: networks.len(),
            });
        }
        Ok(Self(networks))
    }

    /// Reads a list of addresses and networks.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for an entry that cannot be read, an empty one among them, and for too many.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let networks: Result<Vec<_>, _> = (1..)
            .zip(entries)
            .map(|(position, entry)| one(position, entry))
            .collect();
        Self::new(networks?)
    }

    /// Returns whether `client` lies in one of the networks.
    #[must_use]
    pub fn contains(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.0.iter().any(|network| network.contains(&client))
    }

    /// Returns whether every network of `inner` lies in one of these.
    #[must_use]
    pub fn encloses(&self, inner: &Self) -> bool {
        inner
            .0
            .iter()
            .all(|narrow| self.0.iter().any(|wide| wide.contains(narrow)))
    }

    /// Returns the networks.
    #[must_use]
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

fn one(position: usize, entry: &str) -> Result<IpNet, NetworkError> {
    let malformed = |_: AddrParseError| NetworkError::Malformed { position };
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    if has_padded_length(entry) {
        return Err(NetworkError::Malformed { position });
    }
    entry.parse().map_err(malformed)
}

/// `10.0.0.0/08`: the addresses take no leading zeros either.
fn has_padded_length(entry: &str) -> bool {
    let length = entry.split_once('/').map(|(_, length)| length);
    length.is_some_and(|length| length.len() > 1 && length.starts_with('0'))
}

/// A network of v4-mapped v6 addresses is the v4 network; host bits are cleared.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        IpNet::V6(_) | IpNet::V4(_) => None,
    };
    let v4 = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4.map_or(network, IpNet::V4).trunc()
}

impl FromStr for Networks {
    type Err = NetworkError;

    /// Reads a list parted by commas. Empty text is the empty list.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        Self::parse(text.split(',').map(str::trim))
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<String>::deserialize(deserializer)?;
        Self::parse(entries.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn treats_a_mapped_client_as_its_v4_address() {
        let list: Networks = "10.0.0.1".parse().unwrap();
        assert!(list.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!list.contains("::ffff:10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn treats_a_mapped_network_as_its_v4_network() {
        let list: Networks = "::ffff:10.0.0.0/104".parse().unwrap();
        assert!(list.contains("10.255.0.1".parse().unwrap()));
        assert!(!list.contains("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn allows_nobody_with_an_empty_list() {
        let list: Networks = "".parse().unwrap();
        assert!(!list.contains("127.0.0.1".parse().unwrap()));
        assert!(!list.contains("::1".parse().unwrap()));
    }

    #[test]
    fn refuses_entries_that_are_not_networks() {
        for bad in [
            "10.0.0.0/33",
            "300.1.1.1",
            "10.0.0.01",
            "fe80::1%eth0",
            "10.0.0.0/8,",
            "localhost",
            "::/129",
        ] {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
        for good in ["10.0.0.0/32", "255.1.1.1", "fe80::1", "0.0.0.0/0", "::/128"] {
            assert!(good.parse::<Networks>().is_ok(), "{good}");
        }
    }

    #[test]
    fn refuses_the_hundred_and_first_entry() {
        let many = |count: usize| Networks::parse(std::iter::repeat_n("10.0.0.1", count));
        assert!(many(100).is_ok());
        assert_eq!(many(101), Err(NetworkError::TooMany { actual: 101 }));
    }

    #[test]
    fn encloses_only_what_lies_wholly_inside() {
        let outer: Networks = "10.0.0.0/8".parse().unwrap();
        let inside: Networks = "10.1.0.0/16, 10.2.0.1".parse().unwrap();
        let across: Networks = "10.1.0.0/16, 11.0.0.0/8".parse().unwrap();
        assert!(outer.encloses(&inside));
        assert!(!outer.encloses(&across));
        assert!(!inside.encloses(&outer));
    }

    #[test]
    fn is_a_list_of_strings_to_serde() {
        let list: Networks = "10.1.2.3/8, ::ffff:192.0.2.1, 2001:db8::/32"
            .parse()
            .unwrap();
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(json, r#"["10.0.0.0/8","192.0.2.1/32","2001:db8::/32"]"#);
        assert_eq!(serde_json::from_str::<Networks>(&json).unwrap(), list);
        for bad in [r#"["10.0.0.0/33"]"#, r#"[""]"#, r#""10.0.0.0/8""#, "null"] {
            assert!(serde_json::from_str::<Networks>(bad).is_err(), "{bad}");
        }
    }
}

//! Reading `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded`, from the right.

use std::net::{IpAddr, Ipv6Addr};

use ::http::HeaderMap;

use super::Scheme;

/// The longest `Forwarded` field that is read: some fifty proxies. A longer one counts as unreadable.
const MAX_FIELD: usize = 4096;

/// What one proxy wrote about the one before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Hop {
    /// `None` if it cannot be read, is hidden, or was not said.
    pub(super) address: Option<IpAddr>,
    pub(super) scheme: Option<Scheme>,
}

impl Hop {
    pub(super) const fn of_address(address: Option<IpAddr>) -> Self {
        Self {
            address,
            scheme: None,
        }
    }
}

/// Returns the addresses, the rightmost first. Several fields are one list, in their order.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let fields = headers.get_all("x-forwarded-for").into_iter().rev();
    fields
        .flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(|entry| node(str::from_utf8(entry).ok()?))
}

/// Returns https only if every proxy says so: which of several entries a client could have made up is not to be known.
pub(super) fn x_forwarded_proto(headers: &HeaderMap) -> Option<Scheme> {
    let fields = headers.get_all("x-forwarded-proto").into_iter();
    let entries = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    entries.map(|entry| scheme(entry.trim_ascii())).reduce(both)
}

fn both(one: Scheme, other: Scheme) -> Scheme {
    if one == Scheme::Https { other } else { one }
}

fn scheme(text: &[u8]) -> Scheme {
    if text.eq_ignore_ascii_case(b"https") {
        Scheme::Https
    } else {
        Scheme::Http
    }
}

/// Returns the elements of `Forwarded`, the rightmost first. A field whose quotes do not fit is one unreadable element.
pub(super) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let fields = headers.get_all("forwarded").into_iter().rev();
    fields.flat_map(|field| {
        let hops = field.to_str().ok().and_then(elements);
        hops.unwrap_or_else(|| vec![Hop::default()])
            .into_iter()
            .rev()
    })
}

fn elements(field: &str) -> Option<Vec<Hop>> {
    if field.len() > MAX_FIELD {
        return None;
    }
    let parts = split_unquoted(field, b',')?;
    let told = parts.into_iter().filter(|part| !part.trim().is_empty());
    Some(told.map(|part| element(part).unwrap_or_default()).collect())
}

fn element(text: &str) -> Option<Hop> {
    let (mut node_text, mut proto) = (None, None);
    for pair in split_unquoted(text, b';')? {
        if pair.trim().is_empty() {
            continue;
        }
        let (name, value) = pair.trim().split_once('=')?;
        let place = match name.to_ascii_lowercase().as_str() {
            "for" => &mut node_text,
            "proto" => &mut proto,
            _ => continue,
        };
        if place.replace(unquote(value)?).is_some() {
            return None;
        }
    }
    Some(Hop {
        address: node_text.and_then(|text| node(&text)),
        scheme: proto.map(|text| scheme(text.as_bytes())),
    })
}

/// Splits outside quoted strings; `None` if one does not end.
fn split_unquoted(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

fn unquote(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let (mut text, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return None,
            _ => {
                text.push(c);
                escaped = false;
            }
        }
    }
    (!escaped).then_some(text)
}

/// Reads an address as proxies write it: bare, in brackets, with a port, in quotes, with a zone.
fn node(text: &str) -> Option<IpAddr> {
    let text = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']')?;
        let port = after.strip_prefix(':');
        if !after.is_empty() && !port.is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(v6(inner)?)
    } else if let Ok(address) = text.parse() {
        address
    } else if let Some(host) = before_port(text) {
        IpAddr::V4(host.parse().ok()?)
    } else {
        IpAddr::V6(v6(text)?)
    };
    Some(address.to_canonical())
}

fn before_port(text: &str) -> Option<&str> {
    let (host, port) = text.split_once(':')?;
    is_port(port).then_some(host)
}

/// A zone means something only on the machine that wrote it.
fn v6(text: &str) -> Option<Ipv6Addr> {
    match text.split_once('%') {
        Some((_, "")) => None,
        Some((address, _)) => address.parse().ok(),
        None => text.parse().ok(),
    }
}

/// RFC 7239 also allows a hidden port (`_abc`); five digits otherwise.
fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits || text.starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_address_in_every_spelling() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("192.0.2.1:_secret", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("\"192.0.2.1\"", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:1", "fe80::1"),
        ] {
            assert_eq!(node(text), Some(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn reads_nothing_into_anything_else() {
        for text in [
            "",
            "unknown",
            "_hidden",
            "example.com",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:123456",
            "192.0.2.1:8x",
            "192.0.2.1 ",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[2001:db8::1]:",
            "fe80::1%",
            "\"192.0.2.1",
            "0x7f.1",
            "127.1",
        ] {
            assert_eq!(node(text), None, "{text}");
        }
    }

    #[test]
    fn splits_outside_quotes_only() {
        assert_eq!(
            split_unquoted(r#"a="x,\"y",b"#, b','),
            Some(vec![r#"a="x,\"y""#, "b"])
        );
        assert_eq!(split_unquoted(r#"a="x,b"#, b','), None);
    }

    #[test]
    fn refuses_a_parameter_that_stands_twice() {
        assert!(element("for=192.0.2.1;for=192.0.2.2").is_none());
        assert!(element("for=192.0.2.1;by=192.0.2.2;by=x").is_some());
    }
}

//! Who the client is, behind proxies that are trusted and before clients that lie.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get as route;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_support::{World, get, get_with};
use keyward::audit::AuditKind;
use keyward::http::{
    AuthenticateLayer, ClientAddress, ClientAddressLayer, ConnectionInfo, ProxyTrust, Scheme,
};
use proptest::prelude::*;

const PROXIES: &str = "10.0.0.0/8, fd00::/8";

fn resolve(trust: &ProxyTrust, peer: &str, fields: &[(&str, &str)]) -> (String, Scheme) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
    let client = trust.resolve(Some(ConnectionInfo::new(peer, Scheme::Http)), &headers);
    (client.ip().unwrap().to_string(), client.scheme())
}

fn x_forwarded() -> ProxyTrust {
    ProxyTrust::x_forwarded(PROXIES.parse().unwrap())
}

fn forwarded() -> ProxyTrust {
    ProxyTrust::forwarded(PROXIES.parse().unwrap())
}

#[test]
fn reads_x_forwarded_for_from_the_right() {
    let long = ["192.0.2.7", &"10.0.0.9,".repeat(40)].join(",");
    for (peer, field, client) in [
        // The rightmost address that is no proxy of ours; what stands left of it is the client's own invention.
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "10.9.9.9, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"),
        (
            "10.0.0.1",
            "198.51.100.1, 192.0.2.7, 10.0.0.2, 10.0.0.3",
            "192.0.2.7",
        ),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        // Spellings.
        ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("fd00::1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", " ,192.0.2.7 ,, ", "192.0.2.7"),
        // What cannot be read ends the search at the proxy that wrote it.
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "192.0.2.7, 10.0.0.256", "10.0.0.1"),
        ("10.0.0.1", "garbage, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "\u{e4}, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", &long, "10.0.0.9"),
        // A peer that is no proxy of ours is the client, whatever it says.
        ("192.0.2.66", "198.51.100.1", "192.0.2.66"),
        ("192.0.2.66", "10.0.0.1", "192.0.2.66"),
    ] {
        let (ip, _) = resolve(&x_forwarded(), peer, &[("x-forwarded-for", field)]);
        assert_eq!(ip, client, "{peer} said {field}");
    }
}

#[test]
fn reads_forwarded_from_the_right() {
    let long = format!("for=192.0.2.7;x=\"{}\"", "x".repeat(5000));
    for (field, client, scheme) in [
        ("for=192.0.2.7", "192.0.2.7", Scheme::Http),
        ("for=192.0.2.7;proto=https", "192.0.2.7", Scheme::Https),
        (
            "For=192.0.2.7; Proto=HTTPS;by=10.0.0.1;host=a",
            "192.0.2.7",
            Scheme::Https,
        ),
        ("for=\"192.0.2.7:4711\"", "192.0.2.7", Scheme::Http),
        ("for=\"[2001:db8::1]:4711\"", "2001:db8::1", Scheme::Http),
        ("for=\"[2001:db8::1]\"", "2001:db8::1", Scheme::Http),
        ("for=198.51.100.1, for=192.0.2.7", "192.0.2.7", Scheme::Http),
        (
            "for=192.0.2.7;proto=https, for=10.0.0.2;proto=http",
            "192.0.2.7",
            Scheme::Https,
        ),
        (
            "for=198.51.100.1;proto=https, for=192.0.2.7;proto=http",
            "192.0.2.7",
            Scheme::Http,
        ),
        // Hidden, unknown, missing or broken: the proxy that wrote it.
        (
            "for=192.0.2.7, for=_hidden;proto=https",
            "10.0.0.1",
            Scheme::Https,
        ),
        ("for=192.0.2.7, for=unknown", "10.0.0.1", Scheme::Http),
        ("for=192.0.2.7, proto=https", "10.0.0.1", Scheme::Https),
        ("for=192.0.2.7, for", "10.0.0.1", Scheme::Http),
        ("for=192.0.2.7;for=192.0.2.8", "10.0.0.1", Scheme::Http),
        ("for=\"192.0.2.7", "10.0.0.1", Scheme::Http),
        ("for=\"a, for=192.0.2.7", "10.0.0.1", Scheme::Http),
        (&long, "10.0.0.1", Scheme::Http),
        // A quoted comma parts nothing.
        (
            "for=192.0.2.7;x=\"a,for=198.51.100.1\"",
            "192.0.2.7",
            Scheme::Http,
        ),
    ] {
        let found = resolve(&forwarded(), "10.0.0.1", &[("forwarded", field)]);
        assert_eq!(found, (client.to_owned(), scheme), "{field}");
    }
}

#[test]
fn takes_a_field_that_stands_twice_for_one_list() {
    let twice = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    assert_eq!(resolve(&x_forwarded(), "10.0.0.1", &twice).0, "192.0.2.7");
    let twice = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-for", "10.0.0.2"),
    ];
    assert_eq!(resolve(&x_forwarded(), "10.0.0.1", &twice).0, "192.0.2.7");
    let twice = [
        ("forwarded", "for=\"broken"),
        ("forwarded", "for=192.0.2.7"),
    ];
    assert_eq!(resolve(&forwarded(), "10.0.0.1", &twice).0, "192.0.2.7");
}

#[test]
fn believes_one_kind_of_field_and_no_other() {
    let fields = [
        ("forwarded", "for=198.51.100.1;proto=https"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-real-ip", "198.51.100.2"),
        ("cf-connecting-ip", "198.51.100.3"),
    ];
    assert_eq!(
        resolve(&x_forwarded(), "10.0.0.1", &fields),
        ("192.0.2.7".into(), Scheme::Http)
    );
    assert_eq!(
        resolve(&forwarded(), "10.0.0.1", &fields),
        ("198.51.100.1".into(), Scheme::Https)
    );
    assert_eq!(
        resolve(&ProxyTrust::none(), "10.0.0.1", &fields).0,
        "10.0.0.1"
    );
}

#[test]
fn takes_https_from_a_proxy_only_when_nobody_disagrees() {
    for (peer, protos, scheme) in [
        ("10.0.0.1", &["https"][..], Scheme::Https),
        ("10.0.0.1", &["HTTPS"], Scheme::Https),
        ("10.0.0.1", &["https, https"], Scheme::Https),
        ("10.0.0.1", &["http"], Scheme::Http),
        ("10.0.0.1", &["https, http"], Scheme::Http),
        ("10.0.0.1", &["http, https"], Scheme::Http),
        ("10.0.0.1", &["https", "http"], Scheme::Http),
        ("10.0.0.1", &["wss"], Scheme::Http),
        ("10.0.0.1", &[""], Scheme::Http),
        ("10.0.0.1", &[], Scheme::Http),
        ("192.0.2.66", &["https"], Scheme::Http),
    ] {
        let mut fields = vec![("x-forwarded-for", "192.0.2.7")];
        fields.extend(protos.iter().map(|proto| ("x-forwarded-proto", *proto)));
        assert_eq!(
            resolve(&x_forwarded(), peer, &fields).1,
            scheme,
            "{peer} {protos:?}"
        );
    }
}

#[test]
fn takes_a_proxy_that_does_not_say_how_for_one_that_was_asked_in_clear() {
    let proxy = ConnectionInfo::new("10.0.0.1:1".parse().unwrap(), Scheme::Https);
    let mut headers = HeaderMap::new();
    assert_eq!(
        x_forwarded().resolve(Some(proxy), &headers).scheme(),
        Scheme::Https
    );
    headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
    assert_eq!(
        x_forwarded().resolve(Some(proxy), &headers).scheme(),
        Scheme::Http
    );
}

#[test]
fn knows_nobody_without_a_connection() {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
    let client = x_forwarded().resolve(None, &headers);
    assert_eq!(
        (client.ip(), client.peer(), client.scheme()),
        (None, None, Scheme::Http)
    );
}

proptest! {
    #[test]
    fn a_client_cannot_choose_its_address(left in "[ -~]{0,200}", trusted in 0_usize..3) {
        let proxies = ", 10.0.0.2".repeat(trusted);
        let field = format!("{left}, 192.0.2.7{proxies}");
        let (ip, _) = resolve(&x_forwarded(), "10.0.0.1", &[("x-forwarded-for", &field)]);
        prop_assert_eq!(ip, "192.0.2.7");
        let proxies = ", for=10.0.0.2".repeat(trusted);
        let field = format!("{left}, for=192.0.2.7{proxies}");
        let (ip, _) = resolve(&forwarded(), "10.0.0.1", &[("forwarded", &field)]);
        // Unbalanced quotes make it unknown, which is to say the proxy: never an address of its choice.
        prop_assert!(["192.0.2.7", "10.0.0.1"].contains(&ip.as_str()), "{}", ip);
    }

    #[test]
    fn reads_whatever_bytes_without_panicking(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded"] {
                headers.insert(name, value.clone());
            }
            let proxy = ConnectionInfo::new("10.0.0.1:1".parse().unwrap(), Scheme::Http);
            for trust in [x_forwarded(), forwarded()] {
                prop_assert!(trust.resolve(Some(proxy), &headers).ip().is_some());
            }
        }
    }
}

fn app(world: &World) -> Router {
    let seen = |client: ClientAddress| async move {
        client
            .ip()
            .map_or_else(String::new, |ip: IpAddr| ip.to_string())
    };
    Router::new()
        .route("/", route(seen))
        .layer(AuthenticateLayer::new(world.service.clone()))
        .layer(ClientAddressLayer::new(x_forwarded()))
}

#[tokio::test]
async fn binds_keys_to_the_client_behind_the_proxy() {
    let world = World::new();
    let networks = "203.0.113.9".parse().unwrap();
    let key = world
        .key_with(|request| request.with_networks(networks))
        .await;
    let app = app(&world);
    for (peer, field, status) in [
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", 200),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1", "203.0.113.9", 403),
    ] {
        let call = get_with("/", &key)
            .header("x-forwarded-for", field)
            .from(peer);
        assert_eq!(call.send(&app).await.status, status, "{peer} {field}");
    }
    let events = world.events_of(AuditKind::RequestCompleted).await;
    assert_eq!(events[0].client_ip(), Some("203.0.113.9".parse().unwrap()));
    assert_eq!(events[0].peer_ip(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(events[2].client_ip(), Some("198.51.100.1".parse().unwrap()));
    assert_eq!(events[2].peer_ip(), None);
}

#[tokio::test]
async fn knows_the_peer_from_axum_and_without_a_layer() {
    let world = World::new();
    let key = world.key().await;
    let seen = |client: ClientAddress| async move { format!("{:?}", client.ip()) };
    let app = Router::new()
        .route("/", route(seen))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let peer: SocketAddr = "192.0.2.7:50000".parse().unwrap();
    let call = get_with("/", &key).extension(ConnectInfo(peer));
    let reply = call
        .header("x-forwarded-for", "198.51.100.1")
        .send(&app)
        .await;
    assert_eq!(reply.body, "Some(192.0.2.7)");
    let unknown = get_with("/", &key).header("x-forwarded-for", "198.51.100.1");
    assert_eq!(unknown.send(&app).await.body, "None");
}

#[tokio::test]
async fn takes_all_connections_for_encrypted_when_told() {
    let seen = |client: ClientAddress| async move { format!("{:?}", client.scheme()) };
    let layer = ClientAddressLayer::default();
    for (layer, scheme) in [
        (layer.clone(), "Http"),
        (layer.all_connections_are_tls(), "Https"),
    ] {
        let app = Router::new().route("/", route(seen)).layer(layer);
        assert_eq!(get("/").from("192.0.2.7").send(&app).await.body, scheme);
        assert_eq!(get("/").send(&app).await.body, scheme);
    }
}

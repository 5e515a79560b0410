//! Keys that are bound to a client certificate, which TLS or a trusted proxy tells of, and nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use axum::Router;
use axum::extract::Request;
use axum::routing::get as route;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_support::{Call, Held, Reply, World, get, get_with};
use keyward::audit::AuditKind;
use keyward::http::{
    AuthenticateLayer, ClientAddressLayer, ConnectionInfo, ProxyTrust, RequireLayer, Scheme,
};
use keyward::key::Thumbprint;
use keyward::service::{Field, Rotation, UpdateKey};

const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "192.0.2.66";

/// What looks like a certificate from outside.
fn certificate(name: u8) -> Vec<u8> {
    let mut der = vec![0x30, 0x81, 0x90];
    der.extend([name; 0x90]);
    der
}

fn thumbprint(name: u8) -> Thumbprint {
    Thumbprint::of_certificate(&certificate(name))
}

fn field(name: u8) -> String {
    format!(":{}:", STANDARD.encode(certificate(name)))
}

/// A connection whose other end has shown that certificate.
fn connection(peer: &str, shown: u8) -> ConnectionInfo {
    let peer = format!("{peer}:40000").parse().unwrap();
    ConnectionInfo::new(peer, Scheme::Https).with_certificate(thumbprint(shown))
}

fn trust() -> ProxyTrust {
    ProxyTrust::x_forwarded("10.0.0.0/8".parse().unwrap())
}

/// Answers with what the handler learns of certificates.
async fn seen(request: Request) -> String {
    let shown = request.extensions().get::<Thumbprint>();
    let fields = request.headers().keys();
    let left = fields.filter(|name| name.as_str().starts_with("client-cert"));
    format!(
        "{} {}",
        shown.map_or("none".into(), Thumbprint::to_string),
        left.count()
    )
}

fn app(world: &World, trust: ProxyTrust) -> Router {
    Router::new()
        .route("/", route(seen).layer(RequireLayer::any_key().cost(0)))
        .layer(AuthenticateLayer::new(world.service.clone()).permissions_by_route())
        .layer(ClientAddressLayer::new(trust))
}

async fn bound(world: &World, name: u8) -> Held {
    world
        .key_with(|request| request.with_certificate(thumbprint(name)))
        .await
}

async fn reasons(world: &World, kind: AuditKind) -> Vec<String> {
    let events = world.events_of(kind).await;
    let reasons = events.iter().map(|event| event.reason().unwrap_or("-"));
    reasons.map(str::to_owned).collect()
}

#[tokio::test]
async fn believes_a_certificate_from_the_connection_and_from_trusted_proxies_only() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = app(&world, trust().with_client_cert());
    let from = |peer: &str, fields: &[&str]| {
        let call = fields.iter().fold(get_with("/", &key), |call, it| {
            call.header("client-cert", it)
        });
        (call.from(peer), fields.join(" | "))
    };
    let (right, wrong) = (field(1), field(2));
    let cut = right.replace("AQEBAQEB:", ":");
    assert!(cut.len() < right.len());
    let twice = format!("{right}, {right}");
    for ((call, fields), status) in [
        (from(PROXY, &[&right]), 200),
        (from(PROXY, &[&wrong]), 401),
        (from(PROXY, &[]), 401),
        (from(PROXY, &[&right, &right]), 400),
        (from(PROXY, &[&right, ""]), 400),
        (from(PROXY, &[&twice]), 400),
        (from(PROXY, &[""]), 400),
        (from(PROXY, &["::"]), 400),
        (from(PROXY, &[&cut]), 400),
        (from(PROXY, &[right.trim_matches(':')]), 400),
        (from(PROXY, &["(null)"]), 400),
        (from(STRANGER, &[&right]), 400),
        (from(STRANGER, &[&wrong]), 400),
        (from(STRANGER, &[""]), 400),
        (from(STRANGER, &[]), 401),
    ] {
        let reply = call.send(&app).await;
        assert_eq!(reply.status, status, "{fields}");
    }
    for (shown, status) in [(1, 200), (2, 401)] {
        let call = get_with("/", &key).extension(connection(STRANGER, shown));
        assert_eq!(call.send(&app).await.status, status);
    }
}

#[tokio::test]
async fn a_proxy_whose_own_connection_has_a_certificate_does_not_lend_it_to_its_clients() {
    let world = World::new();
    let (proxys, clients) = (bound(&world, 9).await, bound(&world, 1).await);
    let through = |key: &Held| get_with("/", key).extension(connection(PROXY, 9));
    let told = app(&world, trust().with_client_cert());
    assert_eq!(through(&proxys).send(&told).await.status, 401);
    let call = through(&clients).header("client-cert", &field(1));
    assert_eq!(call.send(&told).await.status, 200);
    // Nor if somebody put it there for the layers to find.
    let call = through(&proxys).extension(thumbprint(9));
    assert_eq!(call.send(&told).await.status, 401);
    // Nor if the proxies tell nothing of certificates.
    let untold = app(&world, trust());
    assert_eq!(through(&proxys).send(&untold).await.status, 401);
}

#[tokio::test]
async fn without_being_asked_to_believes_no_field_and_leaves_none() {
    let world = World::new();
    let (bound, free) = (bound(&world, 1).await, world.key().await);
    for trust in [ProxyTrust::none(), trust()] {
        let app = app(&world, trust);
        for peer in [PROXY, STRANGER] {
            let call = |key| {
                get_with("/", key)
                    .header("client-cert", &field(1))
                    .from(peer)
            };
            assert_eq!(call(&bound).send(&app).await.status, 401);
            assert_eq!(call(&free).send(&app).await.body, "none 0");
        }
    }
}

#[tokio::test]
async fn the_handler_gets_the_thumbprint_and_no_field() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world, trust().with_client_cert());
    let call = || get_with("/", &key);
    let chain = call()
        .header("client-cert", &field(1))
        .header("client-cert-chain", &field(3));
    let reply = chain.from(PROXY).send(&app).await;
    assert_eq!(reply.body, format!("{} 0", thumbprint(1)));
    let chain_alone = call().header("client-cert-chain", &field(3)).from(STRANGER);
    assert_eq!(chain_alone.send(&app).await.body, "none 0");
    let direct = call().extension(connection(STRANGER, 2)).send(&app).await;
    assert_eq!(direct.body, format!("{} 0", thumbprint(2)));
}

#[tokio::test]
async fn a_request_in_the_name_of_another_is_refused_unread_and_written_down() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world, trust().with_client_cert());
    let reads = world.store.reads();
    let forged = get_with("/", &key).header("client-cert", &field(1));
    let forged: Reply = forged.from(STRANGER).send(&app).await;
    let broken = get_with("/", &key).header("client-cert", "x");
    let broken = broken.from(PROXY).send(&app).await;
    forged.assert_problem(400, "client_cert_refused");
    assert_eq!((forged.status, &forged.body), (broken.status, &broken.body));
    assert_eq!(world.store.reads(), reads, "the key was looked up");
    let both = ["client_cert_untrusted", "client_cert_malformed"];
    assert_eq!(reasons(&world, AuditKind::AuthenticationFailed).await, both);
    assert_eq!(reasons(&world, AuditKind::RequestCompleted).await, both);
    let events = world.events_of(AuditKind::AuthenticationFailed).await;
    assert_eq!(events[0].client_ip(), Some(STRANGER.parse().unwrap()));
}

#[tokio::test]
async fn a_key_in_the_url_is_written_down_beside_a_forged_certificate() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world, trust().with_client_cert());
    let call = get(&format!("/?k={}", key.text)).header("client-cert", &field(1));
    let reply = call.from(STRANGER).send(&app).await;
    reply.assert_problem(400, "client_cert_refused");
    assert_eq!(reply.json()["exposed_keys"][0]["action"], "flagged");
    let mut exposed = world.events_of(AuditKind::KeyExposed).await;
    // Beside it stands that of the secret that was proved.
    exposed.retain(|event| event.reason().is_some());
    assert_eq!(exposed.len(), 1);
    assert_eq!(exposed[0].key_id(), Some(key.id.as_str()));
}

#[tokio::test]
async fn a_bound_key_without_its_certificate_looks_like_no_key_at_all() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = app(&world, trust().with_client_cert());
    let none = get("/").from(PROXY).send(&app).await;
    let missing = get_with("/", &key).from(PROXY).send(&app).await;
    let other = get_with("/", &key).header("client-cert", &field(2));
    let other = other.from(PROXY).send(&app).await;
    for reply in [&missing, &other] {
        assert_eq!((reply.status, &reply.body), (none.status, &none.body));
        assert_eq!(reply.headers, none.headers);
    }
    let reasons = reasons(&world, AuditKind::AuthenticationFailed).await;
    assert_eq!(reasons, ["certificate_missing", "certificate_mismatch"]);
}

#[tokio::test]
async fn a_binding_survives_a_rotation_and_ends_with_an_update() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = app(&world, trust().with_client_cert());
    let shown = |text: &str, name: u8| -> Call {
        let call = get("/").header("x-api-key", text);
        call.header("client-cert", &field(name)).from(PROXY)
    };
    let grace = Rotation::Grace(std::time::Duration::from_secs(60));
    let rotated = world.service.rotate(&world.admin, &key.id, grace).await;
    let new = rotated.unwrap().key().expose().to_owned();
    for text in [&key.text, &new] {
        assert_eq!(shown(text, 1).send(&app).await.status, 200);
        assert_eq!(shown(text, 2).send(&app).await.status, 401);
    }
    let update = async |field| {
        let update = UpdateKey::new().with_certificate(field);
        let updated = world.service.update(&world.admin, &key.id, update).await;
        updated.unwrap();
    };
    update(Field::Set(thumbprint(2))).await;
    assert_eq!(shown(&new, 1).send(&app).await.status, 401);
    assert_eq!(shown(&new, 2).send(&app).await.status, 200);
    update(Field::Clear).await;
    let without = get("/").header("x-api-key", &new).from(PROXY);
    assert_eq!(without.send(&app).await.status, 200);
}

#[tokio::test]
async fn knows_the_certificate_of_the_connection_without_an_address_layer() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = Router::new()
        .route("/", route(|| async {}))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let call = |info| get_with("/", &key).extension(info).send(&app);
    assert_eq!(call(connection(STRANGER, 1)).await.status, 200);
    assert_eq!(call(connection(STRANGER, 2)).await.status, 401);
    let told = get_with("/", &key).header("client-cert", &field(1));
    assert_eq!(told.from(PROXY).send(&app).await.status, 401);
}

#[tokio::test]
async fn takes_all_connections_for_encrypted_without_losing_their_certificates() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = Router::new()
        .route("/", route(|| async {}))
        .layer(AuthenticateLayer::new(world.service.clone()))
        .layer(ClientAddressLayer::default().all_connections_are_tls());
    let call = get_with("/", &key).extension(connection(STRANGER, 1));
    assert_eq!(call.send(&app).await.status, 200);
}

#[tokio::test]
async fn takes_the_thumbprint_that_a_layer_of_the_application_found() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let app = app(&world, trust());
    for peer in [PROXY, STRANGER] {
        let call = get_with("/", &key).extension(thumbprint(1)).from(peer);
        assert_eq!(call.send(&app).await.status, 200);
    }
}

#[tokio::test]
async fn a_layer_that_stands_twice_loses_no_certificate_and_believes_no_more() {
    let world = World::new();
    let key = bound(&world, 1).await;
    let twice = |inner: ProxyTrust, outer: ProxyTrust| {
        app(&world, inner).layer(ClientAddressLayer::new(outer))
    };
    let call = || get_with("/", &key).header("client-cert", &field(1));
    let both = twice(trust().with_client_cert(), trust().with_client_cert());
    assert_eq!(call().from(PROXY).send(&both).await.status, 200);
    assert_eq!(call().from(STRANGER).send(&both).await.status, 400);
    let inner = twice(trust().with_client_cert(), ProxyTrust::none());
    assert_eq!(call().from(PROXY).send(&inner).await.status, 401);
}

#[tokio::test]
async fn routes_and_preflights_without_a_key_are_served_without_the_forged_certificate() {
    let world = World::new();
    let authenticate = AuthenticateLayer::new(world.service.clone()).pass_cors_preflights();
    let app = Router::new()
        .route("/", route(seen).options(seen))
        .layer(authenticate)
        .route("/open", route(seen))
        .layer(ClientAddressLayer::new(trust().with_client_cert()));
    let forged = |path| get(path).header("client-cert", &field(1)).from(STRANGER);
    assert_eq!(forged("/open").send(&app).await.body, "none 0");
    let preflight = forged("/")
        .method("OPTIONS")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "GET");
    assert_eq!(preflight.send(&app).await.body, "none 0");
    assert_eq!(forged("/").send(&app).await.status, 400);
}

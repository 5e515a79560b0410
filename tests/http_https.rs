//! Nothing over plain HTTP.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use std::time::Duration;

use axum::Router;
use axum::routing::get as route;
use http::StatusCode;
use http_support::{Call, World, get, get_with};
use keyward::audit::AuditKind;
use keyward::http::{
    AuthenticateLayer, BrowserRedirect, ClientAddressLayer, Hsts, ProxyTrust, RequireHttpsLayer,
    Scheme,
};
use keyward::service::ExposurePolicy;

const YEAR: &str = "max-age=31536000";

fn layer(world: &World) -> RequireHttpsLayer {
    RequireHttpsLayer::new(world.service.clone())
}

fn app(layer: RequireHttpsLayer) -> Router {
    Router::new()
        .route("/", route(|| async { "served" }))
        .route("/api/x", route(|| async { "served" }))
        .route(
            "/broken",
            route(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route(
            "/own",
            route(|| async { [("strict-transport-security", "max-age=1")] }),
        )
        .layer(layer)
        .layer(ClientAddressLayer::new(ProxyTrust::x_forwarded(
            "10.0.0.1".parse().unwrap(),
        )))
}

fn browser(path: &str) -> Call {
    get(path)
        .header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        .header("host", "example.com")
        .from("192.0.2.7")
}

fn redirecting(world: &World) -> Router {
    let redirect = BrowserRedirect::to("www.example.com").unwrap();
    let redirect = redirect
        .also_to("example.com:8443")
        .unwrap()
        .except_under("/api/");
    app(layer(world).redirect_browsers(redirect))
}

#[tokio::test]
async fn refuses_what_is_not_known_to_be_encrypted() {
    let world = World::new();
    let app = app(layer(&world));
    for call in [
        get("/"),
        get("/").from("192.0.2.7"),
        get("/").from("127.0.0.1"),
        browser("/"),
    ] {
        let reply = call.send(&app).await;
        reply.assert_problem(403, "https_required");
        assert_eq!(reply.header("location"), None);
        assert_eq!(reply.header("strict-transport-security"), None);
    }
    assert_eq!(
        get("/")
            .over("192.0.2.7", Scheme::Https)
            .send(&app)
            .await
            .body,
        "served"
    );
}

#[tokio::test]
async fn believes_a_trusted_proxy_about_https_and_nobody_else() {
    let world = World::new();
    let app = app(layer(&world));
    for (peer, proto, status) in [
        ("10.0.0.1", "https", 200),
        ("10.0.0.1", "http", 403),
        ("192.0.2.7", "https", 403),
    ] {
        let call = get("/")
            .header("x-forwarded-for", "192.0.2.8")
            .header("x-forwarded-proto", proto);
        assert_eq!(
            call.from(peer).send(&app).await.status,
            status,
            "{peer} {proto}"
        );
    }
    // The proxy's own connection is encrypted, the client's was not.
    let call = get("/")
        .header("x-forwarded-for", "192.0.2.8")
        .header("x-forwarded-proto", "http");
    assert_eq!(
        call.over("10.0.0.1", Scheme::Https).send(&app).await.status,
        403
    );
}

#[tokio::test]
async fn sends_one_hsts_field_on_every_status() {
    let world = World::new();
    let app = app(layer(&world));
    for (path, status) in [
        ("/", 200),
        ("/broken", 500),
        ("/nowhere", 404),
        ("/own", 200),
    ] {
        let reply = get(path).over("192.0.2.7", Scheme::Https).send(&app).await;
        assert_eq!(reply.status, status);
        assert_eq!(
            reply.header("strict-transport-security"),
            Some(YEAR),
            "{path}"
        );
    }
}

#[tokio::test]
async fn sends_hsts_as_configured() {
    let world = World::new();
    let hsts = Hsts::default()
        .max_age(Duration::from_secs(63_072_000))
        .include_subdomains();
    let app = app(layer(&world).hsts(hsts));
    let reply = get("/").over("192.0.2.7", Scheme::Https).send(&app).await;
    let expected = "max-age=63072000; includeSubDomains";
    assert_eq!(reply.header("strict-transport-security"), Some(expected));
}

#[tokio::test]
async fn sends_browsers_that_navigate_to_https() {
    let world = World::new();
    let app = redirecting(&world);
    for (call, location) in [
        (browser("/"), "https://example.com:8443/"),
        (browser("/a/b?c=d"), "https://example.com:8443/a/b?c=d"),
        (browser("/apinot"), "https://example.com:8443/apinot"),
        (browser("/").method("HEAD"), "https://example.com:8443/"),
        (
            get("/")
                .header("accept", "Text/HTML")
                .header("host", "EXAMPLE.com:80"),
            "https://example.com:8443/",
        ),
        (
            get("/")
                .header("accept", "text/html")
                .header("host", "evil.example"),
            "https://www.example.com/",
        ),
        (
            get("/")
                .header("accept", "text/html")
                .header("host", "example.com@evil.example"),
            "https://www.example.com/",
        ),
        (
            get("/").header("accept", "text/html"),
            "https://www.example.com/",
        ),
    ] {
        let reply = call.from("192.0.2.7").send(&app).await;
        assert_eq!(reply.status, 308, "{location}");
        assert_eq!(reply.header("location"), Some(location));
        assert_eq!(reply.header("strict-transport-security"), None);
    }
}

#[tokio::test]
async fn redirects_nothing_else() {
    let world = World::new();
    let key = world.key().await;
    let app = redirecting(&world);
    for call in [
        browser("/api"),
        browser("/api/x"),
        browser("/").method("POST"),
        get("/").header("accept", "*/*"),
        get("/").header("accept", "application/json, text/htmlx"),
        get("/"),
        browser("/").header("x-api-key", &key.text),
        browser("/").header("authorization", "Basic aGVsbG86eA=="),
        browser(&format!("/?k={}", key.text)),
    ] {
        let reply = call.from("192.0.2.7").send(&app).await;
        reply.assert_problem(403, "https_required");
        assert_eq!(reply.header("location"), None);
    }
}

#[test]
fn redirects_to_no_host_that_is_none() {
    for host in [
        "",
        "https://example.com",
        "example.com/",
        "a b",
        "user@example.com",
        ":80",
    ] {
        assert!(BrowserRedirect::to(host).is_err(), "{host:?}");
    }
    for host in ["example.com", "example.com:8443", "[::1]:8443", "192.0.2.7"] {
        assert!(BrowserRedirect::to(host).is_ok(), "{host:?}");
    }
}

#[tokio::test]
async fn writes_down_a_key_that_came_in_clear() {
    let world = World::new();
    let (key, other) = (world.key().await, world.key().await);
    let app = Router::new()
        .route("/", route(|| async {}))
        .layer(AuthenticateLayer::new(world.service.clone()))
        .layer(layer(&world));
    let calls = [
        get_with("/", &key),
        get("/").header("authorization", &format!("bearer {}", key.text)),
        get(&format!("/?key={}", key.text)),
    ];
    for call in calls {
        let reply = call
            .header("user-agent", "curl/8")
            .from("192.0.2.7")
            .send(&app)
            .await;
        reply.assert_problem(403, "https_required");
        assert!(!reply.body.contains(key.id.as_str()));
    }
    get_with("/", &key)
        .header("x-api-key", &other.text)
        .send(&app)
        .await;
    get("/").header("x-api-key", "hello").send(&app).await;

    let mut events = world.events_of(AuditKind::KeyExposed).await;
    // Beside these stand those of secrets that were proved.
    events.retain(|event| event.reason().is_some());
    assert_eq!(events.len(), 5);
    for event in &events[..3] {
        assert_eq!(event.key_id(), Some(key.id.as_str()));
        assert_eq!(event.reason(), Some("plain_http"));
        assert_eq!(event.client_ip(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(event.user_agent(), Some("curl/8"));
    }
}

#[tokio::test]
async fn says_in_clear_what_became_of_the_keys_that_came_in_clear_and_nothing_else() {
    for (policy, action) in [
        (ExposurePolicy::Report, "reported"),
        (ExposurePolicy::Flag, "flagged"),
        (ExposurePolicy::Grace(Duration::from_secs(3600)), "grace"),
        (ExposurePolicy::Revoke, "revoked"),
    ] {
        let world = World::with(|builder| builder.exposure_policy(policy));
        let app = app(layer(&world));
        let (key, other) = (world.key().await, world.key().await);
        let bare = get("/").from("192.0.2.7").send(&app).await;
        let two = get_with(&format!("/?k={}", other.text), &key);
        let reply = two.from("192.0.2.7").send(&app).await;
        reply.assert_problem(403, "https_required");
        let told = reply.json()["exposed_keys"].clone();
        let told = told.as_array().unwrap();
        assert_eq!(told.len(), 2, "{}", reply.body);
        for told in told {
            assert_eq!(told["action"], action);
            assert_eq!(told["place"], "plain_http");
            assert_eq!(told.get("ends_at").is_some(), action == "grace");
        }
        for key in [&key, &other] {
            assert!(!reply.body.contains(key.id.as_str()));
            assert!(!reply.body.contains(&key.text[20..28]));
            assert!(!reply.body.contains(&key.text[59..63]));
        }
        assert_eq!(reply.headers_but_length(), bare.headers_but_length());
    }
}

#[tokio::test]
async fn says_in_clear_nothing_of_a_key_that_is_not_proved() {
    let world = World::with(|builder| builder.exposure_policy(ExposurePolicy::Revoke));
    let app = app(layer(&world));
    let (live, revoked) = (world.key().await, world.key().await);
    let admin = &world.admin;
    drop(
        world
            .service
            .revoke(admin, &revoked.id, "lost")
            .await
            .unwrap(),
    );
    let format = keyward::key::KeyFormat::default();
    let random = keyward::testing::SeededRandom::new(7);
    let wrong = format.generate_for(live.id, &random).unwrap();
    let stranger = format.generate(&random).unwrap();
    let bare = get("/").from("192.0.2.7").send(&app).await;
    for text in [
        wrong.plaintext().expose(),
        stranger.plaintext().expose(),
        &revoked.text,
        "hello",
    ] {
        let call = get("/").header("x-api-key", text).from("192.0.2.7");
        let reply = call.send(&app).await;
        assert_eq!(reply.body, bare.body);
        assert_eq!(reply.headers, bare.headers);
    }
    assert!(world.record(&live.id).await.revocation.is_none());
}

#[tokio::test]
async fn refuses_a_publishable_key_and_calls_it_exposed_no_more_than_it_is() {
    let (world, key) = World::publishing().await;
    let app = app(layer(&world));
    let reply = get_with("/", &key).from("192.0.2.7").send(&app).await;
    reply.assert_problem(403, "https_required");
    assert!(world.events_of(AuditKind::KeyExposed).await.is_empty());
}

#[tokio::test]
async fn calls_a_secret_key_exposed_whatever_publishable_ones_stand_beside_it() {
    let (world, public) = World::publishing().await;
    let secret = world.key().await;
    let app = app(layer(&world));
    let call = (0..4).fold(get("/"), |call, _| call.header("x-api-key", &public.text));
    let call = call.header("x-api-key", &secret.text).from("192.0.2.7");
    call.send(&app).await.assert_problem(403, "https_required");
    let exposed = world.events_of(AuditKind::KeyExposed).await;
    let ids: Vec<_> = exposed.iter().map(|event| event.key_id()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == Some(secret.id.as_str())));
}

#[tokio::test]
async fn serves_the_same_machine_in_clear_only_when_told() {
    let world = World::new();
    let app = app(layer(&world).dangerous().allow_plain_http_from_loopback());
    for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        let reply = get("/own").from(peer).send(&app).await;
        assert_eq!(reply.status, 200, "{peer}");
        assert_eq!(reply.header("strict-transport-security"), None);
    }
    for peer in ["192.0.2.7", "0.0.0.0", "::ffff:192.0.2.7"] {
        get("/")
            .from(peer)
            .send(&app)
            .await
            .assert_problem(403, "https_required");
    }
    get("/")
        .send(&app)
        .await
        .assert_problem(403, "https_required");
    for field in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "forwarded",
        "x-real-ip",
    ] {
        let reply = get("/")
            .header(field, "x")
            .from("127.0.0.1")
            .send(&app)
            .await;
        reply.assert_problem(403, "https_required");
    }
}

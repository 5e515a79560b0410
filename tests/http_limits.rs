//! Limits: charged once in every composition, told in every response.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get as route;
use http::StatusCode;
use http_support::{Reply, World, get, get_with, plan};
use keyward::VerifiedKey;
use keyward::audit::AuditKind;
use keyward::http::{AuthenticateLayer, RequireLayer};
use keyward::rate_limit::{Quota, RateHeaders, ResetStyle};

fn send() -> RequireLayer {
    RequireLayer::permission("send_email").unwrap()
}

fn manage() -> RequireLayer {
    RequireLayer::permission("manage_keys").unwrap()
}

/// Every way to put the layers together on one route that any holder of `send_email` may use.
fn compositions(world: &World) -> Vec<(&'static str, Router)> {
    let around = AuthenticateLayer::new(world.service.clone());
    let by_route = around.clone().permissions_by_route();
    let whole = around.clone().require("send_email".parse().unwrap());
    let plain = || Router::new().route("/", route(|| async { "served" }));
    let gated = || Router::new().route("/", route(|| async { "served" }).layer(send()));
    vec![
        ("alone", plain().layer(around.clone())),
        (
            "with a requirement of its own",
            plain().layer(whole.clone()),
        ),
        ("twice", plain().layer(around.clone()).layer(around.clone())),
        ("with a gate inside", gated().layer(around.clone())),
        ("with a requirement and a gate", gated().layer(whole)),
        (
            "with two gates",
            gated().layer(send()).layer(around.clone()),
        ),
        ("by route", gated().layer(by_route.clone())),
        (
            "by route, two gates",
            gated().layer(send()).layer(by_route.clone()),
        ),
        (
            "by route, open to all",
            plain()
                .layer(RequireLayer::any_key())
                .layer(by_route.clone()),
        ),
        (
            "by route around a complete one",
            plain().layer(around.clone()).layer(by_route),
        ),
        (
            "merged",
            Router::new()
                .merge(gated().layer(around.clone()))
                .layer(around),
        ),
    ]
}

#[tokio::test]
async fn charges_a_request_once_in_every_composition() {
    let world = World::new();
    for (name, app) in compositions(&world) {
        let key = world.key().await;
        for left in ["2", "1", "0"] {
            let reply = get_with("/", &key).send(&app).await;
            assert_eq!(reply.status, 200, "{name}");
            assert_eq!(reply.header("x-ratelimit-remaining"), Some(left), "{name}");
        }
        let reply = get_with("/", &key).send(&app).await;
        assert_eq!(reply.status, 429, "{name}");
        assert_eq!(world.left(&key).await, 0, "{name}");
    }
}

/// Every way to refuse a key that lacks `manage_keys`.
fn refusals(world: &World) -> Vec<(&'static str, Router)> {
    let around = AuthenticateLayer::new(world.service.clone());
    let by_route = around.clone().permissions_by_route();
    let whole = around.clone().require("manage_keys".parse().unwrap());
    let plain = || Router::new().route("/", route(|| async { "served" }));
    vec![
        ("a requirement of its own", plain().layer(whole.clone())),
        (
            "a gate inside",
            plain().layer(manage()).layer(around.clone()),
        ),
        (
            "a dear gate inside",
            plain()
                .layer(manage().cost(3))
                .layer(around.clone().cost(2)),
        ),
        (
            "a gate in a gate",
            plain()
                .layer(manage())
                .layer(send().cost(2))
                .layer(around.clone()),
        ),
        ("by route", plain().layer(manage()).layer(by_route.clone())),
        (
            "by route, a gate in a gate",
            plain().layer(manage()).layer(send()).layer(by_route),
        ),
        ("a second layer", plain().layer(whole).layer(around)),
    ]
}

#[tokio::test]
async fn charges_nothing_for_a_refused_request_and_shows_where_it_stands() {
    let world = World::new();
    for (name, app) in refusals(&world) {
        let key = world.key().await;
        for _ in 0..5 {
            let reply = get_with("/", &key).send(&app).await;
            assert_eq!(reply.status, 403, "{name}");
            assert_eq!(reply.header("x-ratelimit-remaining"), Some("3"), "{name}");
        }
        assert_eq!(world.left(&key).await, 3, "{name}");
    }
}

#[tokio::test]
async fn refuses_what_is_forbidden_before_it_looks_at_limits() {
    let world = World::new();
    let key = world.key().await;
    let app = Router::new()
        .route("/send", route(|| async {}).layer(send()))
        .route("/manage", route(|| async {}).layer(manage()))
        .layer(AuthenticateLayer::new(world.service.clone()).permissions_by_route());
    for status in [200, 200, 200, 429] {
        assert_eq!(get_with("/send", &key).send(&app).await.status, status);
    }
    let reply = get_with("/manage", &key).send(&app).await;
    reply.assert_problem(403, "permission_denied");
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(reply.header("retry-after"), None);
}

#[tokio::test]
async fn charges_what_the_route_costs() {
    let world = World::new();
    let around = AuthenticateLayer::new(world.service.clone());
    for around in [around.clone(), around.permissions_by_route()] {
        let app = Router::new()
            .route("/dear", route(|| async {}).layer(send().cost(2)))
            .route("/free", route(|| async {}).layer(send().cost(0)))
            .route("/never", route(|| async {}).layer(send().cost(4)))
            .layer(around);
        let key = world.key().await;
        assert_eq!(left(&get_with("/free", &key).send(&app).await), "3");
        assert_eq!(left(&get_with("/dear", &key).send(&app).await), "1");
        let denied = get_with("/dear", &key).send(&app).await;
        assert_eq!(denied.status, 429);
        assert_eq!(denied.header("retry-after"), Some("20"));
        let never = get_with("/never", &key).send(&app).await;
        assert_eq!(never.status, 429);
        assert_eq!(world.left(&key).await, 1);
    }
}

fn left(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200);
    reply.header("x-ratelimit-remaining").unwrap()
}

#[tokio::test]
async fn tells_the_limits_on_every_status() {
    let world = World::with(|builder| {
        let ip = Quota::per_minute(1000).unwrap().named("ip").unwrap();
        builder.limits(plan().per_address([ip]))
    });
    let app = Router::new()
        .route("/ok", route(|| async {}))
        .route(
            "/broken",
            route(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route(
            "/gone",
            route(|| async { StatusCode::GONE.into_response() }),
        )
        .route("/manage", route(|| async {}).layer(manage()))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let first = r#""small";r=2;t=20, "ip";r=999;t=1"#;
    let untouched = r#""small";r=3, "ip";r=1000"#;
    for (path, method, status, state) in [
        ("/ok", "GET", 200, first),
        ("/ok", "HEAD", 200, first),
        ("/ok", "POST", 405, first),
        ("/broken", "GET", 500, first),
        ("/gone", "GET", 410, first),
        ("/nowhere", "GET", 404, first),
        ("/manage", "GET", 403, untouched),
    ] {
        world.clock.advance(std::time::Duration::from_secs(60));
        let key = world.key().await;
        let reply = get_with(path, &key)
            .method(method)
            .from("192.0.2.1")
            .send(&app)
            .await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(
            reply.header("ratelimit-policy"),
            Some(r#""small";q=3;w=60, "ip";q=1000;w=60"#)
        );
        assert_eq!(reply.header("ratelimit"), Some(state), "{path}");
        assert!(reply.header("x-ratelimit-limit").is_some());
    }
}

#[tokio::test]
async fn tells_a_stranger_only_of_its_address() {
    let world = World::with(|builder| {
        let ip = Quota::per_minute(1000).unwrap().named("ip").unwrap();
        builder.limits(plan().per_address([ip]))
    });
    let key = world.key().await;
    let app = Router::new()
        .route("/", route(|| async {}))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let wrong = key.text.replace(&key.text[30..40], "0000000000");
    for call in [
        get("/"),
        get("/").header("x-api-key", &wrong),
        get(&format!("/?k={}", key.text)),
    ] {
        let reply = call.from("192.0.2.1").send(&app).await;
        assert_eq!(reply.status, 401);
        assert_eq!(
            reply.header("ratelimit-policy"),
            Some(r#""ip";q=1000;w=60"#)
        );
        assert_eq!(reply.header("ratelimit"), Some(r#""ip";r=1000"#));
    }
    let unknown = get("/").send(&app).await;
    assert_eq!(unknown.header("ratelimit"), None);
    world.store.fail();
    let outage = get_with("/", &key).from("192.0.2.1").send(&app).await;
    assert_eq!(outage.status, 503);
    assert_eq!(outage.header("ratelimit"), Some(r#""ip";r=1000"#));
}

#[tokio::test]
async fn sends_the_fields_that_were_chosen() {
    let world = World::new();
    let with = |headers| {
        Router::new()
            .route("/", route(|| async {}))
            .layer(AuthenticateLayer::new(world.service.clone()).rate_headers(headers))
    };
    let none = with(RateHeaders::ALL.with_draft(None).with_legacy(None));
    let key = world.key().await;
    for status in [200, 200, 200, 429] {
        let reply = get_with("/", &key).send(&none).await;
        assert_eq!(reply.status, status);
        assert_eq!(
            (reply.header("ratelimit"), reply.header("x-ratelimit-limit")),
            (None, None)
        );
        assert_eq!(reply.header("retry-after").is_some(), status == 429);
    }
    let delta = with(RateHeaders::ALL.with_legacy(Some(ResetStyle::Delta)));
    let reply = get_with("/", &world.key().await).send(&delta).await;
    assert_eq!(reply.header("x-ratelimit-reset"), Some("20"));
}

#[tokio::test]
async fn takes_the_place_of_fields_that_the_handler_sets() {
    let world = World::new();
    let handler = || async { [("x-ratelimit-remaining", "999"), ("retry-after", "7")] };
    let app = Router::new()
        .route("/", route(handler))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let reply = get_with("/", &world.key().await).send(&app).await;
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("2"));
    assert_eq!(reply.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn serves_no_success_from_a_route_that_forgot_to_say_what_it_requires() {
    let world = World::new();
    let key = world.key().await;
    let app = Router::new()
        .route("/forgotten", route(|| async { "served" }))
        .route("/key", route(|_: VerifiedKey| async { "never called" }))
        .layer(AuthenticateLayer::new(world.service.clone()).permissions_by_route());
    for path in ["/forgotten", "/key"] {
        let reply = get_with(path, &key).send(&app).await;
        reply.assert_problem(500, "route_not_protected");
    }
    let missing = get_with("/nowhere", &key).send(&app).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("x-ratelimit-remaining"), Some("0"));
    get_with("/nowhere", &key)
        .send(&app)
        .await
        .assert_problem(429, "rate_limited");
}

#[tokio::test]
async fn writes_each_limit_hit_down_once() {
    let world = World::new();
    let key = world.key().await;
    let app = Router::new()
        .route("/", route(|| async {}).layer(send()))
        .layer(AuthenticateLayer::new(world.service.clone()));
    for _ in 0..5 {
        get_with("/", &key).send(&app).await;
    }
    assert_eq!(world.events_of(AuditKind::LimitHit).await.len(), 2);
    let completed = world.events_of(AuditKind::RequestCompleted).await;
    assert_eq!(completed.len(), 5);
    assert_eq!(completed[4].reason(), Some("rate_limited"));
}

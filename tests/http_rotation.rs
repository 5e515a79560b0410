//! What a client is told before and after its secret becomes too old: fields in every response, and the refusal.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use std::time::Duration;

use axum::Router;
use axum::routing::get as route;
use http::header::LINK;
use http_support::{Held, Reply, World, get, get_with};
use keyward::VerifiedKey;
use keyward::audit::AuditKind;
use keyward::http::{AuthenticateLayer, RequireLayer};
use keyward::rate_limit::Quota;
use keyward::service::{FailureBudget, Rotation, RotationAge, RotationPolicy};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The world begins on Tuesday, 2023-11-14, at 22:13:20: second 1 700 000 000.
const BEGINNING: u64 = 1_700_000_000;

/// Secrets become thirty days old; their holders are warned for five.
fn world() -> World {
    World::with(|builder| {
        let age = RotationAge::refuse_at(DAY * 30);
        builder.rotation_policy(RotationPolicy::builder().otherwise(age).build().unwrap())
    })
}

fn layer(world: &World) -> AuthenticateLayer {
    AuthenticateLayer::new(world.service.clone())
}

fn routes() -> Router {
    let manage = RequireLayer::permission("manage_keys").unwrap();
    let of_its_own = [("deprecation", "@1"), ("link", "<https://example.com/v2>")];
    Router::new()
        .route("/", route(|| async { "served" }))
        .route("/manage", route(|| async { "managed" }).layer(manage))
        .route("/old", route(move || async move { of_its_own }))
        .route(
            "/old-by-date",
            route(|| async { [("sunset", "Sat, 01 Jan 2028 00:00:00 GMT")] }),
        )
        .route("/told", route(told))
}

async fn told(key: VerifiedKey) -> String {
    let ends_at = key.retirement().map(|it| it.ends_at.as_secs());
    format!("{ends_at:?}")
}

fn app(world: &World) -> Router {
    routes().layer(layer(world))
}

fn fields(reply: &Reply) -> (Option<&str>, Option<&str>) {
    (reply.header("deprecation"), reply.header("sunset"))
}

/// Since the 25th day, and until the 30th.
const WARNING: (Option<&str>, Option<&str>) =
    (Some("@1702160000"), Some("Thu, 14 Dec 2023 22:13:20 GMT"));

#[tokio::test]
async fn every_response_to_a_key_carries_the_warning_whatever_its_status() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(DAY * 25);
    assert_eq!(BEGINNING + 25 * 86_400, 1_702_160_000);
    for (path, status) in [
        ("/", 200),
        ("/nowhere", 404),
        ("/manage", 403),
        ("/", 200),
        ("/", 429),
    ] {
        let reply = get_with(path, &key).send(&app).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(fields(&reply), WARNING, "{path}");
    }
}

#[tokio::test]
async fn the_warning_begins_and_the_refusal_follows_to_the_microsecond() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    let micro = Duration::from_micros(1);
    let ask = || get_with("/", &key).send(&app);
    world.clock.advance(DAY * 25 - micro);
    assert_eq!(fields(&ask().await), (None, None));
    world.clock.advance(micro);
    assert_eq!(fields(&ask().await), WARNING);
    world.clock.advance(DAY * 5 - micro);
    let last = ask().await;
    assert_eq!((last.status.as_u16(), fields(&last)), (200, WARNING));
    world.clock.advance(micro);
    assert_eq!(ask().await.status, 403);
}

#[tokio::test]
async fn an_overdue_key_gets_a_refusal_that_says_so() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(DAY * 40);
    let reply = get_with("/", &key).send(&app).await;
    reply.assert_problem(403, "rotation_overdue");
    assert_eq!(
        reply.body,
        r#"{"code":"rotation_overdue","detail":"the key's secret is too old: use the one that replaced it, or have the key rotated","overdue_since":"2023-12-14T22:13:20.000000Z","status":403,"title":"Forbidden","type":"about:blank"}"#
    );
    assert_eq!(
        fields(&reply),
        (None, Some("Thu, 14 Dec 2023 22:13:20 GMT"))
    );
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(reply.header("link"), None);
    let completed = world.events_of(AuditKind::RequestCompleted).await;
    assert_eq!(completed[0].reason(), Some("rotation_overdue"));
}

#[tokio::test]
async fn strangers_are_told_nothing_of_ages() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(DAY * 40);
    let expected = get("/").send(&app).await;
    let random = keyward::random::OsRandom::new();
    let forged = world.service.format().generate_for(key.id, &random);
    let forged = forged.unwrap().plaintext().expose().to_owned();
    let reply = get("/").header("x-api-key", &forged).send(&app).await;
    reply.assert_problem(401, "unauthenticated");
    assert_eq!(reply.body, expected.body);
    assert_eq!(reply.headers, expected.headers);
}

#[tokio::test]
async fn what_a_handler_says_of_its_route_is_left_alone() {
    let world = world();
    let page = "https://example.com/rotate".parse().unwrap();
    let app = routes().layer(layer(&world).rotation_page(&page));
    let key = world.key().await;
    world.clock.advance(DAY * 25);
    let reply = get_with("/old", &key).send(&app).await;
    assert_eq!(fields(&reply), (Some("@1"), None));
    assert_eq!(reply.header("link"), Some("<https://example.com/v2>"));
    let reply = get_with("/old-by-date", &key).send(&app).await;
    let own = Some("Sat, 01 Jan 2028 00:00:00 GMT");
    assert_eq!(fields(&reply), (None, own));
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn a_page_about_it_is_linked_where_there_is_something_to_say() {
    let world = world();
    let page = "https://example.com/rotate?from=api".parse().unwrap();
    let app = routes().layer(layer(&world).rotation_page(&page));
    let key = world.key().await;
    let link = r#"<https://example.com/rotate?from=api>; rel="deprecation sunset""#;
    for (days, expected) in [(24, None), (1, Some(link)), (10, Some(link))] {
        world.clock.advance(DAY * days);
        let reply = get_with("/", &key).send(&app).await;
        assert_eq!(reply.header("link"), expected);
        assert!(reply.headers.get_all(LINK).iter().count() <= 1);
    }
}

#[tokio::test]
async fn the_handler_finds_it_with_the_key() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    let reply = get_with("/told", &key).send(&app).await;
    assert_eq!(reply.body, "None");
    world.clock.advance(DAY * 25);
    let reply = get_with("/told", &key).send(&app).await;
    assert_eq!(reply.body, "Some(1702592000)");
}

#[tokio::test]
async fn layers_around_each_other_say_it_once() {
    let world = world();
    let app = routes().layer(layer(&world)).layer(layer(&world));
    let key = world.key().await;
    world.clock.advance(DAY * 25);
    let reply = get_with("/", &key).send(&app).await;
    assert_eq!(fields(&reply), WARNING);
}

/// Whoever still sends the old secret in its grace hears of its end, whatever the policy.
#[tokio::test]
async fn an_outgoing_secret_is_told_its_end_without_any_policy() {
    let world = World::new();
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(Duration::from_micros(1_500_000));
    let grace = Rotation::Grace(Rotation::USUAL_GRACE);
    let new = world.service.rotate(&world.admin, &key.id, grace).await;
    let new = Held {
        id: key.id,
        text: new.unwrap().key().expose().to_owned(),
    };
    world.clock.advance(DAY / 2);
    let reply = get_with("/", &key).send(&app).await;
    assert_eq!(reply.status, 200);
    let told = (Some("@1700000001"), Some("Wed, 15 Nov 2023 22:13:21 GMT"));
    assert_eq!(fields(&reply), told);
    let reply = get_with("/", &new).send(&app).await;
    assert_eq!(fields(&reply), (None, None));
    world.clock.advance(DAY);
    let reply = get_with("/", &key).send(&app).await;
    reply.assert_problem(401, "unauthenticated");
    assert_eq!(fields(&reply), (None, None));
}

#[tokio::test]
async fn an_overdue_client_shows_the_limits_of_its_address_only_and_fills_no_budget() {
    let once = |name: &str| Quota::per_minute(1).unwrap().named(name).unwrap();
    let budget = FailureBudget::new(once("ip"), once("key"));
    let world = World::with(|builder| {
        let age = RotationAge::refuse_at(DAY * 30);
        let ages = RotationPolicy::builder().otherwise(age).build().unwrap();
        builder.rotation_policy(ages).failure_budget(budget)
    });
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(DAY * 30);
    for _ in 0..5 {
        let reply = get_with("/", &key).from("192.0.2.7").send(&app).await;
        reply.assert_problem(403, "rotation_overdue");
        assert_eq!(reply.header("x-ratelimit-limit"), None);
    }
    let fresh = world.key().await;
    let reply = get_with("/", &fresh).from("192.0.2.7").send(&app).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_outage_is_no_refusal_for_age() {
    let world = world();
    let (app, key) = (app(&world), world.key().await);
    world.clock.advance(DAY * 40);
    world.store.fail();
    let reply = get_with("/", &key).send(&app).await;
    reply.assert_problem(503, "unavailable");
    assert_eq!(fields(&reply), (None, None));
}

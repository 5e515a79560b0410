//! The authenticating layer around a real router.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use axum::Router;
use axum::routing::get as route;
use http::HeaderMap;
use http_support::{World, get, get_with};
use keyward::VerifiedKey;
use keyward::http::AuthenticateLayer;

fn app(world: &World) -> Router {
    Router::new()
        .route(
            "/whoami",
            route(|key: VerifiedKey| async move { key.id().to_string() }),
        )
        .layer(AuthenticateLayer::new(world.service.clone()))
}

#[tokio::test]
async fn serves_a_request_with_a_valid_key() {
    let world = World::new();
    let key = world.key().await;
    let reply = get_with("/whoami", &key).send(&app(&world)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, key.id.as_str());
}

#[tokio::test]
async fn refuses_a_request_without_a_key() {
    let world = World::new();
    let reply = get("/whoami").send(&app(&world)).await;
    reply.assert_problem(401, "unauthenticated");
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer realm="api""#)
    );
}

#[tokio::test]
async fn hides_the_credential_from_the_handler() {
    let world = World::new();
    let key = world.key().await;
    let app = Router::new()
        .route(
            "/",
            route(|headers: HeaderMap| async move { format!("{headers:?}") }),
        )
        .layer(AuthenticateLayer::new(world.service.clone()));
    let reply = get_with("/", &key)
        .header("authorization", &format!("Bearer {}", key.text))
        .header("x-other", "kept")
        .send(&app)
        .await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("x-other"));
    assert!(!reply.body.contains("x-api-key") && !reply.body.contains("authorization"));
}

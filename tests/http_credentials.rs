//! Where a key may stand in a request, and where not.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use axum::Router;
use axum::routing::get as route;
use http::{HeaderMap, Uri};
use http_support::{Call, Held, World, get, get_with};
use keyward::audit::{AuditKind, Detail};
use keyward::http::{AuthenticateLayer, RequireLayer};

/// Answers with all that a handler sees of the request.
fn app(world: &World) -> Router {
    let echo = |uri: Uri, headers: HeaderMap| async move { format!("{uri} {headers:?}") };
    Router::new()
        .route("/", route(echo))
        .route("/{*rest}", route(echo))
        .layer(AuthenticateLayer::new(world.service.clone()))
}

fn bearer(prefix: &str, key: &Held) -> Call {
    get("/").header("authorization", &format!("{prefix}{}", key.text))
}

#[tokio::test]
async fn takes_one_key_from_either_field() {
    let world = World::new();
    let app = app(&world);
    for prefix in ["Bearer ", "bearer ", "BEARER ", "beaReR     "] {
        let key = world.key().await;
        assert_eq!(
            bearer(prefix, &key).send(&app).await.status,
            200,
            "{prefix}"
        );
    }
    let key = world.key().await;
    assert_eq!(get_with("/", &key).send(&app).await.status, 200);
    let both = bearer("Bearer ", &key).header("x-api-key", &key.text);
    assert_eq!(both.send(&app).await.status, 200);
    let another_scheme = get_with("/", &key).header("authorization", "Basic aGVsbG86eA==");
    assert_eq!(another_scheme.send(&app).await.status, 200);
}

#[tokio::test]
async fn refuses_more_than_one_credential() {
    let world = World::new();
    let (key, other) = (world.key().await, world.key().await);
    let app = app(&world);
    let calls = [
        bearer("Bearer ", &key).header("x-api-key", &other.text),
        bearer("Bearer ", &key).header("x-api-key", ""),
        get_with("/", &key).header("x-api-key", &key.text),
        get_with("/", &key).header("x-api-key", &other.text),
        bearer("Bearer ", &key).header("authorization", "Basic aGVsbG86eA=="),
        bearer("Bearer ", &key).header("authorization", &format!("Bearer {}", key.text)),
    ];
    let count = calls.len();
    for call in calls {
        call.send(&app).await.assert_problem(401, "unauthenticated");
    }
    let events = world.events_of(AuditKind::AuthenticationFailed).await;
    assert_eq!(events.len(), count);
    for event in events {
        assert_eq!(event.reason(), Some("ambiguous_credential"));
    }
    assert_eq!(world.store.reads(), 0);
}

#[tokio::test]
async fn refuses_a_key_that_is_not_exactly_one() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    let text = &key.text;
    for odd in [
        format!(" {text}"),
        format!("{text} "),
        format!("{text},{text}"),
        format!("Bearer {text}"),
        format!("\"{text}\""),
        text.to_uppercase(),
    ] {
        let reply = get("/").header("x-api-key", &odd).send(&app).await;
        assert_eq!(reply.status, 401, "{odd:?}");
    }
    for prefix in ["", "Token ", "Bearer\t", "Bearer: ", "Bearer,"] {
        assert_eq!(
            bearer(prefix, &key).send(&app).await.status,
            401,
            "{prefix:?}"
        );
    }
}

#[tokio::test]
async fn answers_bytes_that_are_no_text_with_401() {
    let world = World::new();
    let app = app(&world);
    for bytes in [
        &b"\xff\xfe\xfd"[..],
        b"pm_live_\xc3\xa4",
        b"\x80",
        &[0xff; 69],
    ] {
        let in_field = get("/").bytes("x-api-key", bytes).send(&app).await;
        in_field.assert_problem(401, "unauthenticated");
        let as_bearer = get("/").bytes("authorization", &[b"Bearer ", bytes].concat());
        as_bearer
            .send(&app)
            .await
            .assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn ignores_a_query_parameter_that_is_no_key() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    assert_eq!(get("/?api_key=hello").send(&app).await.status, 401);
    let reply = get_with("/?api_key=hello", &key).send(&app).await;
    assert_eq!(reply.status, 200);
    assert!(world.events_of(AuditKind::KeyExposed).await.is_empty());
}

#[tokio::test]
async fn refuses_and_reports_a_key_in_the_url_even_beside_a_good_one() {
    let world = World::new();
    let (key, leaked) = (world.key().await, world.key().await);
    let app = app(&world);
    let text = &leaked.text;
    let paths = [
        format!("/?api_key={text}"),
        format!("/?x=1&k={}", text.replace('_', "%5f")),
        format!("/{text}/things"),
        format!("/?next=https%3A%2F%2Fexample.com%2F%3Fk%3D{text}"),
    ];
    for path in &paths {
        get(path)
            .send(&app)
            .await
            .assert_problem(401, "unauthenticated");
        get_with(path, &key)
            .send(&app)
            .await
            .assert_problem(401, "unauthenticated");
    }
    let mut events = world.events_of(AuditKind::KeyExposed).await;
    // Beside these stands, sooner or later, that of the secret that was proved.
    events.retain(|event| event.reason().is_some());
    assert_eq!(events.len(), 2 * paths.len());
    for event in events {
        assert_eq!(event.key_id(), Some(leaked.id.as_str()));
        assert_eq!(event.reason(), Some("key_in_url"));
        // A key without a tenant does not read of it.
        let binding = Some(&Detail::Text("platform".into()));
        assert_eq!(event.detail("tenant_binding"), binding);
    }
    assert_eq!(world.left(&leaked).await, 3);
}

#[tokio::test]
async fn shows_no_credential_to_the_handler() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    for call in [
        bearer("Bearer ", &key).header("x-api-key", &key.text),
        get_with("/", &key).header("authorization", &format!("Token {}", key.text)),
        get_with("/", &key).header("authorization", "Basic aGVsbG86eA=="),
    ] {
        let reply = call.header("x-other", "kept").send(&app).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("x-other"));
        for gone in ["x-api-key", "authorization", "Basic"] {
            assert!(!reply.body.contains(gone), "{}", reply.body);
        }
    }
}

#[tokio::test]
async fn lets_preflights_through_only_when_told() {
    let world = World::new();
    let layer = AuthenticateLayer::new(world.service.clone());
    let gated = route(|| async { "secret" })
        .options(|| async { "preflight" })
        .layer(RequireLayer::permission("send_email").unwrap());
    let strict = Router::new().route("/", gated.clone()).layer(layer.clone());
    let told = Router::new()
        .route("/", gated)
        .layer(layer.pass_cors_preflights());
    let preflight = || {
        get("/")
            .method("OPTIONS")
            .header("origin", "https://example.com")
            .header("access-control-request-method", "GET")
    };
    preflight()
        .send(&strict)
        .await
        .assert_problem(401, "unauthenticated");
    assert_eq!(preflight().send(&told).await.body, "preflight");
    // Anything less is a request like any other.
    let bare = get("/").method("OPTIONS").send(&told).await;
    bare.assert_problem(401, "unauthenticated");
    preflight()
        .method("GET")
        .send(&told)
        .await
        .assert_problem(401, "unauthenticated");
}

/// Asserts that no eight characters of the secret that stand together are anywhere in the text.
fn assert_absent(key: &Held, text: &str, place: &str) {
    let secret = &key.text.as_bytes()["pm_live_".len() + 12..][..43];
    for window in secret.windows(8) {
        let window = std::str::from_utf8(window).unwrap();
        assert!(!text.contains(window), "a part of the secret is in {place}");
    }
}

#[tokio::test]
async fn keeps_secrets_out_of_responses_and_of_the_trail() {
    let world = World::new();
    let key = world.key().await;
    let forbidden = world
        .key_with(|mut request| {
            request = request.with_denied(["send_email".parse().unwrap()]);
            request
        })
        .await;
    let app = Router::new()
        .route(
            "/",
            route(|key: keyward::VerifiedKey| async move { format!("{key:?}") }),
        )
        .layer(
            AuthenticateLayer::new(world.service.clone()).require("send_email".parse().unwrap()),
        );
    let mut replies = Vec::new();
    for key in [&key, &forbidden] {
        for _ in 0..5 {
            replies.push(get_with("/", key).send(&app).await);
        }
        replies.push(bearer("Bearer  ", key).send(&app).await);
        replies.push(bearer("Bearer x", key).send(&app).await);
        replies.push(
            get_with("/", key)
                .header("x-api-key", &key.text)
                .send(&app)
                .await,
        );
        replies.push(get(&format!("/?k={}", key.text)).send(&app).await);
        replies.push(get(&format!("/{}", key.text)).send(&app).await);
        let agent = get_with("/", key).header("user-agent", "curl/8");
        replies.push(agent.send(&app).await);
    }
    world.store.fail();
    replies.push(get_with("/", &key).send(&app).await);
    let trail: String = world
        .events()
        .await
        .iter()
        .map(|event| event.to_line().unwrap())
        .collect();
    assert!(trail.contains("key_exposed") && trail.contains("request_completed"));
    for held in [&key, &forbidden] {
        assert_absent(held, &trail, "the trail");
        assert_absent(held, &format!("{:?}", world.service), "the service");
        for reply in &replies {
            assert_absent(held, &reply.body, "a body");
            assert_absent(held, &format!("{:?}", reply.headers), "a header");
        }
    }
}

/// Returns once the key is marked, which happens behind the answer.
async fn marked(world: &World, key: &Held) {
    let marked = async {
        while !world.record(&key.id).await.is_exposed() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(30), marked);
    in_time.await.unwrap();
}

#[tokio::test]
async fn marks_a_key_in_the_url_as_exposed_once_its_secret_is_proved() {
    let world = World::new();
    let leaked = world.key().await;
    let app = app(&world);
    get(&format!("/?api_key={}", leaked.text)).send(&app).await;
    marked(&world, &leaked).await;
    let revision = world.record(&leaked.id).await.revision;
    for _ in 0..3 {
        get(&format!("/?api_key={}", leaked.text)).send(&app).await;
    }
    let events = world.events_of(AuditKind::KeyExposed).await;
    let proved: Vec<_> = events
        .iter()
        .filter(|event| event.reason().is_none())
        .collect();
    assert_eq!(proved.len(), 1);
    let line = proved[0].to_line().unwrap();
    assert!(
        line.contains(r#""place":"key_in_url","secret":"proved""#),
        "{line}"
    );
    assert_eq!(world.record(&leaked.id).await.revision, revision);
    // It is marked and lives on.
    assert_eq!(get_with("/", &leaked).send(&app).await.status, 200);
}

#[tokio::test]
async fn marks_no_key_for_a_secret_that_is_not_its_own() {
    let world = World::new();
    let (key, other) = (world.key().await, world.key().await);
    let app = app(&world);
    let format = keyward::key::KeyFormat::default();
    let random = keyward::testing::SeededRandom::new(7);
    let wrong = format.generate_for(key.id, &random).unwrap();
    get(&format!("/?k={}", wrong.plaintext().expose()))
        .send(&app)
        .await;
    // One is looked at at a time: as long as it is the wrong one, the other is passed over.
    while !world.record(&other.id).await.is_exposed() {
        get(&format!("/?k={}", other.text)).send(&app).await;
        tokio::task::yield_now().await;
    }
    assert!(!world.record(&key.id).await.is_exposed());
}

#[tokio::test]
async fn refuses_a_publishable_key_in_the_url_and_calls_nothing_exposed() {
    let (world, key) = World::publishing().await;
    let app = app(&world);
    let reply = get(&format!("/?api_key={}", key.text)).send(&app).await;
    assert_eq!(reply.status, 401);
    assert_eq!(get_with("/", &key).send(&app).await.status, 200);
    // A secret key is looked at behind it: what would have been marked is marked by now.
    let secret = world.key().await;
    get(&format!("/?api_key={}", secret.text)).send(&app).await;
    marked(&world, &secret).await;
    assert!(!world.record(&key.id).await.is_exposed());
    let exposed = world.events_of(AuditKind::KeyExposed).await;
    let of_it = |event: &&keyward::audit::AuditEvent| event.key_id() == Some(key.id.as_str());
    assert_eq!(exposed.iter().filter(of_it).count(), 0);
    let completed = world.events_of(AuditKind::RequestCompleted).await;
    assert_eq!(completed[0].reason(), Some("key_in_url"));
}

//! Where a key may stand in a request, and where not.
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
use http::{HeaderMap, Uri};
use http_support::{Call, Held, World, get, get_with};
use keyward::audit::{AuditKind, Detail};
use keyward::hash::{Bcrypt, Hashing};
use keyward::http::{AuthenticateLayer, RequireLayer};
use keyward::service::ExposurePolicy;
use keyward::testing::CountingHasher;
use keyward::time::Clock as _;

const HOUR: Duration = Duration::from_secs(3600);

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
    // Beside these stands that of the secret that was proved.
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

#[tokio::test]
async fn marks_a_key_in_the_url_as_exposed_once_its_secret_is_proved() {
    let world = World::new();
    let leaked = world.key().await;
    let app = app(&world);
    for _ in 0..4 {
        get(&format!("/?api_key={}", leaked.text)).send(&app).await;
        assert!(world.record(&leaked.id).await.is_exposed());
    }
    assert_eq!(world.record(&leaked.id).await.revision.number(), 2);
    let events = world.events_of(AuditKind::KeyExposed).await;
    let proved: Vec<_> = events
        .iter()
        .filter(|event| event.reason().is_none())
        .collect();
    assert_eq!(proved.len(), 1);
    let line = proved[0].to_line().unwrap();
    assert!(
        line.contains(r#""action":"flagged","place":"key_in_url","secret":"proved""#),
        "{line}"
    );
    // It is marked and lives on.
    assert_eq!(get_with("/", &leaked).send(&app).await.status, 200);
}

#[tokio::test]
async fn marks_no_key_for_a_secret_that_is_not_its_own() {
    let world = World::new();
    let (key, other) = (world.key().await, world.key().await);
    let app = app(&world);
    for text in [&forged(&key), &other.text] {
        get(&format!("/?k={text}")).send(&app).await;
    }
    assert!(world.record(&other.id).await.is_exposed());
    assert!(!world.record(&key.id).await.is_exposed());
}

/// Another secret under the same id.
fn forged(key: &Held) -> String {
    let format = keyward::key::KeyFormat::default();
    let random = keyward::testing::SeededRandom::new(7);
    let wrong = format.generate_for(key.id, &random).unwrap();
    wrong.plaintext().expose().to_owned()
}

/// The policies, and what the reply says under each.
fn policies(world_begins: keyward::time::Timestamp) -> [(ExposurePolicy, &'static str, String); 4] {
    let ends_at = world_begins.saturating_add(HOUR);
    let told = |action: &str, ends_at: &str, detail: &str| {
        format!(r#"{{"action":"{action}","detail":"{detail}",{ends_at}"place":"key_in_url"}}"#)
    };
    let rotate = "others may have read this key: rotate it";
    let soon = "others may have read this key, and it ends soon: rotate it";
    let gone = "others may have read this key, and it is revoked: ask for another";
    let ends = format!(r#""ends_at":"{ends_at}","#);
    [
        (
            ExposurePolicy::Report,
            "reported",
            told("reported", "", rotate),
        ),
        (ExposurePolicy::Flag, "flagged", told("flagged", "", rotate)),
        (
            ExposurePolicy::Grace(HOUR),
            "grace",
            told("grace", &ends, soon),
        ),
        (ExposurePolicy::Revoke, "revoked", told("revoked", "", gone)),
    ]
}

#[tokio::test]
async fn says_what_became_of_a_key_in_the_url_once_its_secret_is_proved() {
    let begin = World::new().clock.now();
    for (policy, action, told) in policies(begin) {
        let world = World::with(|builder| builder.exposure_policy(policy));
        let app = app(&world);
        let key = world.key().await;
        let bare = get("/").send(&app).await;
        let reply = get(&format!("/?k={}", key.text)).send(&app).await;
        reply.assert_problem(401, "unauthenticated");
        let member = format!(r#""exposed_keys":[{told}],"#);
        assert!(reply.body.contains(&member), "{}", reply.body);
        // Beside this it is the reply that every bad key gets.
        assert_eq!(reply.body.replace(&member, ""), bare.body);
        assert_eq!(reply.headers_but_length(), bare.headers_but_length());
        assert!(!reply.body.contains(key.id.as_str()));
        assert_absent(&key, &reply.body, action);
    }
}

#[tokio::test]
async fn says_nothing_of_a_key_in_the_url_that_is_not_proved() {
    for (policy, _, _) in policies(World::new().clock.now()) {
        let world = World::with(|builder| builder.exposure_policy(policy));
        let app = app(&world);
        let expired = |request: keyward::service::IssueKey| request.with_lifetime(HOUR);
        let (live, expired) = (world.key().await, world.key_with(expired).await);
        let (revoked, rotated) = (world.key().await, world.key().await);
        let (service, admin) = (&world.service, &world.admin);
        drop(service.revoke(admin, &revoked.id, "lost").await.unwrap());
        let rotation = keyward::service::Rotation::AtOnce;
        drop(service.rotate(admin, &rotated.id, rotation).await.unwrap());
        world.clock.advance(HOUR);
        let format = keyward::key::KeyFormat::default();
        let stranger = format.generate(&keyward::random::OsRandom::new()).unwrap();
        let texts = [
            &forged(&live),
            &expired.text,
            &revoked.text,
            &rotated.text,
            stranger.plaintext().expose(),
        ];
        let bare = get("/").send(&app).await;
        for text in texts {
            let reply = get(&format!("/?k={text}")).send(&app).await;
            assert_eq!(reply.body, bare.body, "{policy:?}");
            assert_eq!(reply.headers, bare.headers, "{policy:?}");
        }
        world.store.fail();
        let reply = get(&format!("/?k={}", live.text)).send(&app).await;
        assert_eq!((reply.status, reply.body), (bare.status, bare.body));
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_in_the_url_is_refused_everywhere() {
    let world = World::with(|builder| builder.exposure_policy(ExposurePolicy::Revoke));
    let (app, key) = (app(&world), world.key().await);
    assert_eq!(get_with("/", &key).send(&app).await.status, 200);
    get(&format!("/?k={}", key.text)).send(&app).await;
    let reply = get_with("/", &key).send(&app).await;
    reply.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_reply_waits_two_seconds_for_a_proof_and_then_says_nothing() {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    let hasher = CountingHasher::new(bcrypt);
    let hashing = Hashing::builder().prefer(hasher.clone()).build().unwrap();
    let world = World::with(|builder| builder.hashing(hashing));
    let (app, key) = (app(&world), world.key().await);
    let bare = get("/").send(&app).await;
    let gate = hasher.gate().clone();
    gate.close();
    // The rest of the time is over as soon as nothing else is left to do.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let reply = get(&format!("/?k={}", key.text)).send(&app).await;
    assert_eq!(reply.body, bare.body);
    let waited = began.elapsed().as_millis();
    assert!((2000..2010).contains(&waited), "{waited}");
    assert!(!world.record(&key.id).await.is_exposed());
    gate.open();
    // It is marked behind the reply.
    tokio::time::resume();
    let marked = async {
        while !world.record(&key.id).await.is_exposed() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), marked);
    in_time.await.unwrap();
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
    assert!(world.record(&secret.id).await.is_exposed());
    assert!(!world.record(&key.id).await.is_exposed());
    let exposed = world.events_of(AuditKind::KeyExposed).await;
    let of_it = |event: &&keyward::audit::AuditEvent| event.key_id() == Some(key.id.as_str());
    assert_eq!(exposed.iter().filter(of_it).count(), 0);
    let completed = world.events_of(AuditKind::RequestCompleted).await;
    assert_eq!(completed[0].reason(), Some("key_in_url"));
}

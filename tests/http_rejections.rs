//! What a client sees when it is refused: statuses, bodies, header fields, and nothing else.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get as route;
use http::{HeaderValue, StatusCode};
use http_support::{Call, Held, World, get, get_with};
use keyward::VerifiedKey;
use keyward::access::{Requirement, TenantBinding};
use keyward::audit::{AuditKind, Outcome};
use keyward::hash::{Bcrypt, HashPool, Hashing};
use keyward::http::{AuthenticateLayer, Problem, RequireLayer, TenantFrom};
use keyward::rate_limit::{
    Charge, Mode, Quota, RateLimitError, RateLimiter, Reply as LimiterReply, TimeSource,
};
use keyward::service::{Actor, FailureBudget, LifecycleError, Rotation};
use keyward::testing::CountingHasher;
use keyward::time::Timestamp;

fn app(world: &World) -> Router {
    let send = RequireLayer::permission("send_email").unwrap();
    let manage = RequireLayer::permission("manage_keys").unwrap();
    let tenant = send.clone().tenant(TenantFrom::path_param("tenant"));
    Router::new()
        .route("/send", route(|| async { "sent" }).layer(send))
        .route("/manage", route(|| async { "managed" }).layer(manage))
        .route(
            "/tenants/{tenant}",
            route(|| async { "theirs" }).layer(tenant),
        )
        .layer(AuthenticateLayer::new(world.service.clone()).permissions_by_route())
}

/// A well-formed key that was never issued, or a known id with an invented secret.
fn forge(world: &World, id: Option<&Held>) -> String {
    let random = keyward::random::OsRandom::new();
    let format = world.service.format();
    let key = match id {
        Some(held) => format.generate_for(held.id, &random),
        None => format.generate(&random),
    };
    key.unwrap().plaintext().expose().to_owned()
}

/// A well-formed publishable key of the id of a secret one.
fn other_kind(world: &World, of: &Held) -> String {
    let random = keyward::random::OsRandom::new();
    let kind = keyward::key::KeyKind::Publishable;
    let key = world
        .service
        .format()
        .generate_kind_for(kind, of.id, &random);
    key.unwrap().plaintext().expose().to_owned()
}

/// Every way for a key to be missing or bad, with the code that the audit trail gets.
async fn bad_keys(world: &World) -> Vec<(&'static str, Call)> {
    let admin = &world.admin;
    let live = world.key().await;
    let (revoked, disabled, rotated) = (world.key().await, world.key().await, world.key().await);
    let expired = world
        .key_with(|request| request.with_lifetime(Duration::from_secs(3600)))
        .await;
    drop(
        world
            .service
            .revoke(admin, &revoked.id, "lost")
            .await
            .unwrap(),
    );
    world.service.disable(admin, &disabled.id).await.unwrap();
    drop(
        world
            .service
            .rotate(admin, &rotated.id, Rotation::AtOnce)
            .await
            .unwrap(),
    );
    world.clock.advance(Duration::from_secs(3600));

    let send = || get("/send");
    let with = |text: &str| send().header("x-api-key", text);
    let typo = live.text.replace(&live.text[60..], "000000000");
    vec![
        ("missing_credential", send()),
        (
            "missing_credential",
            send().header("authorization", "Basic aGVsbG86eA=="),
        ),
        ("malformed_length", with("")),
        ("malformed_length", with("hello")),
        ("malformed_length", with(&"x".repeat(10_000))),
        ("malformed_length", send().header("authorization", "Bearer")),
        (
            "malformed_length",
            send().bytes("x-api-key", b"pm_live_\xff\xfe"),
        ),
        ("malformed_prefix", with(&live.text.replace("pm_", "xx_"))),
        ("malformed_checksum", with(&typo)),
        (
            "wrong_environment",
            with(&live.text.replace("live", "test")),
        ),
        ("unknown_key", with(&forge(world, None))),
        ("wrong_secret", with(&forge(world, Some(&live)))),
        ("wrong_kind", with(&other_kind(world, &live))),
        ("revoked", with(&revoked.text)),
        ("disabled", with(&disabled.text)),
        ("expired", with(&expired.text)),
        ("superseded", with(&rotated.text)),
        (
            "ambiguous_credential",
            with(&live.text).header("x-api-key", &live.text),
        ),
        // The right one is told what became of it: see `http_credentials`.
        (
            "key_in_url",
            get(&format!("/send?key={}", forge(world, Some(&live)))),
        ),
    ]
}

#[tokio::test]
async fn answers_every_missing_or_bad_key_with_the_same_bytes() {
    let (world, _) = World::publishing().await;
    let app = app(&world);
    let calls = bad_keys(&world).await;
    let expected = get("/send").send(&app).await;
    expected.assert_problem(401, "unauthenticated");

    let mut codes = vec!["missing_credential".to_owned()];
    for (code, call) in calls {
        let reply = call.send(&app).await;
        assert_eq!(reply.status, 401, "{code}");
        assert_eq!(reply.body, expected.body, "{code}");
        assert_eq!(reply.headers, expected.headers, "{code}");
        codes.push(code.to_owned());
    }
    let completed = world.events_of(AuditKind::RequestCompleted).await;
    let logged: Vec<_> = completed
        .iter()
        .map(|event| event.reason().unwrap().to_owned())
        .collect();
    assert_eq!(logged, codes);
}

#[tokio::test]
async fn challenges_in_every_401_and_nowhere_else() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    let refused = get("/send").send(&app).await;
    assert_eq!(
        refused.header("www-authenticate"),
        Some(r#"Bearer realm="api""#)
    );
    for path in ["/send", "/manage", "/missing"] {
        let reply = get_with(path, &key).send(&app).await;
        assert_eq!(reply.header("www-authenticate"), None, "{path}");
    }
}

#[tokio::test]
async fn challenges_as_the_application_wants() {
    let world = World::new();
    let layer = AuthenticateLayer::new(world.service.clone())
        .challenge(HeaderValue::from_static(r#"Bearer realm="acme""#));
    let app = Router::new().route("/", route(|| async {})).layer(layer);
    let reply = get("/").send(&app).await;
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer realm="acme""#)
    );
}

#[tokio::test]
async fn names_what_is_required_and_not_what_the_key_has() {
    let world = World::new();
    let key = world.key().await;
    let reply = get_with("/manage", &key).send(&app(&world)).await;
    reply.assert_problem(403, "permission_denied");
    assert_eq!(reply.json()["required"], "manage_keys");
    assert!(!reply.body.contains("send_email") && !reply.body.contains("acme"));
    assert_eq!(get_with("/send", &key).send(&app(&world)).await.status, 200);
}

#[tokio::test]
async fn lets_a_key_into_its_own_tenant_only() {
    let world = World::new();
    let tenant = TenantBinding::Tenant("acme".parse().unwrap());
    let bound = world.key_with(|request| request.with_tenant(tenant)).await;
    let unbound = world.key().await;
    let app = app(&world);
    for (path, key, status) in [
        ("/tenants/acme", &bound, 200),
        ("/tenants/acm%65", &bound, 200),
        ("/tenants/Acme", &bound, 403),
        ("/tenants/acme%20", &bound, 403),
        ("/tenants/%FF", &bound, 403),
        ("/tenants/other", &bound, 403),
        ("/tenants/acme", &unbound, 403),
    ] {
        world.clock.advance(Duration::from_secs(60));
        let reply = get_with(path, key).send(&app).await;
        assert_eq!(reply.status, status, "{path}");
    }
}

#[tokio::test]
async fn refuses_a_known_key_from_elsewhere_with_403() {
    let world = World::new();
    let networks = "123.123.123.123, 10.0.0.1".parse().unwrap();
    let key = world
        .key_with(|request| request.with_networks(networks))
        .await;
    let app = app(&world);
    let from = |peer| get_with("/send", &key).from(peer);
    assert_eq!(from("123.123.123.123").send(&app).await.status, 200);
    assert_eq!(from("::ffff:10.0.0.1").send(&app).await.status, 200);
    let reply = from("192.168.1.1").send(&app).await;
    reply.assert_problem(403, "address_refused");
    assert!(!reply.body.contains("123."));
    get_with("/send", &key)
        .send(&app)
        .await
        .assert_problem(403, "address_refused");
}

#[tokio::test]
async fn says_nothing_of_addresses_before_the_secret_is_proved() {
    let world = World::new();
    let networks = "10.0.0.1".parse().unwrap();
    let key = world
        .key_with(|request| request.with_networks(networks))
        .await;
    let guessed = forge(&world, Some(&key));
    let reply = get("/send")
        .header("x-api-key", &guessed)
        .from("192.168.1.1")
        .send(&app(&world))
        .await;
    reply.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn tells_a_client_over_its_limit_which_and_how_long() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    for _ in 0..3 {
        assert_eq!(get_with("/send", &key).send(&app).await.status, 200);
    }
    world.clock.advance(Duration::from_millis(4_500));
    let reply = get_with("/send", &key).send(&app).await;
    reply.assert_problem(429, "rate_limited");
    // One token in twenty seconds, 4.5 of which are over.
    assert_eq!(reply.header("retry-after"), Some("16"));
    let json = reply.json();
    assert_eq!(json["retry_after_ms"], 15_500);
    assert_eq!(json["violated-policies"], serde_json::json!(["small"]));
    assert_eq!(
        json["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    world.clock.advance(Duration::from_millis(15_499));
    assert_eq!(
        get_with("/send", &key)
            .send(&app)
            .await
            .header("retry-after"),
        Some("1")
    );
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(get_with("/send", &key).send(&app).await.status, 200);
}

#[tokio::test]
async fn throttles_an_address_that_guesses() {
    let twice = Quota::per_minute(2).unwrap();
    let world = World::with(|builder| {
        builder.failure_budget(FailureBudget::new(twice.clone(), twice.clone()))
    });
    let app = app(&world);
    let guess = || {
        get("/send")
            .header("x-api-key", &forge(&world, None))
            .from("192.0.2.1")
    };
    for _ in 0..2 {
        assert_eq!(guess().send(&app).await.status, 401);
    }
    let reply = guess().send(&app).await;
    reply.assert_problem(429, "too_many_attempts");
    assert_eq!(reply.header("retry-after"), Some("30"));
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(guess().from("192.0.2.2").send(&app).await.status, 401);
}

#[tokio::test]
async fn answers_an_outage_of_the_store_with_503_and_never_with_401() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    assert_eq!(get_with("/send", &key).send(&app).await.status, 200);
    world.store.fail();
    for text in [&key.text, &forge(&world, None)] {
        let reply = get("/send").header("x-api-key", text).send(&app).await;
        reply.assert_problem(503, "unavailable");
        assert_eq!(reply.header("retry-after"), Some("5"));
        let kind = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
        assert_eq!(reply.json()["type"], kind);
        assert!(!reply.body.contains("plug"));
    }
}

#[derive(Debug)]
struct DeadLimiter;

impl RateLimiter for DeadLimiter {
    fn apply<'a>(&'a self, _: &'a [Charge<'a>], _: Mode, _: Timestamp) -> LimiterReply<'a> {
        LimiterReply::ready(Err(RateLimitError::unavailable("pulled the plug")))
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

#[tokio::test]
async fn serves_nothing_when_nobody_can_count() {
    let world = World::with(|builder| builder.limiter(DeadLimiter));
    let key = world.key().await;
    let app = app(&world);
    get_with("/send", &key)
        .send(&app)
        .await
        .assert_problem(503, "unavailable");
    // What is forbidden stays forbidden.
    get_with("/manage", &key)
        .send(&app)
        .await
        .assert_problem(403, "permission_denied");
}

#[tokio::test]
async fn answers_an_overload_with_503_and_a_time() {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
    let counting = CountingHasher::new(bcrypt);
    let pool = HashPool::builder()
        .threads(NonZeroUsize::MIN)
        .queue(1)
        .build()
        .unwrap();
    let world = World::with(|builder| {
        let hashing = Hashing::builder().prefer(counting.clone()).build().unwrap();
        builder.hashing(hashing).hash_pool(pool)
    });
    let keys = [world.key().await, world.key().await, world.key().await];
    let arrived = usize::try_from(counting.hashes()).unwrap();
    counting.gate().close();
    let app = app(&world);
    let [computing, waiting, refused] = keys.map(|key| get_with("/send", &key));
    let computing = tokio::spawn(send_with(app.clone(), computing));
    let gate = counting.gate().clone();
    tokio::task::spawn_blocking(move || gate.wait_for(arrived + 1))
        .await
        .unwrap();
    let waiting = tokio::spawn(send_with(app.clone(), waiting));
    while world.service.hash_stats().queued_trusted == 0 {
        tokio::task::yield_now().await;
    }
    let reply = refused.send(&app).await;
    reply.assert_problem(503, "unavailable");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    counting.gate().open();
    assert_eq!(computing.await.unwrap(), 200);
    assert_eq!(waiting.await.unwrap(), 200);
}

async fn send_with(app: Router, call: Call) -> StatusCode {
    call.send(&app).await.status
}

#[tokio::test]
async fn refuses_a_key_on_a_route_that_no_layer_protects() {
    let world = World::new();
    let key = world.key().await;
    let open = Router::new()
        .route(
            "/strict",
            route(|key: VerifiedKey| async move { key.id().to_string() }),
        )
        .route(
            "/lax",
            route(|key: Option<VerifiedKey>| async move { key.is_some().to_string() }),
        )
        .route("/gated", route(|| async {}).layer(RequireLayer::any_key()));
    get_with("/strict", &key)
        .send(&open)
        .await
        .assert_problem(500, "route_not_protected");
    get_with("/gated", &key)
        .send(&open)
        .await
        .assert_problem(500, "route_not_protected");
    assert_eq!(get_with("/lax", &key).send(&open).await.body, "false");

    let closed = open.layer(AuthenticateLayer::new(world.service.clone()));
    assert_eq!(
        get_with("/strict", &key).send(&closed).await.body,
        key.id.as_str()
    );
    assert_eq!(get_with("/lax", &key).send(&closed).await.body, "true");
}

#[tokio::test]
async fn writes_down_how_each_request_ended() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    get_with("/tenants/other", &key).send(&app).await;
    get_with("/send", &key)
        .header("user-agent", "curl/8")
        .header("x-request-id", "req-1")
        .from("192.0.2.1")
        .send(&app)
        .await;
    let events = world.events_of(AuditKind::RequestCompleted).await;
    let [refused, served] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(refused.status(), Some(403));
    assert_eq!(refused.route(), Some("/tenants/{tenant}"));
    assert_eq!(refused.outcome(), Outcome::Failure);
    assert_eq!(refused.reason(), Some("not_tenant_bound"));
    assert_eq!(served.status(), Some(200));
    assert_eq!(served.method(), Some("GET"));
    assert_eq!(served.route(), Some("/send"));
    assert_eq!(served.outcome(), Outcome::Success);
    assert_eq!(served.key_id(), Some(key.id.as_str()));
    assert_eq!(served.client_ip(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(served.user_agent(), Some("curl/8"));
    assert_eq!(served.request_id(), Some("req-1"));
}

#[tokio::test]
async fn takes_whatever_a_client_calls_itself() {
    let world = World::new();
    let app = app(&world);
    let long = "ä".repeat(200);
    for agent in ["café/1".as_bytes(), b"a\xff\xfe", long.as_bytes()] {
        get("/send").bytes("user-agent", agent).send(&app).await;
    }
    let twice = get("/send").header("user-agent", "one");
    twice.header("user-agent", "two").send(&app).await;
    let events = world.events_of(AuditKind::RequestCompleted).await;
    let agents: Vec<_> = events
        .iter()
        .map(|event| event.user_agent().unwrap())
        .collect();
    let cut = "ä".repeat(128);
    assert_eq!(agents, ["café/1", "a\u{fffd}\u{fffd}", &cut, "one"]);
}

#[tokio::test]
async fn takes_no_request_id_that_is_long_or_odd() {
    let world = World::new();
    let key = world.key().await;
    let app = app(&world);
    let fits = "x".repeat(128);
    for (id, kept) in [
        (fits.as_str(), true),
        (&"x".repeat(129), false),
        ("a b", false),
        ("", false),
    ] {
        world.clock.advance(Duration::from_secs(60));
        get_with("/send", &key)
            .header("x-request-id", id)
            .send(&app)
            .await;
        let events = world.events_of(AuditKind::RequestCompleted).await;
        let written = events.last().unwrap().request_id();
        assert_eq!(written, kept.then_some(id));
    }
}

async fn panicking() {
    panic!("the handler's own bug")
}

#[tokio::test]
async fn writes_down_a_request_that_never_ended() {
    let world = World::new();
    let key = world.key().await;
    let app = Router::new()
        .route("/hang", route(std::future::pending::<()>))
        .route("/panic", route(panicking))
        .layer(AuthenticateLayer::new(world.service.clone()));
    let hanging = get_with("/hang", &key).send(&app);
    let mut hanging = Box::pin(hanging);
    while world.left(&key).await == 3 {
        tokio::select! {
            biased;
            _ = &mut hanging => unreachable!(),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(hanging);
    let ended = tokio::spawn({
        let (app, call) = (app.clone(), get_with("/panic", &key));
        async move { call.send(&app).await.status }
    });
    assert!(ended.await.unwrap_err().is_panic());
    let events = world.events_of(AuditKind::RequestCompleted).await;
    let ends: Vec<_> = events
        .iter()
        .map(|event| (event.status(), event.reason()))
        .collect();
    assert_eq!(ends, [(None, Some("abandoned")), (None, Some("panicked"))]);
}

#[tokio::test]
async fn writes_no_completions_when_told_not_to() {
    let world = World::new();
    let layer = AuthenticateLayer::new(world.service.clone()).without_completion_events();
    let app = Router::new().route("/", route(|| async {})).layer(layer);
    get("/").send(&app).await;
    assert!(
        world
            .events_of(AuditKind::RequestCompleted)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn answers_errors_of_the_service_with_their_status() {
    let world = World::new();
    let id = world.key().await.id;
    let actor = Actor::user("ana").unwrap();
    drop(world.service.revoke(&actor, &id, "lost").await.unwrap());
    let wrong_state = world.service.enable(&actor, &id).await.unwrap_err();
    world.store.fail();
    let outage = world.service.disable(&actor, &id).await.unwrap_err();
    for (error, status, code) in [
        (LifecycleError::NotFound, 404, "not_found"),
        (wrong_state, 409, "wrong_state"),
        (LifecycleError::Contended, 409, "contended"),
        (LifecycleError::OwnerLimit { limit: 2 }, 409, "owner_limit"),
        (LifecycleError::ActorEnded, 401, "unauthenticated"),
        (outage, 503, "unavailable"),
    ] {
        let problem = Problem::from(error);
        assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        assert_eq!(
            problem.into_response().headers()["cache-control"],
            "no-store"
        );
    }
}

#[test]
fn shows_a_requirement_as_it_reads() {
    let requirement: Requirement = "a AND (b OR c)".parse().unwrap();
    let problem = Problem::forbidden(&requirement);
    assert_eq!(problem.member("required").unwrap(), "a AND (b OR c)");
}

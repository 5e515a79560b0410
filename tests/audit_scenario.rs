//! Everything that can be done with a key, once, and exactly the events that it leaves: in memory, in a file and in each
//! engine's table alike.
#![cfg(all(
    feature = "axum",
    feature = "postgres",
    feature = "sqlite",
    feature = "testing"
))]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;
mod servers;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::routing::{get as route, post};
use http_support::{Call, Held, Reply, World, get, get_with};
use keyward::alert::Alerts;
use keyward::audit::{
    AuditEvent, AuditQuery, AuditSink, Detail, JsonLinesSink, MemorySink, Outcome,
    PostgresAuditSink, SqliteAuditSink, trail_files, verify_chain,
};
use keyward::hash::DigestText;
use keyward::http::{
    AuthenticateLayer, ClientAddressLayer, ProxyTrust, RequireHttpsLayer, RequireLayer,
};
use keyward::service::{Actor, Field, ImportKey, IssueKey, LeakedTokens, Rotation, UpdateKey};
use keyward::store::{AuditedStore, PostgresStore, SqliteStore, sqlx};

/// One line an event: kind, outcome, reason, actor, key, then what else it holds.
const EXPECTED: &str = include_str!("cases/audit_scenario.txt");

const HOUR: Duration = Duration::from_secs(3600);

/// A service whose events go to a sink, an app in front of it, and names for the keys it made.
struct Scene {
    world: World,
    app: Router,
    names: HashMap<String, &'static str>,
}

impl Scene {
    fn new(sink: impl AuditSink) -> Self {
        Self::of(World::with(|builder| {
            builder.audit(sink).observer(alerts())
        }))
    }

    /// Over a store that keeps the trail itself.
    fn audited(store: impl AuditedStore) -> Self {
        Self::of(World::audited(store, |builder| builder.observer(alerts())))
    }

    fn of(world: World) -> Self {
        let keys = &world.service;
        let send = RequireLayer::permission("send_email").unwrap();
        let read = RequireLayer::permission("read_mail").unwrap();
        let app = Router::new()
            .route("/v1/emails", post(|| async { "sent" }).layer(send))
            .route("/v1/mail/{id}", route(|| async { "mail" }).layer(read))
            .layer(AuthenticateLayer::new(keys.clone()).permissions_by_route())
            .layer(RequireHttpsLayer::new(keys.clone()))
            .layer(ClientAddressLayer::new(ProxyTrust::none()));
        Self {
            world,
            app,
            names: HashMap::new(),
        }
    }

    fn name(&mut self, key: &Held, name: &'static str) {
        self.names.insert(key.id.as_str().to_owned(), name);
    }

    async fn key(&mut self, name: &'static str, change: impl FnOnce(IssueKey) -> IssueKey) -> Held {
        let key = self.world.key_with(change).await;
        self.name(&key, name);
        key
    }

    async fn send(&self, call: Call) -> Reply {
        let call = call.over("192.0.2.7", keyward::http::Scheme::Https);
        self.answer(call).await
    }

    /// Flushed after each request, so that the order of the trail is that of the script.
    async fn answer(&self, call: Call) -> Reply {
        let reply = call.send(&self.app).await;
        self.world.service.recorder().flush().await.unwrap();
        reply
    }

    /// The secret of a key that was seen in a URL is proved beside the request, which waits for two seconds.
    async fn until_exposed(&self, key: &Held) {
        let world = &self.world;
        while world
            .service
            .get(&world.admin, &key.id)
            .await
            .unwrap()
            .exposed_at
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        world.service.recorder().flush().await.unwrap();
    }

    fn email(&self, key: &Held) -> Call {
        get_with("/v1/emails", key).method("POST")
    }
}

fn alerts() -> Alerts {
    Alerts::builder().standard_rules().start().unwrap()
}

/// The script.
async fn play(scene: &mut Scene) {
    requests(scene).await;
    life_cycle(scene).await;
    import(scene).await;
    delegation(scene).await;
    leak(scene).await;
}

/// What a key meets on its way to a handler.
async fn requests(scene: &mut Scene) {
    let tenant = "t1".parse().unwrap();
    let mailer = scene
        .key("mailer", |request| {
            let request = request.with_tenant(keyward::access::TenantBinding::Tenant(tenant));
            request.with_justification("the shop's mail")
        })
        .await;
    let call = scene.email(&mailer).header("x-request-id", "r-1");
    assert_eq!(
        scene.send(call.header("user-agent", "curl/8")).await.status,
        200
    );
    let forbidden = scene.send(get_with("/v1/mail/7", &mailer)).await;
    assert_eq!(forbidden.status, 403);
    assert_eq!(scene.send(get("/v1/mail/7")).await.status, 401);
    let unknown = scene
        .world
        .service
        .format()
        .generate(&keyward::random::OsRandom::new());
    let unknown = unknown.unwrap();
    let stranger = Held {
        id: unknown.id(),
        text: unknown.plaintext().expose().to_owned(),
    };
    scene.name(&stranger, "stranger");
    assert_eq!(scene.send(scene.email(&stranger)).await.status, 401);
    assert_eq!(
        scene
            .send(get("/v1/mail/7").header("x-api-key", "nonsense"))
            .await
            .status,
        401
    );
    let in_url = format!("/v1/mail/7?key={}", mailer.text);
    assert_eq!(scene.send(get(&in_url)).await.status, 401);
    scene.until_exposed(&mailer).await;
    let in_clear = scene.answer(scene.email(&mailer).from("192.0.2.7")).await;
    assert_eq!(in_clear.status, 403);
    for _ in 0..2 {
        assert_eq!(scene.send(scene.email(&mailer)).await.status, 200);
    }
    assert_eq!(scene.send(scene.email(&mailer)).await.status, 429);
}

/// What is done to a key from its beginning to its end.
async fn life_cycle(scene: &mut Scene) {
    let ends = scene.world.later(3 * 3600);
    let key = scene.key("k", |request| request.with_expiry(ends)).await;
    let (service, admin) = (scene.world.service.clone(), scene.world.admin.clone());
    let nowhere = scene.send(get_with("/nowhere", &key)).await;
    assert_eq!(nowhere.status, 404);
    let update = UpdateKey::new()
        .with_tier(Field::Clear)
        .with_name("n".into());
    service.update(&admin, &key.id, update).await.unwrap();
    service.disable(&admin, &key.id).await.unwrap();
    assert_eq!(scene.send(scene.email(&key)).await.status, 401);
    service.enable(&admin, &key.id).await.unwrap();
    let new = service
        .rotate(&admin, &key.id, Rotation::Grace(HOUR))
        .await
        .unwrap();
    assert_eq!(scene.send(scene.email(&key)).await.status, 200);
    scene.world.clock.advance(HOUR);
    assert_eq!(scene.send(scene.email(&key)).await.status, 401);
    let new = Held {
        id: key.id,
        text: new.key().expose().to_owned(),
    };
    scene.world.clock.advance(2 * HOUR);
    for _ in 0..2 {
        assert_eq!(scene.send(scene.email(&new)).await.status, 401);
    }
    let _ = service
        .revoke(&admin, &key.id, "no longer needed")
        .await
        .unwrap();
    let _ = service.revoke(&admin, &key.id, "again").await.unwrap();
    assert_eq!(scene.send(scene.email(&new)).await.status, 401);
    service.delete(&admin, &key.id).await.unwrap();
    service.delete(&admin, &key.id).await.unwrap_err();
}

/// A key of another system, whose digest is upgraded when it is first used.
async fn import(scene: &mut Scene) {
    let (service, admin) = (scene.world.service.clone(), scene.world.admin.clone());
    let imported = service
        .format()
        .generate(&keyward::random::OsRandom::new())
        .unwrap();
    let held = Held {
        id: imported.id(),
        text: imported.plaintext().expose().to_owned(),
    };
    scene.name(&held, "imported");
    let secret = std::str::from_utf8(imported.secret().expose()).unwrap();
    let digest = DigestText::new(bcrypt::hash(secret, 4).unwrap());
    let grant = keyward::access::Grant::try_scopes(["send_email".parse().unwrap()]).unwrap();
    let settings = IssueKey::new("acme".parse().unwrap(), "imported", grant);
    service
        .import(&admin, ImportKey::new(held.id, digest, settings))
        .await
        .unwrap();
    assert_eq!(scene.send(scene.email(&held)).await.status, 200);
}

/// A key that acts on others.
async fn delegation(scene: &mut Scene) {
    let manage = [
        "manage_keys".parse().unwrap(),
        "send_email".parse().unwrap(),
    ];
    let grant = keyward::access::Grant::try_scopes(manage).unwrap();
    let request = IssueKey::new("acme".parse().unwrap(), "manager", grant)
        .with_justification("hands out keys");
    let service = scene.world.service.clone();
    // People need a second factor for such a key, and there is none here.
    let refused = service.issue(&scene.world.admin, request.clone()).await;
    drop(refused.unwrap_err());
    let bootstrap = Actor::system("bootstrap").unwrap();
    let issued = service.issue(&bootstrap, request).await.unwrap();
    let manager = Held {
        id: issued.record().id,
        text: issued.key().expose().to_owned(),
    };
    scene.name(&manager, "manager");
    let context = keyward::RequestContext::new();
    let verified = service.verify(manager.text.as_bytes(), &context);
    let acting = Actor::key(&verified.await.unwrap()).unwrap();
    service.recorder().flush().await.unwrap();
    let own = keyward::access::Grant::try_scopes(["send_email".parse().unwrap()]).unwrap();
    let child = service
        .issue(
            &acting,
            IssueKey::new("acme".parse().unwrap(), "child", own),
        )
        .await
        .unwrap();
    scene
        .names
        .insert(child.record().id.as_str().to_owned(), "child");
    let beyond = keyward::access::Grant::try_scopes(["delete_all".parse().unwrap()]).unwrap();
    service
        .issue(
            &acting,
            IssueKey::new("acme".parse().unwrap(), "beyond", beyond),
        )
        .await
        .unwrap_err();
    service.recorder().flush().await.unwrap();
}

/// A key that a scanner found, and one of nobody's.
async fn leak(scene: &mut Scene) {
    let leaked = scene.key("leaked", |request| request).await;
    let service = scene.world.service.clone();
    let stranger = service
        .format()
        .generate(&keyward::random::OsRandom::new())
        .unwrap();
    let found = [
        leaked.text.as_str(),
        stranger.plaintext().expose(),
        "nonsense",
    ];
    let scanner = Actor::system("scanner").unwrap();
    let _ = service
        .report_leaked(&scanner, LeakedTokens::new(found).unwrap())
        .await
        .unwrap();
    service.recorder().flush().await.unwrap();
}

/// One event as a line, keys by their names in the script.
fn rendered(event: &AuditEvent, names: &HashMap<String, &'static str>) -> String {
    let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let named = |text: &str| {
        let mut text = text.to_owned();
        for (id, name) in names {
            text = text.replace(id.as_str(), name);
        }
        text
    };
    let outcome = match event.outcome() {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
    };
    let actor = event.actor().map(ToString::to_string);
    let mut line = format!(
        "{} {outcome} {} {} {}",
        event.kind(),
        dash(event.reason()),
        dash(actor.as_deref()),
        dash(event.key_id()),
    );
    let client = event.client_ip().map(|ip| ip.to_string());
    let status = event.status().map(|status| status.to_string());
    let fields = [
        ("owner", event.owner()),
        ("tenant", event.tenant()),
        ("role", event.role()),
        ("client", client.as_deref()),
        ("agent", event.user_agent()),
        ("request", event.request_id()),
        ("method", event.method()),
        ("route", event.route()),
        ("status", status.as_deref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            write!(line, " {name}={value}").unwrap();
        }
    }
    for (name, value) in event.details() {
        match value {
            Detail::Text(text) => write!(line, " {name}={text:?}").unwrap(),
            Detail::Number(number) => write!(line, " {name}={number}").unwrap(),
            other => write!(line, " {name}={other:?}").unwrap(),
        }
    }
    named(&line)
}

fn assert_expected(events: &[AuditEvent], scene: &Scene) {
    assert_counted(events);
    assert_as_expected(events, scene);
}

/// One order, without a gap and with nothing twice.
fn assert_counted(events: &[AuditEvent]) {
    let sequences: Vec<_> = events.iter().filter_map(AuditEvent::sequence).collect();
    let counted: Vec<_> = (1..).take(events.len()).collect();
    assert_eq!(sequences, counted, "a gap, or an event twice");
}

fn expected() -> Vec<String> {
    let lines = EXPECTED.lines().filter(|line| !line.starts_with('#'));
    lines.map(ToOwned::to_owned).collect()
}

fn assert_as_expected(events: &[AuditEvent], scene: &Scene) {
    let lines: Vec<_> = events
        .iter()
        .map(|event| rendered(event, &scene.names))
        .collect();
    let expected = expected();
    // An alert stands behind the batch that its event was written in, and batches depend on the time.
    let is_alert = |line: &&String| line.starts_with("alert_raised ");
    let (alerts, others): (Vec<_>, Vec<_>) = lines.iter().partition(is_alert);
    let (raised, told): (Vec<_>, Vec<_>) = expected.iter().partition(is_alert);
    let found = others.iter().chain(&alerts);
    for (number, pair) in found.zip(told.iter().chain(&raised)).enumerate() {
        assert_eq!(
            pair.0,
            pair.1,
            "event {} of\n{}",
            number + 1,
            lines.join("\n")
        );
    }
    assert_eq!(lines.len(), expected.len(), "{}", lines.join("\n"));
}

#[tokio::test]
async fn in_memory() {
    let sink = MemorySink::unbounded();
    let mut scene = Scene::new(sink.clone());
    play(&mut scene).await;
    assert_expected(&sink.events(), &scene);
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut scene = Scene::new(JsonLinesSink::open(&path).await.unwrap());
    play(&mut scene).await;
    let report = verify_chain(trail_files(&path).unwrap()).unwrap();
    assert_eq!(report.unchained, 0);
    let text = std::fs::read_to_string(&path).unwrap();
    let events: Vec<AuditEvent> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_expected(&events, &scene);
}

#[tokio::test]
async fn in_a_table_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let mut scene = Scene::new(SqliteAuditSink::open(&path, "scene").await.unwrap());
    play(&mut scene).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT event FROM keyward_audit ORDER BY position")
            .fetch_all(&pool)
            .await
            .unwrap();
    let events: Vec<AuditEvent> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_expected(&events, &scene);
}

#[tokio::test]
async fn in_a_table_of_postgres() {
    let url = servers::Postgres::shared().database();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let sink = PostgresAuditSink::from_pool(pool.clone(), "scene").unwrap();
    sink.migrate().await.unwrap();
    let mut scene = Scene::new(sink);
    play(&mut scene).await;
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT event FROM keyward.audit ORDER BY position")
            .fetch_all(&pool)
            .await
            .unwrap();
    let events: Vec<AuditEvent> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_expected(&events, &scene);
}

/// The service reads its own trail. A change stands there with its commit and all else a moment later: the order within each
/// of the two is that of the script, and every event stands there once.
async fn assert_kept_with_the_changes(scene: &Scene) {
    let query = AuditQuery::new().with_page_size(1000);
    let page = scene
        .world
        .service
        .read_audit(&scene.world.admin, query)
        .await
        .unwrap();
    let events: Vec<_> = page
        .events
        .iter()
        .map(|entry| entry.event.clone())
        .collect();
    // Changes and all else count for themselves: two of each number, then one, and never a gap.
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for sequence in events.iter().filter_map(AuditEvent::sequence) {
        *counts.entry(sequence).or_default() += 1;
    }
    assert!(counts.keys().copied().eq(1..=counts.len() as u64), "a gap");
    let counts: Vec<_> = counts.into_values().collect();
    assert!(
        counts.is_sorted_by(|a, b| a >= b) && counts[0] == 2,
        "{counts:?}"
    );
    let is_change = |line: &&String| line.starts_with("key_") && line.contains(" success ");
    let lines = events.iter().map(|event| rendered(event, &scene.names));
    let (mut lines, mut expected): (Vec<_>, Vec<_>) = (lines.collect(), expected());
    let changes: Vec<_> = lines.iter().filter(is_change).collect();
    assert_eq!(
        changes,
        expected.iter().filter(is_change).collect::<Vec<_>>()
    );
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn with_the_changes_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.db"))
        .await
        .unwrap();
    let mut scene = Scene::audited(store.with_audit("scene").await.unwrap());
    play(&mut scene).await;
    assert_kept_with_the_changes(&scene).await;
}

#[tokio::test]
async fn with_the_changes_in_postgres() {
    let store = PostgresStore::connect(&servers::Postgres::shared().database())
        .await
        .unwrap();
    let mut scene = Scene::audited(store.with_audit("scene").await.unwrap());
    play(&mut scene).await;
    assert_kept_with_the_changes(&scene).await;
}

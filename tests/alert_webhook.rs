//! Webhooks, over real connections to a receiver on this machine.
#![cfg(all(feature = "webhook", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::future::pending;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use keyward::alert::{
    AlertError, AlertKind, AlertRule, Alerts, Finding, WebhookError, WebhookSecret, WebhookSink,
    WebhookSinkBuilder,
};
use keyward::audit::{AuditEvent, AuditKind, AuditObserver as _};
use keyward::testing::{ManualClock, SeededRandom};
use keyward::time::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NEXT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
/// As in `tests/run.sh`.
const STANDARDWEBHOOKS: &str = "standardwebhooks-1.1.0";

/// What the receiver does with the request of this number.
type Script = fn(usize) -> Option<Response>;

#[derive(Clone, Debug)]
struct Seen {
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Clone)]
struct Receiver {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
    address: String,
}

impl Receiver {
    /// Answers what the script says; where that is nothing, it never does.
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            seen: Arc::default(),
            script,
            address: format!(
                "http://{}/hook?token=canary",
                listener.local_addr().unwrap()
            ),
        };
        let routes = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        receiver
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let number = {
        let mut seen = receiver.seen.lock().unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        seen.push(Seen { headers, body });
        seen.len()
    };
    match (receiver.script)(number) {
        Some(response) => response,
        None => pending().await,
    }
}

fn status(code: u16) -> Option<Response> {
    Some(StatusCode::from_u16(code).unwrap().into_response())
}

fn secret(text: &str) -> WebhookSecret {
    text.parse().unwrap()
}

fn builder(address: &str) -> WebhookSinkBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    WebhookSink::builder(address, secret(SECRET))
        .clock(ManualClock::new(NOW))
        .random(SeededRandom::new(1))
        .first_pause(Duration::from_millis(1))
}

#[derive(Debug)]
struct Revoked;

impl AlertRule for Revoked {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        findings.extend(Finding::of_key(AlertKind::Custom("revoked"), event));
    }
}

/// An engine that raises an alert for each event it is shown, and what its sink said.
struct Engine {
    alerts: Alerts,
    said: Arc<Mutex<Vec<AlertError>>>,
}

impl Engine {
    fn new(hook: WebhookSink) -> Self {
        let said: Arc<Mutex<Vec<AlertError>>> = Arc::default();
        let heard = Arc::clone(&said);
        let alerts = Alerts::builder()
            .rule(Revoked)
            .sink("hook", hook)
            .report_failures(move |_, error| {
                let copy = match error {
                    AlertError::Unavailable { source, .. } => {
                        AlertError::unavailable("copy", chain(&**source))
                    }
                    other => AlertError::refused("copy", chain(other)),
                };
                heard.lock().unwrap().push(copy);
            })
            .start()
            .unwrap();
        Self { alerts, said }
    }

    /// Raises one alert, and waits for what becomes of it.
    async fn raise(&self, key: &str) -> Result<(), AlertError> {
        let event = AuditEvent::new(AuditKind::KeyRevoked, NOW)
            .with_key_id(key)
            .with_owner("acme");
        self.alerts.observe(&event, &mut Vec::new());
        let _ = self.alerts.flush().await;
        self.said.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

/// All that an error says.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(" / {cause} {cause:?}");
        next = cause.source();
    }
    text
}

async fn sent(hook: WebhookSink) -> Result<(), AlertError> {
    Engine::new(hook).raise("a1B2c3D4e5F6").await
}

fn is_unavailable(error: &AlertError) -> bool {
    matches!(error, AlertError::Unavailable { .. })
}

/// What receivers use. It is asked with its own clock turned off: the time of these tests stands still.
fn verifies(seen: &Seen, with: &str) -> bool {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = cache.unwrap().join("keyward-test-servers");
    let folder = folder.join(STANDARDWEBHOOKS);
    assert!(
        folder.is_dir(),
        "{STANDARDWEBHOOKS} is needed: run ./tests/run.sh servers"
    );
    let script = "\
import sys, datetime
from standardwebhooks import webhooks
at = datetime.datetime.fromtimestamp(1700000000 + 60, datetime.timezone.utc)
class Now(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return at
webhooks.datetime = Now
names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
webhooks.Webhook(sys.argv[1]).verify(sys.argv[2].encode(), dict(zip(names, sys.argv[3:])))
";
    let output = Command::new("python3")
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", script, with, &seen.body])
        .arg(seen.header("webhook-id"))
        .arg(seen.header("webhook-timestamp"))
        .arg(seen.header("webhook-signature"))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() || said.contains("WebhookVerificationError"),
        "{said}"
    );
    output.status.success()
}

#[tokio::test]
async fn what_it_sends_is_verified_by_the_library_that_receivers_use() {
    let receiver = Receiver::start(|_| status(204)).await;
    sent(builder(&receiver.address).build().unwrap())
        .await
        .unwrap();

    let seen = &receiver.seen()[0];
    assert!(verifies(seen, SECRET));
    assert!(!verifies(seen, NEXT_SECRET));
    let mut forged = seen.clone();
    forged.body = forged.body.replace("acme", "evil");
    assert!(!verifies(&forged, SECRET));
}

#[tokio::test]
async fn while_secrets_change_receivers_with_either_are_served() {
    let receiver = Receiver::start(|_| status(200)).await;
    let hook = builder(&receiver.address).also_signed_with(secret(NEXT_SECRET));
    sent(hook.build().unwrap()).await.unwrap();

    let seen = &receiver.seen()[0];
    assert!(verifies(seen, SECRET) && verifies(seen, NEXT_SECRET));
}

#[tokio::test]
async fn the_body_is_what_the_specification_recommends() {
    let receiver = Receiver::start(|_| status(200)).await;
    sent(builder(&receiver.address).build().unwrap())
        .await
        .unwrap();

    let seen = &receiver.seen()[0];
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("webhook-timestamp"), "1700000000");
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["type"], "keyward.alert.revoked");
    assert_eq!(body["timestamp"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(body["data"]["key_id"], "a1B2c3D4e5F6");
    assert_eq!(body["data"]["id"], seen.header("webhook-id"));
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_under_the_same_id() {
    let receiver = Receiver::start(|number| match number {
        1 => status(500),
        2 => status(429),
        3 => status(408),
        _ => status(200),
    })
    .await;
    let hook = builder(&receiver.address).build().unwrap();
    sent(hook.clone()).await.unwrap();

    let seen = receiver.seen();
    assert_eq!(seen.len(), 4);
    let ids: std::collections::HashSet<_> = seen.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1);
    let stats = hook.stats();
    assert_eq!((stats.sent, stats.failed, stats.retries), (1, 0, 3));
}

#[tokio::test]
async fn a_failure_that_stays_is_tried_as_often_as_was_set() {
    let receiver = Receiver::start(|_| status(503)).await;
    let hook = builder(&receiver.address).attempts(NonZeroU32::new(3).unwrap());
    let hook = hook.build().unwrap();
    assert!(is_unavailable(&sent(hook.clone()).await.unwrap_err()));
    assert_eq!(receiver.seen().len(), 3);
    assert_eq!(hook.stats().failed, 1);
}

#[tokio::test]
async fn what_the_receiver_refuses_is_not_tried_again() {
    let receiver = Receiver::start(|_| status(400)).await;
    let hook = builder(&receiver.address).build().unwrap();
    let error = sent(hook).await.unwrap_err();
    assert!(!is_unavailable(&error));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_gets_nothing_more() {
    let receiver = Receiver::start(|_| status(410)).await;
    let hook = builder(&receiver.address).build().unwrap();
    let engine = Engine::new(hook.clone());
    for key in ["a1B2c3D4e5F6", "b1B2c3D4e5F6"] {
        assert!(engine.raise(key).await.is_err());
    }
    assert_eq!(receiver.seen().len(), 1);
    let stats = hook.stats();
    assert!(stats.gone);
    assert_eq!(stats.failed, 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(|_| {
        let elsewhere = [(header::LOCATION, "/elsewhere")];
        Some((StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response())
    })
    .await;
    let hook = builder(&receiver.address).build().unwrap();
    assert!(!is_unavailable(&sent(hook).await.unwrap_err()));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_deadline_because_the_receiver_asks_for_it() {
    let receiver = Receiver::start(|_| {
        let later = [(header::RETRY_AFTER, "3600")];
        Some((StatusCode::SERVICE_UNAVAILABLE, later).into_response())
    })
    .await;
    let hook = builder(&receiver.address).build().unwrap();
    assert!(is_unavailable(&sent(hook).await.unwrap_err()));
    assert_eq!(receiver.seen().len(), 1);
}

/// Paused time jumps to the next timer whenever nothing else can happen: here, that is always the one of a wait.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_given_up() {
    let receiver = Receiver::start(|_| None).await;
    let hook = builder(&receiver.address).attempts(NonZeroU32::new(2).unwrap());
    let begun = tokio::time::Instant::now();
    let error = sent(hook.build().unwrap()).await.unwrap_err();
    assert!(is_unavailable(&error));
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(30) && took < Duration::from_secs(31),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_alert_takes_no_longer_than_the_deadline() {
    let receiver = Receiver::start(|_| None).await;
    let hook = builder(&receiver.address).deadline(Duration::from_secs(20));
    let begun = tokio::time::Instant::now();
    let error = sent(hook.build().unwrap()).await.unwrap_err();
    assert!(chain(&error).contains("within 20s"), "{}", chain(&error));
    assert!(begun.elapsed() < Duration::from_secs(21));
}

#[tokio::test]
async fn the_body_of_an_answer_is_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let flood = tokio::spawn(async move {
        let (mut link, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = link.read(&mut request).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
        link.write_all(head).await.unwrap();
        let mut written = 0_usize;
        while let Ok(bytes) = link.write(&[b'x'; 65536]).await {
            written += bytes;
            assert!(written < 1 << 30, "it reads on and on");
        }
    });
    sent(builder(&address).build().unwrap()).await.unwrap();
    flood.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/?token=canary", listener.local_addr().unwrap());
    drop(listener);
    let hook = builder(&address).build().unwrap();
    let error = sent(hook.clone()).await.unwrap_err();
    assert!(is_unavailable(&error));
    assert_eq!(hook.stats().retries, 5);
    assert!(!chain(&error).contains("canary"), "{}", chain(&error));
}

#[tokio::test]
async fn answers_that_are_no_http_are_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/?token=canary", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut link, _)) = listener.accept().await {
            let _ = link.write_all(b"SSH-2.0-canary\r\n\r\n").await;
        }
    });
    let error = sent(builder(&address).build().unwrap()).await.unwrap_err();
    assert!(is_unavailable(&error));
    assert!(!chain(&error).contains("canary"), "{}", chain(&error));
}

#[test]
fn neither_secret_nor_path_nor_query_shows() {
    let hook = builder("https://hooks.example.com/services/canary?token=canary");
    let shown = format!("{hook:?}");
    let hook = hook.build().unwrap();
    let shown = format!("{shown} {hook:?} {:?}", secret(SECRET));
    assert!(!shown.contains("canary"), "{shown}");
    for part in ["C2FVsBQI", "whsec"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("https://hooks.example.com"));
}

#[test]
fn addresses_that_cannot_be_used_are_refused() {
    for address in [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "https://",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com/#part",
    ] {
        let error = builder(address).build().unwrap_err();
        assert!(matches!(error, WebhookError::Address), "{address}");
    }
}

#[test]
fn plain_http_is_for_this_machine_unless_one_insists() {
    for address in ["http://hooks.example.com/", "http://localhost.example/"] {
        let error = builder(address).build().unwrap_err();
        assert!(matches!(error, WebhookError::PlainHttp), "{address}");
        assert!(builder(address).dangerous().plain_http().build().is_ok());
    }
    for address in ["http://localhost/", "http://[::1]:1/", "http://127.9.9.9/"] {
        assert!(builder(address).build().is_ok(), "{address}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let usual = || builder("https://hooks.example.com/");
    let (none, day) = (Duration::ZERO, Duration::from_secs(86_400));
    for (hook, setting) in [
        (usual().answer_within(none), "answer_within"),
        (usual().answer_within(day), "answer_within"),
        (usual().deadline(none), "deadline"),
        (usual().deadline(Duration::MAX), "deadline"),
        (usual().first_pause(none), "first_pause"),
        (usual().first_pause(day), "first_pause"),
    ] {
        match hook.build() {
            Err(WebhookError::Setting { name, .. }) => assert_eq!(name, setting),
            other => panic!("{setting}: {other:?}"),
        }
    }
    let many = (0..4).fold(usual(), |it, _| it.also_signed_with(secret(SECRET)));
    assert!(many.build().is_err());
    let certificates = usual().root_certificates("no certificates").build();
    assert!(matches!(certificates, Err(WebhookError::Certificates)));
}

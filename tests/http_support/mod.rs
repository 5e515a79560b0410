//! What the tests of the HTTP layers share: a service on a clock that stands still, and an app to call.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    missing_docs,
    unreachable_pub,
    reason = "helpers of tests; not every test uses all of them"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use keyward::KeyService;
use keyward::access::{AccessPolicy, Grant};
use keyward::async_trait;
use keyward::audit::{AuditEvent, AuditKind, MemorySink};
use keyward::hash::{Bcrypt, Hashing};
use keyward::http::{ConnectionInfo, Scheme};
use keyward::key::{KeyFormat, KeyId, KeyKind, KeyRecord, Revision};
use keyward::rate_limit::{Quota, Tier, Tiers};
use keyward::service::{Actor, IssueKey, KeyServiceBuilder, LimitPlan};
use keyward::store::{
    AuditedStore, Capabilities, InsertKey, KeyStore, ListKeys, MemoryStore, Page, StoreError, Usage,
};
use keyward::testing::ManualClock;
use keyward::time::{Clock as _, Timestamp};
use tower::ServiceExt as _;

/// A store that can be made to fail.
#[derive(Clone, Debug, Default)]
pub struct Store {
    inner: Arc<MemoryStore>,
    down: Arc<AtomicBool>,
    reads: Arc<AtomicU32>,
}

impl Store {
    pub fn fail(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("memory", "pulled the plug"));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyStore for Store {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.check()?;
        self.inner.insert(insert).await
    }
    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        self.inner.find(id).await
    }
    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.check()?;
        self.inner.update(record).await
    }
    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.check()?;
        self.inner.record_usage(usage).await
    }
    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.check()?;
        self.inner.list(query).await
    }
    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.check()?;
        self.inner.delete(id, expected).await
    }
}

/// A service, and everything a test turns or looks at.
pub struct World {
    pub service: KeyService,
    pub store: Store,
    pub clock: ManualClock,
    pub sink: MemorySink,
    pub admin: Actor,
}

/// A key as its owner holds it.
pub struct Held {
    pub id: KeyId,
    pub text: String,
}

impl World {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(change: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder) -> Self {
        let (store, sink) = (Store::default(), MemorySink::unbounded());
        let builder = KeyService::builder(store.clone()).audit(sink.clone());
        Self::of(builder, change, store, sink)
    }

    /// Over a store that keeps the trail itself; the world's own store and sink are not used.
    pub fn audited(
        store: impl AuditedStore,
        change: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder,
    ) -> Self {
        let builder = KeyService::builder_audited(store);
        Self::of(builder, change, Store::default(), MemorySink::unbounded())
    }

    fn of(
        builder: KeyServiceBuilder,
        change: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder,
        store: Store,
        sink: MemorySink,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build().unwrap();
        let builder = builder
            .hashing(Hashing::builder().prefer(bcrypt).build().unwrap())
            .limits(plan())
            .clock(clock.clone());
        Self {
            service: change(builder).build().unwrap(),
            store,
            clock,
            sink,
            admin: Actor::user("ana").unwrap(),
        }
    }

    /// Issues a key that may send e-mail, in the tier of three requests a minute.
    pub async fn key(&self) -> Held {
        self.key_with(|request| request).await
    }

    pub async fn key_with(&self, change: impl FnOnce(IssueKey) -> IssueKey) -> Held {
        let grant = Grant::try_scopes(["send_email".parse().unwrap()]).unwrap();
        let request = change(IssueKey::new("acme".parse().unwrap(), "mailer", grant));
        let issued = self.service.issue(&self.admin, request).await.unwrap();
        Held {
            id: issued.record().id,
            text: issued.key().expose().to_owned(),
        }
    }

    /// A world that makes publishable keys, and one of them.
    pub async fn publishing() -> (Self, Held) {
        let policy = AccessPolicy::builder().publishable(["send_email"]);
        let format = KeyFormat::builder().publishable();
        let world = Self::with(|builder| {
            let builder = builder.policy(policy.build().unwrap());
            builder.format(format.build().unwrap())
        });
        let publishable = |request: IssueKey| request.with_kind(KeyKind::Publishable);
        let key = world.key_with(publishable).await;
        (world, key)
    }

    pub async fn record(&self, id: &KeyId) -> Arc<KeyRecord> {
        self.store.inner.find(id).await.unwrap().unwrap()
    }

    /// All events so far.
    pub async fn events(&self) -> Vec<AuditEvent> {
        self.service.recorder().flush().await.unwrap();
        self.sink.events()
    }

    pub async fn events_of(&self, kind: AuditKind) -> Vec<AuditEvent> {
        let mut events = self.events().await;
        events.retain(|event| event.kind() == kind);
        events
    }

    /// Returns how many requests of the tier the key has left.
    pub async fn left(&self, key: &Held) -> u32 {
        let context = keyward::RequestContext::new();
        let verified = self
            .service
            .verify(key.text.as_bytes(), &context)
            .await
            .unwrap();
        let decision = self.service.limit(&verified, 0).await.unwrap();
        decision.tightest().unwrap().remaining()
    }

    pub fn later(&self, seconds: u64) -> Timestamp {
        self.clock
            .now()
            .saturating_add(Duration::from_secs(seconds))
    }
}

/// Three requests a minute.
pub fn plan() -> LimitPlan {
    let quota = Quota::per_minute(3).unwrap().named("small").unwrap();
    let tiers = Tiers::empty().with(Tier::new("small", [quota]).unwrap());
    LimitPlan::new(tiers.unwrap(), "small").unwrap()
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        assert!(
            self.headers.get_all(name).iter().count() < 2,
            "{name} twice"
        );
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn headers_but_length(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove("content-length");
        headers
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// Asserts that the response is a problem of that status and code.
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let json = self.json();
        assert_eq!(json["status"], status);
        assert_eq!(json["code"], code);
        assert!(json["type"].is_string() && json["title"].is_string());
    }
}

/// Starts a GET with a key.
pub fn get(path: &str) -> Call {
    Call(Request::get(path))
}

pub fn get_with(path: &str, key: &Held) -> Call {
    get(path).header("x-api-key", &key.text)
}

/// A request in the making.
pub struct Call(http::request::Builder);

impl Call {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bytes(self, name: &str, value: &[u8]) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn method(self, method: &str) -> Self {
        Self(self.0.method(method))
    }

    pub fn extension<T: Clone + Send + Sync + 'static>(self, extension: T) -> Self {
        Self(self.0.extension(extension))
    }

    /// From that address, unencrypted.
    pub fn from(self, peer: &str) -> Self {
        self.over(peer, Scheme::Http)
    }

    pub fn over(self, peer: &str, scheme: Scheme) -> Self {
        let peer = SocketAddr::new(peer.parse().unwrap(), 50_000);
        self.extension(ConnectionInfo::new(peer, scheme))
    }

    pub async fn send(self, app: &Router) -> Reply {
        let request = self.0.body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

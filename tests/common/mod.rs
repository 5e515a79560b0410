//! A service on parts that a test can count, hold up, break and set the time of.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::must_use_candidate,
    clippy::future_not_send,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

mod ledger;
mod store;

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use keyward::access::{AccessPolicy, Grant, Role, Scope, TenantBinding, TenantReach};
use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, MemorySink, Outcome};
use keyward::hash::{Bcrypt, HashPool, Hashing, HashingBuilder, PepperRing};
use keyward::key::{KeyId, KeyRecord};
use keyward::service::{
    Actor, IssueKey, IssuePolicy, IssuedKey, KeyService, KeyServiceBuilder, Rejection,
    RequestContext, VerifiedKey, VerifyError,
};
use keyward::store::KeyStore;
use keyward::testing::{CountingHasher, FaultySink, ManualClock, SeededRandom};

pub use ledger::{Ledger, Telling};
pub use store::{Call, TestStore};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MICRO: Duration = Duration::from_micros(1);

/// One process: a service and what it stands on. Several may share a store and a clock.
pub struct Rig {
    pub service: KeyService,
    pub store: TestStore,
    pub clock: ManualClock,
    pub sink: FaultySink<MemorySink>,
    pub trail: MemorySink,
    pub hasher: CountingHasher,
}

/// bcrypt at its lowest cost.
pub fn quick_bcrypt(cost: u32) -> Bcrypt {
    Bcrypt::builder()
        .dangerous()
        .low_cost(cost)
        .accepted(4..=12)
        .build()
        .unwrap()
}

pub fn pool(threads: usize, queue: usize) -> HashPool {
    HashPool::builder()
        .threads(NonZeroUsize::new(threads).unwrap())
        .queue(queue)
        .build()
        .unwrap()
}

/// Its text is `pepper 1 0123456789 abcdefghijklmnop`, with its version.
pub fn pepper(version: u32) -> PepperRing {
    peppers(&[version])
}

/// The last one is the current one.
pub fn peppers(versions: &[u32]) -> PepperRing {
    let ring = versions
        .iter()
        .fold(PepperRing::builder(), |ring, version| {
            ring.pepper(
                *version,
                format!("pepper {version} 0123456789 abcdefghijklmnop"),
            )
        });
    ring.current(*versions.last().unwrap()).build().unwrap()
}

pub fn rig() -> Rig {
    Rig::new(|builder| builder)
}

impl Rig {
    pub fn new(with: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder) -> Self {
        Self::on(TestStore::new(), ManualClock::default(), |it| it, with)
    }

    pub fn hashing(hashing: impl FnOnce(HashingBuilder) -> HashingBuilder) -> Self {
        Self::on(TestStore::new(), ManualClock::default(), hashing, |it| it)
    }

    /// Another process on the same store.
    pub fn another(&self, with: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder) -> Self {
        Self::on(self.store.clone(), self.clock.clone(), |it| it, with)
    }

    pub fn on(
        store: TestStore,
        clock: ManualClock,
        hashing: impl FnOnce(HashingBuilder) -> HashingBuilder,
        with: impl FnOnce(KeyServiceBuilder) -> KeyServiceBuilder,
    ) -> Self {
        let trail = MemorySink::unbounded();
        let sink = FaultySink::new(trail.clone());
        let recorder = AuditRecorder::builder(sink.clone())
            .attempts(NonZeroU32::MIN)
            .linger(Duration::ZERO)
            .start()
            .unwrap();
        let hasher = CountingHasher::new(quick_bcrypt(4));
        let hashing = hashing(Hashing::builder().prefer(hasher.clone()));
        let builder = KeyService::builder(store.clone())
            .policy(policy())
            .issue_policy(without_factors())
            .hashing(hashing.build().unwrap())
            .hash_pool(pool(2, 64))
            .recorder(recorder)
            .audit_log(trail.clone())
            .clock(clock.clone());
        Self {
            service: with(builder).build().unwrap(),
            store,
            clock,
            sink,
            trail,
            hasher,
        }
    }

    pub async fn issue(&self) -> IssuedKey {
        self.issue_as(request()).await
    }

    pub async fn issue_as(&self, request: IssueKey) -> IssuedKey {
        self.service.issue(&admin(), request).await.unwrap()
    }

    pub async fn verify(&self, key: &str) -> Result<VerifiedKey, VerifyError> {
        self.verify_with(key, &RequestContext::new()).await
    }

    pub async fn verify_from(&self, key: &str, client: &str) -> Result<VerifiedKey, VerifyError> {
        let context = RequestContext::new().with_client(client.parse::<IpAddr>().unwrap());
        self.verify_with(key, &context).await
    }

    pub async fn verify_with(
        &self,
        key: &str,
        context: &RequestContext<'_>,
    ) -> Result<VerifiedKey, VerifyError> {
        self.service.verify(key.as_bytes(), context).await
    }

    /// The rejection of a key that must be rejected, not unanswered.
    pub async fn rejected(&self, key: &str) -> Rejection {
        rejection(self.verify(key).await)
    }

    pub async fn accepts(&self, key: &str) -> bool {
        self.verify(key).await.is_ok()
    }

    pub async fn record(&self, id: &KeyId) -> KeyRecord {
        (*self.store.find(id).await.unwrap().unwrap()).clone()
    }

    /// Everything that has been written down so far.
    pub async fn events(&self) -> Vec<AuditEvent> {
        self.service.recorder().flush().await.unwrap();
        self.trail.events()
    }

    pub async fn events_of(&self, kind: AuditKind) -> Vec<(Outcome, Option<String>)> {
        let events = self.events().await;
        let of_kind = events.iter().filter(|event| event.kind() == kind);
        of_kind
            .map(|event| (event.outcome(), event.reason().map(str::to_owned)))
            .collect()
    }

    pub async fn revoke(&self, issued: &IssuedKey) {
        let id = &issued.record().id;
        let revoked = self.service.revoke(&admin(), id, "gone").await.unwrap();
        assert!(revoked.unaudited.is_none());
    }

    /// The actor that a key is, after it was verified.
    pub async fn acting(&self, key: &IssuedKey) -> Actor {
        Actor::key(&self.verify(key.key().expose()).await.unwrap()).unwrap()
    }
}

pub fn rejection(outcome: Result<VerifiedKey, VerifyError>) -> Rejection {
    match outcome.unwrap_err() {
        VerifyError::Rejected(rejection) => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

pub fn admin() -> Actor {
    Actor::user("ana").unwrap()
}

pub fn scopes(list: &[&str]) -> Grant {
    Grant::try_scopes(list.iter().map(|scope| scope.parse::<Scope>().unwrap())).unwrap()
}

pub fn request() -> IssueKey {
    request_with(scopes(&["send_email"]))
}

pub fn request_with(grant: Grant) -> IssueKey {
    IssueKey::new("acme".parse().unwrap(), "mailer", grant).with_justification("for a test")
}

/// Most tests are about something else than second factors.
pub fn without_factors() -> IssuePolicy {
    let builder = IssuePolicy::builder().dangerous();
    builder.admin_keys_without_second_factor().build().unwrap()
}

pub fn tenant(name: &str) -> TenantBinding {
    TenantBinding::Tenant(name.parse().unwrap())
}

/// Two roles: one for a tenant's administrator, one for the platform's.
pub fn policy() -> AccessPolicy {
    let keys = Role::new("keys", ["manage_keys", "leads:*"]).unwrap();
    let root = Role::new("root", ["manage_keys", "leads:*", "billing:*"]).unwrap();
    let small = Role::new("small", ["leads:read"]).unwrap();
    AccessPolicy::builder()
        .roles([keys, root.with_reach(TenantReach::AllTenants), small])
        .build()
        .unwrap()
}

/// The same id with another secret, well-formed, and with the same last four characters if asked.
pub fn wrong_secret(key: &str, same_hint: bool) -> String {
    let format = keyward::key::KeyFormat::default();
    let id: KeyId = key["pm_live_".len()..][..12].parse().unwrap();
    let hint = |key: &str| key[key.len() - 10..key.len() - 6].to_owned();
    let made = format
        .generate_for(id, &SeededRandom::new(4711))
        .unwrap()
        .into_plaintext();
    let made = made.expose();
    if !same_hint {
        assert_ne!(hint(made), hint(key));
        return made.to_owned();
    }
    let body = format!("{}{}", &made[..made.len() - 10], hint(key));
    let sum = checksum(&body);
    format!("{body}{sum}")
}

/// Six base62 characters of the CRC-32.
pub fn checksum(body: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

/// A well-formed key of that id and secret.
pub fn known_key(id: &str, secret: &str) -> String {
    let body = format!("pm_live_{id}{secret}");
    let sum = checksum(&body);
    format!("{body}{sum}")
}

/// Returns once so many slow hashes have begun, those of issuing among them.
pub async fn wait_for_hashes(rig: &Rig, count: usize) {
    let gate = rig.hasher.gate().clone();
    tokio::task::spawn_blocking(move || gate.wait_for(count))
        .await
        .unwrap();
}

//! What callers rely on without calling it: where types may go, and which traits may be objects.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "a test may fail where it stands"
)]

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use keyward::access::{AccessPolicy, CeilingError, Decision, Grant, Requirement};
use keyward::alert::{
    Alert, AlertError, AlertKind, AlertRule, AlertSink, Alerts, AlertsBuilder, Country,
    CountryResolver, Finding, InvalidCountry, InvalidRule, MemoryAlertSink,
};
use keyward::audit::export::{CsvRecords, ExportError, Exported, OcsfLines, Product, TrailEvents};
use keyward::audit::{
    AuditCursor, AuditError, AuditEvent, AuditPage, AuditPurge, AuditQuery, AuditRecorder,
    AuditSink, ChainError, ChainReport, InvalidAuditCursor, LineHash, MemorySink, PurgeError,
    PurgeReport, Purged, TrailFiles,
};
use keyward::hash::{HashError, HashPool, Hashing, KeyHasher, PepperRing, PoolError, ProofMemory};
use keyward::key::{KeyFormat, KeyId, KeyParseError, KeyRecord, SecretKey};
use keyward::random::{RandomError, SecureRandom};
use keyward::rate_limit::{MemoryRateLimiter, RateDecision, RateLimitError, RateLimiter};
use keyward::service::{
    Actor, BuildError, DangerousBuilder, FailureBudget, ImportKey, IssueKey, IssuedKey, KeyService,
    KeyServiceBuilder, LifecycleError, LimitError, LimitPlan, OwnerStatus, Rejection,
    RequestContext, Retirement, Review, Revoked, Rotation, RotationAge, RotationPolicy,
    RotationPolicyBuilder, RotationPolicyError, ServiceCounters, ShutdownError, UnknownTier,
    UpdateKey, VerifiedKey, VerifyError,
};
use keyward::store::{
    AuditedError, AuditedStore, KeyStore, ListKeys, MemoryStore, Page, StoreError,
};
use keyward::time::{Clock, Timestamp};

fn goes_anywhere<T: Send + Sync + Unpin + 'static>() {}
fn shows_itself<T: Debug>() {}
fn is_an_error<T: Error + Send + Sync + 'static>() {}
fn is_cloned<T: Clone>() {}

macro_rules! all {
    ($check:ident: $($type:ty),* $(,)?) => {
        $($check::<$type>();)*
    };
}

#[test]
fn values_cross_threads_and_show_themselves() {
    all!(goes_anywhere:
        KeyService, KeyServiceBuilder, DangerousBuilder, VerifiedKey, IssuedKey, Actor, IssueKey,
        ImportKey, UpdateKey, Retirement, Revoked, Rotation, RotationAge, RotationPolicy, RotationPolicyBuilder, Review, LimitPlan, FailureBudget, Rejection,
        RequestContext<'static>, ServiceCounters, AccessPolicy, Grant, Requirement, Decision,
        AuditEvent, AuditRecorder, AuditCursor, AuditPage, AuditQuery, PurgeReport, TrailFiles, ChainReport, LineHash, MemorySink, Purged, HashPool, Hashing, PepperRing, ProofMemory,
        KeyFormat, KeyId, KeyRecord, SecretKey, MemoryRateLimiter, RateDecision, ListKeys, Page,
        MemoryStore, Timestamp, CsvRecords<Vec<u8>>, Exported, OcsfLines<Vec<u8>>, Product, TrailEvents,
        Alert, Alerts, AlertsBuilder, AlertKind, Country, Finding, MemoryAlertSink,
    );
    all!(shows_itself:
        KeyService, KeyServiceBuilder, DangerousBuilder, VerifiedKey, IssuedKey, Actor, IssueKey,
        ImportKey, UpdateKey, Revoked, LimitPlan, KeyRecord, AuditPurge<'static>, SecretKey, Hashing, PepperRing,
    );
    all!(is_cloned: KeyService, VerifiedKey, Actor, IssueKey, UpdateKey, LimitPlan);
}

#[cfg(feature = "postgres")]
#[test]
fn what_postgresql_needs_crosses_threads_and_shows_itself() {
    use keyward::audit::PostgresAuditSink;
    use keyward::store::{AuditedPostgresStore, PostgresStore, PostgresStoreBuilder};

    all!(goes_anywhere: PostgresAuditSink, AuditedPostgresStore, PostgresStore, PostgresStoreBuilder);
    all!(shows_itself: PostgresAuditSink, AuditedPostgresStore, PostgresStore, PostgresStoreBuilder);
    all!(is_cloned: AuditedPostgresStore, PostgresStore, PostgresStoreBuilder);
}

#[cfg(feature = "audit-seal")]
#[test]
fn what_sealing_needs_crosses_threads_and_shows_itself() {
    use keyward::audit::{
        Checkpoint, CheckpointSink, JsonLinesBuilder, JsonLinesSink, SealCounters, SealError,
        SealKey, SealKeyError, SealReport, SealVerifier, Sealing, VerifierKey,
    };

    fn is_a_sink<T: CheckpointSink>() {}
    all!(goes_anywhere:
        Checkpoint, JsonLinesBuilder, JsonLinesSink, SealCounters, SealKey, SealReport, SealVerifier, Sealing,
        VerifierKey,
    );
    all!(shows_itself: Checkpoint, SealKey, SealReport, SealVerifier, Sealing, VerifierKey);
    all!(is_cloned: Checkpoint, JsonLinesBuilder, SealVerifier, VerifierKey);
    all!(is_an_error: SealError, SealKeyError);
    is_a_sink::<Arc<dyn CheckpointSink>>();
}

#[cfg(feature = "redis")]
#[test]
fn what_redis_needs_crosses_threads_and_is_an_object() {
    use keyward::rate_limit::{
        RedisCall, RedisClient, RedisConnectError, RedisConnection, RedisRateLimiter, RedisTopology,
    };

    fn is_a_client<T: RedisClient>() {}
    all!(goes_anywhere: RedisCall, RedisConnection, RedisRateLimiter, RedisTopology);
    all!(shows_itself: RedisCall, RedisConnection, RedisRateLimiter, RedisTopology);
    all!(is_an_error: RedisConnectError);
    all!(is_a_client: RedisConnection, Arc<dyn RedisClient>, Box<dyn RedisClient>);
}

#[cfg(feature = "vault")]
#[test]
fn what_speaks_to_vault_crosses_threads_and_shows_itself() {
    use keyward::store::VaultStore;
    use keyward::vault::{
        TransitDigest, VaultClient, VaultClientBuilder, VaultError, VaultPeppers,
        VaultPeppersBuilder,
    };

    fn is_shared<T: Send + Sync + 'static>() {}
    all!(goes_anywhere: VaultClient, VaultClientBuilder, VaultPeppers, VaultStore, TransitDigest);
    all!(is_shared: VaultPeppersBuilder);
    all!(shows_itself:
        VaultClient, VaultClientBuilder, VaultPeppers, VaultPeppersBuilder, VaultStore, TransitDigest,
    );
    all!(is_cloned: VaultClient, VaultStore, TransitDigest);
    all!(is_an_error: VaultError);
}

#[test]
fn errors_can_be_boxed_and_sent() {
    all!(is_an_error:
        VerifyError, Rejection, LifecycleError, LimitError, BuildError, ShutdownError, UnknownTier,
        StoreError, AuditedError, AuditError, InvalidAuditCursor, PurgeError, ChainError, RateLimitError, HashError, PoolError,
        KeyParseError, RandomError, CeilingError, RotationPolicyError, ExportError, AlertError, InvalidCountry, InvalidRule,
    );
}

#[test]
fn the_seams_are_objects() {
    fn accepts<T: ?Sized + Send + Sync + Debug + 'static>(_: Option<Arc<T>>) {}
    accepts::<dyn KeyStore>(None);
    accepts::<dyn AuditedStore>(None);
    accepts::<dyn AuditSink>(None);
    accepts::<dyn AlertSink>(None);
    accepts::<dyn AlertRule>(None);
    accepts::<dyn CountryResolver>(None);
    accepts::<dyn RateLimiter>(None);
    accepts::<dyn KeyHasher>(None);
    accepts::<dyn OwnerStatus>(None);
    accepts::<dyn Clock>(None);
    accepts::<dyn SecureRandom>(None);
}

#[test]
fn an_object_of_a_seam_is_one_of_its_implementations() {
    fn is_a_store<T: KeyStore>() {}
    fn is_audited<T: AuditedStore>() {}
    fn is_a_sink<T: AuditSink>() {}
    fn is_a_limiter<T: RateLimiter>() {}
    is_a_store::<Arc<dyn KeyStore>>();
    is_a_store::<Box<dyn KeyStore>>();
    is_audited::<Arc<dyn AuditedStore>>();
    is_audited::<Box<dyn AuditedStore>>();
    is_a_sink::<Arc<dyn AuditSink>>();
    is_a_limiter::<Arc<dyn RateLimiter>>();
}

#[test]
fn futures_of_the_service_can_be_spawned() {
    fn is_spawned<T: Send>(_: impl FnOnce(KeyService) -> T) {}
    is_spawned(|it| async move { it.verify(b"", &RequestContext::new()).await.is_ok() });
    is_spawned(|it| async move {
        let actor = Actor::user("ana").unwrap();
        let id: KeyId = "000000000000".parse().unwrap();
        let request = IssueKey::new("acme".parse().unwrap(), "n", Grant::try_scopes([]).unwrap());
        let _ = it.issue(&actor, request).await;
        let _ = it.rotate(&actor, &id, Rotation::AtOnce).await;
        let _ = it.revoke(&actor, &id, "gone").await;
        let _ = it.update(&actor, &id, UpdateKey::new()).await;
        let _ = it.list(&actor, ListKeys::new()).await;
        let _ = it.shutdown().await;
    });
}

#[tokio::test]
async fn a_verification_is_small_enough_to_sit_in_a_request() {
    let service = KeyService::builder(MemoryStore::new()).build().unwrap();
    let context = RequestContext::new();
    let verify = service.verify(b"", &context);
    assert!(size_of_val(&verify) < 4096, "{}", size_of_val(&verify));
}

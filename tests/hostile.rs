//! What an attacker tries against the newer parts.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use keyward::access::Grant;
use keyward::alert::rules::KeyExposed;
use keyward::async_trait;
use keyward::audit::{AuditEvent, AuditKind, AuditObserver, AuditQuery};
use keyward::hash::{DigestText, Hashing};
use keyward::key::KeyId;
use keyward::second_factor::{FactorAttempt, FactorCode, FactorError, FactorMethod, SecondFactor};
use keyward::service::{
    Actor, Field, ImportKey, IssuePolicy, IssueRule, IssueRules, KeyService, LeakOutcome,
    LeakedTokens, LifecycleError, UpdateKey,
};

use keyward::store::KeyStore;
use tokio::time::timeout;

mod alert_support;
mod common;

use alert_support::{HOUR, counts, event, of_nobody, shown, text, use_of, watching};
use common::{Ledger, Rig, Telling, admin, quick_bcrypt, request, request_with, rig, tenant};

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn claimed(key: &str) -> AuditEvent {
    of_nobody(AuditKind::KeyExposed, key, HOUR)
        .with_failure("key_in_url")
        .with_detail("secret", "unchecked")
}

fn proved(key: &str) -> AuditEvent {
    event(AuditKind::KeyExposed, key, HOUR)
        .with_failure("leak_report")
        .with_detail("secret", "proved")
}

#[test]
fn who_knows_only_a_keys_id_does_not_silence_the_alert_of_its_real_exposure() {
    let alerts = watching(KeyExposed::default());
    counts(&alerts, [use_of("a", HOUR)]);
    assert_eq!(counts(&alerts, [claimed("a"), proved("a")]), [1, 1]);
}

#[test]
fn an_alert_about_a_platform_key_is_of_the_platform() {
    let alerts = watching(KeyExposed::default());
    let of_platform = proved("a").with_detail("tenant_binding", "platform");
    let raised = shown(&alerts, &of_platform);
    assert_eq!(text(&raised[0], "tenant_binding"), Some("platform"));
}

/// What a key without a tenant reads.
async fn seen_by_unbound(rig: &Rig) -> Vec<AuditEvent> {
    let key = rig.issue_as(request_with(role("keys"))).await;
    let unbound = rig.acting(&key).await;
    rig.service.recorder().flush().await.unwrap();
    let all = AuditQuery::new().with_page_size(1000);
    let page = rig.service.read_audit(&unbound, all).await.unwrap();
    page.events.into_iter().map(|found| found.event).collect()
}

#[tokio::test]
async fn a_key_without_a_tenant_reads_no_leak_report_about_tenants() {
    let rig = rig();
    let north = rig.issue_as(request().with_tenant(tenant("north"))).await;
    let tokens = LeakedTokens::new([north.key().expose()]).unwrap();
    let found = rig.service.report_leaked(&admin(), tokens).await.unwrap();
    assert_eq!(found.revoked().count(), 1);
    let seen = seen_by_unbound(&rig).await;
    let reports = seen.iter().filter(|it| it.reason() == Some("leak_report"));
    assert_eq!(reports.count(), 0);
}

#[tokio::test]
async fn a_tenants_own_leak_report_is_in_its_own_trail() {
    let rig = rig();
    let wanted = request_with(role("keys")).with_tenant(tenant("north"));
    let key = rig.issue_as(wanted).await;
    let north = rig.acting(&key).await;
    let tokens = LeakedTokens::new(["no key"]).unwrap();
    drop(rig.service.report_leaked(&north, tokens).await.unwrap());
    let page = rig.service.read_audit(&north, AuditQuery::new()).await;
    let page = page.unwrap();
    let reports = page.events.iter();
    let reports = reports.filter(|it| it.event.reason() == Some("leak_report"));
    assert_eq!(reports.count(), 1);
    let seen = seen_by_unbound(&rig).await;
    assert!(!seen.iter().any(|it| it.reason() == Some("leak_report")));
}

#[tokio::test]
async fn a_key_without_a_tenant_reads_no_refusal_that_names_a_tenants_key() {
    let rig = rig();
    let wanted = request_with(role("small")).with_tenant(tenant("north"));
    let north = rig.issue_as(wanted).await.record().id;
    let stronger = UpdateKey::new().with_grant(role("keys"));
    let refused = rig.service.update(&admin(), &north, stronger).await;
    assert!(matches!(
        refused.unwrap_err(),
        LifecycleError::Rule {
            rule: IssueRule::Justification
        }
    ));
    let seen = seen_by_unbound(&rig).await;
    let named = seen
        .iter()
        .filter(|it| text(it, "target") == Some(north.as_str()));
    assert_eq!(named.count(), 0);
}

#[tokio::test]
async fn a_key_without_a_tenant_reads_of_no_guess_at_a_tenants_key() {
    let rig = rig();
    let wanted = request().with_tenant(tenant("north"));
    let north = rig.issue_as(wanted).await;
    let wrong = common::wrong_secret(north.key().expose(), false);
    rig.rejected(&wrong).await;
    let seen = seen_by_unbound(&rig).await;
    let id = north.record().id;
    assert!(!seen.iter().any(|it| it.key_id() == Some(id.as_str())));
}

#[tokio::test]
async fn two_halves_of_all_addresses_bind_a_key_to_no_networks() {
    let policy = IssuePolicy::builder().without_role(IssueRules::new().require_networks());
    let rig = Rig::new(|it| it.issue_policy(policy.build().unwrap()));
    for all in [
        "0.0.0.0/1, 128.0.0.0/1",
        "0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/1",
        "10.0.0.1, ::/1, 8000::/1",
    ] {
        let wanted = request().with_networks(all.parse().unwrap());
        let issued = rig.service.issue(&admin(), wanted).await;
        assert!(issued.is_err(), "{all}");
    }
    let half = request().with_networks("0.0.0.0/1".parse().unwrap());
    assert!(rig.service.issue(&admin(), half).await.is_ok());
}

/// Takes its time: meanwhile the acting key is revoked.
#[derive(Clone, Debug, Default)]
struct Slow(Arc<OnceLock<(KeyService, KeyId)>>);

#[async_trait]
impl SecondFactor for Slow {
    async fn verify(&self, _: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError> {
        let (service, acting) = self.0.get().unwrap();
        let revoked = service.revoke(&admin(), acting, "stolen").await;
        drop(revoked.unwrap());
        Ok(FactorMethod::new("approval"))
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_while_its_factor_is_asked_imports_nothing() {
    let slow = Slow::default();
    let factor = slow.clone();
    let rig = Rig::new(|it| {
        it.issue_policy(IssuePolicy::default())
            .second_factor(factor)
    });
    let system = Actor::system("bootstrap").unwrap();
    let issued = rig.service.issue(&system, request_with(role("keys"))).await;
    let issued = issued.unwrap();
    let acting = rig.acting(&issued).await;
    let acting = acting.with_second_factor(FactorCode::new("123456"));
    let told = (rig.service.clone(), issued.record().id);
    slow.0.set(told).unwrap();
    let digest = "$2b$04$abcdefghijklmnopqrstuuZg8Qx7Z1RZcX9yYwJc7r1y6Dn5tQ8Oe";
    let id = "0aZ9bY8cX7dW".parse().unwrap();
    let import = ImportKey::new(id, DigestText::new(digest), request_with(role("keys")));
    let imported = rig.service.import(&acting, import).await;
    assert!(
        matches!(imported, Err(LifecycleError::ActorEnded)),
        "{imported:?}"
    );
}

#[tokio::test]
async fn a_report_that_holds_the_reporting_key_ends_the_others_as_well() {
    let rig = rig();
    let own = rig.issue_as(request_with(role("keys"))).await;
    let reporter = rig.acting(&own).await;
    let other = rig.issue_as(request_with(role("small"))).await;
    let tokens = LeakedTokens::new([own.key().expose(), other.key().expose()]).unwrap();
    let found = rig.service.report_leaked(&reporter, tokens).await.unwrap();
    let ids = [&own, &other].map(|it| LeakOutcome::Revoked(it.record().id));
    assert_eq!(found.outcomes, ids);
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_hangs_holds_up_a_report_once_and_not_for_each_key() {
    let rig = rig();
    let mut keys = Vec::new();
    for _ in 0..20 {
        let issued = rig.issue().await;
        rig.verify(issued.key().expose()).await.unwrap();
        keys.push(issued);
    }
    rig.service.recorder().flush().await.unwrap();
    rig.sink.hold();
    let begun = tokio::time::Instant::now();
    let tokens = LeakedTokens::new(keys.iter().map(|it| it.key().expose())).unwrap();
    let found = rig.service.report_leaked(&admin(), tokens).await.unwrap();
    assert_eq!(found.revoked().count(), 20);
    let took = begun.elapsed();
    rig.sink.release();
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[derive(Clone, Debug, Default)]
struct Watcher(Arc<Mutex<Vec<AuditKind>>>);

impl AuditObserver for Watcher {
    fn observe(&self, event: &AuditEvent, _: &mut Vec<AuditEvent>) {
        self.0.lock().unwrap().push(event.kind());
    }
}

fn far_away() -> (Ledger, Watcher, KeyService) {
    let store = Ledger::new();
    let watcher = Watcher::default();
    let hashing = Hashing::builder().prefer(quick_bcrypt(4)).build().unwrap();
    let builder = KeyService::builder_audited(store.clone()).hashing(hashing);
    let builder = builder.policy(common::policy()).observer(watcher.clone());
    let service = builder.issue_policy(common::without_factors()).build();
    let service = service.unwrap();
    (store, watcher, service)
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_during_the_commit_hides_no_new_admin_key_from_the_alerts() {
    let (store, watcher, service) = far_away();
    let issued = service.issue(&admin(), request()).await.unwrap();
    let id = issued.record().id;
    store.telling(Telling::AnswersLate);
    let stronger = UpdateKey::new().with_grant(role("keys"));
    let stronger = stronger.with_justification(Field::Set("why not".to_owned()));
    let actor = admin();
    let update = service.update(&actor, &id, stronger);
    // The client has hung up, and the web server drops the handler.
    assert!(timeout(Duration::from_millis(50), update).await.is_err());
    store.telling(Telling::Works);
    let record = store.find(&id).await.unwrap().unwrap();
    assert_eq!(record.grant, role("keys"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    service.shutdown().await.unwrap();
    let told = store.trail.events();
    assert!(told.iter().any(|it| it.kind() == AuditKind::KeyUpdated));
    let seen = watcher.0.lock().unwrap();
    assert!(seen.contains(&AuditKind::KeyUpdated), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_during_an_import_hides_no_new_admin_key_from_the_alerts() {
    let (store, watcher, service) = far_away();
    store.telling(Telling::AnswersLate);
    let digest = "$2b$04$abcdefghijklmnopqrstuuZg8Qx7Z1RZcX9yYwJc7r1y6Dn5tQ8Oe";
    let id = "0aZ9bY8cX7dW".parse().unwrap();
    let import = ImportKey::new(id, DigestText::new(digest), request_with(role("keys")));
    let actor = admin();
    let import = service.import(&actor, import);
    assert!(timeout(Duration::from_millis(50), import).await.is_err());
    store.telling(Telling::Works);
    assert!(store.find(&id).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(1)).await;
    service.shutdown().await.unwrap();
    let seen = watcher.0.lock().unwrap();
    assert!(seen.contains(&AuditKind::KeyImported), "{seen:?}");
}

//! Reports of leaked keys: what is live is ended, everything else stays, and whoever reports learns nothing.
#![cfg(feature = "testing")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

mod common;

use common::{
    Call, HOUR, Rig, admin, known_key, request, request_with, rig, scopes, tenant, wrong_secret,
};
use keyward::access::Grant;
use keyward::audit::{AuditEvent, AuditKind, Outcome};
use keyward::key::{Credential, CredentialEnd, KeyStatus};
use keyward::service::{
    Actor, IssuedKey, LeakFindings, LeakOutcome, LeakedTokens, LifecycleError, Rejection, Rotation,
    UpdateKey,
};
use keyward::time::Clock as _;

async fn report_as(rig: &Rig, actor: &Actor, tokens: &[&str]) -> LeakFindings {
    let tokens = LeakedTokens::new(tokens.iter().copied()).unwrap();
    rig.service.report_leaked(actor, tokens).await.unwrap()
}

async fn report(rig: &Rig, tokens: &[&str]) -> Vec<LeakOutcome> {
    let findings = report_as(rig, &admin(), tokens).await;
    assert!(findings.unaudited.is_empty());
    findings.outcomes
}

fn text(issued: &IssuedKey) -> String {
    issued.key().expose().to_owned()
}

async fn revoked_at_all(rig: &Rig, issued: &IssuedKey) -> bool {
    rig.record(&issued.record().id).await.revocation.is_some()
}

/// Secrets that agree with the hint of a key and are none of its.
fn guesses(issued: &IssuedKey, count: usize) -> Vec<String> {
    let key = text(issued);
    let (id, hint) = (&key[8..20], &key[key.len() - 10..key.len() - 6]);
    let secret = |number: usize| known_key(id, &format!("{number:0>39}{hint}"));
    (0..count).map(secret).collect()
}

#[tokio::test]
async fn a_live_key_is_revoked_and_marked_as_exposed() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let now = rig.clock.now();
    assert_eq!(
        report(&rig, &[&text(&issued)]).await,
        [LeakOutcome::Revoked(id)]
    );
    assert_eq!(rig.rejected(&text(&issued)).await, Rejection::Revoked);
    let record = rig.record(&id).await;
    let revocation = record.revocation.unwrap();
    assert_eq!((revocation.at, revocation.reason.as_str()), (now, "leaked"));
    assert_eq!(revocation.by, *admin().reference());
    assert_eq!(record.exposed_at, Some(now));
}

#[tokio::test]
async fn the_trail_names_the_exposure_then_the_revocation_then_the_report() {
    let rig = rig();
    let issued = rig.issue().await;
    report(&rig, &[&text(&issued), "nonsense"]).await;
    let events = rig.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.kind(),
                event.outcome(),
                event.reason(),
                event.key_id().is_some(),
            )
        })
        .collect();
    assert_eq!(
        told[1..],
        [
            (
                AuditKind::KeyExposed,
                Outcome::Failure,
                Some("leak_report"),
                true
            ),
            (AuditKind::KeyRevoked, Outcome::Success, None, true),
            (
                AuditKind::KeyExposed,
                Outcome::Success,
                Some("leak_report"),
                false
            ),
        ]
    );
    let lines: Vec<_> = events
        .iter()
        .map(|event| event.to_line().unwrap())
        .collect();
    assert!(lines[2].contains(r#""reason":"leaked""#), "{}", lines[2]);
    for count in [
        r#""revoked":1"#,
        r#""malformed":1"#,
        r#""unknown":0"#,
        r#""ended":0"#,
    ] {
        assert!(lines[3].contains(count), "{}", lines[3]);
    }
    assert!(events[1..].iter().all(|event| event.actor().is_some()));
}

#[tokio::test]
async fn a_key_that_was_used_here_before_costs_no_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    assert!(rig.accepts(&text(&issued)).await);
    let before = rig.hasher.verifications();
    let outcomes = report(&rig, &[&text(&issued)]).await;
    assert_eq!(outcomes, [LeakOutcome::Revoked(issued.record().id)]);
    assert_eq!(rig.hasher.verifications(), before);
}

#[tokio::test]
async fn a_secret_in_its_grace_ends_the_whole_key() {
    let rig = rig();
    let old = rig.issue().await;
    let id = old.record().id;
    let rotation = Rotation::Grace(HOUR);
    let new = rig.service.rotate(&admin(), &id, rotation).await.unwrap();
    assert_eq!(
        report(&rig, &[&text(&old)]).await,
        [LeakOutcome::Revoked(id)]
    );
    assert_eq!(rig.rejected(&text(&new)).await, Rejection::Revoked);
}

#[tokio::test]
async fn a_secret_whose_grace_is_over_ends_nothing() {
    let rig = rig();
    let old = rig.issue().await;
    let id = old.record().id;
    let rotation = Rotation::Grace(HOUR);
    let new = rig.service.rotate(&admin(), &id, rotation).await.unwrap();
    rig.clock.advance(HOUR);
    assert_eq!(report(&rig, &[&text(&old)]).await, [LeakOutcome::Ended(id)]);
    assert!(rig.accepts(&text(&new)).await);
    assert_eq!(rig.record(&id).await.exposed_at, None);
}

#[tokio::test]
async fn what_is_no_live_secret_changes_nothing() {
    let rig = rig();
    let issued = rig.issue().await;
    let (id, key) = (issued.record().id, text(&issued));
    let other = known_key("zzzzzzzzzzzz", &"S".repeat(43));
    let cut = &key[..68];
    let other_environment = key.replace("live", "test");
    let tokens = [
        wrong_secret(&key, false),
        wrong_secret(&key, true),
        other,
        cut.to_owned(),
        format!("{key} "),
        other_environment,
        String::new(),
        "\0pm_live_é".repeat(1000),
    ];
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let outcomes = report(&rig, &tokens).await;
    assert_eq!(
        outcomes,
        [
            LeakOutcome::WrongSecret(id),
            LeakOutcome::WrongSecret(id),
            LeakOutcome::Unknown,
            LeakOutcome::Malformed,
            LeakOutcome::Malformed,
            LeakOutcome::Malformed,
            LeakOutcome::Malformed,
            LeakOutcome::Malformed,
        ]
    );
    assert_eq!(rig.record(&id).await, **issued.record());
    assert!(rig.accepts(&key).await);
}

#[tokio::test]
async fn a_key_that_is_switched_off_is_revoked_too() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    rig.service.disable(&admin(), &id).await.unwrap();
    assert_eq!(
        report(&rig, &[&text(&issued)]).await,
        [LeakOutcome::Revoked(id)]
    );
    let enabled = rig.service.enable(&admin(), &id).await;
    assert!(matches!(
        enabled,
        Err(LifecycleError::WrongState {
            state: KeyStatus::Revoked
        })
    ));
}

#[tokio::test]
async fn a_key_whose_time_is_over_stays_as_it_is() {
    let rig = rig();
    let expired = rig.issue_as(request().with_lifetime(HOUR)).await;
    let revoked = rig.issue().await;
    rig.revoke(&revoked).await;
    rig.clock.advance(HOUR);
    let before = rig.record(&revoked.record().id).await;
    let outcomes = report(&rig, &[&text(&expired), &text(&revoked)]).await;
    assert_eq!(
        outcomes,
        [
            LeakOutcome::Ended(expired.record().id),
            LeakOutcome::Ended(revoked.record().id),
        ]
    );
    assert_eq!(rig.record(&revoked.record().id).await, before);
    assert!(!revoked_at_all(&rig, &expired).await);
    assert_eq!(rig.hasher.verifications(), 0);
}

#[tokio::test]
async fn a_key_that_expires_a_moment_later_is_revoked() {
    let rig = rig();
    let issued = rig.issue_as(request().with_lifetime(HOUR)).await;
    rig.clock.advance(HOUR - common::MICRO);
    report(&rig, &[&text(&issued)]).await;
    assert!(revoked_at_all(&rig, &issued).await);
}

#[tokio::test]
async fn the_receipt_is_the_same_whatever_was_reported() {
    let rig = rig();
    let issued = rig.issue().await;
    let real = LeakedTokens::new([text(&issued)]).unwrap().receipt();
    let nonsense = LeakedTokens::new(["x"]).unwrap().receipt();
    assert_eq!(real, nonsense);
    assert_eq!(serde_json::to_string(&real).unwrap(), r#"{"accepted":1}"#);
}

#[test]
fn a_report_holds_a_thousand_strings_and_no_more() {
    let tokens = |count| LeakedTokens::new(std::iter::repeat_n("x", count));
    assert_eq!(tokens(1000).unwrap().receipt().accepted, 1000);
    let refused = tokens(1001).unwrap_err();
    assert!(matches!(
        refused,
        LifecycleError::Invalid {
            field: "tokens",
            ..
        }
    ));
}

#[tokio::test]
async fn a_string_that_comes_twice_is_proved_once() {
    let rig = rig();
    let issued = rig.issue().await;
    let (id, key) = (issued.record().id, text(&issued));
    let wrong = wrong_secret(&key, true);
    let outcomes = report(&rig, &[&wrong, &key, &key, &wrong]).await;
    let (no, yes) = (LeakOutcome::WrongSecret(id), LeakOutcome::Revoked(id));
    assert_eq!(outcomes, [no, yes, yes, no]);
    assert_eq!(rig.hasher.verifications(), 2);
    assert_eq!(rig.events_of(AuditKind::KeyRevoked).await.len(), 1);
}

#[tokio::test]
async fn guesses_at_one_key_cost_sixteen_hashes_and_then_nothing() {
    let rig = rig();
    let issued = rig.issue().await;
    let guesses = guesses(&issued, 20);
    let tokens: Vec<&str> = guesses.iter().map(String::as_str).collect();
    let outcomes = report(&rig, &tokens).await;
    let id = issued.record().id;
    assert_eq!(outcomes[..16], [LeakOutcome::WrongSecret(id); 16]);
    assert_eq!(outcomes[16..], [LeakOutcome::Unanswered; 4]);
    assert_eq!(rig.hasher.verifications(), 16);
    assert!(report_as(&rig, &admin(), &tokens).await.is_incomplete());
}

/// Two reports at once do not take two threads.
#[tokio::test]
async fn slow_hashes_of_reports_run_one_at_a_time() {
    let rig = rig();
    let (one, other) = (rig.issue().await, rig.issue().await);
    let gate = rig.hasher.gate().clone();
    gate.close();
    let reports: Vec<_> = [text(&one), text(&other)]
        .into_iter()
        .map(|key| {
            let service = rig.service.clone();
            let tokens = LeakedTokens::new([key]).unwrap();
            tokio::spawn(async move { service.report_leaked(&admin(), tokens).await })
        })
        .collect();
    // The two of issuing, and one.
    common::wait_for_hashes(&rig, 3).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.hasher.verifications(), 1);
    gate.open();
    for report in reports {
        assert_eq!(report.await.unwrap().unwrap().revoked().count(), 1);
    }
}

#[tokio::test]
async fn wrong_secrets_of_a_report_are_charged_to_nobody() {
    let rig = rig();
    let issued = rig.issue().await;
    let guesses = guesses(&issued, 16);
    let tokens: Vec<&str> = guesses.iter().map(String::as_str).collect();
    for _ in 0..4 {
        report(&rig, &tokens).await;
    }
    assert!(rig.verify_from(&text(&issued), "192.0.2.7").await.is_ok());
    assert!(
        rig.events_of(AuditKind::AuthenticationFailed)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn an_outage_leaves_one_string_unanswered_and_not_the_others() {
    let rig = rig();
    let (one, other) = (rig.issue().await, rig.issue().await);
    rig.store.fail(Call::Find, 1);
    let (a, b) = (text(&one), text(&other));
    let findings = report_as(&rig, &admin(), &[&a, &b]).await;
    let revoked = LeakOutcome::Revoked(other.record().id);
    assert_eq!(findings.outcomes, [LeakOutcome::Unanswered, revoked]);
    assert!(findings.is_incomplete());
    let again = report(&rig, &[&a, &b]).await;
    let ended = LeakOutcome::Ended(other.record().id);
    assert_eq!(again, [LeakOutcome::Revoked(one.record().id), ended]);
}

#[tokio::test]
async fn a_store_that_takes_no_changes_leaves_the_string_unanswered() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.store.fail(Call::Update, 1);
    let outcomes = report(&rig, &[&text(&issued)]).await;
    assert_eq!(outcomes, [LeakOutcome::Unanswered]);
    assert!(!revoked_at_all(&rig, &issued).await);
}

#[tokio::test]
async fn a_full_hash_pool_leaves_the_string_unanswered() {
    let rig = Rig::new(|builder| builder.hash_pool(common::pool(1, 0)));
    let (issued, busy) = (rig.issue().await, rig.issue().await);
    let gate = rig.hasher.gate().clone();
    gate.close();
    let (service, first) = (rig.service.clone(), text(&busy));
    let context = keyward::service::RequestContext::new();
    let first =
        tokio::spawn(async move { service.verify(first.as_bytes(), &context).await.is_ok() });
    common::wait_for_hashes(&rig, 3).await;
    let outcomes = report(&rig, &[&text(&issued)]).await;
    assert_eq!(outcomes, [LeakOutcome::Unanswered]);
    gate.open();
    assert!(first.await.unwrap());
    assert!(!revoked_at_all(&rig, &issued).await);
}

#[tokio::test(start_paused = true)]
async fn a_dead_trail_does_not_keep_a_leaked_key_alive() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.sink.fail_next(u32::MAX);
    let findings = report_as(&rig, &admin(), &[&text(&issued)]).await;
    assert_eq!(findings.revoked().collect::<Vec<_>>(), [issued.record().id]);
    assert_eq!(findings.unaudited.len(), 3);
    assert_eq!(rig.rejected(&text(&issued)).await, Rejection::Revoked);
}

#[tokio::test]
async fn a_key_that_was_found_twice_is_named_once() {
    let rig = rig();
    let issued = rig.issue().await;
    let found = text(&issued);
    let findings = report_as(&rig, &admin(), &[&found, &found]).await;
    let revoked: Vec<_> = findings.revoked().collect();
    assert_eq!(revoked, [issued.record().id]);
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_hangs_does_not_either() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.sink.hold();
    let findings = report_as(&rig, &admin(), &[&text(&issued)]).await;
    assert_eq!(findings.revoked().count(), 1);
    assert!(revoked_at_all(&rig, &issued).await);
    rig.sink.release();
}

#[tokio::test]
async fn a_secret_that_is_rotated_out_while_it_is_proved_ends_nothing() {
    let rig = rig();
    let issued = rig.issue().await;
    let id = issued.record().id;
    let gate = rig.hasher.gate().clone();
    gate.close();
    let tokens = LeakedTokens::new([text(&issued)]).unwrap();
    let service = rig.service.clone();
    let report = tokio::spawn(async move { service.report_leaked(&admin(), tokens).await });
    common::wait_for_hashes(&rig, 2).await;
    let now = rig.clock.now();
    rig.store
        .edit(&id, |record| {
            let mut old = record.current.clone();
            old.end = CredentialEnd::ENDED;
            let digest = keyward::hash::DigestText::new("$2b$12$another");
            let mut next = Credential::new(digest, keyward::hash::SecretOrigin::Generated, now);
            next.generation = old.generation.next();
            (record.current, record.previous) = (next, Some(old));
        })
        .await;
    gate.open();
    let findings = report.await.unwrap().unwrap();
    assert_eq!(findings.outcomes, [LeakOutcome::Ended(id)]);
    assert!(!revoked_at_all(&rig, &issued).await);
}

/// It may have been moved since it was verified.
#[tokio::test]
async fn a_report_is_told_of_in_the_tenant_that_its_key_has_now() {
    let rig = rig();
    let role = Grant::Role("keys".parse().unwrap());
    let asked = request_with(role).with_tenant(tenant("t1"));
    let manager = rig.issue_as(asked).await;
    let acting = rig.acting(&manager).await;
    let moved = UpdateKey::new().with_tenant(tenant("t2"));
    let id = manager.record().id;
    rig.service.update(&admin(), &id, moved).await.unwrap();
    let _ = report_as(&rig, &acting, &["nonsense"]).await;
    let events = rig.events().await;
    let last = events.last().unwrap();
    assert_eq!(last.reason(), Some("leak_report"));
    assert_eq!(last.tenant(), Some("t2"));
}

#[tokio::test]
async fn a_key_that_acts_ends_keys_of_its_own_tenant_only() {
    let rig = rig();
    let role = || Grant::Role("keys".parse().unwrap());
    let boss = rig
        .issue_as(request_with(role()).with_tenant(tenant("t1")))
        .await;
    let own = rig.issue_as(request().with_tenant(tenant("t1"))).await;
    let foreign = rig.issue_as(request().with_tenant(tenant("t2"))).await;
    let actor = rig.acting(&boss).await;
    let findings = report_as(&rig, &actor, &[&text(&own), &text(&foreign)]).await;
    let revoked = LeakOutcome::Revoked(own.record().id);
    assert_eq!(findings.outcomes, [revoked, LeakOutcome::Unknown]);
    assert!(!revoked_at_all(&rig, &foreign).await);
}

#[tokio::test]
async fn a_key_without_the_permission_reports_nothing() {
    let rig = rig();
    let weak = rig.issue_as(request_with(scopes(&["send_email"]))).await;
    let victim = rig.issue().await;
    let actor = rig.acting(&weak).await;
    let tokens = LeakedTokens::new([text(&victim)]).unwrap();
    let refused = rig.service.report_leaked(&actor, tokens).await;
    assert!(matches!(refused, Err(LifecycleError::NotPermitted { .. })));
    assert!(!revoked_at_all(&rig, &victim).await);
    assert_eq!(rig.events_of(AuditKind::PermissionRefused).await.len(), 1);
}

#[tokio::test]
async fn nothing_that_is_shown_or_written_holds_a_secret() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = text(&issued);
    let tokens = LeakedTokens::new([key.clone(), wrong_secret(&key, true)]).unwrap();
    let mut shown = format!("{tokens:?} {:?}", tokens.receipt());
    let findings = rig.service.report_leaked(&admin(), tokens).await.unwrap();
    shown.push_str(&format!("{findings:?}"));
    for event in rig.events().await {
        shown.push_str(&AuditEvent::to_line(&event).unwrap());
    }
    let secret = &key[20..63];
    assert!(!shown.contains(secret) && !shown.contains(&secret[..8]));
}

#[tokio::test]
async fn two_reports_at_once_revoke_once() {
    let rig = rig();
    let issued = rig.issue().await;
    let (key, admin) = (text(&issued), admin());
    let keys = [key.as_str()];
    let (one, other) = tokio::join!(
        report_as(&rig, &admin, &keys),
        report_as(&rig, &admin, &keys)
    );
    let id = issued.record().id;
    let outcomes = [one.outcomes, other.outcomes].concat();
    assert!(outcomes.contains(&LeakOutcome::Revoked(id)));
    let successes = rig.events_of(AuditKind::KeyRevoked).await;
    let successes = successes
        .iter()
        .filter(|(outcome, _)| *outcome == Outcome::Success);
    assert!(successes.count() >= 1);
    assert_eq!(
        rig.record(&id).await.revision.number(),
        issued.record().revision.number() + 1
    );
}

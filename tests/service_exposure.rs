//! Keys that arrive where others can read them: what each policy makes of them, and of whom it makes nothing.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "a test may fail where it stands"
)]

mod common;

use std::time::Duration;

use common::*;
use keyward::audit::{AuditEvent, AuditKind, Detail, Outcome};
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, CredentialEnd, KeyRecord, KeyStatus};
use keyward::service::{
    BuildError, ExposureAction, ExposureOutcome, ExposurePolicy, Field, IssuedKey, KeyService,
    LifecycleError, Rejection, RetirementReason, Review, Rotation, UpdateKey,
};
use keyward::store::{ListKeys, MemoryStore};
use keyward::testing::ManualClock;
use keyward::time::{Clock as _, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3600);

const POLICIES: [ExposurePolicy; 4] = [
    ExposurePolicy::Report,
    ExposurePolicy::Flag,
    ExposurePolicy::Grace(HOUR),
    ExposurePolicy::Revoke,
];

fn under(policy: ExposurePolicy) -> Rig {
    Rig::new(|builder| builder.exposure_policy(policy))
}

fn text(issued: &IssuedKey) -> &str {
    issued.key().expose()
}

async fn see(rig: &Rig, key: &str) -> ExposureOutcome {
    rig.service
        .report_exposed(key.as_bytes(), "ticket", None)
        .await
}

async fn see_from(rig: &Rig, key: &str, client: &str) -> ExposureOutcome {
    let client = client.parse().unwrap();
    let seen = rig
        .service
        .report_exposed(key.as_bytes(), "ticket", Some(client));
    seen.await
}

async fn action(rig: &Rig, key: &str) -> ExposureAction {
    see(rig, key).await.action().unwrap()
}

async fn rotate(rig: &Rig, key: &IssuedKey, rotation: Rotation) -> IssuedKey {
    let id = &key.record().id;
    rig.service.rotate(&admin(), id, rotation).await.unwrap()
}

async fn kept(rig: &Rig, issued: &IssuedKey) -> KeyRecord {
    rig.record(&issued.record().id).await
}

/// The events that say what became of a key.
async fn told(rig: &Rig) -> Vec<AuditEvent> {
    let mut events = rig.events().await;
    events.retain(|event| event.kind() == AuditKind::KeyExposed);
    events
}

fn detail(event: &AuditEvent, name: &str) -> Option<String> {
    match event.detail(name)? {
        Detail::Text(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// Place, action and end, of events whose secret was proved.
fn facts(event: &AuditEvent) -> (String, String, Option<String>) {
    assert_eq!(detail(event, "secret").as_deref(), Some("proved"));
    assert_eq!(event.actor().unwrap().to_string(), "system:keyward");
    let of = |name| detail(event, name);
    (of("place").unwrap(), of("action").unwrap(), of("ends_at"))
}

fn fact(action: &str, ends_at: Option<Timestamp>) -> (String, String, Option<String>) {
    let ends_at = ends_at.map(|at| at.to_string());
    ("ticket".to_owned(), action.to_owned(), ends_at)
}

#[tokio::test]
async fn a_grace_is_between_a_second_and_a_week() {
    let build = |grace| {
        let builder = KeyService::builder(MemoryStore::new());
        builder
            .exposure_policy(ExposurePolicy::Grace(grace))
            .build()
    };
    let week = ExposurePolicy::LONGEST_GRACE;
    for wrong in [Duration::ZERO, SECOND - MICRO, week + MICRO, Duration::MAX] {
        let refused = build(wrong).unwrap_err();
        assert!(matches!(refused, BuildError::ExposureGrace { grace } if grace == wrong));
    }
    assert!(build(SECOND).is_ok() && build(week).is_ok());
}

#[tokio::test]
async fn keys_are_flagged_unless_the_policy_says_otherwise() {
    let rig = rig();
    let issued = rig.issue().await;
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Flagged);
    let record = kept(&rig, &issued).await;
    assert_eq!(record.exposed_at, Some(rig.clock.now()));
    assert_eq!(record.current.end, CredentialEnd::WithKey);
    assert!(rig.accepts(text(&issued)).await);
    let events = told(&rig).await;
    assert_eq!(events.len(), 1);
    assert_eq!(facts(&events[0]), fact("flagged", None));
}

#[tokio::test]
async fn a_report_leaves_the_record_as_it_is_and_is_written_once_a_process() {
    let rig = under(ExposurePolicy::Report);
    let issued = rig.issue().await;
    for _ in 0..3 {
        assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Reported);
    }
    assert_eq!(kept(&rig, &issued).await, **issued.record());
    let events = told(&rig).await;
    assert_eq!(events.len(), 1);
    assert_eq!(facts(&events[0]), fact("reported", None));
}

#[tokio::test]
async fn a_report_that_could_not_be_written_is_written_the_next_time() {
    let rig = under(ExposurePolicy::Report);
    let issued = rig.issue().await;
    rig.sink.fail_next(1);
    let seen = see(&rig, text(&issued)).await;
    assert_eq!(seen, ExposureOutcome::Unanswered);
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Reported);
    assert_eq!(told(&rig).await.len(), 1);
}

#[tokio::test]
async fn a_grace_ends_the_secret_to_the_microsecond_and_not_the_key() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue().await;
    let ends_at = rig.clock.now().saturating_add(HOUR);
    let grace = ExposureAction::Grace { ends_at };
    assert_eq!(action(&rig, text(&issued)).await, grace);
    let events = told(&rig).await;
    assert_eq!(facts(&events[0]), fact("grace", Some(ends_at)));
    rig.clock.advance(HOUR - MICRO);
    assert!(rig.accepts(text(&issued)).await);
    rig.clock.advance(MICRO);
    assert_eq!(rig.rejected(text(&issued)).await, Rejection::Exposed);
    let record = kept(&rig, &issued).await;
    assert_eq!(record.status(rig.clock.now()), KeyStatus::Active);
    let review = rig
        .service
        .review(&admin(), &Review::Exposed, ListKeys::new())
        .await
        .unwrap();
    assert_eq!(review.records.len(), 1);
}

#[tokio::test]
async fn the_trail_tells_a_secret_that_was_seen_from_one_that_was_rotated_out() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let (seen, old) = (rig.issue().await, rig.issue().await);
    action(&rig, text(&seen)).await;
    let _ = rotate(&rig, &old, Rotation::AtOnce).await;
    rig.clock.advance(HOUR);
    drop(rig.verify(text(&seen)).await.unwrap_err());
    drop(rig.verify(text(&old)).await.unwrap_err());
    let failed = |reason: &str| (Outcome::Failure, Some(reason.to_owned()));
    let refusals = rig.events_of(AuditKind::AuthenticationFailed).await;
    assert_eq!(refusals, [failed("exposed"), failed("superseded")]);
}

#[tokio::test]
async fn the_holder_of_an_exposed_secret_is_told_of_its_end_with_every_use() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue().await;
    let use_it = async || rig.verify(text(&issued)).await.unwrap().retirement();
    assert_eq!(use_it().await, None);
    let seen_at = rig.clock.now();
    action(&rig, text(&issued)).await;
    rig.clock.advance(SECOND);
    let told = use_it().await.unwrap();
    assert_eq!(told.reason, RetirementReason::Exposed);
    assert_eq!(told.since, seen_at);
    assert_eq!(told.ends_at, seen_at.saturating_add(HOUR));
    // The next secret has nothing of it.
    let rotated = rotate(&rig, &issued, Rotation::AtOnce).await;
    let next = rig.verify(text(&rotated)).await.unwrap();
    assert_eq!(next.retirement(), None);
}

#[tokio::test]
async fn a_grace_never_outlives_the_key() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue_as(request().with_lifetime(HOUR / 2)).await;
    let ends_at = issued.record().expires_at.unwrap();
    let grace = ExposureAction::Grace { ends_at };
    assert_eq!(action(&rig, text(&issued)).await, grace);
}

#[tokio::test]
async fn being_seen_again_moves_no_end_and_tells_it_again() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue().await;
    let first = action(&rig, text(&issued)).await;
    let record = kept(&rig, &issued).await;
    rig.clock.advance(HOUR / 2);
    assert_eq!(action(&rig, text(&issued)).await, first);
    assert_eq!(kept(&rig, &issued).await, record);
    assert_eq!(told(&rig).await.len(), 1);
}

#[tokio::test]
async fn the_earliest_end_wins_whatever_each_process_is_set_to() {
    let long = under(ExposurePolicy::Grace(DAY));
    let short = long.another(|builder| builder.exposure_policy(ExposurePolicy::Grace(HOUR)));
    let flagging = long.another(|builder| builder);
    let issued = long.issue().await;
    assert_eq!(
        action(&flagging, text(&issued)).await,
        ExposureAction::Flagged
    );
    let ends = |wait| ExposureAction::Grace {
        ends_at: long.clock.now().saturating_add(wait),
    };
    assert_eq!(action(&long, text(&issued)).await, ends(DAY));
    assert_eq!(action(&short, text(&issued)).await, ends(HOUR));
    assert_eq!(action(&long, text(&issued)).await, ends(HOUR));
    assert_eq!(
        action(&flagging, text(&issued)).await,
        ExposureAction::Flagged
    );
    let end = kept(&long, &issued).await.current.end;
    assert_eq!(end.deadline(), ends(HOUR).ends_at());
}

/// The rotations, and whether the exposed secret works an instant before the end of its grace.
#[tokio::test]
async fn a_rotation_moves_the_end_of_a_secret_that_was_seen_never_out() {
    for (rotation, works) in [
        (Rotation::Grace(DAY), true),
        (Rotation::UntilFirstUse(DAY), true),
        (Rotation::Grace(HOUR / 2), false),
        (Rotation::AtOnce, false),
    ] {
        let rig = under(ExposurePolicy::Grace(HOUR));
        let old = rig.issue().await;
        action(&rig, text(&old)).await;
        rig.clock.advance(MICRO);
        let _ = rotate(&rig, &old, rotation).await;
        rig.clock.advance(HOUR - MICRO - MICRO);
        assert_eq!(rig.accepts(text(&old)).await, works, "{rotation:?}");
        rig.clock.advance(MICRO);
        assert!(!rig.accepts(text(&old)).await, "{rotation:?}");
    }
}

#[tokio::test]
async fn a_new_secret_has_no_end_and_is_not_exposed() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let old = rig.issue().await;
    action(&rig, text(&old)).await;
    rig.clock.advance(MICRO);
    let new = rotate(&rig, &old, Rotation::Grace(DAY)).await;
    assert_eq!(new.record().current.end, CredentialEnd::WithKey);
    assert!(!new.record().is_exposed());
    rig.clock.advance(DAY * 30);
    assert!(rig.accepts(text(&new)).await);
}

/// The old one was marked by a clock that is ahead, or while the new one was hashed.
#[tokio::test]
async fn a_new_secret_is_not_exposed_whenever_the_old_one_was() {
    for ahead in [HOUR, Duration::ZERO] {
        let rig = rig();
        let old = rig.issue().await;
        let now = rig.clock.now();
        rig.clock.advance(ahead);
        let _ = action(&rig, text(&old)).await;
        rig.clock.set(now);
        let new = rotate(&rig, &old, Rotation::AtOnce).await;
        assert!(!new.record().is_exposed());
        assert!(!kept(&rig, &old).await.is_exposed());
        let _ = action(&rig, text(&new)).await;
        assert!(kept(&rig, &old).await.is_exposed());
        assert_eq!(told(&rig).await.len(), 2);
    }
}

#[tokio::test]
async fn a_secret_that_was_seen_still_ends_with_the_first_use_of_its_successor() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let old = rig.issue().await;
    action(&rig, text(&old)).await;
    let new = rotate(&rig, &old, Rotation::UntilFirstUse(DAY)).await;
    assert!(rig.accepts(text(&old)).await);
    assert!(rig.accepts(text(&new)).await);
    assert_eq!(rig.rejected(text(&old)).await, Rejection::Superseded);
}

#[tokio::test]
async fn after_the_grace_a_key_cannot_rotate_itself_and_its_managers_can() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let grant = scopes(&["manage_keys", "send_email"]);
    let old = rig.issue_as(request_with(grant)).await;
    let itself = rig.acting(&old).await;
    action(&rig, text(&old)).await;
    rig.clock.advance(HOUR);
    let id = &old.record().id;
    let refused = rig.service.rotate(&itself, id, Rotation::AtOnce).await;
    assert!(matches!(refused, Err(LifecycleError::ActorEnded)));
    let new = rotate(&rig, &old, Rotation::Grace(DAY)).await;
    assert!(rig.accepts(text(&new)).await);
    assert!(!rig.accepts(text(&old)).await);
}

#[tokio::test]
async fn neither_an_update_nor_a_switch_moves_the_end() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue().await;
    let id = &issued.record().id;
    rig.service.disable(&admin(), id).await.unwrap();
    let grace = action(&rig, text(&issued)).await;
    let later = rig.clock.now().saturating_add(DAY);
    let update = UpdateKey::new().with_expires_at(Field::Set(later));
    rig.service.update(&admin(), id, update).await.unwrap();
    rig.service.enable(&admin(), id).await.unwrap();
    let end = kept(&rig, &issued).await.current.end;
    assert_eq!(end.deadline(), grace.ends_at());
    rig.clock.advance(HOUR);
    assert_eq!(rig.rejected(text(&issued)).await, Rejection::Exposed);
}

#[tokio::test]
async fn a_revocation_is_the_services_own_and_says_why_and_where() {
    let rig = under(ExposurePolicy::Revoke);
    let issued = rig.issue().await;
    let now = rig.clock.now();
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Revoked);
    assert_eq!(rig.rejected(text(&issued)).await, Rejection::Revoked);
    let record = kept(&rig, &issued).await;
    let revocation = record.revocation.unwrap();
    assert_eq!(
        (revocation.at, revocation.reason.as_str()),
        (now, "exposed")
    );
    assert_eq!(revocation.by.as_str(), "system:keyward");
    assert_eq!(record.exposed_at, Some(now));
    let events = rig.events().await;
    let kinds: Vec<_> = events[1..3].iter().map(AuditEvent::kind).collect();
    assert_eq!(kinds, [AuditKind::KeyRevoked, AuditKind::KeyExposed]);
    assert_eq!(events[1].outcome(), Outcome::Success);
    assert_eq!(detail(&events[1], "reason").as_deref(), Some("exposed"));
    assert_eq!(detail(&events[1], "place").as_deref(), Some("ticket"));
    assert_eq!(facts(&events[2]), fact("revoked", None));
}

#[tokio::test]
async fn a_revoked_key_is_not_spoken_of_again() {
    let rig = under(ExposurePolicy::Revoke);
    let issued = rig.issue().await;
    action(&rig, text(&issued)).await;
    let record = kept(&rig, &issued).await;
    assert_eq!(
        see(&rig, text(&issued)).await,
        ExposureOutcome::NoLiveSecret
    );
    assert_eq!(kept(&rig, &issued).await, record);
    assert_eq!(told(&rig).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_is_switched_off_is_revoked_too() {
    let rig = under(ExposurePolicy::Revoke);
    let issued = rig.issue().await;
    rig.service
        .disable(&admin(), &issued.record().id)
        .await
        .unwrap();
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Revoked);
}

#[tokio::test]
async fn an_outgoing_secret_ends_alone_instead_of_its_key() {
    let rig = under(ExposurePolicy::Revoke);
    for rotation in [Rotation::Grace(DAY), Rotation::UntilFirstUse(DAY)] {
        let old = rig.issue().await;
        let new = rotate(&rig, &old, rotation).await;
        assert_eq!(action(&rig, text(&old)).await, ExposureAction::Ended);
        assert_eq!(rig.rejected(text(&old)).await, Rejection::Superseded);
        assert!(rig.accepts(text(&new)).await);
        let record = kept(&rig, &old).await;
        assert!(record.revocation.is_none() && record.is_exposed());
    }
    let events = told(&rig).await;
    assert_eq!(facts(&events[0]), fact("ended", None));
    assert!(rig.events_of(AuditKind::KeyRevoked).await.is_empty());
}

#[tokio::test]
async fn an_outgoing_secret_ends_with_the_earlier_of_two_graces() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let now = rig.clock.now();
    for (rotation, wait) in [
        (Rotation::Grace(DAY), HOUR),
        (Rotation::UntilFirstUse(DAY), HOUR),
        (Rotation::Grace(HOUR / 2), HOUR / 2),
    ] {
        let old = rig.issue().await;
        let new = rotate(&rig, &old, rotation).await;
        let ends_at = now.saturating_add(wait);
        let grace = ExposureAction::Grace { ends_at };
        assert_eq!(action(&rig, text(&old)).await, grace, "{rotation:?}");
        let record = kept(&rig, &old).await;
        assert_eq!(record.current, new.record().current);
        assert_eq!(record.previous.unwrap().end.deadline(), Some(ends_at));
        assert!(rig.accepts(text(&new)).await);
        let is_kept = rig.accepts(text(&old)).await;
        assert_eq!(is_kept, !matches!(rotation, Rotation::UntilFirstUse(_)));
    }
}

#[tokio::test]
async fn a_current_secret_that_is_seen_after_the_outgoing_one_is_treated_as_well() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::Grace(DAY)).await;
    action(&rig, text(&old)).await;
    action(&rig, text(&new)).await;
    rig.clock.advance(HOUR);
    assert_eq!(rig.rejected(text(&old)).await, Rejection::Superseded);
    assert_eq!(rig.rejected(text(&new)).await, Rejection::Exposed);
    assert_eq!(told(&rig).await.len(), 2);
}

/// The record has one mark for both and says of neither when it was seen, so the trail does.
#[tokio::test]
async fn each_of_two_secrets_that_are_seen_is_told_of_once() {
    for policy in [ExposurePolicy::Flag, ExposurePolicy::Grace(DAY)] {
        let rig = under(policy);
        let old = rig.issue().await;
        let new = rotate(&rig, &old, Rotation::Grace(HOUR)).await;
        for key in [&new, &old, &old, &new] {
            let _ = action(&rig, text(key)).await;
        }
        assert_eq!(told(&rig).await.len(), 2, "{policy:?}");
        assert_eq!(kept(&rig, &old).await.revision.number(), 3);
    }
}

#[tokio::test]
async fn a_secret_that_had_no_other_beside_it_is_told_of_once_in_all_processes() {
    let rig = rig();
    let other = rig.another(|builder| builder);
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::Grace(HOUR)).await;
    rig.clock.advance(HOUR);
    for process in [&rig, &other] {
        let seen = action(process, text(&new)).await;
        assert_eq!(seen, ExposureAction::Flagged);
    }
    assert_eq!(told(&rig).await.len(), 1);
    assert!(told(&other).await.is_empty());
}

#[tokio::test]
async fn a_second_secret_that_could_not_be_told_of_is_told_of_the_next_time() {
    let rig = rig();
    let old = rig.issue().await;
    let new = rotate(&rig, &old, Rotation::Grace(HOUR)).await;
    let _ = action(&rig, text(&old)).await;
    rig.sink.fail_next(1);
    let seen = see(&rig, text(&new)).await;
    assert_eq!(seen, ExposureOutcome::Unanswered);
    assert_eq!(action(&rig, text(&new)).await, ExposureAction::Flagged);
    assert_eq!(told(&rig).await.len(), 2);
}

#[tokio::test]
async fn what_is_no_live_secret_changes_nothing_under_any_policy() {
    for policy in POLICIES {
        let rig = under(policy);
        let issued = rig.issue().await;
        let key = text(&issued);
        let tokens = [
            wrong_secret(key, false),
            wrong_secret(key, true),
            known_key("zzzzzzzzzzzz", &"S".repeat(43)),
            key[..68].to_owned(),
            key.replace("live", "test"),
            String::new(),
        ];
        for token in &tokens {
            let seen = see(&rig, token).await;
            assert_eq!(seen, ExposureOutcome::NoLiveSecret, "{policy:?}");
        }
        assert_eq!(kept(&rig, &issued).await, **issued.record());
        assert!(told(&rig).await.is_empty(), "{policy:?}");
    }
}

#[tokio::test]
async fn a_key_whose_time_is_over_stays_as_it_is_under_any_policy() {
    for policy in POLICIES {
        let rig = under(policy);
        let (expired, revoked) = (
            rig.issue_as(request().with_lifetime(HOUR)).await,
            rig.issue().await,
        );
        let old = rig.issue().await;
        let _ = rotate(&rig, &old, Rotation::AtOnce).await;
        rig.revoke(&revoked).await;
        rig.clock.advance(HOUR);
        for key in [&expired, &revoked, &old] {
            let before = kept(&rig, key).await;
            let seen = see(&rig, text(key)).await;
            assert_eq!(seen, ExposureOutcome::NoLiveSecret, "{policy:?}");
            assert_eq!(kept(&rig, key).await, before, "{policy:?}");
        }
        assert_eq!(rig.hasher.verifications(), 0);
        assert!(told(&rig).await.is_empty(), "{policy:?}");
    }
}

#[tokio::test]
async fn a_secret_that_is_rotated_out_while_it_is_proved_changes_nothing() {
    for policy in POLICIES {
        let rig = under(policy);
        let issued = rig.issue().await;
        let id = issued.record().id;
        let gate = rig.hasher.gate().clone();
        gate.close();
        let (service, key) = (rig.service.clone(), text(&issued).to_owned());
        let seen =
            tokio::spawn(async move { service.report_exposed(key.as_bytes(), "x", None).await });
        wait_for_hashes(&rig, 2).await;
        let now = rig.clock.now();
        rig.store
            .edit(&id, |record| {
                let mut old = record.current.clone();
                old.end = CredentialEnd::ENDED;
                let digest = DigestText::new("$2b$12$another");
                let mut next = Credential::new(digest, SecretOrigin::Generated, now);
                next.generation = old.generation.next();
                (record.current, record.previous) = (next, Some(old));
            })
            .await;
        let before = rig.record(&id).await;
        gate.open();
        let expected = match policy {
            ExposurePolicy::Revoke => Some(ExposureAction::Ended),
            _ => None,
        };
        assert_eq!(seen.await.unwrap().action(), expected, "{policy:?}");
        assert_eq!(rig.record(&id).await, before, "{policy:?}");
        assert!(told(&rig).await.is_empty(), "{policy:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_while_it_is_proved_keeps_its_revocation() {
    for policy in POLICIES {
        let rig = under(policy);
        let issued = rig.issue().await;
        let gate = rig.hasher.gate().clone();
        gate.close();
        let (service, key) = (rig.service.clone(), text(&issued).to_owned());
        let seen =
            tokio::spawn(async move { service.report_exposed(key.as_bytes(), "x", None).await });
        wait_for_hashes(&rig, 2).await;
        rig.revoke(&issued).await;
        let before = kept(&rig, &issued).await;
        gate.open();
        let expected = match policy {
            ExposurePolicy::Revoke => Some(ExposureAction::Revoked),
            _ => None,
        };
        assert_eq!(seen.await.unwrap().action(), expected, "{policy:?}");
        assert_eq!(kept(&rig, &issued).await, before, "{policy:?}");
        assert!(told(&rig).await.is_empty(), "{policy:?}");
    }
}

#[tokio::test]
async fn wrong_secrets_cost_their_sender_as_in_a_verification() {
    let rig = under(ExposurePolicy::Revoke);
    let (issued, other) = (rig.issue().await, rig.issue().await);
    let wrong = wrong_secret(text(&issued), false);
    for _ in 0..20 {
        let seen = see_from(&rig, &wrong, "192.0.2.7").await;
        assert_eq!(seen, ExposureOutcome::NoLiveSecret);
    }
    let refused = rejection(rig.verify_from(text(&other), "192.0.2.7").await);
    assert!(matches!(refused, Rejection::Throttled { .. }));
    // And is not looked at here either, though it is right.
    let reads = rig.store.count(Call::Find);
    let seen = see_from(&rig, text(&other), "192.0.2.7").await;
    assert_eq!(seen, ExposureOutcome::Unanswered);
    assert_eq!(rig.store.count(Call::Find), reads);
    assert!(rig.verify_from(text(&other), "192.0.2.8").await.is_ok());
}

#[tokio::test]
async fn an_address_that_has_failed_too_often_ends_keys_that_work_here_and_costs_no_hash() {
    let rig = under(ExposurePolicy::Revoke);
    let issued = rig.issue().await;
    assert!(rig.accepts(text(&issued)).await);
    let (wrong, close) = (
        wrong_secret(text(&issued), false),
        wrong_secret(text(&issued), true),
    );
    for _ in 0..20 {
        let _ = see_from(&rig, &wrong, "192.0.2.7").await;
    }
    let hashes = rig.hasher.verifications();
    let seen = see_from(&rig, &close, "192.0.2.7").await;
    assert_eq!(seen, ExposureOutcome::Unanswered);
    assert_eq!(rig.hasher.verifications(), hashes);
    let seen = see_from(&rig, text(&issued), "192.0.2.7").await;
    assert_eq!(seen.action(), Some(ExposureAction::Revoked));
}

/// A flood holds up nobody else: neither one from another address, nor one against another key.
#[tokio::test]
async fn one_address_and_one_key_are_looked_at_once_at_a_time() {
    let rig = rig();
    let (slow, warm) = (rig.issue().await, rig.issue().await);
    assert!(rig.accepts(text(&warm)).await);
    let gate = rig.hasher.gate().clone();
    gate.close();
    let (service, key) = (rig.service.clone(), text(&slow).to_owned());
    let first = tokio::spawn(async move {
        let client = "192.0.2.7".parse().unwrap();
        let seen = service.report_exposed(key.as_bytes(), "ticket", Some(client));
        seen.await
    });
    // The two of issuing, that of the verification, and this one.
    wait_for_hashes(&rig, 4).await;
    let of_address = see_from(&rig, text(&warm), "192.0.2.7").await;
    assert_eq!(of_address, ExposureOutcome::Unanswered);
    let of_key = see_from(&rig, text(&slow), "192.0.2.8").await;
    assert_eq!(of_key, ExposureOutcome::Unanswered);
    let other = see_from(&rig, text(&warm), "192.0.2.8").await;
    assert_eq!(other.action(), Some(ExposureAction::Flagged));
    gate.open();
    let first = first.await.unwrap();
    assert_eq!(first.action(), Some(ExposureAction::Flagged));
}

#[tokio::test]
async fn twenty_at_once_change_the_record_once() {
    for policy in &POLICIES[1..] {
        let rig = under(*policy);
        let issued = rig.issue().await;
        assert!(rig.accepts(text(&issued)).await);
        let seen: Vec<_> = (0..20)
            .map(|_| {
                let (service, key) = (rig.service.clone(), text(&issued).to_owned());
                tokio::spawn(
                    async move { service.report_exposed(key.as_bytes(), "ticket", None).await },
                )
            })
            .collect();
        let mut answered = 0;
        for seen in seen {
            answered += usize::from(seen.await.unwrap().action().is_some());
        }
        assert!(answered >= 1);
        assert_eq!(told(&rig).await.len(), 1, "{policy:?}");
        let changes = kept(&rig, &issued).await.revision.number() - 1;
        assert_eq!(changes, 1, "{policy:?}");
    }
}

#[tokio::test]
async fn two_processes_at_once_change_the_record_once() {
    for policy in &POLICIES[1..] {
        let one = under(*policy);
        let other = one.another(|builder| builder.exposure_policy(*policy));
        let issued = one.issue().await;
        assert!(one.accepts(text(&issued)).await && other.accepts(text(&issued)).await);
        let (a, b) = tokio::join!(see(&one, text(&issued)), see(&other, text(&issued)));
        assert!(a.action().is_some() || b.action().is_some());
        let changes = kept(&one, &issued).await.revision.number() - 1;
        assert_eq!(changes, 1, "{policy:?}");
        if *policy == ExposurePolicy::Revoke {
            let told = [told(&one).await.len(), told(&other).await.len()];
            assert_eq!(told.iter().sum::<usize>(), 1);
        }
    }
}

#[tokio::test]
async fn an_outage_of_the_store_leaves_it_unanswered_until_the_next_time() {
    for policy in &POLICIES[1..] {
        let rig = under(*policy);
        let issued = rig.issue().await;
        for call in [Call::Find, Call::Update] {
            rig.store.fail(call, 1);
            let seen = see(&rig, text(&issued)).await;
            assert_eq!(seen, ExposureOutcome::Unanswered, "{policy:?} {call:?}");
            assert_eq!(kept(&rig, &issued).await, **issued.record());
        }
        assert!(see(&rig, text(&issued)).await.action().is_some());
    }
}

#[tokio::test]
async fn a_dead_trail_keeps_marks_and_graces_from_being_made() {
    for policy in [ExposurePolicy::Flag, ExposurePolicy::Grace(HOUR)] {
        let rig = under(policy);
        let issued = rig.issue().await;
        rig.sink.fail_next(1);
        let seen = see(&rig, text(&issued)).await;
        assert_eq!(seen, ExposureOutcome::Unanswered);
        assert_eq!(kept(&rig, &issued).await, **issued.record());
        assert!(see(&rig, text(&issued)).await.action().is_some());
    }
}

#[tokio::test]
async fn a_dead_trail_keeps_no_secret_alive_that_is_to_end() {
    let rig = under(ExposurePolicy::Revoke);
    let (issued, old) = (rig.issue().await, rig.issue().await);
    let new = rotate(&rig, &old, Rotation::Grace(DAY)).await;
    rig.sink.fail_next(u32::MAX);
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Revoked);
    assert_eq!(action(&rig, text(&old)).await, ExposureAction::Ended);
    assert_eq!(rig.rejected(text(&issued)).await, Rejection::Revoked);
    assert_eq!(rig.rejected(text(&old)).await, Rejection::Superseded);
    assert!(rig.accepts(text(&new)).await);
}

#[tokio::test]
async fn a_trail_that_hangs_does_not_either() {
    let rig = under(ExposurePolicy::Revoke);
    let issued = rig.issue().await;
    assert!(rig.accepts(text(&issued)).await);
    drop(rig.events().await);
    rig.sink.hold();
    // From here on five seconds are over as soon as nothing else is left to do.
    tokio::time::pause();
    assert_eq!(action(&rig, text(&issued)).await, ExposureAction::Revoked);
    assert!(kept(&rig, &issued).await.revocation.is_some());
    rig.sink.release();
}

#[tokio::test]
async fn what_was_decided_holds_after_a_restart() {
    let rig = under(ExposurePolicy::Grace(HOUR));
    let issued = rig.issue().await;
    let grace = action(&rig, text(&issued)).await;
    let next = rig.another(|builder| builder.exposure_policy(ExposurePolicy::Grace(HOUR)));
    rig.clock.advance(HOUR / 2);
    assert_eq!(action(&next, text(&issued)).await, grace);
    assert!(told(&next).await.is_empty());
    rig.clock.advance(HOUR / 2);
    assert_eq!(next.rejected(text(&issued)).await, Rejection::Exposed);
}

#[tokio::test]
async fn nothing_that_is_shown_or_written_holds_a_secret() {
    for policy in POLICIES {
        let rig = under(policy);
        let issued = rig.issue().await;
        let key = text(&issued);
        let mut shown = format!("{:?}", see(&rig, key).await);
        shown.push_str(&format!("{:?}", see(&rig, &wrong_secret(key, true)).await));
        for event in rig.events().await {
            shown.push_str(&event.to_line().unwrap());
        }
        let secret = &key[20..63];
        assert!(!shown.contains(&secret[..8]) && !shown.contains(&secret[35..]));
    }
}

/// The whole of it over another store than the one of the tests above.
async fn plays(builder: keyward::service::KeyServiceBuilder) {
    let clock = ManualClock::default();
    let hashing = keyward::hash::Hashing::builder().prefer(quick_bcrypt(4));
    let service = builder
        .hashing(hashing.build().unwrap())
        .clock(clock.clone())
        .exposure_policy(ExposurePolicy::Grace(HOUR))
        .build()
        .unwrap();
    let old = service.issue(&admin(), request()).await.unwrap();
    let id = old.record().id;
    let verify = async |key: &str| {
        let context = keyward::RequestContext::new();
        service.verify(key.as_bytes(), &context).await
    };
    let seen = service.report_exposed(text(&old).as_bytes(), "ticket", None);
    let ends_at = clock.now().saturating_add(HOUR);
    assert_eq!(seen.await.action(), Some(ExposureAction::Grace { ends_at }));
    let record = service.get(&admin(), &id).await.unwrap();
    assert_eq!(record.current.end, CredentialEnd::At(ends_at));
    assert!(verify(text(&old)).await.is_ok());
    clock.advance(HOUR);
    assert_eq!(rejection(verify(text(&old)).await), Rejection::Exposed);
    let exposed = Review::Exposed;
    let review = service.review(&admin(), &exposed, ListKeys::new()).await;
    assert_eq!(review.unwrap().records.len(), 1);
    let rotation = Rotation::Grace(DAY);
    let new = service.rotate(&admin(), &id, rotation).await.unwrap();
    assert!(verify(text(&new)).await.is_ok());
    assert_eq!(rejection(verify(text(&old)).await), Rejection::Superseded);
    let review = service.review(&admin(), &exposed, ListKeys::new()).await;
    assert!(review.unwrap().records.is_empty());
}

#[tokio::test]
async fn the_same_holds_in_memory() {
    plays(KeyService::builder(MemoryStore::new())).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_same_holds_on_sqlite() {
    use keyward::store::SqliteStore;

    plays(KeyService::builder(SqliteStore::in_memory().await.unwrap())).await;
    let store = SqliteStore::in_memory().await.unwrap();
    let store = store.with_audit("exposure").await.unwrap();
    plays(KeyService::builder_audited(store)).await;
}

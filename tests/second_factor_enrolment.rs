//! How a second factor comes, changes and goes, and what is written down of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod factor_support;

use factor_support::*;
use keyward::audit::{AuditEvent, AuditKind, Detail, Outcome};
use keyward::second_factor::{
    FactorCode, FactorError, MemoryFactorStore, ResetBy, TotpAlgorithm, TotpBuildError, TotpDigits,
    TotpFactor,
};

fn detail(event: &AuditEvent, name: &str) -> Option<String> {
    let found = event.details().find(|(known, _)| *known == name);
    found.map(|(_, value)| match value {
        Detail::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn the_uri_says_all_that_an_app_must_know() {
    let world = World::with(|it| {
        it.algorithm(TotpAlgorithm::Sha256)
            .digits(TotpDigits::Eight)
    });
    let enrolment = world
        .enrolments()
        .begin(&ana(), "ana@example.com")
        .await
        .unwrap();
    let secret = enrolment.expose_secret();
    assert_eq!(
        enrolment.expose_uri(),
        format!(
            "otpauth://totp/Example:ana%40example.com?secret={secret}&issuer=Example&algorithm=SHA256&digits=8&period=30"
        )
    );
    let read = totp_rs::Totp::from_url(enrolment.expose_uri()).unwrap();
    assert_eq!(read.secret().to_base32(), secret);
    assert_eq!(read.secret().as_bytes().len(), 32);
}

#[tokio::test]
async fn names_with_odd_characters_survive_the_uri() {
    let names = ["A & B?=#/%+", "Zürich 株式会社", "…\"<>'"];
    for name in names {
        let builder = TotpFactor::builder(MemoryFactorStore::new(), name).sealed_with(ring());
        let totp = builder.build().unwrap();
        let world = World::new();
        let enrolments = totp.enrolments(&world.recorder);
        let enrolment = enrolments.begin(&ana(), name).await.unwrap();
        let read = totp_rs::Totp::from_url(enrolment.expose_uri()).unwrap();
        assert_eq!((read.issuer(), read.account_name()), (Some(name), name));
    }
}

#[tokio::test]
async fn seeds_are_as_long_as_the_hash_and_never_the_same() {
    for (algorithm, bytes) in [
        (TotpAlgorithm::Sha1, 20),
        (TotpAlgorithm::Sha256, 32),
        (TotpAlgorithm::Sha512, 64),
    ] {
        let world = World::with(|it| it.algorithm(algorithm));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let enrolment = world.enrolments().begin(&ana(), "ana").await.unwrap();
            let read = totp_rs::Totp::from_url(enrolment.expose_uri()).unwrap();
            assert_eq!(read.secret().as_bytes().len(), bytes);
            seen.push(read.secret().as_bytes().to_vec());
        }
        assert_ne!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn a_name_that_would_break_the_uri_is_refused() {
    let world = World::new();
    for account in ["", " ", "a:b", "a\nb", &"a".repeat(129)] {
        let refused = world.enrolments().begin(&ana(), account).await.unwrap_err();
        assert_eq!(refused.code(), "invalid", "{account:?}");
        let builder = TotpFactor::builder(MemoryFactorStore::new(), account);
        let refused = builder.sealed_with(ring()).build().unwrap_err();
        assert!(
            matches!(refused, TotpBuildError::Issuer { .. }),
            "{account:?}"
        );
    }
}

#[test]
fn a_factor_without_a_seal_is_not_built_unless_that_is_said() {
    let builder = || TotpFactor::builder(MemoryFactorStore::new(), "Example");
    assert_eq!(builder().build().unwrap_err(), TotpBuildError::NoSeal);
    assert!(builder().dangerous().unsealed().build().is_ok());
}

#[tokio::test]
async fn an_enrolment_waits_a_quarter_of_an_hour_for_its_code() {
    let world = World::new();
    let phone = world.begin(&ana()).await;
    world.clock.advance(TotpFactor::ENROLMENT_LIFE);
    let late = world
        .enrolments()
        .confirm(&ana(), &phone.code(world.now()))
        .await;
    assert_eq!(late.unwrap_err().code(), "not_pending");
    let phone = world.begin(&ana()).await;
    world.clock.advance(TotpFactor::ENROLMENT_LIFE - MICRO);
    let in_time = world
        .enrolments()
        .confirm(&ana(), &phone.code(world.now()))
        .await;
    assert!(in_time.is_ok());
}

#[tokio::test]
async fn beginning_again_replaces_what_was_not_confirmed() {
    let world = World::new();
    let (old, new) = (world.begin(&ana()).await, world.begin(&ana()).await);
    let enrolments = world.enrolments();
    let refused = enrolments.confirm(&ana(), &old.code(world.now())).await;
    assert_eq!(refused.unwrap_err().code(), "wrong_code");
    assert!(
        enrolments
            .confirm(&ana(), &new.code(world.now()))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_confirmed_factor_is_not_replaced_without_a_reset() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let again = world.enrolments().begin(&ana(), "ana").await.unwrap_err();
    assert!(matches!(again, FactorError::AlreadyEnrolled));
    let confirm = world
        .enrolments()
        .confirm(&ana(), &phone.code(world.now()))
        .await;
    assert_eq!(confirm.unwrap_err().code(), "not_pending");
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn guesses_at_a_confirmation_are_slowed_down() {
    let world = World::new();
    let phone = world.begin(&ana()).await;
    let enrolments = world.enrolments();
    for expected in ["wrong_code", "wrong_code", "wrong_code", "throttled"] {
        let refused = enrolments
            .confirm(&ana(), &phone.wrong(world.now(), 0))
            .await;
        assert_eq!(refused.unwrap_err().code(), expected);
    }
}

#[tokio::test]
async fn nobody_confirms_what_was_not_begun() {
    let world = World::new();
    let confirm = world
        .enrolments()
        .confirm(&ana(), &FactorCode::new("123456"))
        .await;
    assert_eq!(confirm.unwrap_err().code(), "not_pending");
}

#[tokio::test]
async fn enrolling_renewing_and_resetting_are_written_down() {
    let world = World::new();
    let phone = world.begin(&ana()).await;
    let enrolments = world.enrolments();
    let wrong = phone.wrong(world.now(), 0);
    drop(enrolments.confirm(&ana(), &wrong).await.unwrap_err());
    drop(
        enrolments
            .confirm(&ana(), &phone.code(world.now()))
            .await
            .unwrap(),
    );
    world.clock.advance(PERIOD);
    let code = phone.code(world.now());
    let codes = enrolments
        .renew_recovery_codes(&ana(), &code)
        .await
        .unwrap();
    let recovery = &codes_of(&codes)[0];
    enrolments
        .reset(&ana(), ResetBy::Code(recovery))
        .await
        .unwrap();
    let success = |kind| (kind, Outcome::Success, None);
    assert_eq!(
        world.kinds().await,
        [
            (
                AuditKind::SecondFactorFailed,
                Outcome::Failure,
                Some("wrong_code".to_owned())
            ),
            success(AuditKind::SecondFactorEnrolled),
            success(AuditKind::RecoveryCodesRenewed),
            success(AuditKind::SecondFactorReset),
        ]
    );
    for event in world.events().await {
        assert_eq!(event.actor().unwrap().as_str(), "user:ana");
        assert_eq!(detail(&event, "factor_of").unwrap(), "user:ana");
        let method = match event.kind() {
            AuditKind::SecondFactorFailed => None,
            AuditKind::SecondFactorReset => Some("recovery_code"),
            _ => Some("totp"),
        };
        assert_eq!(detail(&event, "second_factor").as_deref(), method);
    }
}

#[tokio::test]
async fn the_application_resets_with_a_reason_and_its_name() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let desk = "system:support/bob".parse().unwrap();
    let by = ResetBy::Application {
        actor: &desk,
        reason: "phone lost, seen in person",
    };
    world.enrolments().reset(&ana(), by).await.unwrap();
    assert_eq!(
        world.refused(&phone.code(world.now())).await,
        "not_enrolled"
    );
    let events = world.events().await;
    let reset = events.last().unwrap();
    assert_eq!(reset.kind(), AuditKind::SecondFactorReset);
    assert_eq!(reset.actor().unwrap().as_str(), "system:support/bob");
    assert_eq!(detail(reset, "factor_of").unwrap(), "user:ana");
    assert_eq!(
        detail(reset, "reason").unwrap(),
        "phone lost, seen in person"
    );
}

#[tokio::test]
async fn nobody_else_resets_without_a_code() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    for actor in [
        "user:ana",
        "user:bob",
        "key:0aZ9bY8cX7dW",
        "system",
        "systems:x",
    ] {
        let by = ResetBy::Application {
            actor: &actor.parse().unwrap(),
            reason: "please",
        };
        let refused = world.enrolments().reset(&ana(), by).await.unwrap_err();
        assert_eq!(refused.code(), "not_the_application", "{actor}");
    }
    let desk = "system:desk".parse().unwrap();
    let by = ResetBy::Application {
        actor: &desk,
        reason: " ",
    };
    let refused = world.enrolments().reset(&ana(), by).await.unwrap_err();
    assert_eq!(refused.code(), "invalid");
    let wrong = phone.wrong(world.now(), 0);
    let refused = world
        .enrolments()
        .reset(&ana(), ResetBy::Code(&wrong))
        .await;
    assert_eq!(refused.unwrap_err().code(), "wrong_code");
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_happen() {
    let world = World::new();
    let phone = world.begin(&ana()).await;
    let enrolments = world.enrolments();
    world.sink.fail_next(u32::MAX);
    let confirm = enrolments.confirm(&ana(), &phone.code(world.now())).await;
    assert!(matches!(confirm, Err(FactorError::Audit(_))));
    world.sink.fail_next(0);
    world.clock.advance(PERIOD);
    assert_eq!(
        world.refused(&phone.code(world.now())).await,
        "not_enrolled"
    );
    let confirm = enrolments.confirm(&ana(), &phone.code(world.now())).await;
    let codes = codes_of(&confirm.unwrap());

    world.sink.fail_next(u32::MAX);
    world.clock.advance(PERIOD);
    let renew = enrolments
        .renew_recovery_codes(&ana(), &phone.code(world.now()))
        .await;
    assert!(matches!(renew, Err(FactorError::Audit(_))));
    world.clock.advance(PERIOD);
    let code = phone.code(world.now());
    let reset = enrolments.reset(&ana(), ResetBy::Code(&code)).await;
    assert!(matches!(reset, Err(FactorError::Audit(_))));
    world.sink.fail_next(0);
    assert!(world.accepts(&codes[0]).await);
    world.clock.advance(PERIOD);
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_reset_that_fails_after_its_event_says_so() {
    let world = World::new();
    drop(world.enrol(&ana()).await);
    world.store.fail_writing(true);
    let desk = "system:desk".parse().unwrap();
    let by = ResetBy::Application {
        actor: &desk,
        reason: "lost",
    };
    let outage = world.enrolments().reset(&ana(), by).await.unwrap_err();
    assert!(matches!(outage, FactorError::Unavailable(_)));
    let kinds = world.kinds().await;
    let resets: Vec<_> = kinds
        .iter()
        .filter(|(kind, ..)| *kind == AuditKind::SecondFactorReset)
        .map(|(_, outcome, reason)| (*outcome, reason.as_deref()))
        .collect();
    assert_eq!(
        resets,
        [
            (Outcome::Success, None),
            (Outcome::Failure, Some("unavailable"))
        ]
    );
}

//! One-time codes and recovery codes: which are accepted, when, and how often.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod factor_support;

use std::time::Duration;

use factor_support::*;
use keyward::second_factor::{
    FactorCode, FactorError, FactorMethod, ResetBy, TotpAlgorithm, TotpDigits, TotpFactor,
};
use keyward::time::Timestamp;
use proptest::prelude::*;

/// Enrols with the RFC's seed at that moment, which succeeds only with that code.
async fn confirms_at(
    (algorithm, digits): (TotpAlgorithm, TotpDigits),
    seconds: i64,
    code: &str,
) -> bool {
    let world = World::with(|it| it.random(RfcSeeds).algorithm(algorithm).digits(digits));
    world.clock.set(Timestamp::from_secs(seconds));
    world.begin(&ana()).await;
    let confirmed = world
        .enrolments()
        .confirm(&ana(), &FactorCode::new(code))
        .await;
    confirmed.is_ok()
}

#[tokio::test]
async fn accepts_the_codes_of_rfc_6238() {
    let vectors = [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ];
    for (seconds, sha1, sha256, sha512) in vectors {
        for (algorithm, code) in [
            (TotpAlgorithm::Sha1, sha1),
            (TotpAlgorithm::Sha256, sha256),
            (TotpAlgorithm::Sha512, sha512),
        ] {
            let form = (algorithm, TotpDigits::Eight);
            assert!(
                confirms_at(form, seconds, code).await,
                "{algorithm:?} {seconds}"
            );
            let other = if code == sha1 { sha256 } else { sha1 };
            assert!(
                !confirms_at(form, seconds, other).await,
                "{algorithm:?} {seconds}"
            );
        }
    }
}

#[tokio::test]
async fn accepts_the_codes_of_rfc_4226() {
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    let form = (TotpAlgorithm::Sha1, TotpDigits::Six);
    for (code, counter) in codes.into_iter().zip(0..) {
        assert!(confirms_at(form, counter * 30, code).await, "{counter}");
    }
}

#[tokio::test]
async fn a_code_is_good_for_its_step_and_one_to_each_side() {
    let middle = Timestamp::from_secs(1_700_000_010);
    let first = middle.saturating_sub(PERIOD);
    let after = middle.saturating_add(PERIOD * 2);
    for (at, good) in [
        (first.saturating_sub(MICRO), false),
        (first, true),
        (middle, true),
        (after.saturating_sub(MICRO), true),
        (after, false),
    ] {
        let world = World::new();
        world.clock.set(middle.saturating_sub(PERIOD * 20));
        let (phone, _) = world.enrol(&ana()).await;
        world.clock.set(at);
        assert_eq!(world.accepts(&phone.code(middle)).await, good, "{at}");
    }
}

#[tokio::test]
async fn a_code_works_once() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let code = phone.code(world.now());
    assert_eq!(world.verify(&code).await.unwrap(), FactorMethod::TOTP);
    assert_eq!(world.refused(&code).await, "used_code");
    let elsewhere = world.another(|it| it);
    assert_eq!(elsewhere.refused(&code).await, "used_code");
    world.clock.advance(PERIOD);
    assert_eq!(world.refused(&code).await, "used_code");
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn the_code_that_confirmed_the_enrolment_is_spent() {
    let world = World::new();
    let phone = world.begin(&ana()).await;
    let code = phone.code(world.now());
    let confirmed = world.enrolments().confirm(&ana(), &code).await;
    assert_eq!(
        confirmed.unwrap().expose().len(),
        TotpFactor::RECOVERY_CODES
    );
    assert_eq!(world.refused(&code).await, "used_code");
}

#[tokio::test]
async fn after_a_code_none_from_before_it_is_accepted() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let now = world.now();
    let next = phone.code(now.saturating_add(PERIOD));
    assert!(world.accepts(&next).await);
    assert_eq!(world.refused(&phone.code(now)).await, "used_code");
}

#[tokio::test]
async fn a_used_code_is_not_counted_as_a_guess() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let code = phone.code(world.now());
    assert!(world.accepts(&code).await);
    for _ in 0..200 {
        assert_eq!(world.refused(&code).await, "used_code");
    }
    world.clock.advance(PERIOD);
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_wrong_code_spends_nothing() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    assert_eq!(
        world.refused(&phone.wrong(world.now(), 0)).await,
        "wrong_code"
    );
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_code_is_of_one_actor() {
    let world = World::new();
    let (phone, codes) = world.enrol(&ana()).await;
    let bob = "user:bob".parse().unwrap();
    drop(world.enrol(&bob).await);
    let code = phone.code(world.now());
    let refused = world.verify_for(&bob, &code).await.unwrap_err();
    assert_eq!(refused.code(), "wrong_code");
    let refused = world
        .verify_for(&bob, &codes_of(&codes)[0])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "wrong_code");
    assert!(world.accepts(&code).await);
}

#[tokio::test]
async fn waits_grow_with_wrong_codes_and_end_with_a_good_one() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    for seconds in [0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900] {
        let wrong = phone.wrong(world.now(), 0);
        assert_eq!(world.refused(&wrong).await, "wrong_code");
        let wait = Duration::from_secs(seconds);
        if wait.is_zero() {
            continue;
        }
        // A good code is not even looked at, and stays good.
        world.clock.advance(wait - MICRO);
        match world.verify(&phone.code(world.now())).await.unwrap_err() {
            FactorError::Throttled { retry_after } => assert_eq!(retry_after, MICRO),
            other => panic!("{other:?}"),
        }
        world.clock.advance(MICRO);
    }
    assert!(world.accepts(&phone.code(world.now())).await);
    for _ in 0..2 {
        let wrong = phone.wrong(world.now(), 0);
        assert_eq!(world.refused(&wrong).await, "wrong_code");
    }
    world.clock.advance(PERIOD);
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn attempts_during_a_wait_do_not_prolong_it() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    for _ in 0..3 {
        world.refused(&phone.wrong(world.now(), 0)).await;
    }
    for _ in 0..50 {
        assert_eq!(
            world.refused(&phone.wrong(world.now(), 1)).await,
            "throttled"
        );
    }
    world.clock.advance(Duration::from_secs(5));
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_hundred_wrong_codes_in_a_row_lock_the_factor_until_a_recovery_code() {
    let world = World::new();
    let (phone, codes) = world.enrol(&ana()).await;
    for _ in 0..TotpFactor::MOST_FAILURES {
        assert_eq!(
            world.refused(&phone.wrong(world.now(), 0)).await,
            "wrong_code"
        );
        world.clock.advance(Duration::from_secs(900));
    }
    assert_eq!(world.refused(&phone.code(world.now())).await, "locked");
    assert!(world.accepts(&codes_of(&codes)[3]).await);
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_recovery_code_works_once_and_through_any_wait() {
    let world = World::new();
    let (phone, codes) = world.enrol(&ana()).await;
    for _ in 0..3 {
        world.refused(&phone.wrong(world.now(), 0)).await;
    }
    assert_eq!(world.refused(&phone.code(world.now())).await, "throttled");
    for code in codes_of(&codes) {
        let method = world.verify(&code).await.unwrap();
        assert_eq!(method, FactorMethod::RECOVERY_CODE);
        assert_eq!(world.refused(&code).await, "wrong_code");
    }
    // And the wait is over.
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_recovery_code_is_read_in_any_case_with_or_without_dashes() {
    let world = World::new();
    let (_, codes) = world.enrol(&ana()).await;
    let typed: Vec<_> = codes.expose().collect();
    let lower = FactorCode::new(typed[0].to_lowercase());
    let plain = FactorCode::new(typed[1].replace('-', ""));
    let cut = FactorCode::new(&typed[2][1..]);
    assert!(world.accepts(&lower).await);
    assert!(world.accepts(&plain).await);
    assert_eq!(world.refused(&cut).await, "malformed_code");
}

#[tokio::test]
async fn new_recovery_codes_replace_the_old_ones() {
    let world = World::new();
    let (phone, old) = world.enrol(&ana()).await;
    let enrolments = world.enrolments();
    let current = phone.code(world.now());
    let new = enrolments.renew_recovery_codes(&ana(), &current).await;
    for code in codes_of(&old) {
        assert_eq!(world.refused(&code).await, "wrong_code");
    }
    assert!(world.accepts(&codes_of(&new.unwrap())[9]).await);
    // The code that paid for them is spent.
    assert_eq!(world.refused(&current).await, "used_code");
}

#[tokio::test]
async fn new_recovery_codes_need_a_current_code() {
    let world = World::new();
    let (phone, old) = world.enrol(&ana()).await;
    let wrong = phone.wrong(world.now(), 0);
    let refused = world
        .enrolments()
        .renew_recovery_codes(&ana(), &wrong)
        .await;
    assert_eq!(refused.unwrap_err().code(), "wrong_code");
    assert!(world.accepts(&codes_of(&old)[0]).await);
}

#[tokio::test]
async fn what_has_the_shape_of_no_code_is_refused_before_the_store_is_asked() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let (good, before) = (phone.text(world.now()), world.store.reads());
    for text in [
        String::new(),
        format!(" {good}"),
        format!("{good}\n"),
        format!("+{}", &good[1..]),
        good[1..].to_owned(),
        format!("{good}0"),
        "１２３４５６".to_owned(),
        "x".repeat(1 << 20),
    ] {
        assert_eq!(
            world.refused(&FactorCode::new(text)).await,
            "malformed_code"
        );
    }
    assert_eq!(world.store.reads(), before);
    // Eight digits are a code somewhere else.
    assert_eq!(
        world.refused(&FactorCode::new("12345678")).await,
        "malformed_code"
    );
    assert!(world.accepts(&FactorCode::new(good)).await);
}

#[tokio::test]
async fn who_is_not_enrolled_proves_nothing() {
    let world = World::new();
    assert_eq!(
        world.refused(&FactorCode::new("123456")).await,
        "not_enrolled"
    );
    let phone = world.begin(&ana()).await;
    assert_eq!(
        world.refused(&phone.code(world.now())).await,
        "not_enrolled"
    );
}

#[tokio::test]
async fn who_was_reset_proves_nothing_with_the_old_app() {
    let world = World::new();
    let (phone, codes) = world.enrol(&ana()).await;
    let code = phone.code(world.now());
    world
        .enrolments()
        .reset(&ana(), ResetBy::Code(&code))
        .await
        .unwrap();
    world.clock.advance(PERIOD);
    assert_eq!(
        world.refused(&phone.code(world.now())).await,
        "not_enrolled"
    );
    assert_eq!(world.refused(&codes_of(&codes)[0]).await, "not_enrolled");
    let (new, _) = world.enrol(&ana()).await;
    assert_eq!(world.refused(&phone.code(world.now())).await, "wrong_code");
    assert!(world.accepts(&new.code(world.now())).await);
}

#[tokio::test]
async fn an_outage_is_no_refusal_and_accepts_nothing() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let code = phone.code(world.now());
    world.store.fail_reading(true);
    let outage = world.verify(&code).await.unwrap_err();
    assert!(matches!(outage, FactorError::Unavailable(_)) && !outage.is_refusal());
    world.store.fail_reading(false);
    // What cannot be written down as spent is not accepted, and a guess that cannot be counted is not answered.
    world.store.fail_writing(true);
    for code in [&code, &phone.wrong(world.now(), 0)] {
        let outage = world.verify(code).await.unwrap_err();
        assert!(matches!(outage, FactorError::Unavailable(_)) && !outage.is_refusal());
    }
    world.store.fail_writing(false);
    assert!(world.accepts(&code).await);
}

#[tokio::test]
async fn a_clock_that_steps_back_brings_no_spent_code_back() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let code = phone.code(world.now());
    assert!(world.accepts(&code).await);
    world.clock.set(world.now().saturating_sub(PERIOD * 10));
    assert_eq!(world.refused(&phone.code(world.now())).await, "used_code");
    assert_eq!(world.refused(&code).await, "wrong_code");
}

#[tokio::test]
async fn settings_for_new_enrolments_leave_old_ones_alone() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let later = world.another(|it| {
        it.algorithm(TotpAlgorithm::Sha512)
            .digits(TotpDigits::Eight)
    });
    assert!(later.accepts(&phone.code(world.now())).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_moment_and_no_text_make_it_panic(micros: i64, text in ".{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            drop(world.enrol(&ana()).await);
            world.clock.set(Timestamp::from_micros(micros));
            let _ = world.verify(&FactorCode::new(text)).await;
            let _ = world.verify(&FactorCode::new("123456")).await;
        });
    }

    #[test]
    fn of_any_codes_in_any_order_each_is_accepted_once_and_never_an_older_one(
        steps in proptest::collection::vec(0_i64..6, 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let (phone, _) = world.enrol(&ana()).await;
            let base = world.now();
            world.clock.set(base.saturating_add(PERIOD * 2));
            let mut last = None;
            for step in steps {
                let at = Timestamp::from_secs(base.as_secs() + step * 30);
                let fits = (1..=3).contains(&step) && last.is_none_or(|last| step > last);
                // So that no wait gets in between.
                let codes = world.verify(&phone.code(at)).await;
                if matches!(codes, Err(FactorError::Throttled { .. })) {
                    continue;
                }
                assert_eq!(codes.is_ok(), fits, "{step} after {last:?}: {codes:?}");
                if fits {
                    last = Some(step);
                }
            }
        });
    }
}

//! What lies in the store: sealed, for one actor, under a version of a key; and no secret anywhere else.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod factor_support;

use std::error::Error;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use factor_support::*;
use keyward::key::ActorRef;
use keyward::second_factor::{
    FactorCode, FactorError, FactorStore as _, ResetBy, SqliteFactorStore, TotpFactor,
};
use keyward::store::SqliteStore;

fn bob() -> ActorRef {
    "user:bob".parse().unwrap()
}

async fn is_corrupt(world: &World, owner: &ActorRef, phone: &Phone) {
    let code = phone.code(world.now());
    let error = world.verify_for(owner, &code).await.unwrap_err();
    assert!(matches!(error, FactorError::Corrupt(_)), "{error:?}");
    assert!(!error.is_refusal());
}

#[tokio::test]
async fn a_row_that_was_changed_anywhere_opens_for_nobody() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let state = world.store.row(&ana()).await.state().to_owned();
    let (head, sealed) = state.rsplit_once('.').unwrap();
    assert_eq!(head, "s1.1");
    let bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let changed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(changed));
        world.store.plant(&ana(), &changed).await;
        is_corrupt(&world, &ana(), &phone).await;
    }
    world.store.plant(&ana(), &state).await;
    assert!(world.accepts(&phone.code(world.now())).await);
}

#[tokio::test]
async fn a_text_that_is_no_row_opens_for_nobody() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let long = format!("s1.1.{}", "A".repeat(1 << 20));
    for text in [
        "",
        "s1",
        "s1.",
        "s1.1",
        "s1.1.",
        "s1.1.!",
        "s1.x.AAAA",
        "s1.-1.AAAA",
        "s2.1.AAAA",
        "p1.",
        "p1.AAAA",
        "s1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &long,
    ] {
        world.store.plant(&ana(), text).await;
        is_corrupt(&world, &ana(), &phone).await;
    }
}

#[tokio::test]
async fn a_row_copied_to_another_actor_opens_for_nobody() {
    let world = World::new();
    let (of_ana, _) = world.enrol(&ana()).await;
    let (of_bob, _) = world.enrol(&bob()).await;
    let rows = (world.store.row(&ana()).await, world.store.row(&bob()).await);
    world.store.plant(&bob(), rows.0.state()).await;
    world.store.plant(&ana(), rows.1.state()).await;
    for owner in [ana(), bob()] {
        for phone in [&of_ana, &of_bob] {
            is_corrupt(&world, &owner, phone).await;
        }
    }
}

#[tokio::test]
async fn a_row_without_a_seal_is_not_accepted_where_seals_are() {
    let open = World::with(|it| it.dangerous().unsealed());
    // Beside a ring that was given, the setting changes nothing.
    drop(open.enrol(&ana()).await);
    assert!(open.store.row(&ana()).await.state().starts_with("s1."));

    let world = World::new();
    let plain = TotpFactor::builder(world.store.clone(), "Example").clock(world.clock.clone());
    let plain = plain.dangerous().unsealed().build().unwrap();
    let enrolments = plain.enrolments(&world.recorder);
    let enrolment = enrolments.begin(&ana(), "ana").await.unwrap();
    let phone = Phone::shown(enrolment.expose_uri());
    drop(
        enrolments
            .confirm(&ana(), &phone.code(world.now()))
            .await
            .unwrap(),
    );
    world.clock.advance(PERIOD);
    assert!(world.store.row(&ana()).await.state().starts_with("p1."));
    is_corrupt(&world, &ana(), &phone).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_can_be_reset_by_the_application() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    world.store.plant(&ana(), "s1.1.damaged").await;
    let again = world.enrolments().begin(&ana(), "ana").await;
    assert!(matches!(again, Err(FactorError::Corrupt(_))));
    let by = ResetBy::Application {
        actor: &"system:desk".parse().unwrap(),
        reason: "damaged",
    };
    world.enrolments().reset(&ana(), by).await.unwrap();
    assert_eq!(
        world.refused(&phone.code(world.now())).await,
        "not_enrolled"
    );
    drop(world.enrol(&ana()).await);
}

#[tokio::test]
async fn each_code_seals_the_row_anew_under_the_current_key() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let version = |state: &str| state.split('.').nth(1).unwrap().to_owned();
    let old = world.store.row(&ana()).await;
    assert_eq!(version(old.state()), "1");

    let rotated = world.another(|it| it.sealed_with(ring_of(&[1, 2])));
    assert!(rotated.accepts(&phone.code(world.now())).await);
    let new = world.store.row(&ana()).await;
    assert_eq!(version(new.state()), "2");
    assert_ne!(old.revision(), new.revision());

    // The old key can go now; and who has only the old one says so, and not "wrong code".
    world.clock.advance(PERIOD);
    let only_new = world.another(|it| it.sealed_with(ring_of(&[2])));
    let code = phone.code(world.now());
    let outage = world.verify(&code).await.unwrap_err();
    assert!(matches!(outage, FactorError::Unavailable(_)), "{outage:?}");
    assert!(only_new.accepts(&code).await);
}

#[tokio::test]
async fn another_key_of_the_same_version_opens_nothing() {
    let world = World::new();
    let (phone, _) = world.enrol(&ana()).await;
    let other =
        keyward::hash::PepperRing::builder().pepper(1, *b"pT3n9-thirty-two-random-bytes-Kd");
    let stranger = world.another(|it| it.sealed_with(other.build().unwrap()));
    is_corrupt(&stranger, &ana(), &phone).await;
}

/// Every piece of eight characters of what must not be seen, as text, as numbers and in hex.
struct Canaries(Vec<String>);

impl Canaries {
    fn add(&mut self, secret: &[u8]) {
        for window in secret.windows(8) {
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            let numbers: Vec<_> = window.iter().map(u8::to_string).collect();
            self.0.extend([hex, numbers.join(", ")]);
            self.0.extend(String::from_utf8(window.to_vec()));
            self.0.push(URL_SAFE_NO_PAD.encode(window)[..10].to_owned());
        }
    }

    fn assert_absent(&self, shown: &str) {
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for canary in &self.0 {
            assert!(
                !shown.contains(canary) && !flat.contains(canary),
                "{canary} shows"
            );
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let (mut text, mut next) = (String::new(), Some(error));
    while let Some(error) = next {
        writeln!(text, "{error}\n{error:?}\n{error:#?}").unwrap();
        next = error.source();
    }
    text
}

#[tokio::test]
async fn no_seed_and_no_code_shows_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let keys = SqliteStore::open(&path).await.unwrap();
    let store = SqliteFactorStore::from_pool(keys.pool().clone());
    store.migrate().await.unwrap();
    let world = World::new();
    let builder = TotpFactor::builder(store.clone(), "Example").sealed_with(ring());
    let mut shown = format!("{builder:?}{builder:#?}");
    let totp = builder.clock(world.clock.clone()).build().unwrap();
    let enrolments = totp.enrolments(&world.recorder);
    let enrolment = enrolments.begin(&ana(), "ana").await.unwrap();
    let seed = totp_rs::Totp::from_url(enrolment.expose_uri()).unwrap();

    let mut canaries = Canaries(Vec::new());
    canaries.add(seed.secret().as_bytes());
    canaries.add(enrolment.expose_secret().as_bytes());
    let phone = Phone::shown(enrolment.expose_uri());
    write!(
        shown,
        "{enrolment:?}{enrolment:#?}{totp:?}{totp:#?}{enrolments:?}"
    )
    .unwrap();

    let first = phone.code(world.now());
    let codes = enrolments.confirm(&ana(), &first).await.unwrap();
    for code in codes.expose() {
        canaries.add(code.as_bytes());
        canaries.add(code.replace('-', "").as_bytes());
    }
    write!(shown, "{codes:?}{codes:#?}{first:?}{first:#?}").unwrap();
    let typed = codes.expose().next().unwrap().to_lowercase();
    canaries.add(typed.as_bytes());
    let typed = FactorCode::new(typed);
    let used = FactorCode::new(codes.expose().nth(1).unwrap());
    drop(
        enrolments
            .renew_recovery_codes(&ana(), &typed)
            .await
            .unwrap(),
    );
    for code in [&used, &first, &typed, &FactorCode::new("nonsense")] {
        let error = enrolments
            .reset(&ana(), ResetBy::Code(code))
            .await
            .unwrap_err();
        shown.push_str(&chain(&error));
    }

    // The row, and what its damage is answered with.
    let row = store.find(&ana()).await.unwrap().unwrap();
    write!(shown, "{row:?}{row:#?}{}", row.state()).unwrap();
    let damaged = keyward::second_factor::StoredFactor::new(row.revision(), "s1.1.damaged");
    let written = store.write(&ana(), Some(row.revision()), &damaged).await;
    written.unwrap();
    shown.push_str(&chain(&enrolments.begin(&ana(), "ana").await.unwrap_err()));
    let restored = store.write(&ana(), Some(row.revision()), &row).await;
    restored.unwrap();

    for event in world.events().await {
        write!(shown, "{}{event:?}", event.to_line().unwrap()).unwrap();
    }
    canaries.assert_absent(&shown);

    keys.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let raw = seed.secret().as_bytes();
        assert!(
            !bytes
                .windows(8)
                .any(|window| raw.windows(8).any(|piece| piece == window))
        );
        canaries.assert_absent(&String::from_utf8_lossy(&bytes));
    }
}

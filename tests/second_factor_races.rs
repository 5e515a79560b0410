//! One code in many hands: exactly one of them is let in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod factor_support;
#[cfg(feature = "postgres")]
mod servers;

use std::collections::BTreeMap;

use factor_support::*;
use keyward::audit::AuditKind;
use keyward::second_factor::{
    FactorAttempt, FactorCode, FactorOperation, SecondFactor, TotpFactor,
};

/// Brings each code on a task of its own, over the factors in turn, and counts the answers.
async fn storm(
    factors: &[TotpFactor],
    codes: impl Iterator<Item = FactorCode>,
) -> BTreeMap<&'static str, usize> {
    let racers: Vec<_> = codes
        .zip(factors.iter().cycle().cloned())
        .map(|(code, factor)| {
            tokio::spawn(async move {
                let operation = FactorOperation::new(AuditKind::KeyCreated);
                let owner = ana();
                let attempt = FactorAttempt::new(&owner, operation, &code);
                match factor.verify(&attempt).await {
                    Ok(method) => method.as_str(),
                    Err(error) => error.code(),
                }
            })
        })
        .collect();
    let mut answers = BTreeMap::new();
    for racer in racers {
        *answers.entry(racer.await.unwrap()).or_default() += 1;
    }
    answers
}

fn same(code: FactorCode) -> impl Iterator<Item = FactorCode> {
    std::iter::repeat_n(code, 64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_64_threads_with_one_code_one_is_let_in() {
    for _ in 0..20 {
        let world = World::new();
        let (phone, codes) = world.enrol(&ana()).await;
        let factors = [world.totp.clone(), world.another(|it| it).totp];
        let answers = storm(&factors, same(phone.code(world.now()))).await;
        assert_eq!(answers, BTreeMap::from([("totp", 1), ("used_code", 63)]));
        let answers = storm(&factors, same(codes_of(&codes)[0].clone())).await;
        assert_eq!(
            answers,
            BTreeMap::from([("recovery_code", 1), ("wrong_code", 63)])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn guesses_at_the_same_time_are_all_counted() {
    for _ in 0..20 {
        let world = World::new();
        let (phone, _) = world.enrol(&ana()).await;
        let guesses = (0..64).map(|number| phone.wrong(world.now(), number));
        let answers = storm(std::slice::from_ref(&world.totp), guesses).await;
        assert_eq!(
            answers,
            BTreeMap::from([("throttled", 61), ("wrong_code", 3)])
        );
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use keyward::second_factor::{PostgresFactorStore, SqliteFactorStore};
    use keyward::store::{PostgresStore, SqliteStore};

    use super::servers::Postgres;
    use super::*;

    async fn process(url: &str, world: &World) -> TotpFactor {
        let keys = PostgresStore::connect(url).await.unwrap();
        let store = PostgresFactorStore::from_pool(keys.pool().clone());
        store.migrate().await.unwrap();
        let builder = TotpFactor::builder(store, "Example").sealed_with(ring());
        builder.clock(world.clock.clone()).build().unwrap()
    }

    async fn enrol(totp: &TotpFactor, world: &World) -> Phone {
        let enrolments = totp.enrolments(&world.recorder);
        let enrolment = enrolments.begin(&ana(), "ana").await.unwrap();
        let phone = Phone::shown(enrolment.expose_uri());
        let first = phone.code(world.now());
        drop(enrolments.confirm(&ana(), &first).await.unwrap());
        world.clock.advance(PERIOD);
        phone
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_two_services_over_one_database_one_lets_a_code_in() {
        let world = World::new();
        let url = Postgres::shared().database();
        let factors = [process(&url, &world).await, process(&url, &world).await];
        let phone = enrol(&factors[0], &world).await;
        for _ in 0..3 {
            let answers = storm(&factors, same(phone.code(world.now()))).await;
            assert_eq!(answers, BTreeMap::from([("totp", 1), ("used_code", 63)]));
            world.clock.advance(PERIOD);
        }
        let guesses = (0..64).map(|number| phone.wrong(world.now(), number));
        let answers = storm(&factors, guesses).await;
        assert_eq!(
            answers,
            BTreeMap::from([("throttled", 61), ("wrong_code", 3)])
        );
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_two_services_over_one_file_one_lets_a_code_in() {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let mut factors = Vec::new();
        for _ in 0..2 {
            let keys = SqliteStore::open(&path).await.unwrap();
            let store = SqliteFactorStore::from_pool(keys.pool().clone());
            store.migrate().await.unwrap();
            let builder = TotpFactor::builder(store, "Example").sealed_with(ring());
            factors.push(builder.clock(world.clock.clone()).build().unwrap());
        }
        let phone = enrol(&factors[0], &world).await;
        let answers = storm(&factors, same(phone.code(world.now()))).await;
        assert_eq!(answers, BTreeMap::from([("totp", 1), ("used_code", 63)]));
    }
}

//! No secret, no digest and no pepper shows anywhere but where it is asked for by name.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    clippy::cast_possible_truncation,
    reason = "a test may fail where it stands"
)]

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{Debug, Display, Write as _};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use common::*;
use keyward::access::Target;
use keyward::audit::Redactor;
use keyward::hash::{DigestText, HashInput, HashPool, ProofMemory};
use keyward::key::{KeyFormat, PresentedSecret, Thumbprint};
use keyward::random::OsRandom;
use keyward::service::{
    Actor, FailureBudget, Field, ImportKey, KeyService, LimitPlan, Rejection, RequestContext,
    Review, Rotation, RotationAge, RotationPolicy, RowBindingMode, UpdateKey,
};
use keyward::store::{InsertKey, ListKeys, MemoryStore};
use keyward::testing::ManualClock;

/// Shorter pieces turn up by chance.
const WINDOW: usize = 8;

/// What must not be seen, by name.
#[derive(Default)]
struct Canaries {
    windows: BTreeMap<String, &'static str>,
}

impl Canaries {
    fn add(&mut self, name: &'static str, secret: &str) {
        for window in secret.as_bytes().windows(WINDOW) {
            let text = String::from_utf8(window.to_vec()).unwrap();
            self.windows.insert(text, name);
            let numbers: Vec<_> = window.iter().map(u8::to_string).collect();
            self.windows.insert(numbers.join(", "), name);
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            self.windows.insert(hex, name);
        }
    }

    fn assert_absent(&self, shown: &str) {
        // Pretty `Debug` puts each byte on a line of its own.
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for (window, name) in &self.windows {
            assert!(
                !shown.contains(window) && !flat.contains(window),
                "a piece of the {name} shows"
            );
        }
    }
}

#[derive(Default)]
struct Shown(String);

impl Shown {
    fn debug(&mut self, it: &dyn Debug) {
        writeln!(self.0, "{it:?}\n{it:#?}").unwrap();
    }

    fn display(&mut self, it: &dyn Display) {
        writeln!(self.0, "{it}").unwrap();
    }

    fn error(&mut self, error: &dyn Error) {
        let mut error = Some(error);
        while let Some(it) = error {
            writeln!(self.0, "{it}\n{it:?}\n{it:#?}").unwrap();
            error = it.source();
        }
    }
}

/// Everything that is logged in this process, down to the last detail, and every panic.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn install() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
                .with_writer(move || writer.clone())
                .init();
            let (panics, usual) = (log.clone(), std::panic::take_hook());
            std::panic::set_hook(Box::new(move |info| {
                let line = format!("{info}\n");
                panics.append(line.as_bytes());
                usual(info);
            }));
            log
        })
        .clone()
    }

    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn secret_of(key: &str) -> String {
    key[20..63].to_owned()
}

const PEPPER: &str = "pepper 1 0123456789 abcdefghijklmnop";

fn peppered() -> Rig {
    Rig::on(
        TestStore::new(),
        ManualClock::default(),
        |it| it.peppers(pepper(1)),
        |it| it,
    )
}

#[tokio::test]
async fn nothing_shows_in_the_life_of_a_key() {
    let log = Log::install();
    let (mut shown, mut canaries) = (Shown::default(), Canaries::default());
    canaries.add("pepper", PEPPER);
    let rig = peppered();
    shown.debug(&rig.service);

    let issued = rig.issue_as(request_with(scopes(&["manage_keys"]))).await;
    let key = issued.key().expose().to_owned();
    let wrong = wrong_secret(&key, true);
    let far = wrong_secret(&key, false);
    for (name, key) in [
        ("secret", &key),
        ("wrong secret", &wrong),
        ("other secret", &far),
    ] {
        canaries.add(name, &secret_of(key));
    }
    shown.debug(&issued);
    shown.debug(issued.key());
    shown.debug(issued.record());
    shown.display(&issued.hint());
    canaries.add("digest", issued.record().current.digest.as_str());

    let context = RequestContext::new()
        .with_client("192.0.2.1".parse().unwrap())
        .with_certificate(Thumbprint::new([7; 32]))
        .with_user_agent("curl");
    shown.debug(&context);
    let verified = rig.verify_with(&key, &context).await.unwrap();
    shown.debug(&verified);
    shown.debug(verified.record());
    let actor = Actor::key(&verified).unwrap();
    shown.debug(&actor);
    for bad in [&wrong, &far, &key[..60], &format!("{key}x")] {
        let error = rig.verify_with(bad, &context).await.unwrap_err();
        shown.error(&error);
        if let Some(rejection) = error.rejection() {
            shown.debug(rejection);
            shown.display(&rejection.code());
        }
    }
    let wanted = "send_email".parse().unwrap();
    shown.debug(&rig.service.authorize(&verified, &wanted, &Target::Service));
    shown.debug(&rig.service.limit(&verified, 1).await.unwrap());
    shown.debug(&rig.service.limit(&verified, 61).await.unwrap());

    let id = issued.record().id;
    let rotated = rig.service.rotate(&actor, &id, Rotation::Grace(HOUR)).await;
    let rotated = rotated.unwrap();
    canaries.add("new secret", &secret_of(rotated.key().expose()));
    canaries.add("new digest", rotated.record().current.digest.as_str());
    shown.debug(&rotated);
    shown.debug(rotated.record());
    shown.debug(&rig.service.list(&admin(), ListKeys::new()).await.unwrap());
    let refused = rig.service.issue(&actor, request()).await.unwrap_err();
    shown.error(&refused);
    for seen in [&key, &wrong, &far] {
        let client = context.client();
        let seen = rig.service.report_exposed(seen.as_bytes(), "form", client);
        shown.debug(&seen.await);
    }
    let revoked = rig.service.revoke(&admin(), &id, "gone").await.unwrap();
    shown.debug(&revoked);
    shown.error(&rig.verify(&key).await.unwrap_err());
    rig.service.flush_usage().await.unwrap();
    shown.debug(&rig.service.counters());
    shown.debug(&rig.service.proof_stats());
    shown.debug(&rig.service.hash_stats());
    for event in rig.events().await {
        shown.debug(&event);
        shown.display(&event.to_line().unwrap());
        shown.display(&serde_json::to_string(&event).unwrap());
    }
    rig.service.shutdown().await.unwrap();
    canaries.assert_absent(&shown.0);
    canaries.assert_absent(&log.text());
    // The net is no net if it lets everything through.
    let leak = format!("{:?}", key.as_bytes());
    assert!(std::panic::catch_unwind(|| canaries.assert_absent(&leak)).is_err());
    assert!(std::panic::catch_unwind(|| canaries.assert_absent(&key)).is_err());
}

#[tokio::test]
async fn nothing_shows_when_things_break() {
    let log = Log::install();
    let (mut shown, mut canaries) = (Shown::default(), Canaries::default());
    canaries.add("pepper", PEPPER);
    let rig = peppered();
    let issued = rig.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    canaries.add("secret", &secret_of(key));
    canaries.add("digest", issued.record().current.digest.as_str());

    let without = Rig::on(rig.store.clone(), rig.clock.clone(), |it| it, |it| it);
    shown.error(&without.verify(key).await.unwrap_err());
    let digest = issued.record().current.digest.as_str();
    let import = ImportKey::new(
        "a1B2c3D4e5F6".parse().unwrap(),
        DigestText::new(digest),
        request(),
    );
    shown.debug(&import);
    shown.error(&without.service.import(&admin(), import).await.unwrap_err());
    let ages = RotationPolicy::builder().otherwise(RotationAge::refuse_at(HOUR));
    let ages = ages.build().unwrap();
    let aged = Rig::on(
        rig.store.clone(),
        rig.clock.clone(),
        |it| it.peppers(pepper(1)),
        |it| it.rotation_policy(ages),
    );
    rig.clock.advance(HOUR - SECOND);
    shown.debug(&aged.verify(key).await.unwrap().retirement().unwrap());
    rig.clock.advance(SECOND);
    shown.error(&aged.verify(key).await.unwrap_err());
    for event in aged.events().await {
        shown.display(&event.to_line().unwrap());
    }
    rig.store.fail(Call::Find, 1);
    shown.error(&rig.verify(key).await.unwrap_err());
    rig.store.fail(Call::Insert, 1);
    let failed = rig.service.issue(&admin(), request()).await;
    shown.error(&failed.unwrap_err());
    rig.sink.fail_next(1);
    let failed = rig.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    shown.error(&failed.unwrap_err());
    rig.sink.panic_next(1);
    let failed = rig.service.rotate(&admin(), &id, Rotation::AtOnce).await;
    shown.error(&failed.unwrap_err());
    let broken = DigestText::new(format!("{digest}x"));
    rig.store
        .edit(&id, |record| {
            record.current.digest = broken;
            record.current.proof = None;
        })
        .await;
    shown.error(&rig.verify(key).await.unwrap_err());
    for event in rig.events().await {
        shown.display(&event.to_line().unwrap());
    }
    canaries.assert_absent(&shown.0);
    canaries.assert_absent(&log.text());
}

#[tokio::test]
async fn nothing_shows_when_records_were_edited() {
    let (mut shown, mut canaries) = (Shown::default(), Canaries::default());
    canaries.add("pepper", PEPPER);
    let rig = Rig::on(
        TestStore::new(),
        ManualClock::default(),
        |it| it.peppers(pepper(1)),
        |it| it.row_binding(RowBindingMode::Required),
    );
    let issued = rig.issue().await;
    let (key, id) = (issued.key().expose(), issued.record().id);
    canaries.add("secret", &secret_of(key));
    canaries.add("digest", issued.record().current.digest.as_str());
    canaries.add("binding", &issued.record().binding.unwrap().to_text());
    shown.debug(issued.record());
    shown.debug(&issued.record().binding);
    rig.store.edit(&id, |record| record.name.push('x')).await;
    shown.error(&rig.verify(key).await.unwrap_err());
    shown.error(&rig.service.disable(&admin(), &id).await.unwrap_err());
    let rows = ListKeys::new();
    let checked = rig.service.check_bindings(&admin(), rows.clone()).await;
    shown.debug(&checked.unwrap());
    shown.debug(&rig.service.bind_records(&admin(), rows).await.unwrap());
    shown.debug(&rig.service.revoke(&admin(), &id, "edited").await.unwrap());
    for event in rig.events().await {
        shown.display(&event.to_line().unwrap());
    }
    canaries.assert_absent(&shown.0);
}

#[tokio::test]
async fn nothing_shows_of_what_is_given_in_advance() {
    let (mut shown, mut canaries) = (Shown::default(), Canaries::default());
    canaries.add("pepper", PEPPER);
    let rig = peppered();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    canaries.add("secret", &secret_of(key));
    let credential = &issued.record().current;
    canaries.add("digest", credential.digest.as_str());

    let format = KeyFormat::default();
    let generated = format.generate(&OsRandom::new()).unwrap();
    canaries.add(
        "generated secret",
        &secret_of(generated.plaintext().expose()),
    );
    shown.debug(&generated);
    shown.debug(&generated.secret());
    shown.debug(generated.plaintext());
    shown.debug(&format.parse(key.as_bytes()).unwrap());
    shown.error(&format.parse(&key.as_bytes()[..68]).unwrap_err());
    shown.debug(&PresentedSecret::new(secret_of(key).as_bytes()));
    shown.debug(&HashInput::new("id", secret_of(key).as_bytes()));
    shown.debug(credential);
    shown.debug(&credential.proof);
    shown.debug(&credential.check);
    shown.debug(&credential.digest);
    shown.debug(&InsertKey::new((**issued.record()).clone()));
    let memory = ProofMemory::new(&OsRandom::new()).unwrap();
    shown.debug(&memory.tag("id", &credential.digest, secret_of(key).as_bytes()));
    shown.debug(&memory);
    shown.debug(&pepper(1));
    shown.debug(&HashPool::builder().build().unwrap());
    shown.debug(&MemoryStore::new());
    let builder = KeyService::builder(MemoryStore::new());
    shown.debug(&builder);
    shown.debug(&builder.dangerous());
    shown.debug(&request());
    shown.debug(&UpdateKey::new().with_description(Field::Clear));
    shown.debug(&Review::AdminKeys);
    let plan = LimitPlan::new(keyward::rate_limit::Tiers::standard(), "pro");
    shown.debug(&plan.unwrap());
    let quota = keyward::rate_limit::Quota::per_minute(1).unwrap();
    shown.debug(&FailureBudget::new(quota.clone(), quota));
    shown.debug(&Rejection::WrongSecret);
    canaries.assert_absent(&shown.0);
}

#[tokio::test]
async fn a_stored_record_holds_digests_and_no_secret() {
    let rig = peppered();
    let issued = rig.issue().await;
    let mut canaries = Canaries::default();
    canaries.add("pepper", PEPPER);
    canaries.add("secret", &secret_of(issued.key().expose()));
    let stored = serde_json::to_string(&rig.record(&issued.record().id).await).unwrap();
    assert!(stored.contains("digest"));
    canaries.assert_absent(&stored);
}

/// An application that logs what it should not, in all the ways it can.
fn log_carelessly(key: &str) {
    #[derive(Debug)]
    struct Request<'k> {
        _key: &'k str,
    }
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
    tracing::info!("the key is {key}, {key}{key}");
    tracing::info!(key, authorization = format!("Bearer {key}"), "fields");
    tracing::warn!(request = ?Request { _key: key }, "structured");
    tracing::info!(body = %serde_json::json!({ "key": key, "nested": format!("{{\"key\":\"{key}\"}}") }));
    tracing::info!(
        url = format!("/v1?key={encoded}&next=%2Fv1%3Fkey%3D{key}"),
        "encoded"
    );
    tracing::error!("cut off: {}", &key[..50]);
    tracing::error!("é{key}\n{key}é");
    let span = tracing::info_span!("request", key);
    span.in_scope(|| tracing::info!("inside"));
}

#[test]
fn what_an_application_logs_carelessly_does_not_show() {
    let format = KeyFormat::default();
    let key = format.generate(&OsRandom::new()).unwrap();
    let mut canaries = Canaries::default();
    canaries.add("secret", &secret_of(key.plaintext().expose()));
    let redactor = Redactor::new(&format);
    let (plain, json, bare) = (Log::default(), Log::default(), Log::default());
    let (to_plain, to_json, to_bare) = (plain.clone(), json.clone(), bare.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(redactor.writers(move || to_plain.clone()))
        .finish();
    let json_subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(redactor.writers(move || to_json.clone()))
        .finish();
    let bare_subscriber = tracing_subscriber::fmt()
        .with_writer(move || to_bare.clone())
        .finish();
    let careless = || log_carelessly(key.plaintext().expose());
    tracing::subscriber::with_default(subscriber, careless);
    tracing::subscriber::with_default(json_subscriber, careless);
    tracing::subscriber::with_default(bare_subscriber, careless);
    let id = key.id();
    for log in [plain.text(), json.text()] {
        canaries.assert_absent(&log);
        assert!(
            log.matches(&format!("{id}[redacted]")).count() >= 12,
            "{log}"
        );
    }
    for line in json.text().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
    // Without it everything would show.
    let leak = bare.text();
    assert!(std::panic::catch_unwind(|| canaries.assert_absent(&leak)).is_err());
}

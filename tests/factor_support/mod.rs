//! A factor on parts that a test can count, break and set the time of, and the app that goes with it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keyward::audit::{AuditEvent, AuditKind, AuditRecorder, MemorySink, Outcome};
use keyward::hash::PepperRing;
use keyward::key::ActorRef;
use keyward::random::{OsRandom, RandomError, SecureRandom};
use keyward::second_factor::{
    Enrolments, FactorAttempt, FactorCode, FactorError, FactorMethod, FactorOperation,
    FactorRevision, FactorStore, FactorStoreError, MemoryFactorStore, RecoveryCodes, SecondFactor,
    StoredFactor, TotpBuilder, TotpFactor,
};
use keyward::testing::{FaultySink, ManualClock};
use keyward::time::{Clock, Timestamp};

pub const PERIOD: Duration = TotpFactor::PERIOD;
pub const MICRO: Duration = Duration::from_micros(1);

pub fn ana() -> ActorRef {
    "user:ana".parse().unwrap()
}

pub fn ring() -> Arc<PepperRing> {
    ring_of(&[1])
}

/// The last one is the current one.
pub fn ring_of(versions: &[u32]) -> Arc<PepperRing> {
    let pepper = |version: &u32| format!("pepper {version} 0123456789 abcdefghijklmnop");
    let add = |ring: keyward::hash::PepperRingBuilder, version: &u32| {
        ring.pepper(*version, pepper(version))
    };
    let ring = versions.iter().fold(PepperRing::builder(), add);
    Arc::new(ring.current(*versions.last().unwrap()).build().unwrap())
}

/// An authenticator app: computes codes from the URI that it was shown.
#[derive(Clone)]
pub struct Phone(totp_rs::Totp);

impl Phone {
    pub fn shown(uri: &str) -> Self {
        Self(totp_rs::Totp::from_url(uri).unwrap())
    }

    pub fn code(&self, at: Timestamp) -> FactorCode {
        FactorCode::new(self.text(at))
    }

    pub fn text(&self, at: Timestamp) -> String {
        self.0
            .generate(u64::try_from(at.as_secs()).unwrap())
            .to_string()
    }

    /// The codes that are right anywhere near a moment.
    fn near(&self, at: Timestamp) -> Vec<String> {
        let seconds = at.as_secs();
        (-3..=3)
            .map(|step| self.text(Timestamp::from_secs((seconds + step * 30).max(0))))
            .collect()
    }

    /// A code that is wrong around that moment; each number another one.
    pub fn wrong(&self, at: Timestamp, number: usize) -> FactorCode {
        let near = self.near(at);
        let wrong = (0..1_000_000).map(|it| format!("{it:06}"));
        let mut wrong = wrong.filter(|code| !near.contains(code));
        FactorCode::new(wrong.nth(number).unwrap())
    }
}

/// One process: a factor, and a trail. Several may share a store and a clock.
pub struct World {
    pub totp: TotpFactor,
    pub store: TestFactors,
    pub clock: ManualClock,
    pub recorder: AuditRecorder,
    pub sink: FaultySink<MemorySink>,
    pub trail: MemorySink,
}

impl World {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(set: impl FnOnce(TotpBuilder) -> TotpBuilder) -> Self {
        Self::on(TestFactors::default(), ManualClock::default(), set)
    }

    pub fn on(
        store: TestFactors,
        clock: ManualClock,
        set: impl FnOnce(TotpBuilder) -> TotpBuilder,
    ) -> Self {
        let builder = TotpFactor::builder(store.clone(), "Example")
            .sealed_with(ring())
            .clock(clock.clone());
        let trail = MemorySink::unbounded();
        let sink = FaultySink::new(trail.clone());
        let recorder = AuditRecorder::builder(sink.clone())
            .attempts(NonZeroU32::MIN)
            .linger(Duration::ZERO)
            .start()
            .unwrap();
        Self {
            totp: set(builder).build().unwrap(),
            store,
            clock,
            recorder,
            sink,
            trail,
        }
    }

    /// Another process on the same store.
    pub fn another(&self, set: impl FnOnce(TotpBuilder) -> TotpBuilder) -> Self {
        Self::on(self.store.clone(), self.clock.clone(), set)
    }

    pub fn enrolments(&self) -> Enrolments<'_> {
        self.totp.enrolments(&self.recorder)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn begin(&self, owner: &ActorRef) -> Phone {
        let enrolment = self.enrolments().begin(owner, "ana@example.com").await;
        Phone::shown(enrolment.unwrap().expose_uri())
    }

    /// Enrols, confirms, and lets the next step begin.
    pub async fn enrol(&self, owner: &ActorRef) -> (Phone, RecoveryCodes) {
        let phone = self.begin(owner).await;
        let code = phone.code(self.now());
        let codes = self.enrolments().confirm(owner, &code).await.unwrap();
        self.clock.advance(PERIOD);
        (phone, codes)
    }

    pub async fn verify(&self, code: &FactorCode) -> Result<FactorMethod, FactorError> {
        self.verify_for(&ana(), code).await
    }

    pub async fn verify_for(
        &self,
        owner: &ActorRef,
        code: &FactorCode,
    ) -> Result<FactorMethod, FactorError> {
        let operation = FactorOperation::new(AuditKind::KeyCreated);
        let attempt = FactorAttempt::new(owner, operation, code);
        self.totp.verify(&attempt).await
    }

    /// What a code that must not be accepted is answered.
    pub async fn refused(&self, code: &FactorCode) -> &'static str {
        self.verify(code).await.unwrap_err().code()
    }

    pub async fn accepts(&self, code: &FactorCode) -> bool {
        self.verify(code).await.is_ok()
    }

    pub async fn events(&self) -> Vec<AuditEvent> {
        self.recorder.flush().await.unwrap();
        self.trail.events()
    }

    pub async fn kinds(&self) -> Vec<(AuditKind, Outcome, Option<String>)> {
        let events = self.events().await;
        let short = |event: &AuditEvent| {
            let reason = event.reason().map(str::to_owned);
            (event.kind(), event.outcome(), reason)
        };
        events.iter().map(short).collect()
    }
}

pub fn codes_of(codes: &RecoveryCodes) -> Vec<FactorCode> {
    codes.expose().map(FactorCode::new).collect()
}

/// A store in memory that counts reads, and fails when told to. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct TestFactors {
    pub inner: MemoryFactorStore,
    reads: Arc<AtomicUsize>,
    fails_reading: Arc<AtomicBool>,
    fails_writing: Arc<AtomicBool>,
}

impl TestFactors {
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub fn fail_reading(&self, fails: bool) {
        self.fails_reading.store(fails, Ordering::SeqCst);
    }

    pub fn fail_writing(&self, fails: bool) {
        self.fails_writing.store(fails, Ordering::SeqCst);
    }

    pub async fn row(&self, owner: &ActorRef) -> StoredFactor {
        self.inner.find(owner).await.unwrap().unwrap()
    }

    /// Writes a row behind everybody's back.
    pub async fn plant(&self, owner: &ActorRef, state: &str) {
        let before = self.inner.find(owner).await.unwrap();
        let next = StoredFactor::new(FactorRevision::from_number(4711), state);
        let expected = before.map(|row| row.revision());
        self.inner.write(owner, expected, &next).await.unwrap();
    }
}

fn check(fails: &AtomicBool) -> Result<(), FactorStoreError> {
    if fails.load(Ordering::SeqCst) {
        return Err(FactorStoreError::unavailable("test", "told to fail"));
    }
    Ok(())
}

#[async_trait]
impl FactorStore for TestFactors {
    async fn find(&self, actor: &ActorRef) -> Result<Option<StoredFactor>, FactorStoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        check(&self.fails_reading)?;
        let found = self.inner.find(actor).await;
        // Whoever read the same row races: between read and write others get their turn.
        tokio::task::yield_now().await;
        found
    }

    async fn write(
        &self,
        actor: &ActorRef,
        expected: Option<FactorRevision>,
        next: &StoredFactor,
    ) -> Result<(), FactorStoreError> {
        check(&self.fails_writing)?;
        self.inner.write(actor, expected, next).await
    }

    async fn remove(
        &self,
        actor: &ActorRef,
        expected: FactorRevision,
    ) -> Result<(), FactorStoreError> {
        check(&self.fails_writing)?;
        self.inner.remove(actor, expected).await
    }
}

/// Draws the seeds of RFC 6238, and everything else at random.
#[derive(Debug)]
pub struct RfcSeeds;

impl SecureRandom for RfcSeeds {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        if matches!(buffer.len(), 20 | 32 | 64) {
            for (to, digit) in buffer.iter_mut().zip(b"1234567890".iter().cycle()) {
                *to = *digit;
            }
            return Ok(());
        }
        OsRandom::new().fill(buffer)
    }
}

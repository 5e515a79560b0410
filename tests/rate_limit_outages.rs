//! A backend that fails: what happens to requests, and when it is asked again.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward::rate_limit::{
    Answer, Cell, Charge, GuardedRateLimiter, MemoryRateLimiter, Mode, OutageCounts, OutagePolicy,
    Outcome, Quota, RateDecision, RateHeaders, RateLimitError, RateLimiter, RateLimiterExt, Reply,
    Source, Subject, TimeSource,
};
use keyward::time::Timestamp;
use tokio::sync::watch;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

#[derive(Clone, Copy, Debug)]
enum Health {
    Answers,
    AnswersNonsense,
    Refuses,
    Hangs,
}

/// A limiter across a network, and the switch that breaks it.
#[derive(Debug)]
struct Remote {
    memory: MemoryRateLimiter,
    health: watch::Receiver<Health>,
    asked: Arc<AtomicU64>,
}

impl RateLimiter for Remote {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let health = *self.health.borrow();
        Reply::pending(async move {
            match health {
                Health::Answers => self.memory.apply(charges, mode, now).await,
                Health::AnswersNonsense => Answer::new([Cell::new(0, 0); 7]),
                Health::Refuses => Err(RateLimitError::unavailable("refused")),
                Health::Hangs => std::future::pending().await,
            }
        })
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Own
    }
}

struct Scene {
    limiter: GuardedRateLimiter,
    health: watch::Sender<Health>,
    asked: Arc<AtomicU64>,
    quota: Quota,
}

impl Scene {
    fn new(policy: OutagePolicy, health: Health) -> Self {
        let (health, receiver) = watch::channel(health);
        let asked = Arc::default();
        let remote = Remote {
            memory: MemoryRateLimiter::new(),
            health: receiver,
            asked: Arc::clone(&asked),
        };
        Self {
            limiter: GuardedRateLimiter::new(remote, policy),
            health,
            asked,
            quota: Quota::per_minute(300).unwrap().named("pro").unwrap(),
        }
    }

    async fn send(&self, millis: u64) -> Result<RateDecision, RateLimitError> {
        let charge = Charge::new(Subject::key("3Fq9xT0bLm2A"), &self.quota);
        let now = START.saturating_add(Duration::from_millis(millis));
        self.limiter.check(&[charge], Mode::Consume, now).await
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn counts(change: impl FnOnce(&mut OutageCounts)) -> OutageCounts {
    let mut counts = OutageCounts::default();
    change(&mut counts);
    counts
}

#[tokio::test]
async fn passes_on_what_a_healthy_backend_says() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::Answers);
    let decision = scene.send(0).await.unwrap();
    assert_eq!(decision.source(), Source::Backend);
    assert_eq!(decision.states().next().unwrap().remaining(), 299);
    assert_eq!(scene.limiter.counts(), OutageCounts::default());
}

#[tokio::test]
async fn goes_by_the_clock_of_its_backend() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::Answers);
    assert_eq!(scene.limiter.time_source(), TimeSource::Own);
}

#[tokio::test]
async fn refuses_with_the_error_when_told_to_refuse() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::Refuses);
    let error = scene.send(0).await.unwrap_err();
    assert!(matches!(error, RateLimitError::Unavailable { .. }));
    let expected = counts(|counts| (counts.failed, counts.refused) = (1, 1));
    assert_eq!(scene.limiter.counts(), expected);
}

/// F2: every response still carries the fields, from a count of its own.
#[tokio::test]
async fn lets_everything_pass_and_counts_it_when_told_to_allow() {
    let scene = Scene::new(OutagePolicy::Allow, Health::Refuses);
    for sent in 1..=400_u32 {
        let decision = scene.send(0).await.unwrap();
        assert!(decision.is_allowed());
        assert_eq!(decision.source(), Source::Policy);
        let left = decision.states().next().unwrap().remaining();
        assert_eq!(left, 300_u32.saturating_sub(sent));
        assert_eq!(RateHeaders::default().fields(&decision).len(), 5);
    }
    assert_eq!(scene.limiter.counts().allowed, 400);
}

/// F1: a third of 300 a minute, and headers that say so.
#[tokio::test]
async fn holds_to_its_own_share_when_told_to_stay_local() {
    let mut scene = Scene::new(OutagePolicy::Local, Health::Refuses);
    scene.limiter = scene.limiter.with_nodes(NonZeroU32::new(3).unwrap());
    for left in (0..100).rev() {
        let decision = scene.send(0).await.unwrap();
        assert!(decision.is_allowed());
        assert_eq!(decision.source(), Source::Fallback);
        assert_eq!(decision.states().next().unwrap().remaining(), left);
    }
    let denied = scene.send(0).await.unwrap();
    let wait = Duration::from_millis(600);
    assert_eq!(denied.outcome(), Outcome::Denied { wait });
    assert_eq!(denied.retry_after(), Some(1));
    let fields = RateHeaders::default().fields(&denied);
    assert_eq!(
        fields[0],
        ("ratelimit-policy", r#""pro";q=100;w=60"#.to_owned())
    );
    assert_eq!(fields[2], ("x-ratelimit-limit", "100".to_owned()));
    assert!(scene.send(600).await.unwrap().is_allowed());
    assert_eq!(scene.limiter.counts().local, 102);
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_longer_than_its_deadline() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::Hangs);
    let start = tokio::time::Instant::now();
    let error = scene.send(0).await.unwrap_err();
    assert!(matches!(error, RateLimitError::Timeout));
    assert_eq!(start.elapsed(), Duration::from_millis(25));
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_it_is_told_to() {
    let mut scene = Scene::new(OutagePolicy::Refuse, Health::Hangs);
    scene.limiter = scene.limiter.with_deadline(Duration::from_secs(3));
    let start = tokio::time::Instant::now();
    assert!(scene.send(0).await.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn takes_a_nonsensical_answer_for_an_outage() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::AnswersNonsense);
    let error = scene.send(0).await.unwrap_err();
    assert!(matches!(error, RateLimitError::MalformedAnswer));
    assert_eq!(scene.limiter.counts().failed, 1);
}

#[tokio::test]
async fn leaves_the_backend_alone_after_five_failures() {
    let scene = Scene::new(OutagePolicy::Allow, Health::Refuses);
    for _ in 0..100 {
        assert!(scene.send(0).await.unwrap().is_allowed());
    }
    assert_eq!(scene.asked(), 5);
}

#[tokio::test]
async fn tries_the_backend_once_a_second_while_it_fails() {
    let scene = Scene::new(OutagePolicy::Allow, Health::Refuses);
    for millis in (0..=5000).step_by(10) {
        assert!(scene.send(millis).await.unwrap().is_allowed());
    }
    // Five in the first 50 ms, then one in each of the following seconds.
    assert_eq!(scene.asked(), 5 + 4);
}

#[tokio::test]
async fn returns_to_the_backend_when_it_answers_again() {
    let scene = Scene::new(OutagePolicy::Local, Health::Refuses);
    for _ in 0..10 {
        assert_eq!(scene.send(0).await.unwrap().source(), Source::Fallback);
    }
    scene.health.send(Health::Answers).unwrap();
    assert_eq!(scene.send(999).await.unwrap().source(), Source::Fallback);
    assert_eq!(scene.send(1000).await.unwrap().source(), Source::Backend);
    assert_eq!(scene.send(1000).await.unwrap().source(), Source::Backend);
}

#[tokio::test]
async fn a_clock_that_steps_back_does_not_lengthen_the_pause() {
    let scene = Scene::new(OutagePolicy::Local, Health::Refuses);
    for _ in 0..10 {
        assert!(scene.send(3_600_000).await.unwrap().is_allowed());
    }
    scene.health.send(Health::Answers).unwrap();
    assert_eq!(scene.send(0).await.unwrap().source(), Source::Backend);
}

#[tokio::test]
async fn single_failures_do_not_add_up() {
    let scene = Scene::new(OutagePolicy::Allow, Health::Refuses);
    for _ in 0..20 {
        scene.health.send(Health::Refuses).unwrap();
        assert_eq!(scene.send(0).await.unwrap().source(), Source::Policy);
        scene.health.send(Health::Answers).unwrap();
        assert_eq!(scene.send(0).await.unwrap().source(), Source::Backend);
    }
    assert_eq!(scene.asked(), 40);
}

#[tokio::test]
async fn the_callers_own_mistake_is_no_outage() {
    let scene = Scene::new(OutagePolicy::Allow, Health::Answers);
    let many = [Charge::new(Subject::key("a"), &scene.quota); 17];
    let error = scene.limiter.check(&many, Mode::Consume, START).await;
    assert!(matches!(
        error.unwrap_err(),
        RateLimitError::TooManyCharges { count: 17 }
    ));
    assert_eq!(scene.limiter.counts(), OutageCounts::default());
}

#[tokio::test]
async fn no_error_repeats_what_it_was_about() {
    let scene = Scene::new(OutagePolicy::Refuse, Health::Refuses);
    let error = scene.send(0).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("3Fq9xT0bLm2A") && !shown.contains("pro"));
}

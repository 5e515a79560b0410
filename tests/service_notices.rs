//! Which notices go out, to whom, and how often.
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

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Call, Rig, admin, request, rig};
use keyward::async_trait;
use keyward::key::KeyId;
use keyward::notice::{
    Claim, MemoryNoticeLog, MemoryNotifier, Notice, NoticeLog, NoticeSubject, Notifier, NotifyError,
};
use keyward::service::{
    Field, IssuedKey, NoticeReport, NoticeRunError, Notices, NoticesError, Rotation, UpdateKey,
};
use keyward::time::Clock as _;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MICRO: Duration = Duration::from_micros(1);

/// What can go wrong with a notifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    Fails,
    Hangs,
    Panics,
}

/// Keeps notices, and is in trouble with those of some owners.
#[derive(Clone, Debug, Default)]
struct Mail {
    sent: MemoryNotifier,
    trouble: Arc<Mutex<Option<Trouble>>>,
    calls: Arc<AtomicU32>,
}

impl Mail {
    fn is_in(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Notifier for Mail {
    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let trouble = *self.trouble.lock().unwrap();
        match trouble.filter(|_| notice.owner.as_str() == "acme") {
            Some(Trouble::Fails) => Err(NotifyError::failed("no such address")),
            Some(Trouble::Hangs) => std::future::pending().await,
            Some(Trouble::Panics) => panic!("this notifier was told to panic"),
            None => self.sent.notify(notice).await,
        }
    }
}

/// A rig with a mail server and a memory of what was sent.
struct World {
    rig: Rig,
    mail: Mail,
    log: MemoryNoticeLog,
}

impl World {
    fn new() -> Self {
        Self {
            rig: rig(),
            mail: Mail::default(),
            log: MemoryNoticeLog::new(),
        }
    }

    fn notices(&self) -> Notices {
        let builder = Notices::builder(self.mail.clone(), self.log.clone());
        builder.without_unused().build().unwrap()
    }

    async fn run(&self) -> NoticeReport {
        self.rig
            .service
            .send_notices(&self.notices())
            .await
            .unwrap()
    }

    async fn ending_in(&self, lifetime: Duration) -> IssuedKey {
        self.rig.issue_as(request().with_lifetime(lifetime)).await
    }

    /// What was sent since the last call: keys and what about them.
    fn sent(&self, seen: usize) -> Vec<(KeyId, &'static str)> {
        let notices = self.mail.sent.notices();
        let told = |notice: &Notice| (notice.id.key(), notice.subject.code());
        notices.iter().skip(seen).map(told).collect()
    }

    fn thresholds(&self) -> Vec<u64> {
        let notices = self.mail.sent.notices();
        let days = |notice: &Notice| match notice.subject {
            NoticeSubject::Expiring { within, .. } => Some(within.as_secs() / DAY.as_secs()),
            _ => None,
        };
        notices.iter().filter_map(days).collect()
    }

    fn advance(&self, span: Duration) {
        self.rig.clock.advance(span);
    }
}

#[tokio::test]
async fn tells_at_each_threshold_from_its_very_moment_on_and_once() {
    let world = World::new();
    let _key = world.ending_in(DAY * 40).await;
    world.advance(DAY * 10 - MICRO);
    assert_eq!(world.run().await.sent, 0);
    world.advance(MICRO);
    for told in [vec![30], vec![30]] {
        let _ = world.run().await;
        assert_eq!(world.thresholds(), told);
    }
    world.advance(DAY * 23 - MICRO);
    assert_eq!(world.run().await.sent, 0);
    world.advance(MICRO);
    assert_eq!(world.run().await.sent, 1);
    world.advance(DAY * 6);
    assert_eq!(world.run().await.sent, 1);
    world.advance(DAY - MICRO);
    assert_eq!(world.run().await.sent, 0);
    world.advance(MICRO);
    assert_eq!(world.run().await.sent, 0);
    assert_eq!(world.thresholds(), [30, 7, 1]);
}

#[tokio::test]
async fn of_several_thresholds_passed_meanwhile_only_the_shortest_is_told() {
    let world = World::new();
    let key = world.ending_in(DAY * 60).await;
    world.advance(DAY * 54);
    assert_eq!(world.run().await.sent, 1);
    assert_eq!(world.thresholds(), [7]);
    // The longer one is marked: without the shorter one nothing is left to tell.
    let longer = Notices::builder(world.mail.clone(), world.log.clone())
        .expiring_within([DAY * 30])
        .without_unused();
    let longer = longer.build().unwrap();
    assert_eq!(
        world.rig.service.send_notices(&longer).await.unwrap().sent,
        0
    );
    assert_eq!(world.sent(0), [(key.record().id, "expiring")]);
}

#[tokio::test]
async fn a_threshold_that_a_key_had_passed_when_it_was_issued_is_none() {
    let world = World::new();
    let _ = world.ending_in(DAY * 7).await;
    assert_eq!(world.run().await.sent, 0);
    world.advance(DAY * 6);
    assert_eq!(world.run().await.sent, 1);
    assert_eq!(world.thresholds(), [1]);
}

#[tokio::test]
async fn an_extended_expiry_starts_anew() {
    let world = World::new();
    let key = world.ending_in(DAY * 40).await;
    world.advance(DAY * 35);
    assert_eq!(world.run().await.sent, 1);
    let later = world.rig.clock.now().saturating_add(DAY * 40);
    let update = UpdateKey::new().with_expires_at(Field::Set(later));
    let id = key.record().id;
    world
        .rig
        .service
        .update(&admin(), &id, update)
        .await
        .unwrap();
    assert_eq!(world.run().await.sent, 0);
    world.advance(DAY * 35);
    assert_eq!(world.run().await.sent, 1);
    assert_eq!(world.thresholds(), [7, 7]);
}

#[tokio::test]
async fn a_secret_is_told_to_be_due_once_and_its_successor_again() {
    let world = World::new();
    let id = world.rig.issue().await.record().id;
    world.advance(DAY * 90 - MICRO);
    assert_eq!(world.run().await.sent, 0);
    world.advance(MICRO);
    assert_eq!(world.run().await.sent, 1);
    world.advance(DAY * 90);
    assert_eq!(world.run().await.sent, 0);
    let rotated = world
        .rig
        .service
        .rotate(&admin(), &id, Rotation::AtOnce)
        .await;
    drop(rotated.unwrap());
    assert_eq!(world.run().await.sent, 0);
    world.advance(DAY * 90);
    assert_eq!(world.run().await.sent, 1);
    assert_eq!(world.sent(0), [(id, "rotation_due"), (id, "rotation_due")]);
}

#[tokio::test]
async fn an_unused_key_is_told_once_and_again_when_it_was_used_between() {
    let world = World::new();
    let key = world.rig.issue().await;
    let id = key.record().id;
    let notices = Notices::builder(world.mail.clone(), world.log.clone())
        .without_rotation()
        .unused_for(DAY * 30)
        .build()
        .unwrap();
    let run = || async { world.rig.service.send_notices(&notices).await.unwrap().sent };
    world.advance(DAY * 30 - MICRO);
    assert_eq!(run().await, 0);
    world.advance(MICRO);
    assert_eq!((run().await, run().await), (1, 0));
    assert!(world.rig.accepts(key.key().expose()).await);
    world.rig.service.flush_usage().await.unwrap();
    assert_eq!(run().await, 0);
    world.advance(DAY * 30 - MICRO);
    assert_eq!(run().await, 0);
    world.advance(MICRO);
    assert_eq!((run().await, run().await), (1, 0));
    assert_eq!(world.sent(0), [(id, "unused"), (id, "unused")]);
}

#[tokio::test]
async fn the_most_urgent_come_first_and_no_more_than_a_batch() {
    let world = World::new();
    let old = world.rig.issue().await.record().id;
    world.advance(DAY * 60);
    let younger = world.rig.issue().await.record().id;
    let last = world.ending_in(DAY * 59).await.record().id;
    let first = world.ending_in(DAY * 51).await.record().id;
    world.advance(DAY * 50);
    let builder = Notices::builder(world.mail.clone(), world.log.clone());
    let notices = builder.without_unused().batch(2).build().unwrap();
    let report = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!((report.sent, report.is_full), (2, true));
    assert_eq!(world.sent(0), [(first, "expiring"), (last, "expiring")]);
    let report = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!((report.sent, report.is_full), (1, false));
    assert_eq!(world.sent(2), [(old, "rotation_due")]);
    let _ = younger;
}

#[tokio::test]
async fn secrets_that_are_due_longest_come_first() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push((world.rig.issue().await.record().id, "rotation_due"));
        world.advance(DAY);
    }
    world.advance(DAY * 100);
    let _ = world.run().await;
    assert_eq!(world.sent(0), ids);
}

#[tokio::test]
async fn keys_that_have_ended_or_are_off_are_not_told_of() {
    let world = World::new();
    let (revoked, off) = (
        world.ending_in(DAY * 40).await,
        world.ending_in(DAY * 40).await,
    );
    let _expired = world.ending_in(DAY * 34).await;
    world.rig.revoke(&revoked).await;
    world
        .rig
        .service
        .disable(&admin(), &off.record().id)
        .await
        .unwrap();
    world.advance(DAY * 35);
    assert_eq!(world.run().await.sent, 0);
}

#[tokio::test]
async fn holds_public_facts_and_no_secret() {
    let world = World::new();
    let request = request()
        .with_lifetime(DAY * 40)
        .with_tenant(common::tenant("t1"));
    let key = world.rig.issue_as(request).await;
    world.advance(DAY * 35);
    let _ = world.run().await;
    let notice = &world.mail.sent.notices()[0];
    assert_eq!(
        (notice.name.as_str(), notice.owner.as_str()),
        ("mailer", "acme")
    );
    assert_eq!(notice.tenant, common::tenant("t1"));
    let text = key.key().expose();
    let hint = format!("pm_live_…{}", &text[text.len() - 10..text.len() - 6]);
    assert_eq!(notice.hint.as_deref(), Some(hint.as_str()));
    let shown = format!("{notice:?} {} {}", notice.subject, notice.id);
    assert!(!shown.contains(&text[20..59]) && !shown.contains("$2b$"));
    let ends = key.record().expires_at.unwrap();
    assert_eq!(
        notice.subject,
        NoticeSubject::Expiring {
            within: DAY * 7,
            expires_at: ends
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_notifier_in_trouble_costs_its_own_notice_only_and_is_tried_again() {
    for trouble in [Trouble::Fails, Trouble::Hangs, Trouble::Panics] {
        let world = World::new();
        let bad = world.ending_in(DAY * 39).await.record().id;
        let other = keyward::IssueKey::new("other".parse().unwrap(), "n", common::scopes(&["a"]));
        let good = world
            .rig
            .issue_as(other.with_lifetime(DAY * 40))
            .await
            .record()
            .id;
        world.advance(DAY * 35);
        world.mail.is_in(Some(trouble));
        let report = world.run().await;
        assert_eq!(
            (report.sent, world.sent(0)),
            (1, vec![(good, "expiring")]),
            "{trouble:?}"
        );
        let [unsent] = &report.unsent[..] else {
            panic!("{report:?}")
        };
        assert_eq!(unsent.id.key(), bad);
        let expected = match trouble {
            Trouble::Fails => matches!(unsent.error, NotifyError::Failed(_)),
            Trouble::Hangs => matches!(unsent.error, NotifyError::Late),
            Trouble::Panics => matches!(unsent.error, NotifyError::Panicked),
        };
        assert!(expected, "{unsent:?}");

        // It rests for a quarter of an hour, then for twice that.
        world.advance(Duration::from_secs(15 * 60) - MICRO);
        assert_eq!((world.run().await.unsent.len(), world.mail.calls()), (0, 2));
        world.advance(MICRO);
        assert_eq!((world.run().await.unsent.len(), world.mail.calls()), (1, 3));
        world.advance(Duration::from_secs(30 * 60) - MICRO);
        assert_eq!(world.run().await.unsent.len(), 0);
        world.advance(MICRO);
        world.mail.is_in(None);
        assert_eq!(world.run().await.sent, 1);
        assert_eq!(world.sent(1), [(bad, "expiring")]);
        assert_eq!(world.run().await.sent, 0);
    }
}

#[tokio::test]
async fn notices_that_keep_failing_rest_a_day_at_most() {
    let world = World::new();
    let _ = world.rig.issue().await;
    world.advance(DAY * 90);
    world.mail.is_in(Some(Trouble::Fails));
    for calls in 1..=40 {
        let _ = world.run().await;
        assert_eq!(world.mail.calls(), calls);
        world.advance(DAY);
    }
}

#[tokio::test]
async fn failures_count_against_the_batch_and_do_not_starve_the_others() {
    let world = World::new();
    for _ in 0..4 {
        let _ = world.ending_in(DAY * 39).await;
    }
    let other = keyward::IssueKey::new("other".parse().unwrap(), "n", common::scopes(&["a"]));
    let _ = world.rig.issue_as(other.with_lifetime(DAY * 40)).await;
    world.advance(DAY * 35);
    world.mail.is_in(Some(Trouble::Fails));
    let builder = Notices::builder(world.mail.clone(), world.log.clone()).batch(4);
    let notices = builder.build().unwrap();
    let first = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!(
        (first.sent, first.unsent.len(), first.is_full),
        (0, 4, true)
    );
    let second = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!((second.sent, second.unsent.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_runs_at_once_send_each_notice_once() {
    let world = World::new();
    for _ in 0..30 {
        let _ = world.ending_in(DAY * 40).await;
    }
    world.advance(DAY * 35);
    let processes: Vec<_> = (0..4).map(|_| world.rig.another(|it| it)).collect();
    let runs: Vec<_> = (0..20)
        .map(|number| {
            let service = processes[number % 4].service.clone();
            let notices = world.notices();
            tokio::spawn(async move { service.send_notices(&notices).await.unwrap().sent })
        })
        .collect();
    let mut sent = 0;
    for run in runs {
        sent += run.await.unwrap();
    }
    let told: HashSet<_> = world.sent(0).into_iter().collect();
    assert_eq!((sent, world.sent(0).len(), told.len()), (30, 30, 30));
}

/// A log whose process ends after a notice was sent and before that was noted.
#[derive(Debug)]
struct Dying {
    log: MemoryNoticeLog,
    deaths: AtomicUsize,
}

#[async_trait]
impl NoticeLog for Dying {
    async fn open(
        &self,
        ids: &[keyward::notice::NoticeId],
        now: keyward::time::Timestamp,
    ) -> Result<Vec<bool>, keyward::notice::NoticeLogError> {
        self.log.open(ids, now).await
    }
    async fn claim(
        &self,
        id: &keyward::notice::NoticeId,
        claim: &Claim,
    ) -> Result<Option<u32>, keyward::notice::NoticeLogError> {
        self.log.claim(id, claim).await
    }
    async fn sent(
        &self,
        id: &keyward::notice::NoticeId,
        at: keyward::time::Timestamp,
    ) -> Result<(), keyward::notice::NoticeLogError> {
        if self.deaths.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(keyward::notice::NoticeLogError::unavailable(
                "dying", "gone",
            ));
        }
        self.log.sent(id, at).await
    }
    async fn defer(
        &self,
        id: &keyward::notice::NoticeId,
        holder: &str,
        until: keyward::time::Timestamp,
    ) -> Result<(), keyward::notice::NoticeLogError> {
        self.log.defer(id, holder, until).await
    }
    async fn forget_before(
        &self,
        moment: keyward::time::Timestamp,
    ) -> Result<u64, keyward::notice::NoticeLogError> {
        self.log.forget_before(moment).await
    }
}

#[tokio::test]
async fn a_notice_whose_sending_was_not_noted_comes_again_when_its_claim_has_ended() {
    let world = World::new();
    let _ = world.ending_in(DAY * 40).await;
    world.advance(DAY * 35);
    let log = Dying {
        log: world.log.clone(),
        deaths: AtomicUsize::new(0),
    };
    let notices = Notices::builder(world.mail.clone(), log)
        .without_unused()
        .build()
        .unwrap();
    let died = world.rig.service.send_notices(&notices).await;
    assert!(matches!(died, Err(NoticeRunError::Log(_))));
    assert_eq!(world.run().await.sent, 0);
    world.advance(Duration::from_secs(330) - MICRO);
    assert_eq!(world.run().await.sent, 0);
    world.advance(MICRO);
    assert_eq!(world.run().await.sent, 1);
    let notices = world.mail.sent.notices();
    assert_eq!((notices.len(), &notices[0].id), (2, &notices[1].id));
    assert_eq!(world.run().await.sent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_while_it_sends_leaves_the_notice_to_a_later_one() {
    let world = World::new();
    let _ = world.ending_in(DAY * 40).await;
    world.advance(DAY * 35);
    world.mail.is_in(Some(Trouble::Hangs));
    let service = world.rig.service.clone();
    let notices = world.notices();
    let dropped = tokio::time::timeout(Duration::from_secs(1), service.send_notices(&notices));
    assert!(dropped.await.is_err());
    world.mail.is_in(None);
    assert_eq!(world.run().await.sent, 0);
    world.advance(Duration::from_secs(330));
    assert_eq!(world.run().await.sent, 1);
    assert_eq!(world.sent(0).len(), 1);
}

#[tokio::test]
async fn a_key_that_was_rotated_while_others_were_sent_is_not_told_of() {
    /// Rotates the other key while it sends.
    #[derive(Debug)]
    struct Rotating(Mutex<Vec<KeyId>>, common::TestStore, MemoryNotifier);

    #[async_trait]
    impl Notifier for Rotating {
        async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
            let others = std::mem::take(&mut *self.0.lock().unwrap());
            for id in others.iter().filter(|id| **id != notice.id.key()) {
                self.1
                    .edit(id, |record| {
                        record.current.generation = record.current.generation.next();
                        record.current.created_at = keyward::time::Timestamp::MAX;
                    })
                    .await;
            }
            self.2.notify(notice).await
        }
    }

    let world = World::new();
    let ids = vec![
        world.rig.issue().await.record().id,
        world.rig.issue().await.record().id,
    ];
    world.advance(DAY * 90);
    let sent = MemoryNotifier::new();
    let notifier = Rotating(Mutex::new(ids), world.rig.store.clone(), sent.clone());
    let builder = Notices::builder(notifier, world.log.clone()).without_unused();
    let notices = builder.build().unwrap();
    let report = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!(
        (report.sent, report.unsent.len(), sent.notices().len()),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn an_outage_of_the_store_ends_the_run_and_the_next_goes_on() {
    let world = World::new();
    let _ = world.ending_in(DAY * 40).await;
    world.advance(DAY * 35);
    world.rig.store.fail(Call::List, 1);
    let failed = world.rig.service.send_notices(&world.notices()).await;
    assert!(matches!(failed, Err(NoticeRunError::Store(_))));
    assert_eq!(world.run().await.sent, 1);
}

#[tokio::test]
async fn a_clock_that_steps_back_sends_nothing_twice() {
    let world = World::new();
    let _ = world.ending_in(DAY * 40).await;
    world.advance(DAY * 39);
    assert_eq!(world.run().await.sent, 1);
    world
        .rig
        .clock
        .set(world.rig.clock.now().saturating_sub(DAY * 3));
    assert_eq!(world.run().await.sent, 0);
    assert_eq!(world.thresholds(), [1]);
}

#[tokio::test]
async fn more_keys_than_a_page_are_all_told_of() {
    let world = World::new();
    for _ in 0..3 {
        let _ = world.rig.issue().await;
    }
    let template = world.rig.record(&world.rig.issue().await.record().id).await;
    for number in 0..1200 {
        let mut record = template.clone();
        record.id = format!("{number:012}").parse().unwrap();
        let insert = keyward::store::InsertKey::new(record);
        keyward::store::KeyStore::insert(&world.rig.store, insert)
            .await
            .unwrap();
    }
    world.advance(DAY * 90);
    let builder = Notices::builder(world.mail.clone(), world.log.clone()).without_unused();
    let notices = builder.batch(10_000).build().unwrap();
    let report = world.rig.service.send_notices(&notices).await.unwrap();
    assert_eq!((report.sent, report.is_full), (1204, false));
}

#[test]
fn settings_of_zero_are_refused() {
    let builder = || Notices::builder(MemoryNotifier::new(), MemoryNoticeLog::new());
    let refused = |error: &'static str| {
        move |built: Result<Notices, NoticesError>| assert_eq!(built.unwrap_err().setting, error)
    };
    refused("expiring_within")(builder().expiring_within([Duration::ZERO, DAY]).build());
    refused("unused_for")(builder().unused_for(Duration::ZERO).build());
    refused("batch")(builder().batch(0).build());
    refused("patience")(builder().patience(Duration::ZERO).build());
    assert!(
        builder()
            .expiring_within([])
            .batch(1)
            .patience(MICRO)
            .build()
            .is_ok()
    );
}

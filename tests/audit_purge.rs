//! Purging: what goes and what stays, on every trail that can be purged, and what the trail says about it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keyward::BoxError;
use keyward::async_trait;
use keyward::audit::{
    ActorRef, AuditError, AuditEvent, AuditExporter, AuditKind, AuditLog, AuditPurge, AuditQuery,
    AuditRecorder, AuditRetention, AuditSink, Detail, EventId, MemorySink, Outcome, PurgeError,
    PurgeReport,
};
use keyward::time::Timestamp;

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod servers;

const DAY: i64 = 86_400;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn at(days: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + days * DAY)
}

fn event(number: u64, time: Timestamp) -> AuditEvent {
    let [.., a, b] = number.to_be_bytes();
    AuditEvent::new(AuditKind::RequestCompleted, time)
        .with_sequence(number)
        .with_id(EventId::new(time, &[1, 0, 0, 0, 0, 0, 0, 0, a, b]))
}

/// One event a day, from the first.
fn days(count: u64) -> Vec<AuditEvent> {
    let day = |n: u64| at(i64::try_from(n).unwrap());
    (1..=count).map(|n| event(n, day(n))).collect()
}

/// Where purges are written down; not where events are purged, so that the two can be told apart.
struct Diary {
    sink: MemorySink,
    recorder: AuditRecorder,
}

impl Diary {
    fn new() -> Self {
        let sink = MemorySink::unbounded();
        let recorder = AuditRecorder::builder(sink.clone()).start().unwrap();
        Self { sink, recorder }
    }

    async fn purge(
        &self,
        trail: &dyn AuditRetention,
        purge: AuditPurge<'_>,
        now: Timestamp,
    ) -> Result<PurgeReport, PurgeError> {
        let nightly = ActorRef::system("nightly");
        self.recorder.purge(trail, purge, nightly, now).await
    }

    /// Removes what is older than a week.
    async fn weekly(&self, trail: &dyn AuditRetention, now: Timestamp) -> PurgeReport {
        let purge = AuditPurge::new().older_than(WEEK);
        self.purge(trail, purge, now).await.unwrap()
    }

    fn events(&self) -> Vec<AuditEvent> {
        let events = self.sink.events();
        for event in &events {
            assert_eq!(event.kind(), AuditKind::AuditPurged);
            assert_eq!(event.actor(), Some(&ActorRef::system("nightly")));
            let platform = Some(&Detail::from("platform"));
            assert_eq!(event.detail("tenant_binding"), platform);
        }
        events
    }

    fn phases(&self) -> Vec<String> {
        let phase = |event: &AuditEvent| text(event, "phase");
        self.events().iter().map(phase).collect()
    }
}

fn text(event: &AuditEvent, name: &str) -> String {
    match event.detail(name) {
        Some(Detail::Text(text)) => text.as_str().to_owned(),
        other => panic!("{name}: {other:?}"),
    }
}

fn number(event: &AuditEvent, name: &str) -> i64 {
    match event.detail(name) {
        Some(Detail::Number(number)) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

async fn left(trail: &dyn AuditLog) -> Vec<u64> {
    let page = trail.page(&AuditQuery::new().with_page_size(1000)).await;
    let events = page.unwrap().events;
    let sequence = |found: &keyward::audit::LoggedEvent| found.event.sequence();
    events.iter().filter_map(sequence).collect()
}

/// Takes so many batches, then fails.
struct Archive {
    batches: usize,
    taken: Vec<u64>,
}

impl Archive {
    fn taking(batches: usize) -> Self {
        let taken = Vec::new();
        Self { batches, taken }
    }
}

#[async_trait]
impl AuditExporter for Archive {
    async fn export(&mut self, events: &[AuditEvent]) -> Result<(), BoxError> {
        self.batches = self.batches.checked_sub(1).ok_or("full")?;
        self.taken
            .extend(events.iter().filter_map(AuditEvent::sequence));
        Ok(())
    }
}

/// Reads and writes while it is handed events: nothing may be locked meanwhile.
struct Busy<T>(Arc<T>, u64);

#[async_trait]
impl<T: AuditLog + AuditSink> AuditExporter for Busy<T> {
    async fn export(&mut self, _: &[AuditEvent]) -> Result<(), BoxError> {
        self.1 += 1;
        self.0.write(&[event(100 + self.1, at(50))]).await?;
        self.0.page(&AuditQuery::new()).await?;
        Ok(())
    }
}

/// The same tests on every trail that keeps rows.
macro_rules! on_each_trail {
    ($($trail:ident: $sink:ty, $fresh:expr;)*) => {$(
        mod $trail {
            use super::*;

            async fn filled(events: &[AuditEvent]) -> (Arc<$sink>, Option<tempfile::TempDir>) {
                let (sink, folder) = $fresh.await;
                sink.write(events).await.unwrap();
                (Arc::new(sink), folder)
            }

            #[tokio::test]
            async fn removes_what_is_older_and_nothing_else() {
                let (trail, _folder) = filled(&days(20)).await;
                let diary = Diary::new();
                let report = diary.weekly(&trail, at(17)).await;
                assert_eq!((report.before, report.removed.events), (at(10), 9));
                assert_eq!(left(&trail).await, (10..=20).collect::<Vec<_>>());
            }

            #[tokio::test]
            async fn cuts_to_the_microsecond() {
                let last = Timestamp::from_micros(at(10).as_micros() - 1);
                let (trail, _folder) = filled(&[event(1, last), event(2, at(10))]).await;
                Diary::new().weekly(&trail, at(17)).await;
                assert_eq!(left(&trail).await, [2]);
            }

            #[tokio::test]
            async fn keeps_ninety_days_unless_told_otherwise() {
                let (trail, _folder) = filled(&days(2)).await;
                let diary = Diary::new();
                let report = diary.purge(&trail, AuditPurge::new(), at(92)).await.unwrap();
                assert_eq!((report.before, report.removed.events), (at(2), 1));
            }

            #[tokio::test]
            async fn writes_nothing_down_when_nothing_is_old() {
                let (trail, _folder) = filled(&days(3)).await;
                let diary = Diary::new();
                let report = diary.weekly(&trail, at(8)).await;
                assert_eq!(report.removed, keyward::audit::RemovedPart::default());
                assert!(diary.events().is_empty());
            }

            #[tokio::test]
            async fn announces_itself_and_says_what_is_gone() {
                let (trail, _folder) = filled(&days(20)).await;
                let diary = Diary::new();
                let purge = AuditPurge::new().older_than(WEEK).batch_size(4);
                let report = diary.purge(&trail, purge, at(17)).await.unwrap();
                assert_eq!(diary.phases(), ["announced", "done"]);
                let events = diary.events();
                for event in &events {
                    assert_eq!(text(event, "before"), at(10).to_string());
                }
                let done = &events[1];
                assert_eq!(done.outcome(), Outcome::Success);
                assert_eq!((number(done, "events"), number(done, "up_to_position")), (9, 9));
                let (recorder, last) = report.removed.last_sequences.iter().next().unwrap();
                assert_eq!(*last, 9);
                assert_eq!(text(done, "recorder_1"), format!("{recorder} 9"));
            }

            #[tokio::test]
            async fn exports_every_event_before_it_goes() {
                let (trail, _folder) = filled(&days(20)).await;
                let mut archive = Archive::taking(usize::MAX);
                let purge = AuditPurge::new().older_than(WEEK).batch_size(4);
                let purge = purge.export_to(&mut archive);
                Diary::new().purge(&trail, purge, at(17)).await.unwrap();
                assert_eq!(archive.taken, (1..=9).collect::<Vec<_>>());
            }

            #[tokio::test]
            async fn keeps_what_was_not_exported_and_goes_on_later() {
                let (trail, _folder) = filled(&days(20)).await;
                let (diary, mut archive) = (Diary::new(), Archive::taking(1));
                let purge = || AuditPurge::new().older_than(WEEK).batch_size(4);
                let error = diary.purge(&trail, purge().export_to(&mut archive), at(17)).await;
                let error = error.unwrap_err();
                assert!(matches!(error, PurgeError::Export(_)), "{error:?}");
                assert_eq!(left(&trail).await, (5..=20).collect::<Vec<_>>());
                let events = diary.events();
                let result = events.last().unwrap();
                assert_eq!(result.reason(), Some("export_failed"));
                assert_eq!((text(result, "phase").as_str(), number(result, "events")), ("done", 4));

                archive.batches = usize::MAX;
                let again = diary.purge(&trail, purge().export_to(&mut archive), at(17)).await;
                assert_eq!(again.unwrap().removed.events, 5);
                assert_eq!(archive.taken, (1..=9).collect::<Vec<_>>());
            }

            #[tokio::test]
            async fn readers_and_writers_go_on_meanwhile() {
                let (trail, _folder) = filled(&days(20)).await;
                let mut busy = Busy(Arc::clone(&trail), 0);
                let purge = AuditPurge::new().older_than(WEEK).batch_size(4);
                let purge = purge.export_to(&mut busy);
                let report = Diary::new().purge(&trail, purge, at(17)).await.unwrap();
                assert_eq!(report.removed.events, 9);
                let expected: Vec<_> = (10..=20).chain(101..=103).collect();
                assert_eq!(left(&trail).await, expected);
            }

            #[tokio::test]
            async fn two_purges_at_once_remove_each_event_once() {
                let (trail, _folder) = filled(&days(40)).await;
                let (one, two) = (Diary::new(), Diary::new());
                let purge = || AuditPurge::new().older_than(WEEK).batch_size(3);
                let both = tokio::join!(
                    one.purge(&trail, purge(), at(37)),
                    two.purge(&trail, purge(), at(37)),
                );
                let removed = both.0.unwrap().removed.events + both.1.unwrap().removed.events;
                assert_eq!(removed, 29);
                assert_eq!(left(&trail).await, (30..=40).collect::<Vec<_>>());
            }

            #[tokio::test]
            async fn a_reader_that_pages_on_finds_all_that_is_left() {
                let (trail, _folder) = filled(&days(20)).await;
                let query = AuditQuery::new().with_page_size(3);
                let first = trail.page(&query).await.unwrap();
                Diary::new().weekly(&trail, at(17)).await;
                let rest = query.with_after(first.next.unwrap()).with_page_size(1000);
                let rest = trail.page(&rest).await.unwrap();
                assert_eq!(rest.events.len(), 11);
            }
        }
    )*};
}

on_each_trail! {
    memory: MemorySink, async { (MemorySink::unbounded(), None) };
}

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sql {
    use keyward::audit::{PostgresAuditSink, SqliteAuditSink};
    use keyward::store::sqlx::{self, PgPool, SqlitePool};

    use super::servers::{self, Postgres};
    use super::*;

    async fn sqlite_pool() -> (SqlitePool, Option<tempfile::TempDir>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        SqliteAuditSink::open(&path, "test").await.unwrap();
        let url = format!("sqlite:{}", path.display());
        (SqlitePool::connect(&url).await.unwrap(), Some(folder))
    }

    async fn postgres_pool() -> (PgPool, Option<tempfile::TempDir>) {
        let url = Postgres::shared().database();
        let pool = PgPool::connect(&url).await.unwrap();
        postgres_sink(&pool).migrate().await.unwrap();
        (pool, None)
    }

    fn postgres_sink(pool: &PgPool) -> PostgresAuditSink {
        PostgresAuditSink::from_pool(pool.clone(), "test").unwrap()
    }

    fn sqlite_sink(pool: &SqlitePool) -> SqliteAuditSink {
        SqliteAuditSink::from_pool(pool.clone(), "test").unwrap()
    }

    async fn fresh_sqlite() -> (SqliteAuditSink, Option<tempfile::TempDir>) {
        let (pool, folder) = sqlite_pool().await;
        (sqlite_sink(&pool), folder)
    }

    async fn fresh_postgres() -> (PostgresAuditSink, Option<tempfile::TempDir>) {
        let (pool, folder) = postgres_pool().await;
        (postgres_sink(&pool), folder)
    }

    on_each_trail! {
        postgres: PostgresAuditSink, fresh_postgres();
        sqlite: SqliteAuditSink, fresh_sqlite();
    }

    /// The same tests on both engines, which need the table itself.
    macro_rules! on_each_engine {
        ($($engine:ident: $pool:expr, $sink:ident, $damage:literal;)*) => {$(
            mod $engine {
                use super::*;

                #[tokio::test]
                async fn names_the_last_sequence_of_every_recorder() {
                    let (pool, _folder) = $pool.await;
                    let recorders: Vec<_> = (0..15).map(|_| $sink(&pool)).collect();
                    for (recorder, n) in recorders.iter().zip(1..) {
                        let here = |sequence| {
                            let id = EventId::new(at(1), &[n; EventId::RANDOM_BYTES]);
                            let event = event(sequence, at(i64::try_from(sequence).unwrap()));
                            if sequence == 1 { event.with_id(id) } else { event.with_id(EventId::new(at(30), &[n; 10])) }
                        };
                        recorder.write(&[here(1), here(30)]).await.unwrap();
                    }
                    let diary = Diary::new();
                    let report = diary.weekly(&recorders[0], at(20)).await;
                    assert_eq!(report.removed.events, 15);
                    assert_eq!(diary.phases(), ["announced", "done", "recorders", "recorders"]);
                    let mut named: Vec<_> = diary
                        .events()
                        .iter()
                        .flat_map(|event| {
                            assert_eq!(event.details_omitted(), 0);
                            let named = event.details().filter(|(name, _)| name.starts_with("recorder_"));
                            named.map(|(name, _)| text(event, name)).collect::<Vec<_>>()
                        })
                        .collect();
                    named.sort();
                    let mut expected: Vec<_> = recorders.iter().map(|it| format!("{} 1", it.recorder())).collect();
                    expected.sort();
                    assert_eq!(named, expected);
                }

                #[tokio::test]
                async fn an_event_that_cannot_be_exported_is_named_and_kept() {
                    let (pool, _folder) = $pool.await;
                    let trail = $sink(&pool);
                    trail.write(&days(3)).await.unwrap();
                    sqlx::query($damage).execute(&pool).await.unwrap();
                    let (diary, mut archive) = (Diary::new(), Archive::taking(usize::MAX));
                    let purge = AuditPurge::new().older_than(WEEK).export_to(&mut archive);
                    let error = diary.purge(&trail, purge, at(30)).await.unwrap_err();
                    let PurgeError::Trail(error) = error else { panic!("{error:?}") };
                    assert!(error.to_string().ends_with("at position 2"), "{error}");
                    assert!(archive.taken.is_empty());
                    // Without an export nothing has to be read.
                    assert_eq!(diary.weekly(&trail, at(30)).await.removed.events, 3);
                }
            }
        )*};
    }

    on_each_engine! {
        damaged_postgres: postgres_pool(), postgres_sink, "UPDATE keyward.audit SET event = '{}' WHERE position = 2";
        damaged_sqlite: sqlite_pool(), sqlite_sink, "UPDATE keyward_audit SET event = '{}' WHERE position = 2";
    }

    #[tokio::test]
    async fn a_role_that_may_not_remove_events_is_told_so_before_anything_else() {
        let url = Postgres::shared().database();
        let owner = PgPool::connect(&url).await.unwrap();
        let trail = postgres_sink(&owner);
        trail.migrate().await.unwrap();
        trail.write(&days(3)).await.unwrap();
        let role = servers::unique("app");
        let grants = format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA keyward TO {role}; \
             GRANT SELECT, INSERT ON keyward.audit TO {role}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(grants))
            .execute(&owner)
            .await
            .unwrap();
        let as_role = url.replace("user=postgres", &format!("user={role}"));
        let served = postgres_sink(&PgPool::connect(&as_role).await.unwrap());
        let (diary, mut archive) = (Diary::new(), Archive::taking(usize::MAX));
        let purge = AuditPurge::new().older_than(WEEK).export_to(&mut archive);
        let error = diary.purge(&served, purge, at(30)).await.unwrap_err();
        let PurgeError::Trail(error) = error else {
            panic!("{error:?}")
        };
        assert!(
            matches!(error, AuditError::MayNotRemove { .. }),
            "{error:?}"
        );
        assert!(archive.taken.is_empty() && diary.events().is_empty());
        assert_eq!(left(&served).await, [1, 2, 3]);
        // Nor is it told only once there is something to remove.
        assert!(served.is_due(at(0)).await.is_err());
    }
}

/// Fails to write the result down, not the announcement.
#[derive(Clone, Debug)]
struct OneWrite(MemorySink, Arc<AtomicU32>);

#[async_trait]
impl AuditSink for OneWrite {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        let one_less = |left: u32| left.checked_sub(1);
        let taken = self
            .1
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        taken.map_err(|_| AuditError::unavailable("one_write", "full"))?;
        self.0.write(events).await
    }

    async fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn says_so_when_only_the_result_could_not_be_written_down() {
    let trail = MemorySink::unbounded();
    trail.write(&days(3)).await.unwrap();
    let sink = OneWrite(MemorySink::unbounded(), Arc::new(AtomicU32::new(1)));
    let recorder = AuditRecorder::builder(sink.clone()).start().unwrap();
    let purge = AuditPurge::new().older_than(WEEK);
    let purged = recorder.purge(&trail, purge, ActorRef::system("nightly"), at(30));
    let error = purged.await.unwrap_err();
    assert!(matches!(error, PurgeError::Conclude(_)), "{error:?}");
    assert!(trail.events().is_empty());
    assert_eq!(sink.0.events().len(), 1);
}

mod files {
    use std::fs::{self, File};
    use std::num::NonZeroU64;
    use std::path::{Path, PathBuf};

    use keyward::audit::{ChainReport, JsonLinesSink, TrailFiles, trail_files, verify_chain};

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        (folder, path)
    }

    /// Files of three events each, the last in use.
    async fn filled(path: &Path, count: u64) {
        let sink = JsonLinesSink::builder(path).rotate_at(NonZeroU64::MIN);
        let sink = sink.open().await.unwrap();
        for file in days(count).chunks(3) {
            sink.write(file).await.unwrap();
        }
    }

    fn verified(path: &Path) -> ChainReport {
        verify_chain(trail_files(path).unwrap()).unwrap()
    }

    fn age(file: &Path, to: Timestamp) {
        let since = Duration::from_micros(to.as_micros().unsigned_abs());
        let file = File::options().append(true).open(file).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + since).unwrap();
    }

    #[tokio::test]
    async fn whole_files_go_and_the_trail_says_which() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let diary = Diary::new();
        // Days 1 to 6 are old, day 8 keeps its whole file.
        let report = diary.weekly(&TrailFiles::at(&path), at(15)).await;
        assert_eq!((report.removed.events, report.removed.files.len()), (6, 2));
        assert_eq!(diary.phases(), ["announced", "done"]);
        let done = &diary.events()[1];
        assert_eq!((number(done, "events"), number(done, "files")), (6, 2));
        assert_eq!(text(done, "last_file"), "audit.jsonl.000002");
        assert_eq!(text(done, "recorder_1"), "audit.jsonl 6");
        let after = verified(&path).starts_after.unwrap();
        assert_eq!(after.file.as_deref(), Some("audit.jsonl.000002"));
        assert_eq!(after.sequence, Some(6));
    }

    #[tokio::test]
    async fn the_file_in_use_stays_however_old() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let report = Diary::new().weekly(&TrailFiles::at(&path), at(1000)).await;
        assert_eq!(report.removed.events, 9);
        assert_eq!(trail_files(&path).unwrap(), [path]);
    }

    #[tokio::test]
    async fn a_file_goes_after_all_of_it_was_exported() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let trail = TrailFiles::at(&path);
        let (diary, mut archive) = (Diary::new(), Archive::taking(3));
        // Two batches a file: the second file's second batch fails.
        let purge = || AuditPurge::new().older_than(WEEK).batch_size(2);
        let error = diary.purge(&trail, purge().export_to(&mut archive), at(1000));
        let error = error.await.unwrap_err();
        assert!(matches!(error, PurgeError::Export(_)), "{error:?}");
        assert_eq!(archive.taken, [1, 2, 3, 4, 5]);
        assert_eq!(trail_files(&path).unwrap().len(), 3);
        assert_eq!(number(diary.events().last().unwrap(), "events"), 3);

        archive.batches = usize::MAX;
        let again = diary.purge(&trail, purge().export_to(&mut archive), at(1000));
        assert_eq!(again.await.unwrap().removed.events, 6);
        assert_eq!(archive.taken, [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]);
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_exported_is_named_and_its_file_kept() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let files = trail_files(&path).unwrap();
        let whole = fs::read_to_string(&files[1]).unwrap();
        fs::write(&files[1], whole.replacen("\"kind\"", "\"kin\"", 2)).unwrap();
        let mut archive = Archive::taking(usize::MAX);
        let purge = AuditPurge::new().older_than(WEEK).export_to(&mut archive);
        let error = Diary::new()
            .purge(&TrailFiles::at(&path), purge, at(1000))
            .await;
        let PurgeError::Trail(error) = error.unwrap_err() else {
            panic!("another error")
        };
        assert!(
            error.to_string().ends_with("line 1 of audit.jsonl.000002"),
            "{error}"
        );
        assert_eq!(trail_files(&path).unwrap(), files[1..]);
        // Without an export nothing has to be read.
        let report = Diary::new().weekly(&TrailFiles::at(&path), at(1000)).await;
        assert_eq!(report.removed.events, 6);
    }

    #[tokio::test]
    async fn a_file_of_unknown_age_is_an_error_and_not_the_silent_end_of_all_purges() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let files = trail_files(&path).unwrap();
        fs::write(&files[0], "# not an event\n").unwrap();
        let diary = Diary::new();
        let trail = TrailFiles::at(&path);
        let purged = diary.purge(&trail, AuditPurge::new(), at(1000));
        let error = purged.await.unwrap_err();
        let PurgeError::Trail(error) = error else {
            panic!("{error:?}")
        };
        assert!(error.to_string().contains("audit.jsonl.000001"), "{error}");
        assert_eq!(trail_files(&path).unwrap(), files);
    }

    #[tokio::test]
    async fn cut_off_lines_go_when_nothing_was_added_since() {
        let (_folder, path) = folder();
        filled(&path, 3).await;
        let torn = path.with_file_name("audit.jsonl.torn");
        fs::write(&torn, "{\"schema\":1,\"seq\n").unwrap();
        age(&torn, at(10));
        let (diary, trail) = (Diary::new(), TrailFiles::at(&path));
        assert_eq!(diary.weekly(&trail, at(17)).await.removed.torn_bytes, 0);
        assert!(torn.exists());
        let late = Timestamp::from_micros(at(17).as_micros() + 1);
        let report = diary.weekly(&trail, late).await;
        assert_eq!((report.removed.torn_bytes, report.removed.events), (17, 0));
        assert!(!torn.exists());
        assert_eq!(number(&diary.events()[1], "torn_bytes"), 17);
        assert_eq!(verified(&path).lines, 3);
    }

    #[tokio::test]
    async fn a_folder_without_a_trail_has_nothing_to_purge() {
        let (_folder, path) = folder();
        let diary = Diary::new();
        let report = diary.weekly(&TrailFiles::at(&path), at(1000)).await;
        assert_eq!(report.removed.events, 0);
        assert!(diary.events().is_empty());
    }

    #[tokio::test]
    async fn a_trail_purges_itself_while_it_is_written() {
        let (_folder, path) = folder();
        filled(&path, 12).await;
        let sink = JsonLinesSink::builder(&path).rotate_at(NonZeroU64::MIN);
        let recorder = AuditRecorder::builder(sink.open().await.unwrap());
        let recorder = recorder.start().unwrap();
        let purge = AuditPurge::new().older_than(WEEK);
        let nightly = ActorRef::system("nightly");
        let trail = TrailFiles::at(&path);
        let report = recorder
            .purge(&trail, purge, nightly, at(1000))
            .await
            .unwrap();
        // The announcement began a new file, so that the one before it could go too.
        assert_eq!(report.removed.events, 12);
        let report = verified(&path);
        assert_eq!((report.lines, report.first_sequence), (2, Some(13)));
        assert_eq!(report.starts_after.unwrap().sequence, Some(12));
    }
}

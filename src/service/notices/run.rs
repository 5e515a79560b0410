use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Notices;
use super::due::{Due, Reason};
use crate::key::KeyRecord;
use crate::notice::{Claim, Notice, NoticeId, NoticeLogError, NotifyError};
use crate::random::RandomError;
use crate::service::KeyService;
use crate::store::{ListKeys, StoreError};
use crate::time::Timestamp;

/// How many keys are read at a time.
const PAGE: u32 = 500;
/// When a notice that failed is tried again; twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(15 * 60);
/// The longest rest of a notice that keeps failing: 2^7 quarters of an hour are more than a day.
const LONGEST_REST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a run came to.
#[derive(Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct NoticeReport {
    /// How many notices were sent.
    pub sent: usize,
    /// Those that were not. They are tried again in a later run, each after a while that doubles up to a day.
    pub unsent: Vec<UnsentNotice>,
    /// Whether the batch was full, so that more may be due: run again.
    pub is_full: bool,
}

/// A notice that was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnsentNotice {
    /// Which.
    pub id: NoticeId,
    /// Why.
    pub error: NotifyError,
}

/// A run ended early. What it sent before is sent, and remembered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeRunError {
    /// The keys could not be read.
    #[error("the keys that are due could not be read")]
    Store(#[from] StoreError),
    /// The notice log is out of order. A notice that was just sent may be sent again.
    #[error("the notices could not be looked up or remembered")]
    Log(#[from] NoticeLogError),
    /// No name for the run could be drawn.
    #[error("no randomness")]
    Random(#[from] RandomError),
}

/// One run under way.
struct Run<'a> {
    service: &'a KeyService,
    notices: &'a Notices,
    holder: String,
    report: NoticeReport,
}

impl KeyService {
    /// Sends what is due and was not sent yet, the most urgent first: keys that end soon (soonest first), secrets that will
    /// be refused for their age and those due for rotation (oldest first), keys that nobody uses.
    ///
    /// Call it now and then, every hour say, in as many processes as you like: each notice goes out once, and again only if a
    /// process ends between sending it and noting that. A run hands over a bounded number of notices, one at a time. A
    /// notifier that fails, panics or hangs costs its own notice, which a later run tries again.
    ///
    /// ```
    /// # use keyward::access::Grant;
    /// # use keyward::service::{Actor, IssueKey, KeyService};
    /// use std::time::Duration;
    /// use keyward::notice::{MemoryNoticeLog, MemoryNotifier, NoticeSubject};
    /// use keyward::service::Notices;
    /// use keyward::time::Clock;
    /// # use keyward::testing::ManualClock;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = ManualClock::default();
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).clock(clock.clone()).build()?;
    /// # let grant = Grant::try_scopes(["send_email".parse()?])?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", grant);
    /// # let request = request.with_lifetime(Duration::from_secs(40 * 24 * 3600));
    /// # let issued = service.issue(&Actor::system("example")?, request).await?;
    /// # clock.advance(Duration::from_secs(35 * 24 * 3600));
    /// let owners = MemoryNotifier::new();
    /// let notices = Notices::builder(owners.clone(), MemoryNoticeLog::new()).build()?;
    /// assert_eq!(service.send_notices(&notices).await?.sent, 1);
    /// assert_eq!(service.send_notices(&notices).await?.sent, 0);
    /// assert!(matches!(owners.notices()[0].subject, NoticeSubject::Expiring { .. }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoticeRunError`]: the run ended early, and the next one goes on.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped while a notice is being sent, that notice stays claimed for some minutes and is then sent
    /// again.
    pub async fn send_notices(&self, notices: &Notices) -> Result<NoticeReport, NoticeRunError> {
        let mut random = [0; 8];
        self.inner.random.fill(&mut random)?;
        let mut run = Run {
            service: self,
            notices,
            holder: format!("{:016x}", u64::from_be_bytes(random)),
            report: NoticeReport::default(),
        };
        for reason in Reason::all(notices, self) {
            if run.is_full() {
                break;
            }
            run.send_all(reason).await?;
        }
        run.report.is_full = run.is_full();
        Ok(run.report)
    }
}

impl Run<'_> {
    fn is_full(&self) -> bool {
        let taken = self.report.sent.saturating_add(self.report.unsent.len());
        taken >= self.notices.batch
    }

    fn now(&self) -> Timestamp {
        self.service.inner.clock.now()
    }

    /// Goes through all keys that may give the reason. Those whose notice was sent are passed over, a page at a time.
    async fn send_all(&mut self, reason: Reason) -> Result<(), NoticeRunError> {
        let now = self.now();
        let mut query: ListKeys = reason.query(self.notices, now).with_limit(PAGE);
        loop {
            let page = self.service.inner.records.list(&query).await?;
            let due = |record: &Arc<KeyRecord>| reason.due(self.notices, self.service, record, now);
            let due: Vec<Due> = page.records.iter().filter_map(due).collect();
            self.send_open(reason, due).await?;
            match page.next {
                Some(next) if !self.is_full() => query = query.with_after(next),
                Some(_) | None => return Ok(()),
            }
        }
    }

    async fn send_open(&mut self, reason: Reason, due: Vec<Due>) -> Result<(), NoticeRunError> {
        if due.is_empty() {
            return Ok(());
        }
        let ids: Vec<NoticeId> = due.iter().map(|due| due.id.clone()).collect();
        let open = self.notices.log.open(&ids, self.now()).await?;
        let open = due.into_iter().zip(open).filter(|(_, open)| *open);
        for (due, _) in open {
            if self.is_full() {
                break;
            }
            self.send_one(reason, due).await?;
        }
        Ok(())
    }

    async fn send_one(&mut self, reason: Reason, due: Due) -> Result<(), NoticeRunError> {
        let (log, now) = (&self.notices.log, self.now());
        let until = now.saturating_add(self.notices.lease);
        let claim = Claim::new(self.holder.clone(), now, until);
        let Some(deferred) = log.claim(&due.id, &claim).await? else {
            return Ok(());
        };
        // Others were sent before this one; the key may have been rotated, extended or revoked meanwhile.
        let record = self.service.inner.records.find(&due.id.key()).await?;
        let still = record.and_then(|found| {
            let record = found.into_shown();
            let still = reason.due(self.notices, self.service, &record, now)?;
            (still.id == due.id).then_some((record, still))
        });
        let Some((record, still)) = still else {
            return Ok(log.defer(&due.id, &self.holder, now).await?);
        };
        match self.hand_over(&record, &still).await {
            Ok(()) => {
                self.report.sent = self.report.sent.saturating_add(1);
                for id in std::iter::once(&still.id).chain(&still.superseded) {
                    log.sent(id, self.now()).await?;
                }
            }
            Err(error) => {
                let until = self.now().saturating_add(rest(deferred));
                let id = still.id;
                log.defer(&id, &self.holder, until).await?;
                self.report.unsent.push(UnsentNotice { id, error });
            }
        }
        Ok(())
    }

    /// On a task of its own, so that a panic ends nothing but that.
    async fn hand_over(&self, record: &KeyRecord, due: &Due) -> Result<(), NotifyError> {
        let notice = Notice {
            id: due.id.clone(),
            name: record.name.clone(),
            owner: record.owner.clone(),
            tenant: record.tenant.clone(),
            environment: record.environment,
            hint: self.service.hint(record),
            subject: due.subject,
        };
        let notifier = Arc::clone(&self.notices.notifier);
        // Aborted when it is dropped.
        let mut sending = JoinSet::new();
        sending.spawn(async move { notifier.notify(&notice).await });
        match timeout(self.notices.patience, sending.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(_)) | None) => Err(NotifyError::Panicked),
            Err(_) => Err(NotifyError::Late),
        }
    }
}

/// How long a notice that was deferred so often before rests after another failure.
fn rest(deferred: u32) -> Duration {
    let doubled = 1_u32.checked_shl(deferred).unwrap_or(u32::MAX);
    FIRST_REST.saturating_mul(doubled).min(LONGEST_REST)
}

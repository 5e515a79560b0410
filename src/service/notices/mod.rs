//! Which notices are due, and sending them once.

mod builder;
mod due;
mod run;

use std::sync::Arc;
use std::time::Duration;

pub use builder::{NoticesBuilder, NoticesError};
pub use run::{NoticeReport, NoticeRunError, UnsentNotice};

use crate::notice::{NoticeLog, Notifier};

/// Which notices are sent, by whom, and where it is remembered.
///
/// ```
/// use std::time::Duration;
/// use keyward::notice::{MemoryNoticeLog, MemoryNotifier};
/// use keyward::service::Notices;
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
///
/// let notices = Notices::builder(MemoryNotifier::new(), MemoryNoticeLog::new())
///     .expiring_within([DAY * 14, DAY * 3])
///     .build()?;
/// # Ok::<(), keyward::service::NoticesError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Notices {
    notifier: Arc<dyn Notifier>,
    log: Arc<dyn NoticeLog>,
    /// The shortest first.
    thresholds: Vec<Duration>,
    rotation: bool,
    unused: Option<Duration>,
    batch: usize,
    patience: Duration,
    lease: Duration,
}

impl Notices {
    /// Returns the settings of a run.
    pub fn builder(notifier: impl Notifier, log: impl NoticeLog) -> NoticesBuilder {
        NoticesBuilder::new(Arc::new(notifier), Arc::new(log))
    }
}

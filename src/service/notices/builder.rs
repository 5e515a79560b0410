use std::sync::Arc;
use std::time::Duration;

use super::Notices;
use crate::notice::{NoticeLog, Notifier};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A month to plan, a week to do it, a day before it is too late.
const THRESHOLDS: [Duration; 3] = [
    DAY,
    Duration::from_secs(7 * 24 * 60 * 60),
    Duration::from_secs(30 * 24 * 60 * 60),
];
/// A quarter: what is used at all is used within it, quarterly reports included.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A run every hour then sends 2400 a day, and a mistake in the settings sends a hundred before somebody sees it.
const BATCH: usize = 100;
/// A mail server that takes longer takes the next one no sooner.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer than the patience a claim lasts: the clocks of two machines, and what comes after the sending.
const SPARE: Duration = Duration::from_secs(5 * 60);

/// The settings of a run of notices, each with a default.
#[derive(Debug)]
#[must_use]
pub struct NoticesBuilder {
    notices: Notices,
}

/// A setting of a run makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{setting}` must not be zero")]
#[non_exhaustive]
pub struct NoticesError {
    /// The setting.
    pub setting: &'static str,
}

impl NoticesBuilder {
    pub(super) fn new(notifier: Arc<dyn Notifier>, log: Arc<dyn NoticeLog>) -> Self {
        let notices = Notices {
            notifier,
            log,
            thresholds: THRESHOLDS.to_vec(),
            rotation: true,
            unused: Some(UNUSED),
            batch: BATCH,
            patience: PATIENCE,
            lease: PATIENCE.saturating_add(SPARE),
        };
        Self { notices }
    }

    /// Sets how long before its end a key's owner is told: 30, 7 and 1 days otherwise. Each is told once; of several that
    /// were passed since the last run only the shortest. None at all tells nobody. The same holds for the moment from which a
    /// secret is refused for its age by the [`RotationPolicy`](crate::service::RotationPolicy).
    pub fn expiring_within(mut self, thresholds: impl IntoIterator<Item = Duration>) -> Self {
        self.notices.thresholds = thresholds.into_iter().collect();
        self.notices.thresholds.sort_unstable();
        self.notices.thresholds.dedup();
        self
    }

    /// Tells nobody that a secret has the [age](crate::service::KeyServiceBuilder::rotation_age) at which it should be
    /// changed; otherwise it is told once a secret.
    pub const fn without_rotation(mut self) -> Self {
        self.notices.rotation = false;
        self
    }

    /// Sets after which time without a use the owner of a key is told; 90 days otherwise.
    pub const fn unused_for(mut self, span: Duration) -> Self {
        self.notices.unused = Some(span);
        self
    }

    /// Tells nobody of unused keys. For stores that keep no last uses, where every key looks unused.
    pub const fn without_unused(mut self) -> Self {
        self.notices.unused = None;
        self
    }

    /// Sets how many notices one run hands over at most, those that fail included; 100 otherwise.
    pub const fn batch(mut self, notices: usize) -> Self {
        self.notices.batch = notices;
        self
    }

    /// Sets how long the notifier may take for one notice; 30 seconds otherwise.
    pub const fn patience(mut self, span: Duration) -> Self {
        self.notices.patience = span;
        self.notices.lease = span.saturating_add(SPARE);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`NoticesError`] for a threshold, span, batch or patience of zero.
    pub fn build(self) -> Result<Notices, NoticesError> {
        let notices = self.notices;
        let zero = [
            (
                "expiring_within",
                notices.thresholds.iter().any(Duration::is_zero),
            ),
            ("unused_for", notices.unused.is_some_and(|it| it.is_zero())),
            ("batch", notices.batch == 0),
            ("patience", notices.patience.is_zero()),
        ];
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((setting, _)) => Err(NoticesError { setting }),
            None => Ok(notices),
        }
    }
}

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{check_times, check_window, count};
use crate::alert::book::Book;
use crate::alert::readers::Readers;
use crate::alert::times::Times;
use crate::alert::{AlertKind, AlertRule, Finding, InvalidRule, MAX_SUBJECTS};
use crate::audit::{AuditEvent, AuditKind, Outcome};

const NAME: &str = "burst_of_keys";
/// Nobody makes ten keys in an hour by hand for one owner; a script that hoards keys does at once.
const TIMES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// For whom keys are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CountedPer {
    /// For the owner of the new keys. Owners of one name in two tenants are two.
    Owner,
    /// For whoever made them. The application itself (actors of the kind `system`) is not counted: it makes keys for all
    /// owners. It is of the tenant in which it makes them if it is a key that has not been seen to make keys anywhere else;
    /// otherwise of none.
    Actor,
}

/// Many new keys at once: [`AlertKind::BurstOfKeys`].
///
/// It counts `key_created` and `key_imported` events that did not fail, in a sliding window, exactly.
///
/// ```
/// use keyward::alert::rules::{BurstOfKeys, CountedPer};
///
/// let rule = BurstOfKeys::builder(CountedPer::Actor).times(50).build()?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Debug)]
pub struct BurstOfKeys {
    per: CountedPer,
    times: u32,
    window: Duration,
    subjects: Book<Made>,
}

/// What is remembered of an owner or actor.
#[derive(Debug, Default)]
struct Made {
    times: Times,
    readers: Option<Readers>,
}

/// The settings of [`BurstOfKeys`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BurstOfKeysBuilder {
    per: CountedPer,
    times: u32,
    window: Duration,
    capacity: NonZeroUsize,
}

impl BurstOfKeys {
    /// Returns the usual settings.
    pub const fn builder(per: CountedPer) -> BurstOfKeysBuilder {
        BurstOfKeysBuilder {
            per,
            times: TIMES,
            window: WINDOW,
            capacity: MAX_SUBJECTS,
        }
    }

    fn finding(&self, event: &AuditEvent) -> Option<Finding> {
        match self.per {
            CountedPer::Owner => Finding::of_owner(AlertKind::BurstOfKeys, event),
            CountedPer::Actor => {
                event.actor().filter(|it| it.kind() != "system")?;
                Finding::of_actor(AlertKind::BurstOfKeys, event)
            }
        }
    }
}

impl Made {
    /// Returns who may read of the new key and of all that are remembered. Once they lie in several tenants that is nobody.
    fn readers_with(&mut self, event: &AuditEvent) -> Readers {
        let of_key = Readers::of(event);
        let readers = match self.readers.take() {
            Some(before) => before.and(&of_key),
            None => of_key,
        };
        self.readers.insert(readers).clone()
    }
}

impl BurstOfKeysBuilder {
    /// Sets how many new keys are a burst, 1 to 1000; 10 otherwise.
    pub const fn times(mut self, keys: u32) -> Self {
        self.times = keys;
        self
    }

    /// Sets within which time; one hour otherwise.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets of how many owners or actors the rule remembers something; 100 000 otherwise.
    pub const fn capacity(mut self, subjects: NonZeroUsize) -> Self {
        self.capacity = subjects;
        self
    }

    /// Returns the rule.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] for an empty window or a number out of bounds.
    pub fn build(self) -> Result<BurstOfKeys, InvalidRule> {
        check_times(NAME, self.times)?;
        check_window(NAME, self.window)?;
        Ok(self.assemble())
    }

    pub(in crate::alert) fn assemble(self) -> BurstOfKeys {
        BurstOfKeys {
            per: self.per,
            times: self.times,
            window: self.window,
            subjects: Book::new(self.capacity),
        }
    }
}

impl AlertRule for BurstOfKeys {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let made = matches!(event.kind(), AuditKind::KeyCreated | AuditKind::KeyImported);
        if !made || event.outcome() == Outcome::Failure {
            return;
        }
        let Some(finding) = self.finding(event) else {
            return;
        };
        let most = usize::try_from(self.times).unwrap_or(usize::MAX);
        let made = self.subjects.open(&finding.subject);
        let times = made.times.add(event.time(), self.window, most);
        let readers = made.readers_with(event);
        if times >= most {
            let finding = match self.per {
                // People reach all tenants, also while they work in one.
                CountedPer::Actor if !is_by_key(event) => finding,
                CountedPer::Owner | CountedPer::Actor => finding.read_by(readers),
            };
            findings.push(finding.with_count(count(times)).with_window(self.window));
        }
    }
}

fn is_by_key(event: &AuditEvent) -> bool {
    event.actor().is_some_and(|actor| actor.kind() == "key")
}

//! The end of an old secret at its successor's first use.

use std::time::Duration;

use super::change::{Change, Decision};
use super::{KeyService, LifecycleError};
use crate::audit::AuditKind;
use crate::key::{CredentialEnd, KeyId, KeyRecord};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

/// How long a request waits for the end of the old secret to be written down: a little longer than the recorder
/// tries a dead sink.
const PATIENCE: Duration = Duration::from_secs(1);

/// Two keys share one in as many cases: they then wait for each other, which costs a moment and nothing else.
const TURNS: usize = 64;

/// Whose turn it is to end an old secret, key by key.
#[derive(Debug)]
pub(super) struct Retiring([Turn; TURNS]);

#[derive(Debug, Default)]
struct Turn {
    alone: tokio::sync::Mutex<()>,
    /// The key whose old secret could not be ended when this was tried last.
    failed: Mutex<Option<KeyId>>,
}

impl Default for Retiring {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Turn::default()))
    }
}

impl Retiring {
    fn of(&self, id: &KeyId) -> Option<&Turn> {
        self.0.get(id.spread() % TURNS)
    }
}

impl Turn {
    /// Waits until it is this key's turn; `None` if there is no use in that.
    ///
    /// SECURITY: after a rotation many first uses come at once, and one of them ends the old secret and writes it down. The
    /// others wait for it: whoever was let in with the new secret must find the old one ended. Only while that is out of
    /// order do they not stand behind each other.
    async fn take(&self, id: &KeyId) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if let Ok(alone) = self.alone.try_lock() {
            return Some(alone);
        }
        if self.has_failed(id) {
            return None;
        }
        let alone = tokio::time::timeout(PATIENCE, self.alone.lock()).await;
        alone.ok().filter(|_| !self.has_failed(id))
    }

    fn has_failed(&self, id: &KeyId) -> bool {
        *lock(&self.failed) == Some(*id)
    }

    fn note(&self, id: &KeyId, is_done: bool) {
        let mut failed = lock(&self.failed);
        if !is_done {
            *failed = Some(*id);
        } else if *failed == Some(*id) {
            *failed = None;
        }
    }
}

impl KeyService {
    /// The new secret was used: the old one has had its time. A failure leaves it to the next use, or to its deadline.
    pub(super) async fn retire_previous(&self, record: &KeyRecord, now: Timestamp) {
        let Some(turn) = self.inner.retiring.of(&record.id) else {
            return;
        };
        let Some(_alone) = turn.take(&record.id).await else {
            return;
        };
        // Outer: in time. Inner: done.
        let ended = tokio::time::timeout(PATIENCE, self.end_previous(record, now)).await;
        let is_done = matches!(ended, Ok(Ok(())));
        turn.note(&record.id, is_done);
        if !is_done {
            self.inner.counters.retirement_failed();
        }
    }

    async fn end_previous(&self, record: &KeyRecord, now: Timestamp) -> Result<(), LifecycleError> {
        let used = record.current.generation;
        let change = Change::new(&self.inner.itself, &record.id, AuditKind::KeyRotated);
        self.change(change, |_, record, _| {
            let mut next = record.clone();
            match &mut next.previous {
                Some(previous) if record.current.generation == used && previous.is_live(now) => {
                    previous.end = CredentialEnd::ENDED;
                }
                Some(_) | None => return Ok(Decision::Nothing),
            }
            Ok(Decision::Change(
                Box::new(next),
                vec![("rotation", "successor_used".to_owned())],
            ))
        })
        .await
        .map(drop)
    }
}

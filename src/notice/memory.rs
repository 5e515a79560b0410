use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Claim, Notice, NoticeId, NoticeLog, NoticeLogError, Notifier, NotifyError};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

/// Keeps notices in the process's memory, for tests and for an application that shows them itself. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryNotifier(Arc<Mutex<Vec<Notice>>>);

impl MemoryNotifier {
    /// Returns a notifier that has sent nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the notices in the order in which they came.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        lock(&self.0).clone()
    }
}

#[async_trait]
impl Notifier for MemoryNotifier {
    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        lock(&self.0).push(notice.clone());
        Ok(())
    }
}

/// Remembers notices in the process's memory: after a restart they are sent again. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryNoticeLog(Arc<Mutex<HashMap<NoticeId, State>>>);

#[derive(Clone, Debug)]
enum State {
    Sent(Timestamp),
    Claimed {
        holder: String,
        until: Timestamp,
        deferred: u32,
    },
}

impl State {
    fn is_open(&self, now: Timestamp) -> bool {
        match self {
            Self::Sent(_) => false,
            Self::Claimed { until, .. } => *until <= now,
        }
    }

    const fn deferred(&self) -> u32 {
        match self {
            Self::Sent(_) => 0,
            Self::Claimed { deferred, .. } => *deferred,
        }
    }
}

impl MemoryNoticeLog {
    /// Returns a log that remembers nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl NoticeLog for MemoryNoticeLog {
    async fn open(&self, ids: &[NoticeId], now: Timestamp) -> Result<Vec<bool>, NoticeLogError> {
        let known = lock(&self.0);
        let is_open = |id| known.get(id).is_none_or(|state| state.is_open(now));
        Ok(ids.iter().map(is_open).collect())
    }

    async fn claim(&self, id: &NoticeId, claim: &Claim) -> Result<Option<u32>, NoticeLogError> {
        let mut known = lock(&self.0);
        let before = known.get(id);
        if before.is_some_and(|state| !state.is_open(claim.now)) {
            return Ok(None);
        }
        let deferred = before.map_or(0, State::deferred);
        let claimed = State::Claimed {
            holder: claim.holder.clone(),
            until: claim.until,
            deferred,
        };
        known.insert(id.clone(), claimed);
        Ok(Some(deferred))
    }

    async fn sent(&self, id: &NoticeId, at: Timestamp) -> Result<(), NoticeLogError> {
        let mut known = lock(&self.0);
        if !matches!(known.get(id), Some(State::Sent(_))) {
            known.insert(id.clone(), State::Sent(at));
        }
        Ok(())
    }

    async fn defer(
        &self,
        id: &NoticeId,
        holder: &str,
        until: Timestamp,
    ) -> Result<(), NoticeLogError> {
        if let Some(State::Claimed {
            holder: current,
            until: end,
            deferred,
        }) = lock(&self.0).get_mut(id)
            && current.as_str() == holder
        {
            *end = until;
            *deferred = deferred.saturating_add(1);
        }
        Ok(())
    }

    async fn forget_before(&self, moment: Timestamp) -> Result<u64, NoticeLogError> {
        let mut known = lock(&self.0);
        let before = known.len();
        known.retain(|_, state| match state {
            State::Sent(at) => *at >= moment,
            State::Claimed { until, .. } => *until >= moment,
        });
        let forgotten = before.saturating_sub(known.len());
        Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
    }
}

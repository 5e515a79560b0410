use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{NoticeId, NoticeLogError};
use crate::time::Timestamp;

/// Remembers which notices were sent, and who is about to send one.
///
/// A notice is *claimed* before it is sent, for a time; then it is *sent*, or *deferred* to a later moment. A sender that
/// ends in between leaves its claim, which ends by itself, and another sends the notice, perhaps a second time: that is
/// the price of never missing one.
///
/// # For implementors
///
/// * [`claim`](Self::claim) is one step: of any number of senders that claim one notice at one time exactly one has it.
/// * What was sent stays sent, whatever comes later, until [`forget_before`](Self::forget_before).
/// * A claim or deferral that has ended, at `now` or before, is none.
/// * Topics are compared by their bytes.
///
/// The suite `keyward::testing::notice_rules` (feature `testing`) checks these rules.
#[async_trait]
pub trait NoticeLog: Debug + Send + Sync + 'static {
    /// Returns, for each notice, whether it could be claimed now: it was not sent, and nobody's claim or deferral lasts.
    ///
    /// # Errors
    ///
    /// An outage.
    async fn open(&self, ids: &[NoticeId], now: Timestamp) -> Result<Vec<bool>, NoticeLogError>;

    /// Claims a notice, and returns how often it was deferred before; `None` if it is not open.
    ///
    /// # Errors
    ///
    /// An outage; the notice may then be claimed.
    async fn claim(&self, id: &NoticeId, claim: &Claim) -> Result<Option<u32>, NoticeLogError>;

    /// Notes that a notice was sent, or need not be: claimed or not, by whomever.
    ///
    /// # Errors
    ///
    /// An outage; the notice may then be sent again.
    async fn sent(&self, id: &NoticeId, at: Timestamp) -> Result<(), NoticeLogError>;

    /// Gives a claim back: the notice is open again at `until`, and was deferred once more. Changes nothing if the claim is
    /// another holder's by now, or the notice was sent.
    ///
    /// # Errors
    ///
    /// An outage.
    async fn defer(
        &self,
        id: &NoticeId,
        holder: &str,
        until: Timestamp,
    ) -> Result<(), NoticeLogError>;

    /// Forgets notices that were sent, or whose last claim or deferral ended, before a moment, and returns how many. Whatever
    /// still gives reason for one of them brings it about again, so keep them for longer than your longest threshold: a year,
    /// say.
    ///
    /// # Errors
    ///
    /// An outage; some may be forgotten.
    async fn forget_before(&self, moment: Timestamp) -> Result<u64, NoticeLogError>;
}

/// Who claims a notice, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Claim {
    /// Whoever claims, by a name that nobody else has.
    pub holder: String,
    /// When it is claimed.
    pub now: Timestamp,
    /// When the claim ends by itself.
    pub until: Timestamp,
}

impl Claim {
    /// Returns a claim.
    pub fn new(holder: impl Into<String>, now: Timestamp, until: Timestamp) -> Self {
        let holder = holder.into();
        Self { holder, now, until }
    }
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<L: NoticeLog + ?Sized> NoticeLog for $pointer<L> {
            async fn open(
                &self,
                ids: &[NoticeId],
                now: Timestamp,
            ) -> Result<Vec<bool>, NoticeLogError> {
                (**self).open(ids, now).await
            }

            async fn claim(
                &self,
                id: &NoticeId,
                claim: &Claim,
            ) -> Result<Option<u32>, NoticeLogError> {
                (**self).claim(id, claim).await
            }

            async fn sent(&self, id: &NoticeId, at: Timestamp) -> Result<(), NoticeLogError> {
                (**self).sent(id, at).await
            }

            async fn defer(
                &self,
                id: &NoticeId,
                holder: &str,
                until: Timestamp,
            ) -> Result<(), NoticeLogError> {
                (**self).defer(id, holder, until).await
            }

            async fn forget_before(&self, moment: Timestamp) -> Result<u64, NoticeLogError> {
                (**self).forget_before(moment).await
            }
        }
    )*};
}

forward!(Arc, Box);

/// Logs are chosen at run time.
const _: Option<&dyn NoticeLog> = None;

//! Notices to owners: a key that will expire, a secret that is due for rotation or will be refused for its age, a key that
//! nobody uses.
//!
//! [`KeyService::send_notices`](crate::KeyService::send_notices) finds what is due and hands each [`Notice`] to a
//! [`Notifier`], once: a [`NoticeLog`] remembers what was sent, across restarts and processes. `docs/reviews.md` tells how to
//! run it.

mod error;
mod log;
mod memory;
#[expect(clippy::module_inception, reason = "the thing itself")]
mod notice;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

#[cfg(feature = "tracing")]
pub use self::tracing::TracingNotifier;
pub use error::{NoticeLogError, NotifyError};
pub use log::{Claim, NoticeLog};
pub use memory::{MemoryNoticeLog, MemoryNotifier};
pub use notice::{Notice, NoticeId, NoticeSubject};
#[cfg(feature = "postgres")]
pub use sql::PostgresNoticeLog;
#[cfg(feature = "sqlite")]
pub use sql::SqliteNoticeLog;

/// Takes notices to whoever should read them: by mail, a ticket, a chat.
///
/// # For implementors
///
/// * `Ok` means that the notice need not be sent again: also when there is nobody to send it to.
/// * `Err` means that a later run tries again. The others of the run are sent all the same.
/// * A notice may come twice: when the process ends between the sending and the note that it was sent. If that matters,
///   [`Notice::id`] is the same both times.
/// * A call that takes longer than the run's patience is dropped. A panic is caught, and counts as an error.
/// * Names and owners are texts of users: escape them for where they go.
///
/// ```
/// use keyward::async_trait;
/// use keyward::notice::{Notice, Notifier, NotifyError};
///
/// #[derive(Debug)]
/// struct Mail;
///
/// #[async_trait]
/// impl Notifier for Mail {
///     async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
///         let text = format!("To {}: key “{}”: {}", notice.owner, notice.name, notice.subject);
///         send(text).await.map_err(NotifyError::failed)
///     }
/// }
/// # async fn send(_: String) -> std::io::Result<()> { Ok(()) }
/// ```
#[async_trait]
pub trait Notifier: Debug + Send + Sync + 'static {
    /// Sends a notice.
    ///
    /// # Errors
    ///
    /// [`NotifyError`]: it was not sent, and is to be tried again later.
    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<N: Notifier + ?Sized> Notifier for $pointer<N> {
            async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
                (**self).notify(notice).await
            }
        }
    )*};
}

forward!(Arc, Box);

/// Notifiers are chosen at run time.
const _: Option<&dyn Notifier> = None;

use async_trait::async_trait;

use super::{Notice, Notifier, NotifyError};

/// The target of every notice, for filters: `keyward::notice=warn`.
const TARGET: &str = "keyward::notice";

/// Hands notices to the application's `tracing` subscriber, at the level `WARN`: for operators who read the log anyway.
///
/// Texts of users are fields in their escaped form, so that none can begin a line of its own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingNotifier;

impl TracingNotifier {
    /// Returns the notifier.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Notifier for TracingNotifier {
    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        tracing::warn!(
            target: TARGET,
            key_id = %notice.id.key(),
            name = ?notice.name,
            owner = ?notice.owner.as_str(),
            tenant = ?notice.tenant.tenant().map(AsRef::<str>::as_ref),
            hint = notice.hint.as_deref(),
            subject = notice.subject.code(),
            what = %notice.subject,
            "notice"
        );
        Ok(())
    }
}

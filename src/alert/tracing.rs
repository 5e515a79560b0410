use async_trait::async_trait;

use super::{Alert, AlertError, AlertSink, Severity};
use crate::audit::escape;

/// The target of every alert, for filters: `keyward::alert=warn`.
pub const TARGET: &str = "keyward::alert";

/// Hands alerts to the application's `tracing` subscriber.
///
/// Target is [`TARGET`], the level `INFO` for a notice, `WARN` for a warning and `ERROR` for what is critical, the message
/// `alert`. The fields `kind` and `subject` are for filters; `alert` holds all of it as JSON on one line.
///
/// ```
/// use keyward::alert::{Alerts, TracingAlertSink};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let alerts = Alerts::builder().sink("log", TracingAlertSink::new()).start()?;
/// # let _ = alerts;
/// # Ok::<(), keyward::alert::AlertError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingAlertSink;

impl TracingAlertSink {
    /// Returns the sink.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// `tracing` wants the level at compile time.
macro_rules! emit {
    ($level:ident, $alert:ident, $json:ident) => {
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            kind = $alert.kind().code(),
            subject = %escape($alert.subject()),
            alert = %$json,
            "alert"
        )
    };
}

#[async_trait]
impl AlertSink for TracingAlertSink {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        let json = alert
            .to_json()
            .map_err(|error| AlertError::refused("tracing", error))?;
        match alert.severity() {
            Severity::Notice => emit!(INFO, alert, json),
            Severity::Warning => emit!(WARN, alert, json),
            Severity::Critical => emit!(ERROR, alert, json),
        }
        Ok(())
    }
}

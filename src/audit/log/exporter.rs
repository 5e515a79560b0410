use async_trait::async_trait;

use crate::BoxError;
use crate::audit::AuditEvent;

/// Takes events that leave the trail: to a file, a collector, an archive.
///
/// Every closure over `&[AuditEvent]` is one. Implement it where taking the events has to wait for something.
///
/// ```
/// use keyward::BoxError;
/// use keyward::async_trait;
/// use keyward::audit::{AuditEvent, AuditExporter};
///
/// /// Counts, and would send.
/// struct Archive(usize);
///
/// #[async_trait]
/// impl AuditExporter for Archive {
///     async fn export(&mut self, events: &[AuditEvent]) -> Result<(), BoxError> {
///         self.0 += events.len();
///         Ok(())
///     }
/// }
///
/// let mut lines = String::new();
/// let mut closure = |events: &[AuditEvent]| -> Result<(), BoxError> {
///     for event in events {
///         lines.push_str(&event.to_line()?);
///         lines.push('\n');
///     }
///     Ok(())
/// };
/// let exporters: [&mut dyn AuditExporter; 2] = [&mut Archive(0), &mut closure];
/// ```
#[async_trait]
pub trait AuditExporter: Send {
    /// Takes the events, which come in order. `Ok` means that they are as safe as they have to be.
    ///
    /// # Errors
    ///
    /// Whatever kept it from taking all of them. Nothing more is handed over then, and of what was handed over in this call
    /// nothing is removed; some of it may come again in a later run.
    async fn export(&mut self, events: &[AuditEvent]) -> Result<(), BoxError>;
}

#[async_trait]
impl<F> AuditExporter for F
where
    F: FnMut(&[AuditEvent]) -> Result<(), BoxError> + Send,
{
    async fn export(&mut self, events: &[AuditEvent]) -> Result<(), BoxError> {
        self(events)
    }
}

use std::fmt::Debug;

use super::Finding;
use crate::audit::AuditEvent;

/// Looks at the events of the trail, one after the other, and says what it finds.
///
/// # For implementors
///
/// * It runs on the task that writes the trail: compute, and return. A panic is caught and counted.
/// * **Time** is the time of the event, nothing else: so a trail can be shown to it again. Events of several threads may be
///   seconds out of order, and a clock may be set back.
/// * **State** is bounded. A key that the service does not know has no owner in its events: it must not cost memory, or a
///   flood of invented ids would blind the rule.
/// * Push a finding for each event that meets the rule, also when there was one a moment ago: [`Alerts`](super::Alerts) makes
///   one alert a period of it, and counts the rest.
///
/// ```
/// use keyward::alert::{AlertKind, AlertRule, Finding};
/// use keyward::audit::{AuditEvent, AuditKind};
///
/// /// Raises an alert when somebody switches a key on again.
/// #[derive(Debug)]
/// struct Enabled;
///
/// impl AlertRule for Enabled {
///     fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
///         if event.kind() == AuditKind::KeyEnabled {
///             findings.extend(Finding::of_key(AlertKind::Custom("key_enabled"), event));
///         }
///     }
/// }
/// ```
pub trait AlertRule: Debug + Send + Sync + 'static {
    /// Looks at an event, and adds what it finds.
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>);
}

#[deny(clippy::missing_trait_methods)]
impl<R: AlertRule + ?Sized> AlertRule for Box<R> {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        (**self).look(event, findings);
    }
}

/// Rules are chosen at run time.
const _: fn(&mut dyn AlertRule) = |_| {};

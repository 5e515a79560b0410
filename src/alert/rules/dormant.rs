use std::time::Duration;

use crate::alert::{AlertKind, AlertRule, Finding, InvalidRule};
use crate::audit::{AuditEvent, AuditKind, Detail};

const NAME: &str = "dormant_key";
/// 90 days, after which reviews list a key as unused: nobody waits for it any more.
const UNUSED_FOR: Duration = Duration::from_secs(90 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// A key that is used after a long time without use: [`AlertKind::DormantKeyActive`].
///
/// It goes by the detail `idle_s` of `authentication_succeeded` events: the time since the key's last use, or since it was made
/// if this is its first. The service takes it from the key's record, so the rule needs no memory, sees the uses that other
/// processes served, and survives a restart. The detail is written from a day on.
///
/// ```
/// use std::time::Duration;
/// use keyward::alert::rules::DormantKey;
///
/// let rule = DormantKey::unused_for(Duration::from_secs(30 * 24 * 60 * 60))?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DormantKey {
    unused_for: Duration,
}

impl DormantKey {
    /// Returns the rule for keys that were not used for that long, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] for less than a day.
    pub const fn unused_for(unused_for: Duration) -> Result<Self, InvalidRule> {
        if unused_for.as_secs() < DAY {
            return Err(InvalidRule::new(
                NAME,
                "a key is dormant after a day at least",
            ));
        }
        Ok(Self { unused_for })
    }
}

/// Unused for 90 days.
impl Default for DormantKey {
    fn default() -> Self {
        Self {
            unused_for: UNUSED_FOR,
        }
    }
}

impl AlertRule for DormantKey {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() != AuditKind::AuthenticationSucceeded {
            return;
        }
        let Some(Detail::Number(idle)) = event.detail("idle_s") else {
            return;
        };
        let idle = Duration::from_secs(u64::try_from(*idle).unwrap_or(0));
        if idle >= self.unused_for {
            let finding = Finding::of_key(AlertKind::DormantKeyActive, event);
            findings.extend(finding.map(|it| it.with_detail("idle_days", idle.as_secs() / DAY)));
        }
    }
}

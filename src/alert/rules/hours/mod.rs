mod calendar;

use super::nearest::Nearest;
use crate::alert::{AlertKind, AlertRule, Finding, InvalidRule};
use crate::audit::{AuditEvent, AuditKind};

pub use self::calendar::{BusinessHours, BusinessHoursBuilder, Weekday};

const NAME: &str = "outside_business_hours";

/// A key that is used outside business hours: [`AlertKind::OutsideBusinessHours`].
///
/// It looks at `authentication_succeeded` events. The hours of the key itself count before those of its owner, those before
/// its tenant's, and those before the hours of all; where there are none, nothing is found. Exempt the keys of nightly jobs.
///
/// ```
/// use keyward::alert::rules::{BusinessHours, OutsideBusinessHours};
///
/// let berlin = BusinessHours::builder("Europe/Berlin").build()?;
/// let tokyo = BusinessHours::builder("Asia/Tokyo").open("09:00", "19:00").build()?;
/// let rule = OutsideBusinessHours::builder()
///     .hours(berlin)
///     .hours_of_tenant("acme-japan", tokyo)
///     .exempt_key("a1B2c3D4e5F6")
///     .build()?;
/// # let _ = rule;
/// # Ok::<(), keyward::alert::InvalidRule>(())
/// ```
#[derive(Debug)]
pub struct OutsideBusinessHours {
    hours: Nearest<BusinessHours>,
}

/// The settings of [`OutsideBusinessHours`].
#[derive(Debug)]
#[must_use]
pub struct OutsideBusinessHoursBuilder {
    hours: Nearest<BusinessHours>,
}

impl OutsideBusinessHours {
    /// Returns settings without hours.
    pub fn builder() -> OutsideBusinessHoursBuilder {
        OutsideBusinessHoursBuilder {
            hours: Nearest::new(),
        }
    }
}

impl OutsideBusinessHoursBuilder {
    /// Sets the hours of all keys.
    pub fn hours(mut self, hours: BusinessHours) -> Self {
        self.hours.all = Some(hours);
        self
    }

    /// Sets the hours of the key of that id.
    pub fn hours_of_key(mut self, id: impl Into<String>, hours: BusinessHours) -> Self {
        self.hours.keys.insert(id.into(), Some(hours));
        self
    }

    /// Lets the key of that id work at any hour.
    pub fn exempt_key(mut self, id: impl Into<String>) -> Self {
        self.hours.keys.insert(id.into(), None);
        self
    }

    /// Sets the hours of the owner's keys.
    pub fn hours_of_owner(mut self, owner: impl Into<String>, hours: BusinessHours) -> Self {
        self.hours.owners.insert(owner.into(), hours);
        self
    }

    /// Sets the hours of the tenant's keys.
    pub fn hours_of_tenant(mut self, tenant: impl Into<String>, hours: BusinessHours) -> Self {
        self.hours.tenants.insert(tenant.into(), hours);
        self
    }

    /// Returns the rule.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] if nobody has hours.
    pub fn build(self) -> Result<OutsideBusinessHours, InvalidRule> {
        if self.hours.is_empty() {
            return Err(InvalidRule::new(NAME, "nobody has hours"));
        }
        Ok(OutsideBusinessHours { hours: self.hours })
    }
}

impl AlertRule for OutsideBusinessHours {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() != AuditKind::AuthenticationSucceeded {
            return;
        }
        let Some(hours) = self.hours.of(event) else {
            return;
        };
        if let Some(local) = hours.outside(event.time()) {
            let finding = Finding::of_key(AlertKind::OutsideBusinessHours, event);
            findings.extend(finding.map(|it| it.with_detail("local_time", local)));
        }
    }
}

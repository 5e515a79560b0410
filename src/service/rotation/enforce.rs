//! The rotation policy, applied to records.

use std::sync::Arc;
use std::time::Duration;

use super::retirement::overdue_from;
use super::{Retirement, RotationAge};
use crate::key::{Generation, KeyRecord};
use crate::service::{KeyService, Rejection};
use crate::time::Timestamp;

impl KeyService {
    /// Returns from when on the key's current secret is refused for its age by the [`RotationPolicy`](super::RotationPolicy);
    /// `None` if nothing is enforced for it, and for keys of another environment, which are another service's to judge. For
    /// lists and consoles; a rotation moves it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use keyward::service::{RotationAge, RotationPolicy};
    /// # use keyward::access::Grant;
    /// # use keyward::service::{Actor, IssueKey, KeyService};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let quarter = Duration::from_secs(90 * 24 * 3600);
    /// let ages = RotationPolicy::builder().otherwise(RotationAge::refuse_at(quarter)).build()?;
    /// let service = KeyService::builder(keyward::store::MemoryStore::new()).rotation_policy(ages).build()?;
    /// # let grant = Grant::try_scopes(["send_email".parse()?])?;
    /// # let issued = service.issue(&Actor::system("example")?, IssueKey::new("acme".parse()?, "mailer", grant)).await?;
    /// let record = issued.record();
    /// assert_eq!(service.rotation_deadline(record), Some(record.current.created_at.saturating_add(quarter)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rotation_deadline(&self, record: &KeyRecord) -> Option<Timestamp> {
        if record.environment != self.inner.format.environment() {
            return None;
        }
        let age = self.enforced_age(record)?;
        Some(age.end_of_current(record))
    }

    /// The same, unless the key itself ends before.
    pub(in crate::service) fn refused_from(&self, record: &KeyRecord) -> Option<Timestamp> {
        let deadline = self.rotation_deadline(record)?;
        let outlives = record.expires_at.is_none_or(|end| deadline < end);
        outlives.then_some(deadline)
    }

    /// The shortest age that is enforced for any key.
    pub(in crate::service) fn shortest_age(&self) -> Option<Duration> {
        self.inner.rotation.shortest()
    }

    /// Refuses a proved secret that is too old, and says what its holder should know of one that is not.
    ///
    /// SECURITY: only for secrets that were proved. Whoever hears of the age holds the key.
    pub(in crate::service) fn judge_age(
        &self,
        record: &Arc<KeyRecord>,
        used: Generation,
        now: Timestamp,
    ) -> Result<Option<Retirement>, Rejection> {
        let age = self.enforced_age(record);
        match age.map(|age| overdue_from(record, used, age)) {
            Some(since) if since <= now => Err(Rejection::RotationOverdue { since }),
            Some(_) | None => Ok(Retirement::of(record, used, age, now)),
        }
    }

    fn enforced_age(&self, record: &KeyRecord) -> Option<RotationAge> {
        let (access, manage) = (&self.inner.policy, &self.inner.settings.manage);
        self.inner.rotation.age_for(access, manage, record)
    }
}
